#!/usr/bin/env bash
# run.sh BUILD long|short - the scenarios and a selection of the command tests under ThreadSanitizer, after programs
# with known races have shown that it sees them. Ends with one line, "tsan: N scenarios, N reports, N s". Exit status 0
# where nothing was reported and nothing failed.
set -uo pipefail

build=$1
form=$2
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top" || exit 1
results=$top/$build/tsan-results
scratch=
limit=900 # seconds after which something hangs
[ "$form" = short ] && limit=240
failed=0
scenarios=0

fail() {
    echo "tsan: $*"
    failed=$((failed + 1))
}

finish() {
    [ -z "$scratch" ] || rm -rf "$scratch"
}
trap finish EXIT

rm -rf "$results"
mkdir -p "$results"
scratch=$(mktemp -d)

# Archer tells ThreadSanitizer what libomp orders; libomp itself is not instrumented, and its own locks are not ours
# to judge. Without it the canary "clean" is reported. No other suppressions.
libomp=$(ldd "$build/tsan_canary" | sed -n 's/.*libomp\.so[^ ]* => \([^ ]*\) .*/\1/p')
OMP_TOOL_LIBRARIES=$(dirname "$(readlink -f "$libomp")")/libarcher.so
if [ ! -e "$OMP_TOOL_LIBRARIES" ]; then
    echo "tsan: there is no $OMP_TOOL_LIBRARIES (Debian: libomp-dev)"
    exit 1
fi
export OMP_TOOL_LIBRARIES
options="ignore_noninstrumented_modules=1:exitcode=66"
# Idle threads sleep: there are more of them than cores.
export OMP_WAIT_POLICY=passive
unset VOXCONV_ISA VOXCONV_GZIP OMP_NUM_THREADS FSLOUTPUTTYPE ARCHER_OPTIONS

# ---- What is known to race is reported, what is known not to race is not ----

# A run time of LLVM 14 does not start where the kernel spreads addresses further than it knows.
if TSAN_OPTIONS=$options "$build/tsan_canary" clean 2>&1 | grep -q 'unexpected memory mapping'; then
    [ -z "${TSAN_NO_SPREAD:-}" ] || exit 1
    export TSAN_NO_SPREAD=1
    exec setarch "$(uname -m)" -R bash "$0" "$@"
fi

canaries=0
# canary WANTED-STATUS ARGUMENTS...: its reports stay out of the count.
canary() {
    local want=$1
    shift
    TSAN_OPTIONS=$options timeout 60 "$build/tsan_canary" "$@" >"$results/canary.log" 2>&1
    local status=$?
    canaries=$((canaries + 1))
    if [ "$status" -ne "$want" ]; then
        cat "$results/canary.log"
        fail "canary $*: status $status instead of $want (66: a race was reported)"
    fi
}

canary 66 openmp
canary 66 pthread
canary 0 clean
for isa in $("$build/voxconv" --version | sed -n 's/.*can run: \(.*\))/\1/p'); do
    export VOXCONV_ISA=$isa
    canary 66 vectors
    canary 66 part
    canary 0 clean
done
unset VOXCONV_ISA
[ "$canaries" -ge 6 ] || fail "no instruction set was tried"
if [ "$failed" -gt 0 ]; then
    echo "tsan: what it reports here means nothing; the scenarios were not run"
    exit 1
fi
echo "  canaries     $canaries as they should be"

# ---- The scenarios ----

# Reports go to files, each process its own.
export TSAN_OPTIONS="$options:log_path=$results/report"
timeout "$limit" "$build/tsan_scenarios" "$scratch" "$form" | tee "$results/scenarios.log" | grep -vE '^[0-9]+ scenarios'
status=${PIPESTATUS[0]}
[ "$status" -eq 124 ] && fail "the scenarios did not end within $limit s: a deadlock, or a wake-up that was lost"
[ "$status" -eq 0 ] || [ "$status" -eq 66 ] || fail "the scenarios ended with status $status"
scenarios=$(sed -n 's/^\([0-9]*\) scenarios, .*/\1/p' "$results/scenarios.log")
mismatches=$(grep -c '^failed: ' "$results/scenarios.log")
failed=$((failed + mismatches))

# ---- The command ----

export VOXCONV="$top/$build/voxconv" VOXCONV_BUILD="$top/$build" VOXCONV_SANITIZED=1
tests=(tests/cli/{determinism,pipes,conv,run,prepare,labels,tensors,augment}.bats)
only=.
[ "$form" = short ] && only='8 threads|on the threads|stdin|in a row|goes away|removes' && tests=("${tests[@]:0:2}")
start=$SECONDS
timeout "$limit" bats --tap -f "$only" "${tests[@]}" </dev/null >"$results/cli.tap" 2>&1 || fail "the command's tests failed"
grep -A12 '^not ok ' "$results/cli.tap"
commands=$(grep -c '^ok ' "$results/cli.tap")
[ "$commands" -gt 0 ] || fail "no test of the command was run"
printf '  %-12s %4d tests      %5d   s\n' command "$commands" $((SECONDS - start))

# ---- The sum ----

reports=0
for log in "$results"/report.*; do
    [ -e "$log" ] || continue
    n=$(grep -c '^WARNING: ThreadSanitizer' "$log")
    reports=$((reports + (n > 0 ? n : 1))) # a run time that stops has reported, too
    echo "---- $log"
    head -60 "$log"
done
echo "tsan: $((${scenarios:-0} + commands)) scenarios, $reports reports, $failed failed, $SECONDS s"
[ $((reports + failed)) -eq 0 ] && [ -n "$scenarios" ]
