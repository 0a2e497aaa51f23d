#!/usr/bin/env python3
"""segmentation_picture.py SCAN LABELS OUT.png - the README's picture of a segmentation: an axial, a coronal and a
sagittal slice of the scan, grey, and below them the same with label 1 and label 2 in colours. Front or head up, the
subject's left on the left. Both files are on one grid of voxels of 1 mm. Takes nibabel and numpy."""
import struct
import sys
import zlib

import nibabel
import numpy as np

COLORS = {1: (250, 200, 60), 2: (70, 130, 220)}
GAP = 6


def slices(path):
    volume = np.asarray(nibabel.as_closest_canonical(nibabel.load(path)).dataobj)
    inside = [slice(8, n - 8) for n in volume.shape]
    x, y, z = (n * 53 // 100 for n in volume.shape)
    return [np.flipud(s.T) for s in (volume[inside[0], inside[1], z], volume[inside[0], y, inside[2]],
                                     volume[x, inside[1], inside[2]])]


def grey(s, high):
    return np.repeat(np.clip(s / high * 255, 0, 255)[..., None], 3, 2)


def tinted(s, labels, high):
    picture = grey(s, high)
    for label, color in COLORS.items():
        picture[labels == label] = 0.45 * picture[labels == label] + 0.55 * np.array(color)
    return picture


def beside(pictures):
    height = max(p.shape[0] for p in pictures)
    row = []
    for p in pictures:
        row += [np.pad(p, ((0, height - p.shape[0]), (0, 0), (0, 0))), np.full((height, GAP, 3), 255)]
    return np.concatenate(row[:-1], 1)


def write_png(path, picture):
    rows = picture.astype(np.uint8)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">2I5B", rows.shape[1], rows.shape[0], 8, 2, 0, 0, 0)) +
                chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b""))


def main():
    scan, labels = slices(sys.argv[1]), slices(sys.argv[2])
    high = np.percentile(np.concatenate([s.ravel() for s in scan]), 99.5)
    top = beside([grey(s, high) for s in scan])
    bottom = beside([tinted(s, l, high) for s, l in zip(scan, labels)])
    write_png(sys.argv[3], np.concatenate([top, np.full((GAP, top.shape[1], 3), 255), bottom], 0))


if __name__ == "__main__":
    main()
