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

# sees EXPECTED ARGUMENT...: what a network that gives its input as numbers is shown.
sees() {
    local expected=$1
    shift
    printf 'input\nflatten\n' >net.txt
    vox run net.txt --init -q "$@"
    echo "status $status, output: $output, expected: $expected"
    [ "$status" -eq 0 ]
    [ "$output" = "$expected" ]
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

@test "orientation by hand: the network sees the volume turned, the output lies as the input does" {
    volume a.nii 3,2,1 1 2 3 4 5 6 # i to the right, j to the front
    sees '1 2 3 4 5 6' a.nii --orientation RAS
    sees '3 2 1 6 5 4' a.nii --orientation LAS
    sees '4 5 6 1 2 3' a.nii --orientation RPI
    sees '1 4 2 5 3 6' a.nii --orientation ARS
    sees '4 1 5 2 6 3' a.nii --orientation PSR
    for codes in RAS LAS ARS SPL IAR; do
        shows '1 2 3 4 5 6' a.nii --orientation $codes
    done
    # Differences along the network's W, which is the file's y from the other end; 0 beyond the edge.
    tensors w.safetensors 0.weight=1,1,1,1,3:0,1,-1
    printf 'input channels=1\nconv3d 0 out_channels=1 kernel_size=1,1,3 padding=0,0,1 bias=false\n' >net.txt
    vox run net.txt a.nii -w w.safetensors --orientation PRS -f -o out.nii
    [ "$status" -eq 0 ]
    [ "$(voxels out.nii)" = '1 2 3 3 3 3' ]
}

@test "spacing and shape by hand" {
    volume a.nii 4,1,1 1 2 3 4
    sees '1 2 3 4' a.nii --spacing 1mm
    sees '2 4' a.nii --spacing 1,1,2 # about the second of four
    shows '2 2 3 4' a.nii --spacing 1,1,2mm
    sees '0 1 2 3 4 0' a.nii --shape 1,1,6
    shows '1 2 3 4' a.nii --shape 1,1,6
    sees '1 1.5 2 2.5 3' a.nii --spacing 1,1,0.5 --shape 1,1,5
    sees '0 0 0 1 1.5 2 2.5 3 3.5 4 0' a.nii --spacing 1,1,0.5 --shape 1,1,11 # 2, the second of four, in the middle
    sees '0.25 0.5 0.75' a.nii --spacing 1,1,0.5 --shape 1,1,3 --intensity window:2,2
}

@test "a file's unit is taken as it says: metres are not mm" {
    volume a.nii 4,1,1 1 2 3 4
    printf '\1' | dd of=a.nii bs=1 seek=123 conv=notrunc 2>/dev/null
    sees '2 4' a.nii --spacing 1000,1000,2000mm
}

@test "a tensor has no orientation and no spacing, but a shape and values" {
    python3 - <<'PYTHON'
import struct
header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3), }".ljust(117) + "\n"
with open("t.npy", "wb") as f:
    f.write(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + struct.pack("<6f", 1, 2, 3, 4, 5, 6))
PYTHON
    sees '1 2 3 4 5 6' t.npy
    sees '0 0.25 0.5 0.75 1 1' t.npy --intensity window:3,4
    sees '2 5' t.npy --shape 1,2,1
    for options in '--orientation RAS' '--spacing 1mm'; do
        # shellcheck disable=SC2086 # words
        vox run net.txt --init t.npy $options
        fails 2 "t.npy: a tensor does not say where its axes grow towards"
    done
}

@test "what the network does not see is 0, with a warning" {
    volume a.nii 4,1,1 1 2 3 4
    printf 'input\nidentity\n' >net.txt
    vox run net.txt --init a.nii --shape 1,1,2 -o out.nii
    [ "$status" -eq 0 ]
    [ "$output" = "voxconv: warning: a.nii: 50 % of the voxels lie outside of the network's grid of 1 x 1 x 2 voxels (D,H,W); the output is 0 there" ]
    [ "$(voxels out.nii)" = '0 2 3 0' ]
    vox run net.txt --init a.nii --shape 1,1,2 -q -f -o out.nii
    [ -z "$output" ]
}

@test "labels come back by the nearest voxel" {
    volume a.nii 4,1,1 0 0 9 9
    volume b.nii 4,1,1 5 5 5 5
    printf 'input channels=2\nidentity\n' >net.txt
    vox run net.txt --init a.nii b.nii --argmax --spacing 1,1,0.7 -o out.nii
    [ "$status" -eq 0 ]
    [ "$(voxels out.nii)" = '1 1 0 0' ]
}

@test "a grid that is the network's already costs nothing" {
    printf 'input\nconv3d a out_channels=2 kernel_size=3 padding=1\n' >net.txt
    "$VOXCONV" run net.txt "$samples/ct.nii.gz" --init -o want.nii --plan >want.txt
    codes=$("$VOXCONV" info "$samples/ct.nii.gz" | awk '$1 == "orientation" { print $2 }')
    read -r _ w h d _ <<<"$(header "$samples/ct.nii.gz" pixdim)"
    "$VOXCONV" run net.txt "$samples/ct.nii.gz" --init --orientation "$codes" --spacing "$d,$h,$w" -o want.nii --plan >plan.txt
    diff want.txt plan.txt
}

@test "frames, pipes, threads, slabs, blended patches and waiting on disk change no bit" {
    printf 'input\nconv3d a out_channels=2 kernel_size=3 padding=1\n' >net.txt
    for grid in '--orientation LIA' '--orientation SRP --spacing 2,3,2.5' '--orientation PSR --shape 40,60,50'; do
        # shellcheck disable=SC2086 # words
        {
            same="run net.txt --init -q -f --intensity zscore $grid"
            "$VOXCONV" $same "$samples/frames.nii.gz" -o want.nii
            least=$("$VOXCONV" $same - -o out.nii --plan --json <"$samples/frames.nii.gz" |
                grep -oE '"smallest_bytes": ?[0-9]+' | grep -oE '[0-9]+$')
            for options in '-j 1 --slab 1' '-j 3 --slab 7' "-m $least"; do
                "$VOXCONV" $same $options - -o out.nii <"$samples/frames.nii.gz"
                cmp want.nii out.nii
            done
            vox $same -m "$least" "$samples/frames.nii.gz" -o out.nii --plan
            [[ $output = *"input spooled to disk"*"output spooled to disk"* ]]
            vox $same -m $((least - 1)) "$samples/frames.nii.gz" -o out.nii
            fails 7 'the least that works is'
            printf 'input\nidentity\n' >same.txt
            "$VOXCONV" ${same/net/same} "$samples/mri.nii.gz" -o want.nii
            "$VOXCONV" ${same/net/same} "$samples/mri.nii.gz" --patch-size 400 --blend average -o out.nii
            cmp want.nii out.nii
        }
    done
}

@test "grids that cannot be made, or not brought back" {
    volume a.nii 4,4,4
    printf 'input\nidentity\n' >net.txt
    "$VOXCONV" run net.txt a.nii --init --spacing 2 -q -o out.nii --plan >plan.txt
    grep -q "network's grid (D,H,W) *(2,2,2)" plan.txt
    for codes in RA RAX RLS ras RASS; do
        vox run net.txt a.nii --init --orientation $codes -o out.nii
        fails 2 "--orientation $codes: must be three letters"
    done
    for spacing in 0 1,2 1cm -1 1,1,0mm; do
        vox run net.txt a.nii --init --spacing=$spacing -o out.nii
        fails 2 "--spacing $spacing: must be"
    done
    vox run net.txt a.nii --init --spacing 1e-300 -o out.nii
    fails 2 "a.nii: spacing=1e-300 mm: makes "
    vox run net.txt a.nii --init --shape 0 -o out.nii
    fails 2 "--shape 0: must be 1 or more"
    vox run net.txt a.nii --init --shape 2000000000 -o out.nii
    fails 7 ""
    vox run net.txt a.nii --init --orientation LAS --patch-size 2 -o out.nii
    fails 2 "patch_size: a network on a grid of its own is not computed in exact patches"
    printf 'input\nmaxpool3d kernel_size=2\n' >pool.txt
    vox run pool.txt a.nii --init --spacing 2 -o out.nii
    fails 4 "a.nii: the network makes (1,1,1) voxels of (2,2,2)"
    printf '\1' | dd of=a.nii bs=1 seek=254 conv=notrunc 2>/dev/null # an sform of zeros
    vox run net.txt a.nii --init --orientation LAS -o out.nii
    fails 3 "a.nii: the sform does not say how the axes lie: orientation=LAS cannot be made"
    vox run net.txt a.nii --init --spacing 2 -o out.nii
    fails 3 "a.nii: sform column 2 has no length"
    [ ! -e out.nii ]
}

# ---- Model cards ----

@test "a card sets what its options would, and options win" {
    printf 'input\nconv3d a out_channels=2 kernel_size=3 padding=1\n' >net.txt
    cat >net.txt.card.json <<'CARD'
{"orientation": "LIA", "spacing": [4, 4, 3], "shape": [40, 50, 60], "intensity": "percentile:1,99", "argmax": true}
CARD
    cp net.txt bare.txt
    grid='--orientation LIA --spacing 4,4,3 --shape 40,50,60'
    # gives OPTIONS WORDS...: what bare.txt makes with OPTIONS is what the card and the WORDS make.
    gives() {
        local options=$1
        shift
        # shellcheck disable=SC2086 # words
        "$VOXCONV" run bare.txt "$samples/mri.nii.gz" --init -q -f -o want.nii $options
        "$VOXCONV" run "$@" "$samples/mri.nii.gz" --init -q -f -o out.nii
        cmp want.nii out.nii
    }
    gives "$grid --intensity percentile:1,99 --argmax" net.txt
    gives "$grid --intensity percentile:1,99 --argmax" bare.txt --card net.txt.card.json
    gives "$grid --intensity zscore --argmax" net.txt --intensity zscore
    gives "$grid --intensity none --argmax" net.txt --intensity none
    gives "$grid --intensity percentile:1,99 --softmax" net.txt --softmax
    gives "--orientation RAS --spacing 4 --shape 30 --intensity percentile:1,99 --argmax" net.txt --shape 30 \
        --spacing 4mm --orientation RAS
    gives "" net.txt --no-card
    echo '{"softmax": true}' >other.json
    gives "--softmax" net.txt --card other.json
    vox run net.txt "$samples/mri.nii.gz" --init -v -f -o out.nii
    [ "${lines[0]}" = "voxconv: net.txt.card.json: is the model's card" ]
}

@test "a card's axes are those of the option" {
    python3 -B "$BATS_TEST_DIRNAME/make_models.py" models
    model=models/functional/model.json
    "$VOXCONV" run $model "$samples/mri.nii.gz" --axes whd -q -o want.nii
    echo '{"axes": "whd"}' >$model.card.json
    "$VOXCONV" run $model "$samples/mri.nii.gz" -q -o out.nii
    cmp want.nii out.nii
    "$VOXCONV" run $model "$samples/mri.nii.gz" --no-card -q -f -o want.nii
    "$VOXCONV" run $model "$samples/mri.nii.gz" --axes dhw -q -f -o out.nii
    cmp want.nii out.nii
}

@test "a card's labels are those of --labels, and go with --argmax only" {
    volume a.nii 2,1,1 1 5
    volume b.nii 2,1,1 3 3
    printf 'input channels=2\nidentity\n' >net.txt
    printf '0 low\n1 high\n' >names.txt
    "$VOXCONV" run net.txt a.nii b.nii --init --argmax --labels names.txt -o out.nii >want.txt
    grep -q low want.txt
    for labels in '"names.txt"' '{"0": "low", "1": "high"}' '["low", "high"]'; do
        echo "{\"argmax\": true, \"labels\": $labels}" >net.txt.card.json
        "$VOXCONV" run net.txt a.nii b.nii --init -f -o out.nii >found.txt
        diff want.txt found.txt
        vox run net.txt a.nii b.nii --init --softmax -f -o out.nii
        [ "$status" -eq 0 ]
        [ -z "$output" ]
    done
    printf '0 other\n1 names\n' >other.txt
    vox run net.txt a.nii b.nii --init --labels other.txt -f -o out.nii
    [ "$status" -eq 0 ]
    [[ $output = *other* ]]
    # Voxels are those of the output, not of the grid that the network sees.
    "$VOXCONV" run net.txt a.nii b.nii --init --spacing 0.25 -q -f -o out.nii >found.txt
    diff want.txt found.txt
    echo '{"labels": "none.txt"}' >net.txt.card.json
    vox run net.txt a.nii b.nii --init --argmax -f -o out.nii
    fails 5 "none.txt: "
    vox run net.txt a.nii b.nii --init --labels names.txt -f -o out.nii
    fails 2 "--labels goes with --argmax only"
}

@test "cards that are refused, with file and key" {
    volume a.nii 2,2,2
    printf 'input\nidentity\n' >net.txt
    echo '{"intensity": "minmax", "orientatoin": "RAS"}' >net.txt.card.json
    vox run net.txt a.nii --init -o out.nii
    fails 5 "net.txt.card.json: orientatoin: no key of a model card; there are axes, intensity, orientation, "
    echo '{"spacing": "1mm"}' >net.txt.card.json
    vox run net.txt a.nii --init -o out.nii
    fails 5 "net.txt.card.json: spacing: must be a number of mm above 0, or three as [D, H, W]"
    echo 'spacing: 1' >net.txt.card.json
    vox run net.txt a.nii --init -o out.nii
    fails 5 "net.txt.card.json: line 1: '[' or '{' expected near 'spacing' (JSON, column 7)"
    rm net.txt.card.json
    mkdir net.txt.card.json
    vox run net.txt a.nii --init -o out.nii
    fails 5 "net.txt.card.json: "
    vox run net.txt a.nii --init --card none.json -o out.nii
    fails 5 "none.json: "
    vox run net.txt a.nii --init --card none.json --no-card -o out.nii
    fails 2 "only one of --card and --no-card can be given"
    [ ! -e out.nii ]
}
