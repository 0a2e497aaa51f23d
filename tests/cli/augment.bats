#!/usr/bin/env bats
# voxconv augment: where voxels go, worked out by hand from torch.flip's and torch.rot90's definitions; what is
# drawn, from torch; files and options. `make oracle` compares random runs with torch, numpy and nibabel.

# shellcheck disable=SC2154 # $top, $status, $output and $lines come from common.bash and bats
load common

# in.nii is 1 2 3 / 4 5 6 in the first plane, 7 8 9 / 10 11 12 in the second.
block() {
    volume in.nii 3,2,2
}

# becomes EXPECTED ARGUMENTS...: `voxconv augment in.nii ARGUMENTS -o out.nii` is silent and writes those voxels.
becomes() {
    local expected=$1
    shift
    vox augment in.nii "$@" -f -o out.nii
    echo "status $status, output: $output"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    echo "expected $expected"
    echo "found    $(voxels out.nii)"
    [ "$(voxels out.nii)" = "$expected" ]
}

@test "flips" {
    block
    becomes "3 2 1 6 5 4 9 8 7 12 11 10" --seed 0 --flip W,p=1
    becomes "4 5 6 1 2 3 10 11 12 7 8 9" --seed 0 --flip H,p=1
    becomes "7 8 9 10 11 12 1 2 3 4 5 6" --seed 0 --flip D,p=1
    becomes "12 11 10 9 8 7 6 5 4 3 2 1" --seed 0 --flip p=1
    becomes "10 11 12 7 8 9 4 5 6 1 2 3" --seed 0 --flip D,p=1 --flip W,p=0 --flip H,p=1
    becomes "1 2 3 4 5 6 7 8 9 10 11 12" --seed 0 --flip p=0
}

# From torch: u[4] of seeds 0, 2 and 3 makes k 1, 3 and 2.
@test "turns by 90, 270 and 180 degrees" {
    block
    becomes "3 6 2 5 1 4 9 12 8 11 7 10" --seed 0 --rot90 p=1
    [ "$(header out.nii dim)" = "3 2 3 2 1 1 1 1" ]
    becomes "4 1 5 2 6 3 10 7 11 8 12 9" --seed 2 --rot90 p=1
    becomes "6 5 4 3 2 1 12 11 10 9 8 7" --seed 3 --rot90 p=1
    becomes "4 1 5 2 6 3 10 7 11 8 12 9" --seed 0 --rot90 p=1,plane=WH
    becomes "3 9 6 12 2 8 5 11 1 7 4 10" --seed 0 --rot90 p=1,plane=DW
    [ "$(header out.nii dim)" = "3 2 2 3 1 1 1 1" ]
    # Flip first: 3 2 1 / 6 5 4, then turned.
    becomes "1 4 2 5 3 6 7 10 8 11 9 12" --seed 0 --flip W,p=1 --rot90 p=1
}

# torch.manual_seed(seed); u = torch.rand(6): seed, axes with u < 0.5, k from u[4], whether u[3] and u[5] < 0.5.
@test "what is drawn is what torch draws" {
    block
    while read -r seed flips k turned noise; do
        "$VOXCONV" augment in.nii -o x.nii --seed "$seed" --flip p=0.5 --rot90 p=0.5 --noise sigma=1 --plan --json |
            python3 -c 'import json, sys
d = json.load(sys.stdin)
seed, flips, k, turned, noise = sys.argv[1:]
want = [list(flips.strip("-")), int(k) if turned == "True" else 0, noise == "True", int(seed)]
assert [d["flip"], d["rot90"]["k"], d["noise"], d["seed"]] == want, (d, want)' "$seed" "$flips" "$k" "$turned" "$noise"
    done <<'DRAWS'
0 DW 1 True False
1 HW 1 False False
2 H 3 True False
3 DHW 2 True True
4 W 1 True True
5 H 3 False True
6 - 1 False True
7 H 1 False True
2147483648 W 2 True False
4294967295 - 3 True False
4294967296 DW 1 True False
DRAWS
}

@test "an option changes nothing of what comes of another" {
    block
    for options in "--flip p=0.5" "--flip p=0.5 --rot90 p=0" "--flip p=0.5 --noise sigma=0,p=1 -t input"; do
        # shellcheck disable=SC2086 # words
        becomes "9 8 7 12 11 10 3 2 1 6 5 4" --seed 0 $options
    done
}

@test "a label map goes where the image goes, without noise, in its own type" {
    volume labels.nii 3,2,2
    volume image.nii 3,2,2
    "$VOXCONV" conv labels.nii --kernel identity -t uint8 -o label.nii
    for how in "--label label.nii" "label.nii"; do
        # What its header calls a label map is one.
        [ "$how" = label.nii ] && printf '\352\003' | dd of=label.nii bs=1 seek=68 conv=notrunc status=none
        # shellcheck disable=SC2086
        "$VOXCONV" augment image.nii $how --seed 3 --flip W,p=1 --noise sigma=100,p=1 -f -o a.nii -o b.nii
        [ "$(voxels b.nii)" = "3 2 1 6 5 4 9 8 7 12 11 10" ]
        [ "$(header b.nii datatype)" = 2 ]
        [ "$(header a.nii datatype)" = 16 ]
        [ "$(voxels a.nii)" != "$(voxels b.nii)" ]
    done
    # An image in a type of its own, where it is asked for, is clamped.
    vox augment labels.nii --seed 3 --noise sigma=1000,p=1 -t uint8 -o c.nii
    [ "$status" -eq 0 ]
    [[ $output = *"clamped to the output's type" ]]
    [ "$(header c.nii datatype)" = 2 ]
}

@test "the type of an image does not depend on the draw" {
    volume wide.nii 2,1,1
    "$VOXCONV" conv wide.nii --kernel identity -t int16 -o in.nii
    becomes "1 2" --seed 0 --noise sigma=1,p=0.5 # u[5] is 0.63: not drawn
    [ "$(header out.nii datatype)" = 16 ]
    becomes "1 2" --seed 0 --noise sigma=1,p=0.5 -t input
    [ "$(header out.nii datatype)" = 4 ]
    becomes "2 1" --seed 0 --flip W,p=1
    [ "$(header out.nii datatype)" = 4 ]
}

@test "files, pipes, gzip, threads and memory give the same bytes" {
    cp "$top/data/samples/frames.nii.gz" .
    gunzip -k frames.nii.gz
    for turn in "--flip D,p=1" "--flip H,W,p=1" "--rot90 p=1" "--rot90 p=1,plane=DH" "--rot90 p=1,plane=WD --flip p=1"; do
        # shellcheck disable=SC2206
        options=(--seed 4 $turn --noise "sigma=3,p=1" -q)
        "$VOXCONV" augment frames.nii "${options[@]}" -j 1 -f -o want.nii
        "$VOXCONV" augment frames.nii "${options[@]}" -j 3 -f -o got.nii
        cmp want.nii got.nii
        # shellcheck disable=SC2002
        cat frames.nii.gz | "$VOXCONV" augment - "${options[@]}" -o - | cmp want.nii
        "$VOXCONV" augment - "${options[@]}" -o - <frames.nii | cmp want.nii
        "$VOXCONV" augment - "${options[@]}" -z 1 -o - <frames.nii | gunzip | cmp want.nii
        for file in frames.nii frames.nii.gz; do
            least=$("$VOXCONV" augment "$file" "${options[@]}" -j 1 -o got.nii --plan |
                sed -nE 's/^smallest --max-memory +([0-9.]+) MiB$/\1/p')
            "$VOXCONV" augment "$file" "${options[@]}" -j 1 -m "${least}M" -f -o got.nii
            cmp want.nii got.nii
            vox augment "$file" "${options[@]}" -j 1 -m 1M -f -o got.nii
            fails 7 "the least that works is"
        done
    done
}

@test "a compressed frame in little memory is spooled, and the plan says so" {
    cp "$top/data/samples/ct.nii.gz" .
    vox augment ct.nii.gz --seed 0 --flip D,p=1 -o x.nii --plan
    [[ $output != *spooled* ]]
    least=$("$VOXCONV" augment ct.nii.gz --seed 0 --flip D,p=1 -o x.nii --plan --json |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["smallest_bytes"])')
    vox augment ct.nii.gz --seed 0 --flip D,p=1 -o x.nii --plan -m "$least"
    [[ $output = *"input spooled to disk"* ]]
    [ ! -e x.nii ]
    "$VOXCONV" augment ct.nii.gz --seed 0 --flip D,p=1 -o a.nii
    TMPDIR=$PWD "$VOXCONV" augment ct.nii.gz --seed 0 --flip D,p=1 -o b.nii -m "$least"
    cmp a.nii b.nii
    TMPDIR=$PWD/missing vox augment ct.nii.gz --seed 0 --flip D,p=1 -f -o b.nii -m "$least"
    fails 7 "TMPDIR chooses the folder"
    cmp a.nii b.nii
}

@test "--plan needs the header alone" {
    block
    head -c 352 in.nii | "$VOXCONV" augment - --seed 0 --rot90 p=1,plane=DW -o x.nii --plan --json |
        python3 -c 'import json, sys
plan = json.load(sys.stdin)
assert (plan["input_size"], plan["output_size"]) == ([2, 2, 3], [3, 2, 2]), plan
assert plan["total_bytes"] == sum(part["bytes"] for part in plan["memory"])
assert 0 < plan["smallest_bytes"] <= plan["total_bytes"]'
    [ ! -e x.nii ]
}

@test "into a folder, by the inputs' names" {
    mkdir sub out
    volume sub/a.nii 3,2,2
    volume b.nii.gz 3,2,2
    "$VOXCONV" augment sub/a.nii --label b.nii.gz --seed 0 --flip W,p=1 -o out
    [ "$(cd out && echo *)" = "a.nii b.nii.gz" ]
    [ "$(voxels out/b.nii.gz)" = "3 2 1 6 5 4 9 8 7 12 11 10" ]
    vox augment sub/a.nii --seed 0 --flip W,p=1 -o out/
    fails 6 "out/a.nii: exists already"
    "$VOXCONV" augment sub/a.nii --seed 0 --flip W,p=0 -o out/ --force
    cmp sub/a.nii out/a.nii
    vox augment - --seed 0 --flip W -o out
    fails 2 "stdin has no name"
    volume a.nii 3,2,2
    vox augment a.nii sub/a.nii --seed 0 --flip W -o out
    fails 2 "out/a.nii: is the output of a.nii and of sub/a.nii"
    vox augment a.nii --seed 0 --flip W -o missing/
    [ "$status" -eq 6 ]
}

@test "all outputs or none" {
    block
    volume label.nii 3,2,2
    cp in.nii b.nii
    vox augment in.nii --label label.nii --seed 0 --flip W -o a.nii -o b.nii
    fails 6 "b.nii: exists already"
    [ ! -e a.nii ]
    gzip -c label.nii | head -c 60 >cut.nii.gz
    vox augment in.nii --label cut.nii.gz --seed 0 --flip W -f -o a.nii -o b.nii
    [ "$status" -eq 3 ]
    [ ! -e a.nii ]
    cmp in.nii b.nii
    [ "$(find . -name '.*voxconv*' | wc -l)" -eq 0 ]
}

@test "one grid" {
    block
    volume small.nii 3,2,1
    vox augment in.nii --label small.nii --seed 0 --flip W -o a.nii -o b.nii
    fails 3 "small.nii: dim[3]=1: in.nii has 2"
    # Frames may have a label map of one; another affine is worth a warning.
    volume frames.nii 3,2,2,2
    "$VOXCONV" augment frames.nii --label in.nii --seed 0 --flip p=1 -o a.nii -o b.nii
    [ "$(voxels a.nii)" = "12 11 10 9 8 7 6 5 4 3 2 1 24 23 22 21 20 19 18 17 16 15 14 13" ]
    python3 -c 'import struct
d = bytearray(open("in.nii", "rb").read())
struct.pack_into("<f", d, 80, 2)
open("wide.nii", "wb").write(d)'
    vox augment in.nii wide.nii --seed 0 --flip W -f -o a.nii -o b.nii
    [ "$status" -eq 0 ]
    [[ $output = "voxconv: warning: wide.nii: its affine is not that of in.nii"* ]]
}

@test "--keep-affine leaves all but the sizes" {
    block
    "$VOXCONV" augment in.nii --seed 0 --rot90 p=1 --keep-affine -o kept.nii
    "$VOXCONV" augment in.nii --seed 0 --rot90 p=1 -o moved.nii
    # The first 40 bytes and those behind dim.
    for part in "1 40" "57 352"; do
        read -r from to <<<"$part"
        cmp <(tail -c +"$from" in.nii | head -c $((to - from + 1))) <(tail -c +"$from" kept.nii | head -c $((to - from + 1)))
    done
    [ "$(header kept.nii dim)" = "3 2 3 2 1 1 1 1" ]
    # Spacing alone: nifti1.h's method 1 puts voxel (i,j,k) at (i,j,k) mm; turned, i is y and j runs from x = 2 down.
    "$VOXCONV" info --json -n moved.nii | python3 -c 'import json, sys
d = json.load(sys.stdin)
assert d["affine"] == [[0, -1, 0, 2], [1, 0, 0, 0], [0, 0, 1, 0]] and d["affine_source"] == "sform", d["affine"]'
}

@test "what is wrong with a command line is said" {
    block
    volume b.nii 3,2,2
    vox augment in.nii -o x.nii --flip W
    fails 2 "--seed is missing"
    vox augment in.nii -o x.nii --seed 1
    fails 2 "nothing would happen"
    vox augment --seed 1 --flip W -o x.nii
    fails 2 "an input is missing"
    vox augment in.nii --seed 1 --flip W
    fails 2 "--output is missing"
    vox augment in.nii b.nii --seed 1 --flip W -o x.nii
    fails 2 "2 inputs and 1 --output"
    vox augment in.nii b.nii --seed 1 --flip W -o x.nii -o x.nii
    fails 2 "x.nii: is the output of in.nii and of b.nii"
    vox augment - --label - --seed 1 --flip W -o x.nii -o y.nii
    fails 2 "stdin: can be one input only"
    vox augment in.nii --seed 1 --flip W --json -o -
    fails 2 "--json prints on stdout"
    vox augment in.nii --seed -1 --flip W -o x.nii
    fails 2 "must be 0 or more"
    for flip in X "W," DW W,p=1.5 p= W,p=-0.1 p=nan ""; do
        vox augment in.nii --seed 1 --flip "$flip" -o x.nii
        fails 2 "must be axes of D, H and W"
    done
    for turn in plane=HH plane=H plane=HWD p=2 HW plane=XW; do
        vox augment in.nii --seed 1 --rot90 "$turn" -o x.nii
        fails 2 "must be p=P with a probability, plane=AB"
    done
    for noise in p=0.5 sigma=-1 sigma= 0.1 sigma=0.1,p=2 sigma=inf; do
        vox augment in.nii --seed 1 --noise "$noise" -o x.nii
        fails 2 "must be sigma=S"
    done
    vox augment in.nii --seed 1 --noise sigma=1 -t rgb24 -o x.nii
    [ "$status" -eq 2 ]
    [ ! -e x.nii ]
}

@test "-v says what was drawn, --json all of it, --progress shows a line" {
    block
    "$VOXCONV" augment in.nii --seed 3 --flip p=0.5 --rot90 p=0.5 --noise sigma=2 -v -o out.nii 2>stderr
    grep -q '^voxconv: seed 3: flip D,H,W; rot90 k=2 in HW; noise of sigma 2; 12 voxels in ' stderr
    "$VOXCONV" augment in.nii --seed 3 --flip p=0.5 --rot90 p=0.5,plane=DH --json -j 1 -f -o out.nii | python3 -c '
import json, sys
r = json.load(sys.stdin)
assert r["outputs"] == ["out.nii"] and r["flip"] == ["D", "H", "W"] and r["rot90"] == {"k": 2, "plane": "DH"}, r
assert r["noise"] is False and r["sigma"] is None and r["voxels"] == 12 and r["threads"] == 1 and r["seed"] == 3, r'
    "$VOXCONV" augment in.nii --seed 3 --flip W --progress always -f -o out.nii 2>stderr
    grep -q 'augmenting .*%' stderr
}
