#!/usr/bin/python3
"""Weights files for tests/unit/test_weights_*.c, into weights/.

Run in this folder with numpy: ./make_formats.py   (made with numpy 1.24.2)

.npy and .npz are numpy's own; .safetensors is written byte by byte after the format's description, so that
no library of ours or of others is trusted. An array NAME has what float32 makes of it, by numpy, beside it
as NAME.expected.
"""
import io
import json
import struct
import zipfile

import numpy as np

FIXED = (1980, 1, 1, 0, 0, 0)  # the date of every zip member, so that a new run gives the same bytes

# Twelve values each, for a shape of (2, 3, 2): the ends of the range, signed zero and subnormals, and
# values halfway between two floats (2^24 + 1, 2^24 + 3).
REALS = [0.0, -0.0, 1.0, -1.5, 0.1, 1 / 3, float("inf"), float("-inf"), float("nan"), 65504.0, 6e-8,
         -6.1e-5]
VALUES = {
    "f2": REALS,
    "f4": REALS[:10] + [1e-45, 3.4028234e38],
    "f8": REALS[:8] + [2.0**24 + 1, 2.0**24 + 3, 1e300, 1e-46],
    "b1": [0, 1, 1, 0, 0, 0, 1, 0, 1, 1, 1, 0],
}
for size in (1, 2, 4, 8):
    top = 2 ** (8 * size - 1)
    VALUES[f"i{size}"] = [0, 1, -1, 2, -7, 100, top - 1, -top] + (
        [2**24 + 1, 2**24 + 3, -(2**24) - 1, top - 65] if size > 2 else [3, 4, 5, 6])
    VALUES[f"u{size}"] = [0, 1, 2, 3, 100, 127, 2 * top - 1, top] + (
        [2**24 + 1, 2**24 + 3, top + 1, 2 * top - 129] if size > 2 else [4, 5, 6, 7])


def npy(array, version=None):
    out = io.BytesIO()
    np.lib.format.write_array(out, array, version=version)
    return out.getvalue()


def zip_of(members, method=zipfile.ZIP_STORED):
    """Members as [(name, bytes)]; the same name may come twice."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for name, data in members:
            z.writestr(zipfile.ZipInfo(name, FIXED), data, method)
    return out.getvalue()


def save(name, data):
    with open("weights/" + name, "wb") as f:
        f.write(data)


def every_dtype():
    members = []
    with np.errstate(over="ignore"):
        for kind, values in VALUES.items():
            for order in "<>":
                if kind in ("i1", "u1", "b1") and order == ">":
                    continue  # one byte: numpy writes '|'
                a = np.array(values).astype(order + kind) if kind[0] in "fb" else np.array(
                    values, dtype=order + kind)
                a = a.reshape(2, 3, 2)
                for layout in "CF":
                    name = f"{kind}{'le' if order == '<' else 'be'}{layout}"
                    members.append((name + ".npy", npy(np.array(a, order=layout))))
                    members.append((name + ".expected.npy", npy(a.astype("<f4"))))
    return members


def npy_files():
    a = np.arange(24, dtype="<f4").reshape(2, 3, 4) / 8
    for v in (1, 2, 3):
        save(f"v{v}.npy", npy(a, (v, 0)))
    save("scalar.npy", npy(np.array(2.5, "<f4")))
    save("object.npy", npy(np.array([1, "a"], dtype=object)))
    save("structured.npy", npy(np.zeros(2, dtype=[("x", "<f4"), ("y", "<f4")])))
    save("complex.npy", npy(np.zeros(2, dtype="<c8")))
    return a


def npz_files(a):
    save("dtypes_stored.npz", zip_of(every_dtype()))
    save("dtypes_deflated.npz", zip_of(every_dtype(), zipfile.ZIP_DEFLATED))
    b = np.array([1, 2], "<f4")
    good = [("weight.npy", npy(a)), ("readme.txt", b"not an array"), ("bias.npy", npy(b))]
    for name, method in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
        z = zip_of(good, method)
        save(f"{name}.npz", z)
        central = z.index(b"PK\1\2")  # of weight.npy; fields after APPNOTE.TXT 4.3.12
        crc, size, flags, comp_method = central + 16, central + 24, central + 8, central + 10

        def patch(what, offset, fmt, value):
            data = bytearray(z)
            struct.pack_into(fmt, data, offset, value)
            save(f"bad_{name}_{what}.npz", bytes(data))

        patch("crc", crc, "<I", 0x12345678)
        patch("size_huge", size, "<I", 0xFFFFFFF0)
        patch("size_short", size, "<I", len(npy(a)) - 4)
        patch("size_long", size, "<I", len(npy(a)) + 4)
        patch("encrypted", flags, "<H", 1)
        patch("method", comp_method, "<H", 12)
        local = z.index(b"PK\3\4")
        start = local + 30 + len("weight.npy")
        end = z.index(b"PK\3\4", local + 4)
        data = bytearray(z)
        data[end - 3] ^= 0x40  # in the data: the last number, or the deflate stream's end
        save(f"bad_{name}_data.npz", bytes(data))
        save(f"bad_{name}_cut.npz", z[: (start + end) // 2])
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save("bad_twice.npz", zip_of([("w.npy", npy(a)), ("w.npy", npy(b))]))
    save("bad_empty.npz", zip_of([("data.pkl", b"x")]))
    save("bad_member.npz", zip_of([("w.npy", b"not an npy file at all")]))


def safetensors():
    f4 = np.array(VALUES["f4"], "<f4")
    bf16 = (f4.view("<u4") >> 16).astype("<u2")
    tensors = [
        ("weight", "F32", (1, 2, 3, 2, 1), f4.tobytes()),
        ("bias", "F64", (3,), np.array([0.1, -2, 1e-3]).astype("<f8").tobytes()),
        ("bias.expected", "F32", (3,), np.array([0.1, -2, 1e-3]).astype("<f4").tobytes()),
        ("half", "F16", (12,), np.array(REALS).astype("<f2").tobytes()),
        ("half.expected", "F32", (12,), np.array(REALS).astype("<f2").astype("<f4").tobytes()),
        ("brain", "BF16", (12,), bf16.tobytes()),
        ("brain.expected", "F32", (12,), (bf16.astype("<u4") << 16).tobytes()),
        ("steps", "I64", (), struct.pack("<q", 7)),
        ("flag", "BOOL", (1,), b"\1"),  # from here on the data is not aligned
        ("none", "F32", (0, 3), b""),
        ("last", "F32", (1,), struct.pack("<f", 2.5)),
    ]
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, dtype, shape, raw in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    # The order in the header need not be the order in the data.
    header = dict(sorted(header.items(), key=lambda item: item[0]))
    text = json.dumps(header).encode() + b"   "
    save("good.safetensors", struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    npz_files(npy_files())
    safetensors()
