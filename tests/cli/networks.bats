#!/usr/bin/env bats
# data/networks: every file is a network that runs, with the channels that it names, in any way of running it.

# shellcheck disable=SC2154 # $top, $status, $output and $lines come from common.bash and bats
load common

# scan FILE: in.nii with the channels that the network wants, small: odd sizes, and multiples of four for the
# U-Net, whose levels halve them twice.
scan() {
    local channels values sizes=(13 11 12)
    [[ $1 != *unet* ]] || sizes=(12 8 16)
    channels=$(sed -nE 's/^input channels=([0-9]+).*/\1/p' "$1")
    [ "$channels" -ge 1 ]
    mapfile -t values < <(seq 1 $((sizes[0] * sizes[1] * sizes[2] * channels)) | awk '{ print $1 * 7919 % 101 / 8 - 6 }')
    volume in.nii "${sizes[0]},${sizes[1]},${sizes[2]},$channels" "${values[@]}"
}

@test "every network runs with --init, streamed, in patches and at once with the same bytes" {
    count=0
    for network in "$top"/data/networks/*.txt; do
        echo "$network"
        scan "$network"
        grep -q '^flatten' "$network" && continue
        run=("$VOXCONV" run "$network" in.nii --init --seed 3 --time channels -q -f)
        "${run[@]}" -j 1 --slab 1 -o want.nii
        "${run[@]}" -j 2 --slab 100 -o out.nii
        cmp want.nii out.nii
        # A normalisation over the whole volume has no exact patches.
        if ! grep -qE '^(instance|group)norm' "$network"; then
            "${run[@]}" -j 2 --patch-size 5 -o out.nii
            cmp want.nii out.nii
        fi
        # Every layer draws from the seed, and no value is lost on the way.
        "${run[@]}" --seed 4 -o out.nii
        [ "$(voxels want.nii)" != "$(voxels out.nii)" ]
        [[ "$(voxels want.nii)" != *nan* ]]
        count=$((count + 1))
    done
    [ "$count" -ge 8 ]
}

# The definitions' last layers: Linear(64, 10), Linear(128, 10), Linear(128, 2).
@test "every classifier gives as many numbers as it has answers, the same ones in any way of running" {
    for case in improved_cnn_classifier:10 video_analyzer:10 medical_image_analyzer:2; do
        network=$top/data/networks/${case%:*}.txt
        echo "$network"
        scan "$network"
        run=("$VOXCONV" run "$network" in.nii --init --time channels -q)
        "${run[@]}" --seed 3 -j 1 --slab 1 >want
        [ "$(wc -w <want)" -eq "${case#*:}" ]
        [[ "$(cat want)" != *nan* ]]
        "${run[@]}" --seed 3 -j 2 --slab 100 >out
        cmp want out
        "${run[@]}" --seed 4 >out
        run cmp -s want out
        [ "$status" -eq 1 ]
    done
}

@test "the video network says what it was made for" {
    scan "$top/data/networks/video_analyzer.txt"
    vox run "$top/data/networks/video_analyzer.txt" in.nii --init --time channels
    [ "$status" -eq 0 ]
    [[ "$output" = *"made for 16 x 112 x 112 voxels (D,H,W), the input has 12 x 11 x 13"* ]]
}

# From the definitions: same padding keeps the size; "valid" with kernel k and stride s gives (n - k) / s + 1.
@test "what comes out has the shape that the definition gives" {
    while read -r name dim; do
        scan "$top/data/networks/$name.txt"
        "$VOXCONV" run "$top/data/networks/$name.txt" in.nii --init --time channels -f -o out.nii
        echo "$name"
        [ "$(header out.nii dim)" = "$dim" ]
    done <<'SHAPES'
residual3dblock 4 13 11 12 16 1 1 1
improved_cnn 4 3 2 3 32 1 1 1
grouped 4 13 11 12 32 1 1 1
depthwise_separable 4 13 11 12 32 1 1 1
strided 4 6 5 5 32 1 1 1
batch_norm 4 5 4 5 32 1 1 1
meshnet 4 13 11 12 3 1 1 1
unet 4 12 8 16 3 1 1 1
SHAPES
}

@test "every network says where it comes from" {
    for network in "$top"/data/networks/*.txt; do
        head -1 "$network" | grep -q '^# [A-Z]'
        grep -qE '^#.*(After|documentation|tutorials|TensorFlow)' "$network"
    done
}
