"""Values in float64 with a bound on how far a float32 computation may be from them.

A Bounded starts exact (float32 data) and goes through layers: `value` is torch's float64 result, `error` what
rounding may have done to each voxel so far, by the standard model fl(a op b) = (a op b)(1 + d), |d| <= u,
u = 2^-24, and gamma_n = n*u/(1 - n*u) (Higham, Accuracy and Stability of Numerical Algorithms, ch. 3).
"""
import math

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
        self.sum = None  # behind a convolution: its roundings, the sum of its terms' magnitudes, the input's error

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
        result = Bounded(apply(self.value, w, b), error + TINY)
        result.sum = (n + weight_roundings, magnitude, carried)
        return result

    def batchnorm(self, mean, var, weight, bias, eps, folded=False):
        """One fused multiply-add x*alpha + beta whose alpha and beta were rounded once: two roundings of
        each term, gamma_2 (|x alpha| + |beta|). folded: or into the convolution before it, whose weights
        become w*alpha, rounded twice, and its bias b*alpha + beta, rounded three times; then all of them take part
        in its sum. That is so where nobody else reads the convolution's result; the bound holds either way."""
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
        error = gamma(2) * magnitude + self.error * alpha.abs()
        if folded and self.sum:
            roundings, terms, carried = self.sum
            error = torch.maximum(
                error, gamma(roundings + 3) * (terms * alpha.abs() + beta.abs()) + carried * alpha.abs())
        return Bounded(value, error + lost + TINY)

    def activation(self, kind, parameter):
        """The input's error times the function's steepest slope, and the roundings of the function itself: the
        model's u for each operation, 2u for a function within 1 ulp, 7u for one within 3.5 (reference_bounds.c
        adds them up). A few U64 are torch's own."""
        x, e = self.value, self.error
        size = self.worst()
        if kind in ("softmax", "log_softmax"):
            # Each of the `channels` exponentials is off by the rounding of its argument, x - max, and 2u; by
            # channels - 1 additions; by a division, or a logarithm and two differences.
            channels, worst = x.shape[1], e.amax(1, keepdim=True)
            below = x.amax(1, keepdim=True) - x + 2 * worst
            total = 1.37 * channels + 1
            if kind == "softmax":
                y = F.softmax(x, 1)
                relative = torch.expm1(2 * worst + (below + total + 3) * U * (1 + 2 ** -10))
                # Where the input may be off by hundreds, relative is infinite, and y perhaps 0. Both results lie
                # between 0 and 1, but for a division's rounding.
                return Bounded(y, (y * relative).nan_to_num(math.inf).clamp(max=1 + U) + 2 * TINY)
            y = F.log_softmax(x, 1)
            lost = (below + total + 2 * math.log(channels) + y.abs() + 2 * worst) * gamma(1)
            return Bounded(y, 2 * worst + lost * (1 + 2 ** -10) + TINY)
        value, slope, relative, absolute = {
            # function, steepest slope, roundings in units of u: relative to the result, and absolute
            "relu": lambda: (F.relu(x), 1, 0, 0),
            "leaky_relu": lambda a: (F.leaky_relu(x, a), max(1, a), 1, 0),
            "elu": lambda a: (F.elu(x, a), max(1, a), 10, 0),
            "selu": lambda a, b: (F.selu(x), a * b, 13, 0),
            "gelu": lambda: (F.gelu(x), 1.13, 0, 4 * size),
            "gelu_tanh": lambda: (F.gelu(x, approximate="tanh"), 1.13, 0, 6 * size),
            "sigmoid": lambda: (torch.sigmoid(x), 0.25, 4, 0),
            "hardsigmoid": lambda a, b: (F.hardsigmoid(x), a, 0, 3),
            "hardswish": lambda: (F.hardswish(x), 1.5, 1, 3 * size),
            "silu": lambda: (F.silu(x), 1.1, 5, 0),
            "tanh": lambda: (torch.tanh(x), 1, 2, 0),
            "softplus": lambda a, b: (F.softplus(x, a, b), 1, 8 + a * size, 0),
            "mish": lambda: (F.mish(x), 1.09, 7, 0),
            "softsign": lambda: (F.softsign(x), 1, 2, 0),
            "clip": lambda a, b: (torch.clamp(x, a, b), 1, 0, 0),
            "erf": lambda: (torch.erf(x), 1.13, 2, 0),
            "exp": lambda: (torch.exp(x), 0, 2, 0),
            "log": lambda: (torch.log(x), 0, 2, 0),
            "sqrt": lambda: (torch.sqrt(x), 0, 1, 0),
            "abs": lambda: (x.abs(), 1, 0, 0),
            "neg": lambda: (-x, 1, 0, 0),
            "reciprocal": lambda: (1 / x, 0, 1, 0),
        }[kind](*parameter)
        value[value.abs() >= 2.0 ** 128] *= math.inf  # as in float32
        carried = e * slope
        own = relative * U * (value.abs() + carried) + absolute * U
        exact = kind in ("relu", "clip", "abs", "neg")
        rest = 0 if exact else 8 * U64 + (8 + 4 * size) * TINY
        return Bounded(value, carried + own * (1 + 2 ** -10) + rest)

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

    def add(self, other):
        """One rounding; torch broadcasts one channel, or one voxel a channel."""
        value, error = self.value + other.value, self.error + other.error
        return Bounded(value, error + U * (value.abs() + error) + TINY)

    def mul(self, other):
        value = self.value * other.value
        error = self.value.abs() * other.error + other.value.abs() * self.error + self.error * other.error
        return Bounded(value, error + U * (value.abs() + error) + TINY)

    @staticmethod
    def cat(parts):
        return Bounded(torch.cat([p.value for p in parts], 1), torch.cat([p.error for p in parts], 1))

    def outside(self, y):
        """How many values of the float32 result y are outside the bound, and the largest excess."""
        y = y.double()
        wrong = ~((y == self.value) | ((y - self.value).abs() <= self.error) | (y.isnan() & self.value.isnan()))
        if not wrong.any():
            return 0, 0.0
        return int(wrong.sum()), float(((y - self.value).abs() / self.error)[wrong].max())
