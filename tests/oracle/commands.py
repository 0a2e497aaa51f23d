"""Random command lines: files in, `voxconv conv`, files out, compared with torch and nibabel."""
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import nibabel as nib
import numpy as np
import torch

import tensors
from bounded import Bounded
from layers import Activation, BatchNorm, Conv, Pool
from scans import Scan

OUTPUT_TYPES = ["uint8", "int16", "int32", "uint16", "float32", "float64"]


def numbers(triple):
    return str(triple[0]) if len(set(triple)) == 1 else ",".join(map(str, triple))


class Command:
    """A scan, the layers, the options that ask for them and the result that torch expects."""

    def __init__(self, rng, folder, index):
        self.stem = os.path.join(folder, "case%d" % index)
        self.scan = Scan(rng, folder, "scan%d" % index)
        self.options = ["-j", str(rng.choice([1, 2, 3]))] + self.scan.options
        self.state = Bounded(self.scan.x)
        self.stride, self.origin = [1.0] * 3, [0.0] * 3
        self._conv(rng)
        self._after(rng)
        self.datatype = rng.choice(["float32"] * 4 + OUTPUT_TYPES)
        if self.datatype != "float32":
            self.options += ["--datatype", self.datatype]
        self.output = self.stem + rng.choice([".nii", ".nii.gz", "_out.img", "-"])
        if rng.random() < 0.2:
            self.options += ["--slab", str(rng.randint(1, 4))]

    def _move(self, layer):
        stride, origin = layer.geometry()
        for a in range(3):
            self.origin[a] += self.stride[a] * origin[a]
            self.stride[a] *= stride[a]

    def _conv(self, rng):
        """A layer whose options the command line can say: both sides of a padding are the same."""
        while True:
            conv = Conv(rng, self.scan.channels, self.scan.size)
            if conv.padding != "explicit" or conv.before == conv.after:
                break
        weight, bias = conv.weight.numpy(), None if conv.bias is None else conv.bias.numpy()
        options = ["-s", numbers(conv.stride), "--dilation", numbers(conv.dilation),
                   "--padding-mode", conv.mode, "-g", str(conv.groups), "-p",
                   conv.padding if conv.padding != "explicit" else numbers(conv.before)]
        given = weight
        special = rng.random()
        roundings = 0
        if special < 0.15:
            given = np.ascontiguousarray(weight.transpose(2, 3, 4, 1, 0))
            options += ["--weights-layout", "keras"]
        elif special < 0.3:
            given = np.ascontiguousarray(weight[:, :, ::-1, ::-1, ::-1])
            options += ["--flip"]
        elif special < 0.4:
            options += ["--normalize", "abs"]
            sums = conv.weight.double().abs().sum((1, 2, 3, 4), keepdim=True)
            if (sums > 0).all():
                conv.weight = conv.weight.double() / sums
                roundings = 1
            else:
                options = options[:-2]
        elif special < 0.55 and conv.groups == self.scan.channels == conv.out_channels:
            # One filter of three sizes, for each channel on its own.
            given = weight[0, 0]
            conv.weight = conv.weight[:1].expand(conv.out_channels, -1, -1, -1, -1)
            bias = conv.bias = None
            options = options[:6] + options[8:]  # without --groups
            if self.scan.kind == "channels_t":
                options += ["--time", "channels"]
        self.options += options + tensors.save(rng, self.stem + "_w", given, bias)
        self.state = self.state.conv(conv.weight, conv.bias, conv.stride, conv.dilation, conv.before,
                                     conv.after, conv.mode, conv.groups, roundings)
        self._move(conv)

    def _after(self, rng):
        if rng.random() < 0.25:
            norm = BatchNorm(rng, self.state.value.shape[1], None)
            arrays = {"running_mean": norm.mean, "running_var": norm.var,
                      "eps": torch.tensor(norm.eps)}
            arrays.update((k, t) for k, t in (("weight", norm.weight), ("bias", norm.bias))
                          if t is not None)
            norm.eps = float(np.float32(norm.eps))
            path = self.stem + "_norm.npz"
            np.savez(path, **{name: t.numpy() for name, t in arrays.items()})
            self.options += ["--batchnorm", path]
            self.state = norm.expect(self.state, folded=True)
        if rng.random() < 0.25:
            act = Activation(rng, None, None)
            defaults = act.kind in ("selu", "hardsigmoid")
            self.options += ["--activation", act.kind + (
                ":" + ",".join("%g" % p for p in act.parameter) if act.parameter and not defaults else "")]
            self.state = act.expect(self.state)
        if rng.random() < 0.25:
            pool = Pool(rng, None, tuple(self.state.value.shape[2:]))
            words = [numbers(pool.kernel), "stride=" + numbers(pool.stride),
                     "padding=" + numbers(pool.padding)]
            if pool.average:
                words.append("count_include_pad=%d" % pool.include)
            else:
                words.append("dilation=" + numbers(pool.dilation))
            self.options += ["--avg-pool" if pool.average else "--max-pool",
                             ":".join(words + ["ceil_mode"] * pool.ceil_mode)]
            self.state = pool.expect(self.state)
            self._move(pool)

    def line(self):
        target = "-" if self.output.endswith("-") else self.output
        return ["conv"] + self.scan.paths + self.options + ["-o", target]

    def execute(self, build):
        """Runs the command; what is wrong, or None."""
        done = subprocess.run([os.path.join(build, "voxconv")] + self.line(), capture_output=True)
        if done.returncode:
            return "status %d: %s" % (done.returncode, done.stderr.decode())
        if self.output.endswith("-"):
            with open(self.output + ".nii", "wb") as f:
                f.write(done.stdout)
            return self.check(nib.load(self.output + ".nii"))
        return self.check(nib.load(self.output))

    def check(self, image):
        return (self.check_axes(image) or self.check_values(image) or self.check_geometry(image) or
                self.check_header(image))

    def check_axes(self, image):
        """One channel keeps the rank; several go to t, or to u where t is the batch."""
        n, c, d, h, w = self.state.value.shape
        shape = (w, h, d)
        if self.scan.kind == "channels_u" or (c > 1 and n > 1):
            shape = (w, h, d, n, c)
        elif n > 1 or c > 1 or self.scan.kind in ("frames", "channels_t"):
            shape = (w, h, d, max(n, c))
        strip = lambda s: s[:max([3] + [i + 1 for i, k in enumerate(s) if k > 1])]  # noqa: E731
        if strip(image.shape) != strip(shape):
            return "dim %s, should be %s" % (image.shape, shape)
        return None

    def check_values(self, image):
        n, c, d, h, w = self.state.value.shape
        y = np.asarray(image.dataobj).astype(np.float64).reshape((w, h, d, -1), order="F")
        y = y.reshape((w, h, d, n, c), order="F").transpose(3, 4, 2, 1, 0)
        want, error = self.state.value.numpy(), self.state.error.numpy()
        dtype = np.dtype(self.datatype)
        if dtype.kind in "iu":
            bounds = np.iinfo(dtype)
            want, error = np.clip(want, bounds.min, bounds.max), error + 0.5
        if image.get_data_dtype() != dtype:
            return "datatype %s" % image.get_data_dtype()
        wrong = ~((y == want) | (np.abs(y - want) <= error))
        if wrong.any():
            at = tuple(np.argwhere(wrong)[0])
            return "%d of %d values outside the bound; %s is %.9g, torch has %.9g +- %.3g" % (
                wrong.sum(), wrong.size, at, y[at], want[at], error[at])
        return None

    def check_geometry(self, image):
        """Output voxel o lies at input index o*stride + origin: what the input's fields say times that. (Near half a
        turn a quaternion of float32 is off by 3e-4 from the affine that it was made of.) float32 fields, whose units
        in the last place are of the largest of the row. nifticlib takes a^2 = 1 - b^2 - c^2 - d^2 for 0 below 1e-7
        (nifti_quatern_to_mat44), nibabel below 0: directions differ by up to 2a, and the offset by as much of the way
        from the input's voxel 0 to the output's."""
        move = np.diag(self.stride[::-1] + [1.0])
        move[:3, 3] = self.origin[::-1]
        scan, slack = self.scan, 2e-4
        given = nib.load(scan.paths[0])
        allowed = {"sform": np.full((4, 4), slack), "qform": np.full((4, 4), slack)}
        if 1 - sum(float(given.header["quatern_" + k]) ** 2 for k in "bcd") < 1e-7:
            way = np.abs(given.header["pixdim"][1:4] * self.origin[::-1]).sum()
            allowed["qform"][:3, 3] += 2 * 1e-7 ** 0.5 * way
        for name, code in (("qform", scan.codes[0]), ("sform", scan.codes[1])):
            got, got_code = getattr(image, "get_" + name)(coded=True)
            want = getattr(given, "get_" + name)() @ move
            if int(got_code) != code:
                return "%s_code %d, should be %d" % (name, got_code, code)
            if code and not np.allclose(got, want, rtol=1e-5, atol=allowed[name]):
                return "%s %s, should be %s" % (name, got.tolist(), want.tolist())
        zooms = np.abs(image.header["pixdim"][1:4])
        spacing = np.sqrt((scan.affine[:3, :3] ** 2).sum(0)) * self.stride[::-1]
        if not np.allclose(zooms, spacing, rtol=1e-5):
            return "pixdim %s, should be %s" % (zooms, spacing)
        return None

    def check_header(self, image):
        header = image.header
        if bytes(header["descrip"]).rstrip(b"\0") != b"a random scan":
            return "descrip %s" % header["descrip"]
        if header["intent_name"].item() != b"test" or header.get_xyzt_units() != ("mm", "sec"):
            return "intent_name or xyzt_units lost"
        if (header["sizeof_hdr"] == 540) != self.scan.nifti2:
            return "sizeof_hdr %d" % header["sizeof_hdr"]
        # nibabel pads what it wrote with zeros to a multiple of 16.
        kept = [(e.get_code(), bytes(e.get_content()).rstrip(b"\0")) for e in header.extensions]
        if kept != [(code, data.rstrip(b"\0")) for code, data in self.scan.extensions]:
            return "extensions are not the input's"
        return None


def run(tally, build, scratch, rng, count):
    folder = os.path.join(scratch, "commands")
    os.mkdir(folder)
    cases = [Command(rng, folder, i) for i in range(count)]
    with ThreadPoolExecutor(2) as pool:
        for case, problem in zip(cases, pool.map(lambda case: case.execute(build), cases)):
            tally.check(problem, "%s: voxconv %s" % (case.scan.kind, " ".join(case.line())))
