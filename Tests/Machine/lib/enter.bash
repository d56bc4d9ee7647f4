# shellcheck shell=bash
# Commands in a machine, and waiting for it.

# Becomes a command in the machine: call it where the shell may be given up. Not through systemd, so that it also
# works in a machine that did not come up, and adds nothing to its units and journal. It takes
# some 20 ms, most of it for the kernel to change a process's cgroup.
enter() {
    local name=$1 directory init cgroup
    shift
    directory=$(existing_instance "$name")
    { init=$(<"$directory/init") && cgroup=$(<"$directory/cgroup"); } 2>/dev/null || die "machine '$name' is off"
    # If the holder was killed, that number may be another process by now.
    [[ $(cat "/proc/$init/cgroup" 2>/dev/null) == *"${cgroup##*/}"* ]] || die "machine '$name' is off"
    echo "$BASHPID" >"$cgroup/machine-run/cgroup.procs"
    # A shell makes the child that is in the PID namespace, as nsenter would stop with a child that is stopped: a
    # soft-reboot stops all processes before it kills them, and nothing out here would let nsenter go on.
    # If that shell is killed, the command gets a signal rather than living on unseen.
    # shellcheck disable=SC2016 # for the shell in there
    exec nsenter --target "$init" --mount --uts --ipc --net --pid --cgroup --no-fork \
        env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        HOME=/root USER=root LOGNAME=root SHELL=/bin/bash TERM="${TERM:-dumb}" LANG=C.UTF-8 \
        sh -c '"$@"; exit $?' sh setpriv --pdeathsig TERM "$@"
}

command_run() {
    [[ $# -ge 3 && $2 == -- ]] || die 'usage: machine run NAME -- CMD...'
    local name=$1
    shift 2
    enter "$name" "$@"
}

command_shell() {
    [[ $# -eq 1 ]] || die 'usage: machine shell NAME'
    # script(1) gives the shell a terminal of the machine's own; ours has no name in there.
    enter "$1" script --quiet --return --command 'cd; exec bash --login' /dev/null
}

# Through tar and a directory of the machine's, so that links are the machine's own and modes are kept.
# shellcheck disable=SC2016 # the machine's shell expands it
copy_script='set -e
    mkdir -p /var/tmp
    copy=$(mktemp -d /var/tmp/copy-in.XXXXXX)
    trap "rm -rf \"\$copy\"" EXIT
    tar -C "$copy" -x
    cp -a "$copy/$1" "$2"'

command_copy_in() {
    [[ $# -eq 3 ]] || die 'usage: machine copy-in NAME SRC DST'
    local name=$1 source destination=$3 base
    source=$(realpath -s "$2")
    [[ -e $source || -L $source ]] || die "no such file: $2"
    base=${source##*/}
    tar -C "${source%/*}/" --owner=0 --group=0 --numeric-owner -c "./$base" |
        (enter "$name" sh -c "$copy_script" sh "$base" "$destination")
}

command_copy_out() {
    [[ $# -eq 3 ]] || die 'usage: machine copy-out NAME SRC DST'
    local name=$1 source=$2 destination=$3 copy
    copy=$(mktemp -d)
    # shellcheck disable=SC2064 # the directory of now
    trap "rm -rf '$copy'" EXIT
    # shellcheck disable=SC2016 # the machine's shell expands it
    (enter "$name" sh -c 'cd "$(dirname "$1")" && tar -c "./$(basename "$1")"' sh "$source") | tar -C "$copy" -x
    cp -a "$copy/$(basename "$source")" "$destination"
}

# wait_until_up NAME BOOTS: up means that systemd says "running", in its BOOTSth boot or a later one.
wait_until_up() {
    local name=$1 boots=$2 directory end=$((SECONDS + BOOT_DEADLINE)) state
    directory=$INSTANCES/$name
    while ((SECONDS < end)); do
        if ! [[ -d $directory ]] || ! instance_is_on "$directory"; then
            echo "machine: '$name' went down:" >&2
            tail -n 20 "$directory/holder.log" >&2 2>/dev/null || true
            return 1
        fi
        if (($(<"$directory/boots") >= boots)) && systemd_answers "$directory"; then
            state=$( (enter "$name" timeout "$((end - SECONDS + 1))" systemctl is-system-running --wait) \
                2>/dev/null || true)
            case $state in
                running) return 0 ;;
                degraded | maintenance) break ;;
            esac
        fi
        sleep 0.02
    done
    echo "machine: '$name' is not up (${state:-no answer from systemd}):" >&2
    {
        tail -n 20 "$directory/holder.log"
        tell_of "$name" systemctl --no-pager --full --lines=20 status --state=failed '*'
        tell_of "$name" systemctl --no-pager list-jobs
        tell_of "$name" journalctl --no-pager --boot --priority=warning --lines=50
    } >&2 || true
    return 1
}

tell_of() {
    local name=$1
    shift
    (enter "$name" timeout 10 "$@") || true
}

# systemctl fails at once where there is no socket yet.
systemd_answers() {
    local init
    init=$(cat "$1/init" 2>/dev/null) || return 1
    [[ -S /proc/$init/root/run/systemd/private ]]
}
