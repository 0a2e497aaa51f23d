"""data/networks against torch: each text network's module, with torch's own initial weights (--init) and with a random
state_dict from a file (-w). Results and the parameters that --plan counts.

Expected values are torch's in float64; the largest difference may be 1e-4 of the range of torch's output, as for the
networks that torch exports (onnx_networks.py).
"""
import json
import os
import subprocess

import numpy as np
import torch
from torch import nn

import networks
import tensors

LIMIT = 1e-4
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "data", "networks")


def features(c, out):
    return [nn.Conv3d(c, out, 3, padding=1), nn.BatchNorm3d(out), nn.ReLU(), nn.MaxPool3d(2, 2)]


class ImprovedCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(*features(1, 16), *features(16, 32))

    def forward(self, x):
        return self.features(x)


class ImprovedCNNClassifier(ImprovedCNN):
    def __init__(self):
        super().__init__()
        self.classifier = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(32, 64), nn.ReLU(),
                                        nn.Dropout(0.5), nn.Linear(64, 10))

    def forward(self, x):
        return self.classifier(self.features(x))


class VideoAnalyzer(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv3d(3, 64, kernel_size=(3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3))
        self.bn1 = nn.BatchNorm3d(64)
        self.pool1 = nn.MaxPool3d(kernel_size=(1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
        self.conv2 = nn.Conv3d(64, 128, kernel_size=3, padding=1)
        self.bn2 = nn.BatchNorm3d(128)
        self.pool2 = nn.MaxPool3d(kernel_size=2)
        self.conv3 = nn.Conv3d(128, 128, kernel_size=3, padding=1)
        self.bn3 = nn.BatchNorm3d(128)
        self.pool3 = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(128, 10)

    def forward(self, x):
        x = self.pool1(torch.relu(self.bn1(self.conv1(x))))
        x = self.pool2(torch.relu(self.bn2(self.conv2(x))))
        x = self.pool3(torch.relu(self.bn3(self.conv3(x))))
        return self.fc(torch.flatten(x, 1))


class MedicalImageAnalyzer(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(*features(1, 16), *features(16, 32), *features(32, 64)[:3], nn.AdaptiveAvgPool3d(4))
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(64 * 4 * 4 * 4, 128), nn.ReLU(), nn.Dropout(0.5),
                                        nn.Linear(128, 2))

    def forward(self, x):
        return self.classifier(self.encoder(x))


class Residual3DBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv3d(1, 16, 3, padding=1), nn.BatchNorm3d(16)
        self.conv2, self.bn2 = nn.Conv3d(16, 16, 3, padding=1), nn.BatchNorm3d(16)
        self.shortcut = nn.Sequential(nn.Conv3d(1, 16, 1), nn.BatchNorm3d(16))

    def forward(self, x):
        out = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(out + self.shortcut(x))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()

        def level(c, out):
            return nn.Sequential(nn.Conv3d(c, out, 3, padding=1), nn.InstanceNorm3d(out, affine=True), nn.LeakyReLU())

        self.down0, self.down1, self.bottom = level(1, 8), level(8, 16), level(16, 32)
        self.up1, self.merge1 = nn.ConvTranspose3d(32, 16, 2, 2), level(32, 16)
        self.up0, self.merge0 = nn.ConvTranspose3d(16, 8, 2, 2), level(16, 8)
        self.classes = nn.Conv3d(8, 3, 1)

    def forward(self, x):
        a = self.down0(x)
        b = self.down1(nn.functional.max_pool3d(a, 2))
        c = self.bottom(nn.functional.max_pool3d(b, 2))
        b = self.merge1(torch.cat([b, self.up1(c)], 1))
        return self.classes(self.merge0(torch.cat([a, self.up0(b)], 1)))


class MeshNet(nn.Module):
    def __init__(self):
        super().__init__()
        layers, channels = [], 1
        for d in (1, 2, 4, 8, 16, 8, 4, 2, 1):
            layers.append(nn.Sequential(nn.Conv3d(channels, 5, 3, padding=d, dilation=d), nn.BatchNorm3d(5), nn.ELU()))
            channels = 5
        self.model = nn.Sequential(*layers, nn.Conv3d(5, 3, 1))

    def forward(self, x):
        return self.model(x)


class Named(nn.Sequential):
    """Layers behind each other, with the names of the text."""

    def __init__(self, **layers):
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)


# name: the module (made after torch.manual_seed, which is what --init does), channels and size of an input.
NETWORKS = {
    "improved_cnn": (ImprovedCNN, (1, 13, 11, 12)),
    "improved_cnn_classifier": (ImprovedCNNClassifier, (1, 13, 11, 12)),
    "video_analyzer": (VideoAnalyzer, (3, 16, 112, 112)),
    "medical_image_analyzer": (MedicalImageAnalyzer, (1, 21, 18, 25)),
    "residual3dblock": (Residual3DBlock, (1, 13, 11, 12)),
    "unet": (UNet, (1, 12, 8, 16)),
    "meshnet": (MeshNet, (1, 23, 21, 22)),
    "grouped": (lambda: Named(grouped=nn.Conv3d(16, 32, 3, padding=1, groups=4)), (16, 9, 8, 10)),
    "depthwise_separable": (lambda: Named(depthwise=nn.Conv3d(16, 16, 3, padding=1, groups=16),
                                          pointwise=nn.Conv3d(16, 32, 1)), (16, 9, 8, 10)),
    "strided": (lambda: Named(conv3d=nn.Conv3d(1, 32, 3, stride=2), relu=nn.ReLU()), (1, 13, 11, 12)),
    "batch_norm": (lambda: Named(conv3d=nn.Conv3d(1, 32, 3, bias=False),
                                 batch_normalization=nn.BatchNorm3d(32, eps=1e-3), relu=nn.ReLU(),
                                 pool=nn.MaxPool3d(2)), (1, 13, 11, 12)),
}


def shake(module, generator):
    """As after training: statistics and scales that are not 0 and 1."""
    for name, t in module.state_dict().items():
        if t.dtype != torch.float32 or ("conv" in name and t.dim() > 1):
            continue
        if name.endswith("running_var"):
            t.copy_(0.5 + torch.rand(t.shape, generator=generator))
        elif t.dim() == 1:
            t.add_(0.3 * torch.randn(t.shape, generator=generator))


def vector(build, words, stem):
    path = stem + ".npy"
    done = subprocess.run([os.path.join(build, "voxconv"), "run"] + words + ["-f", "-o", path], capture_output=True, text=True)
    return (None, done.stderr) if done.returncode else (np.load(path), None)


def volume(build, words, stem, shape):
    path = stem + "_out.nii"
    done = subprocess.run([os.path.join(build, "voxconv"), "run"] + words + ["-f", "-o", path], capture_output=True, text=True)
    if done.returncode:
        return None, done.stderr
    y = networks.load_scan(path, shape)
    return (None, "the size is another") if y is None else (y.numpy(), None)


def compare(build, words, stem, module, x):
    with torch.no_grad():
        want = module.double()(x[None].double()).numpy()
    module.float()
    got, problem = vector(build, words, stem) if want.ndim == 2 else volume(build, words, stem, want.shape)
    if problem:
        return problem
    if got.shape != want.shape:
        return "shape %s, torch has %s" % (got.shape, want.shape)
    worst, width = np.abs(got - want).max(), want.max() - want.min()
    return None if worst <= LIMIT * width else "off by up to %.3g, the values are %.3g wide" % (worst, width)


def plan(build, words, module):
    done = subprocess.run([os.path.join(build, "voxconv"), "run"] + words + ["--plan", "--json", "-o", "none.nii"],
                          capture_output=True, text=True)
    if done.returncode:
        return done.stderr
    got, want = json.loads(done.stdout)["parameters"], sum(p.numel() for p in module.parameters())
    return None if got == want else "--plan counts %d parameters, torch %d" % (got, want)


def run(tally, build, scratch, rng):
    shipped = sorted(name[:-4] for name in os.listdir(FOLDER) if name.endswith(".txt"))
    tally.check(None if shipped == sorted(NETWORKS) else "torch's modules are those of %s" % sorted(NETWORKS),
                "data/networks: %s" % shipped)
    for name, (make, shape) in NETWORKS.items():
        seed = rng.getrandbits(32)
        stem = os.path.join(scratch, name)
        text, scan, weights = os.path.join(FOLDER, name + ".txt"), stem + "_in.nii", stem + ".safetensors"
        x = torch.randn(shape, generator=rng.torch)
        networks.save_scan(scan, x)
        torch.manual_seed(seed)
        module = make().eval()
        words = [text, scan, "-q", "--time", "channels", "--init", "--seed", str(seed)]
        tally.check(compare(build, words, stem, module, x), "%s --init --seed %d" % (name, seed))
        tally.check(plan(build, words, module), "%s: parameters" % name)
        shake(module, rng.torch)
        tensors.save_safetensors(weights, {k: t.float().numpy() for k, t in module.state_dict().items()})
        words = [text, scan, "-q", "--time", "channels", "-w", weights]
        tally.check(compare(build, words, stem, module, x), "%s with a state_dict" % name)
