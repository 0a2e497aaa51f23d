#!/usr/bin/env bats
# voxconv run: networks over a volume. What comes out is compared with the same layers by `voxconv conv`, with plain
# loops over Keras' definitions on numbers that are exact in float32 (make_models.py), or with another way to do the
# same. `make oracle` compares random networks with torch; bad_models.bats has what is refused.

# shellcheck disable=SC2154 # $top, $status, $output and $lines come from common.bash and bats
load common

setup_file() {
    python3 -B "$BATS_TEST_DIRNAME/make_models.py" "$BATS_FILE_TMPDIR/models"
}

models=$BATS_FILE_TMPDIR/models
samples=$BATS_TEST_DIRNAME/../../data/samples

# network LINE...: the file net.txt.
network() {
    printf '%s\n' "$@" >net.txt
}

# same_voxels FILE FILE: what stands behind the headers of two .nii without extensions.
same_voxels() {
    cmp <(tail -c +353 "$1") <(tail -c +353 "$2")
}

# makes FILE ARGUMENT...: `voxconv run ARGUMENT... -o out.nii` is silent and gives FILE's voxels.
makes() {
    local expected=$1
    shift
    vox run "$@" -f -o out.nii
    echo "status $status, output: $output"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    same_voxels "$expected" out.nii
}

# The network that make_models.py calls functional, in torch's words.
residual() {
    network '# a residual block' '' 'input channels=1' 'save x' \
        'conv3d a in_channels=1 out_channels=2 kernel_size=1,3,3 padding=0,1,1' 'relu' 'save a' \
        'batchnorm3d n num_features=2 eps=0' \
        'conv3d b out_channels=2 kernel_size=3,1,1 padding=2,0,0 dilation=2,1,1 bias=false  # the long way' \
        'add a' 'cat . x' 'maxpool3d kernel_size=2,1,2 stride=2,1,2' \
        'conv3d out out_channels=3 kernel_size=1,2,1 stride=1,2,1'
}

# ---- Text networks ----

@test "one conv3d with --init is voxconv conv --init torch, byte for byte" {
    network 'input channels=1' 'conv3d name out_channels=4 kernel_size=3,2,1 stride=2,1,1 padding=1,0,0'
    for seed in 0 1 4294967295; do
        "$VOXCONV" conv "$samples/mri.nii.gz" --init torch --seed "$seed" --out-channels 4 -k 3,2,1 -s 2,1,1 -p 1,0,0 \
            -f -o want.nii
        "$VOXCONV" run net.txt "$samples/mri.nii.gz" --init --seed "$seed" -f -o out.nii
        cmp want.nii out.nii
    done
    "$VOXCONV" conv "$samples/mri.nii.gz" --init torch --out-channels 4 -k 3,2,1 -s 2,1,1 -p 1,0,0 -f -o want.nii
    "$VOXCONV" run net.txt "$samples/mri.nii.gz" --init -f -o out.nii
    cmp want.nii out.nii
}

@test "padding by word, padding_mode, groups and bias=false are those of voxconv conv" {
    network 'input channels=1' 'conv3d c out_channels=3 kernel_size=3,5,4 padding=same dilation=1,2,1'
    "$VOXCONV" conv "$samples/mri.nii.gz" --init torch --out-channels 3 -k 3,5,4 -p same -d 1,2,1 -o want.nii
    makes want.nii net.txt "$samples/mri.nii.gz" --init
    for mode in zeros reflect replicate circular; do
        network 'input channels=1' "conv3d c out_channels=2 kernel_size=3 padding=1 padding_mode=$mode bias=false"
        "$VOXCONV" conv "$samples/mri.nii.gz" --init torch --no-bias --out-channels 2 -k 3 -p 1 --padding-mode "$mode" \
            -f -o want.nii
        makes want.nii net.txt "$samples/mri.nii.gz" --init
    done
    network 'input channels=5' 'conv3d c out_channels=10 kernel_size=3 padding=valid groups=5'
    "$VOXCONV" conv "$samples/frames.nii.gz" --init torch --out-channels 10 -k 3 -g 5 --time channels -f -o want.nii
    makes want.nii net.txt "$samples/frames.nii.gz" --init
}

@test "a sequence of layers is the chain of voxconv conv calls, each with its own weights" {
    tensors w.safetensors 0.weight=2,1,1,1,3:1,2,4,-1,3,1 0.bias=2:0.5,-8 \
        1.running_mean=2:1,2 1.running_var=2:4,9 1.weight=2:3,-1 1.bias=2:0.25,1 \
        4.weight=1,2,3,1,1:1,-1,2,0.5,0.25,3 4.bias=1:7
    network 'input channels=1' 'conv3d 0 out_channels=2 kernel_size=1,1,3 padding=same' 'batchnorm3d 1 eps=0.5' \
        'leaky_relu negative_slope=0.25' 'maxpool3d kernel_size=2 stride=1,2,2 padding=1 ceil_mode=true' \
        'conv3d 4 out_channels=1 kernel_size=3,1,1' 'elu alpha=0.5' 'avgpool3d 5 kernel_size=2'
    "$VOXCONV" conv "$samples/mri.nii.gz" -w w.safetensors:0 -p same --batchnorm w.safetensors:1 --batchnorm-eps 0.5 \
        --activation leaky_relu:0.25 --max-pool 2:stride=1,2,2:padding=1:ceil_mode -o first.nii
    "$VOXCONV" conv first.nii -w w.safetensors:4 --activation elu:0.5 --avg-pool 2 -o want.nii
    makes want.nii net.txt "$samples/mri.nii.gz" -w w.safetensors
    for kind in relu elu sigmoid tanh leaky_relu softmax; do
        network 'input channels=1' 'conv3d 0 out_channels=2 kernel_size=1,1,3' "$kind name" dropout 'dropout3d p=0.5' identity
        "$VOXCONV" conv "$samples/mri.nii.gz" -w w.safetensors:0 --activation $kind -f -o want.nii
        makes want.nii net.txt "$samples/mri.nii.gz" -w w.safetensors
    done
}

@test "--init draws the layers' weights one after the other, as torch's constructors do" {
    network 'input channels=1' 'conv3d a out_channels=2 kernel_size=1 bias=false' \
        'conv3d b out_channels=1 kernel_size=1 bias=false'
    # U(-1, 1) for two weights of fan_in 1, then U(-sqrt(1/2), sqrt(1/2)) for two of fan_in 2: the same draws as for
    # four weights of one layer of fan_in 1, the last two scaled.
    volume in.nii 1,1,1 1
    "$VOXCONV" kernel --init torch --no-bias -k 1 --out-channels 4 -o four.npy
    python3 - <<'END'
import struct
data = open("four.npy", "rb").read()
a, b, c, d = struct.unpack("<4f", data[-16:])
want = 0.5 ** 0.5 * (a * c + b * d)
open("want", "w").write(repr(want))
END
    "$VOXCONV" run net.txt in.nii --init -o out.nii
    # Some roundings of numbers below 1, each at most 2^-24.
    python3 -c 'import sys; assert abs(float(sys.argv[1]) - float(sys.argv[2])) < 2 ** -20, sys.argv' \
        "$(voxels out.nii)" "$(cat want)"
}

@test "save, add, cat: a residual network from .safetensors and .npz" {
    residual
    makes "$models/functional.nii" net.txt "$models/in.nii" -w "$models/weights.safetensors:net"
    makes "$models/functional.nii" net.txt "$models/in.nii" -w "$models/weights.npz:net."
    sed 's/^\(conv3d\|batchnorm3d\) /&net./' net.txt >long.txt
    makes "$models/functional.nii" long.txt "$models/in.nii" -w "$models/weights.npz"
    # Windows' line ends, tabs, blanks at both ends.
    sed 's/$/ \r/; s/ /\t /' net.txt >dos.txt
    makes "$models/functional.nii" dos.txt "$models/in.nii" -w "$models/weights.npz:net"
}

@test "from goes back; a name that is saved again is the later value" {
    volume in.nii 5,1,1 -2 -1 0 1 2
    network 'input channels=1' 'save x' 'relu' 'save y' 'from x' 'add y'
    "$VOXCONV" run net.txt in.nii --init -o a.nii
    [ "$(voxels a.nii)" = "-2 -1 0 2 4" ]
    network 'input channels=1' 'save x' 'relu' 'save x' 'mul x' 'add .'
    "$VOXCONV" run net.txt in.nii --init -o b.nii
    [ "$(voxels b.nii)" = "0 0 0 2 8" ]
    network 'input channels=1' 'save x' 'relu' 'cat x . x' 'avgpool3d kernel_size=1,1,5'
    "$VOXCONV" run net.txt in.nii --init -o c.nii
    [ "$(voxels c.nii)" = "0 0.6 0" ]
    [ "$(header c.nii dim)" = "4 1 1 1 3 1 1 1" ]
    network 'input channels=1'
    "$VOXCONV" run net.txt in.nii --init -o d.nii
    cmp in.nii d.nii
}

@test "mul with one channel, or one voxel a channel, repeats it" {
    volume in.nii 3,1,1 1 2 3
    tensors w.safetensors c.weight=2,1,1,1,1:1,10
    network 'input channels=1' 'save x' 'conv3d c out_channels=2 kernel_size=1 bias=false' 'mul x'
    "$VOXCONV" run net.txt in.nii -w w.safetensors -o a.nii
    [ "$(voxels a.nii)" = "1 4 9 10 40 90" ]
    network 'input channels=1' 'conv3d c out_channels=2 kernel_size=1 bias=false' 'save y' \
        'avgpool3d kernel_size=1,1,3' 'mul y'
    "$VOXCONV" run net.txt in.nii -w w.safetensors -o b.nii
    [ "$(voxels b.nii)" = "2 4 6 200 400 600" ]
}

@test "an input without channels takes any number; size is what it was made for" {
    network 'input' 'relu'
    "$VOXCONV" conv "$samples/frames.nii.gz" --kernel identity --activation relu -o want.nii
    makes want.nii net.txt "$samples/frames.nii.gz" --init
    makes want.nii net.txt "$samples/frames.nii.gz" --init --time channels
    network 'input channels=1 size=4,5,6' 'relu'
    "$VOXCONV" conv "$models/in.nii" --kernel identity --activation relu -f -o want.nii
    makes want.nii net.txt "$models/in.nii" --init
    vox run net.txt "$samples/mri.nii.gz" --init -f -o out.nii
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 1 ]
    [[ $output = *"warning: net.txt: made for 4 x 5 x 6 voxels (D,H,W), the input has 36 x 100 x 80"* ]]
    vox run net.txt "$samples/mri.nii.gz" --init -q -f -o out.nii
    [ -z "$output" ]
}

# Means of 1..8 and of three frames of four, 2*m + 0.5 and 10 - m.
@test "a network that ends in a vector prints numbers, or writes a tensor" {
    volume in.nii 2,2,2
    volume frames.nii 2,2,1,3
    tensors w.safetensors fc.weight=2,1:2,-1 fc.bias=2:0.5,10
    network 'input channels=1' 'adaptive_avgpool3d 1' 'flatten' 'linear fc out_features=2'
    vox run net.txt in.nii -w w.safetensors
    [ "$output" = "9.5 5.5" ]
    vox run net.txt frames.nii -w w.safetensors --json
    jq -e '.values == [[5.5, 7.5], [13.5, 3.5], [21.5, -0.5]]' <<<"$output"
    "$VOXCONV" run net.txt frames.nii -w w.safetensors -o out.txt
    [ "$(tr '\n' ' ' <out.txt)" = "3 2 5.5 7.5 13.5 3.5 21.5 -0.5 " ]
    vox run net.txt frames.nii -w w.safetensors --argmax
    [ "$(tr '\n' ' ' <<<"$output")" = "1 0 0 " ]
}

# ---- TensorFlow.js models ----

@test "an ONNX model: the same network gives the same voxels; cut short it is refused" {
    makes "$models/functional.nii" "$models/functional.onnx" "$models/in.nii"
    head -c 300 "$models/functional.onnx" >cut.onnx
    vox run cut.onnx "$models/in.nii" -o cut.nii
    [ "$status" -eq 5 ]
    [[ "$output" == "voxconv: cut.onnx: "* ]]
    [ ! -e cut.nii ]
}

@test "an ONNX model with two outputs, and one with a second input" {
    # relu(x0 + 10*x1 - 20), and without the relu.
    volume in.nii 3,1,1 1 2 -1
    "$VOXCONV" run "$models/onnx/inside/two_outputs.onnx" in.nii -o y.nii
    [ "$(voxels y.nii)" = "1 0" ]
    "$VOXCONV" run "$models/onnx/inside/two_outputs.onnx" in.nii --output-name c -o c.nii
    [ "$(voxels c.nii)" = "1 -28" ]
    "$VOXCONV" run "$models/onnx/inside/two_outputs.onnx" in.nii --output-name y -f -o c.nii
    cmp y.nii c.nii
    array w.npy 1,1,1,1,2 10 20
    "$VOXCONV" run "$models/onnx/inside/two_inputs.onnx" in.nii --input w=w.npy -o w.nii
    [ "$(voxels w.nii)" = "30 0" ]
    tensors w.safetensors any=1,1,1,1,2:10,20
    "$VOXCONV" run "$models/onnx/inside/two_inputs.onnx" in.nii --input w=w.safetensors -f -o w.nii
    [ "$(voxels w.nii)" = "30 0" ]
}

@test "a functional model: Add, Concatenate, batch normalisation, pooling, strides" {
    makes "$models/functional.nii" "$models/functional/model.json" "$models/in.nii"
}

@test "a sequential model: groups, Keras' same with stride, average pooling" {
    makes "$models/sequential.nii" "$models/sequential/model.json" "$models/in.nii"
}

@test "Conv3DTranspose, Cropping3D, ZeroPadding3D, UpSampling3D" {
    makes "$models/upward.nii" "$models/upward/model.json" "$models/in.nii"
    makes "$models/upward.nii" "$models/upward_turned/model.json" "$models/in.nii" --axes whd
}

@test "pooling that pads: the padding is not counted" {
    makes "$models/pooled.nii" "$models/pooled/model.json" "$models/in.nii"
    makes "$models/pooled.nii" "$models/pooled_turned/model.json" "$models/in.nii" --axes whd
}

@test "Dense over the channels of a volume, GlobalAveragePooling3D that keeps its axes" {
    makes "$models/voxels_dense.nii" "$models/voxels_dense/model.json" "$models/in.nii"
    makes "$models/voxels_dense.nii" "$models/voxels_dense_turned/model.json" "$models/in.nii" --axes whd
}

@test "Flatten, Dense and GlobalMaxPooling3D: a classifier's numbers" {
    vox run "$models/classifier/model.json" "$models/in.nii"
    [ "$status" -eq 0 ]
    [ "$output" = "$(cat "$models/classifier.txt")" ]
    vox run "$models/classifier_turned/model.json" "$models/in.nii" --axes whd
    [ "$output" = "$(cat "$models/classifier.txt")" ]
    "$VOXCONV" run "$models/classifier/model.json" "$models/in.nii" --json |
        jq -e --arg want "$(cat "$models/classifier.txt")" '.values == [$want | split(" ") | map(tonumber)]'
}

@test "Subtract and Multiply; a value that several layers read" {
    makes "$models/arithmetic.nii" "$models/arithmetic/model.json" "$models/in.nii"
}

@test "shards that end within a number" {
    [ "$(ls "$models/shards" | wc -l)" -eq 4 ]
    makes "$models/functional.nii" "$models/shards/model.json" "$models/in.nii"
    # From another folder, and as a bare name.
    cp -r "$models/shards" here
    (cd here && "$VOXCONV" run model.json "$models/in.nii" -o ../bare.nii)
    same_voxels "$models/functional.nii" bare.nii
}

@test "quantised weights" {
    makes "$models/functional.nii" "$models/uint8/model.json" "$models/in.nii"
    makes "$models/functional.nii" "$models/uint16/model.json" "$models/in.nii"
}

@test "--axes whd: a model whose kernels are turned is the model" {
    makes "$models/functional.nii" "$models/turned/model.json" "$models/in.nii" --axes whd
    makes "$models/functional.nii" "$models/functional/model.json" "$models/in.nii" --axes dhw
    "$VOXCONV" run "$models/turned/model.json" "$models/in.nii" -o other.nii
    [ "$(voxels other.nii)" != "$(voxels "$models/functional.nii")" ]
}

# ---- Results ----

@test "--argmax numbers the largest channel, in uint8 or uint16 or what --datatype says" {
    volume in.nii 5,1,1 -3 -1 0 2 5
    # Channels x, -x, 1: the largest; 0 and ties to the first.
    tensors w.safetensors c.weight=3,1,1,1,1:1,-1,0 c.bias=3:0,0,1
    network 'input channels=1' 'conv3d c out_channels=3 kernel_size=1'
    "$VOXCONV" run net.txt in.nii -w w.safetensors --argmax -o labels.nii
    [ "$(voxels labels.nii)" = "1 1 2 0 0" ]
    [ "$(header labels.nii datatype)" = 2 ]
    [ "$(header labels.nii dim)" = "3 5 1 1 1 1 1 1" ]
    "$VOXCONV" run net.txt in.nii -w w.safetensors --softmax --argmax -t int16 -o labels16.nii
    [ "$(voxels labels16.nii)" = "1 1 2 0 0" ]
    [ "$(header labels16.nii datatype)" = 4 ]
    network 'input channels=1' 'conv3d c out_channels=257 kernel_size=1'
    "$VOXCONV" run net.txt in.nii --init --argmax -o many.nii
    [ "$(header many.nii datatype)" = 512 ]
}

@test "--softmax is the layer" {
    network 'input channels=1' 'conv3d c out_channels=3 kernel_size=3'
    "$VOXCONV" run net.txt "$samples/mri.nii.gz" --init --softmax -o a.nii
    echo 'softmax dim=1' >>net.txt
    makes a.nii net.txt "$samples/mri.nii.gz" --init
    [ "$(header a.nii datatype)" = 16 ]
}

@test "-t, --split, -z and the geometry are those of voxconv conv" {
    network 'input channels=1' 'conv3d c out_channels=2 kernel_size=2 stride=3,2,1'
    common=("$samples/ct.nii.gz" -q -f)
    conv=(conv "${common[@]}" --init torch --out-channels 2 -k 2 -s "3,2,1")
    run=(run net.txt "${common[@]}" --init)
    for more in '-t input' '-t int16' '-z 9' '--split -t uint8'; do
        mkdir -p want got
        # shellcheck disable=SC2086
        "$VOXCONV" "${conv[@]}" $more -o want/out.nii.gz
        # shellcheck disable=SC2086
        "$VOXCONV" "${run[@]}" $more -o got/out.nii.gz
        diff -r want got
    done
}

# ---- Execution ----

@test "--plan and --json" {
    residual
    vox run net.txt "$models/in.nii" -w "$models/weights.npz:net" -o out.nii --plan
    [ "$status" -eq 0 ]
    [[ $output = *"(1,1,4,5,6)"* ]]
    [[ $output = *"(1,3,2,2,3)"* ]]
    [ ! -e out.nii ]
    # All the plan needs is the header.
    head -c 352 "$models/in.nii" | "$VOXCONV" run net.txt - -w "$models/weights.npz:net" -o out.nii --plan --json |
        jq -e '.input_shape == [1,1,4,5,6] and .output_shape == [1,3,2,2,3] and
            .total_bytes == ([.memory[].bytes] | add)'
    "$VOXCONV" run net.txt "$models/in.nii" -w "$models/weights.npz:net" -o out.nii --json |
        jq -e '.output == "out.nii" and .input_voxels == 120 and .output_voxels == 36'
}

@test "pipes" {
    residual
    "$VOXCONV" run net.txt - -w "$models/weights.npz:net" -o - <"$models/in.nii" >out.nii
    same_voxels "$models/functional.nii" out.nii
    # shellcheck disable=SC2002
    gzip -c "$models/in.nii" | cat | "$VOXCONV" run "$models/functional/model.json" - -z 6 -o - | gunzip >out.nii
    same_voxels "$models/functional.nii" out.nii
}

@test "slabs, threads, instruction sets, exact patches and the least memory give the same bytes" {
    # Two levels of a U-Net without its way up: joins whose ways have different reach, strides, dilation, pooling.
    network 'input channels=1' 'conv3d a out_channels=3 kernel_size=3 padding=1' 'relu' 'save a' \
        'conv3d b out_channels=3 kernel_size=3 padding=3 dilation=3' 'batchnorm3d n' 'elu' 'add a' 'save s' \
        'conv3d c out_channels=2 kernel_size=3,1,5 padding=1,0,2 padding_mode=replicate' 'cat s . a' \
        'maxpool3d kernel_size=3 stride=2,1,1 padding=1' 'conv3d d out_channels=4 kernel_size=3 padding=same' 'sigmoid'
    net=(run net.txt "$samples/mri.nii.gz" --init -q -f)
    "$VOXCONV" "${net[@]}" -j 1 --slab 1 --isa portable -o want.nii
    for more in '-j 2' '-j 3 --slab 4' '--slab 1000' '--patch-size 7' '--patch-size 5,33,1000 -j 2' '-m 300M'; do
        # shellcheck disable=SC2086
        "$VOXCONV" "${net[@]}" $more -o out.nii
        cmp want.nii out.nii
    done
    least=$("$VOXCONV" "${net[@]}" -j 2 -o out.nii --plan --json | jq .smallest_bytes)
    "$VOXCONV" "${net[@]}" -j 2 -m "$least" -o out.nii
    cmp want.nii out.nii
    "$VOXCONV" "${net[@]}" --argmax -j 1 -o labels.nii
    "$VOXCONV" "${net[@]}" --argmax -j 2 --patch-size 9 -o out.nii
    cmp labels.nii out.nii
}

@test "a blended patch as large as the volume is the volume" {
    network 'input channels=1' 'conv3d a out_channels=3 kernel_size=3 padding=1' 'save a' \
        'conv3d b out_channels=3 kernel_size=3 padding=1' 'add a'
    "$VOXCONV" run net.txt "$samples/mri.nii.gz" --init -o want.nii
    makes want.nii net.txt "$samples/mri.nii.gz" --init --patch-size 36,100,80 --blend average
}

@test "several files, and a 4-D file's frames, are the channels" {
    volume a.nii 2,1,1 1 2
    volume b.nii 2,1,1 10 20
    tensors w.safetensors c.weight=1,2,1,1,1:1,3
    network 'input channels=2' 'conv3d c out_channels=1 kernel_size=1 bias=false'
    "$VOXCONV" run net.txt a.nii b.nii -w w.safetensors -o out.nii
    [ "$(voxels out.nii)" = "31 62" ]
    volume t.nii 2,1,1,2 1 2 10 20
    "$VOXCONV" run net.txt t.nii -w w.safetensors -f -o out.nii
    [ "$(voxels out.nii)" = "31 62" ]
    tensors w.safetensors c.weight=1,1,1,1,1:2
    network 'input channels=1' 'conv3d c out_channels=1 kernel_size=1 bias=false'
    "$VOXCONV" run net.txt t.nii -w w.safetensors -f -o out.nii
    [ "$(voxels out.nii)" = "2 4 20 40" ]
    [ "$(header out.nii dim)" = "4 2 1 1 2 1 1 1" ]
}

@test "NaN stays where it was" {
    volume in.nii 4,1,1 1 nan 2 -3
    network 'input channels=1' 'save x' 'leaky_relu' 'add x'
    vox run net.txt in.nii --init -o out.nii
    [ "$status" -eq 0 ]
    [[ $output = *"1 NaN"* ]]
    [ "$(voxels out.nii)" = "2 nan 4 -3.03" ]
}
