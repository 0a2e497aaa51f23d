#!/usr/bin/env bash
# picture.sh BUILD OUT.png - the README's picture: a slice of the MRI phantom as it is, smoothed, and its edges.
set -euo pipefail

build=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$build/voxconv" conv -q data/samples/mri.nii.gz --kernel gaussian:2mm -o "$scratch/smooth.nii"
"$build/voxconv" conv -q data/samples/mri.nii.gz --kernel sobel:x -o "$scratch/edges.nii"
"$build/slice_png" data/samples/mri.nii.gz "$2" "$scratch/smooth.nii" "$scratch/edges.nii"
