#!/usr/bin/env python3
"""make_bad_scans.py DIR - writes a good small scan, good.nii, and one broken copy of it for each way in which a
NIfTI file or a gzip stream can be wrong. Only the standard library is needed. Offsets are those of nifti1.h and
nifti2.h.
"""
import gzip
import os
import struct
import sys
import zlib

SIZE = (8, 7, 6)
VOXELS = b"".join(struct.pack("<h", i % 97) for i in range(8 * 7 * 6))

# Name: (offset, struct format) in a NIfTI-1 header.
FIELDS_1 = {"sizeof_hdr": (0, "i"), "dim": (40, "8h"), "datatype": (70, "h"), "bitpix": (72, "h"),
            "pixdim": (76, "8f"), "vox_offset": (108, "f"), "scl_slope": (112, "f"),
            "qform_code": (252, "h"), "sform_code": (254, "h"), "quatern_b": (256, "f"),
            "qoffset_x": (268, "f"), "srow_x": (280, "4f"), "srow_y": (296, "4f"),
            "srow_z": (312, "4f"), "magic": (344, "4s")}
FIELDS_2 = {"sizeof_hdr": (0, "i"), "magic": (4, "8s"), "datatype": (12, "h"), "bitpix": (14, "h"),
            "dim": (16, "8q"), "pixdim": (104, "8d"), "vox_offset": (168, "q"),
            "scl_slope": (176, "d"), "sform_code": (348, "i"), "srow_x": (400, "4d"),
            "srow_y": (432, "4d"), "srow_z": (464, "4d")}

COMMON = {"dim": (3,) + SIZE + (1, 1, 1, 1), "datatype": (4,), "bitpix": (16,),
          "pixdim": (1.0,) * 8, "scl_slope": (1.0,), "sform_code": (1,),
          "srow_x": (1.0, 0.0, 0.0, -4.0), "srow_y": (0.0, 1.0, 0.0, -3.0),
          "srow_z": (0.0, 0.0, 1.0, -3.0)}


def header(version, **changes):
    """The header of the good scan with some fields changed; a scalar is a field of one value."""
    fields, length = (FIELDS_1, 348) if version == 1 else (FIELDS_2, 540)
    magic = b"n+1\0" if version == 1 else b"n+2\0\r\n\x1a\n"
    values = dict(COMMON, sizeof_hdr=(length,), vox_offset=(length + 4,), magic=(magic,))
    values.update((k, v if isinstance(v, tuple) else (v,)) for k, v in changes.items())
    raw = bytearray(length)
    for name, value in values.items():
        offset, form = fields[name]
        struct.pack_into("<" + form, raw, offset, *value)
    return bytes(raw)


def scan(version=1, extender=bytes(4), between=b"", data=VOXELS, **changes):
    return header(version, **changes) + extender + between + data


def tensor(shape="(6, 7, 8)", descr="<i2", order="False", data=VOXELS):
    """A .npy file; the format is that of numpy.lib.format."""
    text = "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }" % (descr, order, shape)
    text = text.ljust(-(-(len(text) + 11) // 64) * 64 - 11) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode() + data


def dims(*sizes):
    return tuple(sizes) + (1,) * (8 - len(sizes))


def extension(esize, length=16):
    """A scan whose one extension of `length` bytes claims to have `esize`."""
    block = struct.pack("<ii", esize, 6).ljust(length, b"\0")
    return scan(extender=b"\1\0\0\0", between=block, vox_offset=352.0 + length)


def row(value, at=0):
    return tuple(value if i == at else float(i == 0) for i in range(4))


NAN, INF = float("nan"), float("inf")
GOOD = scan()
# gzip with a fixed level and no time, in one member and in two.
ZIPPED = gzip.compress(GOOD, 6, mtime=0)
FIRST, SECOND = gzip.compress(GOOD[:500], 6, mtime=0), gzip.compress(GOOD[500:], 6, mtime=0)


def flipped(data, at):
    """One bit of the byte at `at` (from the end where negative) is wrong."""
    raw = bytearray(data)
    raw[at] ^= 1
    return bytes(raw)


FILES = {
    "good.nii": GOOD,
    "good.nii.gz": ZIPPED,
    "good2.nii": scan(2),
    "two_members.nii.gz": FIRST + SECOND,
    "zero_padded.nii.gz": ZIPPED + bytes(512),
    "unused_sform_nan.nii": scan(sform_code=0, srow_x=row(NAN)),
    # Length
    "empty.nii": b"",
    "short_header.nii": GOOD[:100],
    "short_header_by_one.nii": GOOD[:347],
    "short_header2.nii": scan(2)[:539],
    "only_header.nii": GOOD[:352],
    "short_data.nii": GOOD[:352 + 100],
    "short_data_by_one.nii": GOOD[:-1],
    "short_data.nii.gz": gzip.compress(GOOD[:-1], 6, mtime=0),
    "short_header.nii.gz": gzip.compress(GOOD[:200], 6, mtime=0),
    # gzip
    # Few bytes that promise much: a compressed file's length does not contradict its header.
    "gz_deep.nii.gz": gzip.compress(scan(2, dim=dims(3, 1, 1, 2 ** 28)), mtime=0),
    "gz_wide.nii.gz": gzip.compress(scan(2, dim=dims(3, 2 ** 21, 2 ** 21, 1)), mtime=0),
    "gz_cut_stream.nii.gz": ZIPPED[:len(ZIPPED) // 2],
    "gz_cut_header.nii.gz": ZIPPED[:6],
    "gz_cut_1.nii.gz": ZIPPED[:-1],
    "gz_cut_4.nii.gz": ZIPPED[:-4],
    "gz_cut_8.nii.gz": ZIPPED[:-8],
    "gz_crc.nii.gz": flipped(ZIPPED, -8),
    "gz_length.nii.gz": flipped(ZIPPED, -4),
    "gz_crc_first.nii.gz": flipped(FIRST, -8) + SECOND,
    "gz_second_missing.nii.gz": FIRST,
    "gz_second_cut.nii.gz": FIRST + SECOND[:-1],
    "gz_empty_member.nii.gz": gzip.compress(b"", 6, mtime=0),
    "gz_garbage.nii.gz": ZIPPED + b"this is not gzip",
    "gz_bad_block.nii.gz": ZIPPED[:10] + b"\x07" + ZIPPED[11:],
    # Signatures
    "sizeof_hdr.nii": scan(sizeof_hdr=347),
    "sizeof_hdr_zero.nii": scan(sizeof_hdr=0),
    "magic.nii": scan(magic=b"n+3\0"),
    "magic_text.nii": b"This is a text and not a scan at all. " * 40,
    "analyze.nii": scan(magic=b"\0\0\0\0"),
    "nifti2_signature.nii": scan(2, magic=b"n+2\0\n\n\x1a\n"),
    "nifti2_magic.nii": scan(2, magic=b"n+1\0\r\n\x1a\n"),
    # dim
    "dim0_zero.nii": scan(dim=dims(0, 8, 7, 6)),
    "dim0_eight.nii": scan(dim=dims(8, 8, 7, 6)),
    "dim0_negative.nii": scan(dim=dims(-1, 8, 7, 6)),
    "dim_zero.nii": scan(dim=dims(3, 8, 0, 6)),
    "dim_negative.nii": scan(dim=dims(3, 8, 7, -6)),
    "dim_huge.nii": scan(dim=dims(7, 32767, 32767, 32767, 32767, 32767, 32767, 32767)),
    "dim_overflow2.nii": scan(2, dim=dims(3, 2 ** 40, 2 ** 40, 6)),
    "dim_negative2.nii": scan(2, dim=dims(3, 8, -(2 ** 62), 6)),
    "dim_large2.nii": scan(2, dim=dims(3, 2 ** 20, 2 ** 20, 2 ** 20)),
    # vox_offset
    "offset_nan.nii": scan(vox_offset=NAN),
    "offset_inf.nii": scan(vox_offset=INF),
    "offset_negative.nii": scan(vox_offset=-352.0),
    "offset_fraction.nii": scan(vox_offset=352.5),
    "offset_inside.nii": scan(vox_offset=100.0),
    "offset_past.nii": scan(vox_offset=1e6),
    "offset_huge.nii": scan(vox_offset=1e30),
    "offset_negative2.nii": scan(2, vox_offset=-1),
    "offset_past2.nii": scan(2, vox_offset=2 ** 62),
    # datatype
    "bitpix.nii": scan(bitpix=8),
    "bitpix_zero.nii": scan(bitpix=0),
    "datatype_unknown.nii": scan(datatype=9999),
    "datatype_zero.nii": scan(datatype=0),
    "datatype_binary.nii": scan(datatype=1, bitpix=1),
    "datatype_complex.nii": scan(datatype=32, bitpix=64, data=VOXELS * 4),
    "datatype_float128.nii": scan(datatype=1536, bitpix=128, data=VOXELS * 8),
    # Extensions
    "extension_eight.nii": extension(8),
    "extension_zero.nii": extension(0),
    "extension_negative.nii": extension(-16),
    "extension_twenty.nii": extension(20, 32),
    "extension_past.nii": extension(4096),
    "extension_huge.nii": extension(2 ** 31 - 16),
    # Geometry
    "sform_nan.nii": scan(srow_y=row(NAN, 1)),
    "sform_inf.nii": scan(srow_z=row(INF, 3)),
    "qform_nan.nii": scan(sform_code=0, qform_code=1, quatern_b=NAN),
    "qform_offset_nan.nii": scan(sform_code=0, qform_code=1, qoffset_x=NAN),
    # Pairs
    "lonely.hdr": header(1, magic=b"ni1\0", vox_offset=0.0) + bytes(4),
    "headless.img": VOXELS,
    "short.hdr": header(1, magic=b"ni1\0", vox_offset=0.0) + bytes(4),
    "short.img": VOXELS[:-2],
    "analyze.hdr": header(1, magic=b"\0\0\0\0", vox_offset=0.0),
    "analyze.img": VOXELS,
    # Tensors
    "good.npy": tensor(),
    "fortran.npy": tensor(order="True"),
    "half.npy": tensor(descr="<f2"),
    "complex.npy": tensor(descr="<c4"),
    "objects.npy": tensor(descr="|O"),
    "two_axes.npy": tensor("(42, 8)"),
    "six_axes.npy": tensor("(1, 1, 1, 6, 7, 8)"),
    "no_axes.npy": tensor("()"),
    "empty_axis.npy": tensor("(1, 0, 6, 7, 8)"),
    "negative.npy": tensor("(1, -1, 6, 7, 8)"),
    "overflow.npy": tensor("(4294967296, 1, 4294967296, 7, 8)"),
    "overflow_zipped.npy": gzip.compress(tensor("(4294967296, 1, 536870911, 1, 2)"), mtime=0),
    "short.npy": tensor(data=VOXELS[:-1]),
    "short_zipped.npy": gzip.compress(tensor(data=VOXELS[:-1]), mtime=0),
    "cut.npy": tensor()[:40],
    "cut_magic.npy": tensor()[:5],
    "no_magic.npy": tensor().replace(b"NUMPY", b"NUMPX"),
    "version.npy": tensor().replace(b"NUMPY\1", b"NUMPY\7"),
    "words.npy": tensor("some"),
    "other_shape.npy": tensor("(6, 7, 4)", data=VOXELS[:336]),
    # Grids that do not fit together
    "other_grid.nii": scan(dim=dims(3, 8, 7, 5), data=VOXELS[:8 * 7 * 5 * 2]),
    "frames.nii": scan(dim=dims(4, 8, 7, 6, 3), data=VOXELS * 3),
}


def main():
    os.makedirs(os.path.join(sys.argv[1], "folder.nii"), exist_ok=True)
    for name, data in FILES.items():
        with open(os.path.join(sys.argv[1], name), "wb") as f:
            f.write(data)
    assert zlib.decompress(ZIPPED, 31) == GOOD


main()
