#!/usr/bin/env bats
# Every command line of the README and of the manual pages' EXAMPLES runs as it stands, in order, where
# data/ is what it is in the project. Those with brainchop's model run where VOXCONV_MODELS has it and VOXCONV_SCAN is a
# T1 scan.

# shellcheck disable=SC2154 # $top, $status, $output and $lines come from common.bash and bats
load common

# run_document FILE [WORD]: its blocks, or those that have the word.
run_document() {
    mkdir -p data bin
    cp -r "$top/data/samples" "$top/data/networks" data/
    ln -s "$VOXCONV" bin/voxconv
    awk -v of="${2:-}" -f "$top/tests/cli/commands.awk" "$top/$1" >commands.sh
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

# Both documents show the same commands, and the README the table that they print: of the scan that the picture shows.
@test "the segmentation with brainchop's model" {
    local beside
    beside=$(dirname "$top")/shared
    local models=${VOXCONV_MODELS:-$beside/models} scan=${VOXCONV_SCAN:-$beside/data/mri_t1_256.nii.gz}
    [ -f "$models/model11_gw_ae/model.json" ] && [ -f "$scan" ] || skip "no model, or no scan"
    [ -z "${VOXCONV_SANITIZED:-}" ] || skip "takes minutes with a sanitizer"
    ln -s "$models/model11_gw_ae" .
    ln -s "$scan" t1.nii.gz
    run_document README.md brainchop
    echo "$output" >printed.txt
    grep '^    label  name' -A3 "$top/README.md" | sed 's/^    //' >table.txt
    [ "$(wc -l <table.txt)" -eq 4 ]
    grep -v '^+' printed.txt | diff - table.txt
    awk -v of=brainchop -f "$top/tests/cli/commands.awk" "$top/man/voxconv-run.1" >manual.sh
    diff <(sed 1d commands.sh) <(sed 1d manual.sh)
}
