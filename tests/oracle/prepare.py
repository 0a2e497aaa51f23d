"""Random volumes through `voxconv run` with a network that changes nothing. Intensities are numpy's in float64, rounded
to float32. The network's grid, seen through a network that gives it as a vector, is that of nibabel's conform with
order=1; what comes back is nibabel's resample_from_to."""
import itertools
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import nibabel as nib
import nibabel.processing
import numpy as np

from scans import Scan


def load(path, shape):
    """The output's voxels as (N, C, D, H, W)."""
    y = np.asarray(nib.load(path).dataobj, np.float32)
    y = y.reshape(y.shape + (1,) * (5 - y.ndim))
    if shape[0] == 1 and y.shape[3] == shape[1]:  # the channels lie in t
        y = np.swapaxes(y, 3, 4)
    return y.transpose(3, 4, 2, 1, 0)


def run_identity(build, folder, scan, options, word="identity", out="out.nii"):
    """The file that comes out, or what went wrong."""
    network, out = os.path.join(folder, "net.txt"), os.path.join(folder, out)
    with open(network, "w") as f:
        f.write("input channels=%d\n%s\n" % (scan.x.shape[1], word))
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
        spread = x.std((2, 3, 4), keepdims=True)
        scale = 1 + np.abs(x).max() / np.where(spread > 0, spread, np.inf)
        bound = 2.0 ** -23 * np.abs(want) + 2.0 ** -53 * 64 * scale * (1 + np.abs(want))
        return None if (np.abs(y - want) <= bound).all() else "off by %g" % np.abs(y - want).max()

    def __str__(self):
        return "%s %s %s" % (" ".join(self.scan.paths), self.word, " ".join(self.how))


ORIENTATIONS = ["".join(letters) for axes in itertools.permutations(("LR", "PA", "IS"))
                for letters in itertools.product(*axes)]
# Values are weighted along three axes in float32. And places: where a header's spacing is the wanted one but for its
# rounding to float32, it is taken as that, so over 17 voxels they differ by 17 * 2^-23 of a voxel along each.
GRID_BOUND = 24 * 2.0 ** -24 + 3 * 2 * 17 * 2.0 ** -23
EDGE = 1e-5  # nibabel inverts a matrix: a place on the edge itself may be outside there


class Grid:
    def __init__(self, rng, folder, index):
        self.folder = os.path.join(folder, "grid%d" % index)
        os.mkdir(self.folder)
        self.scan = Scan(rng, self.folder, "scan")
        while self.scan.codes == (0, 0):  # nibabel and the standard lay such a volume differently
            self.scan = Scan(rng, self.folder, "scan")
        self.orientation = rng.choice(ORIENTATIONS) if rng.random() < 0.7 else None
        self.spacing = [rng.choice([0.5, 0.7, 1, 1.6, 3]) for _ in range(3)] if rng.random() < 0.6 else None
        self.shape = [rng.randint(1, 18) for _ in range(3)] if rng.random() < 0.5 else None
        self.options = rng.choice([[], ["-j", "2"]])
        for name, value in (("orientation", self.orientation), ("spacing", self.spacing), ("shape", self.shape)):
            if value:
                self.options = self.options + ["--" + name, value if name == "orientation" else "%g,%g,%g" % tuple(value)]

    def places(self, shape, affine, other):
        """The index in `other`, an image, of every voxel of a grid."""
        indices = np.indices(shape).reshape(3, -1)
        return nib.affines.apply_affine(np.linalg.inv(other.affine) @ affine, indices.T).T.reshape((3,) + tuple(shape))

    def inside(self, shape, affine, other):
        """Where a place is clearly inside of `other`, and where it is clearly outside."""
        places = self.places(shape, affine, other)
        last = np.array(other.shape).reshape(3, 1, 1, 1) - 1
        return (((places > EDGE) & (places < last - EDGE)).all(0),
                ((places < -EDGE) | (places > last + EDGE)).any(0))

    def check(self, build):
        flat, problem = run_identity(build, self.folder, self.scan, self.options, "flatten", "out.npy")
        if problem:
            return problem
        out, problem = run_identity(build, self.folder, self.scan, self.options)
        if problem:
            return problem
        flat, x, file = np.load(flat), self.scan.x.numpy(), nib.load(self.scan.paths[0])
        y, affine = load(out, x.shape), file.affine
        if y.shape != x.shape or not np.array_equal(nib.load(out).affine, affine):
            return "it does not come back onto its grid"
        ornt = nib.orientations.io_orientation(affine)
        wanted = self.orientation or "".join(nib.aff2axcodes(affine))
        turn = nib.orientations.ornt_transform(ornt, nib.orientations.axcodes2ornt(wanted))
        frames = flat.reshape(x.shape[:2] + (-1,))
        for n, c in itertools.product(range(x.shape[0]), range(x.shape[1])):
            image = nib.Nifti1Image(x[n, c].T.astype(np.float64), affine)
            problem = self.compare(image, turn, wanted, frames[n, c], y[n, c].T)
            if problem:
                return problem
        return None

    def compare(self, image, turn, wanted, flat, y):
        turned = image.as_reoriented(turn)
        zooms = np.array(self.spacing[::-1]) if self.spacing else nib.affines.voxel_sizes(turned.affine)
        if self.shape:
            shape = self.shape[::-1]
        elif self.spacing:
            shape = self.least(turned, zooms)
        else:
            shape = turned.shape
        if flat.size != np.prod(shape):
            return "%d voxels, should be %s" % (flat.size, shape)
        z = flat.reshape(shape[::-1]).T
        if not self.shape and not self.spacing:  # to the bit
            same = np.array_equal(z, turned.dataobj) and np.array_equal(y, image.dataobj)
            return None if same else "is not nibabel's as_reoriented"
        conformed = nibabel.processing.conform(image, shape, zooms, order=1, orientation=wanted)
        inside, outside = self.inside(shape, conformed.affine, image)
        bound = GRID_BOUND * np.abs(image.dataobj).max()
        if (np.abs(z - conformed.get_fdata())[inside] > bound).any() or z[outside].any():
            return "the network's grid is not nibabel's, by %g" % np.abs(z - conformed.get_fdata())[inside].max(initial=0)
        back = nibabel.processing.resample_from_to(nib.Nifti1Image(z.astype(np.float64), conformed.affine), image, order=1)
        inside, _ = self.inside(image.shape, image.affine, conformed)
        if (np.abs(y - back.get_fdata())[inside] > bound).any():
            return "what comes back is not nibabel's, by %g" % np.abs(y - back.get_fdata())[inside].max(initial=0)
        return None

    def least(self, turned, zooms):
        """The fewest voxels along each axis that hold all of the file's, by nibabel's affine."""
        found = []
        for axis in range(3):
            for n in range(1, 200):
                shape = [1, 1, 1]
                shape[axis] = n
                affine = nib.affines.rescale_affine(turned.affine, turned.shape, zooms, shape)
                grid = nib.Nifti1Image(np.zeros(shape, np.uint8), affine)
                places = self.places(turned.shape, turned.affine, grid)[axis]
                if places.min() > -0.502 and places.max() < n - 0.498:
                    break
            found.append(n)
        return found

    def __str__(self):
        return "%s %s" % (" ".join(self.scan.paths), " ".join(self.options))


def run(tally, build, scratch, rng, count):
    cases = [Intensity(rng, scratch, i) for i in range(count)] + [Grid(rng, scratch, i) for i in range(count)]
    with ThreadPoolExecutor(2) as pool:
        for case, problem in zip(cases, pool.map(lambda case: case.check(build), cases)):
            tally.check(problem, case)
