#!/usr/bin/env bats
# voxconv run --argmax --labels: names, voxels and millilitres of a label map. The voxels are counted by hand or by
# Python over what was written; a voxel's volume follows from the header's spacing.

# shellcheck disable=SC2154 # $top, $status, $output and $lines come from common.bash and bats
load common

samples=$BATS_TEST_DIRNAME/../../data/samples

# Channels x, -x and 1 of the values -3 -1 0 2 5: the labels 1 1 2 0 0. lut.txt names 0 and 2.
five() {
    volume in.nii 5,1,1 -3 -1 0 2 5
    tensors w.safetensors c.weight=3,1,1,1,1:1,-1,0 c.bias=3:0,0,1
    printf '%s\n' 'input channels=1' 'conv3d c out_channels=3 kernel_size=1' >net.txt
    printf '# a colour table\n0 left side  255 0 0 0\n1 right 0 0 0 0\n2 none\n' >lut.txt
}

# spacing FILE X,Y,Z [UNIT]: its pixdim[1..3] and xyzt_units.
spacing() {
    python3 -c 'import struct, sys
with open(sys.argv[1], "r+b") as f:
    f.seek(80)
    f.write(struct.pack("<3f", *map(float, sys.argv[2].split(","))))
    f.seek(123)
    f.write(bytes([int(sys.argv[3])]))' "$1" "$2" "${3:-2}"
}

# counted FILE LABELS [FRAMES]: voxels of each label of each frame of a .nii of uint8, as one line.
counted() {
    python3 -c 'import sys
data = open(sys.argv[1], "rb").read()[352:]
frames = int(sys.argv[3])
n = len(data) // frames
print(*[data[f * n : (f + 1) * n].count(k) for f in range(frames) for k in range(int(sys.argv[2]))])' \
        "$1" "$2" "${3:-1}"
}

@test "a table of names, voxels and millilitres on stdout" {
    five
    spacing in.nii 0.5,2,3
    "$VOXCONV" run net.txt in.nii -w w.safetensors --argmax --labels lut.txt -o out.nii >table.txt 2>messages.txt
    [ ! -s messages.txt ]
    [ "$(voxels out.nii)" = "1 1 2 0 0" ]
    diff table.txt - <<'TABLE'
label  name             voxels            ml
    0  left side             2         0.006
    1  right                 2         0.006
    2  none                  1         0.003
TABLE
}

@test "--json has the same numbers" {
    five
    spacing in.nii 0.5,2,4
    echo '["a", "b", "c"]' >names.json
    "$VOXCONV" run net.txt in.nii -w w.safetensors --argmax --labels names.json -o out.nii --json |
        jq -e '.voxel_mm3 == 4 and (.labels | map([.frame, .label, .name, .voxels, .ml])) ==
            [[0, 0, "a", 2, 0.008], [0, 1, "b", 2, 0.008], [0, 2, "c", 1, 0.004]]'
    # Without --labels there are none.
    "$VOXCONV" run net.txt in.nii -w w.safetensors --argmax -f -o out.nii --json | jq -e 'has("labels") | not'
}

@test "brainchop's colormap.json" {
    five
    cat >colormap.json <<'JSON'
{
    "R": [ 0, 255, 205],
    "G": [ 0, 255, 62],
    "B": [ 0, 255, 78],
    "labels": [ "background", "White Matter", "Grey Matter"]
}
JSON
    vox run net.txt in.nii -w w.safetensors --argmax --labels colormap.json -o out.nii
    [ "$status" -eq 0 ]
    [[ "${lines[2]}" = "    1  White Matter "*" 2 "* ]]
}

@test "units, and a spacing that the network changes" {
    five
    for unit in "1 2000000000" "2 2" "3 0.000000002" "0 2"; do
        spacing in.nii 1,1,2 "${unit% *}"
        "$VOXCONV" run net.txt in.nii -w w.safetensors --argmax --labels lut.txt -f -o out.nii --json |
            jq -e ".voxel_mm3 as \$v | (\$v - ${unit#* }) / \$v | fabs < 1e-12"
    done
    # Pooling by 2 along x and 3 along y: six times the volume, a sixth of the voxels.
    volume in.nii 4,3,2
    spacing in.nii 0.5,1,1.5
    printf '%s\n' 'input channels=1' 'maxpool3d kernel_size=1,3,2' >net.txt
    "$VOXCONV" run net.txt in.nii --init --argmax --labels lut.txt -f -o out.nii --json |
        jq -e '.voxel_mm3 == 4.5 and .labels == [{frame: 0, label: 0, name: "left side", voxels: 4, ml: 0.018}]'
}

@test "a row for each frame of a batch" {
    five
    volume in.nii 5,1,1,2 -3 -1 0 2 5 1 1 1 1 -7
    vox run net.txt in.nii -w w.safetensors --argmax --labels lut.txt -o out.nii
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = "frame  label  name             voxels            ml" ]
    [ "$(awk 'NR > 1 { print $1, $2, $(NF - 1) }' <<<"$output" | tr '\n' ';')" = "0 0 2;0 1 2;0 2 1;1 0 4;1 1 1;1 2 0;" ]
}

@test "the counts are those of the written map, in any way of running" {
    printf '%s\n' 'input channels=1' 'conv3d a out_channels=4 kernel_size=3 padding=1' >net.txt
    printf '0 a\n1 b\n2 c\n3 d\n' >lut.txt
    for scan in mri frames; do
        frames=1
        [ $scan = mri ] || frames=5
        run=("$VOXCONV" run net.txt "$samples/$scan.nii.gz" --init --argmax --labels lut.txt -f --json -o out.nii)
        for more in '-j 1 --slab 1' '-j 2' '-j 3 --slab 1000' '-j 2 --patch-size 7' '--patch-size 5,9,1000' '-t int16'; do
            # shellcheck disable=SC2086
            "${run[@]}" $more | jq -r '[.labels[].voxels] | join(" ")' >"found"
            if [ ! -e "want-$scan" ]; then
                counted out.nii 4 $frames >"want-$scan"
                [ "$(tr ' ' '\n' <"want-$scan" | grep -vcx 0)" -ge 4 ]
            fi
            diff "want-$scan" found
        done
    done
}

@test "with the map on stdout the table goes to stderr" {
    five
    "$VOXCONV" run net.txt in.nii -w w.safetensors --argmax --labels lut.txt -o - >out.nii 2>table.txt
    [ "$(voxels out.nii)" = "1 1 2 0 0" ]
    [ "$(wc -l <table.txt)" -eq 4 ]
    [[ "$(tail -1 table.txt)" = "    2  none "* ]]
}

@test "labels without a name, names beyond the labels, no geometry" {
    five
    printf '0 zero\n5 five\n' >some.txt
    vox run net.txt in.nii -w w.safetensors --argmax --labels some.txt -o out.nii
    [ "$status" -eq 0 ]
    [[ "$output" = *"warning: some.txt: no name for 2 of the network's 3 labels"* ]]
    [[ "$output" = *"    1  -     "* ]]
    [[ "$output" != *five* ]]
    "$VOXCONV" run net.txt in.nii -w w.safetensors --argmax --labels some.txt -q -f -o out.nii --json |
        jq -e '[.labels[].name] == ["zero", null, null]'
    # An sform of zeros: no voxel has a volume.
    python3 -c 'f = open("in.nii", "r+b"); f.seek(254); f.write(b"\1\0")'
    "$VOXCONV" run net.txt in.nii -w w.safetensors --argmax --labels lut.txt -f -o out.nii >table.txt
    [[ "$(tail -1 table.txt)" = *" 1             -" ]]
    "$VOXCONV" run net.txt in.nii -w w.safetensors --argmax --labels lut.txt -f -o out.nii --json |
        jq -e '.voxel_mm3 == null and .labels[2].ml == null'
}

# By definition: patches are averaged as scores, and a voxel's label is that of its largest average. The label numbers
# themselves, 0 and 2, would average to 1, which is nobody's.
@test "labels of averaged patches are those of the averaged scores" {
    volume in.nii 9,1,1 4 -3 1 0 -2 5 2 -1 3
    tensors w.safetensors c.weight=3,1,1,1,3:1,-2,1,0.25,0.5,0.25,-1,1,0.5 c.bias=3:0,0.125,0.25
    printf '%s\n' 'input channels=1' 'conv3d c out_channels=3 kernel_size=1,1,3 padding=0,0,1' >net.txt
    printf '0 a\n1 b\n2 c\n' >lut.txt
    for blend in average gaussian; do
        "$VOXCONV" run net.txt in.nii -w w.safetensors --patch-size 1,1,4 --overlap 0,0,2 --blend $blend -f -o scores.nii
        "$VOXCONV" run net.txt in.nii -w w.safetensors --patch-size 1,1,4 --overlap 0,0,2 --blend $blend -f -o labels.nii \
            --argmax --labels lut.txt --json >report.json
        python3 -c 'import struct
data = open("scores.nii", "rb").read()[352:]
scores = struct.unpack("<27f", data)
print(*[max(range(3), key=lambda c: scores[9 * c + i]) for i in range(9)])' >want.txt
        [ "$(voxels labels.nii)" = "$(cat want.txt)" ]
        [ "$(jq -c '[.labels[].voxels]' report.json)" = "[$(counted labels.nii 3 | tr ' ' ,)]" ]
    done
    [ "$(tr ' ' '\n' <want.txt | sort -u | wc -l)" -eq 3 ]
}

@test "--plan counts them in" {
    five
    "$VOXCONV" run net.txt in.nii -w w.safetensors --argmax --labels lut.txt -o out.nii -j 2 --plan --json |
        jq -e '.memory | map(select(.name == "label counts")) | length == 1 and .[0].bytes == (2 * 8 + 3) * 8'
    [ ! -e out.nii ]
}

@test "what is refused" {
    five
    vox run net.txt in.nii -w w.safetensors --labels lut.txt -o out.nii
    fails 2 '--labels goes with --argmax only'
    vox run net.txt in.nii -w w.safetensors --argmax --labels none.txt -o out.nii
    fails 5 'none.txt: '
    printf '0 a\nb\n' >bad.txt
    vox run net.txt in.nii -w w.safetensors --argmax --labels bad.txt -o out.nii
    fails 5 'bad.txt:2: b: no label: a line is NUMBER NAME'
    printf '{"0": "a",\n "0": "b"}' >bad.json
    vox run net.txt in.nii -w w.safetensors --argmax --labels bad.json -o out.nii
    fails 5 'bad.json: line 2: duplicate'
    printf '%s\n' 'input channels=1' 'adaptive_avgpool3d 1' 'flatten' 'linear fc out_features=2' >vector.txt
    vox run vector.txt in.nii --init --argmax --labels lut.txt
    fails 2 'this network gives numbers'
    [ ! -e out.nii ]
}
