#!/usr/bin/env bash
# bigmem.sh BUILD - volumes that are large, and their peaks of resident memory:
# a 4 GB raw float volume through a 3x3x3 filter, file to file, and the same volume as gzip on standard input to gzip
# on standard output, under 200 MB, with equal voxels; planes of 20000 x 20000 under --max-memory 512M; and more than
# 2^31 voxels and 2^32 bytes in one gzip stream, whose length field wraps. Needs 13 GB of disk in TMPDIR (else /tmp);
# SKIP where they are not there.
set -euo pipefail

voxconv=$(cd "$1" && pwd)/voxconv
limit_kb=$((200 * 1000 * 1000 / 1024))
needed_kb=$((13 * 1024 * 1024))

free_kb=$(df -Pk "${TMPDIR:-/tmp}" | awk 'NR == 2 { print $4 }')
if [ "$free_kb" -lt "$needed_kb" ]; then
    echo "SKIP: bigmem needs $needed_kb kB in ${TMPDIR:-/tmp}, which has $free_kb"
    exit 0
fi
scratch=$(mktemp -d "${TMPDIR:-/tmp}/voxconv-bigmem.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# 1024 x 1024 x 1024 float32: 4 GiB of voxels. A plane is a ramp with another start in every plane, so that a
# plane out of place is noticed.
python3 - "$scratch/big.nii" <<'PYTHON'
import array, struct, sys
n = 1024
header = bytearray(352)
struct.pack_into("<i", header, 0, 348)
struct.pack_into("<8h", header, 40, 3, n, n, n, 1, 1, 1, 1)
struct.pack_into("<2h", header, 70, 16, 32)
struct.pack_into("<8f", header, 76, *[1.0] * 8)
struct.pack_into("<f", header, 108, 352.0)
header[344:347] = b"n+1"
ramp = array.array("f", (float(i % 4093) for i in range(n * n + n))).tobytes()
with open(sys.argv[1], "wb") as f:
    f.write(header)
    for plane in range(n):
        f.write(ramp[4 * plane:4 * (plane + n * n)])
PYTHON
printf '3 3 3\n%s\n' "$(seq -s ' ' 1 27)" >"$scratch/kernel.txt"

# Runs a command and prints its peak resident memory in kB on stderr's place, the file $scratch/peak.
peak_of() {
    python3 - "$scratch/peak" "$@" <<'PYTHON'
import os, sys
pid = os.fork()
if pid == 0:
    os.dup2(3, 0)
    os.execv(sys.argv[2], sys.argv[2:])
_, status, usage = os.wait4(pid, 0)
with open(sys.argv[1], "w") as f:
    f.write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
PYTHON
}

failed=0
report() { # report WHAT [LIMIT_KB]
    local peak limit=${2:-$limit_kb}
    peak=$(cat "$scratch/peak")
    echo "$1: peak resident memory $peak kB (limit $limit), $SECONDS s"
    [ "$peak" -lt "$limit" ] || failed=1
}

# A NIfTI-2 file of int16 zeros that takes no disk, with a few values at its end: sparse FILE X Y Z
sparse() {
    python3 - "$@" <<'PYTHON'
import struct, sys
path, x, y, z = sys.argv[1], *map(int, sys.argv[2:])
header = bytearray(544)
struct.pack_into("<i8s2h", header, 0, 540, b"n+2\0\r\n\x1a\n", 4, 16)
struct.pack_into("<8q", header, 16, 3, x, y, z, 1, 1, 1, 1)
struct.pack_into("<8d", header, 104, *[1.0] * 8)
struct.pack_into("<q", header, 168, 544)
with open(path, "wb") as f:
    f.write(header)
    f.truncate(544 + 2 * x * y * z)
    f.seek(544 + 2 * (x * y * z - 1000))
    f.write(struct.pack("<1000h", *range(1000)))
PYTHON
}

SECONDS=0
peak_of "$voxconv" conv "$scratch/big.nii" -w "$scratch/kernel.txt" -p 1 -o "$scratch/out.nii" 3</dev/null
report "file to file"

SECONDS=0
gzip -1 -c "$scratch/big.nii" >"$scratch/big.nii.gz"
rm "$scratch/big.nii"
peak_of "$voxconv" conv - -w "$scratch/kernel.txt" -p 1 -z 1 -o - 3<"$scratch/big.nii.gz" >"$scratch/out.nii.gz"
report "gzip pipe to gzip pipe"

# The headers are the same too: both are NIfTI-1 with the voxels at 352.
if gunzip -c "$scratch/out.nii.gz" | cmp - "$scratch/out.nii"; then
    echo "equal voxels"
else
    failed=1
fi
rm "$scratch"/*.nii*

SECONDS=0
sparse "$scratch/wide.nii" 20000 20000 8
peak_of "$voxconv" conv "$scratch/wide.nii" --kernel identity -t input -m 512M -o "$scratch/out.nii" 3</dev/null
report "planes of 20000 x 20000 under 512M" 524288
cmp "$scratch/wide.nii" "$scratch/out.nii" || failed=1
rm "$scratch"/*.nii

SECONDS=0
sparse "$scratch/many.nii" 2048 1024 1056
peak_of "$voxconv" conv "$scratch/many.nii" --kernel identity -t input -z 1 -o "$scratch/many.nii.gz" 3</dev/null
report "2^31 voxels, 2^32 bytes into gzip"
SECONDS=0
peak_of "$voxconv" conv "$scratch/many.nii.gz" --kernel identity -t input -o "$scratch/out.nii" 3</dev/null
report "and out of it"
cmp "$scratch/many.nii" "$scratch/out.nii" || failed=1
exit "$failed"
