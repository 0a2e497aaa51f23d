#!/usr/bin/env bats
# Outputs that cannot be written, and runs that the machine cannot hold. bad_helper.bash says what is checked.

bats_require_minimum_version 1.5.0

setup_file() {
    python3 "$BATS_TEST_DIRNAME/make_bad_scans.py" "$BATS_FILE_TMPDIR"
}

setup() {
    load bad_helper
    cd "$BATS_FILE_TMPDIR" || return 1
    out=$BATS_TEST_TMPDIR/out
    mkdir "$out"
}

teardown() {
    if [ -n "${mounted:-}" ]; then
        umount "$mounted"
    fi
}

# attempt, with the box filter over the good scan.
box() {
    local wanted=$1 pattern=$2
    shift 2
    attempt "$wanted" "$pattern" good.nii --kernel box:3 "$@"
}

@test "output folder missing" {
    box 6 ".*$out/none/out\.nii: .*" -o "$out/none/out.nii"
    [ -z "$(ls -A "$out")" ]
}

@test "output folder is a file" {
    echo "a file" >"$out/file"
    box 6 ".*$out/file/out\.nii: .*" -o "$out/file/out.nii"
    [ "$(cat "$out/file")" = "a file" ]
}

@test "output is a folder" {
    mkdir "$out/out.nii"
    box 6 ".*$out/out\.nii: .*" -f -o "$out/out.nii"
    [ -z "$(ls -A "$out/out.nii")" ]
    [ "$(ls -A "$out")" = out.nii ]
}

@test "output folder not writable" {
    local as=()
    if [ "$(id -u)" -eq 0 ]; then
        setpriv --reuid=65534 --clear-groups true 2>/dev/null || skip "root, and no setpriv to become another"
        as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    fi
    echo "an earlier result" >"$out/out.nii"
    cp good.nii "$out/"
    chmod 555 "$out"
    run --separate-stderr bash -c 'cd "$1" && shift && exec "$@"' - "$out" ${as[@]+"${as[@]}"} \
        "$VOXCONV" conv good.nii --kernel box:3 -f -o out.nii
    [ "$status" -eq 6 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ "$stderr" == "voxconv: out.nii: "*"ermission denied"* ]]
    [ "$(ls -A "$out" | wc -l)" -eq 2 ]
    [ "$(cat "$out/out.nii")" = "an earlier result" ]
}

@test "output exists and no --force" {
    echo "an earlier result" >"$out/out.nii"
    box 6 ".*$out/out\.nii: .*--force" -o "$out/out.nii"
    [ "$(cat "$out/out.nii")" = "an earlier result" ]
    [ "$(ls -A "$out")" = out.nii ]
}

@test "one half of an output pair exists and no --force" {
    echo "an earlier result" >"$out/out.img"
    box 6 ".*$out/out\.img: .*--force" -o "$out/out.hdr"
    [ "$(cat "$out/out.img")" = "an earlier result" ]
    [ "$(ls -A "$out")" = out.img ]
}

@test "a full disk: a device that takes nothing" {
    [ -c /dev/full ] || skip "no /dev/full"
    box 6 "/dev/full: .*[Nn]o space left" -f -o /dev/full
    [ -c /dev/full ]
}

@test "a full disk: standard output" {
    [ -c /dev/full ] || skip "no /dev/full"
    run --separate-stderr bash -c '"$1" conv good.nii --kernel box:3 -o - >/dev/full' - "$VOXCONV"
    [ "$status" -eq 6 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ "$stderr" == "voxconv: "*"o space left"* ]]
}

@test "a full disk: a small file system, and the earlier result stays" {
    mkdir "$BATS_TEST_TMPDIR/small"
    mount -t tmpfs -o size=64k tmpfs "$BATS_TEST_TMPDIR/small" 2>/dev/null || skip "cannot mount a tmpfs here"
    mounted=$BATS_TEST_TMPDIR/small
    echo "an earlier result" >"$mounted/out.nii"
    # 8*7*6 voxels in 64 channels of float32 are 86 kB.
    attempt 6 ".*out\.nii: .*[Nn]o space left" good.nii --init torch -k 3 -p 1 --out-channels 64 -f -o "$mounted/out.nii"
    [ "$(cat "$mounted/out.nii")" = "an earlier result" ]
    [ "$(ls -A "$mounted")" = out.nii ]
}

@test "a file size limit is an error of the output, not a signal" {
    echo "an earlier result" >"$out/out.nii"
    run --separate-stderr bash -c 'ulimit -f 16; exec "$1" conv good.nii --init torch -k 3 -p 1 --out-channels 64 -f -o "$2"' \
        - "$VOXCONV" "$out/out.nii"
    [ "$status" -eq 6 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ "$stderr" == "voxconv: $out/out.nii: "* ]]
    [ "$(cat "$out/out.nii")" = "an earlier result" ]
    [ "$(ls -A "$out")" = out.nii ]
}

@test "a pipe whose reader goes away ends quietly with 141" {
    # 8*7*6*4*64 bytes are more than a pipe holds.
    run --separate-stderr bash -c '"$1" conv good.nii --init torch -k 3 -p 1 --out-channels 640 -o - | head -c 100 >/dev/null
        exit "${PIPESTATUS[0]}"' - "$VOXCONV"
    [ "$status" -eq 141 ]
    [ -z "$stderr" ]
}

# A terminal of our own, with the command's stdout on it; stderr goes to a file.
@test "standard output is a terminal" {
    python3 -c 'import pty; pty.openpty()' 2>/dev/null || skip "this machine gives no pseudo-terminal"
    python3 - "$VOXCONV" "$BATS_TEST_TMPDIR/stderr" <<'PYTHON'
import os, pty, subprocess, sys
leader, follower = pty.openpty()
with open(sys.argv[2], "wb") as errors:
    done = subprocess.run([sys.argv[1], "conv", "good.nii", "--kernel", "box:3", "-o", "-"],
                          stdout=follower, stderr=errors)
os.close(follower)
os.set_blocking(leader, False)
try:
    shown = os.read(leader, 10)
except OSError:
    shown = b""
assert done.returncode == 6, done.returncode
assert shown == b"", shown
PYTHON
    [ "$(wc -l <"$BATS_TEST_TMPDIR/stderr")" -eq 1 ]
    grep -q '^voxconv: .*terminal' "$BATS_TEST_TMPDIR/stderr"
}

@test "a memory cap too small, and what would fit" {
    refuses 7 '.*max-memory.*' good.nii --kernel box:3 -m 1K
    refuses 7 '.*max-memory.*' good.nii --kernel box:3 -m 100K
}

@test "the cap that a refusal names is enough" {
    "$VOXCONV" conv good.nii --kernel box:3 -o "$out/unlimited.nii"
    local least
    least=$("$VOXCONV" conv good.nii --kernel box:3 --plan --json -o "$out/out.nii" | jq .smallest_bytes)
    [ "$least" -gt 0 ]
    refuses 7 '.*max-memory.*' good.nii --kernel box:3 -m $((least - 1))
    rm -r "$out"
    mkdir "$out"
    "$VOXCONV" conv good.nii --kernel box:3 -m "$least" -o "$out/out.nii"
}

@test "a header that promises 2^28 planes takes neither memory nor time" {
    # The address space that a sanitizer reserves for itself is beyond any limit that would show something here.
    local limits="-v 262144 -t 10"
    [ -z "${VOXCONV_SANITIZED:-}" ] || limits="-t 60"
    run bash -c "ulimit $limits"' && exec "$@"' - "$VOXCONV" conv gz_deep.nii.gz --kernel box:3 -j 1 \
        -m 64M -o "$out/out.nii"
    [ "$status" -eq 3 ]
    [[ "$output" == "voxconv: gz_deep.nii.gz: the data end after 672 bytes"* ]]
}
@test "more patches than a plane can have" {
    refuses 7 '.*patches' gz_wide.nii.gz --kernel box:3 -m 64M
    refuses 7 '.*131072 x 131072 patches of 16 x 16' gz_wide.nii.gz --kernel box:3 --patch-size 16
}
@test "a memory cap that is no number" { refuses 2 '.*max-memory.*much' good.nii --kernel box:3 -m much; }
@test "threads zero" { refuses 2 '.*threads.*0' good.nii --kernel box:3 -j 0; }
@test "threads negative" { refuses 2 '.*threads.*-1' good.nii --kernel box:3 -j -1; }
@test "slab zero" { refuses 2 '.*slab.*0' good.nii --kernel box:3 --slab 0; }
@test "unknown instruction set" { refuses 2 '.*isa.*mmx|.*mmx.*' good.nii --kernel box:3 --isa mmx; }
@test "compression ten" { refuses 2 '.*compression.*10' good.nii --kernel box:3 -z 10; }
@test "unknown datatype" { refuses 2 '.*datatype.*int7' good.nii --kernel box:3 -t int7; }
@test "no output" { attempt 2 '.*--output' good.nii --kernel box:3; }
@test "no input" { attempt 2 '.*' --kernel box:3 -o "$out/out.nii"; }

@test "a signal leaves no temporary file and the earlier result" {
    echo "an earlier result" >"$out/out.nii"
    mkfifo "$BATS_TEST_TMPDIR/slow"
    # The writer holds the fifo open after the header, so the run waits for voxels when the signal comes.
    { head -c 400 good.nii; sleep 20; } >"$BATS_TEST_TMPDIR/slow" &
    local writer=$!
    "$VOXCONV" conv "$BATS_TEST_TMPDIR/slow" --kernel box:3 -f -o "$out/out.nii" 2>"$BATS_TEST_TMPDIR/stderr" &
    local command=$!
    # Wait until its temporary file is there.
    for _ in $(seq 200); do
        [ "$(ls -A "$out" | wc -l)" -gt 1 ] && break
        sleep 0.05
    done
    kill -TERM "$command"
    local got=0
    wait "$command" || got=$?
    kill "$writer" 2>/dev/null || true
    [ "$got" -eq 143 ]
    [ "$(ls -A "$out")" = out.nii ]
    [ "$(cat "$out/out.nii")" = "an earlier result" ]
}

@test "no memory for threads: OpenMP ends the process, and no temporary file stays" {
    # 400 MB of address space hold a few dozen stacks; a sanitizer does not even start in it.
    [ -z "${VOXCONV_SANITIZED:-}" ] || skip "too little address space for an instrumented build"
    run bash -c 'ulimit -v 400000; exec "$1" conv good.nii --kernel box:3 -j 4000 -m 2G -o "$2"' \
        - "$VOXCONV" "$out/out.nii"
    echo "$status: $output"
    [ "$status" -ne 0 ]
    [ -z "$(ls -A "$out")" ]
}
