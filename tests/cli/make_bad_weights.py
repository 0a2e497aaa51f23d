#!/usr/bin/env python3
"""make_bad_weights.py DIR - writes good weights in every format and one broken file for each way in which they
can be wrong. Only the standard library is needed; the formats are written out by hand, as no library would
write them so.
"""
import io
import json
import os
import pickle
import struct
import sys
import zipfile

import torch_file

ONES = struct.pack("<27f", *[1.0] * 27)


def npy(shape="(1, 1, 3, 3, 3)", descr="'<f4'", order="False", data=ONES, version=1, text=None):
    """NumPy's format, numpy.lib.format: magic, version, length, a Python dict as text, the data."""
    if text is None:
        text = "{'descr': %s, 'fortran_order': %s, 'shape': %s, }" % (descr, order, shape)
    raw = text.encode("latin1") + b"\n"
    length = struct.pack("<H" if version == 1 else "<I", len(raw))
    return b"\x93NUMPY" + bytes([version, 0]) + length + raw + data


def npz(members, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for name, data in members:
            z.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


def patched(data, signature, offset, form, value):
    """A zip record's field changed, in every record that has the signature."""
    raw, at = bytearray(data), data.find(signature)
    while at >= 0:
        struct.pack_into(form, raw, at + offset, value)
        at = data.find(signature, at + 1)
    return bytes(raw)


LOCAL, CENTRAL = b"PK\3\4", b"PK\1\2"
NPZ = npz([("weight.npy", npy())])


def both(data, local, central, form, value):
    return patched(patched(data, LOCAL, local, form, value), CENTRAL, central, form, value)


def tensors(header, data=ONES, length=None):
    """safetensors: length, JSON, data. A text is written as it is."""
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(shape=(1, 1, 3, 3, 3), offsets=(0, 108), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


ENTRY = json.dumps(entry())


def pt(**tensor):
    return torch_file.save({"weight": torch_file.Tensor((1, 1, 3, 3, 3), [1.0] * 27, **tensor)})


def cycle():
    inside = {}
    inside["me"] = inside
    return inside


def bomb():
    """2^25 tensors in what takes a few hundred bytes."""
    value = torch_file.Tensor((1,), [1.0])
    for _ in range(25):
        value = [value, value]
    return value


PT = pt()

FILES = {
    "good.npy": npy(),
    "good.npz": NPZ,
    "good.safetensors": tensors({"weight": entry()}),
    "good.txt": b"1 1 3 3 3\n" + b"1 " * 27,
    "good.pt": PT,
    # .npy
    "empty.npy": b"",
    "magic.npy": b"\x93NUMPX" + npy()[6:],
    "version.npy": npy()[:6] + b"\x09" + npy()[7:],
    "cut_magic.npy": npy()[:7],
    "cut_header.npy": npy()[:40],
    "long_header.npy": npy()[:8] + b"\xff\xff" + npy()[10:],
    "huge_header.npy": npy(version=2)[:8] + b"\xff\xff\xff\xff" + npy(version=2)[12:],
    "not_a_dict.npy": npy(text="[1, 2, 3]"),
    "no_shape.npy": npy(text="{'descr': '<f4', 'fortran_order': False, }"),
    "no_end.npy": npy(text="{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 3"),
    "object.npy": npy(descr="'|O'"),
    "complex.npy": npy(descr="'<c8'"),
    "string.npy": npy(descr="'<U4'"),
    "structured.npy": npy(descr="[('a', '<f4')]"),
    "bad_order.npy": npy(order="Perhaps"),
    "negative_shape.npy": npy(shape="(1, 1, -3, 3, 3)"),
    "huge_shape.npy": npy(shape="(4611686018427387904, 4, 3, 3, 3)"),
    "huge_extent.npy": npy(shape="(99999999999999999999999999, 1, 3, 3, 3)"),
    "nested_shape.npy": npy(shape="(" * 5000 + "1" + ")" * 5000),
    "many_axes.npy": npy(shape="(" + "1, " * 40 + ")"),
    "zero_shape.npy": npy(shape="(0, 1, 3, 3, 3)", data=b""),
    "short.npy": npy(data=ONES[:-1]),
    "extra.npy": npy(data=ONES + b"\0"),
    # .npz
    "cut.npz": NPZ[:-30],
    "garbage.npz": LOCAL + b"this is no archive" * 10,
    "crc.npz": both(NPZ, 14, 16, "<I", 0x12345678),
    "absurd_size.npz": both(NPZ, 22, 24, "<I", 0xfffffff0),
    "absurd_compressed.npz": both(NPZ, 18, 20, "<I", 0x7ffffff0),
    "method.npz": both(NPZ, 8, 10, "<H", 99),
    "encrypted.npz": both(NPZ, 6, 8, "<H", 1),
    "bad_deflate.npz": both(npz([("weight.npy", b"\x07" * 200)]), 8, 10, "<H", 8),
    "no_weight.npz": npz([("kernel.npy", npy()), ("offset.npy", npy())]),
    "no_arrays.npz": npz([]),
    "twice.npz": npz([("weight.npy", npy()), ("Weight.npy", npy())]).replace(b"Weight", b"weight"),
    "bad_member.npz": npz([("weight.npy", b"this is not an array")]),
    "short_member.npz": npz([("weight.npy", npy(data=ONES[:-4]))], zipfile.ZIP_DEFLATED),
    # .safetensors
    "cut.safetensors": tensors({"weight": entry()})[:30],
    "long_header.safetensors": tensors({"weight": entry()}, length=5000),
    "huge_header.safetensors": tensors({"weight": entry()}, length=2 ** 60),
    "negative_header.safetensors": tensors({"weight": entry()}, length=2 ** 64 - 1),
    "bad_json.safetensors": tensors('{"weight": {"dtype": "F32", '),
    "trailing_json.safetensors": tensors('{"weight": %s} more' % ENTRY),
    "deep.safetensors": tensors('{"weight": ' + "[" * 100000 + "]" * 100000 + "}"),
    "twice.safetensors": tensors('{"weight": %s, "weight": %s}' % (ENTRY, ENTRY)),
    "not_an_entry.safetensors": tensors({"weight": 5}),
    "no_dtype.safetensors": tensors({"weight": {"shape": [27], "data_offsets": [0, 108]}}),
    "dtype.safetensors": tensors({"weight": entry(dtype="I32")}),
    "unknown_dtype.safetensors": tensors({"weight": entry(dtype="F99")}),
    "shape.safetensors": tensors({"weight": entry(shape=(1, 1, 3, 3, 4))}),
    "negative_shape.safetensors": tensors({"weight": entry(shape=(1, -1, 3, 3, -3))}),
    "fraction_shape.safetensors": tensors({"weight": entry(shape=(1, 1, 3, 3, 3.5))}),
    "huge_shape.safetensors": tensors({"weight": entry(shape=(2 ** 62, 2 ** 62, 3, 3, 3))}),
    "past.safetensors": tensors({"weight": entry(offsets=(4, 112))}),
    "huge_offset.safetensors": tensors({"weight": entry(offsets=(2 ** 62, 2 ** 62 + 108))}),
    "backwards.safetensors": tensors({"weight": entry(offsets=(108, 0))}),
    "overlap.safetensors": tensors({"weight": entry(), "bias": entry((1,), (104, 108))}),
    "hole.safetensors": tensors({"weight": entry(), "bias": entry((1,), (112, 116))}, ONES + bytes(8)),
    "extra.safetensors": tensors({"weight": entry()}, ONES + bytes(4)),
    "no_weight.safetensors": tensors({"kernel": entry((26,), (0, 104)), "offset": entry((1,), (104, 108))}),
    # .pt
    "cut.pt": PT[:-30],
    "storage_crc.pt": PT.replace(ONES, ONES[:-1] + b"\x3e"),
    "pickle_crc.pt": PT.replace(b"cpu", b"gpu"),
    "module.pt": torch_file.save(torch_file.Sequential()),
    "system.pt": torch_file.save(b"\x80\x02cposix\nsystem\n(X\x0b\0\0\0touch owned" b"tR."),
    "inst.pt": torch_file.save(b"\x80\x02(X\x0b\0\0\0touch ownediposix\nsystem\n."),
    "ended.pt": torch_file.save(b"\x80\x02}X\x06\0\0\0weight"),
    "no_tensor.pt": torch_file.save({"epoch": 3}),
    "no_weight.pt": torch_file.save({n: torch_file.Tensor((1,), [1.0]) for n in ("kernel", "offset")}),
    "past.pt": pt(offset=1),
    "negative_offset.pt": pt(offset=-1),
    "negative_stride.pt": pt(stride=(27, 27, 9, 3, -1)),
    "huge_stride.pt": pt(stride=(27, 27, 2 ** 62, 3, 1)),
    "short_storage.pt": pt(count=28),
    "no_storage.pt": pt(key="9"),
    "cycle.pt": torch_file.save(cycle()),
    "bomb.pt": torch_file.save(bomb()),
    "long_pickle.pt": torch_file.archive([("data.pkl", b"\x80\x02" + b"N" * 1000000)], zipfile.ZIP_DEFLATED),
    "byteorder.pt": torch_file.save({}, byteorder=b"middle"),
    "twice.pt": torch_file.save({}, extra=[("daTa.pkl", b"N.")]).replace(b"daTa", b"data"),
    "script.pt": torch_file.save({}, extra=[("constants.pkl", b"\x80\x02)."), ("code/a.py", b"")]),
    "legacy.pt": pickle.dumps(0x1950a86a20f9469cfc6c, 2) + pickle.dumps(1001, 2),
    "pickle.pt": pickle.dumps({"weight": [1.0]}),
    # Text
    "empty.txt": b"\n\n",
    "word.txt": b"1 1 3 3 3\n1 2 three 4\n",
    "short.txt": b"1 1 3 3 3\n" + b"1 " * 26,
    "extra.txt": b"1 1 3 3 3\n" + b"1 " * 28,
    "zero.txt": b"1 1 0 3 3\n",
    "negative.txt": b"1 1 -3 3 3\n" + b"1 " * 27,
    "fraction.txt": b"1 1 3.5 3 3\n" + b"1 " * 27,
    "huge.txt": b"9999999999 9999999999 3 3 3\n1 2 3\n",
    "huge_extent.txt": b"99999999999999999999999 1 3 3 3\n1 2 3\n",
    "many_sizes.txt": b"1 1 1 1 1 1 1 1 1 1 1\n1\n",
    "overflow.txt": b"1 1 1 1 1\n1e999\n",
    "binary.txt": bytes(range(1, 256)) * 3,
    # Good files that do not fit
    "two_in.npy": npy("(1, 2, 3, 3, 3)", data=ONES * 2),
    "three_out.npy": npy("(3, 1, 3, 3, 3)", data=ONES * 3),
    "flat.npy": npy("(27,)"),
    "four_axes.npy": npy("(1, 3, 3, 3)"),
    "large.npy": npy("(1, 1, 9, 1, 1)", data=ONES[:36]),
    "bias2.npy": npy("(2,)", data=ONES[:8]),
    "norm.npz": npz([("running_mean.npy", npy("(1,)", data=ONES[:4])),
                     ("running_var.npy", npy("(1,)", data=ONES[:4]))]),
    "norm2.npz": npz([("running_mean.npy", npy("(2,)", data=ONES[:8])),
                      ("running_var.npy", npy("(2,)", data=ONES[:8]))]),
    "norm_no_var.npz": npz([("running_mean.npy", npy("(1,)", data=ONES[:4])),
                            ("weight.npy", npy("(1,)", data=ONES[:4]))]),
    "norm_negative.npz": npz([("running_mean.npy", npy("(1,)", data=ONES[:4])),
                              ("running_var.npy", npy("(1,)", data=struct.pack("<f", -1.0)))]),
}


def main():
    os.makedirs(os.path.join(sys.argv[1], "folder.npy"), exist_ok=True)
    for name, data in FILES.items():
        with open(os.path.join(sys.argv[1], name), "wb") as f:
            f.write(data)


main()
