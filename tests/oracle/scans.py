"""Random NIfTI files for the command line, written by nibabel, and what their voxels are as (N, C, D, H, W)."""
import gzip
import os

import nibabel as nib
import numpy as np
import torch

DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]
# How channels and frames may lie in the file.
KINDS = ["3d", "3d", "3d", "frames", "channels_t", "channels_u", "rgb24", "rgba32", "stack"]


class Scan:
    """One input, of one file or several of a stack: `paths`, `x` float32, `affine`, and `options`."""

    def __init__(self, rng, folder, name):
        self.kind = rng.choice(KINDS)
        self.size = tuple(rng.choice([1, 2, 3, 5, 8, 9, 12, 17]) for _ in range(3))  # D, H, W
        self.batch = rng.choice([2, 3]) if self.kind == "frames" else 1
        self.channels = {"channels_t": rng.choice([2, 3, 4]), "channels_u": rng.choice([2, 3]),
                         "stack": rng.choice([2, 3]), "rgb24": 3, "rgba32": 4}.get(self.kind, 1)
        if self.kind == "channels_u" and rng.random() < 0.5:
            self.batch = 2
        self.options = []
        if self.kind == "frames":
            self.options = rng.choice([[], ["--time", "batch"]])
        if self.kind == "channels_t":
            self.options = rng.choice([[], ["--time", "channels"]])
        self._header(rng)
        parts = self.channels if self.kind == "stack" else 1
        arrays, self.paths = [], []
        for i in range(parts):
            x, path = self._file(rng, os.path.join(folder, "%s_%d" % (name, i)))
            arrays.append(x)
            self.paths.append(path)
        self.x = torch.from_numpy(np.concatenate(arrays, 1).astype(np.float32))

    def _header(self, rng):
        """What the parts of a stack share: version, byte order, geometry, extensions."""
        self.nifti2 = rng.random() < 0.3
        self.endian = rng.choice("<<<>")
        self.dtype = rng.choice(DTYPES)
        self.scaled = rng.random() < 0.4 and not self.kind.startswith("rgb")
        angles = [rng.uniform(-0.5, 0.5) for _ in range(3)]
        rotation = nib.eulerangles.euler2mat(*angles)
        zooms = np.array([rng.choice([0.7, 1.0, 1.25, 2.0, 3.0]) for _ in range(3)])
        if rng.random() < 0.5:
            zooms[0] = -zooms[0]
        self.affine = np.eye(4)
        self.affine[:3, :3] = rotation * zooms
        self.affine[:3, 3] = [rng.uniform(-100, 100) for _ in range(3)]
        self.codes = rng.choice([(1, 1), (0, 1), (1, 0), (2, 4), (0, 0)])  # qform, sform
        self.extensions = [(rng.choice([4, 6, 44]), os.urandom(rng.randint(1, 60)))
                           for _ in range(rng.choice([0, 0, 1, 2]))]
        self.gzip, self.pair = rng.random() < 0.4, rng.random() < 0.2

    def _stored(self, rng):
        """Random voxels as numbers of the file's type, in the file's axes (x, y, z[, t[, u]])."""
        d, h, w = self.size
        shape = (w, h, d)
        if self.kind in ("frames", "channels_t"):
            shape += (self.batch * self.channels,)
        elif self.kind == "channels_u":
            shape += (self.batch, self.channels)
        seed = np.random.default_rng(rng.getrandbits(32))
        if self.kind.startswith("rgb"):
            fields = [(c, "u1") for c in "RGBA"[:self.channels]]
            return seed.integers(0, 256, shape + (self.channels,), np.uint8).view(fields)[..., 0]
        dtype = np.dtype(self.dtype)
        if dtype.kind == "f":
            return (seed.standard_normal(shape) * 100).astype(dtype)
        bounds = np.iinfo(dtype)
        # Within 2^53, where the step through double is exact.
        low, high = max(bounds.min, -2 ** 53), min(bounds.max, 2 ** 53)
        if rng.random() < 0.5:
            low, high = max(low, -1000), min(high, 1000)
        return seed.integers(low, high, shape, dtype, endpoint=True)

    def _file(self, rng, path):
        stored = self._stored(rng)
        image_class, header_class = {
            (False, False): (nib.Nifti1Image, nib.Nifti1Header),
            (False, True): (nib.Nifti1Pair, nib.nifti1.Nifti1PairHeader),
            (True, False): (nib.Nifti2Image, nib.Nifti2Header),
            (True, True): (nib.Nifti2Pair, nib.nifti2.Nifti2PairHeader)}[self.nifti2, self.pair]
        header = header_class(endianness=self.endian)
        header.set_data_dtype(stored.dtype.newbyteorder(self.endian))
        header["descrip"] = b"a random scan"
        header["cal_max"] = 7
        header["intent_name"] = b"test"
        header.set_xyzt_units("mm", "sec")
        image = image_class(stored, self.affine, header)
        image.header.set_zooms(image.header.get_zooms()[:3] + (2.5, 1.0)[:stored.ndim - 3])
        image.set_qform(self.affine, self.codes[0])
        image.set_sform(self.affine, self.codes[1])
        image.header.extensions.extend(nib.nifti1.Nifti1Extension(code, data)
                                       for code, data in self.extensions)
        slope, inter = (rng.choice([0.5, 2.0, 0.037]), rng.choice([-1024.0, 0.0, 3.3])) \
            if self.scaled else (float("nan"), float("nan"))
        # An image that is told its scale stores values as they are given.
        image.header.set_slope_inter(*((slope, inter) if self.scaled else (1, 0)))
        end = ".gz" if self.gzip else ""
        ends = (".hdr" + end, ".img" + end) if self.pair else (".nii" + end,)
        self._write(image, stored, [path + e for e in ends], slope, inter)
        return self._as_channels(stored, slope, inter), path + rng.choice(ends)

    def _write(self, image, stored, paths, slope, inter):
        """Header by nibabel, voxels as they are: nibabel would choose a scale of its own."""
        header = image.header.copy()
        header["scl_slope"], header["scl_inter"] = (slope, inter) if self.scaled else (0, 0)
        extension_bytes = sum(e.get_sizeondisk() for e in header.extensions)
        start = (540 if self.nifti2 else 348) + 4 + extension_bytes
        header["vox_offset"] = 0 if self.pair else start
        data = stored.astype(stored.dtype.newbyteorder(self.endian)).tobytes("F")
        opener = gzip.open if self.gzip else open
        with opener(paths[0], "wb") as f:
            f.write(header.binaryblock)
            f.write(b"\1\0\0\0" if header.extensions else b"\0\0\0\0")
            header.extensions.write_to(f, self.endian == ">")
            if not self.pair:
                f.write(data)
        if self.pair:
            with opener(paths[1], "wb") as f:
                f.write(data)

    def _as_channels(self, stored, slope, inter):
        """(N, C, D, H, W) in float64 of what the file says: the scale is kept as float32 in NIfTI-1."""
        x = stored
        if self.kind.startswith("rgb"):
            x = np.stack([stored[name] for name in stored.dtype.names])  # C, x, y, z
            x = np.moveaxis(x, 0, -1)[..., np.newaxis, :]
        else:
            x = x.reshape(x.shape + (1,) * (5 - x.ndim))  # x, y, z, t, u
        if self.kind == "channels_t":
            x = np.swapaxes(x, 3, 4)
        x = x.transpose(3, 4, 2, 1, 0).astype(np.float64)
        if self.scaled:
            keep = np.float64 if self.nifti2 else np.float32
            x = x * np.float64(keep(slope)) + np.float64(keep(inter))
        return x
