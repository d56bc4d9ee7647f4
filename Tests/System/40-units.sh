# shellcheck shell=bash
# stage1: units
# The units of a pod on the host: systemctl acts on the app itself.

case_main_process_is_the_app() {
    app one 'exec sleep 1234'
    start_pod
    expect_match "$(tr '\0' ' ' <"/proc/$(main_pid one)/cmdline")" 'sleep 1234' 'the main process'
    expect_equal "$(main_pid one)" "$(cat "/sys/fs/cgroup$(property "$(unit_of one)" ControlGroup)"/cgroup.procs \
        "/sys/fs/cgroup$(property "$(unit_of one)" ControlGroup)"/*/cgroup.procs 2>/dev/null | sort -u)" \
        'processes of the unit'
}

case_nothing_of_ours_stays_beside_an_app() {
    app one "$LIVES"
    app two "$LIVES"
    start_pod
    expect_equal "$(property "pod@$UUID" MainPID)" "$(processes_of_rkt | cut -d' ' -f1 | paste -sd' ')" 'our processes'
}

case_main_process_of_the_pod_is_its_init() {
    app one "$LIVES"
    start_pod
    expect_equal 'pod-init' "$(cat "/proc/$(property "pod@$UUID" MainPID)/comm")" 'the main process'
    expect_equal "$(machinectl show "rkt-$UUID" --property=Leader --value)" "$(property "pod@$UUID" MainPID)" 'the leader'
}

case_status_shows_app_and_log() {
    app one 'echo a line for status; exec sleep 1000'
    start_pod
    wait_for_line 'a line for status'
    journalctl --namespace="rkt-$UUID" --sync
    local status
    status=$(systemctl status --no-pager --lines=5 "$(unit_of one)")
    expect_contains "$status" 'active (running)' 'systemctl status'
    expect_contains "$status" 'a line for status' 'systemctl status'
    expect_contains "$status" 'sleep 1000' 'systemctl status'
    expect_contains "$status" "$UUID" 'systemctl status'
}

case_restart_of_one_app_restarts_only_it() {
    app one "$LIVES"
    app two "$LIVES"
    start_pod
    wait_for_line ready one
    local one two pod
    one=$(main_pid one) two=$(main_pid two) pod=$(property "pod@$UUID" MainPID)
    expect_status 0 systemctl restart "$(unit_of one)"
    [[ $(main_pid one) != "$one" && $(main_pid one) != 0 ]] || fail 'the app was not restarted'
    expect_equal "$two" "$(main_pid two)" 'the other app'
    expect_equal "$pod" "$(property "pod@$UUID" MainPID)" "the pod's init"
    expect_equal running "$(state_of)" state
    expect_equal '' "$(app_status one)" 'recorded end of the app that runs'
}

case_restarted_app_has_its_files_and_its_namespaces() {
    app one 'echo x >>/tmp/starts; wc -l </tmp/starts; readlink /proc/self/ns/net; exec sleep 1000'
    start_pod
    wait_for_line net: one
    systemctl restart "$(unit_of one)"
    journalctl --namespace="rkt-$UUID" --sync
    rkt stop "$UUID" >/dev/null
    local lines
    lines=$(lines_of | sed 's/^one: //')
    expect_equal '1 2' "$(grep -E '^[0-9]+$' <<<"$lines" | paste -sd' ')" 'starts counted in a file'
    expect_equal 1 "$(grep net: <<<"$lines" | sort -u | wc -l)" 'network namespaces'
}

case_stop_of_one_app_keeps_the_other() {
    app one "$LIVES"
    app two "$LIVES"
    start_pod
    wait_for_line ready one
    expect_status 0 systemctl stop "$(unit_of one)"
    expect_equal running "$(state_of)" state
    expect_equal 0 "$(app_status one)" 'status of the stopped app'
    expect_equal active "$(systemctl is-active "$(unit_of two)")" 'the other app'
}

case_systemctl_kill_reaches_the_app() {
    app one 'trap "echo got it" USR1; echo ready; while :; do sleep 1000 & wait $!; done'
    start_pod
    wait_for_line ready
    systemctl kill --signal=USR1 --kill-whom=main "$(unit_of one)"
    wait_for_line 'got it'
    expect_equal running "$(state_of)" state
}

case_systemctl_kill_of_the_pod_ends_it() {
    app one "$LIVES"
    start_pod
    wait_for_line ready
    systemctl kill "pod@$UUID"
    wait_for_end
    expect_equal exited "$(state_of)" state
}

case_drop_in_counts_from_the_next_start() {
    app one 'cat /proc/self/oom_score_adj; exec sleep 1000'
    start_pod
    mkdir -p "/run/systemd/system/$(unit_of one).d"
    printf '[Service]\nOOMScoreAdjust=321\n' >"/run/systemd/system/$(unit_of one).d/50-test.conf"
    systemctl daemon-reload
    expect_equal running "$(state_of)" 'state after the reload'
    systemctl restart "$(unit_of one)"
    wait_for_line 321
}

case_restart_policy_of_a_drop_in() {
    app one 'echo begin; test -e /tmp/again && exec sleep 1000; touch /tmp/again; exit 1'
    UUID=$(RKT prepare "${APP[@]}")
    mkdir -p "/run/systemd/system/$(unit_of one).d"
    printf '[Service]\nRestart=on-failure\n' >"/run/systemd/system/$(unit_of one).d/50-test.conf"
    systemctl start "pod@$UUID" || true
    wait_for_line begin one 2
    expect_equal running "$(state_of)" state
}

# with_drop_in SETTINGS: prepares the apps of APP as a pod whose first app has a drop-in; sets UUID.
with_drop_in() {
    UUID=$(RKT prepare "${APP[@]}")
    mkdir -p "/run/systemd/system/$(unit_of one).d"
    printf '%b' "$1" >"/run/systemd/system/$(unit_of one).d/50-test.conf"
}

case_status_that_a_drop_in_excepts_from_restart_ends_the_pod() {
    app one 'echo begin; exit 5'
    with_drop_in '[Service]\nRestart=on-failure\nRestartPreventExitStatus=5 SIGKILL\n'
    expect_status 5 rkt run-prepared "$UUID"
    expect_equal 'one: begin' "$(lines_of)" 'the log'
}

case_status_for_which_a_drop_in_forces_a_restart() {
    app one 'echo begin; test -e /again && exit 0; touch /again; exit 5'
    with_drop_in '[Service]\nRestartForceExitStatus=5\n'
    expect_status 0 rkt run-prepared "$UUID"
    expect_equal 2 "$(lines_of | grep -c begin)" 'lives'
}

case_signal_for_which_a_drop_in_forces_a_restart() {
    app one 'echo begin; test -e /again && exit 0; touch /again; kill -USR1 $$'
    with_drop_in '[Service]\nRestartForceExitStatus=SIGUSR1\n'
    expect_status 0 rkt run-prepared "$UUID"
    expect_equal 2 "$(lines_of | grep -c begin)" 'lives'
}

# wait_for_restart: returns when the first app waits to be started again.
wait_for_restart() {
    wait_for_line 'begin'
    while [[ $(property "$(unit_of one)" SubState) != auto-restart* ]]; do
        [[ $(property "pod@$UUID" ActiveState) == active ]] || fail 'the pod has ended'
    done
}

case_stop_of_an_app_that_waits_for_its_restart_ends_the_pod() {
    app one 'echo begin; exit 3'
    with_drop_in '[Service]\nRestart=always\nRestartSec=1h\n'
    systemctl start "pod@$UUID"
    wait_for_restart
    expect_equal running "$(state_of)" state
    systemctl stop "$(unit_of one)"
    wait_for_end
    expect_equal exited "$(state_of)" state
    expect_equal 3 "$(app_status one)" "the app's status"
}

case_stop_of_a_pod_whose_app_waits_for_its_restart() {
    app one 'echo begin; exit 3'
    app two "$LIVES"
    with_drop_in '[Service]\nRestart=always\nRestartSec=1h\n'
    systemctl start "pod@$UUID"
    wait_for_restart
    expect_status 0 rkt stop "$UUID"
    expect_equal exited "$(state_of)" state
    expect_equal 3 "$(app_status one)" "the app's status"
    expect_equal inactive "$(property "pod@$UUID" ActiveState)" 'the unit'
}

case_app_that_is_restarted_too_often_ends_the_pod() {
    app one 'echo begin; exit 3'
    with_drop_in '[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=3\n[Service]\nRestart=on-failure\nRestartSec=0\n'
    systemctl start "pod@$UUID" || true
    wait_for_end
    expect_equal 3 "$(lines_of | grep -c begin)" 'lives'
    expect_equal 3 "$(app_status one)" "the app's status"
    expect_equal failed "$(property "pod@$UUID" ActiveState)" 'the unit'
}

case_stop_of_the_slice_stops_the_pod() {
    app one "$LIVES"
    start_pod
    wait_for_line ready
    systemctl stop "$(slice_of)"
    wait_for_end
    expect_equal exited "$(state_of)" state
    expect_equal inactive "$(property "pod@$UUID" ActiveState)" 'the unit'
    expect_contains "$(lines_of)" ending 'the log'
}

case_signals_of_others_do_not_count() {
    app one "$LIVES"
    mkfifo "$WORK/go"
    with_drop_in "[Service]\\nExecStartPre=/bin/sh -c 'read -r word <$WORK/go'\\n"
    systemctl start --no-block "pod@$UUID"
    local name='' job='' result
    while [[ -z $name || -z $job ]]; do
        name=$(busctl list --no-legend | awk '$3 == "pod-init" { print $1 }')
        job=$(systemctl list-jobs --no-legend | awk -v unit="$(unit_of one)" '$2 == unit && $4 == "running" { print $1 }')
    done
    for result in failed 'done'; do
        setpriv --reuid=65534 --clear-groups busctl emit --destination="$name" /org/freedesktop/systemd1 \
            org.freedesktop.systemd1.Manager JobRemoved uoss \
            "$job" "/org/freedesktop/systemd1/job/$job" "$(unit_of one)" "$result"
    done
    # What pod-start has read by then, it has dealt with.
    busctl call "$name" / org.freedesktop.DBus.Peer Ping --timeout=1 2>/dev/null || true
    expect_equal activating "$(property "pod@$UUID" ActiveState)" 'the unit'
    echo go >"$WORK/go"
    systemctl start "pod@$UUID"
    wait_for_line ready
    expect_equal running "$(state_of)" state
}

case_set_property_acts_at_once() {
    app one "$LIVES"
    start_pod
    local group
    group=/sys/fs/cgroup$(property "$(unit_of one)" ControlGroup)
    [[ -e $group/pids.max ]] || {
        # Without controllers the property is still the unit's.
        systemctl set-property "$(unit_of one)" TasksMax=77
        expect_equal 77 "$(property "$(unit_of one)" TasksMax)" 'the property'
        skip 'the host has bound the pids controller to cgroup v1: only the property was looked at'
    }
    systemctl set-property "$(unit_of one)" TasksMax=77
    expect_equal 77 "$(<"$group/pids.max")" 'the limit'
}

case_cat_and_list_units_know_them() {
    app one "$LIVES"
    start_pod
    expect_contains "$(systemctl cat "$(unit_of one)")" "Slice=$(slice_of)" 'systemctl cat'
    expect_contains "$(systemctl list-units --plain --no-legend 'rkt-*')" "$(unit_of one)" 'list-units'
    expect_contains "$(systemctl cat "pod@$UUID")" 'WantedBy=multi-user.target' 'systemctl cat'
}

case_app_is_in_the_slice_of_its_pod() {
    app one "$LIVES"
    start_pod
    expect_equal "$(slice_of)" "$(property "$(unit_of one)" Slice)" 'slice of the app'
    expect_equal rkt.slice "$(property "$(slice_of)" Slice)" 'slice of the slice'
    expect_match "$(systemd-cgls --no-pager /rkt.slice)" "$(unit_of one)" 'systemd-cgls'
}

case_daemon_reload_and_reexec_change_nothing() {
    app one "$LIVES"
    app two 'exec sleep 1000'
    start_pod
    wait_for_line ready
    local one two
    one=$(main_pid one) two=$(main_pid two)
    systemctl daemon-reload
    systemctl daemon-reexec
    systemctl daemon-reload
    expect_equal "$one $two" "$(main_pid one) $(main_pid two)" 'the processes'
    expect_equal running "$(state_of)" state
    expect_contains "$(machinectl list --no-legend)" "rkt-$UUID" machines
    expect_status 0 rkt stop "$UUID"
    expect_equal 0 "$(app_status one)" 'status of the app'
}

case_reload_while_pods_start_changes_nothing() {
    app one 'exit 5'
    local number runners=()
    for number in 1 2 3 4 5 6; do
        run_pod >/dev/null 2>&1 &
        runners+=($!)
        systemctl daemon-reload
    done
    for number in "${runners[@]}"; do expect_status 5 wait "$number"; done
}

case_reexec_while_pods_start_changes_nothing() {
    app one 'exit 5'
    local number runners=()
    for number in 1 2 3 4; do
        run_pod >/dev/null 2>&1 &
        runners+=($!)
        systemctl daemon-reexec
    done
    for number in "${runners[@]}"; do expect_status 5 wait "$number" || cat "$WORK"/errors.*; done
}

case_unit_files_pass_systemd_analyze() {
    app one "$LIVES" --environment='A=%n $x "y"'
    start_pod
    expect_status 0 systemd-analyze verify --man=no "/run/systemd/system/$(unit_of one)" "/run/systemd/system/$(slice_of)"
    expect_equal '' "$(grep -v "^$" <<<"$ERR" | grep -F "$UUID" || true)" 'warnings'
}
