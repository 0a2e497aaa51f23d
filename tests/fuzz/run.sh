#!/usr/bin/env bash
# run.sh BUILD SECONDS - fuzzes every target of BUILD/fuzz/ for so long, two at a time, and ends with one line. What
# crashes, leaks, hangs or takes more memory than it may is left in BUILD/findings/; the exit status is then 1.
#
# FUZZ_ONLY="NAME..." in the environment chooses among the targets. BUILD/corpus/ keeps what reached new code, and the next run starts from there.
set -euo pipefail

build=$1
seconds=$2
cd "$(dirname "$0")/../.."
findings=$build/findings
logs=$build/logs
mkdir -p "$findings" "$logs"
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
unset VOXCONV_ISA VOXCONV_GZIP FSLOUTPUTTYPE
export ASAN_OPTIONS=quarantine_size_mb=16:allocator_may_return_null=1
# A waiting thread of OpenMP takes time from the other target.
export OMP_NUM_THREADS=1

bash tests/fuzz/make_seeds.sh "$build"

# Limits: 20 s (many times what the slowest takes alone) and 1 GB a run, and 128 MB in one piece: twice the cap that
# fuzz_nifti.c sets. A kernel in a compressed volume may have 2^28 values (MOST_VALUES in src/volume/tensor.c), so that one gets more.
fuzz() {
    local name=$1 limit=128 total=1024 dict=()
    [ "$name" != nifti_weights ] || limit=1100 total=2600
    [ ! -e "$build/seeds/$name.dict" ] || dict=(-dict="$build/seeds/$name.dict")
    mkdir -p "$build/corpus/$name" "$findings/$name"
    "$build/fuzz/$name" "$build/corpus/$name" "tests/fuzz/corpus/$name" "$build/seeds/$name" "${dict[@]}" \
        -max_total_time="$seconds" -max_len=4096 -timeout=20 -rss_limit_mb="$total" -malloc_limit_mb="$limit" \
        -print_final_stats=1 -artifact_prefix="$findings/$name/" >"$logs/$name" 2>&1
}

report() {
    local name=$1 status=$2 executions per_second
    executions=$(awk '/number_of_executed_units/ { print $2 }' "$logs/$name")
    per_second=$(awk '/average_exec_per_sec/ { print $2 }' "$logs/$name")
    printf '%-16s %9d executions, %6d a second%s\n' "$name" "${executions:-0}" "${per_second:-0}" \
        "$([ "$status" = 0 ] || echo ", FOUND SOMETHING")"
    [ "$status" = 0 ] || grep -m3 -E 'ERROR|SUMMARY|does not hold|runtime error' "$logs/$name" || tail -5 "$logs/$name"
}

read -ra targets <<<"${FUZZ_ONLY:-$(cd "$build/fuzz" && echo *)}"
for name in "${targets[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do
        wait -n || true
    done
    {
        fuzz "$name" && status=0 || status=$?
        echo "$status" >"$logs/$name.status"
        report "$name" "$status"
    } &
done
wait

bad=
for name in "${targets[@]}"; do
    [ "$(cat "$logs/$name.status")" = 0 ] || bad="$bad $name"
done
executions=$(cd "$logs" && awk '/number_of_executed_units/ { n += $2 } END { print n + 0 }' "${targets[@]}")
if [ -n "$bad" ]; then
    echo "fuzz: ${#targets[@]} targets, $executions executions; found something:$bad (see $findings/ and $logs/)"
    exit 1
fi
echo "fuzz: ${#targets[@]} targets, $executions executions, nothing found"
