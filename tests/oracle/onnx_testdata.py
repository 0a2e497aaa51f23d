"""onnx_testdata.py BUILD - the 5-D tests of Debian's libonnx-testdata through `voxconv run`, at the tolerance of ONNX's
own backend tests (rtol 1e-3, atol 1e-7).

Their inputs and outputs are TensorProto files. A second input goes by name (--input).
"""
import os
import subprocess
import sys
import tempfile

import numpy as np

ROOT = "/usr/share/libonnx-testdata/data"
TESTS = ["node/test_averagepool_3d_default", "node/test_convtranspose_3d", "node/test_maxpool_3d_default"] + [
    "pytorch-converted/test_" + name for name in (
        "AvgPool3d", "AvgPool3d_stride", "AvgPool3d_stride1_pad0_gpu_input", "BatchNorm3d_eval",
        "BatchNorm3d_momentum_eval", "Conv3d", "Conv3d_dilated", "Conv3d_dilated_strided", "Conv3d_groups",
        "Conv3d_no_bias", "Conv3d_stride", "Conv3d_stride_padding", "MaxPool3d", "MaxPool3d_stride",
        "MaxPool3d_stride_padding", "PReLU_3d", "PReLU_3d_multiparam")]


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


def fields(data):
    """(number, value) of each field of a message; lengths as bytes."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 0:
            value, at = varint(data, at)
        else:
            size = {1: 8, 5: 4}.get(tag & 7)
            if size is None:
                size, at = varint(data, at)
            value, at = data[at:at + size], at + size
        yield tag >> 3, value


def tensor(path):
    """A float TensorProto's array."""
    dims, raw = [], b""
    for number, value in fields(open(path, "rb").read()):
        if number == 1:
            dims += [value] if isinstance(value, int) else [d for d in value]
        elif number in (4, 9):
            raw = value
    return np.frombuffer(raw, "<f4").reshape(dims)


def input_names(model):
    graph = next(value for number, value in fields(model) if number == 7)
    known = {v for number, t in fields(graph) if number == 5 for n, v in fields(t) if n == 8}
    names = [next(v for n, v in fields(i) if n == 1) for number, i in fields(graph) if number == 11]
    return [name for name in names if name not in known]


def run(build, test, folder):
    model = os.path.join(ROOT, test, "model.onnx")
    data = os.path.join(ROOT, test, "test_data_set_0")
    paths = [os.path.join(folder, name) for name in ("x.npy", "y.npy")]
    command = [os.path.join(build, "voxconv"), "run", model, paths[0], "-f", "-o", paths[1]]
    for i, name in enumerate(input_names(open(model, "rb").read())):
        path = os.path.join(folder, "input_%d.npy" % i) if i else paths[0]
        np.save(path, tensor(os.path.join(data, "input_%d.pb" % i)))
        command += ["--input", name.decode() + "=" + path] if i else []
    want = tensor(os.path.join(data, "output_0.pb"))
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return done.stderr.strip()
    y = np.load(paths[1])
    if y.shape != want.shape:
        return "shape %s instead of %s" % (y.shape, want.shape)
    close = np.isclose(y, want, rtol=1e-3, atol=1e-7)
    return None if close.all() else "%d of %d values differ" % ((~close).sum(), close.size)


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for test in TESTS:
            reason = run(sys.argv[1], test, folder)
            if reason:
                print("onnx_testdata: %s: %s" % (test, reason))
                failed += 1
    print("onnx_testdata: %d passed, %d failed" % (len(TESTS) - failed, failed))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
