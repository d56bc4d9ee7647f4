# shellcheck shell=bash
# stage1: nspawn
# A pod with a systemd of its own: what systemd's tools do with it from outside.

# in_machine COMMAND...: as a unit of the pod's systemd.
in_machine() { systemd-run --machine="rkt-$UUID" --pipe --wait --quiet "$@"; }

start_living_pod() {
    app one "$LIVES"
    start_pod
    wait_for_line ready
}

case_systemctl_lists_the_units_of_the_pod() {
    start_living_pod
    local units
    units=$(systemctl -M "rkt-$UUID" list-units --plain --no-legend)
    expect_match "$units" 'one\.service +loaded active running' 'list-units'
    expect_match "$units" 'systemd-journald\.service +loaded active running' 'list-units'
    # Nothing of the host's.
    expect_lacks "$units" logind 'list-units'
    expect_equal '' "$(systemctl -M "rkt-$UUID" list-units --plain --no-legend --failed)" 'failed units'
    expect_equal running "$(systemctl -M "rkt-$UUID" is-system-running)" 'is-system-running'
}

case_app_that_fails_at_once_has_been_started() {
    local number
    app one 'exit 3'
    for number in 1 2 3 4 5; do
        start_pod
        wait_for_end
        expect_equal 3 "$(app_status one)" "status of the app of pod number $number"
        expect_equal failed "$(systemctl is-active "pod@$UUID" || true)" 'the unit'
    done
    APP=("$(busybox)" --exec=/no/such/program)
    expect_status 254 run_pod --detach
}

case_status_133_of_an_app_is_no_reboot() {
    # Such a pod may be down before it has come up.
    local number
    app one 'exit 133'
    for number in 1 2 3; do
        expect_status 133 run_pod
        start_pod
        wait_for_end
        expect_equal 133 "$(app_status one)" "status of the app of pod number $number"
        expect_equal 0 "$(property "pod@$UUID" NRestarts)" "restarts of pod number $number"
    done
}

case_apps_are_not_protected_when_memory_is_short() {
    app one 'cat /proc/self/oom_score_adj'
    expect_status 0 run_pod
    expect_match "$OUT" ': 0$' 'the score'
}

case_what_the_machine_leaves_on_the_host_is_not_the_hosts_roots() {
    $HAS_USERS || skip 'without private users root in the machine is root on the host'
    start_living_pod
    in_machine sh -c 'cp /bin/busybox /rkt/status/x 2>/dev/null || cp /usr/bin/true /rkt/status/x
        chmod 4755 /rkt/status/x; cp -p /rkt/status/x "/var/log/journal/$(cat /etc/machine-id)/x"'
    local file
    for file in "$DATA/pods/run/$UUID/status/x" "$(journal_directory)/x"; do
        [[ $(stat --format=%u "$file") -ge 65536 ]] || fail "$file is of user $(stat --format=%u "$file")"
    done
    expect_status 32 in_machine mount -o remount,bind,rw /usr
}

case_records_that_a_machine_has_spoilt() {
    start_living_pod
    in_machine sh -c 'mkdir -p /rkt/status/x/y; ln -s /etc/shadow /rkt/status/z'
    rkt stop "$UUID" >/dev/null
    expect_status 0 systemctl start "pod@$UUID"
    wait_for_line ready one 2
    expect_status 0 rkt stop "$UUID"
    expect_status 0 rkt rm "$UUID"
}

case_status_and_list_tell_the_stage1() {
    start_living_pod
    expect_contains "$(rkt status "$UUID")" 'stage1=nspawn' 'rkt status'
    expect_equal nspawn "$(rkt status --format=json "$UUID" | jq -r .stage1)" 'rkt status in JSON'
    expect_match "$(rkt list --full --no-legend)" nspawn 'rkt list --full'
    expect_equal nspawn "$(rkt list --format=json | jq -r '.[].stage1')" 'rkt list in JSON'
}

case_systemctl_status_of_an_app() {
    start_living_pod
    local status
    status=$(systemctl -M "rkt-$UUID" status --no-pager one)
    expect_contains "$status" 'active (running)' 'status'
    expect_contains "$status" "in rkt pod $UUID" 'status'
}

case_systemctl_restarts_an_app() {
    app one 'echo x >>/tmp/starts; echo "starts=$(wc -l </tmp/starts)"; trap "exit 0" TERM; echo ready; while :; do sleep 1000 & wait $!; done'
    start_pod
    wait_for_line ready
    local before
    before=$(app_property one MainPID)
    expect_status 0 systemctl -M "rkt-$UUID" restart one
    wait_for_line ready one 2
    [[ $(app_property one MainPID) != "$before" ]] || fail 'the same process'
    # With what it had written.
    wait_for_line starts=2
    expect_equal running "$(state_of)" state
    rkt stop "$UUID" >/dev/null
    expect_equal 0 "$(app_status one)" 'status of the app'
}

case_systemctl_stop_of_the_last_app_ends_the_pod() {
    start_living_pod
    systemctl -M "rkt-$UUID" stop one
    wait_for_end
    expect_equal 0 "$(app_status one)" 'status of the app'
    expect_equal inactive "$(systemctl is-active "pod@$UUID" || true)" 'the unit'
}

case_set_property_of_an_app() {
    start_living_pod
    expect_status 0 systemctl -M "rkt-$UUID" set-property one TasksMax=55
    expect_equal 55 "$(app_property one TasksMax)" 'the property'
}

case_systemd_run() {
    start_living_pod
    expect_equal "rkt-$UUID" "$(in_machine hostname)" 'the host name'
    expect_status 7 in_machine /bin/sh -c 'exit 7'
    expect_equal "${UUID//-/}" "$(in_machine cat /etc/machine-id)" 'the machine id'
    expect_contains "$(in_machine cat /etc/os-release)" 'ID=rkt-pod' 'os-release'
    expect_status 1 in_machine touch /usr/there
}

case_journalctl_of_a_unit() {
    start_living_pod
    expect_equal ready "$(journalctl -M "rkt-$UUID" --unit=one --output=cat SYSLOG_IDENTIFIER=one)" 'journalctl -M -u'
    expect_equal ready "$(journalctl --merge --output=cat "RKT_POD=$UUID" SYSLOG_IDENTIFIER=one)" 'journalctl -m'
    rkt stop "$UUID" >/dev/null
    expect_equal $'ready\nending' "$(journalctl --merge --output=cat "RKT_POD=$UUID" SYSLOG_IDENTIFIER=one)" \
        'journalctl -m after the end'
}

case_systemd_analyze() {
    start_living_pod
    expect_match "$(systemd-analyze -M "rkt-$UUID" --no-pager)" 'Startup finished in [0-9.]+m?s' 'systemd-analyze'
    expect_contains "$(systemd-analyze -M "rkt-$UUID" --no-pager blame)" one.service 'systemd-analyze blame'
}

case_units_of_the_machine_are_verified() {
    start_living_pod
    # With the units that the machine has, and none of the host's.
    expect_status 0 in_machine --setenv=SYSTEMD_UNIT_PATH=/etc/systemd/system \
        /bin/sh -c 'exec systemd-analyze verify --man=no /etc/systemd/system/*'
    expect_equal '' "$OUT$ERR" 'systemd-analyze verify'
}

case_machinectl_shell() {
    start_living_pod
    local seen
    seen=$(machinectl --quiet shell "rkt-$UUID" /bin/sh -c 'echo id $(id -u); tty' </dev/null)
    expect_contains "$seen" 'id 0' 'machinectl shell'
    expect_contains "$seen" /dev/pts/ 'machinectl shell'
}

case_machinectl_login_asks_and_lets_nobody_in() {
    start_living_pod
    coproc LOGIN { exec machinectl --quiet login "rkt-$UUID" 2>&1; }
    local seen='' byte login=$LOGIN_PID
    while [[ $seen != *'login: ' ]] && IFS= read -r -t 30 -N 1 -u "${LOGIN[0]}" byte; do seen+=$byte; done
    expect_contains "$seen" "rkt-$UUID login: " 'the terminal'
    # The rest is the host's login(1), where it has one.
    [[ -x /bin/login ]] || { kill "$login" && return; }
    printf 'root\n' >&"${LOGIN[1]}"
    while [[ $seen != *'assword: ' ]] && IFS= read -r -t 30 -N 1 -u "${LOGIN[0]}" byte; do seen+=$byte; done
    printf '\n' >&"${LOGIN[1]}"
    while [[ $seen != *ncorrect* ]] && IFS= read -r -t 30 -N 1 -u "${LOGIN[0]}" byte; do seen+=$byte; done
    kill "$login" 2>/dev/null || true
    expect_contains "$seen" 'incorrect' 'the terminal'
}

case_machinectl_copies_files() {
    start_living_pod
    echo hello >"$WORK/there"
    expect_status 0 machinectl copy-to "rkt-$UUID" "$WORK/there" /root/there
    expect_equal hello "$(in_machine cat /root/there)" 'the copy in the pod'
    expect_status 0 machinectl copy-from "rkt-$UUID" /root/there "$WORK/back"
    expect_equal hello "$(<"$WORK/back")" 'the copy back'
    # Into an app's root, by the path that rkt had. With users of the pod's own, machined makes the file for a user that
    # is none there.
    ! $HAS_USERS || return 0
    expect_status 0 machinectl copy-to "rkt-$UUID" "$WORK/there" /opt/stage2/one/rootfs/tmp/there
    expect_equal hello "$(in_app one cat /tmp/there)" 'the copy in the app'
}

case_machinectl_binds_a_directory() {
    not_users 'machined binds nothing into a machine with users of its own'
    start_living_pod
    mkdir "$WORK/bound"
    echo hello >"$WORK/bound/file"
    expect_status 0 machinectl bind "rkt-$UUID" "$WORK/bound" /mnt
    expect_equal hello "$(in_machine cat /mnt/file)" 'the bound file'
}

case_machinectl_reboots_the_pod() {
    start_living_pod
    local before
    before=$(leader_of)
    expect_status 0 machinectl reboot "rkt-$UUID"
    wait_for_line ready one 2
    expect_equal running "$(state_of)" state
    local after
    after=$(rkt status "$UUID" | sed -n 's/^pid=//p')
    [[ -n $after && $after != "$before" ]] || fail "the process was $before and is '$after'"
    expect_status 0 rkt stop "$UUID"
    expect_equal exited "$(state_of)" 'state after stop'
    expect_equal 0 "$(app_status one)" 'status of the app'
}

case_reboot_from_inside() {
    start_living_pod
    in_machine systemctl --no-block reboot || true
    wait_for_line ready one 2
    expect_equal running "$(state_of)" state
}

case_status_shows_the_whole_tree() {
    start_living_pod
    local status
    status=$(systemctl status --no-pager --full "pod@$UUID")
    for name in systemd-nspawn systemd-journald one.service; do expect_contains "$status" "$name" 'systemctl status'; done
}

case_machine_that_executes_itself_anew() {
    start_living_pod
    expect_status 0 systemctl -M "rkt-$UUID" daemon-reexec
    expect_status 0 systemctl -M "rkt-$UUID" daemon-reload
    expect_equal active "$(systemctl -M "rkt-$UUID" is-active one)" 'the app'
    expect_status 0 rkt stop "$UUID"
    expect_equal 0 "$(app_status one)" 'status of the app'
}

case_processes_are_in_the_cgroups_of_their_units() {
    local number name place
    for number in 1 2 3 4 5; do
        APP=()
        for name in one two three four; do app "$name" "$LIVES"; done
        start_pod
        for name in one two three four; do wait_for_line ready "$name"; done
        place=/sys/fs/cgroup$(machine_cgroup)
        expect_equal 'four.service one.service three.service two.service' \
            "$(find "$place/apps.slice" -mindepth 1 -type d -printf '%P\n' | sort | paste -sd' ')" "cgroups of pod number $number"
        expect_equal 0 "$(systemctl -M "rkt-$UUID" show --property=NRestarts --value systemd-journald.service)" \
            "restarts of journald in pod number $number"
        rkt stop --force "$UUID" >/dev/null
    done
}

case_kill_of_the_machines_systemd() {
    start_living_pod
    kill -KILL "$(leader_of)"
    wait_for_end
    expect_equal exited "$(state_of)" state
    expect_equal failed "$(systemctl is-active "pod@$UUID" || true)" 'the unit'
    expect_equal '' "$(pgrep -x systemd-nspawn || true)" 'processes'
}

case_kill_of_nspawn() {
    start_living_pod
    systemctl kill --kill-whom=main --signal=KILL "pod@$UUID"
    wait_for_end
    # It counts as down when its init is; systemd sees to what is left.
    systemctl stop "pod@$UUID"
    expect_equal exited "$(state_of)" state
    expect_equal failed "$(systemctl is-active "pod@$UUID" || true)" 'the unit'
    expect_equal '' "$(machinectl list --no-legend)" 'machines'
    expect_equal '' "$(pgrep -x sleep || true)" 'processes'
}

# What becomes of calls that are the host's own, made by root in the machine: `NAME ERRNO`. Their arguments are such that
# the kernel has another answer.
calls_in_machine() {
    # Numbers of x86-64.
    in_machine perl -e '
        my %calls = (
            "add_key", [248, 0, 0, 0, 0, 0], "keyctl", [250, 9999], "request_key", [249, 0, 0, 0, 0], "bpf", [321, 999, 0, 0],
            "perf_event_open", [298, 0, 0, 0, 0, 0], "open_by_handle_at", [304, -1, 0, 0], "swapon", [167, 0, 0],
            "fanotify_init", [300, 0xffffffff, 0], "pidfd_getfd", [438, -1, -1, 0], "sysfs", [139, 999], "ustat", [136, 0, 0],
            "modify_ldt", [154, 0, 0, 0], "pkey_alloc", [330, 0, 999], "memfd_secret", [447, 999],
            "fanotify_mark", [301, -1, 0, 0, 0, 0], "x32_getpid", [0x40000000 + 39],
            "init_module", [175, 0, 0, 0], "socket_audit", [41, 16, 3, 9], "no_such_call", [4321],
        );
        for my $name (sort keys %calls) {
            $! = 0;
            syscall($calls{$name}[0], map { $_ + 0 } @{$calls{$name}}[1 .. $#{$calls{$name}}]);
            print $name, " ", $! + 0, "\n";
        }'
}

# As systemd-nspawn's own filter has it, but for keys, which that of 262 allows: what is refused, and what does not exist.
readonly CALLS_REFUSED='add_key 1 bpf 1 fanotify_init 1 fanotify_mark 1 init_module 1 keyctl 1 memfd_secret 1 modify_ldt 1 no_such_call 38 open_by_handle_at 1 perf_event_open 1 pidfd_getfd 1 pkey_alloc 1 request_key 1 socket_audit 97 swapon 1 sysfs 1 ustat 1 x32_getpid 38'

without_keys() { sed -E 's/(add_key|keyctl|request_key) [0-9]+ //g'; }

case_calls_of_the_host_are_refused() {
    [[ $(uname -m) == x86_64 ]] || skip 'the numbers of system calls here are those of x86-64'
    APP=()
    app other true --environment=WORD=other
    run_pod >/dev/null
    APP=()
    start_living_pod
    # Compiled once, whatever the apps.
    expect_equal 1 "$(find /run/rkt/machine-filter -type f | wc -l)" 'filters that were compiled'
    [[ -n $(find /run/rkt/machine-filter -type f -size +0) ]] || skip 'this crun keeps no compiled filters'
    expect_equal "$CALLS_REFUSED" "$(calls_in_machine | paste -sd' ')" 'refused calls'
    # Nothing that a systemd does for itself and for others.
    expect_status 0 in_machine sh -c 'mount -t tmpfs x /mnt && umount /mnt && unshare --mount --pid --fork --ipc true'
    # It is the filter that was compiled before, and the only one of the machine's first process.
    [[ -e /proc/$(leader_of)/root/rkt/filter ]] || fail 'systemd-nspawn has compiled a filter of its own'
    expect_equal 1 "$(sed -n 's/^Seccomp_filters:\t//p' "/proc/$(leader_of)/status")" 'filters'
}

# with_crun SCRIPT: starts a pod while the runtime is a script, in which $REAL is the runtime.
with_crun() {
    local runtime real=/usr/lib/rkt-test-crun status=0
    runtime=$(readlink -f "$(command -v crun)")
    # The machine has the host's /usr, with all that is mounted there.
    cp "$runtime" "$real"
    printf '#!/bin/sh\nREAL=%s\n%s\nexec "$REAL" "$@"\n' "$real" "$1" >"$WORK/crun"
    chmod 755 "$WORK/crun"
    mount --bind "$WORK/crun" "$runtime"
    rm -rf /run/rkt/machine-filter
    app one "$LIVES"
    UUID=$(run_pod --detach) || status=$?
    umount -l "$runtime"
    rm -r "$real"
    rm -rf /run/rkt/machine-filter
    expect_equal 0 "$status" 'status of the start'
}

# The filter is systemd-nspawn's own.
expect_own_filter() {
    expect_equal "$(without_keys <<<"$CALLS_REFUSED")" "$(calls_in_machine | paste -sd' ' | without_keys)" 'refused calls'
    [[ ! -e /proc/$(leader_of)/root/rkt/filter ]] || fail 'there is a filter'
}

case_filter_is_systemd_nspawns_where_none_can_be_compiled() {
    [[ $(uname -m) == x86_64 ]] || skip 'the numbers of system calls here are those of x86-64'
    with_crun 'case $* in *machine-filter*) exit 1 ;; esac'
    expect_own_filter
}

case_filter_that_was_not_written_whole_is_none() {
    [[ $(uname -m) == x86_64 ]] || skip 'the numbers of system calls here are those of x86-64'
    # As on a disk that is full.
    with_crun 'case $* in *machine-filter*) "$REAL" "$@"; find "$2/.cache" -type f -exec truncate -s 4096 {} +; exit 1 ;; esac'
    expect_own_filter
}

# The process that watches the apps of the machine, as the host numbers it.
watch_pid() { cat "$(cgroup_of_machine)/system.slice/rkt-ends.service/cgroup.procs"; }
cgroup_of_machine() { echo "/sys/fs/cgroup$(machine_cgroup)"; }

case_kill_of_what_watches_the_apps() {
    app one "$LIVES"
    app two 'trap "exit 3" USR1; echo ready; while :; do sleep 1000 & wait $!; done'
    start_pod
    wait_for_line ready two
    local watch
    watch=$(watch_pid)
    # An end that it does not see: it is killed before it could look.
    kill -STOP "$watch"
    kill -USR1 "$(main_pid two)"
    kill -KILL "$watch"
    wait_for_end
    expect_equal 3 "$(app_status two)" 'status of the app'
    expect_equal 0 "$(app_status one)" 'status of the other app'
    expect_equal failed "$(systemctl is-active "pod@$UUID" || true)" 'the unit'
    expect_nothing_alive
}

case_what_watches_the_apps_cannot_be_stopped_by_hand() {
    start_living_pod
    ! systemctl -M "rkt-$UUID" stop rkt-ends 2>"$WORK/errors" || fail 'it was stopped'
    expect_contains "$(<"$WORK/errors")" refused 'standard error'
}

case_app_that_is_not_started_ends_the_pod() {
    app one "$LIVES"
    app two "$LIVES"
    UUID=$(RKT prepare "${STAGE1_FLAGS[@]}" "${APP[@]}")
    # Another setting of the same length.
    perl -0pi -e 's{(/two\.service\n(?:.*\n)*?)Documentation=man:rkt\(1\)}{$1ConditionPathExists=/xyz}' \
        "$DATA/pods/prepared/$UUID/machine-files"
    expect_status 254 rkt run-prepared "$UUID"
    expect_equal 254 "$(app_status two)" 'status of the app'
    # Which may not have come as far as to its trap.
    [[ -n $(app_status one) ]] || fail 'the other app has no status'
}

case_kill_of_what_watches_the_apps_while_nothing_ends() {
    start_living_pod
    kill -KILL "$(watch_pid)"
    expect_equal running "$(state_of)" state
    expect_status 0 rkt stop "$UUID"
    expect_equal 0 "$(app_status one)" 'status of the app'
}

case_app_that_is_started_again_has_not_ended() {
    app one 'echo "life $(date +%s%N)"; trap "exit 0" TERM; while :; do sleep 1000 & wait $!; done'
    app two "$LIVES"
    start_pod
    wait_for_line ready two
    in_machine sh -c 'mkdir -p /run/systemd/system/one.service.d
        printf "[Service]\nRestart=always\nRestartSec=0\n" >/run/systemd/system/one.service.d/again.conf'
    systemctl -M "rkt-$UUID" daemon-reload
    local number
    for number in 2 3 4 5; do
        kill -KILL "$(main_pid one)"
        wait_for_line life one "$number"
    done
    expect_equal running "$(state_of)" state
    expect_equal '' "$(app_status one)" 'status of the app'
    expect_status 0 rkt stop "$UUID"
    expect_equal 0 "$(app_status one)" 'status of the app'
}

case_end_of_an_app_is_recorded_while_others_live() {
    app one "$LIVES"
    app two 'echo life; exit 0'
    start_pod
    wait_for_line ready one
    wait_for_status two
    expect_equal running "$(state_of)" state
    expect_equal '' "$(app_status one)" 'status of the one that lives'
    systemctl -M "rkt-$UUID" start two
    wait_for_line life two 2
    wait_for_status two
    expect_equal running "$(state_of)" state
    expect_status 0 rkt stop "$UUID"
    expect_equal 0 "$(app_status one)" 'status of the one that lived'
}

# Returns when the end of an app has been recorded.
wait_for_status() {
    local deadline=$((SECONDS + 60))
    while [[ -z $(app_status "$1") ]]; do ((SECONDS < deadline)) || fail "no end of $1 is recorded"; done
}

case_settings_beside_and_in_an_image_change_nothing() {
    start_living_pod
    rkt stop "$UUID" >/dev/null
    local settings=$'[Exec]\nPrivateUsers=no\nCapability=all\n[Files]\nBind=/\n[Network]\nPrivate=no\n'
    mkdir -p /etc/systemd/nspawn
    printf '%s' "$settings" | tee "/etc/systemd/nspawn/rkt-$UUID.nspawn" "$DATA/pods/run/$UUID/rootfs.nspawn" \
        "$DATA/pods/run/$UUID/rkt-$UUID.nspawn" >"$DATA/pods/run/$UUID/apps/one/upper/rkt-$UUID.nspawn"
    systemctl start "pod@$UUID"
    wait_for_line ready one 2
    expect_lacks "$(in_machine ls /)" boot 'the root'
    expect_lacks "$(in_machine sh -c 'grep ^CapBnd /proc/1/status')" ffffffffff 'capabilities of the init'
    [[ $(readlink "/proc/$(leader_of)/ns/net") != "$(readlink /proc/self/ns/net)" ]] || fail 'the network is the hosts'
    rm "/etc/systemd/nspawn/rkt-$UUID.nspawn"
}

case_names_of_the_machines_own_units_are_refused() {
    refused 'an app cannot be called "dbus"' \
        rkt --insecure-options=image prepare --stage1-name=nspawn "$(busybox)" --name=dbus --exec=/bin/true
    expect_equal '' "$(rkt list --no-legend)" 'the list'
}

case_stop_by_force_kills_the_apps_alone() {
    app one 'trap "" TERM; echo ready; while :; do sleep 1000 & wait $!; done'
    start_pod
    wait_for_line ready
    expect_status 0 rkt stop --force "$UUID"
    expect_equal '' "$ERR" 'the errors'
    # The machine has ended in order, and told of it.
    expect_equal 9 "$(app_status one)" 'status of the app'
    expect_contains "$(pod_journal --output=cat)" 'Shutting down.' 'the journal'
}

case_machine_that_hangs_is_stopped_by_force() {
    start_living_pod
    kill -STOP "$(leader_of)"
    expect_status 0 rkt stop --force "$UUID"
    expect_equal exited "$(state_of)" state
}

case_what_a_machine_tells_systemd_nspawn_goes_no_further() {
    local leader words
    start_living_pod
    leader=$(leader_of)
    for words in MAINPID=1 X_RKT_LEADER_PID=1 X_NSPAWN_LEADER_PID=1 RKT_KILL=1 $'FDSTORE=1\nFDNAME=lock' STOPPING=1; do
        in_machine env NOTIFY_SOCKET=/run/host/notify systemd-notify "$words" || true
    done
    expect_equal running "$(state_of)" state
    expect_equal "$leader" "$(leader_of)" 'the leader'
    expect_equal active "$(systemctl is-active "pod@$UUID")" 'the unit'
    expect_status 0 rkt stop "$UUID"
    expect_equal 0 "$(app_status one)" 'status of the app'
}

case_way_to_the_machines_systemd_shows_it_nothing_of_the_host() {
    ! $HAS_USERS || skip 'with private users the machine sees nothing of what is not its own'
    local bridge program before
    start_living_pod
    program=$(dirname "$(command -v rkt)")/../lib/rkt/pod-init
    before=$(sha256sum <"$program")
    # It lives as long as there may be something to pass on.
    exec {bridge}> >(exec "$program" bridge "$(leader_of)" /run/systemd/private >/dev/null)
    until in_machine sh -c 'readlink /proc/[0-9]*/exe' | grep -q memfd; do :; done
    expect_status 0 in_machine sh -c 'for process in /proc/[0-9]*; do
        case $(readlink $process/exe) in */memfd:*) ;; *) continue ;; esac
        for number in 2 3; do echo "$number: $(readlink $process/fd/$number)"; done
        ls $process/fd | wc -l
        [ $process/root/etc/machine-id -ef /etc/machine-id ] && echo "the root of the machine"
        (: >>$process/exe) 2>/dev/null || echo "not to be changed"
    done'
    exec {bridge}>&-
    expect_match "$OUT" $'^2: /dev/null\n3: socket:\\[[0-9]+\\]\n4\nthe root of the machine\nnot to be changed$' 'what is seen'
    expect_equal "$before" "$(sha256sum <"$program")" 'the program'
}

case_links_in_the_machine_do_not_lead_to_the_hosts_systemd() {
    start_living_pod
    # What the pod's app is called there, on the host.
    printf '[Service]\nExecStart=/bin/sleep 1000\n' >/run/systemd/system/one.service
    systemctl start one.service
    in_machine sh -c 'rm /run/systemd/private; ln -s /../../proc/1/root/run/systemd/private /run/systemd/private'
    expect_status 0 rkt stop --force "$UUID"
    local state
    state=$(systemctl is-active one.service || true)
    systemctl stop one.service
    rm /run/systemd/system/one.service
    systemctl daemon-reload
    expect_equal active "$state" 'a unit of the host'
    expect_equal exited "$(state_of)" 'the pod'
}

case_what_it_cannot_do_is_refused() {
    app one true
    refused "does not log to the host's journal" run_pod --journal=host
    mount --bind /dev/null /usr/bin/systemd-nspawn
    (refused 'install the package systemd-container' run_pod) || { umount /usr/bin/systemd-nspawn && exit 1; }
    umount /usr/bin/systemd-nspawn
    refused 'no private users' rkt --insecure-options=image run --stage1-name=units --private-users "${APP[@]}"
    expect_equal '' "$(rkt list --no-legend)" 'the list'
}

case_host_has_no_persistent_journal() {
    mv /var/log/journal /var/log/journal.away
    systemctl restart systemd-journald
    local status=0
    app one 'echo hello; exit 3'
    run_pod --uuid-file-save="$WORK/uuid" >"$WORK/output" 2>&1 || status=$?
    mv /var/log/journal.away /var/log/journal
    systemctl restart systemd-journald
    expect_equal 3 "$status" status
    expect_match "$(<"$WORK/output")" 'one\[[0-9]+\]: hello' 'the output'
}
