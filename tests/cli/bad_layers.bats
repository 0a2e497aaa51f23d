#!/usr/bin/env bats
# Layers that do not fit each other or the volume (8 x 7 x 6 voxels: W, H, D), and numbers that make no sense.
# bad_helper.bash says what is checked.

setup_file() {
    python3 "$BATS_TEST_DIRNAME/make_bad_scans.py" "$BATS_FILE_TMPDIR"
    python3 "$BATS_TEST_DIRNAME/make_bad_weights.py" "$BATS_FILE_TMPDIR"
}

setup() {
    load bad_helper
    cd "$BATS_FILE_TMPDIR" || return 1
}

# A Conv3d over the good scan with options that do not fit: usage.
bad_layer() {
    local pattern=$1
    shift
    refuses 2 "$pattern" good.nii -w good.npy "$@"
}

@test "kernel larger than the volume" { bad_layer '.*kernel_size=3.*4.*D.*9.*6' --dilation 4,1,1; }
@test "kernel larger than the padded volume" {
    refuses 2 '.*kernel_size=9.*D.*9.*8' good.nii -w large.npy -p 1,0,0
}
@test "stride zero" { bad_layer '.*stride.*0' -s 0; }
@test "stride negative" { bad_layer '.*stride.*-1' -s -1; }
@test "stride of two numbers" { bad_layer '.*stride.*1,2' -s 1,2; }
@test "stride beyond 64 bits" { bad_layer '.*stride.*99999999999999999999' -s 99999999999999999999; }
@test "dilation zero" { bad_layer '.*dilation.*0' --dilation 1,0,1; }
@test "dilation so large that its reach overflows" { bad_layer '.*dilation' --dilation 4611686018427387904; }
@test "padding negative" { bad_layer '.*padding.*-1' -p -1; }
@test "padding a word that is none" { bad_layer '.*padding.*some' -p some; }
@test "padding same with a stride" { bad_layer '.*(same.*stride|stride.*same)' -p same -s 2; }
@test "groups zero" { bad_layer '.*groups.*0' -g 0; }
@test "groups that do not divide, with --init" {
    refuses 2 '.*groups.*2.*1' good.nii --init torch -k 3 -g 2
}
@test "kernel_size zero" { refuses 2 '.*kernel-size.*0' good.nii --init torch -k 0; }
@test "out_channels zero" { refuses 2 '.*out-channels.*0' good.nii --init torch -k 3 --out-channels 0; }
@test "out_channels beyond memory" {
    refuses 2 '.*9223372036854775807' good.nii --init torch -k 3 --out-channels 9223372036854775807
}

# torch: padding has to be less than the input for reflect, no more than it for circular.
@test "reflect padding as large as the volume" {
    bad_layer '.*padding=?.*6.*D.*6' -p 6,0,0 --padding-mode reflect
}
@test "reflect padding one smaller is taken" {
    "$VOXCONV" conv good.nii -w good.npy -p 5,6,7 --padding-mode reflect -o "$BATS_TEST_TMPDIR/out.nii"
}
@test "circular padding larger than the volume" {
    bad_layer '.*padding=?.*7.*D.*6' -p 7,0,0 --padding-mode circular
}
@test "circular padding as large as the volume is taken" {
    "$VOXCONV" conv good.nii -w good.npy -p 6,7,8 --padding-mode circular -o "$BATS_TEST_TMPDIR/out.nii"
}
@test "unknown padding mode" { bad_layer '.*padding-mode.*mirror' --padding-mode mirror; }
@test "padding whose extent overflows" { bad_layer '.*padding' -p 9223372036854775807; }

@test "pool larger than the volume" { bad_layer '.*kernel_size=7.*D' -p 1 --max-pool 7; }
@test "pool padding more than half its kernel" { bad_layer '.*padding=2' -p 1 --max-pool 2:padding=2; }
@test "pool stride zero" { bad_layer '.*max-pool.*0' --max-pool 2:stride=0; }
@test "average pooling with a dilation" { bad_layer '.*avg-pool.*dilation' --avg-pool 2:dilation=2; }
@test "unknown activation" { bad_layer '.*activation.*swoosh' --activation swoosh; }
@test "softplus that divides by zero" { bad_layer '.*beta=0' --activation softplus:0; }

@test "t axis of neither reading: names both numbers" {
    refuses 5 'two_in\.npy: .*2 .*frames\.nii' frames.nii -w two_in.npy
}
@test "--time channels with another number of frames" {
    refuses 5 'good\.npy: .*1 .*frames\.nii.* 3' frames.nii -w good.npy --time channels
}
@test "unknown named kernel" { refuses 2 ".*(kernel).*gauss:2" good.nii --kernel gauss:2; }
@test "named kernel of size zero" { refuses 2 '.*box:0' good.nii --kernel box:0; }
@test "named kernel of a huge size" { refuses 2 '.*gaussian:1e9' good.nii --kernel gaussian:1e9; }
@test "named kernel with a huge last size" { refuses 2 '.*box:3,3,20001' good.nii --kernel box:3,3,20001; }
@test "no weights at all" { refuses 2 '.*--kernel' good.nii; }
@test "weights twice" { bad_layer '.*--kernel' --kernel box:3; }
