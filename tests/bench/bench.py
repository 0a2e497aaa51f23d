#!/usr/bin/env python3
"""bench.py BUILD [PROBLEM...] - voxconv's Conv3d beside torch's (oneDNN) and ONNX Runtime's, in one run.

For every problem the programs take turns for several rounds, so that a machine that is busy for a while is busy for
all of them. A cell is the median of all runs in ms; the ratio is the median over rounds of (faster peer / voxconv).
The shares of the limits (FMA peak, copy bandwidth) are medians over rounds of what bench_conv3d gives; beside them
the best of a round, its fastest run in its highest limit.
Peers that are not installed are left out and named (make bench-deps brings them).
"""
import argparse
import json
import math
import os
import re
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


class Peer:
    def __init__(self, name, command, env=None):
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=dict(os.environ, **(env or {})))

    def run(self, problem):
        self.process.stdin.write(json.dumps(problem) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def peers(node_modules):
    found = []
    if subprocess.run(["/usr/bin/python3", "-c", "import torch"], capture_output=True).returncode == 0:
        found.append(Peer("torch", ["/usr/bin/python3", f"{HERE}/peer_torch.py"]))
    if os.path.isdir(f"{node_modules}/onnxruntime-node"):
        found.append(Peer("onnxruntime", ["node", f"{HERE}/peer_onnxruntime.js"], {"NODE_PATH": node_modules}))
    for name in {"torch", "onnxruntime"} - {p.name for p in found}:
        print(f"{name} is not installed and left out", file=sys.stderr)
    return found


def parse(text, threads, repeat):
    """ic32oc64k3s2p1d1g1_64x64x64, as bench_conv3d.c reads it."""
    layer, size = text.split("_")
    field = {name: value for name, value in re.findall(r"(ic|oc|[kspdg])(\d+(?:x\d+x\d+)?)", layer)}

    def triple(name, default):
        values = [int(v) for v in field.get(name, default).split("x")]
        return values * (3 // len(values))

    return {"in": [1, int(field.get("ic", 1))] + [int(v) for v in size.split("x")],
            "out_channels": int(field.get("oc", 1)), "kernel": triple("k", "1"), "stride": triple("s", "1"),
            "padding": triple("p", "0"), "dilation": triple("d", "1"), "groups": int(field.get("g", 1)),
            "threads": threads, "repeat": repeat}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("problem", nargs="*")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=7, help="runs of each program in a round")
    parser.add_argument("--node-modules", default="build-bench/node_modules")
    args = parser.parse_intermixed_args()
    problems = args.problem or open(f"{HERE}/problems.txt").read().split()
    others = peers(os.path.abspath(args.node_modules))
    header = ["problem", "voxconv"] + [p.name for p in others] + ["ratio", "of peak", "best", "of copy", "best"]
    line_format = "{:<34}" + "{:>12}" * (2 + len(others)) + "{:>9}" * 4
    print(line_format.format(*header))
    limits, logs = [], []
    env = dict({"GOMP_SPINCOUNT": "2000"}, **os.environ)  # as the command sets it for itself
    for text in problems:
        times = {name: [] for name in ["voxconv"] + [p.name for p in others]}
        ratios, ours = [], []
        for _ in range(args.rounds):
            line = subprocess.run([f"{args.build}/bench_conv3d", "--json", "--threads", str(args.threads),
                                   "--repeat", str(args.repeat), text], env=env,
                                  check=True, stdout=subprocess.PIPE, text=True).stdout
            ours.append(json.loads(line))
            times["voxconv"].append(ours[-1]["ms_median"])
            for peer in others:
                times[peer.name].append(statistics.median(peer.run(parse(text, args.threads, args.repeat))))
            if others:
                ratios.append(min(times[p.name][-1] for p in others) / times["voxconv"][-1])
        logs.append(math.log(statistics.median(ratios)) if ratios else 0)
        cells = [f"{statistics.median(t):.2f}" for t in times.values()]
        ratio = f"{math.exp(logs[-1]):.2f}" if ratios else "-"
        shares = []
        for limit in "peak", "copy":
            shares += [statistics.median(o[limit + "_share"] for o in ours), max(o[limit + "_best"] for o in ours)]
        print(line_format.format(text, *cells, ratio, *(f"{100 * share:.0f}%" for share in shares)), flush=True)
        limits += ours
    peak, copy = (statistics.median(o[limit] for o in limits) for limit in ("peak_gflops", "copy_gbytes"))
    print(f"limits: FMA peak {peak:.0f} GFLOP/s, copy {copy:.0f} GB/s ({args.threads} threads, {limits[0]['isa']})")
    if others:
        print(f"geometric mean of the ratios: {math.exp(sum(logs) / len(logs)):.2f}")


if __name__ == "__main__":
    main()
