#!/usr/bin/env python3
"""bench_networks.py BUILD - whole networks beside torch and ONNX Runtime: time, peak memory, and whether they agree.

Networks: a U-Net with instance norm (16 to 128 channels, two convolutions a level) on random 160^3 voxels; and the
TensorFlow.js models under $VOXCONV_MODELS, where there are any, on the scan $VOXCONV_SCAN. Programs take turns, each
in a process of its own, --rounds times. Seconds of the peers are those of the network alone, without start and
loading; ours are the whole command from file to file. Memory is the largest resident set of the process.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

import nibabel
import numpy as np
import torch

HERE = os.path.dirname(os.path.abspath(__file__))


def block(inputs, outputs):
    layers = []
    for channels in (inputs, outputs):
        layers += [torch.nn.Conv3d(channels, outputs, 3, padding=1), torch.nn.InstanceNorm3d(outputs, affine=True),
                   torch.nn.LeakyReLU(0.01)]
    return torch.nn.Sequential(*layers)


class UNet(torch.nn.Module):
    def __init__(self, channels=(16, 32, 64, 128), classes=3):
        super().__init__()
        levels = range(len(channels) - 1)
        self.down = torch.nn.ModuleList(block(i, o) for i, o in zip((1,) + channels, channels))
        self.pool = torch.nn.MaxPool3d(2)
        self.up = torch.nn.ModuleList(
            torch.nn.ConvTranspose3d(channels[k + 1], channels[k], 2, stride=2) for k in levels)
        self.merge = torch.nn.ModuleList(block(2 * channels[k], channels[k]) for k in levels)
        self.classes = torch.nn.Conv3d(channels[0], classes, 1)

    def forward(self, x):
        skips = []
        for down in self.down:
            x = down(self.pool(x) if skips else x)
            skips.append(x)
        skips.pop()
        for up, merge in zip(reversed(self.up), reversed(self.merge)):
            x = merge(torch.cat([skips.pop(), up(x)], 1))
        return self.classes(x)


def meshnet(folder):
    """A TensorFlow.js model of convolutions and activations only, in torch; its axes are x, y, z."""
    topology = json.load(open(f"{folder}/model.json"))
    manifest = topology["weightsManifest"][0]
    raw = b"".join(open(f"{folder}/{path}", "rb").read() for path in manifest["paths"])
    values = np.frombuffer(raw, "<f4")
    weights = {}
    for w in manifest["weights"]:
        count = int(np.prod(w["shape"]))
        weights[w["name"]], values = values[:count].reshape(w["shape"]), values[count:]
    layers = []
    for layer in topology["modelTopology"]["model_config"]["config"]["layers"]:
        c = layer["config"]
        if layer["class_name"] == "Conv3D":
            kernel = torch.from_numpy(weights[c["name"] + "/kernel"].transpose(4, 3, 2, 1, 0).copy())
            conv = torch.nn.Conv3d(kernel.shape[1], kernel.shape[0], kernel.shape[2:], padding="same",
                                   dilation=c["dilation_rate"])
            conv.weight.data = kernel
            conv.bias.data = torch.from_numpy(weights[c["name"] + "/bias"].copy())
            layers.append(conv)
        elif layer["class_name"] == "Activation":
            layers.append({"relu": torch.nn.ReLU, "elu": torch.nn.ELU}[c["activation"]]())
    # torch has no name for the padding 'same' in ONNX.
    for conv in layers[0::2]:
        conv.padding = tuple(d * (k - 1) // 2 for d, k in zip(conv.dilation, conv.kernel_size))
    return torch.nn.Sequential(*layers)


def unet():
    torch.manual_seed(1)
    model = UNet().eval()
    for module in model.modules():
        if isinstance(module, torch.nn.InstanceNorm3d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
    return model


def network(name):
    return unet() if name == "unet" else meshnet(name)


def torch_peer(name, source, target, threads, size):
    import time
    torch.set_num_threads(threads)
    x = torch.from_numpy(np.fromfile(source, np.float32).reshape(1, 1, *size))
    model = network(name).eval()
    with torch.inference_mode():
        start = time.perf_counter()
        y = model(x)
        print(time.perf_counter() - start)
    y.numpy().tofile(target)


# A process's largest resident set counts what it was before it became another program, so the program is started by a
# small one, and not by this one with its torch and its volumes. The last line of stderr is seconds and kB.
LAUNCHER = """import os, sys, time
start = time.perf_counter()
pid = os.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
status, usage = os.wait4(pid, 0)[1:]
print(time.perf_counter() - start, usage.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def measure(command, env=None):
    """(seconds that it prints, or of the whole process; peak MB)."""
    done = subprocess.run([sys.executable, "-S", "-c", LAUNCHER, *command], capture_output=True, env=env)
    if done.returncode:
        sys.exit(f"{command}: {done.stderr.decode()[-2000:]}")
    whole, kilobytes = done.stderr.split()[-2:]
    seconds = float(done.stdout if re.fullmatch(rb"[\d.e-]+\s*", done.stdout) else whole)
    return seconds, int(kilobytes) / 1024


def bench(name, x, args, folder):
    size = x.shape
    source, onnx = f"{folder}/x.f32", f"{folder}/model.onnx"
    x.tofile(source)
    nibabel.Nifti1Image(x.transpose(2, 1, 0), np.eye(4)).to_filename(f"{folder}/x.nii")
    torch.onnx.export(network(name).eval(), torch.zeros(1, 1, 32, 32, 32), onnx, opset_version=13,
                      input_names=["x"], output_names=["y"],
                      dynamic_axes={"x": [2, 3, 4], "y": [2, 3, 4]})
    ours = [f"{folder}/model.onnx"] if name == "unet" else [f"{name}/model.json", "--axes", "whd"]
    dims = ",".join(map(str, size))
    runs = {
        "voxconv": [f"{args.build}/voxconv", "run", *ours, f"{folder}/x.nii", "-f", "-o", f"{folder}/voxconv.nii",
                    "-j", str(args.threads)],
        "torch": [sys.executable, __file__, "--peer", name, source, f"{folder}/torch", str(args.threads), dims],
    }
    env = None
    if args.node_modules and os.path.isdir(f"{args.node_modules}/onnxruntime-node"):
        env = {**os.environ, "NODE_PATH": os.path.abspath(args.node_modules)}
        runs["onnxruntime"] = ["node", f"{HERE}/peer_network.js", onnx, source, f"{folder}/onnxruntime",
                               str(args.threads), dims]
    seconds, memory = {p: [] for p in runs}, {p: [] for p in runs}
    for _ in range(args.rounds):
        for program, command in runs.items():
            s, m = measure(command, env)
            seconds[program].append(s)
            memory[program].append(m)
    report(name, runs, seconds, memory)
    agree(folder, size, [p for p in runs if p != "voxconv"])


def report(name, runs, seconds, memory):
    print(f"\n{os.path.basename(name)}: seconds (median), peak MB, and ratios to voxconv (of each round, median)")
    for p in runs:
        ratio = statistics.median(a / b for a, b in zip(seconds[p], seconds["voxconv"]))
        share = statistics.median(b / a for a, b in zip(memory[p], memory["voxconv"]))
        print(f"  {p:12} {statistics.median(seconds[p]):8.2f} s {max(memory[p]):8.0f} MB   "
              f"time {ratio:5.2f} x, voxconv's memory is {share:.3f} of it", flush=True)


def agree(folder, size, peers):
    ours = np.asarray(nibabel.load(f"{folder}/voxconv.nii").dataobj)
    ours = ours.reshape(*size[::-1], -1).transpose(3, 2, 1, 0)
    for p in peers:
        y = np.fromfile(f"{folder}/{p}", np.float32).reshape(ours.shape)
        off = np.abs(y - ours).max() / (y.max() - y.min())
        labels = np.count_nonzero(y.argmax(0) != ours.argmax(0))
        print(f"  against {p}: largest difference {off:.2e} of the range, {labels} of {y[0].size} labels differ")


def main():
    if sys.argv[1:2] == ["--peer"]:
        name, source, target, threads, dims = sys.argv[2:]
        torch_peer(name, source, target, int(threads), [int(d) for d in dims.split(",")])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--node-modules", default="build-bench/node_modules")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only")
    args = parser.parse_args()
    models = os.environ.get("VOXCONV_MODELS", "")
    found = [f"{models}/{m}" for m in sorted(os.listdir(models))] if models else []
    found = [m for m in found if os.path.exists(f"{m}/model.json")]
    with tempfile.TemporaryDirectory() as folder:
        for name in ["unet"] + found:
            if args.only and os.path.basename(name) != args.only:
                continue
            if name == "unet":
                x = np.random.default_rng(2).standard_normal((160, 160, 160), np.float32)
            else:
                x = np.asarray(nibabel.load(os.environ["VOXCONV_SCAN"]).dataobj, np.float32).transpose(2, 1, 0)
                x = np.ascontiguousarray((x - x.min()) / (x.max() - x.min()))
            bench(name, x, args, folder)


if __name__ == "__main__":
    main()
