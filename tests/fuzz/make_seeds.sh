#!/usr/bin/env bash
# make_seeds.sh BUILD - what fuzzing starts from: small files of every format, good and bad, from the programs that the
# other tests use as well, one folder per target under BUILD/seeds/. Larger ones are of no use: see run.sh's max_len.
set -euo pipefail

build=$1
seeds=$build/seeds
made=$seeds/made
rm -rf "$seeds"
mkdir -p "$made"/{scans,weights} "$seeds"/{nifti,gunzip,npy,npz,safetensors,pt,text,nifti_weights,kernel,options,onnx}
python3 tests/cli/make_bad_scans.py "$made/scans"
python3 tests/cli/make_bad_weights.py "$made/weights"

# Our own output: every stored type, header versions, scalings, axes, compressions.
quiet=("$build/voxconv" conv data/samples/mri.nii.gz --kernel box:8 --stride 40 -q -f)
for type in uint8 int16 int32 float32 float64 int8 uint16 uint32 int64 uint64; do
    "${quiet[@]}" -t "$type" -o "$made/scans/type_$type.nii"
done
"$build/voxconv" conv data/samples/ct.nii.gz --kernel box:8 --stride 40 -q -t input -o "$made/scans/ct.nii.gz"
"$build/voxconv" conv data/samples/frames.nii.gz --kernel box:8 --stride 40 -q -o "$made/scans/frames.nii.gz"
"$build/voxconv" conv data/samples/frames.nii.gz --kernel box:8 --stride 40 -q -o "$made/scans/pair.hdr"
# What a pair's two halves have in common in fuzz_nifti.c: one file.
cat "$made/scans/pair.img" >>"$made/scans/pair.hdr"
for ending in npy npz safetensors txt nii nii.gz; do
    "$build/voxconv" kernel sobel:x -f -o "$made/weights/sobel.$ending" 2>/dev/null ||
        "$build/voxconv" kernel laplacian -f -o "$made/weights/laplacian.$ending"
done
for ending in npz safetensors; do
    "$build/voxconv" kernel --init torch --out-channels 2 -f -o "$made/weights/init.$ending"
done
find data/samples tests/oracle/golden/weights "$made" -type f -size -8 | while read -r file; do
    to=$(basename "$(dirname "$file")")_$(basename "$file")
    case $file in *.gz) cp "$file" "$seeds/gunzip/$to" ;; esac
    case $file in
        */scans/*) cp "$file" "$seeds/nifti/$to" ;;
        *.nii | *.nii.gz) cp "$file" "$seeds/nifti_weights/$to" ;;
        *.txt) cp "$file" "$seeds/text/$to" ;;
        *.npy | *.npz | *.safetensors) cp "$file" "$seeds/${file##*.}/$to" ;;
        *.pt | *.pth) cp "$file" "$seeds/pt/$to" ;;
    esac
done
# The pickles in archives, which fuzz_pt.c puts an archive around again.
python3 - "$seeds/pt" <<-'END'
	import pathlib, sys, zipfile
	for path in list(pathlib.Path(sys.argv[1]).iterdir()):
	    try:
	        archive = zipfile.ZipFile(path)
	        pickles = [archive.read(i) for i in archive.infolist() if i.filename.endswith("/data.pkl")]
	    except (zipfile.BadZipFile, ValueError):
	        continue  # a broken one
	    for data in pickles:
	        if len(data) < 4096:
	            path.with_suffix(".pkl").write_bytes(data)
	END
# A compressed file's length does not contradict hostile sizes.
for file in "$made"/scans/{good,frames,dim,extension}*.nii; do
    gzip -nc "$file" >"$seeds/nifti/$(basename "$file").gz"
done
cp "$made"/scans/{good.nii,frames.nii.gz,type_int16.nii} "$seeds/nifti_weights"

"$build/voxconv" kernel --list | cut -f1 | while read -r spec; do
    for size in 3 1.5mm 2,1,3vox x; do
        printf '%s' "${spec%%:*}:$size" >"$seeds/kernel/${spec%%:*}_$size"
    done
done
# Voxel sizes of 1, 2 and 0.5 mm behind the spec.
printf 'gaussian:2mm\0\0\0\0\0\0\0\360?\0\0\0\0\0\0\0@\0\0\0\0\0\0\340?' >"$seeds/kernel/voxel_mm"

# Each command line of the README and of the tests' table, a word a line.
grep -hoE 'voxconv (conv|info|kernel) [^|>\\]*' README.md man/*.1 | sort -u | cut -d' ' -f2- | {
    number=0
    while read -r line; do
        number=$((number + 1))
        tr -s ' ' '\n' <<<"$line" >"$seeds/options/$number"
    done
}
# The fuzzer's vocabulary: options and their words, names of kernels.
for command in conv info kernel; do
    "$build/voxconv" "$command" --help
done | grep -oE -- '--[a-z-]+|[a-z_]{3,}' | sort -u | sed 's/.*/"&"/' >"$seeds/options.dict"
"$build/voxconv" kernel --list | grep -oE '^[a-z]+' | sed 's/.*/"&:"/' >"$seeds/kernel.dict"
rm -rf "$made"
