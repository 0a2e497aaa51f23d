#!/usr/bin/env bats
# Tensors in .npy files in place of volumes. What is expected follows from torch's definition of the layers, worked out
# by hand on small numbers; small.py reads and writes the files, and knows nothing of voxconv. bad_scans.bats has what
# is refused.

# shellcheck disable=SC2154 # $top, $status, $output and $lines come from common.bash and bats
load common

# network LINE...: the file net.txt.
network() {
    printf '%s\n' "$@" >net.txt
}

# (N, 2, ...) to (N, 2, ...): the first channel and 10 times the second, and the second.
mix() {
    network 'input channels=2' 'conv3d c out_channels=2 kernel_size=1 bias=false'
    tensors w.safetensors c.weight=2,2,1,1,1:1,10,0,1
}

# gives SHAPE VALUES FILE: what a .npy file holds.
holds() {
    echo "wanted ($1) $2; found $(header "$3" shape) $(voxels "$3")"
    [ "$(header "$3" shape)" = "($1)" ]
    [ "$(voxels "$3")" = "$2" ]
}

@test "a batch: each element goes through the network" {
    mix
    array x.npy 2,2,1,1,2
    "$VOXCONV" run net.txt x.npy -w w.safetensors -o y.npy
    holds 2,2,1,1,2 "31 42 3 4 75 86 7 8" y.npy
    [ "$(header y.npy descr)" = "<f4" ]
}

@test "strides and pooling change D, H and W" {
    network 'input channels=1' 'maxpool3d kernel_size=1,2,1 stride=1,2,1'
    array x.npy 1,1,2,2,3
    "$VOXCONV" run net.txt x.npy --init -o y.npy
    holds 1,1,2,1,3 "4 5 6 10 11 12" y.npy
}

@test "four axes are (C, D, H, W), three (D, H, W)" {
    mix
    array x.npy 2,1,1,2
    "$VOXCONV" run net.txt x.npy -w w.safetensors -o y.npy
    holds 2,1,1,2 "31 42 3 4" y.npy
    array a.npy 1,1,2 1 2
    array b.npy 1,1,2 3 4
    "$VOXCONV" run net.txt a.npy b.npy -w w.safetensors -f -o y.npy
    holds 2,1,1,2 "31 42 3 4" y.npy
    network 'input channels=1' 'maxpool3d kernel_size=1,1,2'
    "$VOXCONV" run net.txt a.npy --init -f -o y.npy
    holds 1,1,1 "2" y.npy
}

@test "a batch is never taken for channels" {
    mix
    array x.npy 2,1,1,1,2
    vox run net.txt x.npy -w w.safetensors -o y.npy
    fails 2 "x.npy: the layer wants 2 input channels, x.npy has 1"
    vox run net.txt x.npy -w w.safetensors -o y.npy --time channels
    fails 2 "x.npy: the layer wants 2 input channels, x.npy has 1"
    [ ! -e y.npy ]
}

@test "pipes, compressed or not" {
    mix
    array x.npy 2,2,1,1,2
    "$VOXCONV" run net.txt x.npy -w w.safetensors -o y.npy
    # shellcheck disable=SC2002
    cat x.npy | "$VOXCONV" run net.txt - -w w.safetensors -o - | cmp - y.npy
    gzip -c x.npy | "$VOXCONV" run net.txt - -w w.safetensors -o - -z 1 >z.gz
    gunzip <z.gz | cmp - y.npy
    "$VOXCONV" run net.txt x.npy -w w.safetensors -o z.npy.gz
    gunzip <z.npy.gz | cmp - y.npy
    mkfifo fifo
    "$VOXCONV" run net.txt x.npy -w w.safetensors -o fifo &
    cmp fifo y.npy
    wait $!
}

@test "slabs, patches, threads and the least memory give the same bytes" {
    network 'input channels=2' 'conv3d a out_channels=3 kernel_size=3 padding=1' 'relu' 'conv3d b out_channels=2 kernel_size=3'
    array x.npy 3,2,5,6,7
    "$VOXCONV" run net.txt x.npy --init -o y.npy
    [ "$(header y.npy shape)" = "(3,2,3,4,5)" ]
    least=$("$VOXCONV" run net.txt x.npy --init -o z.npy --plan --json | jq .smallest_bytes)
    for more in '-j 1' '--slab 1' '--patch-size 2' '--patch-size 3,2,4 -j 2' "-m $least"; do
        # shellcheck disable=SC2086
        "$VOXCONV" run net.txt x.npy --init -f -o z.npy $more
        cmp y.npy z.npy
    done
    "$VOXCONV" run net.txt - --init -f -o - --patch-size 2 <x.npy | cmp - y.npy
    vox run net.txt x.npy --init -f -o z.npy -m 1K
    fails 7 "x.npy: max-memory=1.0 KiB"
    cmp y.npy z.npy
}

@test "an output that exists stays without --force" {
    network 'input channels=1' relu
    array x.npy 1,1,2
    echo before >y.npy
    vox run net.txt x.npy --init -o y.npy
    fails 6 "y.npy"
    [ "$(cat y.npy)" = before ]
    "$VOXCONV" run net.txt x.npy --init -f -o y.npy
    holds 1,1,2 "1 2" y.npy
}

@test "labels are uint8 or uint16, --datatype is heard" {
    mix
    array x.npy 1,2,1,1,3 1 -90 2 0 8 2
    "$VOXCONV" run net.txt x.npy -w w.safetensors --argmax -o y.npy
    holds 1,1,1,1,3 "0 1 0" y.npy
    [ "$(header y.npy descr)" = "|u1" ]
    network 'input channels=2' 'conv3d c out_channels=300 kernel_size=1'
    "$VOXCONV" run net.txt x.npy --init --argmax -f -o y.npy
    [ "$(header y.npy descr)" = "<u2" ]
    network 'input channels=2' relu
    "$VOXCONV" run net.txt x.npy --init -t int16 -f -o y.npy
    holds 1,2,1,1,3 "1 0 2 0 8 2" y.npy
    [ "$(header y.npy descr)" = "<i2" ]
    "$VOXCONV" run net.txt y.npy --init -t input -o z.npy
    [ "$(header z.npy descr)" = "<i2" ]
}

@test "--split: a file for each channel" {
    mix
    array x.npy 2,2,1,1,2
    "$VOXCONV" run net.txt x.npy -w w.safetensors --split -o y.npy
    holds 2,1,1,1,2 "31 42 75 86" y_0000.npy
    holds 2,1,1,1,2 "3 4 7 8" y_0001.npy
    array x.npy 2,1,1,2
    "$VOXCONV" run net.txt x.npy -w w.safetensors --split -f -o y.npy
    holds 1,1,1,2 "3 4" y_0001.npy
}

@test "vectors are (N, C)" {
    network 'input channels=1' 'flatten' 'linear fc out_features=2'
    tensors w.safetensors fc.weight=2,3:1,1,1,0,0,1 fc.bias=2:0,100
    array x.npy 2,1,1,1,3
    "$VOXCONV" run net.txt x.npy -w w.safetensors -o y.npy
    holds 2,2 "6 103 15 106" y.npy
    "$VOXCONV" run net.txt x.npy -w w.safetensors -o - | cmp - y.npy
    vox run net.txt x.npy -w w.safetensors
    [ "$output" = "$(printf '6 103\n15 106')" ]
}

@test "to NIfTI: the identity as sform, channels and then the batch as always" {
    mix
    array x.npy 1,2,1,1,2
    "$VOXCONV" run net.txt x.npy -w w.safetensors -o y.nii
    [ "$(voxels y.nii)" = "31 42 3 4" ]
    [ "$(header y.nii dim)" = "4 2 1 1 2 1 1 1" ]
    "$VOXCONV" info --json y.nii | jq -e '.sform_code == 2 and .qform_code == 0 and .nifti_version == 1 and
        .affine == [[1,0,0,0],[0,1,0,0],[0,0,1,0]] and .pixdim[1:4] == [1,1,1]'
    array x.npy 2,2,1,1,2
    "$VOXCONV" run net.txt x.npy -w w.safetensors -f -o y.nii
    # t is the batch, u the channels: x, then t, then u.
    [ "$(header y.nii dim)" = "5 2 1 1 2 2 1 1" ]
    [ "$(voxels y.nii)" = "31 42 75 86 3 4 7 8" ]
    network 'input channels=1' 'maxpool3d kernel_size=1 stride=1,1,2'
    array x.npy 1,1,4
    "$VOXCONV" run net.txt x.npy --init -f -o y.nii.gz
    [ "$(voxels y.nii.gz)" = "1 3" ]
    "$VOXCONV" info --json y.nii.gz | jq -e '.pixdim[1:4] == [2,1,1] and .affine[0][0] == 2'
    array x.npy 1,1,40000
    "$VOXCONV" conv x.npy --kernel identity -f -o y.nii
    "$VOXCONV" info --json y.nii | jq -e '.nifti_version == 2 and .dim[1] == 40000 and .statistics.max == 40000'
}

@test "from NIfTI: five axes" {
    network 'input channels=1' relu
    volume x.nii 2,1,1,3 1 2 3 4 5 6
    "$VOXCONV" run net.txt x.nii --init -o y.npy
    holds 3,1,1,1,2 "1 2 3 4 5 6" y.npy
    mix
    volume x.nii 2,1,1,2 1 2 3 4
    "$VOXCONV" run net.txt x.nii -w w.safetensors -f -o y.npy
    holds 1,2,1,1,2 "31 42 3 4" y.npy
    "$VOXCONV" run net.txt x.nii -w w.safetensors -o - | head -c 4 | cmp - <(printf '\134\1\0\0')
    # t in u is a channel; here the file has t and u.
    volume x.nii 2,1,1,2,2 1 2 5 6 3 4 7 8
    "$VOXCONV" run net.txt x.nii -w w.safetensors -f -o y.npy
    holds 2,2,1,1,2 "31 42 3 4 75 86 7 8" y.npy
}

@test "stored values whose scaling a tensor could not keep" {
    volume x.nii 2,1,1 1 2
    printf '\0\0\0\100' | dd of=x.nii bs=1 seek=112 conv=notrunc status=none # scl_slope 2
    "$VOXCONV" conv x.nii --kernel identity -o y.npy
    holds 1,1,1,1,2 "2 4" y.npy
    vox conv x.nii --kernel identity -t input -f -o y.npy
    fails 2 "y.npy: datatype=input"
    vox conv x.nii --kernel identity -t rgb24 --time channels -f -o y.npy
    fails 2 "y.npy: datatype=rgb24"
}

@test "conv and info take tensors, too" {
    array x.npy 2,2,1,1,3
    "$VOXCONV" conv x.npy --kernel box:1,1,3 --padding-mode zeros -o y.npy
    holds 2,2,1,1,3 "1 2 1.66667 3 5 3.66667 5 8 5.66667 7 11 7.66667" y.npy
    "$VOXCONV" info --json x.npy | jq -e '.shape == [2,2,1,1,3] and .datatype_name == "float32" and
        .statistics.mean == 6.5 and .statistics.count == 12'
    vox info -n x.npy
    [[ "${lines[1]}" = *"shape"*"2 2 1 1 3" ]]
}
