# shellcheck shell=bash
# A machine's cgroup: a child of the root of the cgroup2 hierarchy, wherever this host has that mounted.
# The machine sees it as the root of its own cgroup2 tree (with whatever controllers are not bound to v1).

cgroup2_mount() {
    awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts
}

# The caller's own cgroup, as a directory.
cgroup_of_caller() {
    local path
    path=$(sed -n 's/^0:://p' /proc/self/cgroup)
    echo "$(cgroup2_mount)$path"
}

cgroup_directory() {
    local mount
    mount=$(cgroup2_mount)
    [[ -n $mount ]] || die 'no cgroup2 hierarchy is mounted on this host'
    echo "$mount/rkt-machine-$1"
}

cgroup_make() {
    local cgroup=$1 controller
    mkdir "$cgroup"
    # Where processes of `machine run` go. systemd leaves cgroups alone that it did not make.
    mkdir "$cgroup/machine-run"
    # Whatever the host can give; the root may refuse, and then the machine does without.
    for controller in $(<"$cgroup/cgroup.controllers"); do
        echo "+$controller" >"$cgroup/cgroup.subtree_control" || true
    done 2>/dev/null
}

cgroup_is_empty() {
    [[ ! -e $1/cgroup.events ]] || grep -qx 'populated 0' "$1/cgroup.events"
}

# Ends every process in it at once and at any depth; no process numbers, so no wrong process.
cgroup_kill() {
    if [[ -d $1 ]]; then
        echo 1 >"$1/cgroup.kill" 2>/dev/null || [[ ! -d $1 ]]
    fi
}

cgroup_remove() {
    local cgroup=$1
    [[ -d $cgroup ]] || return 0
    cgroup_kill "$cgroup"
    wait_until 20 cgroup_is_empty "$cgroup" || die "processes in $cgroup do not end"
    # Depth first; a cgroup just emptied can be busy for a moment.
    wait_until 20 cgroup_rmdir "$cgroup" || die "cannot remove $cgroup"
}

cgroup_rmdir() {
    find "$1" -depth -type d -exec rmdir {} + 2>/dev/null
    [[ ! -d $1 ]]
}
