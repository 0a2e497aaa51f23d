# shellcheck disable=SC2154 # $status, $output and $lines are set by bats
# common.bash - what the command tests share. `load common` in a .bats file; each test gets a scratch folder
# of its own, and is in it.

top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
VOXCONV=${VOXCONV:-$top/build/voxconv}
[[ $VOXCONV = /* ]] || VOXCONV=$top/$VOXCONV

setup() {
    # The folder of the test itself, so that parallel runs do not meet.
    scratch=$(mktemp -d "$BATS_TMPDIR/voxconv.XXXXXX")
    cd "$scratch" || return 1
}

teardown() {
    cd / && rm -rf "$scratch"
}

# volume FILE SIZES [VALUES...]: a float32 NIfTI-1 file; see small.py.
volume() {
    python3 "$top/tests/cli/small.py" volume "$@"
}

# array FILE SHAPE [VALUES...]: a .npy file of float32.
array() {
    python3 "$top/tests/cli/small.py" array "$@"
}

# tensors FILE NAME=SIZES:VALUES...: a .safetensors file.
tensors() {
    python3 "$top/tests/cli/small.py" tensors "$@"
}

# voxels FILE: the values as one line.
voxels() {
    python3 "$top/tests/cli/small.py" voxels "$@"
}

# header FILE FIELD: dim, pixdim, datatype, ... as one line; of a .npy file shape or descr.
header() {
    python3 "$top/tests/cli/small.py" header "$@"
}

# Runs voxconv; bats' $status and $output (stdout and stderr together).
vox() {
    run "$VOXCONV" "$@"
}

# fails STATUS TEXT: the run before ended with that status and one line that holds TEXT.
fails() {
    echo "status $status, output: $output"
    [ "$status" -eq "$1" ]
    [ "${#lines[@]}" -eq 1 ]
    [[ $output = "voxconv: "* ]]
    [[ $output = *"$2"* ]]
}

# gives EXPECTED ARGUMENTS...: `voxconv conv ARGUMENTS -o out.nii` is silent and writes those voxels.
gives() {
    local expected=$1
    shift
    vox conv "$@" -f -o out.nii
    echo "status $status, output: $output"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    local found
    found=$(voxels out.nii)
    echo "expected $expected"
    echo "found    $found"
    [ "$found" = "$expected" ]
}
