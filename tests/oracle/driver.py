"""Writes cases for build/oracle_driver and reads what it answers (tests/tools/oracle_driver.c)."""
import os
import struct
import subprocess

import numpy as np
import torch

from bounded import MODES
from layers import ACTIVATIONS, Activation, BatchNorm, Conv, Pool

PADDINGS = ["explicit", "same", "valid", "same_upper"]  # the order of vox_padding
INITS = ["kaiming_uniform", "kaiming_normal", "torch"]  # the order of vox_init


class Cases:
    """The file of cases: int64, double and float32 in the machine's order."""

    def __init__(self, path):
        self.file = open(path, "wb")

    def ints(self, *values):
        self.file.write(struct.pack("=%dq" % len(values), *map(int, values)))

    def double(self, value):
        self.file.write(struct.pack("=d", value))

    def floats(self, tensor):
        self.file.write(tensor.contiguous().numpy().astype("=f4").tobytes())

    def chain(self, case):
        self.ints(0, *case.x.shape, len(case.layers))
        for layer in case.layers:
            self._layer(layer)
        self.floats(case.x)

    def init(self, scheme, seed, shape):
        self.ints(1, INITS.index(scheme), seed, *shape)

    def _layer(self, layer):
        if isinstance(layer, Conv):
            self.ints(0, layer.in_channels, layer.out_channels, layer.groups, *layer.kernel,
                      *layer.stride, *layer.dilation, PADDINGS.index(layer.padding), *layer.before,
                      *layer.after, MODES.index(layer.mode), layer.bias is not None)
            self.floats(layer.weight)
            if layer.bias is not None:
                self.floats(layer.bias)
        elif isinstance(layer, BatchNorm):
            self.ints(1, layer.mean.numel(), layer.weight is not None, layer.bias is not None)
            self.double(layer.eps)
            for t in (layer.mean, layer.var, layer.weight, layer.bias):
                if t is not None:
                    self.floats(t)
        elif isinstance(layer, Activation):
            self.ints(2, ACTIVATIONS.index(layer.kind))
            for value in (layer.parameter + (0.0, 0.0))[:2]:
                self.double(value)
        elif isinstance(layer, Pool):
            self.ints(3, layer.average, *layer.kernel, *layer.stride, *layer.padding,
                      *layer.padding, *layer.dilation, layer.ceil_mode, layer.include)
        else:
            layer.write(self)


class Results:
    """The answers, in the order of the cases. A refusal comes back as its message."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        self.at = 0

    def _take(self, form):
        values = struct.unpack_from("=" + form, self.data, self.at)
        self.at += struct.calcsize("=" + form)
        return values

    def _floats(self, shape):
        count = int(np.prod(shape))
        array = np.frombuffer(self.data, "=f4", count, self.at).reshape(shape)
        self.at += 4 * count
        return torch.from_numpy(array.copy())

    def _refusal(self):
        status, = self._take("q")
        if status == 0:
            return None
        length, = self._take("q")
        text = self.data[self.at:self.at + length].decode(errors="replace")
        self.at += length
        return "status %d: %s" % (status, text)

    def chain(self, batch):
        """(None, y, stride, origin) or (message, None, None, None)."""
        refusal = self._refusal()
        if refusal:
            return refusal, None, None, None
        shape = self._take("4q")
        stride, origin = self._take("3d"), self._take("3d")
        return None, self._floats((batch,) + shape), stride, origin

    def init(self, shape):
        refusal = self._refusal()
        if refusal:
            return refusal, None, None
        return None, self._floats(shape), self._floats((shape[0],))


def run(build, cases_path, results_path):
    subprocess.run([os.path.join(build, "oracle_driver"), cases_path, results_path], check=True)
    return Results(results_path)
