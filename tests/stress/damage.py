"""damage.py - every bit of small files flipped once, and every length that they can be cut to.

A damaged file is refused with the status of its kind and one line, or it gives exactly what its bytes still say.
formats.py reads those bytes on its own and says what that is.
"""
import io
import os
import signal
import struct
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor

import formats

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
import torch_file  # noqa: E402

TIMEOUT = 600
WORKERS = 2


class Reader:
    """What tests/tools/damage_driver.c writes."""

    def __init__(self, data):
        self.f = io.BytesIO(data)

    def number(self):
        return struct.unpack("<q", self.exactly(8))[0]

    def exactly(self, n):
        b = self.f.read(n)
        if len(b) < n:
            raise EOFError
        return b

    def text(self):
        return self.exactly(self.number())

    def tensors(self):
        found = {}
        for _ in range(self.number()):
            name = self.text().decode("utf-8", "surrogateescape")
            rank = self.number()
            shape = struct.unpack("<%dq" % rank, self.exactly(8 * rank))
            found[name] = (shape, self.text())
        return found


def drive(stress, kind, name, cases, env):
    """[(status, message or content)] of all cases; a case that ends the driver has a negative status."""
    results = []
    base = os.path.join(stress.memory, "damage")
    while len(results) < len(cases):
        with open(base + ".cases", "wb") as f:
            for c in cases[len(results) :]:
                f.write(struct.pack("<q", len(c)) + c)
        words = [os.path.join(stress.build, "damage_driver"), kind, base + ".cases", base + ".results", base + "-" + name]
        p = subprocess.run(words, env={**stress.env, **env}, capture_output=True, timeout=TIMEOUT)
        with open(base + ".results", "rb") as f:
            r = Reader(f.read())
        try:
            while len(results) < len(cases):
                status = r.number()
                if status:
                    results.append((status, r.text().decode("utf-8", "replace")))
                else:
                    results.append((0, r.text() if kind == "volume" else r.tensors()))
        except EOFError:
            results.append((p.returncode if p.returncode < 0 else -999, p.stderr.decode("utf-8", "replace")))
    return results


class Tally:
    COLUMNS = ("flips", "cuts", "3", "4", "5", "other", "free bits", "same data", "as it says", "wrong")

    def __init__(self, stress, name, bytes_):
        self.stress, self.name, self.bytes = stress, name, bytes_
        self.counts = dict.fromkeys(self.COLUMNS, 0)
        self.free = set()

    def refused(self, label, status, message, allowed):
        """One line, and a status of the kind."""
        key = str(status)
        self.counts[key if key in self.counts else "other"] += 1
        self.stress.check(status in allowed, "%s, %s: status %d: %s" % (self.name, label, status, message))
        self.stress.check(message and "\n" not in message, "%s, %s: not one line: %r" % (self.name, label, message))

    def accepted(self, label, column):
        self.counts[column] += 1
        if column == "wrong":
            self.stress.broke("%s, %s: silently wrong" % (self.name, label))

    def row(self):
        print("  %-22s%6d" % (self.name, self.bytes) + "".join("%11d" % v for v in self.counts.values()))
        self.stress.cases += self.counts["flips"] + self.counts["cuts"]
        if self.free:
            print("      free bits: " + ", ".join(sorted(self.free)))


def title(text):
    print("%-24s%6s" % (text, "bytes") + "".join("%11s" % c for c in Tally.COLUMNS))


def damaged(data, flips=True):
    """(label, bit or None, bytes) of every damage."""
    cases = [("bit %d of byte %d" % (b % 8, b // 8), b, formats.flip(data, b)) for b in range(8 * len(data) * flips)]
    return cases + [("cut to %d" % n, None, data[:n]) for n in range(len(data))]


def judge_volume(t, label, bit, case, plain, free, status, content):
    t.counts["flips" if bit is not None else "cuts"] += 1
    if status:
        t.refused(label, status, content, (3, 4))
    elif content != plain or bit is None:
        t.accepted(label, "wrong")
    elif bit in free:
        t.free.add(free[bit])
        t.accepted(label, "free bits")
    else:
        # Another way to say the same bytes in deflate, if zlib reads it so too.
        t.accepted(label, "same data" if formats.gunzip(case) == plain else "wrong")


def volumes(stress):
    values = [stress.random.choice((0, 1, 2.5, -7)) for _ in range(60)]
    plain = formats.volume((5, 4, 3), values)
    kinds = (("gzip", {}), ("gzip, all fields", {"fields": True}), ("gzip, header crc", {"fields": True, "header_crc": True}))
    title("volumes, by driver")
    for name, fields in kinds:
        data, head = formats.gzip_file(plain, **fields)
        assert len(data) < 1024 and formats.gunzip(data) == plain
        free = formats.meaningless_gzip_bits(data, head)
        cases = damaged(data)
        for library in ("isal", "zlib"):
            t = Tally(stress, "%s (%s)" % (name, library), len(data))
            results = drive(stress, "volume", "volume.nii.gz", [c[2] for c in cases], {"VOXCONV_GZIP": library})
            for (label, bit, case), (status, content) in zip(cases, results):
                judge_volume(t, label, bit, case, plain, free, status, content)
            t.row()
    command(stress, plain)


def run_command(stress, case, i, piped):
    """Status, output and message of `voxconv conv` on the case."""
    path = os.path.join(stress.memory, "command-%d.nii.gz" % i)
    words = [stress.voxconv, "conv", "-" if piped else path, "--kernel", "identity", "-o", path + ".out.nii"]
    if not piped:
        with open(path, "wb") as f:
            f.write(case)
    p = subprocess.run(words, input=case if piped else b"", capture_output=True, env=stress.env, timeout=60)
    content = None
    if os.path.exists(path + ".out.nii"):
        with open(path + ".out.nii", "rb") as f:
            content = f.read()
        os.unlink(path + ".out.nii")
    if not piped:
        os.unlink(path)
    message = p.stderr.decode("utf-8", "replace")
    return p.returncode, content, message


def command(stress, plain):
    data, head = formats.gzip_file(plain)
    free = formats.meaningless_gzip_bits(data, head)
    title("volumes, by command")
    for piped in (False, True):
        t = Tally(stress, "gzip, from a " + ("pipe" if piped else "file"), len(data))
        cases = damaged(data, flips=not piped)
        if stress.short:
            cases = stress.random.sample(cases, 100)
        with ThreadPoolExecutor(WORKERS) as pool:
            results = list(pool.map(lambda c: run_command(stress, c[1][2], c[0], piped), enumerate(cases)))
        for (label, bit, case), (status, content, message) in zip(cases, results):
            if status:
                stress.check(content is None, "%s, %s: refused, but there is an output" % (t.name, label))
                stress.check(message.endswith("\n"), "%s, %s: %r" % (t.name, label, message))
            judge_volume(t, label, bit, case, plain, free, status, content if not status else message.rstrip("\n"))
        t.row()


# ---- Weights ----

SHAPE = (2, 1, 1, 3, 2)


def npy_says(data, bit, got):
    found = formats.read_npy(data)
    return found is not None and got == {"": found}


def safetensors_says(data, bit, got):
    return got == formats.read_safetensors(data)


def pt_file(values):
    """A .pt file, and the bits of what is read of it: each has a CRC, the names of the tensors too."""
    data = torch_file.save(
        {"weight": torch_file.Tensor(SHAPE, values), "bias": torch_file.Tensor((2,), [0.25, -0.5])}, extra=[("more", b"x")])
    with zipfile.ZipFile(io.BytesIO(data)) as z:
        names = [n.split("/", 1)[1] for n in z.namelist()]
    read = [r for r, n in zip(formats.npz_data(data), names) if n not in ("version", "more")]
    return data, {b for first, last in read for b in range(8 * first, 8 * last)}


def pt_says(data, bit, got):
    return False


def judge_weights(t, label, bit, case, whole, says, must_refuse, status, content):
    t.counts["flips" if bit is not None else "cuts"] += 1
    if status:
        t.refused(label, status, content, (5,))
    elif bit is None or bit in must_refuse:
        t.accepted(label, "wrong")
    elif content == whole:
        t.accepted(label, "same data")
    else:
        t.accepted(label, "as it says" if says(case, bit, content) else "wrong")


def weights(stress):
    # No exponent is one bit from that of infinity, so that every flip is a number.
    values = [(-1) ** i * (1 + i / 16) / 4 for i in range(12)]
    raw = struct.pack("<12f", *values)
    bias = struct.pack("<2f", 0.25, -0.5)
    npy, _ = formats.npy_file(SHAPE, values)
    small, _ = formats.npy_file((2,), [0.25, -0.5])
    npz = formats.npz_file((("weight", npy), ("bias", small)))
    pt, inside_pt = pt_file(values)
    safe, _ = formats.safetensors_file((("weight", SHAPE, values), ("bias", (2,), [0.25, -0.5])))
    both = {"weight": (SHAPE, raw), "bias": ((2,), bias)}
    inside = {b for first, last in formats.npz_data(npz) for b in range(8 * first, 8 * last)}
    names = formats.npz_directory_names(npz)

    # Of an archive only a name may come out otherwise than it went in: its content has a CRC.
    def npz_says(data, bit, got):
        return bit in names and all(v in both.values() for v in got.values())

    def same_inside(case):
        try:
            with zipfile.ZipFile(io.BytesIO(case)) as z:
                return [z.read(n) for n in ("weight.npy", "bias.npy")] == [npy, small]
        except Exception:  # whatever zipfile raises, it does not read it as the same
            return False

    # In deflated data there may be bits without a meaning, as in gzip.
    inside = {b for b in inside if not same_inside(formats.flip(npz, b))}
    title("weights, by driver")
    for name, data, whole, says, must_refuse in (
        ("npy", npy, {"": (SHAPE, raw)}, npy_says, ()),
        ("npz", npz, both, npz_says, inside),
        ("safetensors", safe, both, safetensors_says, ()),
        ("pt", pt, both, pt_says, inside_pt),
    ):
        cases = damaged(data)
        t = Tally(stress, name, len(data))
        first = drive(stress, "weights", "weights." + name, [data], {})
        stress.check(first == [(0, whole)], "%s: undamaged, gives %s" % (name, first))
        results = drive(stress, "weights", "weights." + name, [c[2] for c in cases], {})
        for (label, bit, case), (status, content) in zip(cases, results):
            judge_weights(t, label, bit, case, whole, says, must_refuse, status, content)
        t.row()
        weights_command(stress, name, data, cases)


def weights_command(stress, name, data, cases):
    """The command on some of them: a damaged file may also have become one that does not fit the volume."""
    source = os.path.join(stress.folder, "scan.nii")
    with open(source, "wb") as f:
        f.write(formats.volume((5, 4, 3), range(60)))
    some = stress.random.sample(cases, 30 if stress.short else 400)

    def one(job):
        i, (label, _, case) = job
        path = os.path.join(stress.folder, "weights-%d.%s" % (i, name))
        with open(path, "wb") as f:
            f.write(case)
        words = [stress.voxconv, "conv", source, "-w", path, "-o", "-"]
        p = subprocess.run(words, capture_output=True, env=stress.env, timeout=60)
        os.unlink(path)
        lines = p.stderr.splitlines()
        if p.returncode == 0:  # numbers that are too large are warned of
            good = all(line.startswith(b"voxconv: warning: ") for line in lines)
        else:
            good = p.returncode in (2, 5) and len(lines) == 1
        stress.check(good, "%s, %s, by command: status %d: %s" % (name, label, p.returncode, p.stderr))

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(one, enumerate(some)))
    stress.cases += len(some)


def run(stress):
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    volumes(stress)
    weights(stress)
