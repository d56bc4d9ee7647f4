# shellcheck shell=bash
# The holder: one process per machine that is on. It boots the machine, waits for its end, boots it again if
# that was a reboot or a reset, and clears up. If the holder is killed, the kernel ends the machine.

hold() {
    local name=$1 install=$2 directory cgroup launcher='' status
    directory=$INSTANCES/$name
    cgroup=$(<"$directory/cgroup")
    close_inherited_files
    # Off, as if the plug were pulled; the loop below then sees the machine end.
    trap 'write_file "$directory/wanted" off; cgroup_kill "$cgroup"' TERM INT HUP
    while [[ $(<"$directory/wanted") == run ]]; do
        boot_once || break
        # A signal's trap interrupts `wait`; only the launcher's own end counts.
        while :; do
            status=0
            wait "$launcher" || status=$?
            kill -0 "$launcher" 2>/dev/null || break
        done
        rm -f "$directory/init"
        install=''
        # The kernel says how PID 1 of a PID namespace ended: SIGHUP for a reboot, SIGINT for a halt or a
        # power-off. A reset's SIGKILL is not told by the status: unshare of util-linux 2.38 cannot repeat it.
        if [[ -e $directory/reset ]]; then
            rm "$directory/reset"
        elif ((status != 128 + 1)); then
            ((status == 128 + 2)) || echo "the machine ended with status $status" >&2
            break
        fi
    done
    cgroup_remove "$cgroup"
    [[ ! -e $directory/temporary ]] || rm -rf "$directory"
}

# A test's pipe must not stay open because a machine lives on. 9 is the lock; 255 is this script.
close_inherited_files() {
    local file
    for file in /proc/self/fd/*; do
        file=${file##*/}
        case $file in
            0 | 1 | 2 | 9 | 255) ;;
            *) eval "exec $file>&-" ;;
        esac
    done
}

boot_once() {
    local init boots
    cgroup_remove "$cgroup"
    cgroup_make "$cgroup"
    # A volatile overlay skips all syncs, and wants a fresh work directory after each end.
    rm -rf "$directory/work" "$directory/init"
    mkdir "$directory/work"
    rm -f "$directory/fifo-there" "$directory/fifo-go"
    mkfifo "$directory/fifo-there" "$directory/fifo-go"
    # For reading and writing, so that neither side's open waits for the other.
    exec 3<>"$directory/fifo-there" 4<>"$directory/fifo-go"
    (
        exec 9>&-
        trap - TERM INT HUP
        echo "$BASHPID" >"$cgroup/cgroup.procs"
        exec setpriv --pdeathsig KILL \
            unshare --cgroup --mount --pid --uts --ipc --net --propagation private --fork --kill-child=KILL \
            "$MACHINE_SOURCE/lib/init" "$directory" "$install"
    ) &
    launcher=$!
    until read -r -t 0.2 -u 3; do
        if ! kill -0 "$launcher" 2>/dev/null; then
            echo 'the machine did not get its namespaces' >&2
            return 1
        fi
    done
    init=$(pgrep --parent "$launcher")
    # The launcher had to be in the cgroup for the cgroup namespace to begin there, but a process in the
    # machine's root cgroup would keep systemd from passing controllers on.
    echo "$launcher" >"$(cgroup_of_caller)/cgroup.procs"
    boots=$(<"$directory/boots")
    write_file "$directory/init" "$init"
    write_file "$directory/boots" $((boots + 1))
    echo go >&4
    exec 3>&- 4>&-
}
