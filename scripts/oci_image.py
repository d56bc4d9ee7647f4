#!/usr/bin/env python3
"""Packs directories as container images: OCI layouts, `docker save` tars and appc images (ACI).

The same input gives the same bytes: entries are sorted, times fixed, owners numeric. Only the standard library
is used, and nothing of this project's own code: the test images must not share its mistakes.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import tarfile

# 2025-01-01, for every file and for each image's "created".
TIME = 1735689600
CREATED = "2025-01-01T00:00:00Z"

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"


def json_bytes(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def add_tree(tar, root, prefix):
    """Adds all below root, sorted, parents first. Files with the same inode become hard links."""
    linked = {}
    for path in sorted(pathlib.Path(root).rglob("*")):
        name = prefix + str(path.relative_to(root))
        entry = tar.gettarinfo(path, arcname=name)
        entry.mtime = TIME
        entry.uname = entry.gname = ""
        status = path.lstat()
        # tarfile's own idea of hard links depends on the order of the directory.
        if entry.type in (tarfile.REGTYPE, tarfile.LNKTYPE):
            first = linked.setdefault((status.st_dev, status.st_ino), name)
            if first != name:
                entry.type, entry.linkname, entry.size = tarfile.LNKTYPE, first, 0
            else:
                entry.type, entry.linkname, entry.size = tarfile.REGTYPE, "", status.st_size
        if entry.isreg():
            with open(path, "rb") as content:
                tar.addfile(entry, content)
        else:
            tar.addfile(entry)


def add_bytes(tar, name, data):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = len(data), TIME, 0o644
    tar.addfile(entry, io.BytesIO(data))


def add_directory(tar, name):
    entry = tarfile.TarInfo(name)
    entry.type, entry.mtime, entry.mode = tarfile.DIRTYPE, TIME, 0o755
    tar.addfile(entry)


def tar_of(fill):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.GNU_FORMAT) as tar:
        fill(tar)
    return data.getvalue()


def image_config(options, layers):
    """The image configuration, which OCI and Docker share."""
    return {
        "architecture": options.architecture,
        "os": "linux",
        "created": CREATED,
        "config": json.loads(pathlib.Path(options.config).read_text()),
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha256(layer) for layer in layers]},
        "history": [{"created": CREATED, "created_by": f"layer {number}"} for number in range(1, len(layers) + 1)],
    }


def layer_tars(options):
    return [tar_of(lambda tar, root=root: add_tree(tar, root, "")) for root in options.layer]


def oci_files(options):
    """The files of an OCI layout, by name."""
    files = {"oci-layout": json_bytes({"imageLayoutVersion": "1.0.0"})}

    def add_blob(media_type, data):
        files["blobs/sha256/" + sha256(data)] = data
        return {"mediaType": media_type, "digest": "sha256:" + sha256(data), "size": len(data)}

    layers = layer_tars(options)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": add_blob(CONFIG_TYPE, json_bytes(image_config(options, layers))),
        "layers": [add_blob(LAYER_TYPE, gzip.compress(layer, 6, mtime=0)) for layer in layers],
    }
    descriptor = add_blob(MANIFEST_TYPE, json_bytes(manifest))
    descriptor["annotations"] = {"org.opencontainers.image.ref.name": options.tag}
    descriptor["platform"] = {"architecture": options.architecture, "os": "linux"}
    files["index.json"] = json_bytes({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [descriptor]})
    return files


def make_oci(options):
    files = oci_files(options)
    shutil.rmtree(options.output, ignore_errors=True)
    for name, data in files.items():
        path = pathlib.Path(options.output, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def make_oci_tar(options):
    def fill(tar):
        add_directory(tar, "blobs")
        add_directory(tar, "blobs/sha256")
        for name, data in sorted(oci_files(options).items()):
            add_bytes(tar, name, data)

    pathlib.Path(options.output).write_bytes(tar_of(fill))


def make_docker(options):
    """As `docker save` wrote it before it wrote OCI layouts: what old archives look like."""
    layers = layer_tars(options)
    config = json_bytes(image_config(options, layers))
    repository, tag = options.tag.rsplit(":", 1)

    def fill(tar):
        names, parent = [], ""
        for layer in layers:
            identity = sha256((parent + sha256(layer)).encode())
            legacy = {"id": identity, "created": CREATED, "os": "linux"}
            if parent:
                legacy["parent"] = parent
            add_directory(tar, identity)
            add_bytes(tar, identity + "/VERSION", b"1.0")
            add_bytes(tar, identity + "/json", json_bytes(legacy))
            add_bytes(tar, identity + "/layer.tar", layer)
            names.append(identity + "/layer.tar")
            parent = identity
        add_bytes(tar, sha256(config) + ".json", config)
        manifest = [{"Config": sha256(config) + ".json", "RepoTags": [options.tag], "Layers": names}]
        add_bytes(tar, "manifest.json", json_bytes(manifest))
        add_bytes(tar, "repositories", json_bytes({repository: {tag: parent}}))

    pathlib.Path(options.output).write_bytes(tar_of(fill))


def make_aci(options):
    def fill(tar):
        add_bytes(tar, "manifest", json_bytes(json.loads(pathlib.Path(options.manifest).read_text())))
        add_directory(tar, "rootfs")
        add_tree(tar, options.rootfs, "rootfs/")

    pathlib.Path(options.output).write_bytes(tar_of(fill))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    formats = parser.add_subparsers(dest="format", required=True)
    for name, make, what, tag in (
        ("oci", make_oci, "an OCI layout, as a directory", "latest"),
        ("oci-tar", make_oci_tar, "an OCI layout, as a tar", "latest"),
        ("docker", make_docker, "a tar like `docker save` makes", "image:latest"),
    ):
        command = formats.add_parser(name, help=what, description=what)
        command.add_argument("output")
        command.add_argument("--config", required=True, help="JSON: Entrypoint, Cmd, Env and so on")
        command.add_argument("--layer", action="append", required=True, metavar="DIRECTORY",
                             help="from the lowest up; a file .wh.NAME is a whiteout")
        command.add_argument("--tag", default=tag, help="default: %(default)s")
        command.add_argument("--architecture", default="amd64", help="default: %(default)s")
        command.set_defaults(make=make)
    command = formats.add_parser("aci", help="an appc image", description="an appc image, not compressed")
    command.add_argument("output")
    command.add_argument("--manifest", required=True, help="the image manifest, JSON")
    command.add_argument("--rootfs", required=True)
    command.set_defaults(make=make_aci)
    options = parser.parse_args()
    os.umask(0o022)
    options.make(options)


if __name__ == "__main__":
    main()
