#!/usr/bin/env bash
# Measures rkt against podman in a test machine, as ratios. Not a test: ends with 0 whatever it finds.
set -euo pipefail

usage() {
    cat <<'END'
Usage: run.sh [OPTION...]

  --suite SUITE   the Debian suite to measure on: bookworm, trixie (default) or forky
  --pairs N       samples of each side, interleaved, after two warm-ups (default: 20)
  --exited N      how many exited pods there are when `rkt list` is measured (default: 200)
  --running N     how many running ones (default: 20)
  --only PART     measure only `pods` or only `images`

Boots a test machine with rkt (of `make build`) and Debian's podman, measures, prints medians, ratios and targets,
and removes the machine. The samples stay in .build/bench/samples-SUITE and samples-images-SUITE. See bench/README.md.

Environment:
  RKT_BUILD    the directory with the built programs (default: .build/release in this clone)
END
}

source_directory=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
machine=$source_directory/Tests/Machine/machine
cache=$source_directory/.build/bench
image=$source_directory/.build/images/busybox.docker.tar
images=$cache/images

# What podman is made of. Those that the machine's tree has already are left out.
packages=(podman conmon crun netavark catatonit golang-github-containers-common isal)

die() {
    printf 'bench: %s\n' "$*" >&2
    exit 1
}

main() {
    local suite=trixie pairs=20 exited=200 running=20 only=all
    while (($# > 0)); do
        case $1 in
            -h | --help) usage; return ;;
            --suite | --pairs | --exited | --running | --only)
                [[ $# -ge 2 ]] || { usage >&2; exit 2; }
                # Sets the variable of the option's name.
                printf -v "${1#--}" '%s' "$2"
                shift 2
                ;;
            *) usage >&2; exit 2 ;;
        esac
    done
    [[ $only =~ ^(all|pods|images)$ ]] || { usage >&2; exit 2; }
    work=$(mktemp -d)
    # Numbers that could not be taken are no failure either: what went wrong has been said.
    trap 'rm -rf "$work"; exit 0' EXIT
    trap 'exit' INT TERM
    ((EUID == 0)) || die 'must be run as root: it boots a test machine'
    [[ -e $image ]] || die "$image is missing: make images"
    mkdir -p "$cache"
    make_root "$suite" "$work/root"
    [[ $only == pods ]] || make_images
    "$machine" with --suite "$suite" --install "$work/root" -- \
        "$0" --inside "$pairs" "$exited" "$running" "$suite" "$only"
}

# What is put over the machine's tree: rkt, and podman with what it needs.
make_root() {
    local suite=$1 root=$2
    make --no-print-directory -C "$source_directory" install DESTDIR="$root" >"$work/install" 2>&1 || {
        tail -n 5 "$work/install" >&2
        die 'rkt cannot be installed: make build'
    }
    get_podman "$suite" || die "podman of $suite cannot be had"
    cp -a "$podman/." "$root/"
    # Hosts with the pids controller on cgroup v1 have none for podman either.
    install -d "$root/etc/containers"
    printf '[containers]\npids_limit = 0\n' >"$root/etc/containers/containers.conf"
}

# The images to fetch, made once, of this host's own files: what is compared fetches the same.
make_images() {
    [[ ! -d $images ]] || return 0
    echo 'bench: making images' >&2
    "$source_directory/bench/make_images.sh" / "$images" || die 'the images cannot be made'
}

# Unpacks podman once per suite; sets `podman`. Only files are taken, none that the machine's tree has: there is
# nothing to configure in these packages.
get_podman() {
    local suite=$1 tree digest
    tree=$("$machine" tree "$suite")
    digest=$(echo "${tree##*/} ${packages[*]}" | sha256sum)
    podman=$cache/podman-$suite-${digest:0:12}
    exec 8>"$cache/lock"
    flock 8
    [[ -d $podman ]] || unpack_podman "$suite" "$tree"
    exec 8>&-
}

unpack_podman() {
    local suite=$1 tree=$2 mirror
    rm -rf "$cache/partial" "$cache/packages"
    mirror=$(debian_mirror)
    mmdebstrap --quiet --mode=root --variant=extract --include="$(IFS=,; echo "${packages[*]}")" \
        --aptopt='Acquire::Check-Valid-Until "false"' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        "$suite" "$cache/packages" "$mirror" || return
    mkdir "$cache/partial"
    (cd "$cache/packages" && missing_in "$tree" | tar -c --null --files-from=-) | tar -C "$cache/partial" -x
    rm -rf "$cache/packages"
    mv -T "$cache/partial" "$podman"
}

# The files below the working directory that the tree does not have, each ended by a NUL.
missing_in() {
    local path
    find . ! -type d -print0 | while IFS= read -r -d '' path; do
        [[ -e $1/$path || -L $1/$path ]] || printf '%s\0' "$path"
    done
}

# The mirror that this host's own apt uses, whatever its name.
debian_mirror() {
    local mirror
    # shellcheck disable=SC2016 # apt expands it
    mirror=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Identifier: Packages' |
        awk -F'|' '$1 == "Debian" && $2 == "Debian" { print $3; exit }')
    [[ -n $mirror ]] || die 'apt knows no Debian mirror here (apt-get update first?)'
    echo "$mirror"
}

# Called by `machine with`: RKT_MACHINE is the machine.
run_inside() {
    local pairs=$1 exited=$2 running=$3 suite=$4 only=$5
    echo "host: $(nproc) CPUs, load at the beginning$(load)"
    [[ $only == images ]] || run_pods "$pairs" "$exited" "$running" "$cache/samples-$suite"
    [[ $only == pods ]] || run_images "$pairs" "$cache/samples-images-$suite"
    echo "load at the end$(load)"
}

run_pods() {
    "$machine" run "$RKT_MACHINE" -- mkdir -p /root/images
    "$machine" copy-in "$RKT_MACHINE" "$image" /root/images/busybox.docker.tar
    "$machine" copy-in "$RKT_MACHINE" "$source_directory/bench/measure.sh" /root/measure.sh
    "$machine" run "$RKT_MACHINE" -- /root/measure.sh "$1" "$2" "$3"
    "$machine" copy-out "$RKT_MACHINE" /root/samples "$4"
}

# A quarter of the samples: each takes seconds, and the disk.
run_images() {
    "$machine" copy-in "$RKT_MACHINE" "$images" /var/lib/bench
    "$machine" copy-in "$RKT_MACHINE" "$source_directory/bench/images.sh" /root/images.sh
    "$machine" run "$RKT_MACHINE" -- /root/images.sh $((($1 + 3) / 4))
    "$machine" copy-out "$RKT_MACHINE" /root/samples-images "$2"
}

# The load averages, which say how far to trust the numbers.
load() { uptime | sed 's/.*load average//'; }

case ${1:-} in
    # For ourselves, as a command of `machine with`.
    --inside) shift; run_inside "$@" ;;
    *) main "$@" ;;
esac
