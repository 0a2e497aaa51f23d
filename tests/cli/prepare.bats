#!/usr/bin/env bats
# What goes into a network: the options of `voxconv run` that prepare a volume. Expected voxels are worked out by hand
# on small numbers; `make oracle` compares random volumes with numpy and nibabel.

# shellcheck disable=SC2154 # $top, $status, $output and $lines come from common.bash and bats
load common

samples=$BATS_TEST_DIRNAME/../../data/samples

# shows EXPECTED ARGUMENT...: a network that changes nothing, with those options, is silent and gives those voxels.
shows() {
    local expected=$1 found
    shift
    printf 'input\nidentity\n' >net.txt
    vox run net.txt --init "$@" -f -o out.nii
    echo "status $status, output: $output"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    found=$(voxels out.nii)
    echo "expected $expected"
    echo "found    $found"
    [ "$found" = "$expected" ]
}

@test "intensities by hand" {
    volume a.nii 5,1,1 -1 0 1 3 7
    shows '-1 0 1 3 7' a.nii --intensity none
    shows '0 0.125 0.25 0.5 1' a.nii --intensity minmax
    shows '0 0 0.2 0.6 1' a.nii --intensity percentile:25,87.5 # ranks 1 and 3.5 of 0 to 4: 0 and 5
    shows '0 0.25 0.5 1 1' a.nii --intensity window:1,4
    volume b.nii 4,1,1 0 2 0 6
    shows '0 -1 0 1' b.nii --intensity zscore:nonzero # mean 4, deviation 2
    volume c.nii 4,1,1 1 1 5 5
    shows '-1 -1 1 1' c.nii --intensity zscore
    volume d.nii 3,1,1 4 4 4
    shows '0 0 0' d.nii --intensity minmax
}

@test "each channel and each frame has its own statistics" {
    volume frames.nii 2,1,1,2 1 3 10 20
    shows '0 1 0 1' frames.nii --intensity minmax
    shows '0 1 0 1' frames.nii --intensity minmax --time channels
    volume one.nii 2,1,1 1 3
    volume two.nii 2,1,1 7 5
    shows '0 1 1 0' one.nii two.nii --intensity percentile:0,100
}

@test "NaN is no part of the statistics, and is counted once" {
    volume a.nii 4,1,1 nan 2 4 6
    printf 'input\nidentity\n' >net.txt
    for how in minmax percentile:0,100; do
        vox run net.txt a.nii --init --intensity $how -f -o out.nii
        [ "$status" -eq 0 ]
        [[ $output = *"out.nii: 1 NaN and 0 infinite values, from 1 and 0 in the input" ]]
        [ "$(voxels out.nii)" = 'nan 0 0.5 1' ]
    done
}

@test "a pipe is spooled where statistics are asked for, and only there; bits stay the same" {
    printf 'input\nconv3d a out_channels=2 kernel_size=3 padding=1\n' >net.txt
    for how in none window:100,200 minmax percentile:1,99 zscore; do
        "$VOXCONV" run net.txt "$samples/mri.nii.gz" --init --intensity $how -f -o want.nii
        for options in '-j 1' '--slab 3' '--patch-size 9,17,16 -j 2'; do
            # shellcheck disable=SC2086 # words
            "$VOXCONV" run net.txt - --init --intensity $how $options -f -o out.nii <"$samples/mri.nii.gz"
            cmp want.nii out.nii
        done
        vox run net.txt "$samples/mri.nii.gz" --init --intensity $how -f -o out.nii --plan
        case $how in
        none | window*)
            [[ $output != *"spooled"* ]]
            [[ $output != *"passes"* ]]
            ;;
        percentile*)
            [[ $output = *"input spooled to disk"* ]]
            [[ $output = *"passes over the input                3"* ]]
            ;;
        *) [[ $output = *"passes over the input                2"* ]] ;;
        esac
    done
}

@test "the plan's cap holds with statistics" {
    printf 'input\nconv3d a out_channels=2 kernel_size=3 padding=1\n' >net.txt
    vox run net.txt "$samples/mri.nii.gz" --init --intensity percentile:1,99 -o out.nii --plan --json
    least=$(grep -oE '"smallest_bytes": ?[0-9]+' <<<"$output" | grep -oE '[0-9]+$')
    "$VOXCONV" run net.txt "$samples/mri.nii.gz" --init --intensity percentile:1,99 -o want.nii
    "$VOXCONV" run net.txt "$samples/mri.nii.gz" --init --intensity percentile:1,99 -m "$least" -o out.nii
    cmp want.nii out.nii
    vox run net.txt "$samples/mri.nii.gz" --init --intensity percentile:1,99 -m $((least - 1)) -f -o out.nii
    fails 7 "the least that works is"
}

@test "intensities that make no sense" {
    volume a.nii 2,1,1
    printf 'input\nidentity\n' >net.txt
    for how in max percentile:9 percentile:9,1 percentile:-1,5 percentile:1,101 window:1,0 window:nan,1 zscore:zero; do
        vox run net.txt a.nii --init --intensity $how -o out.nii
        fails 2 "--intensity $how: "
        [ ! -e out.nii ]
    done
}
