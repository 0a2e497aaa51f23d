#!/usr/bin/env bash
# make_seeds.sh BUILD - what fuzzing starts from: small files of every format, good and bad, from the programs that the
# other tests use as well, one folder per target under BUILD/seeds/. Larger ones are of no use: see run.sh's max_len.
set -euo pipefail

build=$1
seeds=$build/seeds
made=$seeds/made
rm -rf "$seeds"
mkdir -p "$made"/{scans,weights} "$seeds"/{nifti,gunzip,npy,npz,safetensors,pt,text,nifti_weights,kernel,options,onnx,network,tfjs,card,labels}
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

# Networks with the weights that they want, and without; models with their shard, good and bad.
python3 -B tests/cli/make_models.py "$made/models"
for file in data/networks/*.txt; do
    cp "$file" "$seeds/network/$(basename "$file")"
    sed -E '/^#/d; s/[0-9]([0-9])/\1/g' "$file" >"$seeds/network/small_$(basename "$file")"
done
cat >"$seeds/network/weights" <<'END'
input channels=1
save x
conv3d a in_channels=1 out_channels=2 kernel_size=1,3,3 padding=0,1,1 padding_mode=reflect
leaky_relu negative_slope=0.1
save a
batchnorm3d n eps=0
conv3d b out_channels=2 kernel_size=3,1,1 padding=same dilation=2,1,1 bias=false
add a
mul x
cat . x
maxpool3d kernel_size=2,1,2 stride=2 ceil_mode=true
from a
softmax dim=1
---
END
sed 's/^from a$/conv3d out out_channels=3 kernel_size=1,2,1/' "$seeds/network/weights" >"$seeds/network/more_weights"
for file in weights more_weights; do
    python3 - "$made/models/weights.safetensors" >>"$seeds/network/$file" <<'END'
import sys
sys.stdout.buffer.write(open(sys.argv[1], "rb").read().replace(b'"net.', b'    "'))
END
done
for file in "$made"/models/{functional,sequential,arithmetic,turned,uint8,bad/*}/model.json; do
    to=$seeds/tfjs/$(basename "$(dirname "$file")")
    jq -c . "$file" >"$to" 2>/dev/null || cp "$file" "$to"
    { printf -- '---\n' && cat "$(dirname "$file")"/*.bin; } >>"$to"
done
printf '{"axes": "whd", "orientation": "LIA", "spacing": [3, 1, 0.5], "intensity": "window:40,400"}' >"$seeds/card/card"
printf '{"shape": [64, 64, 64], "argmax": true, "labels": ["air", "water"], "description": "x"}' >"$seeds/card/labels"
grep -ohE '"[a-z]+"' src/model/card.c | sort -u >"$seeds/card.dict"
# Words of both formats for the fuzzer.
grep -oE '"[a-z_0-9 ]+"' src/model/text_layers.c | tr -d '"' | tr ' ' '\n' | grep . | sort -u | sed 's/.*/"&"\n"&="/' >"$seeds/network.dict"
grep -ohE '"[A-Za-z_0-9]+"' src/model/keras*.c src/model/tfjs.c | sort -u >"$seeds/tfjs.dict"

printf '#No. Label Name: R G B A\n\n14  3rd-Ventricle 204 182 142 0\n0 Unknown 0 0 0 0\r\n2\tLeft\n9 two words\n' >"$seeds/labels/lut"
printf '{"R":[0,255],"labels":["background",{"name":"White Matter"}]}' >"$seeds/labels/colormap"
printf '{"0":"a","2":{"name":"b"}}' >"$seeds/labels/object"

# Each command line of the README and of the tests' table, a word a line.
grep -hoE 'voxconv (conv|info|kernel|run) [^|>\\]*' README.md man/*.1 | sort -u | cut -d' ' -f2- | {
    number=0
    while read -r line; do
        number=$((number + 1))
        tr -s ' ' '\n' <<<"$line" >"$seeds/options/$number"
    done
}
# The fuzzer's vocabulary: options and their words, names of kernels.
for command in conv info kernel run; do
    "$build/voxconv" "$command" --help
done | grep -oE -- '--[a-z-]+|[a-z_]{3,}' | sort -u | sed 's/.*/"&"/' >"$seeds/options.dict"
"$build/voxconv" kernel --list | grep -oE '^[a-z]+' | sed 's/.*/"&:"/' >"$seeds/kernel.dict"
rm -rf "$made"
