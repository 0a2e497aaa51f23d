"""formats.py - the files that the stress tests damage, made by hand, and what they say, read by hand.

Standard library only and nothing of voxconv: the second opinion on every format. The readers here are strict
where the formats are; what they return is what a damaged file legitimately says, None where it says nothing.
"""
import ast
import io
import json
import struct
import zipfile
import zlib


def volume(sizes, values, descrip=b"stress"):
    """A float32 NIfTI-1 file. Of such a file the identity changes no byte (README: what changes in the header)."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, len(sizes), *sizes, *[1] * (7 - len(sizes)))
    struct.pack_into("<2h", header, 70, 16, 32)
    struct.pack_into("<8f", header, 76, 1, 0.9, 1.1, 2.5, 1, 1, 1, 1)
    struct.pack_into("<3f", header, 108, 352, 1, 0)
    header[123] = 2
    header[148 : 148 + len(descrip)] = descrip
    struct.pack_into("<2h", header, 252, 1, 2)  # qform_code, sform_code
    struct.pack_into("<6f", header, 256, 0, 0, 0, -10, 20, -30)
    struct.pack_into("<12f", header, 280, 0.9, 0, 0, -10, 0, 1.1, 0, 20, 0, 0, 2.5, -30)
    header[344:348] = b"n+1\0"
    return bytes(header) + struct.pack("<%df" % len(values), *values)


# ---- gzip (RFC 1952) ----

FTEXT, FHCRC, FEXTRA, FNAME, FCOMMENT = 1, 2, 4, 8, 16


def gzip_file(data, fields=False, header_crc=False):
    flags = (FEXTRA | FNAME | FCOMMENT if fields else 0) | (FHCRC if header_crc else 0)
    head = b"\x1f\x8b\x08" + bytes([flags]) + struct.pack("<I", 0x5A5A5A5A) + b"\x00\x03"
    if fields:
        head += struct.pack("<H", 8) + b"VX\x04\x00data" + b"name.nii\0" + b"comment\0"
    if header_crc:
        head += struct.pack("<H", zlib.crc32(head) & 0xFFFF)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = deflate.compress(data) + deflate.flush()
    return head + body + struct.pack("<II", zlib.crc32(data), len(data)), len(head)


def gunzip(data):
    """What zlib makes of a file of one member that is there to its end; None where it refuses."""
    d = zlib.decompressobj(31)
    try:
        plain = d.decompress(data)
    except zlib.error:
        return None
    return plain if d.eof and not d.unused_data else None


def meaningless_gzip_bits(data, head):
    """{bit: why} for those that RFC 1952 gives no meaning for the data. A field's content is free as long as the field
    does not end elsewhere; with FHCRC nothing of the header is free."""
    free = {}
    flags = data[3]
    if not flags & FHCRC:
        free[3 * 8] = "FTEXT"
        for what, first, last in (("mtime", 4, 8), ("xfl", 8, 9), ("os", 9, 10)):
            for bit in range(8 * first, 8 * last):
                free[bit] = what
        if flags & FEXTRA:
            end = 12 + struct.unpack_from("<H", data, 10)[0]
            for bit in range(12 * 8, end * 8):
                free[bit] = "extra"
            for what in ("name", "comment"):
                zero = data.index(b"\0", end)
                for bit in range(end * 8, zero * 8):
                    if data[bit // 8] ^ 1 << bit % 8:  # another character, not an end
                        free[bit] = what
                end = zero + 1
            assert end == head
    # RFC 1951 ends with a bit, gzip goes on with a byte: the rest of that byte. Which bits these are: the longest run
    # from the top that zlib does not look at.
    last = len(data) - 9
    for bit in range(7, -1, -1):
        if gunzip(flip(data, last * 8 + bit)) != gunzip(data):
            break
        free[last * 8 + bit] = "padding of the last deflate byte"
    return free


def flip(data, bit):
    b = bytearray(data)
    b[bit // 8] ^= 1 << bit % 8
    return bytes(b)


# ---- .npy: numpy.lib.format ----

NPY_TYPES = {
    "f2": "e", "f4": "f", "f8": "d", "i1": "b", "i2": "h", "i4": "i", "i8": "q",
    "u1": "B", "u2": "H", "u4": "I", "u8": "Q", "b1": "?",
}  # fmt: skip


def npy_file(shape, values):
    text = "{'descr': '<f4', 'fortran_order': False, 'shape': %r, }" % (shape,)
    text += " " * (-(len(text) + 11) % 64) + "\n"
    head = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()
    return head + struct.pack("<%df" % len(values), *values), len(head)


def product(shape):
    n = 1
    for s in shape:
        n *= s
    return n


def to_float32(value):
    try:
        return struct.pack("<f", value)
    except OverflowError:
        return struct.pack("<f", float("inf") if value > 0 else float("-inf"))


def read_npy(data):
    """(shape, float32 bytes), or None."""
    if data[:6] != b"\x93NUMPY" or len(data) < 12 or data[6] not in (1, 2, 3):
        return None
    width = 2 if data[6] == 1 else 4
    length = int.from_bytes(data[8 : 8 + width], "little")
    at = 8 + width + length
    try:
        head = ast.literal_eval(data[8 + width : at].decode("latin-1" if data[6] < 3 else "utf-8").strip())
        descr, fortran, shape = head["descr"], head["fortran_order"], head["shape"]
    except (ValueError, SyntaxError, KeyError, TypeError, UnicodeDecodeError, MemoryError):
        return None
    if len(head) != 3 or at > len(data) or not isinstance(fortran, bool) or not isinstance(shape, tuple):
        return None
    if not isinstance(descr, str) or descr[:1] not in ("<", ">", "=", "|") or descr[1:] not in NPY_TYPES:
        return None
    if not all(type(n) is int and n >= 0 for n in shape):
        return None
    count = product(shape)
    kind = (">" if descr[0] == ">" else "<") + "%d" % count + NPY_TYPES[descr[1:]]
    if count > len(data) or struct.calcsize(kind) != len(data) - at:
        return None
    if fortran:
        return None  # one flip does not make True of False
    if descr[1:] == "f4":
        raw = data[at:]
        if descr[0] == ">":
            raw = b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4))
        return shape, raw
    return shape, b"".join(to_float32(v) for v in struct.unpack(kind, data[at:]))


# ---- .npz: a zip archive of .npy ----


def npz_file(arrays):
    f = io.BytesIO()
    with zipfile.ZipFile(f, "w") as z:
        for i, (name, data) in enumerate(arrays):
            info = zipfile.ZipInfo(name + ".npy", (2001, 2, 3, 4, 5, 6))
            info.compress_type = zipfile.ZIP_DEFLATED if i % 2 else zipfile.ZIP_STORED
            z.writestr(info, data)
    return f.getvalue()


def npz_data(data):
    """The byte ranges of the members' data."""
    ranges = []
    with zipfile.ZipFile(io.BytesIO(data)) as z:
        for i in z.infolist():
            name, extra = struct.unpack_from("<HH", data, i.header_offset + 26)
            first = i.header_offset + 30 + name + extra
            ranges.append((first, first + i.compress_size))
    return ranges


def npz_directory_names(data):
    """The bits of the members' names, in both places."""
    bits = set()
    with zipfile.ZipFile(io.BytesIO(data)) as z:
        for i in z.infolist():
            name = i.filename.encode()
            at = -1
            while (at := data.find(name, at + 1)) >= 0:
                bits.update(range(at * 8, (at + len(name)) * 8))
    return bits


# ---- .safetensors ----

SAFE_TYPES = {"F16": "e", "F32": "f", "F64": "d"}


def safetensors_file(arrays):
    entries, raw = {"__metadata__": {"made": "by hand"}}, b""
    for name, shape, values in arrays:
        packed = struct.pack("<%df" % len(values), *values)
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(raw), len(raw) + len(packed)]}
        raw += packed
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + raw, 8 + len(text)


def no_twins(pairs):
    if len({k for k, _ in pairs}) != len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def read_safetensors(data):
    """{name: (shape, float32 bytes)}, or None."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        return None
    raw, found, spans = data[8 + length :], {}, []
    try:
        root = json.loads(data[8 : 8 + length].decode(), object_pairs_hook=no_twins)
        for name, e in root.items():
            if name == "__metadata__":
                continue
            begin, end = e["data_offsets"]
            shape, kind = tuple(e["shape"]), SAFE_TYPES[e["dtype"]]
            if not all(type(n) is int and n >= 0 for n in (*shape, begin, end)):
                return None
            packed = raw[begin:end]
            values = struct.unpack("<%d%s" % (product(shape), kind), packed)
            if kind != "f":
                packed = b"".join(to_float32(v) for v in values)
            found[name] = (shape, packed)
            spans.append((begin, end))
    except (ValueError, KeyError, TypeError, AttributeError, struct.error, RecursionError, MemoryError):
        return None
    at = 0
    for begin, end in sorted(spans):
        if begin != at:
            return None
        at = end
    return found if at == len(raw) else None
