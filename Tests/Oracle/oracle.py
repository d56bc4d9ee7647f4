#!/usr/bin/env python3
"""Compares unpacked layers with what the distribution's own tools make of them, entry by entry.

Usage: oracle.py make DIRECTORY               writes the layers, as images of an OCI layout DIRECTORY/layout
       oracle.py compare DIRECTORY LAYERS     LAYERS has a directory per layer, named after its diff ID

`compare` unpacks the same images with `tar` (one layer) and `umoci` (all layers of an image) and prints every
difference in type, mode, owner, size, content, holes, time, target, links to the same file, device and attributes.
Layers of one image are seen through overlayfs, as a pod sees them. Must run as root.
"""

import argparse
import hashlib
import json
import os
import pathlib
import stat
import subprocess
import sys

import layers

# What rkt sets of an image's attributes; the others are of the host that made it.
KEPT = ("security.capability", "system.posix_acl_access", "system.posix_acl_default")


def blob(layout, data):
    """Writes a blob of a layout and returns its digest's hex part."""
    name = hashlib.sha256(data).hexdigest()
    (layout / "blobs/sha256" / name).write_bytes(data)
    return name


def descriptor(layout, kind, data, **more):
    name = blob(layout, data)
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{name}", "size": len(data), **more}


def make(directory):
    layout = directory / "layout"
    (layout / "blobs/sha256").mkdir(parents=True)
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    manifests, images = [], {}
    for image in layers.all_images(directory / "work"):
        tars = image.tars
        diffs = [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in tars]
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
        config = {"architecture": machine, "os": "linux", "config": {"Cmd": ["/x"]},
                  "rootfs": {"type": "layers", "diff_ids": diffs}, "history": [{"created_by": "oracle"} for _ in tars]}
        manifest = {
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor(layout, "config.v1+json", json.dumps(config).encode()),
            "layers": [descriptor(layout, "layer.v1.tar", data) for data in tars]}
        manifests.append(descriptor(layout, "manifest.v1+json", json.dumps(manifest).encode(),
                                    annotations={"org.opencontainers.image.ref.name": image.name}))
        images[image.name] = {"layers": [diff.split(":")[1] for diff in diffs], "judges": image.judges,
                              "ignore": image.ignore}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": manifests}))
    (directory / "images.json").write_text(json.dumps(images))
    print("\n".join(images))


# --- looking at a tree


def extents(path, size):
    """Where a file has data, in whole pages."""
    found, place = [], 0
    with open(path, "rb") as file:
        while place < size:
            try:
                start = os.lseek(file.fileno(), place, os.SEEK_DATA)
            except OSError:
                break
            place = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            found.append((start // 4096, (place + 4095) // 4096))
    return found


def content(path, size, pages):
    """The hash of a file; of a very large one, of where it has data."""
    with open(path, "rb") as file:
        if size < 64 << 20:
            return hashlib.sha256(file.read()).hexdigest()
        known = hashlib.sha256()
        for start, end in pages:
            file.seek(start * 4096)
            known.update(file.read((end - start) * 4096))
        return known.hexdigest()


def attributes(path):
    names = os.listxattr(path, follow_symlinks=False)
    return {name: os.getxattr(path, name, follow_symlinks=False).hex() for name in sorted(names)
            if name in KEPT or (name.startswith("user.") and not name.startswith("user.overlay."))}


def describe(path):
    status = os.lstat(path)
    kind = stat.S_IFMT(status.st_mode)
    entry = {"type": oct(kind), "mode": oct(stat.S_IMODE(status.st_mode)), "uid": status.st_uid, "gid": status.st_gid,
             "mtime": status.st_mtime_ns, "attributes": attributes(path)}
    if kind == stat.S_IFREG:
        entry["size"] = status.st_size
        entry["extents"] = extents(path, status.st_size)
        entry["content"] = content(path, status.st_size, entry["extents"])
    elif kind == stat.S_IFLNK:
        entry["target"] = os.readlink(path).hex()
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        entry["device"] = status.st_rdev
    return entry, (status.st_dev, status.st_ino), status.st_nlink


def look(root):
    """Everything below a directory, by path."""
    root = os.fsencode(root)
    found, links = {}, {}
    places = [b"."]
    while places:
        place = places.pop()
        path = os.path.join(root, place)
        entry, inode, count = describe(path)
        found[place] = entry
        if entry["type"] == oct(stat.S_IFDIR):
            places += [os.path.normpath(os.path.join(place, name)) for name in os.listdir(path)]
        elif count > 1:
            links.setdefault(inode, []).append(place)
    for names in links.values():
        for name in names:
            found[name]["links"] = sorted(other.hex() for other in names)
    return found


# --- comparing


def differences(name, judge, ours, theirs, ignore):
    for path in sorted(set(ours) | set(theirs)):
        shown = path.decode("utf-8", "backslashreplace")
        if path not in ours or path not in theirs:
            yield f"{name}: {shown}: only {judge if path not in ours else 'rkt'} has it"
            continue
        skipped = ignore.get(shown, []) + ignore.get(f"{judge} {shown}", [])
        for key in sorted(set(ours[path]) | set(theirs[path])):
            mine, other = ours[path].get(key), theirs[path].get(key)
            # umoci writes holes as zeros, and overlayfs does not tell where they are.
            if mine != other and key not in skipped and not (judge == "umoci" and key == "extents"):
                yield f"{name}: {shown}: {key}: rkt has {mine}, {judge} {other}"


def run(*command):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {result.stdout.decode(errors='replace')}")


def merged(work, roots):
    """The layers of an image as a pod sees them; listed by a child in whose mount namespace they are mounted."""
    (work / "empty").mkdir(exist_ok=True)
    (work / "merged").mkdir(exist_ok=True)
    lower = ":".join(str(root) for root in [*reversed(roots), work / "empty"])
    script = 'mount -t overlay overlay -o "lowerdir=$1" "$2" && exec "$3" "$4" look "$2"'
    result = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", lower, work / "merged",
         sys.executable, __file__], stdout=subprocess.PIPE, check=True)
    return {bytes.fromhex(path): entry for path, entry in json.loads(result.stdout).items()}


def as_json(tree):
    return {path.hex(): entry for path, entry in tree.items()}


def compare(directory, unpacked):
    images = json.loads((directory / "images.json").read_text())
    found, compared = [], 0
    for name, image in images.items():
        work = directory / "judged" / name
        work.mkdir(parents=True)
        roots = [unpacked / layer for layer in image["layers"]]
        if "tar" in image["judges"]:
            (work / "tar").mkdir()
            run("tar", "--extract", "--preserve-permissions", "--numeric-owner", "--acls", "--xattrs",
                "--xattrs-include=*", "--absolute-names", "--directory", work / "tar",
                "--warning=no-timestamp", "--file", directory / "layout/blobs/sha256" / image["layers"][0])
            ours, theirs = look(roots[0]), look(work / "tar")
            found += differences(name, "tar", ours, theirs, image["ignore"])
            compared += len(theirs)
        if "umoci" in image["judges"]:
            run("umoci", "raw", "unpack", "--image", f"{directory}/layout:{name}", work / "umoci")
            ours = json.loads(json.dumps(as_json(look(roots[0])))) if len(roots) == 1 else None
            ours = {bytes.fromhex(path): entry for path, entry in ours.items()} if ours else merged(work, roots)
            theirs = {bytes.fromhex(path): entry for path, entry in
                      json.loads(json.dumps(as_json(look(work / "umoci")))).items()}
            found += differences(name, "umoci", ours, theirs, image["ignore"])
            compared += len(theirs)
    print("\n".join(found))
    print(f"{len(images)} images, {compared} entries compared, {len(found)} differences", file=sys.stderr)
    return 1 if found or compared == 0 else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("make").add_argument("directory", type=pathlib.Path)
    comparing = commands.add_parser("compare")
    comparing.add_argument("directory", type=pathlib.Path)
    comparing.add_argument("layers", type=pathlib.Path)
    commands.add_parser("look").add_argument("root")
    given = parser.parse_args()
    if given.command == "make":
        return make(given.directory)
    if given.command == "compare":
        return compare(given.directory, given.layers)
    return print(json.dumps(as_json(look(given.root))))


if __name__ == "__main__":
    sys.exit(main())
