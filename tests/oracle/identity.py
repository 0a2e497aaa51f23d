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

# The stored type is float32 and holds scaled values, the display range of the old values is kept; a file that
# is written anew has its own offset, and says of what file it is part.
MAY_CHANGE = {"datatype", "bitpix", "scl_slope", "scl_inter", "vox_offset", "magic"}


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


def values(image):
    """Voxels as float32 with channels of RGB last, from the scaled values in float64."""
    stored = np.asarray(image.dataobj)
    if stored.dtype.fields:
        stored = np.stack([stored[name] for name in stored.dtype.names], -1)
    if stored.dtype.kind == "f" and stored.dtype.itemsize > 8:
        stored = stored.astype(np.float64)
    with np.errstate(over="ignore"):
        return stored.astype(np.float32)


def scaled(path, image):
    """scl_slope * x + scl_inter in float64 from the stored numbers, whatever precision nibabel would take."""
    slope, inter = image.dataobj.slope, image.dataobj.inter
    stored = image.dataobj.get_unscaled()
    if stored.dtype.fields or (slope == 1 and inter == 0):
        return values(image)
    del path
    with np.errstate(over="ignore"):
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
    before, after = scaled(path, image), values(result)
    if before.ndim > image.ndim:  # RGB: the channels are a new axis
        # x, y, z, then t or u where one lies before it.
        after = after.reshape(before.shape)
    if before.shape != after.shape:
        return "dim %s became %s" % (before.shape, after.shape)
    if not np.array_equal(before, after, equal_nan=True):
        return "%d voxels differ" % (before != after).sum()
    old, new = image.header, result.header
    rgb = image.get_data_dtype().fields is not None
    for field in old.keys():
        same = old[field].tobytes() == new[field].astype(old[field].dtype).tobytes() or \
            np.array_equal(old[field], new[field])
        if not same and field not in MAY_CHANGE | ({"dim"} if rgb else set()):
            return "%s=%s became %s" % (field, old[field], new[field])
    if old.endianness == new.endianness and extension_bytes(path, old) != extension_bytes(target, new):
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
    dtype = image.get_data_dtype()
    if dtype.kind == "c":
        # Complex voxels are refused as unsupported, in one line.
        refused = done.returncode == 4 and done.stderr.count("\n") == 1
        return (None if refused else "complex voxels: status %d %s" % (done.returncode, done.stderr)), path
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
