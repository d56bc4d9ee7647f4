"""The layers that oracle.py compares: made by GNU tar, bsdtar and by hand, with all that a layer can hold."""

import io
import os
import pathlib
import struct
import subprocess
import tarfile

CAPABILITY = struct.pack("<5I", 0x02000001, 0x400, 0, 0, 0)  # cap_net_bind_service=ep, version 2
LATIN = b"f\xfcr"


class Image:
    """An image of layers, who judges it, and what is not compared: {path, or "JUDGE PATH": [key]}."""

    def __init__(self, name, tars, judges=("tar", "umoci"), ignore=None):
        self.name, self.tars, self.judges, self.ignore = name, tars, judges, ignore or {}


def acl(*entries):
    """An access control list as the kernel has it."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


NOBODY = 0xFFFFFFFF
# What umoci does not do: times after 2262, attributes without a value.
UMOCI = {"umoci setuid": ["mtime"], "umoci empty": ["attributes"]}
# A directory without an entry has the time of its making. GNU tar forgets times of directories whose entries are apart.
ACCESS = acl((1, 6, NOBODY), (2, 4, 1234), (4, 4, NOBODY), (8, 5, 70000), (16, 7, NOBODY), (32, 4, NOBODY))
DEFAULT = acl((1, 7, NOBODY), (2, 6, 4321), (4, 5, NOBODY), (16, 7, NOBODY), (32, 0, NOBODY))


def populate(root, holes=True):
    """A tree with everything that a file system can have and a tar can carry."""
    os.makedirs(root / "links/other")
    os.umask(0)

    def write(name, content=b"content of a file\n", mode=0o644):
        path = os.path.join(os.fsencode(root), os.fsencode(name))
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, mode)
        return path

    write("plain", os.urandom(300_001))
    write("empty", b"")
    write("links/a")
    os.link(root / "links/a", root / "links/other/b")
    os.link(root / "links/a", root / "c")
    os.symlink("a", root / "links/soft")
    os.link(root / "links/soft", root / "links/other/soft-too", follow_symlinks=False)
    os.symlink("/absolute/nowhere", root / "absolute")
    os.symlink("../../../../etc/passwd", root / "upwards")
    os.symlink(b"to-" + LATIN, os.fsencode(root) + b"/latin-" + LATIN)
    for name, mode in [("setuid", 0o4755), ("setgid", 0o2711), ("all", 0o7777), ("none", 0o000), ("read", 0o400)]:
        os.chown(write(name), 1000, 2000)
        os.chmod(root / name, mode)
    for name, mode in [("sticky", 0o1777), ("handed", 0o2775), ("readonly", 0o555), ("closed", 0o000)]:
        os.mkdir(root / name)
        os.chown(root / name, 0, 4242)
        write(f"{name}/file")
        os.mkdir(root / name / "directory")
        os.chmod(root / name, mode)
    os.chown(write("large-owner"), 3_000_000, 4_294_967_294)
    os.mknod(root / "null", 0o020666, os.makedev(1, 3))
    os.mknod(root / "disk", 0o060640, os.makedev(259, 300_000))
    os.mkfifo(root / "pipe", 0o622)
    write(b"latin-" + LATIN + b"-file")
    write("new\nline")
    write("ünicode-\u65e5\u672c")
    write("back\\slash and 'quotes'")
    write("n" * 255)
    deep = "/".join(["d" * 60] * 12)
    os.makedirs(root / deep)
    write(f"{deep}/{'f' * 200}")
    os.symlink("t" * 3000, root / "long-target")
    os.setxattr(root / "empty", "user.without-a-value", b"")
    for index, value in enumerate([b"value", bytes(range(256)), b"x" * 3000]):
        os.setxattr(root / "plain", f"user.number{index}", value)
    os.setxattr(root / "setuid", "security.capability", CAPABILITY)
    os.setxattr(root / "sticky", "user.on-a-directory", b"yes")
    os.setxattr(root / "links/a", "system.posix_acl_access", ACCESS)
    os.setxattr(root / "pipe", "system.posix_acl_access", ACCESS)
    # What lies in it was made before and has inherited nothing.
    os.setxattr(root / "handed", "system.posix_acl_default", DEFAULT)
    os.setxattr(root / "handed", "system.posix_acl_access", ACCESS)
    if holes:
        sparse(root)
    for name, time in [("plain", 1_234_567_890_123_456_789), ("empty", 1), ("setuid", 9_999_999_999_000_000_001),
                       ("links", 987_654_321_000_000_000), ("null", 5), ("sticky", 999_999_999), ("closed", 0)]:
        os.utime(root / name, ns=(time, time))
    os.utime(root / "absolute", ns=(77, 77_000_000_007), follow_symlinks=False)


def sparse(root):
    for name, size, pieces in [("holes", 3 << 20, [0, 1 << 20]), ("end-hole", 1 << 20, [8192]),
                               ("only-a-hole", 5 << 20, []), ("far", 20 << 30, [(20 << 30) - 4096]),
                               ("many", 4 << 20, range(0, 4 << 20, 32768))]:
        with open(root / name, "wb") as file:
            file.truncate(size)
            for piece in pieces:
                file.seek(piece)
                file.write(os.urandom(4096))


def archive(root, *command):
    """What a program writes to its standard output, in a directory."""
    return subprocess.run(command, cwd=root, stdout=subprocess.PIPE, check=True).stdout


def by_programs(work):
    root, small = work / "all", work / "small"
    populate(root)
    populate(small, holes=False)
    plain = ("tar", "--create", "--numeric-owner", "--sort=name")
    tar = (*plain, "--acls", "--xattrs", "--xattrs-include=*")
    # Go's reader takes a sparse file to be one with all its zeros; holes go to GNU tar alone.
    for version in ["0.0", "0.1", "1.0"]:
        yield Image(f"gnu-pax-sparse-{version}",
                    [archive(root, *tar, "--format=posix", "--sparse", f"--sparse-version={version}", ".")], ["tar"])
    yield Image("gnu-old-sparse", [archive(root, *plain, "--format=gnu", "--sparse", ".")], ["tar"])
    yield Image("gnu-pax", [archive(small, *tar, "--format=posix", ".")], ignore=UMOCI)
    yield Image("gnu-gnu", [archive(small, *plain, "--format=gnu", ".")], ignore=UMOCI)
    # What fits the oldest header: no names, numbers and times that are too long.
    names = sorted(name for name in os.listdir(small)
                   if not name.startswith(("d" * 9, "n" * 9, "long", "large", "disk", "setuid")))
    yield Image("gnu-ustar", [archive(small, *plain, "--format=ustar", *names)], ignore={".": ["mtime"]})
    # The directories after what is in them.
    contents = archive(small, "find", ".", "-depth", "-print0")
    listed = subprocess.run([*tar, "--format=posix", "--no-recursion", "--null", "--files-from=-"], cwd=small,
                            input=contents, stdout=subprocess.PIPE, check=True).stdout
    yield Image("directories-last", [listed], ignore=UMOCI)
    yield Image("global-header", [archive(small, *tar, "--format=posix", "--pax-option=globexthdr.name=/g,comment=x", ".")],
                ["tar"])
    apart = {f"tar {name}": ["mtime"] for name in
             ["closed", "handed", "links", "links/other", "readonly", "sticky", "d" * 60]}
    bsdtar = ("bsdtar", "--create", "--file", "-", "--numeric-owner", "--acls", "--xattrs")
    yield Image("bsd-pax", [archive(root, *bsdtar, "--format=pax", ".")], ["tar"], apart)
    yield Image("bsd-gnutar", [archive(small, *bsdtar, "--format=gnutar", ".")], ["tar"], apart)


# --- by hand


class Tar:
    """A tar written entry by entry."""

    def __init__(self, format=tarfile.PAX_FORMAT, **more):
        self.bytes = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.bytes, mode="w", format=format, errors="surrogateescape", **more)

    def add(self, name, content=b"", kind=tarfile.REGTYPE, **fields):
        entry = tarfile.TarInfo(name)
        entry.type, entry.size, entry.mtime, entry.mode = kind, len(content), 1_000_000_000, 0o644
        for field, value in fields.items():
            setattr(entry, field, value)
        self.tar.addfile(entry, io.BytesIO(content))
        return self

    def directory(self, name, **fields):
        return self.add(name, kind=tarfile.DIRTYPE, **{"mode": 0o755, **fields})

    def link(self, name, to, **fields):
        return self.add(name, kind=tarfile.SYMTYPE, linkname=to, **fields)

    def hard(self, name, to):
        return self.add(name, kind=tarfile.LNKTYPE, linkname=to)

    def hide(self, *names):
        for name in names:
            path = pathlib.PurePath(name)
            self.add(str(path.parent / f".wh.{path.name}"))
        return self

    def opaque(self, name):
        return self.add(f"{name}/.wh..wh..opq")

    def done(self):
        self.tar.close()
        return self.bytes.getvalue()


def odd_layers():
    pax = {}
    for name, time in [("half-before", "-1.5"), ("long-ago", "-2000000000.000000001"),
                       ("fine", "1.123456789"), ("far", "10000000000.5"), ("finer", "7.1234567891")]:
        pax[name] = time
    times = Tar()
    for name, time in pax.items():
        times.add(name, pax_headers={"mtime": time})
    yield Image("times", [times.directory("./").done()], ignore={"umoci far": ["mtime"]})
    yield Image("times-gnu", [Tar(tarfile.GNU_FORMAT).directory("./").add("before", mtime=-5)
                              .add("late", mtime=1 << 35).done()], ignore={"umoci late": ["mtime"]})
    yield Image("duplicates", [
        Tar().directory("./").add("file", b"1").add("file", b"22", mode=0o600).add("a", b"x").hard("b", "a")
        .add("a", b"y").link("l", "one").link("l", "two").directory("d", mode=0o700).add("d/x")
        .directory("d", mode=0o750, mtime=5).directory("becomes-file").add("becomes-file/x/y")
        .add("becomes-file", b"z", mtime=9).add("becomes-directory").directory("becomes-directory", mtime=3)
        .link("becomes-directory-too", "d").directory("becomes-directory-too").hard("again", "a").hard("again", "a")
        .done()], ["umoci"], {"becomes-file": ["mtime"], "d": ["mtime"]})
    yield Image("inherits", [
        Tar().directory("./").directory("d", mode=0o2775, gid=77, pax_headers={
            "SCHILY.acl.default": "user::rwx,user:4321:rw-,group::r-x,mask::rwx,other::---",
            "SCHILY.acl.access": "user::rwx,user:99:r--,group::r-x,mask::rwx,other::---"})
        .add("d/file", mode=0o640).directory("d/directory", mode=0o700).link("d/link", "x")
        .add("d/pipe", kind=tarfile.FIFOTYPE).add("d/implied/file").done()], ["tar"],
        {"d/implied": ["mtime"]})
    yield Image("names", [
        Tar().directory("./").add("/absolute").add("./dot/./file").hard("hard", "/absolute").link("lib", "usr/lib")
        .directory("usr/lib").add("a" * 100).add("p" * 155 + "/" + "b" * 100).add("é" * 120).done()], ["umoci"],
        {".": ["mtime"], "dot": ["mtime"], "p" * 155: ["mtime"], "usr": ["mtime"]})
    yield Image("kinds", [Tar().directory("./").add("old", kind=tarfile.AREGTYPE, content=b"old")
                          .add("contiguous", kind=tarfile.CONTTYPE, content=b"c")
                          .add("char", kind=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o620)
                          .add("block", kind=tarfile.BLKTYPE, devmajor=8, devminor=1).done()], ["tar"])


def stacks():
    base = (Tar().directory("./").directory("keep").add("keep/x").directory("d").add("d/old").add("d/also")
            .directory("e").add("e/old").directory("f").add("f/old").add("file").add("gone").directory("gone-too")
            .add("gone-too/x").link("link", "d").directory("g/h/i").add("g/h/i/j").add("linked").hard("linked2", "linked")
            .done())

    def stack(name, *tars, ignore=None):
        return Image(f"stack-{name}", [base, *tars], ["umoci"], ignore)

    changed = {name: ["mtime"] for name in [".", "d", "e", "f", "g", "g/h", "g/h/i", "keep"]}
    yield stack("whiteouts", Tar().directory("./").hide("gone", "gone-too", "never-there", "d/old").done(),
                ignore=changed)
    yield stack("opaque", Tar().directory("d").opaque("d").add("d/new").directory("e").add("e/new").opaque("e").done(),
                ignore=changed)
    yield stack("opaque-first", Tar().opaque("d").directory("d").add("d/new").done(), ignore=changed)
    yield stack("hidden-and-new", Tar().hide("d").directory("d").add("d/new").hide("file").add("file", b"new").done(),
                ignore=changed)
    yield stack("hidden-and-implied", Tar().hide("d").add("d/new").hide("g/h").add("g/h/k/new").done(),
                ignore={**changed, "g/h/k": ["mtime"]})
    yield stack("directory-by-file-by-directory", Tar().add("d").directory("d").add("d/new").done(), ignore=changed)
    yield stack("directory-by-link-by-directory", Tar().link("d", "e").directory("d").add("d/new").done(),
                ignore=changed)
    yield stack("kinds-change", Tar().add("d", b"now a file").directory("file").add("file/x").directory("link")
                .link("gone-too", "/keep").add("keep/x", kind=tarfile.FIFOTYPE).done(), ignore=changed)
    yield stack("through-a-link", Tar().directory("real").link("alias", "real").add("alias/x").done(),
                ignore={**changed, "real": ["mtime"]})
    yield stack("three", Tar().hide("d", "file").done(), Tar().directory("d").add("d/third").add("file", b"3").done(),
                ignore=changed)
    yield stack("whiteout-after-file", Tar().add("file", b"stays").hide("file").directory("e").add("e/new").hide("e")
                .done(), ignore=changed)


def all_images(work):
    yield from by_programs(work)
    yield from odd_layers()
    yield from stacks()
