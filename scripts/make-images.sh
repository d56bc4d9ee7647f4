#!/usr/bin/env bash
# Makes the images that tests and demonstrations run, from Debian's own packages and with no registry.
set -euo pipefail

usage() {
    cat <<'END'
Usage: make-images.sh OUTDIR

Makes in OUTDIR, unless they are there already:

  redis.oci               OCI layout, directory: redis-server as the user redis, port 6379; three layers with
                          a whiteout and an opaque directory
  redis-client.oci.tar    OCI layout, tar: waits for redis at 127.0.0.1, writes, reads, says what it saw, ends
  nginx.oci               OCI layout, directory: nginx with one page, port 80, log on its standard error
  nginx-dev-stdout.oci    the same, but it opens /dev/stdout and /dev/stderr as the usual nginx image does
  busybox.docker.tar      what `docker save` writes
  busybox.aci             appc image; and the same as .aci.gz, .aci.bz2 and .aci.xz

The packages are cached in .build/images of this clone (RKT_IMAGES_CACHE overrides it). For the same versions of
the packages every digest is the same.
END
}

source_directory=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
cache=${RKT_IMAGES_CACHE:-$source_directory/../.build/images}
suite=trixie
packages=(busybox-static nginx-light redis-server redis-tools)

die() {
    printf 'make-images: %s\n' "$*" >&2
    exit 1
}

main() {
    case ${1:-} in
        -h | --help) usage; return ;;
        '' | -*) usage >&2; return 2 ;;
    esac
    local outdir=$1 recipe tool
    ((EUID == 0)) || die 'must be run as root: files in images have owners'
    for tool in mmdebstrap python3 bzip2 gzip xz flock; do
        command -v "$tool" >/dev/null || die "missing: $tool (scripts/install-dependencies.sh installs all)"
    done
    mkdir -p "$outdir" "$cache"
    outdir=$(cd "$outdir" && pwd)
    exec 9>"$outdir/.lock"
    flock 9
    recipe=$(cat "$source_directory/make-images.sh" "$source_directory/oci_image.py" | sha256sum)
    [[ $(cat "$outdir/.recipe" 2>/dev/null) != "$recipe" ]] || return 0

    get_packages
    work=$(mktemp -d "$outdir/.work.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    architecture=$(dpkg --print-architecture)
    make_busybox
    make_redis
    make_redis_client
    make_nginx
    publish "$outdir"
    echo "$recipe" >"$outdir/.recipe"
}

# Unpacked, never configured: only files are taken from them. Sets `tree`.
get_packages() {
    local mirror digest
    digest=$(echo "$suite ${packages[*]}" | sha256sum)
    tree=$cache/packages-${digest:0:12}
    exec 8>"$cache/lock"
    flock 8
    if [[ ! -d $tree ]]; then
        # The mirror that this host's own apt uses, whatever its name.
        # shellcheck disable=SC2016 # apt expands it
        mirror=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Identifier: Packages' |
            awk -F'|' '$1 == "Debian" && $2 == "Debian" { print $3; exit }')
        [[ -n $mirror ]] || die 'apt knows no Debian mirror here (apt-get update first?)'
        rm -rf "$cache/partial"
        mmdebstrap --quiet --mode=root --variant=extract --include="$(IFS=,; echo "${packages[*]}")" \
            --aptopt='Acquire::Check-Valid-Until "false"' "$suite" "$cache/partial" "$mirror"
        # The links that Debian's base-files would bring.
        local directory
        for directory in bin sbin lib lib64; do
            [[ ! -d $cache/partial/usr/$directory || -e $cache/partial/$directory ]] ||
                ln -s "usr/$directory" "$cache/partial/$directory"
        done
        mv -T "$cache/partial" "$tree"
    fi
    exec 8>&-
}

# put_program ROOT PROGRAM...: copies programs with the libraries that the loader says they need.
put_program() {
    local root=$1 program library
    shift
    # As Debian has it, so that a program finds its loader in /lib64.
    mkdir -p "$root"/usr/{bin,sbin,lib,lib64}
    for library in bin sbin lib lib64; do
        [[ -L $root/$library ]] || ln -s "usr/$library" "$root/$library"
    done
    for program; do
        cp -L "$tree$program" "$root$program"
        # Both "libc.so.6 => /lib/.../libc.so.6 (0x...)" and "/lib64/ld-linux-x86-64.so.2 (0x...)".
        while read -r library; do
            mkdir -p "$root$(dirname "$library")"
            [[ -e $root$library ]] || cp -L "$tree$library" "$root$library"
        done < <(chroot "$tree" "$(loader_of "$program")" --list "$program" | grep -o '/[^ ]*')
    done
}

loader_of() {
    python3 - "$tree$1" <<'END'
import re, sys
# The interpreter is the one string of an ELF file that looks like this.
print(re.search(rb"/lib[\w/.-]*/ld-linux[\w.-]*", open(sys.argv[1], "rb").read()).group().decode())
END
}

# put_users ROOT [USER UID HOME]
put_users() {
    local root=$1
    mkdir -p "$root/etc"
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n' >"$root/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
    if [[ $# -gt 1 ]]; then
        printf '%s:x:%s:%s::%s:/bin/false\n' "$2" "$3" "$3" "$4" >>"$root/etc/passwd"
        printf '%s:x:%s:\n' "$2" "$3" >>"$root/etc/group"
    fi
    mkdir -p "$root/root" "$root/tmp"
    chmod 700 "$root/root"
    chmod 1777 "$root/tmp"
}

put_busybox() {
    local root=$1 applet
    mkdir -p "$root/bin"
    cp -L "$tree/usr/bin/busybox" "$root/bin/busybox"
    for applet in $("$root/bin/busybox" --list); do
        [[ -e $root/bin/$applet ]] || ln -s busybox "$root/bin/$applet"
    done
}

pack() {
    "$source_directory/oci_image.py" "$@"
}

make_busybox() {
    local root=$work/busybox version
    put_busybox "$root"
    put_users "$root"
    mkdir -p "$root"/{dev,proc,sys,run,var}
    ln -s /run "$root/var/run"
    mkdir -p "$work/busybox-2/etc"
    printf 'ID=busybox\nNAME=BusyBox\n' >"$work/busybox-2/etc/os-release"
    cat >"$work/busybox.json" <<'END'
{ "Cmd": ["/bin/sh"], "Env": ["PATH=/bin"], "WorkingDir": "/" }
END
    pack docker "$work/busybox.docker.tar" --architecture "$architecture" --tag busybox:latest \
        --config "$work/busybox.json" --layer "$root" --layer "$work/busybox-2"

    cp "$work/busybox-2/etc/os-release" "$root/etc/"
    version=$("$root/bin/busybox" | sed -n '1s/^BusyBox v\([0-9.]*\).*/\1/p')
    cat >"$work/busybox.manifest" <<END
{
  "acKind": "ImageManifest",
  "acVersion": "0.8.11",
  "name": "example.com/busybox",
  "labels": [
    { "name": "version", "value": "$version" },
    { "name": "os", "value": "linux" },
    { "name": "arch", "value": "$architecture" }
  ],
  "app": {
    "exec": ["/bin/sh"],
    "user": "0",
    "group": "0",
    "workingDirectory": "/",
    "environment": [ { "name": "PATH", "value": "/bin" } ]
  },
  "annotations": [ { "name": "created", "value": "2025-01-01T00:00:00Z" } ]
}
END
    pack aci "$work/busybox.aci" --manifest "$work/busybox.manifest" --rootfs "$root"
    gzip --no-name --stdout "$work/busybox.aci" >"$work/busybox.aci.gz"
    bzip2 --stdout "$work/busybox.aci" >"$work/busybox.aci.bz2"
    xz --threads=1 --stdout "$work/busybox.aci" >"$work/busybox.aci.xz"
}

make_redis() {
    local root=$work/redis
    put_program "$root-1" /usr/bin/redis-server
    put_users "$root-1" redis 999 /data
    mkdir -p "$root-1/usr/share/redis/old" "$root-1"/{dev,proc,sys,run}
    echo 'A whiteout of layer 2 takes this away.' >"$root-1/usr/share/redis/removed"
    echo 'An opaque directory of layer 3 takes this away.' >"$root-1/usr/share/redis/old/hidden"

    mkdir -p "$root-2/etc/redis" "$root-2/data" "$root-2/usr/share/redis"
    cat >"$root-2/etc/redis/redis.conf" <<'END'
# In a container: in the foreground, to standard output, for whoever reaches the pod's network.
bind * -::*
protected-mode no
port 6379
daemonize no
logfile ""
dir /data
save 60 1
END
    chown 999:999 "$root-2/data"
    : >"$root-2/usr/share/redis/.wh.removed"

    mkdir -p "$root-3/usr/share/redis/old"
    : >"$root-3/usr/share/redis/old/.wh..wh..opq"
    echo 'What is left.' >"$root-3/usr/share/redis/old/shown"
    cat >"$root.json" <<'END'
{
  "User": "redis",
  "ExposedPorts": { "6379/tcp": {} },
  "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C"],
  "Entrypoint": ["/usr/bin/redis-server"],
  "Cmd": ["/etc/redis/redis.conf"],
  "WorkingDir": "/data",
  "Volumes": { "/data": {} },
  "StopSignal": "SIGTERM",
  "Labels": { "org.opencontainers.image.title": "redis" }
}
END
    pack oci "$root.oci" --architecture "$architecture" --config "$root.json" \
        --layer "$root-1" --layer "$root-2" --layer "$root-3"
}

make_redis_client() {
    local root=$work/redis-client
    put_program "$root-1" /usr/bin/redis-cli
    put_busybox "$root-1"
    put_users "$root-1"
    mkdir -p "$root-1"/{dev,proc,sys,run} "$root-2/usr/bin"
    cat >"$root-2/usr/bin/redis-demo" <<'END'
#!/bin/sh
# Waits for the pod's redis, writes, reads, and says what it saw.
set -eu
redis() { redis-cli -h "${REDIS_HOST:-127.0.0.1}" -p "${REDIS_PORT:-6379}" "$@"; }

tries=200
until [ "$(redis ping 2>/dev/null)" = PONG ]; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || { echo 'redis-demo: no redis answers' >&2; exit 1; }
    usleep 50000
done
redis set greeting "hello from $(hostname)" >/dev/null
echo "redis-demo: read back: $(redis get greeting)"
echo "redis-demo: visit number $(redis incr visits)"
END
    chmod 755 "$root-2/usr/bin/redis-demo"
    cat >"$root.json" <<'END'
{
  "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
  "Entrypoint": ["/usr/bin/redis-demo"],
  "WorkingDir": "/"
}
END
    pack oci-tar "$root.oci.tar" --architecture "$architecture" --config "$root.json" \
        --layer "$root-1" --layer "$root-2"
}

make_nginx() {
    local root=$work/nginx
    put_program "$root-1" /usr/sbin/nginx
    put_users "$root-1" www-data 33 /var/www
    mkdir -p "$root-1"/{dev,proc,sys,run,var/lib/nginx,var/log/nginx,etc/nginx}
    cp "$tree/etc/nginx/mime.types" "$root-1/etc/nginx/"

    mkdir -p "$root-2/etc/nginx" "$root-2/var/www/html"
    echo '<!doctype html><title>nginx</title><p>nginx in a pod' >"$root-2/var/www/html/index.html"
    # `stderr` is the open file; /dev/stderr opens it anew, which fails where it is a socket (as the journal is).
    nginx_configuration 'off' 'stderr notice' >"$root-2/etc/nginx/nginx.conf"
    cat >"$root.json" <<'END'
{
  "ExposedPorts": { "80/tcp": {} },
  "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
  "Entrypoint": ["/usr/sbin/nginx"],
  "Cmd": ["-e", "stderr", "-g", "daemon off;"],
  "StopSignal": "SIGQUIT"
}
END
    pack oci "$root.oci" --architecture "$architecture" --config "$root.json" --layer "$root-1" --layer "$root-2"

    mkdir -p "$root-3/etc/nginx" "$root-3/var/log/nginx"
    nginx_configuration '/var/log/nginx/access.log' '/var/log/nginx/error.log notice' >"$root-3/etc/nginx/nginx.conf"
    ln -s /dev/stdout "$root-3/var/log/nginx/access.log"
    ln -s /dev/stderr "$root-3/var/log/nginx/error.log"
    sed -i 's/"-e", "stderr", //' "$root.json"
    pack oci "$root-dev-stdout.oci" --architecture "$architecture" --config "$root.json" \
        --layer "$root-1" --layer "$root-2" --layer "$root-3"
}

nginx_configuration() {
    cat <<END
user www-data;
worker_processes 1;
pid /run/nginx.pid;
error_log $2;
events { worker_connections 128; }
http {
    include mime.types;
    access_log $1;
    server {
        listen 80;
        root /var/www/html;
    }
}
END
}

# Whole images only: each is moved into place.
publish() {
    local outdir=$1 image
    for image in "$work"/*.oci "$work"/*.tar "$work"/*.aci "$work"/*.aci.*; do
        rm -rf "${outdir:?}/${image##*/}"
        mv "$image" "$outdir/"
    done
}

main "$@"
