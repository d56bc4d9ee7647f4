#!/usr/bin/env python3
"""Feeds rkt archives that are small and want much: memory, disk, time.

Usage: bombs.py RKT [NAME... | -NAME...]       (-NAME: all but these)

Each must be refused (or, where it is only odd, taken) within a time, with no process of rkt over the ceiling of memory,
nothing left behind in the store, and a sentinel beside the store unchanged.
"""

import bz2
import gzip
import io
import os
import pathlib
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib

MEGABYTES = 400  # of the largest process: 256 are what an unpacking process may have
SECONDS = 60
MANIFEST = (b'{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/bomb","labels":'
            b'[{"name":"os","value":"linux"},{"name":"arch","value":"amd64"}]}')
END = bytes(1024)


def header(name, size=0, kind=b"0", size_field=None, **fields):
    entry = tarfile.TarInfo(name)
    entry.size = size if size_field is None else 0
    entry.type = kind
    for field, value in fields.items():
        setattr(entry, field, value)
    block = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    if size_field is not None:
        block[124:136] = size_field
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data):
    return data + bytes(-len(data) % 512)


def entry(name, data=b"", kind=b"0", **fields):
    return header(name, len(data), kind, **fields) + padded(data)


def pax(**records):
    text = b""
    for key, value in records.items():
        rest = b" " + key.encode().replace(b"__", b".") + b"=" + value + b"\n"
        length = len(rest)
        while len(b"%d" % length) + len(rest) != length:
            length = len(b"%d" % length) + len(rest)
        text += b"%d" % length + rest
    return entry("pax", text, b"x")


def base256(value):
    return b"\x80" + value.to_bytes(11, "big")


START = entry("manifest", MANIFEST) + entry("rootfs", kind=b"5")
ZEROS = 1 << 20


def zeros(megabytes):
    """A tar with one file of zeros, in pieces."""
    yield START + header("rootfs/zeros", megabytes << 20)
    for _ in range(megabytes):
        yield bytes(ZEROS)
    yield END


def compressed(pieces, compressor):
    return b"".join(compressor.compress(piece) for piece in pieces) + compressor.flush()


def piped(pieces, *command):
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if os.fork() == 0:
        for piece in pieces:
            process.stdin.write(piece)
        process.stdin.flush()
        os._exit(0)
    process.stdin.close()
    data = process.stdout.read()
    process.wait()
    os.wait()
    return data


def many(count):
    """Tiny entries."""
    block = entry("rootfs/x")
    return [START, block * count, END]


def sparse_map(count):
    """A sparse file whose map says it has 10^9 entries, and has `count` of them."""
    text = b"1000000000\n" + b"".join(b"%d\n1\n" % (index * 10) for index in range(count))
    return START + pax(GNU__sparse__major=b"1", GNU__sparse__minor=b"0", GNU__sparse__name=b"rootfs/x",
                       GNU__sparse__realsize=b"10000000000") + entry("rootfs/x", text) + END


# Each gives the bytes of an image, and the word of the refusal; None when it is to be taken.
BOMBS = {
    "gzip": lambda: (compressed(zeros(1300), zlib.compressobj(9, wbits=31)), "200 times its size"),
    "bzip2": lambda: (compressed(zeros(1300), bz2.BZ2Compressor()), "200 times its size"),
    "xz": lambda: (piped(zeros(1300), "xz", "-0", "-T2"), "200 times its size"),
    "zstd": lambda: (piped(zeros(1300), "zstd", "-1", "-c"), "200 times its size"),
    "gzip-in-gzip": lambda: (gzip.compress(compressed(zeros(1300), zlib.compressobj(9, wbits=31))), ""),
    "zstd-window": lambda: (piped(zeros(64), "zstd", "-c", "--ultra", "--long=31"), ""),
    "xz-dictionary": lambda: (piped(zeros(64), "xz", "--lzma2=preset=0,dict=1536MiB"), "256 MiB of memory"),
    "gzip-members": lambda: (gzip.compress(START + END) + gzip.compress(b"") * 1_000_000, None),
    "petabyte": lambda: (START + header("rootfs/x", size_field=base256(1 << 50)) + END, ""),
    "petabyte-octal": lambda: (START + header("rootfs/x", size_field=b"777777777777") + END, ""),
    "exabytes": lambda: (START + header("rootfs/x", size_field=base256((1 << 63) - 1)) + END, ""),
    "negative": lambda: (START + header("rootfs/x", size_field=b"\xff" * 12) + END, ""),
    "sparse-size": lambda: (START + pax(GNU__sparse__major=b"0", GNU__sparse__minor=b"1", GNU__sparse__name=b"rootfs/x",
                                        GNU__sparse__realsize=b"1125899906842624", GNU__sparse__map=b"0,1")
                            + entry("rootfs/x", b"1") + END, "too large"),
    "sparse-map": lambda: (sparse_map(2_000_000), ""),
    "pax-header": lambda: (START + header("pax", 64 << 20, b"x") + bytes(64 << 20) + END, ""),
    "pax-record": lambda: (START + pax(path=b"rootfs/" + b"x" * (8 << 20)) + entry("rootfs/x") + END, ""),
    "long-name": lambda: (START + header("././@LongLink", 64 << 20, b"L") + b"x" * (64 << 20) + END, ""),
    "attribute": lambda: (START + pax(SCHILY__xattr__user__x=b"v" * (4 << 20)) + entry("rootfs/x") + END, ""),
    "attributes": lambda: (START + pax(**{f"SCHILY__xattr__user__x{index}": b"v" * 40 for index in range(12_000)})
                           + entry("rootfs/x") + END, ""),
    "acl": lambda: (START + pax(SCHILY__acl__access=b"user::rwx," + b",".join(b"user:%d:rwx" % user
                                for user in range(20_000))) + entry("rootfs/x") + END, ""),
    "deep": lambda: (START + entry("rootfs/" + "d/" * 2000, kind=b"5") + END, "too deep"),
    "deep-by-links": lambda: (START + deep_by_links() + END, "links make its path too deep"),
    "entries": lambda: (compressed(many(2_100_000), zlib.compressobj(1, wbits=31)), ""),
    "directories": lambda: (compressed([START, *(entry(f"rootfs/{index:07}", kind=b"5") for index in range(50_000)),
                                        END], zlib.compressobj(1, wbits=31)), None),
}


def deep_by_links():
    path, data = "rootfs/" + "d/" * 200, b""
    for index in range(30):
        data += entry(path, kind=b"5")
        data += entry(f"rootfs/l{index}", kind=b"2", linkname=path[len("rootfs"):] if index == 0
                      else f"/l{index - 1}/" + "d/" * 200)
        path = f"rootfs/l{index}/" + "d/" * 200
    return data


def tree(root):
    return {str(path): (path.lstat().st_mode, path.lstat().st_size, path.lstat().st_mtime_ns)
            for path in sorted(root.rglob("*"))}


def measured(command):
    """Status, output, seconds, and the megabytes of the largest process. In a child, which has no others."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        begin = time.monotonic()
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
        with open(into, "wb") as file:
            file.write(b"%d %f %d\n" % (done.returncode, time.monotonic() - begin, peak) + done.stdout)
        os._exit(0)
    os.close(into)
    with open(out, "rb") as file:
        first, text = file.read().split(b"\n", 1)
    os.waitpid(child, 0)
    status, seconds, peak = first.split()
    return int(status), text.decode(errors="replace").strip(), float(seconds), int(peak)


def explode(rkt, name, work):
    data, word = BOMBS[name]()
    bomb = work / "bomb"
    bomb.write_bytes(data)
    size, data = len(data), None
    (work / "outside").mkdir()
    (work / "outside/file").write_text("untouched")
    before = tree(work / "outside")
    status, text, seconds, peak = measured([rkt, f"--dir={work}/data", "--insecure-options=image", "fetch", bomb])
    complaints = []
    if (status == 0) != (word is None):
        complaints.append("was taken" if status == 0 else "was refused")
    if status < 0 or "Fatal" in text or "terminated" in text:
        complaints.append("crashed rkt")
    if word and word not in text:
        complaints.append(f"was refused without the words {word!r}")
    if peak > MEGABYTES:
        complaints.append(f"had {peak} MB")
    if seconds > SECONDS:
        complaints.append("took too long")
    if tree(work / "outside") != before:
        complaints.append("changed what is outside")
    left = [name for place in ("data/tmp", "data/store/tmp", "data/images/tmp") if (work / place).is_dir()
            for name in os.listdir(work / place)]
    if left:
        complaints.append(f"left {left[:3]}")
    print(f"{'FAILED' if complaints else 'ok':7} {name:16} {size / 1e6:8.2f} MB, {seconds:5.1f} s, {peak:4} MB: {text[-150:]}")
    return [f"{name}: {complaint}: {text[-300:]}" for complaint in complaints]


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        return 2
    without = {name[1:] for name in sys.argv[2:] if name.startswith("-")}
    names = [name for name in sys.argv[2:] if not name.startswith("-")] or [name for name in BOMBS if name not in without]
    complaints = []
    for name in names:
        work = pathlib.Path(tempfile.mkdtemp(prefix="rkt-bombs-"))
        try:
            complaints += explode(sys.argv[1], name, work)
        finally:
            # Python's own removal gives up in a deep tree.
            subprocess.run(["rm", "-rf", work], check=True)
    print("\n".join(complaints), file=sys.stderr)
    print(f"{len(names)} bombs, {len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
