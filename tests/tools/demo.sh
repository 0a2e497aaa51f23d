#!/usr/bin/env bash
# demo.sh BUILD - what `make demo` shows: the samples filtered a few ways, with pictures of a slice before and
# after in BUILD/demo/. Every command is printed as it could be typed.
set -euo pipefail

build=$1
out=$build/demo
mkdir -p "$out"

# Prints a command and runs it.
run() {
    printf '\n$ %s\n' "$*"
    "$@"
}

picture() {
    "$build/slice_png" "$@"
    echo "  -> $2"
}

echo "voxconv demo: filtered volumes and pictures go to $out/"
run "$build/voxconv" info data/samples/mri.nii.gz

run "$build/voxconv" conv data/samples/mri.nii.gz --kernel gaussian:2mm -f -o "$out/smooth.nii.gz"
picture data/samples/mri.nii.gz "$out/smooth.png" "$out/smooth.nii.gz"

run "$build/voxconv" conv data/samples/mri.nii.gz --kernel sobel:x -f -o "$out/edges.nii.gz"
picture data/samples/mri.nii.gz "$out/edges.png" "$out/edges.nii.gz"

run "$build/voxconv" conv data/samples/ct.nii.gz --kernel box:3 --datatype input -f -o "$out/ct.nii.gz"
picture data/samples/ct.nii.gz "$out/ct.png" "$out/ct.nii.gz"

# The layer of a network: 8 filters of 3x3x3 with torch's own initial weights, ReLU, pooling.
run "$build/voxconv" conv data/samples/mri.nii.gz --init torch --seed 1 --out-channels 8 \
    --kernel-size 3 --padding same --activation relu --max-pool 2 -f -o "$out/layer.nii.gz"
run "$build/voxconv" info "$out/layer.nii.gz"
picture data/samples/mri.nii.gz "$out/layer.png" "$out/layer.nii.gz"
