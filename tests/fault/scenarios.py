"""scenarios.py - the runs of voxconv that fault.py lets fail, and the small files that they read.

A scenario runs in a folder of its own with in/ (the files made here), out/ and tmp/ (TMPDIR). Volumes are a few
kilobytes, so that a run takes milliseconds and has few calls, but have what makes the difference: several channels that
lie one after the other, gzip, pairs, patches, pipes.
"""
import os
import subprocess
import sys
from dataclasses import dataclass, field

HERE = os.path.dirname(os.path.abspath(__file__))
SMALL = os.path.join(HERE, "..", "cli", "small.py")
MODELS = os.path.join(HERE, "..", "cli", "make_models.py")


@dataclass
class Scenario:
    name: str
    args: list
    stdin: str = None  # a file of in/; "|" in front: through a pipe
    stdout: str = "pipe"  # or "file"
    old: list = field(default_factory=list)  # files of out/ that are there before
    bare: bool = False  # a file system without O_TMPFILE, fallocate and renameat2's flags

    def threads(self):
        return (1, 2) if self.has_threads() else (1,)

    def has_threads(self):
        return self.args[0] in ("conv", "augment", "run")


def scenarios():
    torch = "--init torch --seed 1 -k 3 -p same --out-channels"
    mesh = "in/net.txt --init --seed 1"
    little = "-m 20540000"  # less than all of in/slices.nii.gz beside the program, and more than two planes
    return [
        Scenario(name, args.split(), **more)
        for name, args, more in [
            ("gzip", "conv in/scan.nii.gz --kernel gaussian:1 -o out/x.nii.gz", {}),
            ("plain", "conv in/scan.nii --kernel box:3 -o out/x.nii", {}),
            ("pair", "conv in/pair.hdr --kernel sobel:x -o out/x.hdr", {}),
            ("pair, gzip", "conv in/pair.img --kernel box:3 -o out/x.img.gz -z 0", {}),
            ("channels", f"conv in/scan.nii {torch} 3 --activation relu --max-pool 2 -o out/x.nii", {}),
            ("output spool", f"conv in/scan.nii -w in/layer.safetensors -p same -o out/x.nii.gz", {}),
            ("input spool", f"conv in/frames.nii.gz --time channels {torch} 1 -o out/x.nii", {}),
            ("patches", "conv in/scan.nii --kernel gaussian:1 --patch-size 5 -o out/x.nii", {}),
            ("patches, both spools", f"conv in/scan.nii.gz {torch} 2 --patch-size 6 -o out/x.nii.gz", {}),
            ("to a pipe", "conv in/scan.nii.gz --kernel box:3 -o -", {}),
            ("to a file", "conv in/scan.nii --kernel box:3 -z 6 -o -", {"stdout": "file"}),
            ("spooled to a pipe", f"conv - {torch} 2 -o -", {"stdin": "|scan.nii"}),
            ("from a pipe", "conv - --kernel laplacian -o out/x.nii", {"stdin": "|scan.nii.gz"}),
            ("from a file", f"conv - --time channels {torch} 2 -o out/x.nii.gz", {"stdin": "frames.nii"}),
            ("split", f"conv in/scan.nii {torch} 3 --split -o out/x.nii.gz", {}),
            ("split pair", f"conv in/scan.nii {torch} 2 --split -o out/x.img", {}),
            ("force", "conv in/scan.nii --kernel box:3 -f -o out/x.nii.gz", {"old": ["x.nii.gz"]}),
            ("force pair", "conv in/scan.nii --kernel box:3 -f -o out/x.img", {"old": ["x.hdr", "x.img"]}),
            ("force split", f"conv in/scan.nii {torch} 3 --split -f -o out/x.nii",
             {"old": ["x_0000.nii", "x_0002.nii"]}),
            ("stacked", "conv in/scan.nii in/scan.nii.gz in/pair.hdr --init kaiming_normal -k 3 -o out/x.nii", {}),
            ("circular", f"conv in/frames.nii --kernel gaussian:1 --padding-mode circular -t input -o out/x.nii.gz", {}),
            (".npz, batch norm", "conv in/scan.nii -w in/layer.npz -p same --batchnorm in/norm.safetensors -o out/x.nii", {}),
            (".npy, bias", "conv in/scan.nii -w in/box.npy --bias in/bias.npz -p same -o out/x.nii", {}),
            (".pt", "conv in/scan.nii -w in/layer.pt:conv -p same -o out/x.nii", {}),
            ("text", "conv in/scan.nii -w in/box.txt -p same -o out/x.nii", {}),
            (".nii.gz weights", "conv in/scan.nii -w in/box.nii.gz -p same -o out/x.nii", {}),
            ("old file system", f"conv in/scan.nii {torch} 2 -o out/x.nii.gz", {"bare": True}),
            ("old file system, split", f"conv in/scan.nii {torch} 2 --split -o out/x.nii", {"bare": True}),
            ("old file system, force", "conv in/scan.nii --kernel box:3 -f -o out/x.img",
             {"old": ["x.hdr", "x.img"], "bare": True}),
            ("augment", "augment in/scan.nii.gz --label in/pair.hdr --seed 3 --flip p=1 --noise sigma=1,p=1 -o out", {}),
            ("augment, plain, force", "augment in/scan.nii --seed 0 --rot90 p=1,plane=DW -f -o out/x.nii.gz",
             {"old": ["x.nii.gz"]}),
            ("augment, spool", f"augment - --seed 0 --flip D,p=1 {little} -o out/x.nii", {"stdin": "|slices.nii.gz"}),
            ("kernel .npz", "kernel --init torch -o out/x.npz", {}),
            ("kernel .safetensors", "kernel --init torch -o out/x.safetensors", {}),
            ("kernel .npy", "kernel gaussian:1 -o out/x.npy", {}),
            ("kernel .txt", "kernel box:3 -o out/x.txt", {}),
            ("kernel .nii.gz", "kernel sobel:y -o out/x.nii.gz", {}),
            ("kernel, force", "kernel --init torch -f -o out/x.npz", {"old": ["x.npz"]}),
            ("kernel, printed", "kernel laplacian", {}),
            ("info", "info in/scan.nii.gz", {}),
            ("info --json", "info --json in/größe.nii", {}),
            ("plan", "conv in/scan.nii --kernel box:3 -o out/x.nii --plan --json", {}),
            ("tensor", f"conv in/array.npy {torch} 2 -o out/x.npy", {}),
            ("tensor from a pipe", f"conv - {torch} 2 -o -", {"stdin": "|array.npy"}),
            ("run, text", "run in/net.txt -w in/layer.pt:state_dict in/scan.nii.gz -o out/x.nii.gz", {}),
            ("run, ONNX", "run in/models/functional.onnx in/models/in.nii -o out/x.nii", {}),
            ("run, ONNX, tensors", "run in/models/functional.onnx in/array.npy -o out/x.npy", {}),
            ("run, TensorFlow.js", "run in/models/upward/model.json --axes whd in/models/in.nii -o out/x.nii", {}),
            ("run, values", "run in/models/classifier/model.json in/models/in.nii --json", {}),
            ("run, whole volumes", "run in/norm_net.txt --init --seed 1 in/scan.nii -o out/x.nii", {}),
            ("run, prepared", f"run {mesh} in/scan.nii.gz --spacing 2,1.5,1 --orientation LIA --shape 16 -o out/x.nii.gz",
             {}),
            ("run, prepared, spool", f"run {mesh} - --intensity percentile:1,99 --softmax -o -", {"stdin": "|scan.nii.gz"}),
            ("run, labels", f"run {mesh} in/scan.nii --argmax --labels in/label_names.txt -o out/x.nii", {}),
            ("run, blended", f"run {mesh} in/scan.nii --argmax --patch-size 6 --blend gaussian -o out/x.nii.gz", {}),
            ("run, card", "run in/card_net.txt --init --seed 1 in/scan.nii -o out/x.nii", {}),
            ("run, plan", f"run {mesh} in/scan.nii --spacing 2 -o out/x.nii --plan", {}),
        ]
    ]


def make_inputs(voxconv, folder):
    """What the scenarios read. The folder is there."""

    def run(*command):
        subprocess.run(command, check=True, cwd=folder)

    def write(name, text):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    for name in "scan.nii", "scan.nii.gz":
        run(sys.executable, SMALL, "volume", name, "12,10,9")
    for name in "frames.nii", "frames.nii.gz":
        run(sys.executable, SMALL, "volume", name, "8,7,6,3")
    run(sys.executable, SMALL, "volume", "slices.nii.gz", "128,128,8")
    os.link(os.path.join(folder, "frames.nii"), os.path.join(folder, "größe.nii"))
    values = ",".join(str(n) for n in range(1, 4))
    run(sys.executable, SMALL, "tensors", "norm.safetensors",
        *("%s=3:%s" % (n, values) for n in ("running_mean", "running_var", "weight", "bias")))
    run(sys.executable, SMALL, "tensors", "layer.pt", "conv.weight=2,1,1,1,3:1,2,3,4,5,6", "conv.bias=2:1,2",
        "norm.weight=2:3,4")
    run(voxconv, "conv", "scan.nii", "--kernel", "identity", "-o", "pair.hdr")
    for name in "layer.safetensors", "layer.npz":
        run(voxconv, "kernel", "--init", "torch", "--out-channels", "3", "-o", name)
    for name in "box.npy", "box.txt", "box.nii.gz":
        run(voxconv, "kernel", "box:3", "-o", name)
    run(voxconv, "kernel", "--init", "torch", "-o", "bias.npz")
    run(sys.executable, SMALL, "array", "array.npy", "2,1,4,5,6")
    run(sys.executable, MODELS, "models")
    net = ["input channels=1", "conv3d conv out_channels=2 kernel_size=1,1,3 padding=0,0,1", "leaky_relu"]
    whole = ["instancenorm3d", "conv_transpose3d out_channels=2 kernel_size=2 stride=2", "maxpool3d kernel_size=2"]
    for name, lines in ("net.txt", net), ("norm_net.txt", net + whole), ("card_net.txt", net):
        write(name, "".join(line + "\n" for line in lines))
    write("label_names.txt", "0 left\n1 right\n")
    write("card_net.txt.card.json", '{"intensity": "minmax", "orientation": "RAS", "argmax": true}')
