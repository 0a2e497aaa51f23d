#!/usr/bin/python3
"""oracle.py BUILD [--seed N] [--count N] - compares voxconv with torch, scipy and nibabel on random cases.

Layers: random Conv3d configurations in memory against torch's float64 result, within the rounding bound of
promise 1; a tenth as many chains with batch normalisation, activations and pooling; normalisation over the
volume, linear layers, adaptive pooling, transposed convolution and resizing alone. Initial weights: bit for
bit torch's. Files of torch.save: their tensors bit for bit. Commands: the same through files and the command
line. Blended patches: MONAI's sliding window. Augmented files: numpy's flip and rot90, torch's draws, nibabel's
affines. What goes into a network: numpy's statistics, nibabel's conform. Networks: random text networks with their
state_dict, or torch's initial weights, data/networks beside torch's modules, and published models.
Identity: an identity kernel over every NIfTI file that can be found. The seed is printed; the same seed gives the
same cases. The last line is
"N passed, N failed".
"""
import argparse
import os
import random
import sys
import tempfile
import time

sys.dont_write_bytecode = True
try:
    import nibabel  # noqa: F401
    import numpy  # noqa: F401
    import scipy  # noqa: F401
    import torch
except ImportError as error:
    print("SKIP: %s (Debian: python3-torch python3-scipy python3-nibabel)" % error)
    sys.exit(0)

import augment
import blend
import commands
import driver
import identity
import named
import networks
import prepare
import resample
import saved
import shipped
from layers import Activation, AnyActivation, BatchNorm, Case, Conv, Pool


class Tally:
    """Counts, and prints what failed."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, problem, what):
        if not problem:
            self.passed += 1
            return
        self.failed += 1
        if self.failed <= 40:
            print("FAILED %s\n    %s" % (what, problem), flush=True)


def generator(seed, part):
    """A generator for one part of the run, so that a part's cases do not depend on the others."""
    rng = random.Random("%d %s" % (seed, part))
    rng.torch = torch.Generator().manual_seed(rng.getrandbits(32))
    return rng


def compare(case, answer):
    """What is wrong with an answer, or None."""
    refusal, y, stride, origin = answer
    if refusal:
        return "refused, " + refusal
    if y.shape != case.expected.value.shape:
        return "shape %s, torch has %s" % (tuple(y.shape), tuple(case.expected.value.shape))
    if list(stride) != case.stride or list(origin) != case.origin:
        return "geometry %s %s, should be %s %s" % (stride, origin, case.stride, case.origin)
    count, excess = case.expected.outside(y)
    if count:
        return "%d of %d values outside the bound, by up to %.3g times" % (count, y.numel(), excess)
    return None


def layers(tally, build, scratch, rng, count, kinds):
    """Runs `count` cases in one process of the driver; kinds(rng) gives a case's layers."""
    cases = [Case(rng, kinds(rng)) for _ in range(count)]
    tape = driver.Cases(os.path.join(scratch, "cases"))
    for case in cases:
        tape.chain(case)
    tape.file.close()
    results = driver.run(build, tape.file.name, os.path.join(scratch, "results"))
    for case in cases:
        tally.check(compare(case, results.chain(case.x.shape[0])), case)


def chain_kinds(rng):
    """The block of the tutorials with parts left out, or one of its layers alone."""
    if rng.random() < 0.4:
        return [rng.choice([BatchNorm, AnyActivation, AnyActivation, Pool, Pool])]
    kinds = [kind for kind in (Conv, BatchNorm, Activation, Pool) if rng.random() < 0.75]
    return kinds if len(kinds) > 1 else [Conv, BatchNorm, Activation, Pool]


def torch_init(scheme, seed, shape):
    """Weight and bias as torch makes them. Weight's shape does not tell in_channels from groups, and neither
    does torch's arithmetic: fan_in is weight.size(1) times the taps."""
    torch.manual_seed(seed)
    if scheme == "torch":
        layer = torch.nn.Conv3d(shape[1], shape[0], tuple(shape[2:]))
        return layer.weight.detach(), layer.bias.detach()
    weight = torch.empty(shape)
    {"kaiming_uniform": torch.nn.init.kaiming_uniform_,
     "kaiming_normal": torch.nn.init.kaiming_normal_}[scheme](weight)
    return weight, torch.zeros(shape[0])


def initial_weights(tally, build, scratch, rng, count):
    """Bit for bit for what is promised so. kaiming_normal goes through log and cosine, whose last bits are
    libm's, and is compared to a few of them."""
    wanted = []
    for scheme in ("torch", "kaiming_uniform", "kaiming_normal"):
        for i in range(count):
            shape = (rng.choice([1, 2, 3, 8, 16]), rng.choice([1, 2, 4, 7]),
                     rng.choice([1, 2, 3, 5]), rng.choice([1, 3, 4]), rng.choice([1, 2, 3, 7]))
            wanted.append((scheme, [0, 1, 2 ** 32 - 1][i] if i < 3 else rng.getrandbits(32), shape))
    tape = driver.Cases(os.path.join(scratch, "cases"))
    for item in wanted:
        tape.init(*item)
    tape.file.close()
    results = driver.run(build, tape.file.name, os.path.join(scratch, "results"))
    for scheme, seed, shape in wanted:
        refusal, weight, bias = results.init(shape)
        problem = refusal
        if not refusal:
            w, b = torch_init(scheme, seed, shape)
            if scheme == "kaiming_normal":
                same = bool(((weight - w).abs() <= 8 * 2.0 ** -24 * w.abs()).all()) and torch.equal(bias, b)
            else:
                same = torch.equal(weight, w) and torch.equal(bias, b)
            problem = None if same else "differs from torch's"
        tally.check(problem, "init %s seed %d shape %s" % (scheme, seed, shape))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--count", type=int, default=4000, help="Conv3d configurations")
    parser.add_argument("--only", default="", help="only the parts whose name contains this")
    options = parser.parse_args()
    seed = random.SystemRandom().getrandbits(32) if options.seed is None else options.seed
    count = options.count
    build = os.path.abspath(options.build)
    torch.set_num_threads(2)
    print("oracle: seed %d, torch %s" % (seed, torch.__version__), flush=True)

    tally, start = Tally(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="voxconv-oracle-") as scratch:
        parts = [
            ("Conv3d configurations", lambda rng: layers(
                tally, build, scratch, rng, count, lambda _: [Conv])),
            ("chains with batch normalisation, activation, pooling", lambda rng: layers(
                tally, build, scratch, rng, max(count // 5, 1), chain_kinds)),
            ("normalisation over volumes, linear, adaptive pooling, transposed convolution, resizing",
             lambda rng: layers(tally, build, scratch, rng, max(count // 4, 1),
                                lambda rng: [rng.choice(resample.ALL)])),
            ("initial weights", lambda rng: initial_weights(
                tally, build, scratch, rng, max(count // 100, 1))),
            ("named kernels against scipy.ndimage", lambda rng: named.run(
                tally, build, scratch, rng)),
            ("command lines with files", lambda rng: commands.run(
                tally, build, scratch, rng, max(count // 20, 1))),
            ("blended patches against MONAI's definition", lambda rng: blend.run(
                tally, build, scratch, rng, max(count // 20, 1))),
            ("augmented files against torch, numpy and nibabel", lambda rng: augment.run(
                tally, build, scratch, rng, max(count // 20, 1))),
            ("files of torch.save", lambda rng: saved.run(
                tally, build, scratch, rng, max(count // 20, 1))),
            ("text networks", lambda rng: networks.run(
                tally, build, scratch, rng, max(count // 10, 1))),
            ("initial networks", lambda rng: networks.run_initial(
                tally, build, scratch, rng, max(count // 20, 1))),
            ("data/networks", lambda rng: shipped.run(tally, build, scratch, rng)),
            ("what goes into a network against numpy and nibabel", lambda rng: prepare.run(
                tally, build, scratch, rng, max(count // 20, 1))),
            ("brainchop's models", lambda rng: networks.run_brainchop(tally, build, scratch)),
            ("identity over NIfTI files", lambda rng: identity.run(tally, build, scratch)),
        ]
        for name, part in parts:
            if options.only not in name:
                continue
            before = (tally.passed, tally.failed)
            part(generator(seed, name))
            print("%6.1f s  %s: %d passed, %d failed" % (
                time.monotonic() - start, name, tally.passed - before[0],
                tally.failed - before[1]), flush=True)
    print("%d passed, %d failed" % (tally.passed, tally.failed))
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
