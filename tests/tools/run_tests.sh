#!/usr/bin/env bash
# run_tests.sh BUILD - runs the unit tests, the command tests and the kept inputs of the fuzz targets, and ends with one
# line "N passed, N failed, N skipped". Exit status 0 where nothing failed. CLI_TESTS names some files of tests/cli
# instead of all, UNIT_TESTS some unit tests (a pattern of Criterion's: 'stream/*').
set -uo pipefail

build=$1
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top" || exit 1
results=$build/test-results
rm -rf "$results"
mkdir -p "$results"

export VOXCONV_BUILD="$top/$build"
export VOXCONV="$VOXCONV_BUILD/voxconv"
# Options of the caller's shell must not change what is tested.
unset VOXCONV_ISA OMP_NUM_THREADS FSLOUTPUTTYPE

# In an instrumented build every finding of every process goes to a file of its own.
if grep -q __asan_init "$VOXCONV"; then
    export VOXCONV_SANITIZED=1
    export ASAN_OPTIONS="detect_leaks=1:log_path=$top/$results/sanitizer:allocator_may_return_null=1"
    export LSAN_OPTIONS="print_suppressions=0"
    export UBSAN_OPTIONS="print_stacktrace=1:log_path=$top/$results/sanitizer"
fi

echo "unit tests ($build/unit)"
"$build/unit" --filter "${UNIT_TESTS:-*/*}" --tap="$results/unit.tap" </dev/null
unit_status=$?
# Criterion lists what the pattern leaves out as skipped.
[ -z "${UNIT_TESTS:-}" ] || sed -i '/# SKIP test was skipped$/d' "$results/unit.tap"

echo "command tests (tests/cli)"
read -ra cli_tests <<<"${CLI_TESTS:-tests/cli}"
bats --tap --jobs "$(nproc)" --no-parallelize-within-files "${cli_tests[@]}" </dev/null |
    tee "$results/cli.tap" | grep -vE '^(ok |1\.\.)' 
bats_status=${PIPESTATUS[0]}

echo "kept inputs of the fuzz targets (tests/fuzz/corpus)"
replay_status=0
for corpus in tests/fuzz/corpus/*/; do
    target=$(basename "$corpus")
    "$build/replay" "$target" "$corpus" </dev/null >"$results/replay-$target.tap" || replay_status=1
    grep -vE '^(ok |1\.\.)' "$results/replay-$target.tap"
done

count() {
    cat "$results"/*.tap | grep -cE "$1"
}
skipped=$(count '^ok .*# (skip|SKIP)')
passed=$(($(count '^ok ') - skipped))
failed=$(count '^not ok ')

# A runner that ends badly without a failing test has crashed: that is a failure too.
if [ "$failed" -eq 0 ] && [ $((unit_status + bats_status + replay_status)) -ne 0 ]; then
    echo "a test runner ended with status $unit_status (units), $bats_status (command), $replay_status (replay)"
    failed=1
fi

for log in "$results"/sanitizer.*; do
    [ -e "$log" ] || continue
    echo "---- $log"
    head -40 "$log"
    failed=$((failed + 1))
done

grep -hE '^ok .*# (skip|SKIP)' "$results"/*.tap | sed 's/^ok [-0-9]* /skipped: /'
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
