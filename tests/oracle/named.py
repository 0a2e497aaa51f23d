"""Named kernels through the command line against scipy.ndimage.

voxconv's named kernels run at 'same' with replicated borders, which scipy calls mode='nearest'.
"""
import os
import subprocess

import nibabel as nib
import numpy as np
import scipy.ndimage as ndi
import torch

from bounded import Bounded, pad

NEAREST = {"mode": "nearest"}


def lines(spec, voxel):
    """The 1-D kernels of a separable filter along D, H, W in float64 with the number of times that each
    weight was rounded, for the bound."""
    name, _, argument = spec.partition(":")
    if name == "gaussian":
        return [gauss(s, 0) for s in sigmas(argument, voxel)], 1
    if name == "box":
        n = int(argument)
        return [np.full(n, 1 / n)] * 3, 1
    across, along = {"sobel": ([1, 2, 1], [-1, 0, 1]), "prewitt": ([1, 1, 1], [-1, 0, 1])}[name]
    return [np.array(along if axis == argument else across, float) for axis in "zyx"], 0


def sigmas(argument, voxel):
    if argument.endswith("mm"):
        return [float(argument[:-2]) / v for v in voxel]
    return [float(s) for s in argument.split(",")] if "," in argument else [float(argument)] * 3


def gauss(sigma, order):
    """scipy.ndimage's own kernel: the filter's answer to an impulse that is far from the border."""
    radius = int(4 * sigma + 0.5)
    impulse = np.zeros(2 * radius + 1)
    impulse[radius] = 1
    return ndi.gaussian_filter1d(impulse, sigma, order=order, mode="constant", truncate=4.0)


def dense(spec, voxel):
    name, _, argument = spec.partition(":")
    if name == "log":
        g = [[gauss(s, order) for order in (0, 2)] for s in sigmas(argument, voxel)]
        return sum(np.einsum("i,j,k", *[g[a][a == second] for a in range(3)]) for second in range(3)), 4
    kernel = np.zeros((3, 3, 3))
    centre, side = {"laplacian": (-6, 1), "sharpen": (7, -1)}[name]
    kernel[1, 1, :] = kernel[1, :, 1] = kernel[:, 1, 1] = side
    kernel[1, 1, 1] = centre
    return kernel, 0


def scipys(spec, x, voxel):
    """What scipy.ndimage computes in float64; x is (D, H, W), and axes x, y, z are 2, 1, 0."""
    name, _, argument = spec.partition(":")
    axis = {"x": 2, "y": 1, "z": 0}.get(argument)
    if name == "gaussian":
        return ndi.gaussian_filter(x, sigmas(argument, voxel), truncate=4.0, **NEAREST)
    if name == "box":
        return ndi.uniform_filter(x, int(argument), **NEAREST)
    if name == "log":
        return ndi.gaussian_laplace(x, sigmas(argument, voxel), truncate=4.0, **NEAREST)
    if name == "sharpen":
        return x - ndi.laplace(x, **NEAREST)
    return {"laplacian": ndi.laplace, "sobel": lambda v, **k: ndi.sobel(v, axis, **k),
            "prewitt": lambda v, **k: ndi.prewitt(v, axis, **k)}[name](x, **NEAREST)


def bound(spec, x, voxel):
    """The rounding bound of the filter, layer by layer, around torch's float64 result."""
    state = Bounded(torch.from_numpy(x)[None, None])
    if spec.partition(":")[0] in ("gaussian", "box", "sobel", "prewitt"):
        one_d, roundings = lines(spec, voxel)
        shapes = [(-1, 1, 1), (1, -1, 1), (1, 1, -1)]
        kernels = [k.reshape(s) for k, s in zip(one_d, shapes)]
    else:
        kernel, roundings = dense(spec, voxel)
        kernels = [kernel]
    for k in kernels:
        reach = [(n - 1) // 2 for n in k.shape]
        state = state.conv(torch.from_numpy(k)[None, None], None, 1, 1, reach, reach, "replicate",
                           1, roundings)
    return state


def run(tally, build, scratch, rng):
    specs = ["gaussian:%gmm" % s for s in (0.7, 1.5, 2, 4)] + ["gaussian:1", "gaussian:0.5,1.5,1"]
    specs += ["log:2mm", "log:1", "laplacian", "sharpen", "box:1", "box:3", "box:5"]
    specs += [name + ":" + axis for name in ("sobel", "prewitt") for axis in "xyz"]
    source, target = os.path.join(scratch, "named.nii"), os.path.join(scratch, "named_out.nii")
    for spec in specs:
        size = [rng.randint(5, 24) for _ in range(3)]
        voxel = [rng.choice([0.8, 1.0, 1.5, 3.0]) for _ in range(3)]  # D, H, W
        x = (torch.randn(size, generator=rng.torch) * 100).float().numpy()
        nib.save(nib.Nifti1Image(x.T, np.diag(voxel[::-1] + [1.0])), source)
        # The header keeps voxel sizes as float32, and that is what the filter goes by.
        exact = x.astype(np.float64)
        voxel = [float(np.float32(v)) for v in voxel]
        done = subprocess.run([os.path.join(build, "voxconv"), "conv", source, "--kernel", spec, "-f",
                               "-o", target], capture_output=True, text=True)
        problem = done.stderr if done.returncode else check(spec, exact, voxel, target)
        tally.check(problem, "kernel %s on %s" % (spec, size))


def check(spec, x, voxel, target):
    y = np.asarray(nib.load(target).dataobj).T.astype(np.float64)
    want = scipys(spec, x, voxel)
    # scipy's float64 sums are off by parts in 10^13 of the largest value, which float32's bound hides.
    error = bound(spec, x, voxel).error[0, 0].numpy() + 1e-12 * np.abs(x).max()
    wrong = np.abs(y - want) > error
    if y.shape != want.shape or wrong.any():
        return "%d values are not scipy's" % wrong.sum()
    return None
