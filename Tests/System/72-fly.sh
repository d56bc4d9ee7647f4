# shellcheck shell=bash
# stage1: units
# Stage1 fly: an app with the host's namespaces and rights, and a root and mounts of its own.

run_fly() { rkt --insecure-options=image run --stage1-name=fly "$@" "${APP[@]}"; }

# start_fly [FLAG...]: sets UUID.
start_fly() { UUID=$(run_fly --detach) || fail "rkt run --detach ended with $?"; }

# fly_says SCRIPT [FLAG...]: what one app prints that runs the script.
fly_says() {
    local script=$1
    shift
    APP=()
    app one "$script" "$@"
    run_fly | sed -E 's/^one\[[0-9]+\]: //'
}

# All that is mounted here: where, from what, with which flags, ids and peers.
mounts_here() { cat /proc/self/mountinfo; }

# mounts_of_app APP: the mount points an app has, from outside of it.
mounts_of_app() { awk '{ print $5 }' "/proc/$(main_pid "$1")/mountinfo"; }

has_mount() { grep -qxF "$2" <<<"$1"; }

# Every file of /dev, with what could have been changed about it.
devices_here() { find /dev -xdev -printf '%p %i %m %U:%G %l\n' | sort; }

case_runs_on_the_host() {
    local kind seen
    seen=$(fly_says 'for n in pid ipc uts net cgroup user mnt; do echo $n $(readlink /proc/self/ns/$n); done; hostname')
    for kind in pid ipc uts net cgroup user; do
        expect_contains "$seen" "$kind $(readlink "/proc/self/ns/$kind")" 'namespaces'
    done
    expect_lacks "$seen" "mnt $(readlink /proc/self/ns/mnt)" 'namespaces'
    expect_equal "$(hostname)" "$(tail -n1 <<<"$seen")" 'the host name'
}

case_host_propagation_is_never_changed() {
    local mounts devices
    mounts=$(mounts_here)
    devices=$(devices_here)
    app one 'echo ready; exec sleep 1000'
    start_fly
    wait_for_line ready
    expect_equal "$mounts" "$(mounts_here)" 'mounts while the pod runs'
    expect_equal "$devices" "$(devices_here)" 'devices while the pod runs'
    kill -KILL "$(main_pid one)"
    wait_for_end
    expect_equal "$mounts" "$(mounts_here)" 'mounts after the pod'
    expect_equal "$devices" "$(devices_here)" 'devices after the pod'
}

case_mounts_of_the_host_come_in() {
    mkdir /dev/shm/in
    mount -t tmpfs first /dev/shm/in
    app one 'echo ready; exec sleep 1000'
    start_fly
    wait_for_line ready
    mount -t tmpfs second /proc/tty
    mkdir /dev/shm/in/deep
    mount -t tmpfs third /dev/shm/in/deep
    local during after
    during=$(mounts_of_app one)
    umount /proc/tty /dev/shm/in/deep /dev/shm/in
    after=$(mounts_of_app one)
    rmdir /dev/shm/in
    for path in /dev/shm/in /proc/tty /dev/shm/in/deep; do
        has_mount "$during" "$path" || fail "the app does not see the host's mount on $path: $during"
        ! has_mount "$after" "$path" || fail "the app keeps the host's mount on $path: $after"
    done
}

case_mounts_of_the_app_stay_in_it() {
    local mounts seen
    mkdir /dev/shm/out
    mounts=$(mounts_here)
    # Of its own peer group it may share as it likes.
    app one 'mkdir /mnt
        mount -t tmpfs one /proc/tty && mount -t tmpfs two /dev/shm/out && mount -t tmpfs three /mnt || exit 1
        mount --make-rshared / && mkdir /dev/shm/out/deep /mnt/deep || exit 2
        mount -t tmpfs four /dev/shm/out/deep && mount -t tmpfs five /proc/bus && mount -t tmpfs six /mnt/deep || exit 3
        umount /dev/mqueue || exit 4
        mount -o remount,bind,ro /sys || exit 5
        echo ready; exec sleep 1000'
    start_fly
    wait_for_line ready
    expect_equal "$mounts" "$(mounts_here)" 'mounts of the host'
    seen=$(mounts_of_app one)
    for path in /proc/tty /dev/shm/out /dev/shm/out/deep /proc/bus /mnt/deep; do
        has_mount "$seen" "$path" || fail "the app has not its own mount on $path: $seen"
    done
    ! has_mount "$seen" /dev/mqueue || fail 'the app still has what it has unmounted'
    rkt stop --force "$UUID" >/dev/null
    expect_equal "$mounts" "$(mounts_here)" 'mounts of the host afterwards'
    # Not busy: nothing of the app's holds it.
    rmdir /dev/shm/out
}

# Without a journal of its own, systemd gives the app's unit no mount namespace.
case_journal_of_the_host_changes_nothing_of_that() {
    local mounts
    mounts=$(mounts_here)
    app one 'mkdir /mnt; mount -t tmpfs one /proc/tty && mount -t tmpfs two /mnt || exit 1; echo ready; exec sleep 1000'
    # shellcheck disable=SC2034 # lib.bash uses it
    STAGE1_FLAGS=(--stage1-name=fly)
    run_in_background --journal=host
    expect_equal "$mounts" "$(mounts_here)" 'mounts while the pod runs'
    mount -t tmpfs three /proc/bus
    has_mount "$(mounts_of_app one)" /proc/bus || fail "the app does not see the host's mount"
    umount /proc/bus
    rkt stop --force "$UUID" >/dev/null
    wait "$RKT_PID" || true
    expect_equal "$mounts" "$(mounts_here)" 'mounts after the pod'
}

case_dev_proc_and_sys_are_the_hosts() {
    local path seen
    seen=$(fly_says 'cat /proc/self/mountinfo')
    for path in /proc /sys /sys/fs/cgroup /dev /dev/pts /dev/shm; do
        expect_equal "$(awk -v path=$path '$5 == path { print $3 }' /proc/self/mountinfo)" \
            "$(awk -v path=$path '$5 == path { print $3 }' <<<"$seen")" "the file system on $path"
    done
    expect_match "$(awk '$5 == "/proc"' <<<"$seen")" ' rw,nosuid,nodev,noexec,relatime master:[0-9]+ - proc' /proc
    expect_match "$(awk '$5 == "/dev"' <<<"$seen")" ' rw,nosuid,relatime master:[0-9]+ - ' /dev
    expect_match "$(awk '$5 == "/tmp"' <<<"$seen")" ' rw,nosuid,nodev,relatime - tmpfs' /tmp
    expect_lacks "$seen" shared: 'mounts'
    expect_lacks "$(awk '{ print $5 }' <<<"$seen")" /var/lib/rkt 'mount points'
    expect_equal "1777 $(cat /proc/sys/kernel/random/boot_id)" \
        "$(fly_says 'echo $(stat -c %a /tmp) $(cat /proc/sys/kernel/random/boot_id)')" 'what the app sees'
    expect_contains "$(fly_says 'cat /proc/1/comm')" systemd "the host's first process"
}

case_tmp_is_new_at_each_start_and_the_rest_stays() {
    app one 'echo tmp $(ls /tmp) var /var/k*; : >/tmp/gone; : >/var/kept'
    start_fly
    wait_for_end
    expect_status 0 systemctl start "pod@$UUID"
    wait_for_end
    expect_equal $'one: tmp var /var/k*\none: tmp var /var/kept' "$(lines_of)" 'the log'
}

case_readonly_rootfs_leaves_tmp_writable() {
    expect_equal $'no\nyes' "$(fly_says '(: >/file) 2>/dev/null && echo yes || echo no
        (: >/tmp/file) && echo yes || echo no' --readonly-rootfs=true)" 'what is writable'
}

case_just_one_app() {
    local command image=$WORK/copy.aci
    cp "$IMAGES/busybox.aci.gz" "$image"
    for command in run prepare; do
        refused 'fly only supports 1 application per Pod for now' rkt --insecure-options=image --dir="$WORK/data" \
            "$command" --stage1-name=fly "$image" --name=one "$image" --name=two
        [[ ! -e $WORK/data ]] || fail "something was made: $(find "$WORK/data")"
    done
}

case_flags_it_ignores() {
    app one 'hostname; readlink /proc/self/ns/net; grep ^CapEff /proc/self/status' --caps-retain=CAP_KILL
    expect_status 0 run_fly --net=bridge --hostname=other
    expect_equal "rkt: warning: stage1 fly ignores --net: the app is on the host's network
rkt: warning: stage1 fly ignores --hostname: the host's name stays
rkt: warning: stage1 fly ignores --caps-retain: the app has the host's capabilities" "$ERR" 'standard error'
    expect_contains "$OUT" "$(hostname)" 'the output'
    expect_contains "$OUT" "$(readlink /proc/self/ns/net)" 'the output'
    expect_contains "$OUT" "$(grep ^CapEff /proc/self/status)" 'the output'
    APP=()
    app one true --caps-remove=CAP_KILL
    expect_status 0 run_fly --net=host
    expect_equal "rkt: warning: stage1 fly ignores --caps-remove: the app has the host's capabilities" "$ERR" \
        'standard error'
    APP=()
    app one true
    expect_status 0 rkt --insecure-options=all run --stage1-name=fly --net=host "${APP[@]}"
    expect_equal '' "$ERR" 'standard error'
}

case_rights_are_those_of_root_on_the_host() {
    local seen
    seen=$(fly_says 'grep -E "^(Cap(Eff|Bnd|Amb)|Seccomp|NoNewPrivs):" /proc/self/status
        for p in /proc/sys/kernel/core_pattern /proc/irq /proc/fs; do [ -w $p ] || echo not writable $p; done
        for p in /proc/kallsyms /proc/interrupts /sys/module; do [ -r $p ] && [ ! -c $p ] || echo hidden $p; done
        ls /sys/module | grep -c .')
    for set in CapEff CapBnd CapAmb; do
        expect_contains "$seen" "$(grep "^$set:" /proc/self/status)" "$set"
    done
    expect_contains "$seen" $'NoNewPrivs:\t0' 'no new privileges'
    expect_contains "$seen" $'Seccomp:\t0' seccomp
    expect_lacks "$seen" 'not writable' 'what root may change'
    expect_lacks "$seen" 'hidden' 'what root may see'
    [[ $(tail -n1 <<<"$seen") != 0 ]] || fail '/sys/module is hidden'
    expect_equal auto "$(APP=() && app one 'exec sleep 1000' && start_fly && property "$(unit_of one)" DevicePolicy)" \
        'the device policy'
}

case_devices_of_the_host_can_be_opened() {
    if ! [[ -c /dev/net/tun ]] || ! (: <>/dev/net/tun) 2>/dev/null; then
        skip 'the host has no /dev/net/tun to open'
    fi
    expect_equal opened "$(fly_says '(: <>/dev/net/tun) && echo opened')" 'the device'
}

case_environment_is_the_image_and_five_defaults() {
    expect_equal 'A=1 HOME=/root LOGNAME=root PATH=/bin SHELL=/bin/sh USER=root' \
        "$(LEAK=leaked RKT run --stage1-name=fly --set-env=A=1 "$(busybox)" --exec=/bin/env |
            sed -E 's/^busybox\[[0-9]+\]: //' | sort | paste -sd' ')" 'the environment'
}

case_user_and_groups() {
    expect_equal 'uid=65534 gid=12 groups=34,56' "$(fly_says 'id | sed "s/([^)]*)//g"; grep ^CapEff /proc/self/status' \
        --user=65534 --group=12 --supplementary-gids=34,56 | head -n1)" 'the ids'
    expect_match "$(fly_says 'grep ^CapEff /proc/self/status' --user=65534 --group=65534)" '0000000000000000' \
        'capabilities of a user'
}

case_descriptors() {
    exec 7</etc/passwd
    expect_equal '0 1 2 3' "$(fly_says 'ls /proc/self/fd' | sort -n | paste -sd' ')" 'descriptors'
}

case_hosts_file_is_made_where_the_image_has_none() {
    local seen
    seen=$(fly_says 'cat /etc/hosts; echo /etc/hostn* /etc/resolv*')
    expect_equal $'127.0.0.1\tlocalhost localhost.localdomain' "$(head -n1 <<<"$seen")" '/etc/hosts'
    expect_equal '/etc/hostn* /etc/resolv*' "$(tail -n1 <<<"$seen")" 'other files'
}

case_status_pid_and_log() {
    app one 'echo ready; exec sleep 1000'
    start_fly
    wait_for_line ready
    local status pid
    status=$(rkt status "$UUID")
    pid=$(<"$DATA/pods/run/$UUID/pid")
    expect_contains "$status" "state=running" status
    expect_contains "$status" "pid=$pid" status
    expect_equal "$pid" "$(property "pod@$UUID" MainPID)" 'the pid file'
    expect_equal 'one: ready' "$(lines_of)" 'the log'
    expect_equal ready "$(journalctl --namespace="rkt-$UUID" --output=cat RKT_APP=one)" 'the journal'
    expect_equal "$(slice_of)" "$(property "$(unit_of one)" Slice)" "the app's slice"
    expect_contains "$(rkt list --full)" "$UUID" 'the list'
}

case_signal_to_its_pid_ends_it_in_order() {
    app one "$LIVES"
    start_fly
    wait_for_line ready
    kill -TERM "$(<"$DATA/pods/run/$UUID/pid")"
    wait_for_end
    expect_equal 0 "$(app_status one)" 'status of the app'
    expect_contains "$(rkt logs "$UUID")" ending 'the log'
}

case_stop_and_systemctl_stop() {
    local command
    for command in 'rkt stop' 'systemctl stop'; do
        APP=()
        app one "$LIVES"
        start_fly
        wait_for_line ready
        case $command in
            rkt*) expect_status 0 rkt stop "$UUID" ;;
            *) expect_status 0 systemctl stop "pod@$UUID" ;;
        esac
        expect_equal exited "$(state_of)" "state after $command"
        expect_equal 0 "$(app_status one)" "status of the app after $command"
        expect_contains "$(rkt logs "$UUID")" ending "the log after $command"
    done
}

case_stop_force() {
    app one 'trap "" TERM; echo ready; while :; do sleep 1000; done'
    start_fly
    wait_for_line ready
    expect_status 0 rkt stop --force "$UUID"
    expect_equal exited "$(state_of)" state
    expect_equal '' "$(pgrep -ax sleep || true)" 'processes'
}

case_exit_status_is_the_apps() {
    app one 'exit 7'
    expect_status 7 run_fly
    APP=()
    app one 'kill -KILL $$'
    expect_status 9 run_fly
}

# No PID namespace ends with its init: systemd sees to it that nothing is left.
case_ended_app_leaves_no_process() {
    app one 'setsid sleep 4711 & echo ready; exec sleep 1000'
    start_fly
    wait_for_line ready
    kill -KILL "$(main_pid one)"
    wait_for_end
    expect_equal 9 "$(app_status one)" 'status of the app'
    systemctl stop "$(unit_of one)"
    expect_equal '' "$(pgrep -ax sleep || true)" 'processes'
    APP=()
    app one 'setsid sleep 4711 & exit 3'
    expect_status 3 run_fly
    systemctl stop 'rkt-*-one.service'
    expect_equal '' "$(pgrep -ax sleep || true)" 'processes after an exit'
}

# An image with links where the host's directories go: they lead nowhere but into the app's own root.
case_links_of_the_image_lead_to_nothing_of_the_host() {
    local mounts devices where path status=0 root=$WORK/image/rootfs
    mkdir -p "$root/bin" "$root/here" "$WORK/sentinel"
    tar -xOf "$IMAGES/busybox.aci" rootfs/bin/busybox >"$root/bin/busybox"
    chmod 755 "$root/bin/busybox"
    printf '%s' '{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/links",' \
        '"app":{"exec":["/bin/busybox","cat","/proc/self/mountinfo"],"user":"0","group":"0"}}' >"$WORK/image/manifest"
    mounts=$(mounts_here)
    devices=$(devices_here)
    for where in "$WORK/sentinel" "../../../../../../..$WORK/sentinel" /here /proc/self/root /proc/1/root; do
        for path in proc sys dev tmp; do ln -sfn "$where" "$root/$path"; done
        tar -C "$WORK/image" -cf "$WORK/links.aci" manifest rootfs
        # It may be refused; what counts is where the mounts go.
        timeout 60 rkt --insecure-options=image run --stage1-name=fly "$WORK/links.aci" >"$WORK/output" 2>&1 || status=$?
        [[ $status != 124 ]] || fail "an image with links to $where hangs"
        expect_equal "$mounts" "$(mounts_here)" "mounts of the host with links to $where"
        expect_equal "$devices" "$(devices_here)" "devices of the host with links to $where"
        expect_equal '' "$(find "$WORK/sentinel" -mindepth 1)" "files with links to $where"
    done
}
