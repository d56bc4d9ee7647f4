# shellcheck shell=bash
# What an app can see and do, from its own point of view.

# app_says SCRIPT [FLAG...]: what one app prints that runs the script.
app_says() {
    local script=$1
    shift
    APP=()
    app one "$script"
    run_pod "$@" | sed -E 's/^one\[[0-9]+\]: //'
}

case_namespaces_differ_from_the_hosts() {
    local kind seen
    seen=$(app_says 'for n in mnt pid ipc uts net cgroup; do echo $n $(readlink /proc/self/ns/$n); done')
    for kind in mnt pid ipc uts net cgroup; do
        expect_lacks "$seen" "$(readlink "/proc/self/ns/$kind")" "namespaces ($kind)"
    done
}

case_apps_of_a_pod_share_namespaces() {
    app one 'exec sleep 1000'
    app two 'exec sleep 1000'
    start_pod
    local kind
    for kind in pid ipc uts net; do
        expect_equal "$(readlink "/proc/$(main_pid one)/ns/$kind")" "$(readlink "/proc/$(main_pid two)/ns/$kind")" "$kind"
        expect_equal "$(readlink "/proc/$(leader_of)/ns/$kind")" \
            "$(readlink "/proc/$(main_pid two)/ns/$kind")" "$kind of the init"
    done
    [[ $(readlink "/proc/$(main_pid one)/ns/mnt") != $(readlink "/proc/$(main_pid two)/ns/mnt") ]] ||
        fail 'two apps share a mount namespace'
}

case_two_pods_share_nothing() {
    app one 'exec sleep 1000'
    start_pod
    local first kind
    first=$(main_pid one)
    start_pod
    for kind in mnt pid ipc uts net cgroup; do
        [[ $(readlink "/proc/$first/ns/$kind") != $(readlink "/proc/$(main_pid one)/ns/$kind") ]] || fail "they share $kind"
    done
}

case_default_capabilities() {
    # audit_write chown dac_override fsetid fowner kill mknod net_raw net_bind_service setuid setgid setpcap setfcap
    # sys_chroot
    local seen
    seen=$(app_says 'grep ^Cap /proc/self/status')
    expect_match "$seen" 'CapEff:.00000000a80425fb' 'effective'
    expect_match "$seen" 'CapBnd:.00000000a80425fb' 'bounding'
    expect_match "$seen" 'CapAmb:.0000000000000000' 'ambient'
}

case_capabilities_can_be_taken_away() {
    APP=()
    app one 'grep ^CapBnd /proc/self/status' --caps-retain=CAP_KILL,CAP_CHOWN
    expect_match "$(run_pod)" '0000000000000021' 'retained'
    APP=()
    app one 'grep ^CapBnd /proc/self/status' --caps-remove=CAP_KILL
    expect_match "$(run_pod)" '00000000a80425db' 'with one removed'
}

case_user_without_root_has_no_capabilities() {
    APP=()
    app one 'grep ^CapEff /proc/self/status' --user=65534 --group=65534
    expect_match "$(run_pod)" '0000000000000000' 'effective'
}

case_seccomp_and_no_new_privileges() {
    local seen
    seen=$(app_says 'grep -E "^(Seccomp|NoNewPrivs):" /proc/self/status')
    expect_match "$seen" 'NoNewPrivs:.1' 'no new privileges'
    expect_match "$seen" 'Seccomp:.2' seccomp
}

case_forbidden_calls_fail() {
    local seen
    seen=$(app_says 'mount -t tmpfs none /tmp; echo mount=$?; unshare -m true; echo unshare=$?; hostname x; echo hostname=$?')
    expect_lacks "$seen" '=0' 'calls that must fail'
}

case_only_three_file_descriptors() {
    # The fourth is the listing's own.
    expect_equal '0 1 2 3' "$(app_says 'ls /proc/self/fd' | sort -n | paste -sd' ')" 'descriptors'
    APP=()
    app one 'exec sleep 1000'
    start_pod
    expect_equal '0 1 2' "$(find "/proc/$(main_pid one)/fd" -type l -printf '%f\n' | sort -n | paste -sd' ')" \
        'descriptors of the app'
}

case_descriptors_of_the_caller_do_not_leak() {
    exec 7</etc/passwd
    expect_equal '0 1 2 3' "$(app_says 'ls /proc/self/fd' | sort -n | paste -sd' ')" 'descriptors'
}

case_environment_is_exact() {
    local seen
    seen=$(LEAK=leaked RKT run "${STAGE1_FLAGS[@]}" --net=none "$(busybox)" --name=one --exec=/bin/env | sed -E 's/^one\[[0-9]+\]: //')
    expect_lacks "$seen" leaked 'the environment'
    expect_equal 'AC_APP_NAME=one HOME=/root LOGNAME=root PATH=/bin SHELL=/bin/sh USER=root' \
        "$(sort <<<"$seen" | paste -sd' ')" 'the environment'
}

case_masked_and_read_only_paths() {
    local seen
    seen=$(app_says 'for p in /proc/kcore /proc/kallsyms /proc/config.gz /proc/sched_debug; do
            [ ! -e $p ] || [ "$(head -c1 $p 2>/dev/null | wc -c)" = 0 ] || echo readable $p; done
        for p in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/sys/vm/panic_on_oom /proc/sys/kernel/modprobe; do
            (echo x >$p) 2>/dev/null && echo writable $p; done
        for p in /sys/firmware /sys/fs/bpf /sys/module /sys/power /sys/hypervisor; do
            [ -z "$(ls $p 2>/dev/null)" ] || echo visible $p; done
        (mkdir /sys/fs/cgroup/x) 2>/dev/null && echo writable cgroup
        echo done')
    expect_equal 'done' "$seen" 'what should be protected'
}

case_insecure_options_open_what_they_name() {
    local options='--insecure-options=image,paths,capabilities,seccomp'
    APP=()
    app one 'grep -E "^(Seccomp|CapBnd):" /proc/self/status; (: >/proc/sys/kernel/core_pattern) && echo writable' 2>/dev/null
    local seen
    seen=$(rkt "$options" run --net=none "${APP[@]}" 2>&1) || true
    expect_match "$seen" 'Seccomp:.0' seccomp
    expect_match "$seen" "CapBnd:.$(sed -n 's/^CapBnd:\t//p' /proc/self/status)" capabilities
}

case_no_mount_of_the_host_is_visible() {
    local seen
    seen=$(app_says 'cat /proc/self/mountinfo')
    expect_lacks "$(awk '{ print $5 }' <<<"$seen")" /var/lib/rkt 'mount points'
    expect_lacks "$(awk '{ print $5 }' <<<"$seen")" /run/systemd 'mount points'
    expect_equal 1 "$(awk '$5 == "/"' <<<"$seen" | wc -l)" 'roots'
    # The root must not be shared: what the app mounts, if it may, stays in it.
    expect_lacks "$(awk '$5 == "/"' <<<"$seen")" 'shared:' 'the root'
    expect_equal '' "$(app_says 'ls -d /var/lib/rkt /var/log/journal /run/rkt /run/systemd /oldroot 2>/dev/null')" 'directories'
}

case_processes_of_other_pods_and_the_host_are_hidden() {
    app one 'ps -o pid,comm; echo "that was ps"; exec sleep 1000'
    start_pod
    start_pod --uuid-file-save="$WORK/second"
    wait_for_line 'was ps'
    if [[ $STAGE1 == nspawn ]]; then
        expect_match "$(rkt logs "$UUID")" ' 1 systemd' 'processes'
    else
        expect_match "$(rkt logs "$UUID")" ' 1 pod-init' 'processes'
        expect_lacks "$(rkt logs "$UUID")" systemd 'processes'
    fi
    expect_lacks "$(rkt logs "$UUID")" systemd-logind 'processes'
    expect_lacks "$(rkt logs "$UUID")" sleep 'processes'
}

case_init_cannot_be_traced_or_read() {
    local seen
    seen=$(app_says 'ls /proc/1/fd 2>&1 | head -n1; readlink /proc/1/exe 2>&1; cat /proc/1/environ 2>&1 | head -c100
        head -c1 /proc/1/mem 2>&1; ls /proc/1/root/ 2>&1 | head -n1; cat /proc/1/maps 2>&1 | head -n1')
    expect_lacks "$seen" pod-init 'what an app sees of the init'
    expect_lacks "$seen" /usr/ 'what an app sees of the init'
    expect_match "$seen" 'ermission denied' 'what an app sees of the init'
}

case_init_ignores_signals_from_inside() {
    not_nspawn 'its init is a systemd, which does as it is told by a signal'
    app one 'kill -TERM 1; kill -INT 1; kill -KILL 1; echo tried; exec sleep 1000'
    start_pod
    wait_for_line tried
    expect_equal running "$(state_of)" state
    expect_equal active "$(systemctl is-active "pod@$UUID")" 'the unit'
}

case_app_cannot_notify_systemd() {
    app one 'echo "socket=$NOTIFY_SOCKET"; exec sleep 1000'
    start_pod
    wait_for_line 'socket='
    expect_equal 'one: socket=' "$(lines_of)" 'the notify socket'
}

case_cgroup_view_begins_at_the_app() {
    expect_equal '0::/' "$(app_says 'grep ^0:: /proc/self/cgroup')" 'the cgroup'
    expect_lacks "$(app_says 'cat /proc/self/cgroup')" rkt 'the cgroups'
}

case_network_none_has_only_loopback() {
    local seen
    seen=$(app_says 'ls /sys/class/net; ip addr show lo | grep -c "127.0.0.1/8"')
    expect_equal 'lo 1' "$(paste -sd' ' <<<"$seen")" 'the interfaces'
}

case_devices() {
    local seen
    seen=$(app_says 'ls /dev | sort | paste -sd" "; echo x >/dev/null && head -c1 /dev/zero | wc -c
        mknod /tmp/sda b 8 0 2>/dev/null && head -c1 /tmp/sda 2>&1; mknod /tmp/kmsg c 1 11 2>/dev/null && head -c1 /tmp/kmsg 2>&1; true')
    for word in null zero full random urandom tty pts shm fd stdin stdout stderr; do
        expect_contains "$seen" "$word" 'devices'
    done
    expect_lacks "$seen" kvm 'devices'
    expect_lacks "$seen" sda 'devices'
}

case_keyring_is_not_the_hosts() {
    [[ -r /proc/keys ]] || skip 'the kernel has no keyrings'
    keyctl_id=$(awk '/_ses/ { print $1; exit }' /proc/keys)
    expect_equal '' "$(app_says 'cat /proc/keys 2>/dev/null' | grep "^${keyctl_id:-none}" || true)" 'keys'
}

case_setuid_programs_gain_nothing() {
    APP=()
    app one 'cp /bin/busybox /tmp/b; chmod 4755 /tmp/b; ls -l /tmp/b | cut -c1-10; grep NoNewPrivs /proc/self/status'
    expect_match "$(run_pod)" 'NoNewPrivs:.1' 'no new privileges'
}

case_changes_stay_in_the_pod() {
    app_says 'echo x >/etc/changed; rm /bin/vi' >/dev/null
    expect_equal 'no yes' "$(app_says '[ -e /etc/changed ] && echo yes || echo no; [ -e /bin/vi ] && echo yes || echo no' |
        paste -sd' ')" 'the next pod'
}

case_hosts_files() {
    expect_match "$(app_says 'cat /etc/hosts')" '127\.0\.0\.1' '/etc/hosts'
    expect_equal a-name "$(app_says 'cat /etc/hostname' --hostname=a-name)" '/etc/hostname'
}

case_files_of_the_pod_are_not_for_everybody() {
    app one 'echo $SECRET; exec sleep 1000' --environment=SECRET=sesame-4711
    start_pod
    expect_equal '' "$(setpriv --reuid=65534 --regid=65534 --clear-groups \
        grep -rls sesame-4711 "$DATA" /run/rkt /run/systemd/system 2>/dev/null || true)" 'files that nobody can read'
    expect_equal '' "$(app_systemctl show "$(unit_of one)" | grep sesame-4711 || true)" 'properties'
    expect_equal '' "$(setpriv --reuid=65534 --regid=65534 --clear-groups ps ax -o args | grep '[s]esame-4711' || true)" 'command lines'
}

# An app that may trace processes gets nothing from the init that it has not itself.
case_init_can_only_kill() {
    not_nspawn 'its init is a systemd'
    app one "$LIVES"
    start_pod
    local status
    status=$(<"/proc/$(property "pod@$UUID" MainPID)/status")
    for set in CapPrm CapEff CapBnd; do
        expect_match "$status" "$set:"$'\t'"0000000000000020" "$set of the init"
    done
    expect_match "$status" "CapInh:"$'\t'"0000000000000000" 'what the init hands on'
    expect_match "$status" "NoNewPrivs:"$'\t'"1" 'privileges of the init'
}
