"""fault.py - lets every call of voxconv fail once and checks what it promises for that case.

    fault.py build/voxconv build/faulty.so [--asan build-asan/voxconv] [--short] [--only SCENARIO] [--kind KIND]

For each scenario (scenarios.py), kind of call and error, the run is repeated with the first such call failing, the
second, ... until the run has no more of them (faulty.c). After each, one of these must hold:

  - exit status 0 with the bytes of the unfaulted run, in all files and on stdout, where the call does not matter
    (ALLOWED says which) or was no failure: a short transfer, an interrupted call;
  - an exit status that fits what failed, one line on stderr that begins `voxconv: `, and the output folder as it was,
    to the byte; on stdout the beginning of the right bytes;

and in both cases no temporary file, no signal, no hang, and (--asan) nothing that a sanitizer found. The statuses come
from include/voxconv.h. GCC's OpenMP library ends a process that it cannot get a thread or memory for; that is the one
other line and status that are taken, and they are counted.
"""
import argparse
import concurrent.futures
import errno
import os
import shutil
import subprocess
import sys
import tempfile
import threading

from scenarios import make_inputs, scenarios

INPUT, WEIGHTS, OUTPUT, RESOURCE = 3, 5, 6, 7
SUPPRESSIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lsan.supp")
TIMEOUT = 20  # seconds; a run takes milliseconds
SHORT = 0  # in place of an error number
INPUTS = ("scan", "frames", "slices", "größe", "pair", "in.nii", "array")  # and other files are weights

# Kinds of calls, and the errors that each is given. EINTR and short transfers are no failures.
FAULTS = [
    ("read", [errno.EIO, SHORT, errno.EINTR]),
    ("write", [errno.ENOSPC, errno.EIO, SHORT, errno.EINTR]),
    ("open", [errno.EMFILE, errno.EACCES, errno.EINTR]),
    ("sync", [errno.EIO, errno.ENOSPC, errno.EINTR]),
    ("close", [errno.EIO]),
    ("rename", [errno.EIO, errno.EACCES]),
    ("reserve", [errno.ENOSPC, errno.EIO, errno.EINTR]),
    ("stat", [errno.EIO, errno.ENOMEM]),
    ("eventfd", [errno.EMFILE]),
    ("poll", [errno.ENOMEM, errno.EINTR]),
    ("mmap", [errno.ENOMEM]),
    ("thread", [errno.EAGAIN]),
    ("memory", [errno.ENOMEM]),
]
# There a failure can be told from a call that the system would only have to be asked again.
INTERRUPTIBLE = {"read", "write", "open", "sync", "poll"}

# Exit statuses by (kind, what the call was about); 0: the run may do without. What is not here is a broken promise.
ALLOWED = {
    ("read", "input"): {INPUT},
    ("read", "stdin"): {INPUT},
    ("read", "weights"): {WEIGHTS, 0},  # 0: a .nii.gz is read ahead while its format is looked at, then opened anew
    ("read", "spool"): {RESOURCE},
    ("read", "system"): {0},
    ("write", "output"): {OUTPUT},
    ("write", "stdout"): {OUTPUT},
    ("write", "spool"): {RESOURCE},
    ("write", "wake"): {0},
    ("open", "input"): {INPUT},
    ("open", "weights"): {WEIGHTS},
    ("open", "output"): {OUTPUT},
    ("open", "spool"): {RESOURCE},
    ("open", "folder"): {0},  # a folder may be writable and not readable
    ("open", "system"): {0},
    ("sync", "output"): {OUTPUT},
    ("sync", "stdout"): {OUTPUT},
    ("sync", "folder"): {OUTPUT},
    ("close", "output"): {OUTPUT},
    ("close", "published output"): {0},  # the lock of a file that is on disk and has its name
    ("close", "input"): {0},  # all that was wanted has been read
    ("close", "weights"): {0},
    ("close", "spool"): {0},
    ("close", "folder"): {0},
    ("close", "system"): {0},
    ("close", "wake"): {0},
    ("rename", "output"): {OUTPUT},
    ("reserve", "spool"): {RESOURCE},
    ("stat", "input"): {INPUT, 0},  # 0: looking whether a pair's other half is there
    ("stat", "stdin"): {INPUT},
    ("stat", "weights"): {WEIGHTS, 0},  # 0: opening it follows
    ("stat", "output"): {OUTPUT, 0},  # 0: a second look follows
    ("stat", "spool"): {RESOURCE},
    ("stat", "stdout"): {OUTPUT},
    ("stat", "folder"): {OUTPUT},
    ("eventfd", "-"): {RESOURCE},
    ("poll", "input"): {INPUT},
    ("poll", "stdin"): {INPUT},
    ("poll", "weights"): {WEIGHTS, 0},
    ("thread", "-"): {RESOURCE},
    ("memory", "-"): {RESOURCE, 0},  # 0: the C library does without a buffer now and then
    ("mmap", "-"): {RESOURCE},
}


def allowed(kind, error, library, subject):
    # libzip does not open again; an interrupted open is a thing of slow devices and network files.
    if error in (SHORT, errno.EINTR) and not library.startswith("libzip"):
        return {0}
    statuses = ALLOWED.get((kind, subject), set())
    # Too many open files, and too little memory, are not the file's fault.
    if error in (errno.EMFILE, errno.ENOMEM) and statuses - {0}:
        return {RESOURCE} | (statuses & {0}) | (statuses if kind in ("stat", "poll") else set())
    return statuses


def error_name(error):
    return errno.errorcode[error] if error else "short"


class Run:
    """A folder to run in, for one worker at a time."""

    def __init__(self, folder, voxconv, shim, asan, inputs):
        self.folder, self.voxconv, self.shim, self.asan = folder, voxconv, shim, asan
        os.makedirs(folder)
        os.symlink(inputs, os.path.join(folder, "in"))
        for name in "out", "tmp", "logs":
            os.mkdir(os.path.join(folder, name))

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def files(self, name):
        with os.scandir(self.path(name)) as entries:
            found = {}
            for e in entries:
                with open(e.path, "rb") as f:
                    found[e.name] = f.read()
            return found

    def prepare(self, s):
        for name in "out", "tmp", "logs":
            for e in os.listdir(self.path(name)):
                os.unlink(self.path(name, e))
        for name in s.old:
            with open(self.path("out", name), "wb") as f:
                f.write(b"what was there before: " + name.encode())
        if os.path.exists(self.path("report")):
            os.unlink(self.path("report"))

    def environment(self, s, fault):
        e = {k: v for k, v in os.environ.items() if not k.startswith(("FAULTY_", "VOXCONV", "FSL", "OMP_", "GOMP_"))}
        e.update(TMPDIR=self.path("tmp"), LD_PRELOAD=self.shim, FAULTY_REPORT=self.path("report"),
                 GOMP_SPINCOUNT="0", LC_ALL="C")  # set: the command does not start itself once more
        if s.bare:
            e["FAULTY_BARE"] = "1"
        if fault:
            kind, error, at = fault
            e.update(FAULTY_KIND=kind, FAULTY_ERROR=str(error), FAULTY_AT=str(at))
        if self.asan:
            e["ASAN_OPTIONS"] = ("verify_asan_link_order=0:detect_leaks=1:allocator_may_return_null=1:exitcode=99:"
                                 "log_path=" + self.path("logs", "asan"))
            if fault and fault[0] == "memory":
                e["LSAN_OPTIONS"] = "suppressions=%s:print_suppressions=0" % SUPPRESSIONS
            e["UBSAN_OPTIONS"] = "print_stacktrace=1:log_path=" + self.path("logs", "ubsan")
        return e

    def run(self, s, threads, fault):
        """(status, stdout, stderr); status None where it hung."""
        self.prepare(s)
        command = [self.voxconv] + s.args + (["-j", str(threads)] if s.has_threads() else [])
        stdin, out = None, None
        try:
            if s.stdin:
                stdin = open(self.path("in", s.stdin.lstrip("|")), "rb")
            if s.stdout == "file":
                out = open(self.path("stdout"), "wb")
            piped = stdin.read() if s.stdin and s.stdin[0] == "|" else None
            more = {"input": piped} if piped is not None else {"stdin": stdin or subprocess.DEVNULL}
            r = subprocess.run(command, cwd=self.folder, env=self.environment(s, fault), timeout=TIMEOUT,
                               stdout=out or subprocess.PIPE, stderr=subprocess.PIPE, **more)
            output = r.stdout
            if out:
                with open(self.path("stdout"), "rb") as f:
                    output = f.read()
            return r.returncode, output, r.stderr.decode(errors="replace")
        except subprocess.TimeoutExpired:
            return None, b"", ""
        finally:
            for f in stdin, out:
                if f:
                    f.close()

    def report(self):
        """What failed: (function, library, subject), or None."""
        try:
            with open(self.path("report"), encoding="utf-8", errors="replace") as f:
                line = f.readline().rstrip("\n").split("\t")
        except FileNotFoundError:
            return None
        subject = self.subject(line[3])
        if subject == "unnamed output":
            subject = "output"
        elif subject == "output" and line[1] == "close":
            subject = "published output"
        return line[1], line[2], subject

    def subject(self, s):
        inputs = os.path.realpath(self.path("in"))
        name = os.path.basename(s)
        if s == "-":
            return "-"
        if s.startswith(("/proc/", "/sys/", "/dev/urandom")):
            return "system"
        if s.startswith("anon_inode:"):
            return "wake"
        if s.startswith((self.path("tmp"), "/tmp/#")) or s.endswith("(deleted)"):
            return "spool"
        if s.startswith((inputs + "/", "in/")):
            return "input" if name.startswith(INPUTS) else "weights"
        if s.rstrip("/") in ("out", self.path("out")):
            return "folder"
        if s.startswith(("out/", self.path("out") + "/")):
            return "unnamed output" if name.startswith(".") else "output"
        return s


class Checker:
    """All scenarios with one build of voxconv."""

    def __init__(self, options, top, inputs, voxconv, asan):
        self.options, self.top, self.inputs, self.voxconv, self.asan = options, top, inputs, voxconv, asan
        self.lock = threading.Lock()
        self.idle, self.made = [], 0
        self.injected = self.by_openmp = 0
        self.broken = []
        self.right = {}  # (scenario, threads): what an unfaulted run gives

    def borrow(self):
        with self.lock:
            if self.idle:
                return self.idle.pop()
            self.made += 1
            return Run(os.path.join(self.top, "run%d" % self.made), self.voxconv, self.options.shim, self.asan,
                       self.inputs)

    def give_back(self, run):
        with self.lock:
            self.idle.append(run)

    def unfaulted(self, s, threads):
        run = self.borrow()
        status, out, err = run.run(s, threads, None)
        files, logs = run.files("out"), run.files("logs")
        if status != 0 or err or run.files("tmp") or logs:
            sys.exit("fault.py: %s: without a fault: status %s: %s%s" % (s.name, status, err, logs))
        if not out and not files:
            sys.exit("fault.py: %s: gives nothing" % s.name)
        self.give_back(run)
        return files, out

    def complaints(self, run, s, threads, kind, error, result):
        """Broken promises of the run before, as sentences."""
        status, out, err = result
        function, library, subject = run.report()
        said = ["%s in %s (%s)" % (function, library, subject)]
        bad = []
        files_right, out_right = self.right[s.name, threads]
        files, old = run.files("out"), {n: b"what was there before: " + n.encode() for n in s.old}
        logs = [text.decode(errors="replace") for text in run.files("logs").values()]
        # A thread of ours begins with memory that the sanitizer asks the C library for.
        if kind == "memory" and any("CHECK failed: sanitizer_" in text for text in logs):
            return said, []
        bad += ["a sanitizer's finding:\n" + text for text in logs]
        if run.files("tmp"):
            bad.append("left in TMPDIR: " + ", ".join(run.files("tmp")))
        if status is None:
            bad.append("hangs")
            return said, bad
        if status < 0:
            bad.append("ended by signal %d" % -status)
        lines = err.splitlines()
        openmp = (kind in ("memory", "thread") and status == 1 and err.strip().startswith("libgomp: ")
                  and len(err.strip().splitlines()) == 1)
        if openmp:
            with self.lock:
                self.by_openmp += 1
        elif status not in allowed(kind, error, library, subject):
            bad.append("status %d, not one of %s" % (status, sorted(allowed(kind, error, library, subject))))
        if status == 0:
            if err:
                bad.append("says: " + err)
            if files != files_right:
                bad.append("status 0, but the files are not those of an unfaulted run: %s" % sorted(files))
            if out != out_right:
                bad.append("status 0, but stdout is not that of an unfaulted run")
        else:
            if not openmp and (len(lines) != 1 or not err.startswith("voxconv: ") or not err.endswith("\n")):
                bad.append("not one line 'voxconv: ...': %r" % err)
            # A report that cannot be made is a failure, but not the output's.
            if files != old and not (files == files_right and ": complete, but the report of it is not: " in err):
                bad.append("status %d, and of the output folder is new or gone: %s" %
                           (status, ", ".join(sorted(n for n in files.keys() | old.keys()
                                                     if files.get(n) != old.get(n)))))
            if not out_right.startswith(out):
                bad.append("stdout has other bytes than the beginning of the right ones")
            said.append(err.strip())
        return said, bad

    def sweep(self, s, threads, kind, error, step):
        """All numbers of one kind of call. `step` 1: every number; else each step-th, from one that depends on the
        scenario, so that all scenarios together meet all places."""
        run = self.borrow()
        at = 1 + sum(map(ord, s.name + kind)) % step if step > 1 else 1
        count = 0
        while True:
            result = run.run(s, threads, (kind, error, at))
            if not run.report():
                break
            count += 1
            said, bad = self.complaints(run, s, threads, kind, error, result)
            if self.options.verbose:
                print("%s -j %d %s %s %d: %s" % (s.name, threads, kind, error_name(error), at, ": ".join(said)))
            if bad:
                with self.lock:
                    self.broken.append("%s%s, -j %d: %s %d, %s: %s\n    %s" % (
                        "sanitizers: " if self.asan else "", s.name, threads, kind, at, error_name(error),
                        ": ".join(said), "\n    ".join(bad)))
                    print("BROKEN: " + self.broken[-1], flush=True)
            at += step
        if run.files("tmp") or result[0] != 0:
            with self.lock:
                self.broken.append("%s: without a fault status %s" % (s.name, result[0]))
        self.give_back(run)
        with self.lock:
            self.injected += count

    def jobs(self):
        """Sweeps as arguments of sweep(). With --short and under sanitizers, which are slow, a scenario has one number
        of threads, and of the many places where memory is taken some are tried."""
        few = self.options.short or self.asan
        for i, s in enumerate(scenarios()):
            if self.options.only and self.options.only not in s.name:
                continue
            for threads in s.threads()[i % 2 :][:1] or (1,) if few else s.threads():
                self.right[s.name, threads] = self.unfaulted(s, threads)
                for kind, errors in FAULTS:
                    if self.options.kind and kind != self.options.kind:
                        continue
                    for error in errors:
                        if self.asan and error in (SHORT, errno.EINTR):
                            continue  # no error, and nothing that it could leave behind
                        step = 1
                        if kind == "memory" and few:
                            step = 29 if self.options.short else 7
                        elif self.options.short:
                            step = 3
                        yield s, threads, kind, error, step


def main():
    p = argparse.ArgumentParser()
    p.add_argument("voxconv")
    p.add_argument("shim")
    p.add_argument("--short", action="store_true")
    p.add_argument("--only", help="scenarios whose name has this")
    p.add_argument("--kind")
    p.add_argument("--asan", help="besides, a voxconv built with AddressSanitizer")
    p.add_argument("--verbose", action="store_true")
    options = p.parse_args()
    options.shim = os.path.abspath(options.shim)
    # Memory where there is some: a run syncs, and the disk is not what is tested.
    top = tempfile.mkdtemp(prefix="voxconv-fault-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    checkers = []
    try:
        inputs = os.path.join(top, "inputs")
        os.mkdir(inputs)
        make_inputs(os.path.abspath(options.voxconv), inputs)
        for name, voxconv in ("plain", options.voxconv), ("asan", options.asan):
            if not voxconv:
                continue
            folder = os.path.join(top, name)
            os.mkdir(folder)
            checkers.append(Checker(options, folder, inputs, os.path.abspath(voxconv), name == "asan"))
            with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
                for done in [pool.submit(checkers[-1].sweep, *job) for job in checkers[-1].jobs()]:
                    done.result()
    finally:
        shutil.rmtree(top)
    injected, broken = sum(c.injected for c in checkers), sum(len(c.broken) for c in checkers)
    print("fault%s: %s faults injected (%d times GCC's OpenMP library ended the run), %d broken promises" % (
        " (short)" if options.short else "", " + ".join(str(c.injected) for c in checkers),
        sum(c.by_openmp for c in checkers), broken))
    return 1 if broken or not injected else 0


if __name__ == "__main__":
    sys.exit(main())
