"""Values in float64 with a bound on how far a float32 computation may be from them.

A Bounded starts exact (float32 data) and goes through layers: `value` is torch's float64 result, `error` what
rounding may have done to each voxel so far, by the standard model fl(a op b) = (a op b)(1 + d), |d| <= u,
u = 2^-24, and gamma_n = n*u/(1 - n*u) (Higham, Accuracy and Stability of Numerical Algorithms, ch. 3).
"""
import torch
import torch.nn.functional as F

U = 2.0 ** -24
U64 = 2.0 ** -53
TINY = 2.0 ** -148  # absolute: results below float32's normal range are rounded to multiples of 2^-149
MODES = ["zeros", "reflect", "replicate", "circular"]


def gamma(n):
    return n * U / (1 - n * U)


def pad(x, before, after, mode):
    """torch.nn.functional.pad with sides that may differ; triples are D, H, W."""
    if not any(before) and not any(after):
        return x
    sides = [n for axis in (2, 1, 0) for n in (before[axis], after[axis])]
    return F.pad(x, sides, mode="constant" if mode == "zeros" else mode)


class Bounded:
    def __init__(self, value, error=None):
        self.value = value.double()
        self.error = torch.zeros_like(self.value) if error is None else error

    def worst(self):
        """The largest magnitude that each value may have in the computation."""
        return self.value.abs() + self.error

    def conv(self, w, b, stride, dilation, before, after, mode, groups, weight_roundings=0):
        """Promise 1: |y - exact| <= gamma_n (sum |w||x| + |b|), n = taps * in_channels/groups + 1, plus what
        the input was off by. weight_roundings: how often each weight itself was rounded before. The last
        term is float64's own rounding in the expected value."""
        def apply(x, weight, bias):
            return F.conv3d(pad(x, before, after, mode), weight, bias, stride, 0, dilation, groups)

        w = w.double()
        b = None if b is None else b.double()
        n = w[0].numel() + 1
        magnitude = apply(self.worst(), w.abs(), None if b is None else b.abs())
        carried = apply(self.error, w.abs(), None) if self.error.any() else 0.0
        error = gamma(n + weight_roundings) * magnitude + carried + 2 * n * U64 * magnitude
        return Bounded(apply(self.value, w, b), error + TINY)

    def batchnorm(self, mean, var, weight, bias, eps):
        """One fused multiply-add x*alpha + beta whose alpha and beta were rounded once: two roundings of
        each term, gamma_2 (|x alpha| + |beta|)."""
        shape = (1, -1, 1, 1, 1)
        alpha = 1.0 / torch.sqrt(var.double() + eps)
        if weight is not None:
            alpha = alpha * weight.double()
        beta = -mean.double() * alpha
        if bias is not None:
            beta = beta + bias.double()
        alpha, beta = alpha.view(shape), beta.view(shape)
        value = F.batch_norm(self.value, mean.double(), var.double(),
                             None if weight is None else weight.double(),
                             None if bias is None else bias.double(), eps=eps)
        magnitude = self.worst() * alpha.abs() + beta.abs()
        # beta's own terms may cancel; what float64 loses there is relative to them.
        lost = 8 * U64 * (magnitude + (mean.double().view(shape) * alpha).abs())
        return Bounded(value, gamma(2) * magnitude + self.error * alpha.abs() + lost + TINY)

    def activation(self, kind, parameter):
        """The input's error times the function's steepest slope, and two roundings (the result, and the
        parameter on its way to float32)."""
        x = self.value
        if kind == "relu":
            return Bounded(F.relu(x), self.error)
        if kind == "softmax":
            # exp(x_c)/sum: with every x off by at most e, each factor is off by e^(+-2e).
            y = F.softmax(x, 1)
            e = self.error.amax(1, keepdim=True)
            return Bounded(y, y * (torch.expm1(2 * e) + gamma(2)) + TINY)
        value, slope = {
            "leaky_relu": (F.leaky_relu(x, parameter), max(1.0, abs(parameter))),
            "elu": (F.elu(x, parameter), max(1.0, abs(parameter))),
            "sigmoid": (torch.sigmoid(x), 0.25),
            "tanh": (torch.tanh(x), 1.0),
        }[kind]
        error = self.error * slope * (1 + 2 * U)
        return Bounded(value, error + gamma(2) * (value.abs() + error) + TINY)

    def max_pool(self, kernel, stride, padding, dilation, ceil_mode):
        """A maximum is off by no more than the worst value of its window, and rounds nothing."""
        def apply(x):
            return F.max_pool3d(x, kernel, stride, padding, dilation, ceil_mode)

        error = apply(self.error)
        return Bounded(apply(self.value), torch.where(error.isfinite(), error, 0.0))

    def avg_pool(self, kernel, stride, padding, ceil_mode, include):
        """A sum of `taps` values and one division: gamma_taps times the mean of magnitudes."""
        def apply(x):
            return F.avg_pool3d(x, kernel, stride, padding, ceil_mode, include)

        taps = kernel[0] * kernel[1] * kernel[2]
        error = (gamma(taps) + 2 * taps * U64) * apply(self.worst()) + apply(self.error)
        return Bounded(apply(self.value), error + TINY)

    def outside(self, y):
        """How many values of the float32 result y are outside the bound, and the largest excess."""
        y = y.double()
        wrong = ~((y == self.value) | ((y - self.value).abs() <= self.error))
        if not wrong.any():
            return 0, 0.0
        return int(wrong.sum()), float(((y - self.value).abs() / self.error)[wrong].max())
