"""Files of torch.save with random modules and views, read bit for bit as torch's own .float() has them."""
import os
import struct
import subprocess

import torch
from torch import nn

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.uint8, torch.int8, torch.int16,
          torch.int32, torch.int64, torch.bool]


def module(rng):
    """A few layers, in one of the precisions that people save."""
    layers = []
    for _ in range(rng.randint(1, 4)):
        channels = rng.randint(1, 4)
        layers.append(rng.choice([
            lambda: nn.Conv3d(channels, rng.randint(1, 5), rng.randint(1, 3), bias=rng.random() < 0.7),
            lambda: nn.ConvTranspose3d(channels, rng.randint(1, 3), 2),
            lambda: nn.BatchNorm3d(channels),
            lambda: nn.PReLU(channels)])())
    made = nn.Sequential(*layers)
    if rng.random() < 0.3:
        made = nn.ModuleDict({"encoder": made, "decoder": nn.Conv3d(1, 1, 3)})
    return made.to(rng.choice([torch.float32, torch.float64, torch.float16, torch.bfloat16]))


def view(rng):
    """A part of a tensor of any type, with strides of its own, that it shares with others or not."""
    shape = [rng.randint(1, 4) for _ in range(rng.randint(0, 4))]
    base = torch.randn(shape, generator=rng.torch, dtype=torch.float64) * 50
    base = base.to(rng.choice(DTYPES))
    for _ in range(rng.randint(0, 3)):
        if base.dim() == 0:
            base = base.expand(rng.randint(0, 3), 2)
            continue
        axis = rng.randrange(base.dim())
        base = rng.choice([
            lambda: base.transpose(axis, rng.randrange(base.dim())),
            lambda: base.narrow(axis, start := rng.randint(0, base.size(axis)), base.size(axis) - start),
            lambda: base[(slice(None),) * axis + (slice(None, None, 2),)],
            lambda: base.select(axis, rng.randrange(base.size(axis))) if base.size(axis) else base,
            lambda: base.unsqueeze(axis)])()
    return nn.Parameter(base) if base.is_floating_point() and rng.random() < 0.3 else base


def value(rng):
    """What is saved, and its tensors by name."""
    state = dict(module(rng).state_dict())
    extra = {"v%d" % i: view(rng) for i in range(rng.randint(0, 8))}
    if extra and rng.random() < 0.5:
        extra["shared"] = rng.choice(list(extra.values())).detach()[None]
    kind = rng.random()
    if kind < 0.4:
        return {**state, **extra}, {**state, **extra}
    saved = {"epoch": rng.randint(-5, 10 ** 12), "loss": rng.random(), "note": "größe", "none": None,
             "state_dict": state, "more": [3, (True, extra)]}
    names = {"state_dict." + k: t for k, t in state.items()}
    names.update(("more.1.1." + k, t) for k, t in extra.items())
    return saved, names


def read(path):
    """What tests/tools/damage_driver.c wrote: {name: (shape, bytes)}, or its message."""
    with open(path, "rb") as f:
        def number():
            return struct.unpack("=q", f.read(8))[0]

        def text():
            return f.read(number())

        if number():
            return text().decode()
        found = {}
        for _ in range(number()):
            name = text().decode()
            shape = [number() for _ in range(number())]
            found[name] = shape, text()
        return found


def compare(found, expected):
    if isinstance(found, str):
        return "refused, " + found
    if set(found) != set(expected):
        return "names %s instead of %s" % (sorted(found), sorted(expected))
    for name, tensor in expected.items():
        shape, raw = found[name]
        want = tensor.detach().float().contiguous()
        if shape != list(want.shape):
            return "%s: shape %s, torch has %s" % (name, shape, list(want.shape))
        if raw != want.numpy().astype("<f4").tobytes():
            return "%s: %s of strides %s differs" % (name, tensor.dtype, tensor.stride())
    return None


def run(tally, build, scratch, rng, count):
    torch.manual_seed(rng.getrandbits(32))
    stem = os.path.join(scratch, "saved")
    for i in range(count):
        saved, expected = value(rng)
        protocol = rng.randint(2, 5)
        torch.save(saved, stem + ".pt", pickle_protocol=protocol)
        with open(stem + ".pt", "rb") as f:
            data = f.read()
        with open(stem + ".cases", "wb") as f:
            f.write(struct.pack("=q", len(data)) + data)
        subprocess.run([os.path.join(build, "damage_driver"), "weights", stem + ".cases", stem + ".results",
                        stem + "_read.pt"], check=True)
        tally.check(compare(read(stem + ".results"), expected), "torch.save %d, protocol %d" % (i, protocol))
