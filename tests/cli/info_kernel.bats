#!/usr/bin/env bats
# voxconv info and voxconv kernel.

# shellcheck disable=SC2154 # $top, $status, $output and $lines come from common.bash and bats
load common

@test "info shows header, geometry and statistics" {
    volume in.nii 5,1,1
    vox info in.nii
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = "in.nii: NIfTI-1" ]
    [[ $output =~ dim\ +3\ 5\ 1\ 1\ 1\ 1\ 1\ 1 ]]
    [[ $output = *"16 (float32)"* ]]
    [[ $output = *"affine from pixdim"* ]]
    [[ $output =~ mean\ +3 ]]
    # The population's: sqrt((4 + 1 + 0 + 1 + 4) / 5).
    [[ $output = *"1.41421356"* ]]
    vox info -n in.nii
    [[ $output != *stddev* ]]
}

@test "info --json is one object a line, with NIfTI's names" {
    volume in.nii 4,1,1 1 nan inf 3
    volume nothing.nii 1,1,1 nan
    "$VOXCONV" info --json in.nii "$top/data/samples/ct.nii.gz" nothing.nii >info.json
    python3 - <<-'END'
	import json
	a, ct, nothing = [json.loads(line) for line in open("info.json")]
	assert a["path"] == "in.nii" and a["dim"] == [3, 4, 1, 1, 1, 1, 1, 1], a
	assert a["datatype"] == 16 and a["datatype_name"] == "float32" and not a["gzip"], a
	s = a["statistics"]
	assert (s["count"], s["nan_count"], s["inf_count"]) == (4, 1, 1), s
	assert (s["min"], s["max"], s["mean"], s["stddev"]) == (1, 3, 2, 1), s
	assert ct["gzip"] and ct["affine_source"] == "sform" and len(ct["affine"]) == 3, ct
	assert ct["affine"] == ct["srow"], ct
	assert nothing["statistics"]["mean"] is None, nothing
	END
}

@test "info carries text that is not UTF-8 and control characters safely" {
    volume in.nii 1,1,1
    printf 'caf\xe9\x1b[31m' | dd of=in.nii bs=1 seek=148 conv=notrunc 2>/dev/null
    vox info -n in.nii
    [[ $output != *$'\e'* ]]
    "$VOXCONV" info -n --json in.nii |
        python3 -c 'import json, sys; assert json.load(sys.stdin)["descrip"] == "caf\xe9\x1b[31m"'
}

@test "info reports a bad file and shows the others; the first failure is the status" {
    volume in.nii 1,1,1
    vox info missing.nii in.nii
    [ "$status" -eq 3 ]
    [[ ${lines[0]} = "voxconv: missing.nii: "* ]]
    [[ $output = *"in.nii: NIfTI-1"* ]]
    vox info
    fails 2 "a file is missing"
}

@test "kernel --list names kernels that there are" {
    vox kernel --list
    [ "$status" -eq 0 ]
    for name in identity box gaussian log laplacian sobel sharpen; do
        [[ $output = *"$name"* ]]
    done
}

@test "kernel prints sizes and values, which --weights reads back" {
    vox kernel sobel:x
    [ "$status" -eq 0 ]
    # scipy.ndimage.sobel: the outer product of 1 2 1, 1 2 1 and -1 0 1.
    [ "$(tr '\n' ' ' <<<"$output" | sed 's/-0 /0 /g')" = "3 3 3 -1 0 1 -2 0 2 -1 0 1 -2 0 2 -4 0 4 \
-2 0 2 -1 0 1 -2 0 2 -1 0 1 " ]
    volume in.nii 6,6,6
    "$VOXCONV" kernel sobel:x >sobel.txt
    # Sums of whole numbers are exact in any order, so dense and separable agree to the bit.
    "$VOXCONV" conv in.nii -w sobel.txt -p same --padding-mode replicate -o dense.nii
    "$VOXCONV" conv in.nii --kernel sobel:x -o separable.nii
    [ "$(voxels dense.nii)" = "$(voxels separable.nii)" ]
}

@test "kernel writes every format, and conv reads the same filter from each" {
    volume in.nii 10,10,10
    "$VOXCONV" kernel gaussian:1 >printed.txt
    "$VOXCONV" conv in.nii -w printed.txt -o expected.nii
    for ending in npy npz safetensors txt nii nii.gz; do
        vox kernel gaussian:1 -o "k.$ending"
        echo "$ending: $output"
        [ "$status" -eq 0 ]
        vox conv in.nii -w "k.$ending" -f -o out.nii
        [ "$status" -eq 0 ]
        cmp expected.nii out.nii
    done
    vox kernel gaussian:1 -o k.npy
    fails 6 "k.npy"
    vox kernel gaussian:1 -f -o k.npy
    [ "$status" -eq 0 ]
    vox kernel gaussian:1 -o k.doc
    [ "$status" -eq 2 ]
}

@test "kernel --voxel-size turns mm into voxels" {
    "$VOXCONV" kernel box:6mm --voxel-size 6,2,1.2 >mm.txt
    "$VOXCONV" kernel box:1,3,5 >voxels.txt
    cmp mm.txt voxels.txt
    vox kernel box:3mm --voxel-size 0
    fails 2 "--voxel-size 0: must be a number above 0"
}

@test "kernel --init: the scheme torch has a bias, the others have none" {
    vox kernel --init torch
    fails 2 "weight and bias"
    vox kernel --init torch --no-bias -k 1,2,3 --in-channels 4 --out-channels 6 -g 2
    [ "${lines[0]}" = "6 2 1 2 3" ]
    vox kernel --init kaiming_uniform
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = "1 1 3 3 3" ]
    vox kernel --init torch -o w.safetensors
    [ "$status" -eq 0 ]
    grep -q '"bias"' w.safetensors
    vox kernel --init torch -g 2
    fails 2 "--groups 2: does not divide"
    vox kernel
    fails 2 "needs one SPEC"
    vox kernel box:3 box:5
    fails 2 "needs one SPEC"
}
