"""Random layers within torch's rules: what is given to voxconv, and what torch makes of it."""
import torch

from bounded import MODES, Bounded

# In the order of vox_activation.
ACTIVATIONS = ["relu", "leaky_relu", "elu", "selu", "gelu", "gelu_tanh", "sigmoid", "hardsigmoid", "hardswish",
               "silu", "tanh", "softplus", "mish", "softsign", "clip", "erf", "exp", "log", "sqrt", "abs", "neg",
               "reciprocal", "softmax", "log_softmax"]
# Without a steepest slope: what an error of their input becomes depends on where it is.
STEEP = ["exp", "log", "sqrt", "reciprocal"]
SELU = (1.6732632423543772848170429916717, 1.0507009873554804934193349852946)


def triple(rng, choices):
    """Three values: all equal in half of the cases, as people mostly use them."""
    if rng.random() < 0.5:
        return (rng.choice(choices),) * 3
    return tuple(rng.choice(choices) for _ in range(3))


def floats(rng, shape):
    """float32 data of a random scale, at times whole numbers, at times with many zeros."""
    x = torch.randn(shape, generator=rng.torch) * 10.0 ** rng.uniform(-3, 3)
    kind = rng.random()
    if kind < 0.2:
        x = x.round()
    elif kind < 0.3:
        x = x * (torch.rand(shape, generator=rng.torch) < 0.3)
    return x.float()


class Conv:
    """torch.nn.Conv3d, with sides of padding that may differ and Keras's 'same' on top."""

    def __init__(self, rng, channels, size):
        self.in_channels = channels
        self.groups = rng.choice([g for g in range(1, channels + 1) if channels % g == 0])
        if rng.random() < 0.5:
            self.groups = 1
        self.out_channels = self.groups * rng.choice([1, 1, 2, 3, 5])
        self.kernel = triple(rng, [1, 2, 3, 3, 3, 4, 5])
        self.stride = triple(rng, [1, 1, 1, 2, 3])
        self.dilation = triple(rng, [1, 1, 1, 2, 3])
        self.mode = rng.choice(MODES)
        self.padding = rng.choice(["explicit"] * 6 + ["same", "valid", "same_upper"])
        if self.padding == "same":
            self.stride = (1, 1, 1)
        self.symmetric = rng.random() < 0.75
        self._shrink(size)
        self._pad(rng, size)
        self.weight = floats(rng, (self.out_channels, channels // self.groups) + self.kernel)
        self.bias = floats(rng, (self.out_channels,)) if rng.random() < 0.6 else None

    def _limit(self, n):
        return {"zeros": 4, "reflect": min(n - 1, 4), "replicate": 4, "circular": min(n, 4)}[self.mode]

    def _shrink(self, size):
        """Shortens what cannot fit: at most the input and its largest padding on both sides; a padding that
        follows from the kernel has to respect the mode's limit by itself."""
        kernel, dilation = list(self.kernel), list(self.dilation)
        for a, n in enumerate(size):
            room = n if self.padding == "valid" else n + 2 * self._limit(n)
            if self.padding in ("same", "same_upper"):
                # The larger side is at most (total + 1) / 2 with total <= d*(k-1).
                room = 1 + (64 if self.mode in ("zeros", "replicate") else 2 * self._limit(n) - 1)
            while dilation[a] * (kernel[a] - 1) + 1 > max(room, 1):
                if dilation[a] > 1:
                    dilation[a] -= 1
                else:
                    kernel[a] -= 1
        self.kernel, self.dilation = tuple(kernel), tuple(dilation)

    def _pad(self, rng, size):
        before, after = [], []
        for a, n in enumerate(size):
            reach = self.dilation[a] * (self.kernel[a] - 1)
            if self.padding == "explicit":
                least = max(reach + 1 - n, 0)
                b = rng.randint(min((least + 1) // 2, self._limit(n)), self._limit(n))
                e = b if self.symmetric else rng.randint(max(least - b, 0), self._limit(n))
            else:
                total = {"valid": 0, "same": reach}.get(self.padding)
                if total is None:
                    total = max((-(-n // self.stride[a]) - 1) * self.stride[a] + reach + 1 - n, 0)
                b, e = total // 2, total - total // 2
            before.append(b)
            after.append(e)
        self.before, self.after = tuple(before), tuple(after)

    def expect(self, x):
        return x.conv(self.weight, self.bias, self.stride, self.dilation, self.before, self.after,
                      self.mode, self.groups)

    def geometry(self):
        """Output o is centred on input o*stride + origin."""
        origin = [d * (k - 1) / 2 - b for d, k, b in zip(self.dilation, self.kernel, self.before)]
        return self.stride, origin

    def __str__(self):
        return "conv3d %d->%d k%s s%s d%s g%d %s %s/%s %s%s" % (
            self.in_channels, self.out_channels, self.kernel, self.stride, self.dilation,
            self.groups, self.padding, self.before, self.after, self.mode,
            "" if self.bias is None else " bias")


class BatchNorm:
    def __init__(self, rng, channels, size):
        del size
        self.mean = floats(rng, (channels,))
        self.var = (torch.rand((channels,), generator=rng.torch) * 10.0 ** rng.uniform(-3, 3)).float()
        self.weight = floats(rng, (channels,)) if rng.random() < 0.7 else None
        self.bias = floats(rng, (channels,)) if rng.random() < 0.7 else None
        self.eps = rng.choice([1e-5, 1e-3, 0.1])

    def expect(self, x, folded=False):
        return x.batchnorm(self.mean, self.var, self.weight, self.bias, self.eps, folded)

    def geometry(self):
        return (1, 1, 1), (0, 0, 0)

    def __str__(self):
        return "batchnorm3d eps %g%s%s" % (self.eps, "" if self.weight is None else " weight",
                                           "" if self.bias is None else " bias")


class Activation:
    kinds = [kind for kind in ACTIVATIONS if kind not in STEEP]

    def __init__(self, rng, channels, size):
        del channels, size
        self.kind = rng.choice(self.kinds)
        # Halves and quarters: the same number in float32, so that the test is of the function. softplus's
        # threshold is where both of its branches are the same in float32.
        some = rng.choice([0.25, 0.5, 1.5])
        self.parameter = {
            "leaky_relu": (some,), "elu": (some,), "selu": SELU, "hardsigmoid": (1 / 6, 0.5),
            "softplus": (rng.choice([0.5, 1.0, 2.0]), 20.0), "clip": (-some, 6.0),
        }.get(self.kind, ())

    def expect(self, x):
        return x.activation(self.kind, self.parameter)

    def geometry(self):
        return (1, 1, 1), (0, 0, 0)

    def __str__(self):
        return "%s %s" % (self.kind, self.parameter)


class AnyActivation(Activation):
    """Of exact input."""
    kinds = ACTIVATIONS


class Pool:
    def __init__(self, rng, channels, size):
        del channels
        self.average = rng.random() < 0.5
        self.kernel = tuple(min(k, n) for k, n in zip(triple(rng, [1, 2, 2, 3, 4]), size))
        self.stride = triple(rng, [1, 2, 2, 3])
        self.dilation = (1, 1, 1)
        if not self.average and rng.random() < 0.3:
            self.dilation = tuple(rng.choice([1, 2]) if 2 * (k - 1) + 1 <= n else 1
                                  for k, n in zip(self.kernel, size))
        self.padding = tuple(rng.randint(0, k // 2) for k in self.kernel)
        self.ceil_mode = rng.random() < 0.5
        self.include = rng.random() < 0.5

    def expect(self, x):
        if self.average:
            return x.avg_pool(self.kernel, self.stride, self.padding, self.ceil_mode, self.include)
        return x.max_pool(self.kernel, self.stride, self.padding, self.dilation, self.ceil_mode)

    def geometry(self):
        origin = [d * (k - 1) / 2 - p for d, k, p in zip(self.dilation, self.kernel, self.padding)]
        return self.stride, origin

    def __str__(self):
        return "%s_pool3d k%s s%s p%s d%s%s%s" % (
            "avg" if self.average else "max", self.kernel, self.stride, self.padding, self.dilation,
            " ceil" if self.ceil_mode else "", " include_pad" if self.include else "")


class Case:
    """An input and the layers that it goes through."""

    def __init__(self, rng, kinds):
        channels = rng.choice([1, 1, 1, 2, 3, 4, 6, 8])
        size = tuple(rng.choice([1, 2, 3, 4, 5, 6, 7, 8, 11, 13, 17, 33 if channels < 3 else 9])
                     for _ in range(3))
        self.x = floats(rng, (rng.choice([1, 1, 1, 2]), channels) + size)
        self.layers = []
        state = Bounded(self.x)
        self.stride, self.origin = [1.0] * 3, [0.0] * 3
        for kind in kinds:
            layer = kind(rng, state.value.shape[1], tuple(state.value.shape[2:]))
            state = layer.expect(state)
            self.layers.append(layer)
            for a in range(3):
                stride, origin = layer.geometry()
                self.origin[a] += self.stride[a] * origin[a]
                self.stride[a] *= stride[a]
        self.expected = state

    def __str__(self):
        return "input %s: %s" % (tuple(self.x.shape), "; ".join(map(str, self.layers)))
