#!/usr/bin/env bats
# One arithmetic: the bytes of the output do not know how many threads, which instruction set, what slab height
# and what kind of input they were made with. The layers are chosen so that slabs, phases of a stride, halos of a
# dilation, borders and pooling windows all have their seams somewhere.

setup_file() {
    : "${VOXCONV:=$BATS_TEST_DIRNAME/../../build/voxconv}"
    export VOXCONV
    samples=$BATS_TEST_DIRNAME/../../data/samples
    # A plain file, a gzip and a pipe of the same voxels, of odd sizes along every axis.
    "$VOXCONV" conv "$samples/mri.nii.gz" --kernel box:2 -p valid -o "$BATS_FILE_TMPDIR/scan.nii" -q
    gzip -c "$BATS_FILE_TMPDIR/scan.nii" >"$BATS_FILE_TMPDIR/scan.nii.gz"
    "$VOXCONV" conv "$samples/frames.nii.gz" --kernel identity -o "$BATS_FILE_TMPDIR/frames.nii" -q
    gzip -c "$BATS_FILE_TMPDIR/frames.nii" >"$BATS_FILE_TMPDIR/frames.nii.gz"
    "$VOXCONV" --version | sed -n 's/.*can run: \(.*\))/\1/p' >"$BATS_FILE_TMPDIR/isas"
}

# The layers, one a line: input, then options.
layers() {
    cat <<'LAYERS'
scan --init torch --seed 1 -k 3 -p 1 --out-channels 5
scan --init torch --seed 2 -k 3,2,5 -s 2,3,2 -p 1,0,2 --out-channels 3
scan --init torch --seed 3 -k 3 --dilation 2,3,1 -p 2,3,1 --padding-mode reflect
scan --init torch --seed 4 -k 5,3,4 -p 2,1,3 --padding-mode circular --out-channels 2
scan --init torch --seed 5 -k 3 -p same --padding-mode replicate --dilation 2
scan --init torch --seed 6 -k 3 -s 2 -p same_upper --out-channels 4 --activation relu --max-pool 3:stride=2:padding=1:ceil_mode
scan --init torch --seed 7 -k 2 --out-channels 3 --activation softmax --avg-pool 2,3,2:ceil_mode
scan --kernel gaussian:3mm
scan --kernel box:3 --datatype int16
frames --init torch --seed 8 -k 3 -p 1 --time channels --out-channels 2
frames --init torch --seed 9 -k 3 -p 1 --time batch --out-channels 2
LAYERS
}

# Runs every layer with the further options given and compares with the first run's bytes. ${input} decides
# what the command reads.
compare_all() {
    local what="$*" index=0 scan options source
    while read -r scan options; do
        index=$((index + 1))
        local want=$BATS_FILE_TMPDIR/want$index.nii got=$BATS_TEST_TMPDIR/got.nii
        source=$BATS_FILE_TMPDIR/$scan.nii
        # shellcheck disable=SC2086 # words of a line
        [ -e "$want" ] || "$VOXCONV" conv "$source" $options -j 1 --isa portable --slab 1 -q -o "$want" </dev/null
        echo "$scan $options $what (${input:-file})"
        # shellcheck disable=SC2086
        case ${input:-file} in
        file) "$VOXCONV" conv "$source" $options "$@" -q -f -o "$got" </dev/null ;;
        gzip) "$VOXCONV" conv "$source.gz" $options "$@" -q -f -o "$got" </dev/null ;;
        pipe) cat "$source" | "$VOXCONV" conv - $options "$@" -q -o - >"$got" ;;
        gzip_pipe) cat "$source.gz" | "$VOXCONV" conv - $options "$@" -q -z 1 -o - | gunzip >"$got" ;;
        esac
        cmp "$want" "$got"
    done < <(layers)
    [ "$index" -eq 11 ]
}

@test "1, 2, 3 and 8 threads" {
    for threads in 1 2 3 8; do
        compare_all -j "$threads"
    done
}

@test "every instruction set of this machine, by option and by environment" {
    read -ra isas <"$BATS_FILE_TMPDIR/isas"
    echo "isas: ${isas[*]}"
    [ "${#isas[@]}" -ge 1 ]
    for isa in "${isas[@]}"; do
        compare_all --isa "$isa" -j 2
    done
    for isa in "${isas[@]}"; do
        VOXCONV_ISA=$isa "$VOXCONV" --version | grep -q "instruction set: $isa "
        VOXCONV_ISA=$isa compare_all
    done
}

@test "slabs of 1, 2 and 7 planes and the whole volume" {
    for planes in 1 2 7 1000; do
        compare_all --slab "$planes"
    done
}

@test "patches of primes, of a voxel's height and width, and larger than the volume, of files and pipes" {
    for patch in 5 2,7,13 1000,3,1000 3,1000,1 1000; do
        compare_all --patch-size "$patch"
    done
    for input in gzip gzip_pipe; do
        compare_all --patch-size 4,19,11
    done
}

@test "the least memory that the plan names is enough, and gives the same bytes" {
    "$VOXCONV" conv "$BATS_FILE_TMPDIR/scan.nii" --init torch -k 3 -p 1 --out-channels 40 -o "$BATS_TEST_TMPDIR/want.nii"
    least=$("$VOXCONV" conv "$BATS_FILE_TMPDIR/scan.nii" --init torch -k 3 -p 1 --out-channels 40 --plan --json -o x.nii |
        sed 's/.*"smallest_bytes": *\([0-9]*\).*/\1/')
    "$VOXCONV" conv "$BATS_FILE_TMPDIR/scan.nii" --init torch -k 3 -p 1 --out-channels 40 --max-memory "$least" -o "$BATS_TEST_TMPDIR/got.nii"
    cmp "$BATS_TEST_TMPDIR/want.nii" "$BATS_TEST_TMPDIR/got.nii"
    run "$VOXCONV" conv "$BATS_FILE_TMPDIR/scan.nii" --init torch -k 3 -p 1 --out-channels 40 --max-memory "$((least - 1))" -o "$BATS_TEST_TMPDIR/none.nii"
    [ "$status" -eq 7 ]
    [[ $output == *"the least that works is"*"($least bytes)"* ]]
}

@test "blended patches give the same bytes for any threads, slab, input and memory" {
    cd "$BATS_TEST_TMPDIR"
    for blend in average gaussian; do
        for scan in scan frames; do
            options="--init torch -k 3 -p same --out-channels 2 --patch-size 5,17,30 --overlap 0.5,3,0.25 --blend $blend"
            source=$BATS_FILE_TMPDIR/$scan.nii
            # shellcheck disable=SC2086
            "$VOXCONV" conv "$source" $options -j 1 --slab 1 --isa portable -f -o want.nii
            for more in "-j 2" "-j 8 --slab 3" "-j 3 --slab 1000"; do
                # shellcheck disable=SC2086
                "$VOXCONV" conv "$source" $options $more -f -o got.nii
                cmp want.nii got.nii
            done
            # shellcheck disable=SC2086
            gzip -c "$source" | "$VOXCONV" conv - $options -o - | cmp - want.nii
            # shellcheck disable=SC2086
            least=$("$VOXCONV" conv "$source" $options -j 2 --plan --json -o x.nii | sed 's/.*"smallest_bytes": *\([0-9]*\).*/\1/')
            # shellcheck disable=SC2086
            "$VOXCONV" conv "$source" $options -j 2 --max-memory "$least" -f -o got.nii
            cmp want.nii got.nii
        done
    done
}

@test "a patch as large as the volume is the volume, blended or not" {
    cd "$BATS_TEST_TMPDIR"
    "$VOXCONV" conv "$BATS_FILE_TMPDIR/scan.nii" --init torch -k 3 -p same -o want.nii
    size=$("$VOXCONV" info --json "$BATS_FILE_TMPDIR/scan.nii" | sed 's/.*"dim": *\[3, *\([0-9]*\), *\([0-9]*\), *\([0-9]*\).*/\3,\2,\1/')
    "$VOXCONV" conv "$BATS_FILE_TMPDIR/scan.nii" --init torch -k 3 -p same --patch-size "$size" --blend average -o got.nii
    cmp want.nii got.nii
}

@test "layers that change the size of a patch cannot be blended" {
    run "$VOXCONV" conv "$BATS_FILE_TMPDIR/scan.nii" --init torch -k 3 -p valid --patch-size 8 --blend average -o "$BATS_TEST_TMPDIR/x.nii"
    [ "$status" -eq 2 ]
    [[ $output == *"patches of 8x8x8 become 6x6x6"*"keep the size"* ]]
    [ ! -e "$BATS_TEST_TMPDIR/x.nii" ]
    run "$VOXCONV" conv "$BATS_FILE_TMPDIR/scan.nii" --init torch -k 3 -p same --patch-size 8 --overlap 8 --blend average -o "$BATS_TEST_TMPDIR/x.nii"
    [ "$status" -eq 2 ]
    [[ $output == *"overlap=8 along D: must be less than the patch"* ]]
}

@test "patches count every value once, and make split files, pairs and compressed files" {
    cd "$BATS_TEST_TMPDIR"
    printf '1 1 1 3 3\n' >nan.txt
    printf '0 0 0 0 nan 0 0 0 0\n' >>nan.txt
    "$VOXCONV" conv "$BATS_FILE_TMPDIR/scan.nii" --weights nan.txt -p 1 -o nan.nii -q
    "$VOXCONV" conv nan.nii --init torch -k 3 -p 1 -o a.nii -q --json | grep -o '"input_nan": *[0-9]*' >a
    "$VOXCONV" conv nan.nii --init torch -k 3 -p 1 -o b.nii -q --json --patch-size 7 | grep -o '"input_nan": *[0-9]*' >b
    grep -q '[1-9]' a
    cmp a b
    cmp a.nii b.nii
    for output in split.nii.gz pair.img plain.nii; do
        options="--init torch -k 3 -p 1 --out-channels 3"
        [ "$output" = split.nii.gz ] && options="$options --split"
        mkdir -p whole patches
        # shellcheck disable=SC2086
        "$VOXCONV" conv "$BATS_FILE_TMPDIR/scan.nii" $options -o "whole/$output" -q
        # shellcheck disable=SC2086
        "$VOXCONV" conv "$BATS_FILE_TMPDIR/scan.nii" $options --patch-size 11 -o "patches/$output" -q
    done
    diff -r whole patches
    [ "$(ls whole | wc -l)" -eq 6 ]
}

@test "gzip, a pipe, and gzip through a pipe in and out" {
    for input in gzip pipe gzip_pipe; do
        compare_all
    done
}

@test "the compressed bytes do not depend on the threads" {
    for threads in 1 2 3 8; do
        "$VOXCONV" conv "$BATS_FILE_TMPDIR/scan.nii" --kernel gaussian:2mm -j "$threads" -f -o "$BATS_TEST_TMPDIR/$threads.nii.gz"
        cmp "$BATS_TEST_TMPDIR/1.nii.gz" "$BATS_TEST_TMPDIR/$threads.nii.gz"
    done
}
