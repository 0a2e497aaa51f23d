# bad_helper.bash - what "refused" means, for the bad_*.bats files.
#
# `refuses STATUS PATTERN ARGUMENT...` runs `voxconv conv ARGUMENT...` twice, with a fresh output name and with
# --force over an existing file, and checks each time: the exit status; one line on stderr, which begins with
# "voxconv: " and matches the extended regular expression PATTERN; nothing on stdout; no file that was not there
# before; and the existing file byte for byte. A hang counts as a failure. ${verb} names another command than conv.

: "${VOXCONV:=$BATS_TEST_DIRNAME/../../build/voxconv}"
[[ $VOXCONV = /* ]] || VOXCONV=$PWD/$VOXCONV

# Runs the command; $1 and $2 are what is expected. Tests count on the files good.nii and good.npy.
attempt() {
    local wanted=$1 pattern=$2 got=0
    shift 2
    timeout 60 "$VOXCONV" "${verb:-conv}" "$@" >"$BATS_TEST_TMPDIR/stdout" 2>"$BATS_TEST_TMPDIR/stderr" || got=$?
    echo "voxconv ${verb:-conv} $*"
    echo "status $got, should be $wanted; stderr:"
    cat "$BATS_TEST_TMPDIR/stderr"
    [ "$got" -eq "$wanted" ]
    [ ! -s "$BATS_TEST_TMPDIR/stdout" ]
    [ "$(wc -l <"$BATS_TEST_TMPDIR/stderr")" -eq 1 ]
    echo "should match: $pattern"
    grep -qE "^voxconv: $pattern" "$BATS_TEST_TMPDIR/stderr"
}

refuses() {
    local wanted=$1 pattern=$2
    shift 2
    local folder=$BATS_TEST_TMPDIR/out
    rm -rf "$folder"
    mkdir "$folder"

    attempt "$wanted" "$pattern" "$@" -o "$folder/out.nii.gz"
    [ -z "$(ls -A "$folder")" ]

    echo "an earlier result" >"$folder/out.nii.gz"
    attempt "$wanted" "$pattern" "$@" --force -o "$folder/out.nii.gz"
    [ "$(ls -A "$folder")" = out.nii.gz ]
    [ "$(cat "$folder/out.nii.gz")" = "an earlier result" ]
}

# A scan that is wrong, through a kernel that is right.
bad_scan() {
    local wanted=$1 file=$2 pattern=$3
    refuses "$wanted" "$file: $pattern" "$file" --kernel box:3
}

# Weights that are wrong, over a scan that is right.
bad_weights() {
    local file=$1 pattern=$2
    shift 2
    refuses 5 "$file.*: $pattern" good.nii -w "$file" "$@"
}
