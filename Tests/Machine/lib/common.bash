# shellcheck shell=bash
# What every part of `machine` uses: places, errors, waiting.
# shellcheck disable=SC2034 # the other parts use these names

CLONE=$(cd "$MACHINE_SOURCE/../.." && pwd)
CACHE=$(realpath -ms "${RKT_MACHINE_CACHE:-$CLONE/.build/machine}")
TREES=$CACHE/trees
INSTANCES=$CACHE/instances
DEFAULT_SUITE=trixie
BOOT_DEADLINE=${RKT_MACHINE_DEADLINE:-60}

die() {
    printf 'machine: %s\n' "$*" >&2
    exit 1
}

need_root_and_tools() {
    ((EUID == 0)) || die 'must be run as root: it makes namespaces and cgroups'
    local tool missing=()
    for tool in unshare nsenter setpriv flock mount tar pgrep timeout; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    ((${#missing[@]} == 0)) || die "missing: ${missing[*]} (scripts/install-dependencies.sh installs all)"
    [[ -d $TREES && -d $INSTANCES ]] || mkdir -p "$TREES" "$INSTANCES"
}

# wait_until SECONDS COMMAND...: polls, because what we wait for (a socket file in another mount namespace,
# an emptied cgroup) has no event that a shell can sleep on. 20 ms costs little and adds little.
wait_until() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < end)) || return 1
        sleep 0.02
    done
}

# A file that others read is either the old one or the new one, never half of it.
write_file() {
    printf '%s\n' "$2" >"$1.new.$BASHPID"
    mv -f "$1.new.$BASHPID" "$1"
}
