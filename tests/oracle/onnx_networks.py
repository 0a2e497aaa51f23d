"""onnx_networks.py BUILD [--seed N] [--count N] [--only NAME] [--keep DIR] - random small networks, exported by
torch.onnx, through `voxconv run` and through torch: the largest difference must be at most 1e-4 of the range of
torch's output. Chains of every layer, residual blocks, small U-Nets, classifiers; random opsets, weights folded by
the exporter or not, sizes left open or not.
"""
import argparse
import os
import random
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

warnings.filterwarnings("ignore")
LIMIT = 1e-4
OPSETS = [9, 10, 11, 12, 13, 14, 15, 16]


class Lambda(nn.Module):
    """A function as a module."""

    def __init__(self, name, function):
        super().__init__()
        self.name, self.function = name, function

    def forward(self, x):
        return self.function(x)

    def extra_repr(self):
        return self.name


class Shuffle(nn.Module):
    """PixelShuffle in three dimensions."""

    def __init__(self, r):
        super().__init__()
        self.r = r

    def forward(self, x):
        n, c, d, h, w = x.shape
        r0, r1, r2 = self.r
        x = x.reshape(n, c // (r0 * r1 * r2), r0, r1, r2, d, h, w)
        return x.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(n, -1, d * r0, h * r1, w * r2)


class ChannelsLast(nn.Module):
    """LayerNorm and Linear over the channels, as ConvNeXt has them."""

    def __init__(self, c, out):
        super().__init__()
        # Of one channel nothing but rounding would be left; two become -1 and 1, and little else.
        self.norm, self.linear = nn.LayerNorm(c) if c > 2 else nn.Identity(), nn.Linear(c, out)

    def forward(self, x):
        x = x.permute(0, 2, 3, 4, 1)
        return self.linear(self.norm(x)).permute(0, 4, 1, 2, 3)


class Attention(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, c, mean):
        super().__init__()
        self.mean = mean
        self.squeeze, self.excite = nn.Conv3d(c, max(c // 2, 1), 1), nn.Conv3d(max(c // 2, 1), c, 1)

    def forward(self, x):
        s = x.mean((2, 3, 4), keepdim=True) if self.mean else F.adaptive_avg_pool3d(x, 1)
        return x * torch.sigmoid(self.excite(F.relu(self.squeeze(s))))


class Residual(nn.Module):
    def __init__(self, rng, c, out):
        super().__init__()
        self.body = nn.Sequential(nn.Conv3d(c, out, 3, padding=1), norm(rng, out), activation(rng, out),
                                  nn.Conv3d(out, out, 3, padding=1))
        self.short = nn.Identity() if c == out else nn.Conv3d(c, out, 1)
        self.after = activation(rng, out)

    def forward(self, x):
        return self.after(self.body(x) + self.short(x))


class Dense(nn.Module):
    """Channels behind each other, some of them taken out again."""

    def __init__(self, c, grow):
        super().__init__()
        self.a, self.b = nn.Conv3d(c, grow, 3, padding=1), nn.Conv3d(c + grow, grow, 1)

    def forward(self, x):
        y = torch.cat([x, F.relu(self.a(x))], 1)
        first, second = torch.split(self.b(y), [1, self.b.out_channels - 1], 1)
        return torch.cat([y, first * 0.5, second - 1.5], 1)[:, 1:]


class UNet(nn.Module):
    def __init__(self, rng, c, out):
        super().__init__()
        widths = [rng.choice([3, 4]), rng.choice([4, 6]), 8][:rng.choice([2, 3])]
        self.down, self.up, self.merge = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        self.strided, self.transposed = rng.random() < 0.5, rng.random() < 0.6
        self.mode = rng.choice(["nearest", "trilinear"])
        self.corners = rng.choice([True, False]) if self.mode == "trilinear" else None
        for i, width in enumerate(widths):
            stride = 2 if i and self.strided else 1
            self.down.append(nn.Sequential(nn.Conv3d(c, width, 3, stride, 1), norm(rng, width), activation(rng, width)))
            c = width
        for width in widths[-2::-1]:
            if self.transposed:
                self.up.append(nn.ConvTranspose3d(c, width, 2, 2))
            else:
                self.up.append(nn.Conv3d(c, width, 1))
            self.merge.append(nn.Sequential(nn.Conv3d(2 * width, width, 3, padding=1), activation(rng, width)))
            c = width
        self.last = nn.Conv3d(c, out, 1)

    def forward(self, x):
        kept = []
        for i, block in enumerate(self.down):
            if i and not self.strided:
                x = F.max_pool3d(x, 2)
            x = block(x)
            kept.append(x)
        for up, merge, skip in zip(self.up, self.merge, kept[-2::-1]):
            if self.transposed:
                x = up(x)
            else:
                x = F.interpolate(up(x), size=skip.shape[2:], mode=self.mode, align_corners=self.corners)
            x = merge(torch.cat([skip, x], 1))
        return self.last(x)


class Classifier(nn.Module):
    def __init__(self, rng, c, size):
        super().__init__()
        self.pool, self.way = rng.choice([1, 2]), rng.choice(["flatten", "view", "mean", "max"])
        features = c if self.way in ("mean", "max") else c * self.pool ** 3
        self.head = nn.Sequential(nn.Linear(features, 7), rng.choice([nn.ReLU(), nn.Dropout(0.5), nn.Tanh()]),
                                  nn.Linear(7, 3, bias=rng.random() < 0.5))
        self.softmax = rng.random() < 0.5
        self.step = [n // self.pool for n in size]

    def forward(self, x):
        if self.way == "mean":
            x = x.mean((2, 3, 4))
        elif self.way == "max":
            x = torch.amax(x, (2, 3, 4))
        else:
            x = F.avg_pool3d(x, self.step, self.step)[:, :, :self.pool, :self.pool, :self.pool]
            x = torch.flatten(x, 1) if self.way == "flatten" else x.reshape(x.size(0), -1)
        x = self.head(x)
        return F.softmax(x, 1) if self.softmax else x


ACTIVATIONS = [
    lambda r, c: nn.ReLU(), lambda r, c: nn.LeakyReLU(r.uniform(0, 0.3)), lambda r, c: nn.PReLU(r.choice([1, c])),
    lambda r, c: nn.ELU(r.uniform(0.5, 1.5)), lambda r, c: nn.SELU(), lambda r, c: nn.GELU(),
    lambda r, c: nn.GELU("tanh"), lambda r, c: nn.Sigmoid(), lambda r, c: nn.Hardsigmoid(),
    lambda r, c: nn.Hardswish(), lambda r, c: nn.Tanh(), lambda r, c: nn.Softplus(), lambda r, c: nn.Mish(),
    lambda r, c: nn.SiLU(), lambda r, c: nn.ReLU6(), lambda r, c: nn.Softsign(), lambda r, c: nn.Hardtanh(-0.7, 1.3),
    lambda r, c: nn.Softmax(1), lambda r, c: nn.LogSoftmax(1), lambda r, c: nn.CELU(r.uniform(0.5, 1.5))]


def activation(rng, c):
    return rng.choice(ACTIVATIONS)(rng, c)


def randomize(module, rng):
    """Statistics and scales that are not 0 and 1."""
    for p in list(module.parameters()) + list(module.buffers()):
        if p.dtype == torch.float32 and p.dim() == 1:
            with torch.no_grad():
                p.copy_(torch.rand(p.shape, generator=rng.torch) + 0.5)
    return module


def norm(rng, c):
    groups = rng.choice([g for g in range(1, c + 1) if c % g == 0])
    make = rng.choice([lambda: nn.BatchNorm3d(c), lambda: nn.BatchNorm3d(c, affine=False),
                       lambda: nn.InstanceNorm3d(c), lambda: nn.InstanceNorm3d(c, affine=True),
                       lambda: nn.GroupNorm(groups, c)])
    return randomize(make(), rng)


def triple(rng, choices):
    return tuple(rng.choice(choices) for _ in range(3))


def convolution(rng, c, size):
    groups = rng.choice([1, 1] + [g for g in range(1, c + 1) if c % g == 0])
    out = groups * rng.choice([1, 2, 3])
    kernel = tuple(min(k, n) for k, n in zip(triple(rng, [1, 2, 3, 3]), size))
    return nn.Conv3d(c, out, kernel, triple(rng, [1, 1, 2]), triple(rng, [0, 1, 2]), groups=groups,
                     dilation=tuple(rng.choice([1, 2]) if n > 4 else 1 for n in size), bias=rng.random() < 0.7,
                     padding_mode=rng.choice(["zeros", "zeros", "replicate"]))


def transposed(rng, c, size):
    groups = rng.choice([1, 1] + [g for g in range(1, c + 1) if c % g == 0])
    stride = triple(rng, [1, 2])
    return nn.ConvTranspose3d(c, groups * rng.choice([1, 2]), triple(rng, [2, 3]), stride, triple(rng, [0, 1]),
                              tuple(rng.choice([0, s - 1]) for s in stride), groups, rng.random() < 0.7)


def pool(rng, c, size):
    kernel = tuple(rng.choice([k for k in (1, 2, 3) if k <= n]) for n in size)
    padding = tuple(rng.choice([0, k // 2]) for k in kernel)
    stride = rng.choice([None, triple(rng, [1, 2])])
    # Not ceil_mode for the average: the divisor of its last window is torch's own.
    if rng.random() < 0.5:
        return nn.AvgPool3d(kernel, stride, padding, False, rng.random() < 0.5)
    return nn.MaxPool3d(kernel, stride, padding, 1, False, rng.random() < 0.3)


def resize(rng, c, size):
    mode = rng.choice(["nearest", "trilinear"])
    corners = rng.choice([True, False]) if mode == "trilinear" else None
    if rng.random() < 0.5:
        return nn.Upsample(scale_factor=rng.choice([2.0, 1.5, 0.5, 3.0]), mode=mode, align_corners=corners)
    return nn.Upsample(size=tuple(n + rng.choice([0, 1, n]) for n in size), mode=mode, align_corners=corners)


def arithmetic(rng, c, size):
    k = torch.rand((1, c, 1, 1, 1), generator=rng.torch) + 0.5
    name, function = rng.choice([
        ("x*k+1", lambda x: x * k + 1), ("2-x", lambda x: 2 - x), ("x/k", lambda x: x / k),
        ("1/(1+x^2)", lambda x: 1 / (1 + x ** 2)), ("sqrt(|x|+1)", lambda x: torch.sqrt(torch.abs(x) + 1)),
        ("(|x|+1)^0.5", lambda x: (torch.abs(x) + 1) ** 0.5), ("x^3", lambda x: x ** 3),
        ("clamp", lambda x: torch.clamp(x, -0.4, 0.8)), ("clamp_min", lambda x: torch.clamp(x, min=-0.1)),
        ("x-mean", lambda x: x - x.mean((2, 3, 4), keepdim=True)), ("exp(-|x|)", lambda x: torch.exp(-torch.abs(x))),
        ("log(1+x^2)", lambda x: torch.log(1 + x * x)), ("erf", lambda x: torch.erf(x)),
        ("x*mask", lambda x: x * x.mean(1, keepdim=True)), ("x-max", lambda x: x - torch.amax(x, (2, 3, 4), True)),
        ("sum", lambda x: x + x.sum(1, keepdim=True)), ("-x", lambda x: -x)])
    return Lambda(name, function)


def parts(rng, c, size):
    d, h, w = size
    name, function = rng.choice([
        ("crop", lambda x: x[:, :, d // 4:, : h - h // 4, ::2]), ("channels", lambda x: x[:, c // 2:]),
        ("one", lambda x: x[:, 0:1]), ("pad", lambda x: F.pad(x, (1, 2, 0, 1, 2, 0), value=0.3)),
        ("replicate", lambda x: F.pad(x, (1, 2, 0, 1, 2, 0), mode="replicate")),
        ("negative", lambda x: F.pad(x, (-1, 1, 0, 0, 1, 0)) if w > 2 else x),
        ("select", lambda x: x[:, c - 1].unsqueeze(1)),
        ("stack", lambda x: torch.cat([x, x * 2, F.relu(x)], 1)),
        ("there and back", lambda x: x.permute(0, 2, 3, 4, 1).contiguous().permute(0, 4, 1, 2, 3)),
        ("flat and back", lambda x: x.view(x.size(0), x.size(1), -1).view(x.shape))])
    return Lambda(name, function)


def layer_norm(rng, c, size):
    return randomize(nn.LayerNorm((c,) + tuple(size), elementwise_affine=False), rng)


def shuffle(rng, c, size):
    r = triple(rng, [1, 2])
    return nn.Sequential(nn.Conv3d(c, 2 * r[0] * r[1] * r[2], 1), Shuffle(r))


LAYERS = {
    "conv": convolution, "transposed": transposed, "pool": pool, "resize": resize, "arithmetic": arithmetic,
    "parts": parts, "layer_norm": layer_norm, "shuffle": shuffle,
    "norm": lambda r, c, s: norm(r, c), "activation": lambda r, c, s: activation(r, c),
    "attention": lambda r, c, s: Attention(c, r.random() < 0.5), "residual": lambda r, c, s: Residual(r, c, r.choice([c, 3])),
    "dense": lambda r, c, s: Dense(c, r.choice([2, 3])), "channels_last": lambda r, c, s: ChannelsLast(c, r.choice([1, 2, 4])),
    "argmax": lambda r, c, s: Lambda("argmax", lambda x: torch.argmax(x, 1, keepdim=True).float()),
    "dropout": lambda r, c, s: nn.Dropout3d(0.3), "adaptive": lambda r, c, s: nn.AdaptiveAvgPool3d(1)}


def chain(rng, c, size, only):
    """Layers behind each other, as long as something is left to look at."""
    layers, x = [], torch.zeros((1, c) + tuple(size))
    for _ in range(rng.randint(1, 6)):
        name = only if only in LAYERS else rng.choice(list(LAYERS))
        if name in ("adaptive", "argmax") and rng.random() < 0.7:  # little is left behind them
            continue
        layer = LAYERS[name](rng, x.shape[1], x.shape[2:]).eval()
        try:
            with torch.no_grad():
                y = layer(x)
        except (RuntimeError, ValueError):  # larger than what is left
            continue
        if 0 < y.numel() < 200000:
            layers.append(layer)
            x = y
    return nn.Sequential(*layers) if layers else nn.Sequential(nn.ReLU())


def network(rng, c, size, kind):
    if kind == "unet":
        return UNet(rng, c, rng.choice([1, 3]))
    if kind == "residuals":
        return nn.Sequential(Residual(rng, c, 4), Residual(rng, 4, 4), Residual(rng, 4, 2))
    if kind == "classifier":
        return nn.Sequential(nn.Conv3d(c, 4, 3, padding=1), norm(rng, 4), activation(rng, 4), Classifier(rng, 4, size))
    return chain(rng, c, size, kind)


def run(rng, options, number):
    c = rng.choice([1, 2, 3, 4])
    batch = rng.choice([1, 1, 2])
    size = [rng.choice([4, 6, 8, 9, 12]) for _ in range(3)]
    kind = options.only or rng.choice(["chain"] * 4 + ["unet", "classifier", "residuals"])
    if kind == "unet":  # two halvings
        size = [rng.choice([8, 12]) for _ in range(3)]
    model = network(rng, c, size, kind).eval()
    x = torch.randn((batch, c) + tuple(size), generator=rng.torch)
    # Before opset 11 nothing says where torch's trilinear interpolation takes its samples.
    linear = any(getattr(m, "mode", None) == "trilinear" for m in model.modules())
    opset = rng.choice([o for o in OPSETS if o > 10 or not linear])
    folder = options.keep or options.folder
    paths = [os.path.join(folder, "%d.%s" % (number, e)) for e in ("onnx", "x.npy", "y.npy")]
    axes = {"x": {0: "n", 2: "d", 3: "h", 4: "w"}} if rng.random() < 0.3 else None
    if axes:
        x = x[:1]
    with torch.no_grad():
        want = model(x).numpy()
        try:
            torch.onnx.export(model, x, paths[0], opset_version=opset, input_names=["x"], dynamic_axes=axes,
                              do_constant_folding=rng.random() < 0.7,
                              keep_initializers_as_inputs=rng.random() < 0.3)
        except Exception as e:  # an operator that this opset lacks
            return "skip", str(e).split("\n")[0]
    np.save(paths[1], x.numpy())
    done = subprocess.run([os.path.join(options.build, "voxconv"), "run", *paths[:2], "-q", "-f", "-o", paths[2]],
                          capture_output=True, text=True)
    what = "%d: opset %d, %s: %s" % (number, opset, tuple(x.shape), " ".join(str(model).split()))
    if done.returncode:
        return "fail", "%s\n    %s" % (what, done.stderr.strip() or "status %d" % done.returncode)
    got = np.load(paths[2])
    if got.shape != want.shape:
        return "fail", "%s\n    shape %s instead of %s" % (what, got.shape, want.shape)
    scale = max(float(want.max() - want.min()), float(np.abs(want).max()), 1e-30)
    if scale < 1e-5:  # of inputs around 1 that is nothing but rounding: the mean behind a normalisation, say
        return "skip", what
    error = float(np.abs(got - want).max()) / scale
    if not error <= LIMIT:
        return "fail", "%s\n    differs by %g of its range" % (what, error)
    return "pass", error


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--only")
    parser.add_argument("--keep")
    options = parser.parse_args()
    torch.set_num_threads(1)
    passed, failed, skipped, largest = 0, 0, 0, 0.0
    with tempfile.TemporaryDirectory() as options.folder:
        number = 0
        while passed + failed < options.count and skipped < options.count:
            rng = random.Random("%d %d" % (options.seed, number))
            rng.torch = torch.Generator().manual_seed(rng.getrandbits(31))
            torch.manual_seed(rng.getrandbits(31))
            verdict, text = run(rng, options, number)
            number += 1
            if verdict == "pass":
                passed += 1
                largest = max(largest, text)
            elif verdict == "skip":
                skipped += 1
            else:
                failed += 1
                print("onnx_networks: " + text, flush=True)
    print("onnx_networks: seed %d: largest difference %.2g of an output's range; %d could not be compared" %
          (options.seed, largest, skipped))
    print("onnx_networks: %d passed, %d failed" % (passed, failed))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
