"""Weights files in every format that voxconv reads, written without its help."""
import json
import os
import struct

import nibabel as nib
import numpy as np
import torch


def save_safetensors(path, arrays):
    """8 bytes of length, JSON, data (github.com/huggingface/safetensors, README)."""
    header, data = {"__metadata__": {"made_by": "a test"}}, b""
    for name, array in arrays.items():
        block = array.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(array.shape),
                        "data_offsets": [len(data), len(data) + len(block)]}
        data += block
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def save_text(path, array):
    with open(path, "w") as f:
        f.write(" ".join(map(str, array.shape)) + "\n")
        f.write(" ".join("%.9g" % v for v in array.ravel()) + "\n")


def save(rng, stem, weight, bias):
    """Writes the arrays in a random format and returns the options that name them."""
    formats = ["npy", "npz", "safetensors", "pt", "txt"] + (["nii"] if weight.ndim == 3 else [])
    form = rng.choice(formats)
    path = stem + "." + form
    if form in ("npz", "safetensors", "pt"):
        prefix = rng.choice(["", "block.0."])
        arrays = {prefix + "weight": weight}
        if bias is not None:
            arrays[prefix + "bias"] = bias
        if form == "npz":
            rng.choice([np.savez, np.savez_compressed])(path, **arrays)
        elif form == "pt":
            state = {name: torch.from_numpy(a.copy()) for name, a in arrays.items()}
            torch.save(rng.choice([state, {"epoch": 1, "state_dict": state}]), path)
        else:
            save_safetensors(path, arrays)
        return ["-w", path + (":" + prefix[:-1] if prefix else "")]
    if form == "npy":
        order = rng.choice([np.ascontiguousarray, np.asfortranarray])
        np.save(path, order(weight.astype(rng.choice(["<f4", ">f4", "<f8"]))))
    elif form == "txt":
        save_text(path, weight)
    else:
        nib.save(nib.Nifti1Image(weight.T, np.eye(4)), path)
    if bias is None:
        return ["-w", path]
    bias_path = stem + "_bias.npy"
    np.save(bias_path, bias)
    assert os.path.exists(path)
    return ["-w", path, "--bias", bias_path]
