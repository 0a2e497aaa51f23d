"""Random `voxconv augment` runs: what is drawn is torch's, voxels are numpy's flip and rot90 to the bit, noise is
torch's normal_ within random.h's bound, and by nibabel every voxel lies where it lay in mm."""
import json
import math
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import nibabel as nib
import numpy as np
import torch

from scans import Scan

AXES = {"D": 2, "H": 1, "W": 0}  # as nibabel has them
TYPES = ["uint8", "int16", "int32", "float32", "float64", "input"]
GEOMETRY = {"dim", "pixdim", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z", "srow_x",
            "srow_y", "srow_z", "sform_code", "dim_info", "slice_start", "slice_end", "slice_code"}
TYPE = {"datatype", "bitpix", "scl_slope", "scl_inter"}
FORM = {"magic", "vox_offset"}


class Case:
    def __init__(self, rng, folder, index):
        self.folder = os.path.join(folder, "augment%d" % index)
        os.mkdir(self.folder)
        self.scan = Scan(rng, self.folder, "scan")
        self.labels = [p for p in self.scan.paths if rng.random() < 0.3]
        self.images = [p for p in self.scan.paths if p not in self.labels]
        self.seed = rng.choice([0, 1, rng.getrandbits(31), rng.getrandbits(40)])
        self.p, self.plane, self.options = {}, "HW", ["--seed", str(self.seed), "-j", str(rng.choice([1, 2, 3]))]
        if rng.random() < 0.7:
            axes = rng.choice(["D", "H", "W", "DH", "HW", "DHW"])
            p = rng.choice([0.25, 0.5, 1])
            self.p.update((a, p) for a in axes)
            self.options += ["--flip", ",".join(axes) + ",p=%g" % p]
        if rng.random() < 0.7 or not self.p:
            self.p["rot90"], self.plane = rng.choice([0.5, 1]), rng.choice(["HW", "WH", "DH", "DW", "WD", "HD"])
            self.options += ["--rot90", "p=%g,plane=%s" % (self.p["rot90"], self.plane)]
        self.sigma = rng.choice([0.1, 3.7])
        if rng.random() < 0.4:
            self.p["noise"] = rng.choice([0.5, 1])
            self.options += ["--noise", "sigma=%g,p=%g" % (self.sigma, self.p["noise"])]
        self.datatype = None
        if rng.random() < 0.3 and not self.scan.kind.startswith("rgb"):
            self.datatype = rng.choice(TYPES)
            self.options += ["-t", self.datatype]
        self.keep = rng.random() < 0.15
        self.options += ["--keep-affine"] * self.keep
        self.tight = rng.random() < 0.5  # with as little memory as can be
        self.out = os.path.join(self.folder, "out")
        os.mkdir(self.out)

    def line(self):
        return (["augment"] + self.images + [w for p in self.labels for w in ("--label", p)] + self.options +
                ["-o", self.out])

    def draw(self):
        """The documented draws, by torch; its generator is left where the noise begins."""
        self.torch = torch.Generator().manual_seed(self.seed)
        u = torch.rand(6, generator=self.torch).double().tolist()
        self.flips = [a for a, x in zip("DHW", u) if x < self.p.get(a, 0)]
        self.k = 1 + int(3 * u[4]) if u[3] < self.p.get("rot90", 0) else 0
        self.noise = u[5] < self.p.get("noise", 0)

    def turn(self, x):
        x = np.flip(x, [AXES[a] for a in self.flips])
        return np.rot90(x, self.k, [AXES[a] for a in self.plane])

    def moves(self):
        """Two flips and half a turn may add up to nothing."""
        probe = np.arange(8).reshape(2, 2, 2)
        return not np.array_equal(self.turn(probe), probe)

    def check(self, build):
        self.draw()
        voxconv = [os.path.join(build, "voxconv")]
        if self.tight:
            plan = subprocess.run(voxconv + self.line() + ["--plan", "--json"], capture_output=True)
            if plan.returncode:
                return plan.stderr.decode()
            self.options += ["-m", str(json.loads(plan.stdout)["smallest_bytes"])]
        done = subprocess.run(voxconv + self.line() + ["--json", "-q"], capture_output=True)
        if done.returncode:
            return "status %d: %s" % (done.returncode, done.stderr.decode())
        said = json.loads(done.stdout)
        got = (said["flip"], said["rot90"]["k"], said["rot90"]["plane"], said["noise"])
        if got != (self.flips, self.k, self.plane, self.noise):
            return "drew %s, torch draws %s" % (got, (self.flips, self.k, self.plane, self.noise))
        for path in self.images + self.labels:
            problem = self.check_file(path, os.path.join(self.out, os.path.basename(path)))
            if problem:
                return "%s: %s" % (os.path.basename(path), problem)
        return None

    def check_file(self, path, out):
        before, after = nib.load(path), nib.load(out)
        return (self.check_voxels(path, before, after) or self.check_fields(path, before, after) or
                self.check_place(before, after))

    def out_type(self, image):
        """Of an image without noise: None where its elements are to be moved as they are."""
        wanted = self.datatype or ("float32" if "noise" in self.p else "input")
        unscaled = (image.dataobj.slope, image.dataobj.inter) == (1, 0)
        same = image.get_data_dtype().newbyteorder("=") == wanted and unscaled
        return None if self.scan.kind.startswith("rgb") or wanted == "input" or same else wanted

    def changes_values(self, path, image):
        return path not in self.labels and (self.noise or self.out_type(image) is not None)

    def check_voxels(self, path, before, after):
        stored, found = before.dataobj.get_unscaled(), after.dataobj.get_unscaled()
        want = self.turn(np.asarray(stored))
        if found.shape != want.shape:
            return "shape %s, should be %s" % (found.shape, want.shape)
        scale = [np.float64(v) for v in (before.dataobj.slope, before.dataobj.inter)]
        scaled = scale != [1, 0]
        if not self.changes_values(path, before):
            same = np.array_equal(np.asarray(found).astype(want.dtype, order="F").tobytes("F"), want.tobytes("F"))
            if [after.dataobj.slope, after.dataobj.inter] != scale:
                return "scaling is not the input's"
            return None if same and found.dtype == want.dtype.newbyteorder("=") else "other voxels than numpy's"
        rgb = want.dtype.names
        if rgb:
            want = np.stack([want[n] for n in rgb])  # interleaved: the fastest axis of the file
            found = np.stack([found[n] for n in rgb])
        elif scaled:
            want = want.astype(np.float64) * scale[0] + scale[1]
        want = want.astype(np.float32).astype(np.float64)
        error = np.zeros(want.shape)
        if self.noise:
            noise = torch.empty(want.size).normal_(0, self.sigma, generator=self.torch)
            want = want + noise.double().numpy().reshape(want.shape, order="F")
            # random.h's bound, and the roundings of the sum
            bound = 10 * 2.0 ** -24 * self.sigma * math.sqrt(48 * math.log(2)) if want.size >= 16 else 0
            error = bound + 2.0 ** -23 * (np.abs(want) + self.sigma * 6)
        found = np.asarray(found).astype(np.float64)
        dtype = np.dtype("uint8" if rgb else self.datatype if self.datatype not in (None, "input") else
                         before.get_data_dtype() if self.datatype == "input" else "float32")
        if not rgb and after.get_data_dtype() != dtype.newbyteorder("="):
            return "datatype %s, should be %s" % (after.get_data_dtype(), dtype)
        if self.datatype == "input" and scaled:
            want, error = (want - scale[1]) / scale[0], error / abs(scale[0]) + 2.0 ** -50 * np.abs(want / scale[0])
        if dtype.kind in "iu":
            bounds = np.iinfo(dtype)
            want, error = np.clip(want, bounds.min, bounds.max), error + 0.5 + 2.0 ** -52 * np.abs(want)
        elif dtype == np.float32:
            error = error + 2.0 ** -24 * np.abs(want)
        wrong = ~((found == want) | (np.abs(found - want) <= error))
        if not wrong.any():
            return None
        at = tuple(np.argwhere(wrong)[0])
        return "%d of %d values outside the bound; %s is %.9g, should be %.9g +- %.3g" % (
            wrong.sum(), wrong.size, at, found[at], want[at], error[at])

    def check_fields(self, path, before, after):
        moved = self.moves()
        free = FORM | (TYPE if self.changes_values(path, before) else set())
        free |= {"dim"} if self.keep else GEOMETRY if moved else set()
        for field in before.header.keys():
            a, b = (np.asarray(i.header[field]) for i in (before, after))
            if field not in free and a.tolist() != b.tolist() and not (a != a).any():
                return "%s was %s, is %s" % (field, a, b)
        kept = [[(e.get_code(), bytes(e.get_content()).rstrip(b"\0")) for e in i.header.extensions]
                for i in (before, after)]
        return None if kept[0] == kept[1] else "extensions are not the input's"

    def check_place(self, before, after):
        """Each voxel's place in mm, by each form that is in use; and in the spacing, which belongs to the axis."""
        if self.keep or not self.moves():
            return None
        index = [self.turn(i) for i in np.indices(before.shape[:3])]
        old = np.stack([i.ravel() for i in index] + [np.ones(index[0].size)])
        new = np.stack([i.ravel() for i in np.indices(index[0].shape)] + [np.ones(index[0].size)])
        far = np.array([[n] for n in before.shape[:3]] + [[1]])  # what a new origin is summed from
        single = 2.0 ** (-23 if before.header["sizeof_hdr"] == 348 else -50)
        codes = [int(before.header[c]) for c in ("qform_code", "sform_code")]
        if not any(codes):  # nifti1.h's method 1 becomes an sform
            affine = np.diag([float(z) for z in before.header["pixdim"][1:4]] + [1])
            problem = self.compare(affine @ old, after.get_sform() @ new, single * (np.abs(affine) @ far))
            return problem and "spacing alone: " + problem
        for i, form in enumerate(("qform", "sform")):
            if not codes[i]:
                continue
            a, b = (getattr(image, "get_" + form)() for image in (before, after))
            slack = 4 * single * (np.abs(a) @ far)
            if form == "qform":
                # The first part of the unit quaternion, sqrt(1 - b^2 - c^2 - d^2), is what the roundings of b, c
                # and d leave of it, and 0 where its square is below 3 * 2^-23 (nibabel).
                e = 4 * 2.0 ** -23
                first = math.sqrt(max(0, 1 + np.trace(self.proper(b)))) / 2
                off = min(math.sqrt(e), e / max(first, 1e-9))
                # Of the input's, nifticlib takes a square below 1e-7 as 0 (nifti_quatern_to_dmat44).
                square = 1 - sum(float(before.header["quatern_" + x]) ** 2 for x in "bcd")
                off += math.sqrt(square) if 0 < square < 1e-7 else 0
                slack = slack + 2 * off * np.abs(a[:3, :3]).sum() * max(before.shape[:3])
            problem = self.compare(a @ old, b @ new, slack)
            if problem:
                return form + ": " + problem
        want = self.turn_zooms(np.abs(before.header["pixdim"][1:4]))
        return None if np.array_equal(np.abs(after.header["pixdim"][1:4]), want) else "pixdim does not follow"

    @staticmethod
    def proper(affine):
        """A rotation's matrix: without spacing and without the mirror of qfac."""
        r = affine[:3, :3] / np.sqrt((affine[:3, :3] ** 2).sum(0))
        return r * [1, 1, np.sign(np.linalg.det(r))]

    def turn_zooms(self, zooms):
        zooms = zooms.copy()
        if self.k % 2:
            a, b = (AXES[x] for x in self.plane)
            zooms[[a, b]] = zooms[[b, a]]
        return zooms

    @staticmethod
    def compare(want, got, slack):
        off = np.abs(want - got)[:3]
        excess = (off - np.broadcast_to(slack, want.shape)[:3]).max()
        return "a voxel moved by %.3g mm" % off.max() if excess > 0 else None

    def __str__(self):
        return "%s: voxconv %s" % (self.scan.kind, " ".join(self.line()))


def run(tally, build, scratch, rng, count):
    folder = os.path.join(scratch, "augment")
    os.mkdir(folder)
    cases = [Case(rng, folder, i) for i in range(count)]
    with ThreadPoolExecutor(2) as pool:
        for case, problem in zip(cases, pool.map(lambda c: c.check(build), cases)):
            tally.check(problem, case)
