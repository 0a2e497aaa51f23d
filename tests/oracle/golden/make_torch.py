#!/usr/bin/python3
"""Files of torch.save for tests/unit/test_weights_torch.c, into weights/.

Run in this folder with torch: ./make_torch.py   (made with torch 1.13.0a0, Debian's python3-torch)

What the tensors hold is said here and once more in the test.
"""
import torch
from torch import nn


def model():
    """Two layers; the weight counts from 0 in eighths, everything else is one number."""
    m = nn.Sequential(nn.Conv3d(1, 2, (1, 2, 3)), nn.BatchNorm3d(2))
    with torch.no_grad():
        m[0].weight.copy_(torch.arange(12.0).view(m[0].weight.shape) / 8)
        m[0].bias.fill_(-0.5)
        m[1].running_mean.fill_(3)
        m[1].num_batches_tracked.fill_(7)
    return m


def save(name, value, **options):
    torch.save(value, "weights/" + name, **options)


def main():
    state = model().state_dict()
    save("state_dict.pt", state)
    for protocol in (3, 4, 5):
        save("protocol%d.pt" % protocol, state, pickle_protocol=protocol)
    line = torch.arange(24.0)
    cube = line.view(2, 3, 4)
    save("checkpoint.pth", {
        "epoch": 3, "lr": 0.5, "best": None, "betas": (0.9, 0.999), "done": True, "steps": [1, -2, 2 ** 40],
        "state_dict": {
            "transposed": cube.permute(2, 0, 1), "part": cube[1, 1:, ::2], "expanded": line[5].expand(3, 2),
            "scalar": line[7], "empty": torch.zeros(0, 3), "parameter": nn.Parameter(line[20:22])},
        "more": [line[1:3], {4: line[3:4]}],
    })
    # Every storage; -3 is 253 as a byte.
    kinds = ["float", "double", "half", "bfloat16", "int8", "int16", "int32", "int64"]
    values = torch.tensor([0.0, 1, -3, 96])
    save("dtypes.pt", {**{k: values.to(getattr(torch, k)) for k in kinds},
                       "uint8": torch.tensor([0, 1, 253, 96], dtype=torch.uint8),
                       "bool": torch.tensor([False, True, True, True])})
    save("tensor.pt", cube)
    save("module.pt", model())
    save("legacy.pt", {"weight": line[:2].clone()}, _use_new_zipfile_serialization=False)
    torch.jit.script(nn.ReLU()).save("weights/script.pt")


main()
