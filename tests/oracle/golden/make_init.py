#!/usr/bin/python3
"""What torch's initialisers give, for tests/unit/test_weights_init.c.

Run in this folder with torch on a CPU: ./make_init.py   (made with torch 1.13.0)

init.txt, a line each:
  SCHEME SEED OUT IN/GROUPS KD KH KW  CRC FIRST LAST  CRC FIRST LAST
CRC is the CRC-32 of the little-endian float32 bytes, FIRST and LAST are the bits of two of the values; first
of the weight, then of the bias. A missing bias is written as three dashes.

init_normal.txt: kaiming_normal_, SEED OUT IN/GROUPS KD KH KW on a line, then the values.
"""
import zlib

import torch

SHAPES = [  # out, in, (kd, kh, kw), groups
    (1, 1, (1, 1, 1), 1), (1, 1, (3, 3, 3), 1), (2, 1, (1, 1, 1), 1), (3, 2, (1, 1, 1), 1),
    (7, 3, (3, 1, 5), 1), (16, 16, (3, 3, 3), 1), (5, 1, (2, 4, 3), 1), (8, 8, (3, 3, 3), 8),
    (12, 4, (1, 3, 3), 4), (30, 5, (3, 3, 3), 1), (2, 6, (7, 7, 7), 2), (13, 11, (5, 3, 2), 1),
]
SEEDS = [0, 1, 42, 2**32 - 1, 2**32 + 5, 123456789012345]


def digest(t):
    if t is None:
        return "- - -"
    flat = t.detach().reshape(-1).numpy().astype("<f4")
    bits = flat.view("<u4")
    return f"{zlib.crc32(flat.tobytes()):08x} {bits[0]:08x} {bits[-1]:08x}"


def conv(seed, out, inp, k, groups, bias):
    torch.manual_seed(seed)
    return torch.nn.Conv3d(inp, out, k, groups=groups, bias=bias)


def main():
    with open("init.txt", "w") as f:
        for n, (out, inp, k, groups) in enumerate(SHAPES):
            for seed in (SEEDS[n % len(SEEDS)], SEEDS[(n * 5 + 1) % len(SEEDS)]):
                where = f"{seed} {out} {inp // groups} {k[0]} {k[1]} {k[2]}"
                w = torch.empty(out, inp // groups, *k)
                torch.manual_seed(seed)
                torch.nn.init.kaiming_uniform_(w)
                f.write(f"kaiming_uniform {where} {digest(w)} {digest(torch.zeros(out))}\n")
                layer = conv(seed, out, inp, k, groups, True)
                f.write(f"torch {where} {digest(layer.weight)} {digest(layer.bias)}\n")
                layer = conv(seed, out, inp, k, groups, False)
                f.write(f"torch {where} {digest(layer.weight)} {digest(layer.bias)}\n")
    with open("init_normal.txt", "w") as f:
        # Under 16 values, exactly 16, whole blocks of 16, and a rest.
        for seed, shape in ((0, (1, 1, 1, 1, 1)), (3, (5, 1, 1, 1, 3)), (7, (2, 2, 2, 2, 1)),
                            (2**32 + 9, (2, 1, 3, 3, 3)), (42, (8, 2, 1, 2, 3))):
            w = torch.empty(shape)
            torch.manual_seed(seed)
            torch.nn.init.kaiming_normal_(w)
            f.write(f"{seed} " + " ".join(map(str, shape)) + "\n")
            f.write(" ".join(f"{v:.9g}" for v in w.reshape(-1).tolist()) + "\n")


if __name__ == "__main__":
    main()
