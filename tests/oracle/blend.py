"""Blended patches through the command line against MONAI's sliding_window_inference, written out in numpy.

The definition: https://docs.monai.io/en/stable/inferers.html and monai/inferers/utils.py, monai/data/utils.py
(dense_patch_slices, compute_importance_map): pad a volume that is smaller than the patch with zeros, slide, weigh,
add, divide, crop. Float64 throughout, whole arrays, no streaming.
"""
import itertools
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import nibabel as nib
import numpy as np
import torch

RELATIVE = 1e-5  # of the largest value: what the two modes promise; float32 sums stay a tenth of it below


def starts(size, patch, overlap):
    """Where the patches of an axis begin; size >= patch."""
    if patch == size:
        return [0]
    step = max(int(patch * (1 - overlap)) if overlap < 1 else patch - int(overlap), 1)
    first = list(range(0, size, step))
    last = next(i for i, at in enumerate(first) if at + patch >= size)
    return [min(at, size - patch) for at in first[:last + 1]]


def importance(patch, mode, sigma_scale):
    if mode == "average":
        return np.ones(patch)
    weights = np.ones(())
    for p in patch:
        x = np.arange(p) - (p - 1) / 2
        weights = weights[..., None] * np.exp(-0.5 * (x / (sigma_scale * p)) ** 2)
    return np.maximum(weights, max(weights.min(), 1e-3))


def sliding_window(x, patch, overlap, mode, sigma_scale, network):
    """x (C, D, H, W); network maps (C, d, h, w) to (C', d, h, w)."""
    size = x.shape[1:]
    extra = [max(p - n, 0) for p, n in zip(patch, size)]
    x = np.pad(x, [(0, 0)] + [(e // 2, e - e // 2) for e in extra])
    weights = importance(patch, mode, sigma_scale)
    total = count = 0
    for corner in itertools.product(*map(starts, x.shape[1:], patch, overlap)):
        window = tuple(slice(at, at + p) for at, p in zip(corner, patch))
        y = network(x[(slice(None),) + window])
        if isinstance(total, int):
            total, count = np.zeros(y.shape[:1] + x.shape[1:]), np.zeros(x.shape[1:])
        total[(slice(None),) + window] += weights * y
        count[window] += weights
    y = total / count
    return y[(slice(None),) + tuple(slice(e // 2, e // 2 + n) for e, n in zip(extra, size))]


class Case:
    def __init__(self, rng, folder, index):
        self.stem = os.path.join(folder, "blend%d" % index)
        channels, out = rng.choice([1, 1, 2, 3]), rng.choice([1, 2, 3])
        self.size = [rng.randint(1, 26) for _ in range(3)]
        self.patch = [rng.choice([1, 2, 3, 5, 7, 11, 16, 30]) for _ in range(3)]
        while np.prod(self.patch) < 30 and np.prod(self.size) > 2000:
            self.patch = [p + 4 for p in self.patch]
        self.overlap = [self._overlap(rng, p) for p in self.patch]
        self.mode = rng.choice(["average", "gaussian"])
        self.sigma_scale = rng.choice([0.125, 0.125, 0.25, 0.5])
        kernel = [rng.choice([1, 2, 3, 3, 5]) for _ in range(3)]
        dilation = [rng.choice([1, 1, 2]) for _ in range(3)]
        self.padding_mode = rng.choice(["zeros", "zeros", "replicate"])
        weight = torch.randn([out, channels] + kernel, generator=rng.torch)
        bias = torch.randn([out], generator=rng.torch)
        self.relu = rng.random() < 0.5
        self.reach = [d * (k - 1) for d, k in zip(dilation, kernel)]
        self.layer = lambda x: torch.nn.functional.conv3d(x, weight.double(), bias.double(), dilation=dilation)
        self.x = torch.randn([channels] + self.size, generator=rng.torch).numpy()
        np.savez(self.stem + ".npz", weight=weight.numpy(), bias=bias.numpy())
        nib.save(nib.Nifti1Image(np.ascontiguousarray(self.x.transpose(3, 2, 1, 0)), np.eye(4)), self.stem + ".nii")
        blend = self.mode if self.mode == "average" else "gaussian:%g" % self.sigma_scale
        self.options = ["-w", self.stem + ".npz", "-p", "same", "--dilation", ",".join(map(str, dilation)),
                        "--padding-mode", self.padding_mode, "--time", "channels" if channels > 1 else "auto",
                        "--patch-size", ",".join(map(str, self.patch)), "--blend", blend,
                        "--overlap", ",".join("%g" % o for o in self.overlap), "-j", str(rng.choice([1, 2, 3]))]
        self.options += ["--activation", "relu"] * self.relu
        if rng.random() < 0.3:
            self.options += ["--slab", str(rng.randint(1, 5))]

    @staticmethod
    def _overlap(rng, patch):
        if rng.random() < 0.3 and patch > 1:
            return rng.randint(1, patch - 1)
        return rng.choice([0, 0.25, 0.5, 0.6, 0.75])

    def network(self, x):
        """The layer on a patch that is a volume of its own: torch's 'same' puts the odd one behind."""
        mode = {"zeros": "constant"}.get(self.padding_mode, self.padding_mode)
        pad = [side for r in reversed(self.reach) for side in (r // 2, r - r // 2)]
        y = self.layer(torch.nn.functional.pad(torch.from_numpy(x).double()[None], pad, mode=mode))[0]
        return (y.relu() if self.relu else y).numpy()

    def check(self, build):
        target = self.stem + "_out.nii"
        done = subprocess.run([os.path.join(build, "voxconv"), "conv", self.stem + ".nii", "-q", "-o", target] +
                              self.options, capture_output=True, text=True)
        if done.returncode:
            return done.stderr
        y = np.asarray(nib.load(target).dataobj, dtype=np.float64)
        want = sliding_window(self.x.astype(np.float64), self.patch, self.overlap, self.mode, self.sigma_scale,
                              self.network)
        y = y.reshape(y.shape[:3] + (-1,)).transpose(3, 2, 1, 0)
        if y.shape != want.shape:
            return "shape %s, should be %s" % (y.shape, want.shape)
        error = np.abs(y - want).max() / max(np.abs(want).max(), 1e-30)
        return None if error <= RELATIVE else "off by %.3g of the largest value" % error

    def __str__(self):
        return "%s %s" % (self.size, " ".join(self.options))


def run(tally, build, scratch, rng, count):
    cases = [Case(rng, scratch, i) for i in range(count)]
    with ThreadPoolExecutor(2) as pool:
        for case, problem in zip(cases, pool.map(lambda c: c.check(build), cases)):
            tally.check(problem, case)
