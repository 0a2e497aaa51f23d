#!/usr/bin/python3
"""What scipy.ndimage and numpy do where vox_kernel_named gives a kernel, for tests/unit/test_weights_kernels.c.

Run in this folder: ./make_kernels.py   (made with scipy 1.10.1, numpy 1.24.2)

kernels.npz, float64: SPEC is the kernel itself, read off a filter's answer to an impulse. A correlation
answers with its kernel turned round, so the answer is flipped along all axes. Voxels are (D, H, W) = (2, 1,
0.75) mm where a spec says mm.
"""
import io
import zipfile

import numpy as np
from scipy import ndimage

MM = np.array([2.0, 1.0, 0.75])
AXIS = {"z": 0, "y": 1, "x": 2}
HALF = 12  # voxels around the impulse: more than any radius below


def kernel(filter_of):
    x = np.zeros((2 * HALF + 1,) * 3)
    x[HALF, HALF, HALF] = 1
    y = filter_of(x)[::-1, ::-1, ::-1]
    inside = np.argwhere(y)
    radius = np.abs(inside - HALF).max(axis=0)
    cut = tuple(slice(HALF - r, HALF + r + 1) for r in radius)
    return y[cut]


def main():
    c = {"mode": "constant"}
    k = {"laplacian": kernel(lambda x: ndimage.laplace(x, **c))}
    k["sharpen"] = kernel(lambda x: x - ndimage.laplace(x, **c))
    k["identity"] = kernel(lambda x: x)
    for name, axis in AXIS.items():
        k["sobel:" + name] = kernel(lambda x: ndimage.sobel(x, axis, **c))
        k["prewitt:" + name] = kernel(lambda x: ndimage.prewitt(x, axis, **c))
        k["gradient:" + name] = kernel(lambda x: np.gradient(x, axis=axis))
    k["box:3"] = kernel(lambda x: ndimage.uniform_filter(x, 3, **c))
    k["mean:1,5,3vox"] = kernel(lambda x: ndimage.uniform_filter(x, (1, 5, 3), **c))
    # 4 mm is 2, 4 and 5.33 voxels; the nearest odd numbers, ties up: 3, 5, 5.
    k["box:4mm"] = kernel(lambda x: ndimage.uniform_filter(x, (3, 5, 5), **c))
    for spec, sigma in (("gaussian:1", (1, 1, 1)), ("gaussian:0.6,0,1.3", (0.6, 0, 1.3)),
                        ("gaussian:1mm", 1 / MM), ("gaussian:0.3,1.5,0.75mm", (0.3, 1.5, 0.75) / MM)):
        k[spec] = kernel(lambda x: ndimage.gaussian_filter(x, sigma, **c))
    for spec, sigma in (("log:1", (1, 1, 1)), ("log:0.5,1,0.8vox", (0.5, 1, 0.8)), ("log:1mm", 1 / MM)):
        k[spec] = kernel(lambda x: ndimage.gaussian_laplace(x, sigma, **c))
    with zipfile.ZipFile("kernels.npz", "w") as z:
        for spec, values in k.items():
            out = io.BytesIO()
            np.save(out, np.ascontiguousarray(values))
            z.writestr(zipfile.ZipInfo(spec + ".npy", (1980, 1, 1, 0, 0, 0)), out.getvalue(),
                       zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    main()
