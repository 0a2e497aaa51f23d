"""`voxconv run` against torch: random text networks with a state_dict or with torch's initial weights, and the models of
brainchop.org.

The models: two folders with a model.json each, beside the folder that VOXCONV_SHARED names, in models/.
"""
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import nibabel as nib
import numpy as np
import torch

import identity
import tensors
from bounded import TINY, U, Bounded
from layers import Activation, Conv, Pool
from resample import AdaptivePool, ConvTranspose, GroupNorm, Resize

MOST_VALUE = 1e4  # what a product may reach, so that no network leaves float32's range
MOST_CHANNELS = 24
MOST_VOXELS = 40000  # what a layer that goes up may reach


def numbers(triple):
    return str(triple[0]) if len(set(triple)) == 1 else ",".join(map(str, triple))


def save_scan(path, x):
    """x (C, D, H, W) as float32 NIfTI, channels in t."""
    volume = x.permute(3, 2, 1, 0).numpy()
    nib.save(nib.Nifti1Image(volume[..., 0] if x.shape[0] == 1 else volume, np.eye(4)), path)


def load_scan(path, shape):
    """The values as (1, C, D, H, W), or None where they are of another number or size."""
    image = nib.load(path)
    _, c, d, h, w = shape
    if image.shape[:3] != (w, h, d) or int(np.prod(image.shape[3:])) != c:
        return None
    values = np.asarray(image.dataobj).reshape((w, h, d, c), order="F")
    return torch.from_numpy(values.transpose(3, 2, 1, 0)[None].copy())


class WordActivation(Activation):
    """One that text networks have a word for, with the parameters that are written."""
    kinds = ["relu", "leaky_relu", "elu", "selu", "gelu", "gelu_tanh", "sigmoid", "hardsigmoid", "hardswish", "silu",
             "tanh", "softplus", "mish", "softsign", "clip", "softmax"]

    def word(self):
        return "hardtanh" if self.kind == "clip" else self.kind

    def keys(self):
        names = {"leaky_relu": ("negative_slope",), "elu": ("alpha",), "softplus": ("beta", "threshold"),
                 "clip": ("min_val", "max_val")}.get(self.kind, ())
        return {name: repr(value) for name, value in zip(names, self.parameter)}


class WordResize(Resize):
    """One that text networks have a word for."""

    def __init__(self, rng, size):
        self.input, self.size, self.scale = size, None, None
        self.kind = rng.choice([("nearest", None), ("trilinear", False), ("trilinear", True)])
        if rng.random() < 0.4:
            self.size = tuple(rng.randint(1, 2 * n) for n in size)
        else:
            self.scale = rng.choice([(2.0, 2.0, 2.0), (1.0, 2.0, 2.0), (2.0, 1.0, 3.0), (1.0, 1.0, 1.0)])

    def keys(self):
        values = {"size": numbers(self.size)} if self.size else {"scale_factor": numbers([int(s) for s in self.scale])}
        if self.kind[0] != "nearest":
            values["mode"] = self.kind[0]
        if self.kind[1]:
            values["align_corners"] = "true"
        return values


class Network:
    """Lines of a text network, its state_dict, and the value that torch expects behind each line."""

    def __init__(self, rng, steps):
        self.channels = rng.choice([1, 1, 2, 3])
        self.x = torch.randn((self.channels,) + tuple(rng.choice([5, 6, 8, 9, 11, 14]) for _ in range(3)),
                             generator=rng.torch)
        self.lines = ["input channels=%d" % self.channels]
        self.arrays, self.saved = {}, {}
        self.state = Bounded(self.x[None])
        self.cuttable, self.vector = True, False  # whether exact patches are possible; what comes out
        for _ in range(steps):
            rng.choice([self._conv, self._conv, self._norm, self._activation, self._activation, self._pool, self._save,
                        self._from, self._join, self._join, self._cat, self._nothing, self._prelu] + rng.choice([[], [
                            self._whole_norm, self._transposed, self._upsample, self._shuffle, self._adaptive]]))(rng)
        if rng.random() < 0.15:
            self._classify(rng)

    def _say(self, rng, word, *names, **values):
        parts = [word, *names] + ["%s=%s" % (k, v) for k, v in rng.sample(sorted(values.items()), len(values))]
        self.lines.append(rng.choice([" ", "  ", "\t"]).join(parts) + rng.choice(["", "", "  # a remark"]))

    def _name(self):
        return "layers.%d" % len(self.lines)

    def _size(self):
        return tuple(self.state.value.shape[2:])

    def _conv(self, rng):
        while True:
            conv = Conv(rng, self.state.value.shape[1], self._size())
            # Strides are for small steps down: networks would end in a voxel soon.
            if (conv.padding == "same" or conv.before == conv.after) and conv.padding != "same_upper" and \
                    conv.out_channels <= MOST_CHANNELS and (max(conv.stride) == 1 or rng.random() < 0.2):
                break
        # Sums of magnitudes of one keep the values where they are, and bounds tight.
        total = conv.weight.abs().sum((1, 2, 3, 4), keepdim=True)
        conv.weight = conv.weight / torch.where(total > 0, total, torch.ones(1))
        if conv.bias is not None:
            conv.bias = torch.randn(conv.bias.shape, generator=rng.torch)
        name = self._name()
        values = {"out_channels": conv.out_channels, "kernel_size": numbers(conv.kernel), "groups": conv.groups,
                  "stride": numbers(conv.stride), "dilation": numbers(conv.dilation), "padding_mode": conv.mode,
                  "padding": conv.padding if conv.padding != "explicit" else numbers(conv.before)}
        if conv.bias is None:
            values["bias"] = rng.choice(["false", "0"])
        if rng.random() < 0.5:
            values["in_channels"] = conv.in_channels
        self._say(rng, "conv3d", name, **values)
        self.arrays[name + ".weight"] = conv.weight
        if conv.bias is not None:
            self.arrays[name + ".bias"] = conv.bias
        self.state = conv.expect(self.state)

    def _norm(self, rng):
        shape, name = (self.state.value.shape[1],), self._name()
        mean, weight, bias = (torch.randn(shape, generator=rng.torch) for _ in range(3))
        var = 0.25 + torch.rand(shape, generator=rng.torch)
        eps, affine = rng.choice([1e-5, 1e-3, 0.5]), rng.random() < 0.8
        arrays = {"running_mean": mean, "running_var": var}
        if affine:
            arrays.update(weight=weight, bias=bias)
        self.arrays.update(("%s.%s" % (name, leaf), t) for leaf, t in arrays.items())
        self.arrays[name + ".num_batches_tracked"] = torch.ones(1)  # in every state_dict, and not needed
        values = {} if eps == 1e-5 else {"eps": repr(eps)}
        if not affine:
            values["affine"] = "false"
        self._say(rng, "batchnorm3d", name, **values)
        self.state = self.state.batchnorm(mean, var, weight if affine else None, bias if affine else None, eps,
                                          folded=True)

    def _activation(self, rng):
        act = WordActivation(rng, None, None)
        self._say(rng, act.word(), **act.keys())
        self.state = act.expect(self.state)

    def _pool(self, rng):
        pool = Pool(rng, None, self._size())
        if rng.random() < 0.5 and min(self._size()) >= 3:  # one that keeps the size, whose result can be joined
            pool.kernel, pool.stride, pool.padding, pool.dilation = (3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1)
            pool.ceil_mode = False
        values = {"kernel_size": numbers(pool.kernel), "stride": numbers(pool.stride), "padding": numbers(pool.padding)}
        if pool.ceil_mode:
            values["ceil_mode"] = "true"
        if not pool.average:
            values["dilation"] = numbers(pool.dilation)
        elif not pool.include:
            values["count_include_pad"] = "false"
        self._say(rng, "avgpool3d" if pool.average else "maxpool3d", **values)
        self.state = pool.expect(self.state)

    def _prelu(self, rng):
        name, channels = self._name(), self.state.value.shape[1]
        slope = torch.randn((channels if rng.random() < 0.5 else 1,), generator=rng.torch)
        self.arrays[name + ".weight"] = slope
        self._say(rng, "prelu", name, **({} if len(slope) == 1 else {"num_parameters": channels}))
        x, s = self.state, slope.double().view(1, -1, 1, 1, 1)
        error = x.error * s.abs().clamp(min=1)
        value = torch.where(x.value < 0, x.value * s, x.value)
        self.state = Bounded(value, error + U * (value.abs() + error) + TINY)

    def _upward(self, layer):
        """Its result, unless that is too large."""
        result = layer.expect(self.state)
        if result.value.numel() > MOST_VOXELS or not result.error.isfinite().all() or result.error.max() > 1e-2:
            return False
        self.state, self.cuttable = result, False
        return True

    def _whole_norm(self, rng):
        channels, name = self.state.value.shape[1], self._name()
        norm = GroupNorm(rng, channels, None)
        instance = rng.random() < 0.5
        norm.groups = channels if instance else norm.groups
        affine = rng.random() < (0.5 if instance else 0.8)
        norm.weight, norm.bias = (torch.randn((channels,), generator=rng.torch) if affine else None for _ in range(2))
        if not self._upward(norm):
            return
        values = {} if norm.eps == 1e-5 else {"eps": repr(norm.eps)}
        if not instance:
            values["num_groups"] = norm.groups
        if affine:
            self.arrays[name + ".weight"], self.arrays[name + ".bias"] = norm.weight, norm.bias
        if instance == affine:  # not torch's default
            values["affine"] = "true" if affine else "false"
        self._say(rng, "instancenorm3d" if instance else "groupnorm", name, **values)

    def _transposed(self, rng):
        conv = ConvTranspose(rng, self.state.value.shape[1], self._size())
        total = conv.weight.abs().sum((0, 2, 3, 4), keepdim=True)
        conv.weight = conv.weight / torch.where(total > 0, total, torch.ones(1))
        if conv.bias is not None:
            conv.bias = torch.randn(conv.bias.shape, generator=rng.torch)
        if not conv.symmetric or conv.out_channels > MOST_CHANNELS or not self._upward(conv):
            return
        name = self._name()
        values = {"out_channels": conv.out_channels, "kernel_size": numbers(conv.kernel), "groups": conv.groups,
                  "stride": numbers(conv.stride), "dilation": numbers(conv.dilation), "padding": numbers(conv.before),
                  "output_padding": numbers(conv.output)}
        if conv.bias is None:
            values["bias"] = "false"
        else:
            self.arrays[name + ".bias"] = conv.bias
        self.arrays[name + ".weight"] = conv.weight
        self._say(rng, "conv_transpose3d", name, **values)

    def _upsample(self, rng):
        resize = WordResize(rng, self._size())
        if self._upward(resize):
            self._say(rng, "upsample", **resize.keys())

    def _shuffle(self, rng):
        """torch.nn.PixelShuffle with an axis more; a place for every number, whatever it is off by."""
        channels = self.state.value.shape[1]
        fitting = [f for f in ((2, 1, 1), (1, 2, 1), (1, 1, 2), (1, 2, 2), (2, 2, 2), (3, 1, 1))
                   if channels % (f[0] * f[1] * f[2]) == 0]
        if not fitting:
            return
        f = rng.choice(fitting)

        def shuffle(t):
            d, h, w = t.shape[2:]
            t = t.reshape(1, -1, *f, d, h, w).permute(0, 1, 5, 2, 6, 3, 7, 4)
            return t.reshape(1, -1, d * f[0], h * f[1], w * f[2])

        self.state, self.cuttable = Bounded(shuffle(self.state.value), shuffle(self.state.error)), False
        self._say(rng, "pixel_shuffle3d", upscale_factor=numbers(f))

    def _adaptive(self, rng):
        pool = AdaptivePool(rng, None, self._size())
        pool.size = tuple(max(s, 2) for s in pool.size) if rng.random() < 0.7 else pool.size
        if self._upward(pool):
            word = "adaptive_avgpool3d" if pool.average else "adaptive_maxpool3d"
            if rng.random() < 0.5:
                self._say(rng, word, numbers(pool.size))
            else:
                self._say(rng, word, output_size=numbers(pool.size))

    def _classify(self, rng):
        """A linear layer is a convolution whose kernel is as large as its input."""
        name, shape, outputs = "head", tuple(self.state.value.shape[1:]), rng.choice([1, 2, 10])
        weight = torch.randn((outputs,) + shape, generator=rng.torch) / self.state.value[0].numel()
        bias = torch.randn((outputs,), generator=rng.torch) if rng.random() < 0.7 else None
        self._say(rng, "flatten")
        self._say(rng, "linear", name, out_features=outputs, **({} if bias is not None else {"bias": "false"}))
        self.arrays[name + ".weight"] = weight.reshape(outputs, -1)
        if bias is not None:
            self.arrays[name + ".bias"] = bias
        self.state = self.state.conv(weight, bias, 1, 1, (0, 0, 0), (0, 0, 0), "zeros", 1)
        self.cuttable, self.vector = False, True

    def _save(self, rng):
        name = rng.choice(["a", "b", "skip"])
        self.saved[name] = self.state
        self._say(rng, "save", name)

    def _from(self, rng):
        if self.saved and rng.random() < 0.5:
            name = rng.choice(sorted(self.saved))
            self.state = self.saved[name]
            self._say(rng, "from", name)

    def _fitting(self, fits):
        return sorted(name for name, value in self.saved.items() if fits(value.value.shape[1:], self.state.value.shape[1:]))

    def _join(self, rng):
        def fits(b, a):
            """As torch broadcasts one of the two to the other's shape: C alone, or D, H and W together."""
            def to(part, whole):
                return part[0] in (1, whole[0]) and (part[1:] == whole[1:] or tuple(part[1:]) == (1, 1, 1))
            return to(a, b) or to(b, a)

        names = self._fitting(fits)
        if not names:
            return
        name, word = rng.choice(names), rng.choice(["add", "add", "mul"])
        result = getattr(self.state, word)(self.saved[name])
        if result.value.abs().max() < MOST_VALUE:
            self.state = result
            self._say(rng, word, name)

    def _cat(self, rng):
        names = self._fitting(lambda b, a: b[1:] == a[1:])
        names = [rng.choice(names + ["."]) for _ in range(rng.randint(1, 3))] + ["."]
        rng.shuffle(names)
        parts = [self.state if name == "." else self.saved[name] for name in names]
        if sum(p.value.shape[1] for p in parts) <= MOST_CHANNELS:
            self.state = Bounded.cat(parts)
            self._say(rng, "cat", *names)

    def _nothing(self, rng):
        self._say(rng, rng.choice(["identity", "dropout p=0.5", "dropout3d"]))


def check(build, words, output, expected):
    """Runs the command; what is wrong with its output, or None."""
    done = subprocess.run([os.path.join(build, "voxconv"), "run"] + words + ["-o", output], capture_output=True, text=True)
    if done.returncode:
        return "status %d: %s" % (done.returncode, done.stderr)
    if output.endswith(".npy"):
        y = torch.from_numpy(np.load(output))
        if y.shape != expected.value.shape[:2]:
            return "shape %s, torch has %s" % (tuple(y.shape), tuple(expected.value.shape[:2]))
        y = y.view(expected.value.shape)
    else:
        y = load_scan(output, expected.value.shape)
    if y is None:
        return "dim %s, torch has %s" % (nib.load(output).shape, tuple(expected.value.shape))
    count, excess = expected.outside(y)
    return "%d of %d values outside the bound, by up to %.3g times" % (count, y.numel(), excess) if count else None


def how(rng, cuttable=True):
    return rng.choice([[], ["-j", "2"], ["--slab", str(rng.randint(1, 4))]] +
                      ([["--patch-size", str(rng.randint(2, 9))]] if cuttable else []))


class StateDict:
    """A random network with its weights in a file."""

    def __init__(self, rng, folder, index):
        self.network = Network(rng, rng.randint(1, 14))
        stem = os.path.join(folder, "case%d" % index)
        save_scan(stem + "_in.nii", self.network.x)
        with open(stem + ".txt", "w") as f:
            f.write("\n".join(self.network.lines) + "\n")
        prefix = rng.choice(["", "model."])
        arrays = {prefix + name: t.numpy() for name, t in self.network.arrays.items()} or {"none": np.zeros(1, "f4")}
        weights = stem + rng.choice([".npz", ".safetensors"])
        if weights.endswith("z"):
            np.savez(weights, **arrays)
        else:
            tensors.save_safetensors(weights, arrays)
        self.words = [stem + ".txt", stem + "_in.nii", "-w", weights + (":model" if prefix else "")]
        self.words += how(rng, self.network.cuttable)
        self.output = stem + ("_out.npy" if self.network.vector else "_out.nii")

    def execute(self, build):
        return check(build, self.words, self.output, self.network.state)

    def __str__(self):
        lines = "; ".join(line.split("#")[0].strip() for line in self.network.lines)
        return "%s, input %s: %s" % (" ".join(self.words[4:]), tuple(self.network.x.shape), lines)


class Initial:
    """torch.manual_seed(N); torch.nn.Sequential(...), and the same lines with --init --seed N."""

    def __init__(self, rng, folder, index):
        stem = os.path.join(folder, "initial%d" % index)
        channels, seed = rng.choice([1, 2, 4]), rng.choice([0, 1, rng.getrandbits(32)])
        x = torch.randn((channels, 9, 8, 10), generator=rng.torch)
        self.lines, self.state = ["input channels=%d" % channels], Bounded(x[None])
        torch.manual_seed(seed)
        for _ in range(rng.randint(1, 5)):
            channels = self._block(rng, channels)
        save_scan(stem + "_in.nii", x)
        with open(stem + ".txt", "w") as f:
            f.write("\n".join(self.lines))
        self.words = [stem + ".txt", stem + "_in.nii", "--init", "--seed", str(seed)] + how(rng)
        self.output = stem + "_out.nii"

    def _block(self, rng, channels):
        """The layers draw from torch's generator as they are made; random choices come from ours alone."""
        out = rng.choice([1, 2, 4, 8])
        groups = rng.choice([g for g in (1, 2, 4) if channels % g == 0 and out % g == 0])
        kernel, bias = rng.choice([(1, 1, 1), (3, 3, 3), (1, 3, 3), (3, 1, 5)]), rng.random() < 0.7
        padding = tuple(k // 2 for k in kernel)
        layer = torch.nn.Conv3d(channels, out, kernel, padding=padding, groups=groups, bias=bias)
        self.lines.append("conv3d out_channels=%d kernel_size=%s padding=%s groups=%d bias=%s" % (
            out, numbers(kernel), numbers(padding), groups, "true" if bias else "false"))
        self.state = self.state.conv(layer.weight.detach(), layer.bias.detach() if bias else None, 1, 1, padding, padding,
                                     "zeros", groups)
        if rng.random() < 0.5:
            norm = torch.nn.BatchNorm3d(out)
            self.lines.append("batchnorm3d")
            self.state = self.state.batchnorm(norm.running_mean, norm.running_var, norm.weight.detach(),
                                              norm.bias.detach(), norm.eps, folded=True)
        if rng.random() < 0.7:
            act = WordActivation(rng, None, None)
            self.lines.append(" ".join([act.word()] + ["%s=%s" % item for item in act.keys().items()]))
            self.state = act.expect(self.state)
        return out

    def execute(self, build):
        return check(build, self.words, self.output, self.state)

    def __str__(self):
        return "%s: %s" % (" ".join(self.words[2:]), "; ".join(self.lines))


def run_cases(tally, build, scratch, rng, count, kind):
    folder = os.path.join(scratch, kind.__name__)
    os.mkdir(folder)
    cases = [kind(rng, folder, i) for i in range(count)]
    with ThreadPoolExecutor(2) as pool:
        for case, problem in zip(cases, pool.map(lambda case: case.execute(build), cases)):
            tally.check(problem, case)


def run(tally, build, scratch, rng, count):
    run_cases(tally, build, scratch, rng, count, StateDict)


def run_initial(tally, build, scratch, rng, count):
    run_cases(tally, build, scratch, rng, count, Initial)


def brainchop(path, x, turned):
    """A chain of Conv3D and Activation, from model.json and its one shard, in torch."""
    with open(os.path.join(path, "model.json")) as f:
        model = json.load(f)
    group, = model["weightsManifest"]
    with open(os.path.join(path, group["paths"][0]), "rb") as f:
        data, weights = f.read(), {}
    at = 0
    for entry in group["weights"]:
        count = int(np.prod(entry["shape"]))
        weights[entry["name"]] = torch.from_numpy(np.frombuffer(data, "<f4", count, at).reshape(entry["shape"]).copy())
        at += 4 * count
    topology = model["modelTopology"]
    state = Bounded(x)
    for layer in topology.get("model_config", topology)["config"]["layers"][1:]:
        config = layer["config"]
        if layer["class_name"] == "Activation":
            state = state.activation(config["activation"], (1.0,) if config["activation"] == "elu" else ())
            continue
        assert layer["class_name"] == "Conv3D" and config["padding"] == "same" and config["activation"] == "linear"
        kernel = weights[config["name"] + "/kernel"].permute((4, 3, 2, 1, 0) if turned else (4, 3, 0, 1, 2))
        dilation = config["dilation_rate"][::-1] if turned else config["dilation_rate"]
        padding = [d * (k - 1) // 2 for d, k in zip(dilation, kernel.shape[2:])]
        state = state.conv(kernel, weights[config["name"] + "/bias"], 1, dilation, padding, padding, "zeros", 1)
    return state


def labels_differ(labels, state):
    """Where the largest channel is larger than every other by more than both errors, its number is the label."""
    value, error = state.value[0], state.error[0]
    sure = (value - error).amax(0)
    wrong = (value + error).gather(0, labels.long())[0] < sure
    return int(wrong.sum())


def run_brainchop(tally, build, scratch):
    data = identity.folders()[-1]
    models, scan = os.path.join(os.path.dirname(os.path.abspath(data)), "models"), os.path.join(data, "mri_t1_256.nii.gz")
    if not os.path.isdir(models) or not os.path.exists(scan):
        print("SKIP: brainchop's models: %s or %s is not there" % (models, scan))
        return
    crop = np.asarray(nib.load(scan).dataobj[110:128, 120:140, 100:116], np.float32)
    x = torch.from_numpy((crop / crop.max()).transpose(2, 1, 0).copy())[None, None]
    source, output = os.path.join(scratch, "crop.nii"), os.path.join(scratch, "classes.nii")
    save_scan(source, x[0])
    for name in sorted(os.listdir(models)):
        path = os.path.join(models, name)
        if not os.path.exists(os.path.join(path, "model.json")):
            continue
        for axes in ("dhw", "whd"):
            expected = brainchop(path, x, axes == "whd")
            words = [os.path.join(path, "model.json"), source, "-q", "-f", "--axes", axes]
            tally.check(check(build, words, output, expected), "%s --axes %s" % (name, axes))
            problem = check(build, words + ["--argmax"], output, Bounded(torch.zeros(1, 1, *x.shape[2:]), torch.full(
                (1, 1, *x.shape[2:]), 255.0)))
            if not problem:
                labels = load_scan(output, (1, 1) + tuple(x.shape[2:]))[0]
                count = labels_differ(labels, expected)
                problem = "%d labels are not those of the largest channel" % count if count else None
            tally.check(problem, "%s --axes %s --argmax" % (name, axes))
