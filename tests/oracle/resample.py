"""Layers beside convolution and pooling by windows: what is given to voxconv, and what torch makes of it. Each
writes itself to the driver's tape (tests/tools/oracle_driver.c), and is the only layer of its case; networks.py puts
them behind others, so that what comes in may be off already."""
import torch
import torch.nn.functional as F

from bounded import TINY, U, U64, Bounded, gamma
from layers import floats, triple


class GroupNorm:
    def __init__(self, rng, channels, size):
        del size
        self.channels = channels
        self.groups = rng.choice([g for g in range(1, channels + 1) if channels % g == 0])
        self.weight = floats(rng, (channels,)) if rng.random() < 0.7 else None
        self.bias = floats(rng, (channels,)) if rng.random() < 0.7 else None
        self.eps = rng.choice([1e-5, 1e-3, 0.1])

    def write(self, tape):
        tape.ints(4, self.groups, self.channels, self.weight is not None, self.bias is not None)
        tape.double(self.eps)
        for t in (self.weight, self.bias):
            if t is not None:
                tape.floats(t)

    def expect(self, x):
        """As batch normalisation: alpha, beta and the sum are rounded once each. Where the input is off by e, its mean
        is by mean(e), and the deviation, the length of a vector, by the length of e + mean(e)."""
        double = [None if t is None else t.double() for t in (self.weight, self.bias)]
        y = torch.group_norm(x.value, self.groups, *double, self.eps, False)
        n = x.value.shape[0]
        flat = x.value.reshape(n, self.groups, -1)
        deviation = torch.sqrt(flat.var(2, unbiased=False) + self.eps)
        repeat = self.channels // self.groups

        def spread(t):
            return t.repeat_interleave(repeat, 1).view(n, self.channels, 1, 1, 1)

        off = x.error.reshape(n, self.groups, -1)
        length = torch.sqrt(((off + off.mean(2, keepdim=True)) ** 2).mean(2))
        least = spread(torch.where(length < deviation, deviation - length, torch.zeros(1).double()))  # 0: no bound
        mean, off_mean = spread(flat.mean(2)), spread(off.mean(2))
        magnitude = (x.worst() + mean.abs() + off_mean) / least
        carried = (x.error + off_mean + (x.value - mean).abs() * spread(length / deviation)) / least
        # A sum of n values in float64, here and there, is off by n roundings of the sum of their magnitudes (Higham,
        # section 4.2), which may be far more than the mean itself: of 1, -1 and zeros it is exactly 0.
        summed = (x.worst() + spread(x.worst().reshape(n, self.groups, -1).mean(2))) / least
        if self.weight is not None:
            scale = double[0].abs().view(1, -1, 1, 1, 1)
            magnitude, carried, summed = magnitude * scale, carried * scale, summed * scale
        if self.bias is not None:
            bias = double[1].abs().view(1, -1, 1, 1, 1)
            magnitude, summed = magnitude + bias, summed + bias
        lost = 16 * flat.shape[2] * U64 * summed
        return Bounded(y, gamma(3) * magnitude + carried + lost + TINY)

    def geometry(self):
        return (1, 1, 1), (0, 0, 0)

    def __str__(self):
        return "group_norm %d of %d eps %g" % (self.groups, self.channels, self.eps)


class Linear:
    def __init__(self, rng, channels, size):
        self.features = channels * size[0] * size[1] * size[2]
        self.size = size
        self.outputs = rng.choice([1, 2, 7, 10, 33, 100])
        self.weight = floats(rng, (self.outputs, self.features))
        self.bias = floats(rng, (self.outputs,)) if rng.random() < 0.6 else None

    def write(self, tape):
        tape.ints(5, self.features, self.outputs, self.bias is not None)
        tape.floats(self.weight)
        if self.bias is not None:
            tape.floats(self.bias)

    def expect(self, x):
        """Promise 1: it is a convolution."""
        flat, w = x.value.flatten(1), self.weight.double()
        b = None if self.bias is None else self.bias.double()
        magnitude = F.linear(flat.abs(), w.abs(), None if b is None else b.abs())
        n = self.features + 1
        error = (gamma(n) + 2 * n * U64) * magnitude + TINY
        shape = (x.value.shape[0], self.outputs, 1, 1, 1)
        return Bounded(F.linear(flat, w, b).view(shape), error.view(shape))

    def geometry(self):
        return (1, 1, 1), [(n - 1) / 2 for n in self.size]

    def __str__(self):
        return "linear %d->%d" % (self.features, self.outputs)


class AdaptivePool:
    def __init__(self, rng, channels, size):
        del channels
        self.average = rng.random() < 0.5
        self.input = size
        self.size = (1, 1, 1) if rng.random() < 0.3 else tuple(rng.randint(1, n + 2) for n in size)

    def write(self, tape):
        tape.ints(6, self.average, *self.size)

    def expect(self, x):
        """A maximum is exact; a mean is summed in double and rounded once."""
        if not self.average:
            return Bounded(F.adaptive_max_pool3d(x.value, self.size), F.adaptive_max_pool3d(x.error, self.size))
        y, carried = (F.adaptive_avg_pool3d(t, self.size) for t in (x.value, x.error))
        lost = 2 * x.value[0, 0].numel() * U64 * F.adaptive_avg_pool3d(x.worst(), self.size)
        return Bounded(y, carried + U * (y.abs() + carried) + lost + TINY)

    def geometry(self):
        stride = [n / s for n, s in zip(self.input, self.size)]
        return stride, [(s - 1) / 2 for s in stride]

    def __str__(self):
        return "adaptive_%s_pool3d %s" % ("avg" if self.average else "max", self.size)


class ConvTranspose:
    """torch.nn.ConvTranspose3d, with sides of padding that may differ."""

    def __init__(self, rng, channels, size):
        self.in_channels = channels
        self.groups = rng.choice([g for g in range(1, channels + 1) if channels % g == 0])
        if rng.random() < 0.5:
            self.groups = 1
        self.out_channels = self.groups * rng.choice([1, 1, 2, 3, 5])
        self.kernel = triple(rng, [1, 2, 2, 3, 3, 4, 5])
        self.stride = triple(rng, [1, 2, 2, 2, 3, 4])
        self.dilation = triple(rng, [1, 1, 1, 2, 3, 4])
        self.output = tuple(rng.choice([0, rng.randint(0, max(s, d) - 1)])
                            for s, d in zip(self.stride, self.dilation))
        self.symmetric = rng.random() < 0.6
        before, after = [], []
        for n, k, s, d, o in zip(size, self.kernel, self.stride, self.dilation, self.output):
            room = (n - 1) * s + d * (k - 1) + o
            before.append(rng.randint(0, min(room // 2, 4)))
            after.append(before[-1] if self.symmetric else rng.randint(0, min(room // 2, 4)))
        self.before, self.after = tuple(before), tuple(after)
        self.weight = floats(rng, (channels, self.out_channels // self.groups) + self.kernel)
        self.bias = floats(rng, (self.out_channels,)) if rng.random() < 0.6 else None

    def write(self, tape):
        tape.ints(7, self.in_channels, self.out_channels, self.groups, *self.kernel, *self.stride,
                  *self.dilation, *self.before, *self.after, *self.output, self.bias is not None)
        tape.floats(self.weight)
        if self.bias is not None:
            tape.floats(self.bias)

    def _apply(self, x, w, b):
        if self.symmetric:
            return F.conv_transpose3d(x, w, b, self.stride, self.before, self.output, self.groups,
                                      self.dilation)
        y = F.conv_transpose3d(x, w, None, self.stride, 0, 0, self.groups, self.dilation)
        sides = [n for a in (2, 1, 0) for n in (-self.before[a], self.output[a] - self.after[a])]
        y = F.pad(y, sides)
        return y if b is None else y + b.view(1, -1, 1, 1, 1)

    def expect(self, x):
        """Promise 1's bound, where n counts an output's own taps."""
        w = self.weight.double()
        b = None if self.bias is None else self.bias.double()
        n = self._apply(torch.ones_like(x.value), torch.ones_like(w), None) + 1
        magnitude = self._apply(x.worst(), w.abs(), None if b is None else b.abs())
        carried = self._apply(x.error, w.abs(), None)
        error = (n * U / (1 - n * U) + 2 * n * U64) * magnitude + carried + TINY
        return Bounded(self._apply(x.value, w, b), error)

    def geometry(self):
        """Output o is centred on (o + before - dilation*(kernel-1)/2)/stride."""
        origin = [(b - d * (k - 1) / 2) / s
                  for b, d, k, s in zip(self.before, self.dilation, self.kernel, self.stride)]
        return [1 / s for s in self.stride], origin

    def __str__(self):
        return "conv_transpose3d %d->%d k%s s%s d%s g%d p%s/%s op%s%s" % (
            self.in_channels, self.out_channels, self.kernel, self.stride, self.dilation,
            self.groups, self.before, self.after, self.output,
            "" if self.bias is None else " bias")


class Resize:
    """torch.nn.functional.interpolate: (mode, align_corners) and what they are called in ONNX."""

    KINDS = {("nearest", None): (0, 1, 2), ("nearest-exact", None): (0, 0, 1),
             ("trilinear", False): (1, 0, 0), ("trilinear", True): (1, 2, 0)}

    def __init__(self, rng, channels, size):
        del channels
        self.input = size
        self.kind = rng.choice(list(self.KINDS))
        self.size = self.scale = None
        if rng.random() < 0.5:
            self.size = tuple(rng.randint(1, 3 * n + 1) for n in size)
        else:
            scales = triple(rng, [2.0, 2.0, 3.0, 0.5, 1.5, 0.7, 1.1, 2.05, rng.uniform(1, 3)])
            self.scale = tuple(s if self._fits(n, s) else 2.0 for n, s in zip(size, scales))

    def _fits(self, n, scale):
        """Not where a scale is rounded to 1 or 2: there torch's nearest takes other voxels in one memory layout
        than in another."""
        out = int(n * scale)
        return out > 0 and (self.kind[0] == "trilinear" or out not in (n, 2 * n) or out == n * scale)

    def write(self, tape):
        mode, coordinates, nearest = self.KINDS[self.kind]
        tape.ints(8, mode, coordinates, nearest, *(self.size or (0, 0, 0)))
        for s in self.scale or (1.0, 1.0, 1.0):
            tape.double(s)

    def _apply(self, x):
        return F.interpolate(x, self.size, self.scale, self.kind[0], self.kind[1],
                             recompute_scale_factor=False if self.scale else None)

    def expect(self, x):
        """Nearest: the very voxel that torch takes for float32. Linear: share, product and sum are rounded
        along each axis; coordinates in double are good to a few of its last bits."""
        if self.kind[0] != "trilinear":
            size = x.value.shape[2:]
            numbers = self._apply(torch.arange(float(size.numel())).view(1, 1, *size))
            return Bounded(*(t.flatten(2)[:, :, numbers.long().flatten()].reshape(t.shape[:2] + numbers.shape[2:])
                             for t in (x.value, x.error)))
        lost = 64 * max(self.input) * U64 * float(x.worst().max())
        return Bounded(self._apply(x.value), gamma(9) * self._apply(x.worst()) + self._apply(x.error) + lost + TINY)

    def geometry(self):
        out = self.size or tuple(int(n * s) for n, s in zip(self.input, self.scale))
        stride = [n / o for n, o in zip(self.input, out)] if self.size else [1 / s for s in self.scale]
        if self.kind[1]:  # corners
            corners = [(n - 1) / (o - 1) if o > 1 and n > 1 else s for n, o, s in zip(self.input, out, stride)]
            return corners, [0.0] * 3
        return stride, [(s - 1) / 2 for s in stride]

    def __str__(self):
        return "interpolate %s size %s scale %s" % (self.kind, self.size, self.scale)


ALL = [GroupNorm, Linear, AdaptivePool, ConvTranspose, ConvTranspose, Resize, Resize]
