"""small.py - writes and reads small NIfTI, .npy and safetensors files for the command tests.

Standard library only, and nothing of voxconv: a second opinion on the formats.

    small.py volume FILE 5,1,1 [VALUES...]      sizes x,y,z[,t[,u]]; without values 1 2 3 ...
    small.py array FILE 1,2,4,5,6 [VALUES...]   a .npy file of float32, last index fastest; values as above
    small.py tensors FILE NAME=2,1,1:VALUES...  float32 arrays; values separated by commas; a .pt file is a
                                                checkpoint that has them in its "state_dict"
    small.py voxels FILE                        values as stored, %.6g
    small.py header FILE FIELD                  of a .npy file "shape" or "descr"
"""
import ast
import gzip
import json
import struct
import sys

import torch_file


def write_volume(path, sizes, values):
    count = 1
    for n in sizes:
        count *= n
    values = [float(v) for v in values] or [float(i + 1) for i in range(count)]
    assert len(values) == count
    dim = [len(sizes)] + sizes + [1] * (7 - len(sizes))
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, *dim)
    struct.pack_into("<2h", header, 70, 16, 32)  # float32
    struct.pack_into("<8f", header, 76, *[1.0] * 8)
    struct.pack_into("<3f", header, 108, 352.0, 1.0, 0.0)  # vox_offset, scl_slope, scl_inter
    header[123] = 2  # mm
    header[344:348] = b"n+1\0"
    data = bytes(header) + struct.pack("<%df" % count, *values)
    if path.endswith(".gz"):
        data = gzip.compress(data, mtime=0)
    with open(path, "wb") as f:
        f.write(data)


def write_array(path, shape, values):
    count = 1
    for n in shape:
        count *= n
    values = [float(v) for v in values] or [float(i + 1) for i in range(count)]
    assert len(values) == count
    text = repr({"descr": "<f4", "fortran_order": False, "shape": tuple(shape)}).encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + struct.pack("<%df" % count, *values))


def write_tensors(path, specs):
    names, data, state = {}, b"", {}
    for spec in specs:
        name, rest = spec.split("=")
        shape, values = rest.split(":")
        shape = [int(n) for n in shape.split(",") if n]
        values = [float(v) for v in values.split(",")]
        raw = struct.pack("<%df" % len(values), *values)
        names[name] = {
            "dtype": "F32",
            "shape": shape,
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
        state[name] = torch_file.Tensor(shape, values)
    if path.endswith(".pt"):
        with open(path, "wb") as f:
            f.write(torch_file.save({"epoch": 3, "state_dict": state}))
        return
    text = json.dumps(names).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def read(path):
    with open(path, "rb") as f:
        data = f.read()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


FIELDS = {
    "dim": ("<8h", 40),
    "datatype": ("<h", 70),
    "bitpix": ("<h", 72),
    "pixdim": ("<8f", 76),
    "vox_offset": ("<f", 108),
    "scl_slope": ("<f", 112),
    "scl_inter": ("<f", 116),
}
TYPES = {2: "B", 4: "h", 8: "i", 16: "f", 64: "d", 512: "H"}


def field(data, name):
    layout, offset = FIELDS[name]
    return struct.unpack_from(layout, data, offset)


def array(data):
    """The dictionary and the values of a .npy file."""
    assert data[:8] == b"\x93NUMPY\1\0"
    start = 10 + struct.unpack_from("<H", data, 8)[0]
    assert start % 64 == 0 and data[start - 1:start] == b"\n"
    says = ast.literal_eval(data[10:start].decode())
    assert says["fortran_order"] is False
    letter = {"f4": "f", "f8": "d", "u1": "B", "u2": "H", "i2": "h", "i4": "i"}[says["descr"][1:]]
    count = 1
    for n in says["shape"]:
        count *= n
    assert len(data) == start + count * struct.calcsize(letter)
    return says, struct.unpack_from("<%d%s" % (count, letter), data, start)


def voxels(path):
    data = read(path)
    if data[:6] == b"\x93NUMPY":
        return array(data)[1]
    dim = field(data, "dim")
    count = 1
    for n in dim[1 : dim[0] + 1]:
        count *= n
    letter = TYPES[field(data, "datatype")[0]]
    offset = int(field(data, "vox_offset")[0])
    assert len(data) == offset + count * struct.calcsize(letter)
    return struct.unpack_from("<%d%s" % (count, letter), data, offset)


def main(verb, path, *rest):
    if verb == "volume":
        write_volume(path, [int(n) for n in rest[0].split(",")], rest[1:])
    elif verb == "array":
        write_array(path, [int(n) for n in rest[0].split(",")], rest[1:])
    elif verb == "tensors":
        write_tensors(path, rest)
    elif verb == "voxels":
        print(" ".join("%.6g" % v for v in voxels(path)))
    elif verb == "header" and rest[0] in ("shape", "descr"):
        print(str(array(read(path))[0][rest[0]]).replace(" ", ""))
    elif verb == "header":
        print(" ".join("%.6g" % v for v in field(read(path), rest[0])))
    else:
        sys.exit("small.py: unknown verb " + verb)


if __name__ == "__main__":
    main(*sys.argv[1:])
