#!/usr/bin/env bash
# Installs what `make build` has built, or removes just that.
set -euo pipefail

usage() {
    cat <<'EOF'
Usage: install.sh install|uninstall DESTDIR PREFIX SYSTEMDDIR MANDIR

  DESTDIR      a directory to install into for packaging; '' for this system
  PREFIX       where programs are looked for, such as /usr/local
  SYSTEMDDIR   where systemd looks for units, such as /usr/local/lib/systemd
  MANDIR       where man(1) looks for pages, such as /usr/local/share/man

Environment:
  RKT_BUILD    the directory with the built programs (default: .build/release in this clone)
EOF
}

source_directory=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
build=${RKT_BUILD:-$source_directory/.build/release}

# The commands that have a page of their own: install and uninstall must agree, whatever is built.
commands=(
    cat-manifest config fetch gc image image-cat-manifest image-discover image-export image-extract image-gc image-list
    image-render image-rm image-validate image-verify list logs prepare rm run run-prepared status stop trust version
)
templates=(pod@.service rkt-gc.service)
units=(rkt-gc.timer rkt.slice)
written_pages=(rkt.1 rkt-configuration.5 pod@.service.8)

die() {
    printf 'install: %s\n' "$*" >&2
    exit 1
}

main() {
    case ${1:-} in
        -h | --help) usage; return ;;
    esac
    [[ $# -eq 5 ]] || { usage >&2; return 2; }
    local action=$1
    destination=${2%/} prefix=$3 systemd=$4 manuals=$5
    local path
    for path in "$prefix" "$systemd" "$manuals"; do
        # They are written into units, where a space or a quote would mean something else.
        [[ $path =~ ^/[A-Za-z0-9/._+-]+$ ]] || die "'$path' is no plain absolute path"
    done
    [[ -z $destination || $destination == /* ]] || destination=$PWD/$destination
    libexec=$prefix/lib/rkt
    case $action in
        install) install_all ;;
        uninstall) uninstall_all ;;
        *) usage >&2; return 2 ;;
    esac
}

# All files, as "MODE PATH": what is installed is what is removed.
files() {
    local name
    echo "755 $prefix/bin/rkt"
    echo "755 $libexec/pod-init"
    for name in "${templates[@]}" "${units[@]}"; do echo "644 $systemd/system/$name"; done
    echo "644 $systemd/system-preset/90-rkt.preset"
    echo "644 $prefix/lib/tmpfiles.d/rkt.conf"
    echo "644 $prefix/lib/sysusers.d/rkt.conf"
    for name in "${written_pages[@]}"; do echo "644 $manuals/man${name##*.}/$name"; done
    for name in "${commands[@]}"; do echo "644 $manuals/man1/rkt-$name.1"; done
    echo "644 $prefix/share/bash-completion/completions/rkt"
    echo "644 $prefix/share/zsh/site-functions/_rkt"
    echo "644 $prefix/share/fish/vendor_completions.d/rkt.fish"
}

install_all() {
    local program mode path name
    for program in rkt pod-init; do
        [[ -x $build/$program ]] || die "$build/$program is missing: make build"
    done
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    strip -o "$work/rkt" "$build/rkt"
    cp "$build/pod-init" "$work/pod-init"
    for name in "${templates[@]}"; do
        sed -e "s|@BINDIR@|$prefix/bin|g" -e "s|@LIBEXECDIR@|$libexec|g" \
            "$source_directory/units/$name.in" >"$work/$name"
    done
    for name in "${units[@]}" 90-rkt.preset; do cp "$source_directory/units/$name" "$work/$name"; done
    for name in "${written_pages[@]}"; do cp "$source_directory/man/$name" "$work/$name"; done
    "$source_directory/scripts/make-manuals.py" "$work/rkt" "$work" >/dev/null
    for path in "$work"/rkt-*.1; do
        name=${path##*/rkt-}
        [[ " ${commands[*]} " == *" ${name%.1} "* ]] || die "the new command '${name%.1}' is not in the list in $0"
    done
    for name in bash zsh fish; do
        "$work/rkt" --generate-completion-script "$name" >"$work/$name"
    done

    while read -r mode path; do
        install -D --mode="$mode" "$(built_file "$path")" "$destination$path"
    done < <(files)
    [[ -n $destination ]] || tell_system
}

# The file in $work for a path that is installed.
built_file() {
    case $1 in
        */tmpfiles.d/rkt.conf) echo "$source_directory/units/rkt.tmpfiles.conf" ;;
        */sysusers.d/rkt.conf) echo "$source_directory/units/rkt.sysusers.conf" ;;
        */bash-completion/*) echo "$work/bash" ;;
        */zsh/*) echo "$work/zsh" ;;
        */fish/*) echo "$work/fish" ;;
        *) echo "$work/${1##*/}" ;;
    esac
}

uninstall_all() {
    local path
    if [[ -z $destination && -d /run/systemd/system ]]; then
        systemctl --quiet disable --now rkt-gc.timer 2>/dev/null || true
    fi
    while read -r _ path; do
        rm -f "$destination$path"
    done < <(files)
    # Only our own directory: the others belong to everybody.
    rmdir "$destination$libexec" 2>/dev/null || true
    if [[ -z $destination && -d /run/systemd/system ]]; then
        # Pods that run go on, and their slice with them.
        [[ -n $(systemctl list-units --plain --no-legend 'pod@*.service' 'rkt-*.service') ]] || systemctl stop rkt.slice
        systemctl daemon-reload
    fi
}

# On a running system: the group, the directories, and a systemd that knows the units.
tell_system() {
    local tool
    if ((EUID == 0)); then
        for tool in systemd-sysusers systemd-tmpfiles; do
            command -v "$tool" >/dev/null || continue
            case $tool in
                systemd-sysusers) systemd-sysusers "$prefix/lib/sysusers.d/rkt.conf" ;;
                systemd-tmpfiles) systemd-tmpfiles --create "$prefix/lib/tmpfiles.d/rkt.conf" ;;
            esac
        done
    fi
    if [[ -d /run/systemd/system ]]; then
        systemctl daemon-reload
        systemctl --quiet preset rkt-gc.timer
        systemctl start rkt-gc.timer
    fi
}

main "$@"
