#!/usr/bin/env python3
"""bench_e2e.py BUILD [SCAN.nii.gz] - whole commands beside those of others, from file to file.

Two filters, a 3x3x3 kernel from a file and a Gaussian of 1 mm, on .nii.gz and on .nii. hyperfine runs every program
once a round and the programs take turns; a cell is the median over the rounds in seconds, the ratio the median over
rounds of (peer / voxconv). For .nii.gz the size of our output is compared with that of zlib's level 6. Programs that
are not installed are left out and named (make bench-deps brings them).
"""
import argparse
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import zlib

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = sys.executable


def has_module(name):
    return subprocess.run([PYTHON, "-c", f"import nibabel, {name}"], capture_output=True).returncode == 0


def commands(build, what, source, target, kernel, threads):
    ours = f"-w {kernel} --padding 1" if what == "conv" else "--kernel gaussian:1mm"
    found = {"voxconv": f"{build}/voxconv conv {source} {ours} -o {target} --force --threads {threads}"}
    for library in ("torch", "scipy"):
        found[f"nibabel+{library}"] = has_module(library) and (
            f"{PYTHON} {HERE}/peer_scan.py {library} {what} {source} {target}"
            + (f" {kernel}" if what == "conv" else ""))
    if what == "gaussian":
        found["mrfilter"] = shutil.which("mrfilter") and (
            f"mrfilter -quiet -force -nthreads {threads} {source} smooth -stdev 1 {target}")
        found["niimath"] = shutil.which("niimath") and f"niimath {source} -s 1 {target}"
    return found


def times(run, rounds, folder):
    seconds = {name: [] for name in run}
    for _ in range(rounds):
        report = f"{folder}/hyperfine.json"
        subprocess.run(["hyperfine", "--style", "none", "--runs", "1", "--export-json", report, *run.values()],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for name, result in zip(run, json.load(open(report))["results"]):
            seconds[name].append(result["median"])
    return seconds


def size_against_zlib(path):
    packer, size = zlib.compressobj(6, zlib.DEFLATED, 31), 0
    with gzip.open(path) as stream:
        while data := stream.read(1 << 20):
            size += len(packer.compress(data))
    return os.path.getsize(path) / (size + len(packer.flush()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("scan", nargs="?", default="/usr/share/mricron/templates/ch2better.nii.gz")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    if not os.path.exists(args.scan) or not shutil.which("hyperfine"):
        sys.exit(f"{args.scan} or hyperfine is missing: make bench-deps brings both")
    with tempfile.TemporaryDirectory() as folder:
        kernel = f"{folder}/kernel.npy"
        np.save(kernel, np.random.default_rng(1).standard_normal((3, 3, 3)).astype(np.float32))
        shutil.copy(args.scan, f"{folder}/in.nii.gz")
        with gzip.open(args.scan) as packed, open(f"{folder}/in.nii", "wb") as plain:
            shutil.copyfileobj(packed, plain)
        print("{:<10}{:<9}{:<16}{:>9}{:>8}".format("filter", "file", "program", "seconds", "ratio"))
        missing = set()
        for what in ("conv", "gaussian"):
            for suffix in (".nii.gz", ".nii"):
                run = commands(args.build, what, f"{folder}/in{suffix}", f"{folder}/out{suffix}", kernel, args.threads)
                missing |= {name for name, command in run.items() if not command}
                run = {name: command for name, command in run.items() if command}
                seconds = times(run, args.rounds, folder)
                for name, list_ in seconds.items():
                    ratio = statistics.median(peer / own for peer, own in zip(list_, seconds["voxconv"]))
                    print(f"{what:<10}{suffix[1:]:<9}{name:<16}{statistics.median(list_):>9.3f}{ratio:>8.1f}",
                          flush=True)
                if suffix == ".nii.gz":
                    subprocess.run(run["voxconv"].split(), check=True)
                    share = size_against_zlib(f"{folder}/out.nii.gz")
                    print(f"{what:<10}{suffix[1:]:<9}size against zlib 6: {100 * (share - 1):+.1f} %")
        for name in sorted(missing):
            print(f"{name} is not installed and left out", file=sys.stderr)


if __name__ == "__main__":
    main()
