"""pipes.py - slow, odd and dying producers, and consumers that go away.

The identity changes no byte of a float32 volume, so what comes out must be what went in.
"""
import os
import subprocess
import threading
import time

import formats

TIMEOUT = 60


def feed(fd, data, sizes):
    """Writes until the end or until the reader has gone; `sizes` yields lengths and pauses."""
    at = 0
    try:
        while at < len(data):
            n, pause = next(sizes)
            at += os.write(fd, data[at : at + n])
            if pause:
                time.sleep(pause)
    except BrokenPipeError:
        pass
    finally:
        os.close(fd)


def take(fd, limit, got):
    """Reads up to `limit` bytes (None: all) and closes."""
    while limit is None or len(got) < limit:
        b = os.read(fd, 65536 if limit is None else min(65536, limit - len(got)))
        if not b:
            break
        got.extend(b)
    os.close(fd)


def one(stress, data, sizes, packed_out, limit):
    """Status, what was read and stderr; None where the run hangs."""
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()
    if limit == 0:
        os.close(out_read)
    p = subprocess.Popen(
        [stress.voxconv, "conv", "-", "--kernel", "identity", "-o", "-", *(["-z", "1"] if packed_out else [])],
        stdin=in_read,
        stdout=out_write,
        stderr=subprocess.PIPE,
        env=stress.env,
    )
    os.close(in_read)
    os.close(out_write)
    got = bytearray()
    threads = [threading.Thread(target=feed, args=(in_write, data, sizes))]
    if limit != 0:
        threads.append(threading.Thread(target=take, args=(out_read, limit, got)))
    for t in threads:
        t.start()
    try:
        _, stderr = p.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        p.kill()
        _, stderr = p.communicate()
        stderr = None
    for t in threads:
        t.join()
    return None if stderr is None else (p.returncode, bytes(got), stderr)


def bytewise(_):
    while True:
        yield 1, 0


def odd(random):
    while True:
        yield random.randrange(1, 200), random.choice((0, 0, 0, 0.0003, 0.001))


def large(_):
    while True:
        yield 65537, 0


def one_line(stderr):
    return stderr.count(b"\n") == 1 and stderr.endswith(b"\n")


def run(stress):
    random, counts = stress.random, {}
    small = formats.volume((7, 6, 5), [random.random() for _ in range(210)])
    big = formats.volume((64, 64, 64), [random.random() for _ in range(64**3)])
    files = {False: (small, big), True: (formats.gzip_file(small)[0], formats.gzip_file(big)[0])}
    rounds = 2 if stress.short else 15
    for packed_in in (False, True):
        for packed_out in (False, True):
            for i in range(rounds):
                label = "%s to %s" % tuple("gzip" if x else "plain" for x in (packed_in, packed_out))
                few, many = files[packed_in]
                for how in (bytewise, odd):
                    result = one(stress, few, how(random), packed_out, None)
                    text = "%s, %s producer" % (label, how.__name__)
                    if stress.check(result, text + ": hangs"):
                        plain = formats.gunzip(result[1]) if packed_out else result[1]
                        stress.check(result[0] == 0 and not result[2], "%s: %s" % (text, result))
                        stress.check(plain == small, text + ": other bytes come out")
                    counts["whole"] = counts.get("whole", 0) + 1
                for data, how in ((few, odd), (many, large)):
                    cut = random.randrange(0, len(data))
                    result = one(stress, data[:cut], how(random), packed_out, None)
                    text = "%s, producer dies after %d of %d bytes" % (label, cut, len(data))
                    if stress.check(result, text + ": hangs"):
                        stress.check(result[0] == 3 and one_line(result[2]), "%s: %s %s" % (text, result[0], result[2]))
                    counts["producer dies"] = counts.get("producer dies", 0) + 1
                for limit in (0, 1, random.randrange(2, 300000)):
                    result = one(stress, many, large(random), packed_out, limit)
                    text = "%s, consumer goes after %d bytes" % (label, limit)
                    if stress.check(result, text + ": hangs"):
                        stress.check(result[0] == 141 and not result[2], "%s: %s %s" % (text, result[0], result[2]))
                        stress.check(packed_out or result[1] == big[: len(result[1])], text + ": other bytes")
                    counts["consumer goes"] = counts.get("consumer goes", 0) + 1
    print("pipes: " + ", ".join("%s %d" % c for c in counts.items()))
    stress.cases += sum(counts.values())
