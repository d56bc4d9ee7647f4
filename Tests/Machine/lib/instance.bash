# shellcheck shell=bash
# Machines: the directory of each under $INSTANCES, and the commands on whole machines.
#
#   cgroup       where its cgroup is, on this host
#   lower        link to the root tree             upper work root   the overlay on it, and where it is mounted
#   var          the machine's /var: a plain directory, for no overlay's upper layer may lie on an overlay
#   machine-id   its identity over all its boots   suite             its Debian suite
#   lock         held (flock) by the holder process while the machine is on
#   wanted       run, or off: whether to boot again when it goes down
#   init         its PID 1 as this host counts     boots             how often it was booted
#   temporary    (only if made by `with`)          holder.log        what went wrong
#   reset        (while a reset is under way)

declare -A options

parse_boot_options() {
    options=([suite]='' [name]='' [from]='' [install]='')
    rest=()
    while (($# > 0)); do
        case $1 in
            --suite | --name | --from | --install)
                [[ $# -ge 2 ]] || die "$1 wants a value"
                options[${1#--}]=$2
                shift 2
                ;;
            --)
                shift
                rest=("$@")
                return
                ;;
            *) die "unknown option '$1' (see machine --help)" ;;
        esac
    done
}

instance_directory() {
    [[ $1 =~ ^[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?$ ]] ||
        die "'$1' is no name for a machine: lower case letters, digits and inner dashes"
    echo "$INSTANCES/$1"
}

existing_instance() {
    local directory
    directory=$(instance_directory "$1")
    [[ -d $directory ]] || die "no machine '$1'"
    echo "$directory"
}

instance_is_on() {
    ! flock --nonblock --shared "$1/lock" true 2>/dev/null
}

# Fills the directory of a new machine.
make_instance() {
    local name=$1 directory=$2 suite=${options[suite]} from='' tree id
    if [[ -n ${options[from]} ]]; then
        from=$(existing_instance "${options[from]}")
        suite=$(<"$from/suite")
        tree=$(readlink "$from/lower")
    else
        suite=${suite:-$DEFAULT_SUITE}
        tree=$(ensure_tree "$suite")
    fi
    mkdir "$directory/root"
    ln -s "$tree" "$directory/lower"
    if [[ -n $from ]]; then
        copy_files_of "$from" "$directory"
    else
        mkdir -p "$directory/upper/etc"
        cp -a "$tree/var" "$directory/var"
    fi
    id=$(tr -d - </proc/sys/kernel/random/uuid)
    mkdir -p "$directory/upper/etc"
    write_file "$directory/upper/etc/machine-id" "$id"
    write_file "$directory/upper/etc/hostname" "$name"
    write_file "$directory/machine-id" "$id"
    write_file "$directory/cgroup" "$(cgroup_directory "$id")"
    write_file "$directory/boots" 0
    write_file "$directory/suite" "$suite"
}

# A copy of a machine that is on is taken in one instant: frozen.
copy_files_of() {
    local from=$1 to=$2 cgroup status=0
    cgroup=$(<"$from/cgroup")
    [[ ! -d $cgroup ]] || echo 1 >"$cgroup/cgroup.freeze"
    cp -a "$from/upper" "$from/var" "$to/" || status=$?
    [[ ! -d $cgroup ]] || echo 0 >"$cgroup/cgroup.freeze"
    rm -rf "$to"/var/log/journal/*
    return "$status"
}

# Makes the machine if there is none of that name, and starts its holder: in a session of its own, or as a
# child that cannot outlive us. Prints nothing; sets `name`. However we end before all is well, what is new goes.
start_instance() {
    local lifetime=$1 directory is_new=false
    remove_abandoned_instances
    name=${options[name]:-m-$(tr -d - </proc/sys/kernel/random/uuid | cut -c1-8)}
    directory=$(instance_directory "$name")
    if mkdir "$directory" 2>/dev/null; then
        is_new=true
    elif [[ $lifetime == temporary ]]; then
        die "machine '$name' exists"
    fi
    # The holder inherits the lock: from here on, whoever sees it free knows that the machine is off.
    exec 9>"$directory/lock"
    flock --nonblock 9 || die "machine '$name' is on already"
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
    if $is_new; then
        # shellcheck disable=SC2064 # the name of now
        trap "exec 9>&-; end_new_instance '$directory'" EXIT
        [[ $lifetime != temporary ]] || : >"$directory/temporary"
        make_instance "$name" "$directory"
    elif [[ ! -e $directory/suite ]]; then
        die "machine '$name' was never finished: machine remove $name"
    fi
    rm -f "$directory/reset" "$directory/init"
    write_file "$directory/wanted" run
    if [[ $lifetime == temporary ]]; then
        setpriv --pdeathsig TERM "$MACHINE_SOURCE/machine" __hold "$name" "${options[install]}" \
            </dev/null >>"$directory/holder.log" 2>&1 &
    else
        setsid "$MACHINE_SOURCE/machine" __hold "$name" "${options[install]}" \
            </dev/null >>"$directory/holder.log" 2>&1 &
    fi
    exec 9>&-
}

# What a killed `with` and its killed holder left: no process (the kernel saw to that), only directories.
remove_abandoned_instances() {
    local directory
    for directory in "$INSTANCES"/*/; do
        directory=${directory%/}
        [[ -e $directory/temporary ]] || continue
        instance_is_on "$directory" || remove_instance "$directory"
    done
}

remove_instance() {
    local directory=$1 cgroup
    [[ ! -e $directory/cgroup ]] || cgroup=$(<"$directory/cgroup")
    if [[ -n ${cgroup:-} ]]; then
        [[ ! -d $directory ]] || write_file "$directory/wanted" off
        rm -f "$directory/reset"
        cgroup_kill "$cgroup"
        flock --wait 30 "$directory/lock" true 2>/dev/null || [[ ! -d $directory ]] ||
            die "the holder of '${directory##*/}' does not end"
        cgroup_remove "$cgroup"
    fi
    rm -rf "$directory"
}

command_boot() {
    local name rest
    parse_boot_options "$@"
    start_instance persistent
    if ! wait_until_up "$name" 1; then
        # Left for whoever wants to know why.
        trap - EXIT
        die "look into '$name' with machine run or in $INSTANCES/$name; then machine remove $name"
    fi
    trap - EXIT
    echo "$name"
}

command_with() {
    local name rest status=0 process=''
    parse_boot_options "$@"
    ((${#rest[@]} > 0)) || die 'usage: machine with [OPTION...] -- CMD...'
    # The machine goes however we end: by the trap that this sets, or, if we are killed, by its holder.
    start_instance temporary
    wait_until_up "$name" 1 || exit 1
    # In the background, so that a signal is heard at once; with what bash takes from such commands: our
    # standard input and the keyboard's signals. The command ends with us even if we are killed.
    RKT_MACHINE=$name env --default-signal=INT,QUIT setpriv --pdeathsig TERM "${rest[@]}" <&0 &
    process=$!
    wait "$process" || status=$?
    process=''
    exit "$status"
}

# What an EXIT trap does; `process` is the command of `with` while it runs.
end_new_instance() {
    [[ -z ${process:-} ]] || kill "$process" 2>/dev/null || true
    remove_instance "$1"
}

command_remove() {
    [[ $# -eq 1 ]] || die 'usage: machine remove NAME'
    local directory
    directory=$(existing_instance "$1")
    remove_instance "$directory"
}

command_reboot() {
    [[ $# -eq 1 ]] || die 'usage: machine reboot NAME'
    local directory boots
    directory=$(existing_instance "$1")
    boots=$(<"$directory/boots")
    (enter "$1" systemctl reboot) || die 'systemctl reboot failed'
    wait_until_up "$1" $((boots + 1))
}

command_soft_reboot() {
    [[ $# -eq 1 ]] || die 'usage: machine soft-reboot NAME'
    local before
    before=$(enter "$1" systemctl show --property=UserspaceTimestampMonotonic)
    (enter "$1" systemctl soft-reboot) || die 'systemctl soft-reboot failed'
    wait_until "$BOOT_DEADLINE" userspace_is_newer "$1" "$before" || die "'$1' did not soft-reboot"
    wait_until_up "$1" 1
}

userspace_is_newer() {
    local now
    now=$(enter "$1" systemctl show --property=UserspaceTimestampMonotonic 2>/dev/null) || return 1
    [[ -n $now && $now != "$2" ]]
}

command_reset() {
    [[ $# -eq 1 ]] || die 'usage: machine reset NAME'
    local directory boots
    directory=$(existing_instance "$1")
    boots=$(<"$directory/boots")
    instance_is_on "$directory" || die "machine '$1' is off"
    : >"$directory/reset"
    cgroup_kill "$(<"$directory/cgroup")"
    wait_until_up "$1" $((boots + 1))
}

command_list() {
    local directory
    remove_abandoned_instances
    for directory in "$INSTANCES"/*/; do
        directory=${directory%/}
        [[ -e $directory/suite ]] || continue
        if instance_is_on "$directory"; then
            printf '%-20s %-10s on   %s\n' "${directory##*/}" "$(<"$directory/suite")" \
                "$(cat "$directory/init" 2>/dev/null || echo booting)"
        else
            printf '%-20s %-10s off\n' "${directory##*/}" "$(<"$directory/suite")"
        fi
    done
}
