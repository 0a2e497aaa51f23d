#!/usr/bin/env bats
# Every command line of the README and of the manual pages' EXAMPLES runs as it stands, in order, where
# data/ is what it is in the project.

# shellcheck disable=SC2154 # $top, $status, $output and $lines come from common.bash and bats
load common

run_document() {
    mkdir -p data bin
    cp -r "$top/data/samples" "$top/data/networks" data/
    ln -s "$VOXCONV" bin/voxconv
    awk -f "$top/tests/cli/commands.awk" "$top/$1" >commands.sh
    grep -q '^voxconv ' commands.sh
    PATH="$PWD/bin:$PATH" run bash -e -u -o pipefail -x commands.sh
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "README" {
    run_document README.md
}

@test "voxconv(1)" {
    run_document man/voxconv.1
}

@test "voxconv-augment(1)" {
    run_document man/voxconv-augment.1
}

@test "voxconv-conv(1)" {
    run_document man/voxconv-conv.1
}

@test "voxconv-info(1)" {
    run_document man/voxconv-info.1
}

@test "voxconv-kernel(1)" {
    run_document man/voxconv-kernel.1
}

@test "voxconv-run(1)" {
    run_document man/voxconv-run.1
}

@test "voxconv-network(5)" {
    run_document man/voxconv-network.5
}
