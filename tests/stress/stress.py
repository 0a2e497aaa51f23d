"""stress.py BUILD full|short [--seed N] [--only signals|pipes|damage] - see tests/README.md.

Prints a table a part and ends with one line; exit status 1 where a promise was broken.
"""
import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time

sys.dont_write_bytecode = True

import damage
import pipes
import signals


class Stress:
    """What the parts share: where things are, how much to do, and what was found."""

    def __init__(self, build, short, seed, folder, memory):
        self.build = os.path.abspath(build)
        self.voxconv = os.path.join(self.build, "voxconv")
        self.short = short
        self.random = random.Random(seed)
        self.folder, self.memory = folder, memory
        self.cases = 0
        self.broken = []
        # Options of the caller's shell must not change what is tested. The count keeps voxconv from starting itself
        # once more, which would double the time of the short runs here.
        self.env = {k: v for k, v in os.environ.items() if k not in ("VOXCONV_ISA", "FSLOUTPUTTYPE", "VOXCONV_GZIP")}
        self.env.update(GOMP_SPINCOUNT="2000", OMP_NUM_THREADS="2")

    def broke(self, text):
        self.broken.append(text)
        print("BROKEN:", text, flush=True)

    def check(self, good, text):
        if not good:
            self.broke(text)
        return good


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("extent", choices=("full", "short"))
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--only", choices=("signals", "pipes", "damage"))
    a = p.parse_args()
    # A shell without job control starts what is in the background with INT ignored, and voxconv keeps it so.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    folder = tempfile.mkdtemp(prefix="voxconv-stress-")
    # Tens of thousands of files that nobody waits to see on a disk.
    memory = tempfile.mkdtemp(prefix="voxconv-stress-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    began = time.monotonic()
    print("seed %d, %s form" % (a.seed, a.extent), flush=True)
    try:
        stress = Stress(a.build, a.extent == "short", a.seed, folder, memory)
        for name, part in (("signals", signals), ("pipes", pipes), ("damage", damage)):
            if a.only in (None, name):
                start = time.monotonic()
                part.run(stress)
                print("%s: %.1f s\n" % (name, time.monotonic() - start), flush=True)
    finally:
        shutil.rmtree(folder)
        shutil.rmtree(memory)
    print("stress: %d cases, %d broken promises, %.0f s" % (stress.cases, len(stress.broken), time.monotonic() - began))
    return 1 if stress.broken else 0


sys.exit(main())
