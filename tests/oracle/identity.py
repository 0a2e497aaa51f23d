"""An identity kernel over every NIfTI file that can be found: the voxels as float32 are the input's, and the
header differs only where the documentation says (voxconv(1), "What changes in the header").

Files: mricron-data's templates, nibabel's test data, and the folder that VOXCONV_SHARED names.
"""
import gzip
import os
import subprocess
import warnings
from concurrent.futures import ThreadPoolExecutor

import nibabel as nib
import numpy as np

# The stored type is float32 and holds scaled values; the voxels of a new file start where its header ends.
MAY_CHANGE = {"datatype", "bitpix", "scl_slope", "scl_inter", "vox_offset"}
# Where a voxel is several channels (RGB24, RGBA32, complex), they become an axis: its extent and its step.
AN_AXIS_MORE = {"dim", "pixdim"}


def folders():
    found = ["/usr/share/mricron/templates",
             os.path.join(os.path.dirname(nib.__file__), "tests", "data")]
    top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    found.append(os.environ.get("VOXCONV_SHARED") or os.path.join(top, "..", "shared", "data"))
    return found


def files():
    for folder in folders():
        for where, _, names in sorted(os.walk(folder)):
            for name in sorted(names):
                if name.endswith((".nii", ".nii.gz", ".hdr", ".hdr.gz")):
                    yield os.path.join(where, name)


def load(path):
    """The image, or None where nibabel does not see NIfTI in it (ANALYZE headers)."""
    try:
        image = nib.load(path)
    except (nib.filebasedimages.ImageFileError, OSError):
        return None
    return image if isinstance(image, (nib.Nifti1Pair, nib.Nifti2Pair)) else None


def components(stored):
    """The channels of RGB and complex voxels as a last axis; other voxels as they are."""
    if stored.dtype.fields:
        return np.stack([stored[name] for name in stored.dtype.names], -1)
    if stored.dtype.kind == "c":
        return np.stack([stored.real, stored.imag], -1)
    return stored


def values(image):
    """scl_slope * x + scl_inter in float64 from the stored numbers, rounded to float32 once."""
    stored = components(image.dataobj.get_unscaled())
    slope, inter = image.dataobj.slope, image.dataobj.inter
    with np.errstate(over="ignore"):
        if slope == 1 and inter == 0:
            return stored.astype(np.float32)
        return (stored.astype(np.float64) * slope + inter).astype(np.float32)


def extension_bytes(path, header):
    """The bytes between header and voxels of a single file, or behind the header of a pair."""
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rb") as f:
        data = f.read(int(header["vox_offset"]) if b"+" in header["magic"].item() else -1)
    start = int(header["sizeof_hdr"]) + 4
    wanted = sum(e.get_sizeondisk() for e in header.extensions)
    return data[start:start + wanted]


def compare(path, image, target):
    result = nib.load(target)
    before, after = values(image), values(result)
    split = before.ndim > image.ndim
    if split:
        after = after.reshape(before.shape)
    if before.shape != after.shape:
        return "dim %s became %s" % (before.shape, after.shape)
    if not np.array_equal(before, after, equal_nan=True):
        return "%d voxels differ" % (before != after).sum()
    old, new = image.header, result.header
    if old.endianness != new.endianness:  # voxconv writes the machine's order
        old = old.as_byteswapped(new.endianness)
    for field in old.keys():
        if field in MAY_CHANGE or (split and field in AN_AXIS_MORE):
            continue
        if old[field].tobytes() != new[field].tobytes():
            return "%s=%s became %s" % (field, old[field], new[field])
    if not np.array_equal(old["pixdim"][:4], new["pixdim"][:4]):
        return "pixdim=%s became %s" % (old["pixdim"], new["pixdim"])
    if extension_bytes(path, image.header) != extension_bytes(target, new):
        return "extensions differ"
    return None


def one(build, scratch, index, path):
    """(what is wrong or None, path), or None for a file that is not NIfTI."""
    image = load(path)
    if image is None:
        return None
    end = ".hdr" if ".hdr" in path else ".nii"
    target = os.path.join(scratch, "identity%d%s" % (index, end))
    done = subprocess.run([os.path.join(build, "voxconv"), "conv", path, "--kernel", "identity", "-q",
                           "-o", target], capture_output=True, text=True)
    if not os.path.exists(image.file_map["image"].filename):
        # nibabel's tests have headers without voxels.
        refused = done.returncode == 3 and done.stderr.count("\n") == 1
        return (None if refused else "header without voxels: status %d" % done.returncode), path
    if done.returncode:
        return done.stderr, path
    problem = compare(path, image, target)
    for part in (target, target.replace(".hdr", ".img")):
        if os.path.exists(part):
            os.remove(part)
    return problem, path


def run(tally, build, scratch):
    for folder in folders():
        if not os.path.isdir(folder):
            print("SKIP: identity over %s: not there" % folder)
    warnings.simplefilter("ignore")
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(one, build, scratch, i, path) for i, path in enumerate(files())]
        for job in jobs:
            result = job.result()
            if result:
                tally.check(result[0], "identity over " + result[1])
