"""Random volumes through `voxconv run` with a network that changes nothing: intensities are numpy's in float64,
rounded to float32."""
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import nibabel as nib
import numpy as np

from scans import Scan


def load(path, shape):
    """The output's voxels as (N, C, D, H, W)."""
    y = np.asarray(nib.load(path).dataobj, np.float32)
    y = y.reshape(y.shape + (1,) * (5 - y.ndim))
    if shape[0] == 1 and y.shape[3] == shape[1]:  # the channels lie in t
        y = np.swapaxes(y, 3, 4)
    return y.transpose(3, 4, 2, 1, 0)


def run_identity(build, folder, scan, options):
    """The voxels that come out, or what went wrong."""
    network, out = os.path.join(folder, "net.txt"), os.path.join(folder, "out.nii")
    with open(network, "w") as f:
        f.write("input channels=%d\nidentity\n" % scan.x.shape[1])
    words = ["run", network] + scan.paths + scan.options + ["--init", "-q", "-f", "-o", out] + options
    done = subprocess.run([os.path.join(build, "voxconv")] + words, capture_output=True, text=True)
    if done.returncode:
        return None, "%s: status %d: %s" % (" ".join(words), done.returncode, done.stderr)
    return out, None


class Intensity:
    def __init__(self, rng, folder, index):
        self.folder = os.path.join(folder, "intensity%d" % index)
        os.mkdir(self.folder)
        self.scan = Scan(rng, self.folder, "scan")
        self.kind = rng.choice(["minmax", "percentile", "zscore", "zscore:nonzero", "window"])
        if self.kind == "percentile":
            self.low, self.high = sorted(rng.sample([0, 0.5, 1, 2, 25, 50, 97.3, 99, 99.9, 100], 2))
        else:
            self.low, self.high = rng.choice([(40, 400), (-600, 1500), (0.5, 1)])
        self.word = self.kind + (":%g,%g" % (self.low, self.high) if self.kind in ("percentile", "window") else "")
        self.how = rng.choice([[], ["-j", "2"], ["--slab", "2"], ["--patch-size", "4"]])

    def expect(self, x):
        """For the values of one channel of one frame."""
        if self.kind == "window":
            low, high = self.low - self.high / 2, self.low + self.high / 2
        elif self.kind == "minmax":
            low, high = x.min(), x.max()
        elif self.kind == "percentile":
            low, high = np.percentile(x, [self.low, self.high])
        else:
            used = x[x != 0] if self.kind == "zscore:nonzero" else x
            spread = used.std() if used.size else 0
            y = (x - used.mean()) / spread if spread > 0 else np.zeros_like(x)
            return np.where(x == 0, 0, y) if self.kind == "zscore:nonzero" else y
        return (np.clip(x, low, high) - low) / (high - low) if high > low else np.zeros_like(x)

    def check(self, build):
        out, problem = run_identity(build, self.folder, self.scan, ["--intensity", self.word] + self.how)
        if problem:
            return problem
        x = self.scan.x.numpy().astype(np.float64)
        want = np.stack([[self.expect(channel) for channel in frame] for frame in x]).astype(np.float32)
        y = load(out, x.shape)
        if y.shape != want.shape:
            return "shape %s, should be %s" % (y.shape, want.shape)
        # Clipping and scaling are the same operations in float64: the same bits. Mean and deviation are sums in
        # another order, (2 + log2 of the count) roundings of float64 each at most, before the one to float32.
        if not self.kind.startswith("zscore"):
            return None if np.array_equal(y, want) else "%d values differ" % (y != want).sum()
        scale = 1 + np.abs(x).max() / np.maximum(x.std((2, 3, 4), keepdims=True), 1e-300)
        bound = 2.0 ** -23 * np.abs(want) + 2.0 ** -53 * 64 * scale * (1 + np.abs(want))
        return None if (np.abs(y - want) <= bound).all() else "off by %g" % np.abs(y - want).max()

    def __str__(self):
        return "%s %s %s" % (" ".join(self.scan.paths), self.word, " ".join(self.how))


def run(tally, build, scratch, rng, count):
    cases = [Intensity(rng, scratch, i) for i in range(count)]
    with ThreadPoolExecutor(2) as pool:
        for case, problem in zip(cases, pool.map(lambda case: case.check(build), cases)):
            tally.check(problem, case)
