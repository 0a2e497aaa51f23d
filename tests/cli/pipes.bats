#!/usr/bin/env bats
# Standard input and output, readers that go away, signals.

# shellcheck disable=SC2154 # $top, $status, $output and $lines come from common.bash and bats
load common

@test "stdin and stdout, plain and gzip, give the bytes of files" {
    cp "$top/data/samples/ct.nii.gz" .
    gunzip -k ct.nii.gz
    "$VOXCONV" conv ct.nii --kernel gaussian:2mm -o file.nii
    "$VOXCONV" conv - --kernel gaussian:2mm -o - <ct.nii >redirected.nii
    # shellcheck disable=SC2002 # a pipe is the point
    cat ct.nii | "$VOXCONV" conv - --kernel gaussian:2mm -o - | cat >piped.nii
    # shellcheck disable=SC2002
    cat ct.nii.gz | "$VOXCONV" conv - --kernel gaussian:2mm -o - | cat >gzipped.nii
    cmp file.nii redirected.nii
    cmp file.nii piped.nii
    cmp file.nii gzipped.nii
}

@test "two voxconv in a row" {
    cp "$top/data/samples/mri.nii.gz" .
    "$VOXCONV" conv mri.nii.gz --kernel gaussian:1 -o a.nii
    "$VOXCONV" conv a.nii --kernel sobel:x -o b.nii
    "$VOXCONV" conv mri.nii.gz --kernel gaussian:1 -o - | "$VOXCONV" conv - --kernel sobel:x -o c.nii
    cmp b.nii c.nii
}

@test "a reader that goes away ends the run quietly with 141" {
    cp "$top/data/samples/mri.nii.gz" .
    set +e
    "$VOXCONV" conv mri.nii.gz --kernel box:3 -o - 2>stderr | head -c 1 >/dev/null
    statuses=("${PIPESTATUS[@]}")
    set -e
    [ "${statuses[0]}" -eq 141 ]
    [ ! -s stderr ]
}

@test "text on a full device is an output error" {
    [ -w /dev/full ] || skip "no /dev/full"
    run bash -c '"$1" --help >/dev/full' _ "$VOXCONV"
    fails 6 "No space left"
}

# signalled NAME: starts a run that waits for the rest of its input, and sends it the signal once its temporary
# file is there. Sets `code`.
signalled() {
    mkfifo in.fifo
    mkdir out
    volume in.nii 16,16,16
    # Opened for both ways, the fifo neither blocks here nor ends there.
    exec 4<>in.fifo
    # Under nohup a signal that ends other runs is ignored, as it should be; not here.
    env --default-signal=HUP,INT,TERM "$VOXCONV" conv - --kernel box:3 -o out/out.nii <in.fifo 2>stderr 3>&- 4>&- &
    local pid=$! tries=0
    head -c 8000 in.nii >&4
    while [ -z "$(ls -A out)" ] && [ $((tries += 1)) -lt 1000 ]; do
        sleep 0.01
    done
    [ -n "$(ls -A out)" ]
    kill -s "$1" "$pid"
    set +e
    wait "$pid"
    code=$?
    set -e
    exec 4>&-
}

@test "TERM removes the temporary file and ends with 143" {
    signalled TERM
    [ "$code" -eq 143 ]
    [ -z "$(ls -A out)" ]
}

@test "HUP removes the temporary file and ends with 129" {
    signalled HUP
    [ "$code" -eq 129 ]
    [ -z "$(ls -A out)" ]
}

# As GNU tools do (stdopen of gnulib): a descriptor that the caller closed is never taken for the output.
@test "closed standard descriptors are errors of their use, and nothing else" {
    export VOXCONV
    run bash -c '"$VOXCONV" conv "$0" --kernel identity -o - >&-' "$top/data/samples/mri.nii.gz"
    [ "$status" -eq 6 ]
    run bash -c '"$VOXCONV" info - <&-'
    [ "$status" -eq 3 ]
    "$VOXCONV" conv "$top/data/samples/mri.nii.gz" --kernel identity -o closed.nii <&- >&- 2>&-
    "$VOXCONV" conv "$top/data/samples/mri.nii.gz" --kernel identity -o open.nii
    cmp closed.nii open.nii
}

@test "/dev/stdout is stdout, where a file is behind it as well" {
    [ -e /dev/stdout ] || skip "no /dev/stdout"
    volume in.nii 5,4,3
    "$VOXCONV" conv in.nii --kernel box:3 -o - >dash.nii
    "$VOXCONV" conv in.nii --kernel box:3 -o /dev/stdout >file.nii
    "$VOXCONV" conv in.nii --kernel box:3 -o /dev/stdout | cat >pipe.nii
    [ -s dash.nii ]
    cmp dash.nii file.nii
    cmp dash.nii pipe.nii
    # The shell has opened the file to append: what was there stays in front.
    cp dash.nii twice.nii
    "$VOXCONV" conv in.nii --kernel box:3 -o /dev/stdout >>twice.nii
    cat dash.nii dash.nii | cmp - twice.nii
}
