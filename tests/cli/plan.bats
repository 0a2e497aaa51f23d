#!/usr/bin/env bats
# --plan: the table of a network's layers. Parameters are sum(p.numel()) of the same modules in torch, multiply-adds
# the product of an output's extents and the taps of one voxel, what a voxel sees is worked out by hand;
# test_layer_describe.c finds it by trying.

# shellcheck disable=SC2154 # $top, $status, $output and $lines come from common.bash and bats
load common

networks=$BATS_TEST_DIRNAME/../../data/networks

network() {
    printf '%s\n' "$@" >net.txt
}

# plan_of MODEL IN [OPTION...]: the plan as JSON.
plan_of() {
    "$VOXCONV" run "$@" -o out.nii --plan --json
}

# The batch normalisation is a part of the convolution, which has its parameters, too.
@test "a table of layers, with names and totals" {
    volume in.nii 8,7,6
    network 'input channels=1' 'conv3d features.0 out_channels=4 kernel_size=3 padding=0,1,1' 'batchnorm3d bn' relu \
        'maxpool3d kernel_size=1,2,2' 'conv3d out out_channels=2 kernel_size=1,3,3 dilation=1,1,1 padding=0,1,1'
    vox run net.txt in.nii --init -o out.nii --plan
    [ "$status" -eq 0 ]
    diff <(printf '%s\n' "${lines[@]:0:6}" | sed 's/ *$//') - <<'TABLE'
      layer              output C,D,H,W    parameters    multiply-adds  sees D,H,W  waits for the whole volume
   1  conv3d features.0         4,4,7,8           120            24192           3  no
   2  relu                      4,4,7,8             0                0           3  no
   3  maxpool3d                 4,4,3,4             0              768       3,4,4  no
   4  conv3d out                2,4,3,4            74             3456       3,8,8  no
      a frame                                     194            28416
TABLE
    [[ "$output" = *"multiply-adds "*28416* ]]
    [ ! -e out.nii ]
}

@test "--json has the same, with the reasons for waiting" {
    volume in.nii 8,8,8
    network 'input channels=1' 'conv3d a out_channels=2 kernel_size=3 padding=1' 'instancenorm3d n affine=true' \
        'conv_transpose3d up out_channels=1 kernel_size=2 stride=2'
    plan_of net.txt in.nii --init | jq -e '
        .parameters == 56 + 4 + 17 and
        (.layers | map(.kind) == ["conv3d", "instancenorm3d", "convtranspose3d"]) and
        (.layers | map(.name) == ["a", "n", "up"]) and
        (.layers | map(.parameters) == [56, 4, 17]) and
        .layers[2].output_shape == [1, 16, 16, 16] and
        (.layers | map(.receptive_field) == [[3, 3, 3], [null, null, null], [null, null, null]]) and
        (.layers | map(.waits_for_whole_volume) | .[0] == null and (.[1] | test("mean and variance")) and .[2] == null)'
    # A padding that begins with the last plane.
    "$VOXCONV" conv in.nii --kernel box:3 --padding-mode circular -o out.nii --plan --json |
        jq -e '.layers[0].waits_for_whole_volume | test("circular")'
    # What the output does not need is not in the table.
    network 'input channels=1' 'save x' 'conv3d a out_channels=2 kernel_size=3' 'from x' relu
    plan_of net.txt in.nii --init | jq -e '[.layers[].kind] == ["relu"] and .parameters == 0'
}

# numel() of the torch modules. MeshNet: 1 + 2*(1+2+4+8+16+8+4+2+1), the sum of its dilations.
@test "data/networks: parameters as in torch, receptive fields from the definition" {
    volume in.nii 16,16,16
    plan_of "$networks/meshnet.txt" in.nii --init | jq -e '.parameters == 5688 and .layers[-1].receptive_field == [93, 93, 93]'
    plan_of "$networks/unet.txt" in.nii --init | jq -e '.parameters == 40187'
    # The same levels without normalisation. Down: 3, 4 and 4+2*2, 10 and 10+2*4. A voxel that comes up sees what the
    # one below it does; three of them have two below, 4 apart: 18+4. One level up, two of those three are 4 apart: 22+4.
    grep -v norm "$networks/unet.txt" >net.txt
    plan_of net.txt in.nii --init |
        jq -e '[.layers[] | select(.kind == "conv3d" or .kind == "convtranspose3d") | .receptive_field[0]] ==
            [3, 8, 18, 18, 22, 22, 26, 26]'
}

@test "names of Keras' and ONNX' layers, and a batch" {
    python3 -B "$BATS_TEST_DIRNAME/make_models.py" models
    plan_of models/functional/model.json models/in.nii | jq -e '[.layers[].name] | index("out") != null'
    plan_of models/functional.onnx models/in.nii | jq -e '(.layers | length) > 3 and .parameters > 0'
    # The table is that of a frame, the plan's sum of all.
    volume frames.nii 4,4,4,3
    network 'input channels=1' 'conv3d a out_channels=2 kernel_size=1'
    plan_of net.txt frames.nii --init | jq -e '.layers[0].multiply_adds == 128 and .multiply_adds == 384'
}

@test "a control character in a name does not reach the terminal" {
    volume in.nii 2,2,2
    printf 'input channels=1\nconv3d a\033[1m out_channels=1 kernel_size=1\n' >net.txt
    vox run net.txt in.nii --init -o out.nii --plan
    [[ "$output" != *$'\033'* ]]
}
