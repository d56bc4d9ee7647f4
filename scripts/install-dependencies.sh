#!/usr/bin/env bash
# Installs what building and testing this project needs on Debian 12 or later. Quick when all is there.
set -euo pipefail

usage() {
    cat <<'END'
Usage: install-dependencies.sh [--check]

Installs with apt what building and testing need. The Swift toolchain is not Debian's: it is only looked for.

  --check    install nothing; say what is missing and fail if anything is
END
}

build_packages=(
    git make pkg-config lld binutils g++ # for its static runtime, which Swift's own needs
    libdbus-1-dev libsystemd-dev libarchive-dev libcurl4-openssl-dev libssl-dev libisal-dev liblzma-dev zlib1g-dev
    musl-dev # the pod's init is static
    mandoc python3 # manual pages are made from the commands, and checked
)
toolchain_packages=( # what the Swift toolchain's own programs are linked with
    libcurl4 libncurses6 libsqlite3-0 libuuid1 libxml2 tzdata
)
run_packages=(
    crun dbus gpgv gnupg ca-certificates
)
test_packages=(
    # test machines
    mmdebstrap debian-archive-keyring busybox-static
    util-linux procps iproute2 tar
    # units are checked with systemd-analyze; the host need not run systemd
    systemd
    # test images, and other people's tools that must agree with us on them
    skopeo umoci jq libarchive-tools # for bsdtar
    gzip bzip2 xz-utils zstd
    shellcheck
)

main() {
    local check=false package missing=()
    case ${1:-} in
        '') ;;
        --check) check=true ;;
        -h | --help) usage; return ;;
        *) usage >&2; return 2 ;;
    esac

    local -A installed=()
    while read -r package; do
        installed[$package]=1
    done < <(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p')
    for package in "${build_packages[@]}" "${toolchain_packages[@]}" "${run_packages[@]}" "${test_packages[@]}"; do
        [[ -v installed[$package] ]] || missing+=("$package")
    done

    if ((${#missing[@]} > 0)); then
        if $check; then
            echo "missing packages: ${missing[*]}" >&2
            return 1
        fi
        install "${missing[@]}"
    fi
    check_swift
}

install() {
    local as_root=()
    ((EUID == 0)) || as_root=(sudo)
    # Another apt may be at work: wait for it rather than fail.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 --quiet update
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 --quiet \
        install --yes --no-install-recommends "$@"
}

check_swift() {
    command -v swift >/dev/null || {
        echo 'missing: the Swift toolchain, 6.2 or later (https://www.swift.org/install), with swift in PATH' >&2
        return 1
    }
}

main "$@"
