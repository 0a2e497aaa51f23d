"""signals.py - a run that is ended at any moment leaves all of its output, all of the old one, or nothing.

INT, TERM and HUP also leave nothing else. KILL may leave a temporary file of a known name, which the next run for the
same output removes. Moments are random over 1.2 times a run's duration, and, with build/step.so, right before each call
that touches a file.
"""
import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import formats

CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TIMEOUT = 30
WORKERS = 2

# Name, arguments ("OUT" is the output's folder), and how its files are ordered where that matters: a pair's voxels get
# their name before its header (src/volume/writer.c), other files in the order of their names.
SCENARIOS = (
    ("plain", ["conv", "IN", "--kernel", "box:3", "-o", "OUT/out.nii"]),
    ("gzip", ["conv", "IN", "--kernel", "box:3", "-o", "OUT/out.nii.gz"]),
    ("pair", ["conv", "IN", "--kernel", "box:3", "-o", "OUT/out.hdr"]),
    ("gzip pair", ["conv", "IN", "--kernel", "box:3", "-o", "OUT/out.hdr.gz"]),
    ("spooled", ["conv", "IN", "--init", "torch", "-k", "3", "--out-channels", "3", "-o", "OUT/out.nii.gz"]),
    ("split", ["conv", "IN", "--init", "torch", "-k", "3", "--out-channels", "3", "--split", "-o", "OUT/out.nii"]),
    ("weights", ["kernel", "gaussian:6", "-o", "OUT/w.npz"]),
    ("stdout", ["conv", "IN", "--kernel", "box:3", "-o", "-"]),
)


def order(name):
    return (0 if ".img" in name else 1, name)


class Scenario:
    def __init__(self, stress, name, words, source):
        self.name, self.stress = name, stress
        self.words = [source if w == "IN" else w for w in words]
        self.counts = dict.fromkeys(("runs", "by signal", "succeeded", "nothing", "old", "part", "new", "left"), 0)
        self.lock = threading.Lock()
        self.whole, self.stdout = {}, b""
        self.duration = 0
        with Place(stress) as place:
            status, self.stdout, _ = place.finish(self)
            assert status == 0, name
            self.whole = place.files()
        self.names = sorted(self.whole, key=order)

    def complete(self):
        """Seconds of a run that nobody ends."""
        with Place(self.stress) as place:
            status, _, took = place.finish(self)
            self.stress.check(status == 0 and place.files() == self.whole, "%s: not the same again" % self.name)
        return took

    def count(self, *what):
        with self.lock:
            for w in what:
                self.counts[w] += 1


class Place:
    """Folders of one run, and the run."""

    def __init__(self, stress):
        self.stress = stress

    def __enter__(self):
        self.top = tempfile.mkdtemp(prefix="place-", dir=self.stress.folder)
        self.out, self.tmp = os.path.join(self.top, "out"), os.path.join(self.top, "tmp")
        os.makedirs(self.out)
        os.makedirs(self.tmp)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.top)

    def files(self, folder=None):
        found = {}
        for name in os.listdir(folder or self.out):
            with open(os.path.join(folder or self.out, name), "rb") as f:
                found[name] = f.read()
        return found

    def start(self, scenario, force, env=None):
        words = [w.replace("OUT/", self.out + "/") for w in scenario.words] + (["--force"] if force else [])
        if words[0] == "conv":
            words.append("-q")
        return subprocess.Popen(
            [self.stress.voxconv, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**self.stress.env, "TMPDIR": self.tmp, **(env or {})},
        )

    def finish(self, scenario):
        began = time.perf_counter()
        p = self.start(scenario, True)
        stdout, _ = p.communicate(timeout=TIMEOUT)
        return p.returncode, stdout, time.perf_counter() - began


def state(scenario, files, old):
    """nothing, old, new or part (the first files new, the others as before); None for anything else."""
    new = 0
    names = scenario.names
    while new < len(names) and files.get(names[new]) == scenario.whole[names[new]]:
        new += 1
    for name in names[new:]:
        if files.get(name) != old.get(name):
            return None
    if new == len(names):
        return "new"
    return "part" if new else "old" if old else "nothing"


def is_temporary(scenario, name):
    return any(re.fullmatch(r"\.%s\.voxconv-[A-Za-z0-9]{6}" % re.escape(n), name) for n in scenario.names)


def judge(scenario, place, number, status, stdout, stderr, old, label):
    stress, files = scenario.stress, place.files()
    label = "%s, %s" % (scenario.name, label)
    scenario.count("runs")
    if not stress.check(status in (0, -number), "%s: status %d" % (label, status)):
        return
    scenario.count("succeeded" if status == 0 else "by signal")
    stress.check(not stderr, "%s: on stderr: %r" % (label, stderr[:200]))
    stress.check(scenario.stdout.startswith(stdout), "%s: stdout holds something else" % label)
    stress.check(status != 0 or stdout == scenario.stdout, "%s: done, but stdout is not complete" % label)
    stress.check(not os.listdir(place.tmp), "%s: left in TMPDIR: %s" % (label, os.listdir(place.tmp)))
    found = state(scenario, files, old)
    if stress.check(found, "%s: a file is neither old nor new: %s" % (label, {k: len(v) for k, v in files.items()})):
        if scenario.names:
            scenario.count(found)
        stress.check(status != 0 or found == "new" or not scenario.names, "%s: done, but %s" % (label, found))
        stress.check(found != "part" or number == signal.SIGKILL, "%s: some names are new, others not" % label)
    others = [n for n in files if n not in scenario.names]
    if number != signal.SIGKILL or status == 0:
        stress.check(not others, "%s: left behind: %s" % (label, others))
        return
    stress.check(all(is_temporary(scenario, n) for n in others), "%s: unknown names: %s" % (label, others))
    if others:
        scenario.count("left")
        again, _, _ = place.finish(scenario)
        stress.check(again == 0, "%s: the next run: status %d" % (label, again))
        stress.check(place.files() == scenario.whole, "%s: after the next run: %s" % (label, os.listdir(place.out)))


def one(scenario, number, force, moment=None, step=None):
    old = {n: b"the old " + n.encode() for n in scenario.names} if force else {}
    env = None
    label = "%s%s " % (signal.Signals(number).name, " --force" if force else "")
    with Place(scenario.stress) as place:
        for name, content in old.items():
            with open(os.path.join(place.out, name), "wb") as f:
                f.write(content)
        if step:
            label += "before call %d" % step
            preload = os.path.join(scenario.stress.build, "step.so")
            env = {"LD_PRELOAD": preload, "STRESS_STEP": str(step), "STRESS_SIGNAL": str(int(number))}
        else:
            label += "after %.2f ms" % (moment * 1e3)
        began = time.perf_counter()
        p = place.start(scenario, force or scenario.name == "stdout", env)
        # By a thread of its own: stdout is read meanwhile, or a full pipe would hold the run up.
        timer = threading.Timer(0 if step else began + moment - time.perf_counter(), p.send_signal, [number])
        if not step:
            timer.start()
        try:
            stdout, stderr = p.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            p.kill()
            p.communicate()
            scenario.stress.broke("%s, %s: hangs" % (scenario.name, label))
            return 1
        finally:
            timer.cancel()
        judge(scenario, place, number, p.returncode, stdout, stderr, old, label)
        return p.returncode


def measure(scenarios, pool):
    """Under the load that the runs to come will have."""
    times = list(pool.map(Scenario.complete, scenarios * 7))
    for i, s in enumerate(scenarios):
        s.duration = statistics.median(times[i :: len(scenarios)])


def steps(scenario, number, force):
    """Before each call, until there is none left."""
    step = 1
    while one(scenario, number, force, step=step) < 0:
        step += 1
    scenario.stress.check(step > 5, "%s: only %d calls seen" % (scenario.name, step - 1))


def table(stress, title, scenarios):
    print("%-28s" % title + "".join("%11s" % k for k in scenarios[0].counts))
    for s in scenarios:
        print("  %-26s" % ("%s (%.0f ms)" % (s.name, s.duration * 1e3)) + "".join("%11d" % v for v in s.counts.values()))
        stress.cases += s.counts["runs"]
        s.counts = dict.fromkeys(s.counts, 0)


def run(stress):
    source = os.path.join(stress.folder, "in.nii.gz")
    values = [stress.random.randrange(-1000, 3000) for _ in range(48 * 48 * 24)]
    with open(source, "wb") as f:
        f.write(formats.gzip_file(formats.volume((48, 48, 24), values))[0])
    scenarios = [Scenario(stress, n, w, source) for n, w in SCENARIOS]
    for title, numbers, total in (
        ("INT, TERM, HUP", CAUGHT, 160 if stress.short else 1000),
        ("KILL", (signal.SIGKILL,), 160 if stress.short else 1000),
    ):
        jobs = []
        for i in range(total):
            number, force = stress.random.choice(numbers), stress.random.random() < 0.5
            jobs.append((scenarios[i % len(scenarios)], number, force, stress.random.uniform(0, 1.2)))
        with ThreadPoolExecutor(WORKERS) as pool:
            measure(scenarios, pool)
            list(pool.map(lambda j: one(j[0], j[1], j[2], moment=j[3] * j[0].duration), jobs))
        table(stress, title, scenarios)
    few = [s for s in scenarios if s.name in ("gzip", "pair")]
    jobs = [(s, n, f) for s in (few if stress.short else scenarios) for n in (signal.SIGTERM, signal.SIGKILL) for f in (0, 1)]
    jobs = [j for j in jobs if j[2] or not stress.short]
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda j: steps(*j), jobs))
    table(stress, "TERM, KILL before each call", few if stress.short else scenarios)
