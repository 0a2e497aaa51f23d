"""peer_scan.py torch|scipy conv|gaussian IN OUT [KERNEL.npy] - the same whole command in Python: read a scan with
nibabel, filter it, write float32. conv: a 3x3x3 kernel with zero padding. gaussian: 1 mm."""
import sys

import nibabel
import numpy as np

library, what, source, target = sys.argv[1:5]
image = nibabel.load(source)
x = np.asarray(image.dataobj, dtype=np.float32).squeeze()
if library == "scipy":
    import scipy.ndimage
    if what == "conv":
        y = scipy.ndimage.correlate(x, np.load(sys.argv[5]), mode="constant")
    else:
        y = scipy.ndimage.gaussian_filter(x, [1 / size for size in image.header.get_zooms()[:3]])
else:
    import torch
    y = torch.from_numpy(x)[None, None]
    with torch.inference_mode():
        if what == "conv":
            y = torch.nn.functional.conv3d(y, torch.from_numpy(np.load(sys.argv[5]))[None, None], padding=1)
        else:  # three lines of taps, cut at 4 sigma
            for axis, size in enumerate(image.header.get_zooms()[:3]):
                radius = int(4 / size + 0.5)
                taps = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) * float(size)) ** 2)
                shape, padding = [1, 1, 1, 1, 1], [0, 0, 0]
                shape[2 + axis], padding[axis] = 2 * radius + 1, radius
                y = torch.nn.functional.conv3d(y, (taps / taps.sum()).reshape(shape), padding=padding)
    y = y[0, 0].numpy()
nibabel.save(nibabel.Nifti1Image(y.astype(np.float32), image.affine), target)
