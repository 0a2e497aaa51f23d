#!/usr/bin/env bats
# voxconv conv: every option reaches the layer that it names. The volumes are small enough that the expected
# values are worked out by hand from torch's definitions; `make oracle` compares whole layers with torch.

# shellcheck disable=SC2154 # $top, $status, $output and $lines come from common.bash and bats
load common


# in.nii is 1 2 3 4 5 along x; w.txt is the kernel 1 2 4 along x.
line() {
    volume in.nii 5,1,1
    printf "1 1 3\n1 2 4\n" >w.txt
    printf "1 1 1\n1\n" >one.txt
    printf "1 1 1\n-1\n" >minus.txt
}

@test "cross-correlation, padding and its modes" {
    line
    gives "17 24 31" in.nii -w w.txt
    gives "17 24 31" in.nii -w w.txt -p valid
    gives "10 17 24 31 14" in.nii -w w.txt -p 0,0,1
    gives "10 17 24 31 14" in.nii -w w.txt -p same
    gives "11 17 24 31 34" in.nii -w w.txt -p same --padding-mode replicate
    gives "12 17 24 31 30" in.nii -w w.txt -p same --padding-mode reflect
    gives "15 17 24 31 18" in.nii -w w.txt -p same --padding-mode circular
}

@test "stride, dilation and Keras's same" {
    line
    gives "17 31" in.nii -w w.txt -s 1,1,2
    gives "27" in.nii -w w.txt -d 1,1,2
    gives "10 24 14" in.nii -w w.txt -s 1,1,2 -p same_upper
    volume four.nii 4,1,1
    gives "17 11" four.nii -w w.txt -s 1,1,2 -p same_upper
    vox conv in.nii -w w.txt -s 2 -p same -o no.nii
    [ "$status" -eq 2 ]
    [ ! -e no.nii ]
}

@test "--flip, --normalize" {
    line
    gives "11 18 25" in.nii -w w.txt --flip
    printf "1 1 3\n1 2 5\n" >eighth.txt
    gives "2.5 3.5 4.5" in.nii -w eighth.txt --normalize sum
    printf "1 1 3\n-1 2 5\n" >signs.txt
    gives "2.25 3 3.75" in.nii -w signs.txt --normalize abs
    printf "1 1 3\n-1 0 1\n" >zero.txt
    vox conv in.nii -w zero.txt --normalize sum -o no.nii
    fails 5 "sum 0"
}

@test "--flip reverses D, H and W" {
    volume in.nii 2,2,2
    printf "2 2 2\n1 0 0 0 0 0 0 0\n" >first.txt
    gives 1 in.nii -w first.txt
    gives 8 in.nii -w first.txt --flip
}

@test "a dense weight, its bias, --bias and --no-bias" {
    line
    tensors w.safetensors weight=1,1,1,1,1:2 bias=1:100
    tensors b.safetensors bias=1:0.5 other.bias=1:0.25
    gives "102 104 106 108 110" in.nii -w w.safetensors
    gives "2 4 6 8 10" in.nii -w w.safetensors --no-bias
    gives "2.5 4.5 6.5 8.5 10.5" in.nii -w w.safetensors --bias b.safetensors
    gives "2.25 4.25 6.25 8.25 10.25" in.nii -w w.safetensors --bias b.safetensors:other
    tensors two.safetensors bias=2:0,0
    vox conv in.nii -w w.safetensors --bias two.safetensors -o no.nii
    fails 5 "two.safetensors: bias of shape (2) for 1 output channel"
}

@test "FILE:PREFIX" {
    line
    tensors w.safetensors a.weight=1,1,1,1,1:2 a.bias=1:100 b.c.weight=1,1,1,1,1:3
    gives "102 104 106 108 110" in.nii -w w.safetensors:a
    gives "102 104 106 108 110" in.nii -w w.safetensors:a.
    gives "3 6 9 12 15" in.nii -w w.safetensors:b.c
    vox conv in.nii -w w.safetensors -o no.nii
    fails 5 "a.weight"
    [[ $output = *b.c.weight* ]]
    vox conv in.nii -w w.safetensors:d -o no.nii
    fails 5 "d.weight: no such array; the file has"
    tensors "w.safetensors:a" weight=1,1,1,1,1:7
    gives "7 14 21 28 35" in.nii -w w.safetensors:a
}

@test "FILE:PREFIX of a checkpoint, whole or the end of it" {
    line
    tensors w.pt a.weight=1,1,1,1,1:2 a.bias=1:100 b.c.weight=1,1,1,1,1:3 d.c.weight=1,1,1,1,1:4
    gives "102 104 106 108 110" in.nii -w w.pt:state_dict.a
    gives "102 104 106 108 110" in.nii -w w.pt:a
    gives "3 6 9 12 15" in.nii -w w.pt:b.c
    vox conv in.nii -w w.pt:c -o no.nii
    fails 5 "c.weight: no such array; the file has state_dict.a.weight"
    tensors one.pt net.conv1.weight=1,1,1,1,1:2
    gives "2 4 6 8 10" in.nii -w one.pt
    tensors bn.pt n.running_mean=1:1 n.running_var=1:3
    gives "0 0.5 1 1.5 2" in.nii -w one.txt --batchnorm bn.pt:n --batchnorm-eps 1
    vox kernel --init torch -o made.pt
    fails 2 "made.pt: unknown ending"
}

@test "the only array, or the only NAME.weight, needs no prefix" {
    line
    tensors one.safetensors anything=1,1,1:3
    gives "3 6 9 12 15" in.nii -w one.safetensors
    tensors layer.safetensors net.0.weight=1,1,1,1,1:2 net.0.bias=1:100
    gives "102 104 106 108 110" in.nii -w layer.safetensors
    tensors two.safetensors x=1,1,1:3 y=1,1,1:3
    vox conv in.nii -w two.safetensors -o no.nii
    fails 5 "x, y"
}

@test "weights in Keras's order" {
    volume a.nii 2,1,1
    volume b.nii 2,1,1 10 20
    # (D,H,W,in,out) = (1,1,2,2,1): taps of W outside, channels inside.
    tensors keras.safetensors weight=1,1,2,2,1:1,10,100,1000
    gives "20301" a.nii b.nii -w keras.safetensors --weights-layout keras
    tensors torch.safetensors weight=1,2,1,1,2:1,100,10,1000
    gives "20301" a.nii b.nii -w torch.safetensors
}

@test "a kernel as a volume" {
    line
    volume kernel.nii 3,1,1 1 2 4
    gives "17 24 31" in.nii -w kernel.nii
}

@test "--kernel-size and --out-channels are checked against the weights" {
    line
    gives "17 24 31" in.nii -w w.txt -k 1,1,3 --out-channels 1
    vox conv in.nii -w w.txt -k 3 -o no.nii
    fails 5 "its kernel is 1,1,3, --kernel-size says 3,3,3"
    vox conv in.nii -w w.txt --out-channels 2 -o no.nii
    fails 5 "--out-channels says 2"
}

@test "shapes that are no filter, and channels that do not fit, are weights errors with both sides" {
    line
    printf "2 2\n1 2 3 4\n" >flat.txt
    vox conv in.nii -w flat.txt -o no.nii
    fails 5 "flat.txt: shape (2,2): a filter has 3 sizes"
    tensors w.safetensors weight=1,2,1,1,1:1,1
    vox conv in.nii -w w.safetensors -o no.nii
    fails 5 "w.safetensors: shape (1,2,1,1,1) needs 2 input channels, in.nii has 1"
    vox conv in.nii -w w.safetensors -g 3 -o no.nii
    fails 5 "--groups 3 does not divide"
    [ ! -e no.nii ]
}

@test "named kernels: same and replicate by default, a separable one strides once" {
    line
    gives "1.33333 2 3 4 4.66667" in.nii --kernel box:3
    gives "1.33333 3 4.66667" in.nii --kernel box:3 --stride 2
    gives "1 2 3 4 3" in.nii --kernel box:1,1,3 --padding-mode zeros
    gives "2 3 4" in.nii --kernel box:1,1,3 -p valid
    # Dilation by 2: mean of x-2, x, x+2.
    gives "1.66667 2.33333 3 3.66667 4.33333" in.nii --kernel box:1,1,3 -d 2
}

@test "a named kernel's sizes in mm follow pixdim" {
    line
    # pixdim 1: 3 mm are 3 voxels; with 3 mm a voxel they are one.
    gives "1.33333 2 3 4 4.66667" in.nii --kernel box:3mm
    python3 - <<-'END'
	import struct
	data = bytearray(open("in.nii", "rb").read())
	struct.pack_into("<4f", data, 76, 1, 3, 3, 3)
	open("wide.nii", "wb").write(data)
	END
    gives "1 2 3 4 5" wide.nii --kernel box:3mm
}

@test "the t axis is the batch, or the channels of a layer with that many" {
    volume in.nii 2,1,1,3
    tensors one.safetensors weight=1,1,1,1,1:2
    tensors three.safetensors weight=1,3,1,1,1:1,10,100
    gives "2 4 6 8 10 12" in.nii -w one.safetensors
    gives "531 642" in.nii -w three.safetensors
    [ "$(header out.nii dim)" = "4 2 1 1 1 1 1 1" ]
    tensors two.safetensors weight=1,2,1,1,1:1,1
    vox conv in.nii -w two.safetensors -o no.nii
    fails 5 "needs 2 input channels, in.nii has 1 (in each of 3 frames)"
    vox conv in.nii -w three.safetensors --time batch -o no.nii
    fails 5 "needs 3 input channels"
    vox conv in.nii --init torch -k 1 --time channels --plan --json -o no.nii
    [[ $output = *'"input_shape": [1, 3, 1, 1, 2]'* ]]
}

@test "several inputs are channels; groups" {
    volume a.nii 2,1,1
    volume b.nii 2,1,1 10 20
    tensors sum.safetensors weight=1,2,1,1,1:1,1
    gives "11 22" a.nii b.nii -w sum.safetensors
    tensors own.safetensors weight=2,1,1,1,1:2,3 bias=2:0.5,0.25
    gives "2.5 4.5 30.25 60.25" a.nii b.nii -w own.safetensors -g 2
    [ "$(header out.nii dim)" = "4 2 1 1 2 1 1 1" ]
    printf "1 1 1\n5\n" >five.txt
    gives "5 10 50 100" a.nii b.nii -w five.txt
    vox conv a.nii b.nii -w five.txt -g 2 -o no.nii
    fails 5 "--groups 2 does not apply"
}

@test "batch normalisation: (x - mean) / sqrt(var + eps) * weight + bias" {
    line
    tensors bn.safetensors n.running_mean=1:1 n.running_var=1:3 n.weight=1:2 n.bias=1:10 n.eps=1:1
    gives "10 11 12 13 14" in.nii -w one.txt --batchnorm bn.safetensors:n
    gives "10 11 12 13 14" in.nii -w one.txt --batchnorm bn.safetensors
    tensors plain.safetensors running_mean=1:1 running_var=1:3
    gives "0 0.5 1 1.5 2" in.nii -w one.txt --batchnorm plain.safetensors --batchnorm-eps 1
    tensors wide.safetensors running_mean=2:1,1 running_var=2:3,3
    vox conv in.nii -w one.txt --batchnorm wide.safetensors -o no.nii
    fails 5 "wide.safetensors: running_mean of shape (2) has 2 values instead of 1"
    tensors half.safetensors running_mean=1:1
    vox conv in.nii -w one.txt --batchnorm half.safetensors -o no.nii
    fails 5 "running_var"
}

@test "activations" {
    volume in.nii 3,1,1 -1 0 2
    printf "1 1 1\n1\n" >one.txt
    gives "0 0 2" in.nii -w one.txt --activation relu
    gives "-0.01 0 2" in.nii -w one.txt --activation leaky_relu
    gives "-0.5 0 2" in.nii -w one.txt --activation leaky_relu:0.5
    volume quarter.nii 1,1,1 -0.25
    gives "-0.221199" quarter.nii -w one.txt --activation elu
    gives "-1.26424 0 2" in.nii -w one.txt --activation elu:2
    gives "0.268941 0.5 0.880797" in.nii -w one.txt --activation sigmoid
    gives "-0.761594 0 0.964028" in.nii -w one.txt --activation tanh
    tensors two.safetensors weight=2,1,1,1,1:1,0
    gives "0.268941 0.5 0.880797 0.731059 0.5 0.119203" in.nii -w two.safetensors --activation softmax
    # From here on torch.nn.functional's values.
    gives "-1.31326 -0.693147 -0.126928 -0.313262 -0.693147 -2.12693" in.nii -w two.safetensors \
        --activation log_softmax
    gives "0 0 2" in.nii -w one.txt --activation relu6
    gives "-1.11133 0 2.1014" in.nii -w one.txt --activation selu
    gives "-0.158655 0 1.9545" in.nii -w one.txt --activation gelu
    gives "-0.158808 0 1.9546" in.nii -w one.txt --activation gelu_tanh
    gives "0.333333 0.5 0.833333" in.nii -w one.txt --activation hardsigmoid
    gives "0.3 0.5 0.9" in.nii -w one.txt --activation hardsigmoid:0.2,0.5
    gives "-0.333333 0 1.66667" in.nii -w one.txt --activation hardswish
    gives "-0.268941 0 1.76159" in.nii -w one.txt --activation silu
    gives "0.313262 0.693147 2.12693" in.nii -w one.txt --activation softplus
    gives "0.063464 0.346574 2" in.nii -w one.txt --activation softplus:2,3
    gives "-0.303401 0 1.94396" in.nii -w one.txt --activation mish
    gives "-0.5 0 0.666667" in.nii -w one.txt --activation softsign
    gives "-0.5 0 1" in.nii -w one.txt --activation clip:-0.5,1
    gives "0.5 0.5 2" in.nii -w one.txt --activation clip:0.5
    gives "-0.842701 0 0.995322" in.nii -w one.txt --activation erf
    gives "0.367879 1 7.38906" in.nii -w one.txt --activation exp
    gives "1 0 2" in.nii -w one.txt --activation abs
    gives "1 -0 -2" in.nii -w one.txt --activation neg
    volume positive.nii 3,1,1 0.25 1 4
    gives "-1.38629 0 1.38629" positive.nii -w one.txt --activation log
    gives "0.5 1 2" positive.nii -w one.txt --activation sqrt
    gives "4 1 0.25" positive.nii -w one.txt --activation reciprocal
}

@test "pooling" {
    line
    gives "2 4" in.nii -w one.txt --max-pool 1,1,2
    gives "2 4 5" in.nii -w one.txt --max-pool 1,1,2:ceil_mode
    gives "2 3 4 5" in.nii -w one.txt --max-pool 1,1,2:stride=1
    gives "3 4 5" in.nii -w one.txt --max-pool 1,1,2:stride=1:dilation=1,1,2
    gives "1 3 5" in.nii -w one.txt --max-pool 1,1,2:padding=0,0,1
    gives "1.5 3.5" in.nii -w one.txt --avg-pool 1,1,2
    gives "0.5 2.5 4.5" in.nii -w one.txt --avg-pool 1,1,2:padding=0,0,1
    gives "1 2.5 4.5" in.nii -w one.txt --avg-pool 1,1,2:padding=0,0,1:count_include_pad=0
}

@test "the order is convolution, batch normalisation, activation, pooling" {
    line
    tensors bn.safetensors running_mean=1:-3 running_var=1:1
    # -x; + 3; relu; max of pairs: 2 1 0 -1 -2 becomes 2 1 0 0 0.
    gives "2 0" in.nii -w minus.txt --batchnorm bn.safetensors --batchnorm-eps 0 --activation relu \
        --max-pool 1,1,2
}

@test "seeded initial weights: same seed, same file; --no-bias" {
    volume in.nii 4,4,4
    vox conv in.nii --init torch -k 3 --seed 3 --out-channels 2 -o a.nii
    [ "$status" -eq 0 ]
    vox conv in.nii --init torch -k 3 --seed 3 --out-channels 2 -o b.nii
    vox conv in.nii --init torch -k 3 --seed 4 --out-channels 2 -o c.nii
    cmp a.nii b.nii
    run cmp -s a.nii c.nii
    [ "$status" -eq 1 ]
    # The same weights by way of a file.
    vox kernel --init torch --seed 3 --out-channels 2 -o w.safetensors
    [ "$status" -eq 0 ]
    vox conv in.nii -w w.safetensors -o d.nii
    cmp a.nii d.nii
    vox conv in.nii -w w.safetensors --no-bias -o e.nii
    vox conv in.nii --init torch -k 3 --seed 3 --out-channels 2 --no-bias -o f.nii
    cmp e.nii f.nii
    vox conv in.nii --init torch -k 3 -g 2 -o no.nii
    fails 2 "--groups 2: does not divide 1 input channels"
}

@test "datatypes: stored, clamped with one warning, silent with -q" {
    volume in.nii 4,1,1 0 0.5 1.5 3
    printf "1 1 1\n1\n" >one.txt
    gives "0 0 2 3" in.nii -w one.txt -t uint8
    [ "$(header out.nii datatype)" = 2 ]
    gives "0 0.5 1.5 3" in.nii -w one.txt -t float64
    [ "$(header out.nii datatype)" = 64 ]
    printf "1 1 1\n-1\n" >minus.txt
    vox conv in.nii -w minus.txt -t uint8 -o clamped.nii
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 1 ]
    [[ $output = "voxconv: warning: clamped.nii: "*"2 values clamped"* ]]
    gives "0 0 0 0" in.nii -w minus.txt -t uint8 -q
}

@test "NaN and infinity pass through, with one warning" {
    volume in.nii 4,1,1 1 nan inf 2
    printf "1 1 1\n1\n" >one.txt
    vox conv in.nii -w one.txt -o out.nii
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 1 ]
    [[ $output = *"1 NaN and 1 infinite"* ]]
    [ "$(voxels out.nii)" = "1 nan inf 2" ]
}

@test "an existing output stays unless --force" {
    volume in.nii 3,1,1
    echo mine >out.nii
    vox conv in.nii --kernel identity -o out.nii
    fails 6 "out.nii"
    [ "$(cat out.nii)" = mine ]
    gives "1 2 3" in.nii --kernel identity --force
}

@test "the result does not depend on threads, slab, instruction set or compression" {
    cp "$top/data/samples/mri.nii.gz" .
    "$VOXCONV" conv mri.nii.gz --init torch -k 3 -p same -o one.nii -j 1 --slab 1 --isa portable
    for isa in auto $("$VOXCONV" --version | sed -n 's/.*can run: \(.*\))/\1/p'); do
        "$VOXCONV" conv mri.nii.gz --init torch -k 3 -p same -o "$isa.nii" -j 3 --slab 7 --isa "$isa"
        cmp one.nii "$isa.nii"
    done
    "$VOXCONV" conv mri.nii.gz --init torch -k 3 -p same -o packed.nii.gz -z 9
    gunzip packed.nii.gz
    cmp one.nii packed.nii
}

@test "an instruction set that is not there is an error, by option and by environment" {
    volume in.nii 3,1,1
    vox conv in.nii --kernel identity -o out.nii --isa mmx
    [ "$status" -eq 2 ]
    [[ $output = *mmx* ]]
    VOXCONV_ISA=mmx vox conv in.nii --kernel identity -o out.nii
    [ "$status" -eq 2 ]
    [[ $output = *mmx* ]]
    [ ! -e out.nii ]
}

@test "--plan prints shapes and memory and reads no voxels" {
    volume in.nii 8,7,6
    vox conv in.nii --init torch -k 3 --out-channels 4 -o out.nii --plan
    [ "$status" -eq 0 ]
    [[ $output = *"(1,1,6,7,8)"* ]]
    [[ $output = *"(1,4,4,5,6)"* ]]
    [[ $output = *"total"* ]]
    [ ! -e out.nii ]
    # All the plan needs is the header.
    head -c 352 in.nii | "$VOXCONV" conv - --kernel box:3 -o out.nii --plan
    head -c 352 in.nii | "$VOXCONV" conv - --kernel box:3 -o out.nii --plan --json |
        python3 -c 'import json, sys
plan = json.load(sys.stdin)
assert plan["input_shape"] == [1, 1, 6, 7, 8] == plan["output_shape"], plan
assert plan["total_bytes"] == sum(part["bytes"] for part in plan["memory"])
assert 0 < plan["smallest_bytes"] <= plan["total_bytes"]'
}

# The texts have one digit behind the point. Rounded to the nearest, every other of them would be too little.
@test "the sizes that --plan and the refusal name are enough, as they are written" {
    volume in.nii 8,7,6
    for kernel in box:3 gaussian:1 gaussian:2 laplacian log:1; do
        vox conv in.nii --kernel "$kernel" -o out.nii --plan
        least=$(sed -nE 's/^smallest --max-memory +([0-9.]+) MiB$/\1/p' <<<"$output")
        vox conv in.nii --kernel "$kernel" -f -o out.nii -m "${least}M"
        [ "$status" -eq 0 ]
        vox conv in.nii --kernel "$kernel" -f -o out.nii -m 1M
        least=$(sed -nE 's/.*the least that works is ([0-9.]+) MiB.*/\1/p' <<<"$output")
        vox conv in.nii --kernel "$kernel" -f -o out.nii -m "${least}M"
        [ "$status" -eq 0 ]
    done
}

@test "--max-memory refuses what does not fit and says what would" {
    volume in.nii 3,3,3
    vox conv in.nii --kernel box:3 -o out.nii -m 1M
    fails 7 "1.0 MiB"
    [ ! -e out.nii ]
    gives "$("$VOXCONV" conv in.nii --kernel box:3 -o x.nii && voxels x.nii)" in.nii --kernel box:3 -m 1G
}

@test "--json reports a run" {
    volume in.nii 4,1,1 1 nan inf 2
    "$VOXCONV" conv in.nii --kernel identity -q --json -j 1 -o out.nii >report.json
    python3 -c 'import json
r = json.load(open("report.json"))
assert r["output"] == "out.nii" and r["input_voxels"] == r["output_voxels"] == 4, r
assert (r["input_nan"], r["input_inf"], r["output_nan"], r["output_inf"]) == (1, 1, 1, 1), r
assert r["clamped"] == 0 and r["threads"] == 1 and r["seconds"] >= 0 and r["planned_bytes"] > 0, r'
}

@test "-v says on stderr what was done; --progress always shows a line" {
    volume in.nii 4,4,4
    "$VOXCONV" conv in.nii --kernel box:3 -v -o out.nii >stdout 2>stderr
    [ ! -s stdout ]
    grep -q '^voxconv: out.nii: 64 voxels from 64 in ' stderr
    "$VOXCONV" conv in.nii --kernel box:3 --progress always -f -o out.nii 2>stderr
    grep -q 'filtering .*%' stderr
    "$VOXCONV" conv in.nii --kernel box:3 --progress always -q -f -o out.nii 2>stderr
    [ ! -s stderr ]
}
