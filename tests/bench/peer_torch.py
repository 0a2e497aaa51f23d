"""peer_torch.py - times torch's Conv3d (oneDNN) on problems that come as lines of JSON on stdin.

A line: {"in": [N,C,D,H,W], "out_channels": .., "kernel": [..], "stride": [..], "padding": [..], "dilation": [..],
"groups": .., "threads": .., "repeat": ..}. The answer is a line with the milliseconds of each run, after one run to
warm up. The same work as bench_conv3d's: dense float32 in and out, bias included.
"""
import json
import sys
import time

import torch

for line in sys.stdin:
    p = json.loads(line)
    torch.set_num_threads(p["threads"])
    layer = torch.nn.Conv3d(p["in"][1], p["out_channels"], p["kernel"], p["stride"], p["padding"],
                            p["dilation"], p["groups"])
    x = torch.rand(p["in"])
    times = []
    with torch.inference_mode():
        for i in range(p["repeat"] + 1):
            start = time.perf_counter()
            layer(x)
            times.append(1e3 * (time.perf_counter() - start))
    print(json.dumps(times[1:]), flush=True)
