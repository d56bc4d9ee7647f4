# shellcheck shell=bash
# Root trees: made once per suite by mmdebstrap and then never written to; machines put an overlay on top.

# A tree's directory carries a digest of all that went into it: a changed package list makes a new tree beside
# the old one, which running machines may still use.
tree_directory() {
    local suite=$1 digest
    digest=$(cat "$MACHINE_SOURCE/lib/tree.bash" "$MACHINE_SOURCE"/tree/* | sha256sum)
    echo "$TREES/$suite-${digest:0:12}"
}

command_tree() {
    [[ $# -eq 1 ]] || die 'usage: machine tree SUITE'
    ensure_tree "$1"
}

# Prints the tree's directory.
ensure_tree() {
    local suite=$1 tree
    case $suite in
        bookworm | trixie | forky) ;;
        *) die "unknown suite '$suite' (bookworm, trixie, forky)" ;;
    esac
    tree=$(tree_directory "$suite")
    if [[ ! -d $tree ]]; then
        (
            flock 8
            # Somebody else may have made it while we waited.
            [[ -d $tree ]] || make_tree "$suite" "$tree"
        ) 8>"$TREES/$suite.lock" >&2 || die "no root tree for $suite"
    fi
    echo "$tree"
}

# This runs as the left side of ||, where errexit is off: hence the explicit ends.
make_tree() {
    local suite=$1 tree=$2 mirror temporary
    temporary=$TREES/$suite.partial
    command -v mmdebstrap >/dev/null || die 'missing: mmdebstrap'
    mirror=$(debian_mirror) || exit 1
    echo "machine: making the root tree of $suite in $tree" >&2
    rm -rf "$temporary" || exit 1
    # A Release file past its Valid-Until is a snapshot's, and good enough for a test.
    mmdebstrap --quiet --mode=root --variant=essential \
        --include="$(tree_packages "$suite" | paste -sd,)" \
        --aptopt='Acquire::Check-Valid-Until "false"' \
        --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/info/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        "$suite" "$temporary" "$mirror" || exit 1
    (
        set -e
        configure_tree "$temporary"
    ) || exit 1
    mv -T "$temporary" "$tree" || exit 1
    remove_unused_trees "$suite" "$tree"
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

# A line of the list is a package, or "SUITE,SUITE: package" where the name differs between suites.
tree_packages() {
    awk -v suite="$1" '
        /^#/ || NF == 0 { next }
        NF == 1 { print $1; next }
        index("," substr($1, 1, length($1) - 1) ",", "," suite ",") { print $2 }
    ' "$MACHINE_SOURCE/tree/packages"
}

configure_tree() {
    local root=$1 unit
    while read -r unit; do
        [[ -z $unit || $unit == '#'* ]] || ln -sf /dev/null "$root/etc/systemd/system/$unit"
    done <"$MACHINE_SOURCE/tree/units-masked"
    # A journal that outlives a reboot, as on a server.
    mkdir -p "$root/var/log/journal"
    # Every machine gets an identity and a name of its own.
    rm -f "$root/etc/machine-id" "$root/etc/hostname" "$root/etc/resolv.conf"
    : >"$root/etc/machine-id"
    mkdir -p "$root/var/lib/dbus"
    ln -sf /etc/machine-id "$root/var/lib/dbus/machine-id"
    printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
    : >"$root/etc/resolv.conf"
    ln -sf /usr/lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
    # These come mounted, and no fstab could mount them again: nothing short of the machine's end unmounts them
    # (a soft-reboot stops all mounts that have the default dependencies).
    for unit in var.mount run-host-proc.mount; do
        mkdir -p "$root/etc/systemd/system/$unit.d"
        printf '[Unit]\nDefaultDependencies=no\n' >"$root/etc/systemd/system/$unit.d/stays.conf"
    done
    # systemd looks at its mounts at most five times a second: one more change while it boots, and it waits until
    # the second is over. Its own services' empty credential mounts are such changes.
    for unit in "$root"/usr/lib/systemd/system/systemd-{journald,sysusers,tmpfiles-*}.service; do
        grep -q '^ImportCredential=' "$unit" || continue
        unit=${unit##*/}
        mkdir -p "$root/etc/systemd/system/$unit.d"
        printf '[Service]\nImportCredential=\n' >"$root/etc/systemd/system/$unit.d/no-credentials.conf"
    done
    # Nothing was updated since the packages were configured: spare each first boot the catalogs and caches.
    touch "$root/etc/.updated" "$root/var/.updated"
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
}

remove_unused_trees() {
    local suite=$1 newest=$2 tree
    for tree in "$TREES/$suite"-*; do
        [[ $tree == "$newest" || ! -d $tree ]] && continue
        # `find -lname` compares the links' own text, which is absolute.
        [[ -n $(find "$INSTANCES" -mindepth 2 -maxdepth 2 -name lower -lname "$tree" -print -quit) ]] ||
            rm -rf "$tree"
    done
}
