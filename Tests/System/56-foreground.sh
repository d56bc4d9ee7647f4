# shellcheck shell=bash
# stage1: nspawn
# A pod with a systemd of its own below `rkt run`, as rkt ran them: in a unit of the caller's, in a session, in none.

UNIT=rkt-test-caller.service

# start_unit [PROPERTY...]: `rkt run` with the apps of APP as a unit; returns when it is ready, and sets UUID.
start_unit() {
    local properties=() property
    for property; do properties+=("--property=$property"); done
    run_systemd_run --unit="$UNIT" --property=KillMode=mixed --property=Type=notify "${properties[@]}" -- \
        "$(command -v rkt)" --insecure-options=image run "${STAGE1_FLAGS[@]}" --net=none \
        --uuid-file-save="$WORK/uuid" "${APP[@]}"
    UUID=$(<"$WORK/uuid")
}

# systemd keeps a unit that is down for a moment, and makes none of that name meanwhile.
run_systemd_run() { expect_status 0 systemd-run --quiet --collect "$@"; }

cgroup_of_leader() { sed -n 's|^0::||p' "/proc/$(leader_of)/cgroup"; }

limit_of_leader() { awk -v name="$1" 'index($0, name) == 1 { print $(NF - 1) }' "/proc/$(leader_of)/limits"; }

start_living_pod_in_a_unit() {
    app one "$LIVES"
    start_unit "$@"
    wait_for_line ready
}

expect_well_ended() {
    expect_equal exited "$(state_of)" state
    expect_equal 0 "$(app_status one)" 'status of the app'
    expect_contains "$(rkt logs "$UUID")" ending 'the log'
}

case_unit_of_the_callers_encloses_the_pod() {
    start_living_pod_in_a_unit LimitNOFILE=3000:4000
    expect_equal "/system.slice/$UNIT/rkt-$UUID/payload/init.scope" "$(cgroup_of_leader)" 'the cgroup of the machine'
    expect_equal 4000 "$(limit_of_leader 'Max open files')" 'the limit of open files'
    local tree
    tree=$(systemctl status --no-pager --lines=0 "$UNIT")
    expect_contains "$tree" 'rkt --insecure-options=image run' 'the tree of processes'
    expect_contains "$tree" 'systemd-nspawn' 'the tree of processes'
    expect_contains "$tree" "payload" 'the tree of processes'
    expect_equal inactive "$(systemctl is-active "pod@$UUID" || true)" 'pod@'
    expect_equal "$UNIT" "$(machinectl show "rkt-$UUID" --property=Unit --value)" "the machine's unit"
    expect_equal active "$(systemctl -M "rkt-$UUID" is-active one)" 'the app'
    expect_match "$(journalctl -M "rkt-$UUID" --quiet --unit=one --output=cat)" ready 'journalctl -M'
    expect_status 0 systemctl stop "$UNIT"
    expect_well_ended
}

case_unit_of_the_callers_has_the_hosts_devices_and_the_pod_has_not() {
    local where seen
    # A disk that need not be there, and the kernel's log.
    app one 'for kind in "b 7 0" "c 1 11" "c 10 229"; do mknod /tmp/x $kind 2>/dev/null && echo "made $kind"; done
        echo x >/dev/null && head -c 2 /dev/zero | wc -c; tty -s </dev/ptmx; echo "done"'
    for where in '--wait --pipe' --scope; do
        # shellcheck disable=SC2086 # words
        seen=$(systemd-run $where --quiet --collect rkt --insecure-options=image run "${STAGE1_FLAGS[@]}" --net=none \
            "${APP[@]}" | sed 's/^[^:]*: //')
        expect_equal '2 done' "$(paste -sd' ' <<<"$seen")" "what the app could make with $where"
    done
}

case_unit_is_ready_when_the_apps_have_started() {
    # Type=notify: systemd-run has waited for that.
    start_living_pod_in_a_unit
    expect_equal active "$(systemctl is-active "$UNIT")" 'the unit'
    expect_status 0 rkt status --wait-ready=1s "$UUID"
    expect_equal running "$(state_of)" state
}

case_unit_fails_with_the_status_of_the_app() {
    app one 'exit 7'
    expect_status 7 systemd-run --quiet --wait --pipe --property=KillMode=mixed -- \
        "$(command -v rkt)" --insecure-options=image run "${STAGE1_FLAGS[@]}" --net=none "${APP[@]}"
}

case_unit_goes_on_while_the_machine_reboots() {
    start_living_pod_in_a_unit
    expect_status 0 machinectl reboot "rkt-$UUID"
    wait_for_line ready one 2
    expect_equal running "$(state_of)" state
    expect_equal active "$(systemctl is-active "$UNIT")" 'the unit'
    expect_equal 0 "$(property "$UNIT" NRestarts)" 'restarts of the unit'
    expect_status 0 rkt stop "$UUID"
    expect_well_ended
}

case_terminate_ends_the_unit() {
    start_living_pod_in_a_unit
    expect_status 0 machinectl terminate "rkt-$UUID"
    wait_for_end
    expect_well_ended
}

case_several_pods_in_a_unit() {
    app one 'sleep 1; echo one'
    local first=("${APP[@]}")
    APP=()
    app two 'echo two; exit 3'
    local words="rkt --insecure-options=image run ${STAGE1_FLAGS[*]} --net=none"
    cat >"$WORK/script" <<END
$words --uuid-file-save=$WORK/first ${first[*]@Q} &
until machinectl list --no-legend | grep -q rkt-; do :; done
$words ${APP[*]@Q}
echo "status=\$?"
wait
$words ${APP[*]@Q}
find /sys/fs/cgroup\$(sed -n 's/^0:://p' /proc/self/cgroup) -mindepth 1 -type d
END
    expect_status 0 systemd-run --quiet --wait --pipe --unit="$UNIT" --property=KillMode=mixed -- bash "$WORK/script"
    expect_match "$OUT" 'one\[[0-9]+\]: one' 'the output'
    expect_contains "$OUT" 'status=3' 'the output'
    expect_equal 2 "$(grep -c 'two\[[0-9]*\]: two' <<<"$OUT")" 'lines of two'
    expect_lacks "$OUT" /sys/fs/cgroup 'the output'
    # Before 258 machined takes one machine for each unit.
    if ((SYSTEMD_VERSION < 258)); then
        expect_contains "$ERR" 'is not registered as a machine' 'the errors'
    else
        expect_lacks "$ERR" 'is not registered' 'the errors'
    fi
}

case_machine_that_was_killed_does_not_stand_in_the_way() {
    app one "$LIVES"
    local words="rkt --insecure-options=image run ${STAGE1_FLAGS[*]} --net=none"
    cat >"$WORK/script" <<END
$words --uuid-file-save=$WORK/uuid ${APP[*]@Q} >$WORK/output &
rkt=\$!
until grep -q ready $WORK/output; do :; done
kill -KILL \$rkt
wait \$rkt
$words \$(cat /root/busybox-id) --exec /bin/true
END
    expect_status 0 systemd-run --quiet --wait --pipe --unit="$UNIT" --property=KillMode=mixed -- bash "$WORK/script"
    expect_lacks "$ERR" 'is not registered' 'the errors'
    UUID=$(<"$WORK/uuid")
    expect_equal exited "$(state_of)" state
}

case_session_has_a_scope_for_each_pod() {
    app one "$LIVES"
    # In a slice of a user's, as sessions are.
    run_systemd_run --unit="$UNIT" --property=KillMode=mixed --property=Type=notify --slice=user-0.slice -- \
        "$(command -v rkt)" --insecure-options=image run "${STAGE1_FLAGS[@]}" --net=none \
        --uuid-file-save="$WORK/uuid" "${APP[@]}"
    UUID=$(<"$WORK/uuid")
    wait_for_line ready
    expect_equal "/rkt.slice/rkt-$UUID.scope/payload/init.scope" "$(cgroup_of_leader)" 'the cgroup of the machine'
    expect_status 0 machinectl terminate "rkt-$UUID"
    wait_for_end
    expect_well_ended
}

case_scope_is_stopped_in_order() {
    app one "$LIVES"
    run_in_background
    expect_contains "$(systemctl status --no-pager --lines=0 "rkt-$UUID.scope")" systemd-nspawn 'the tree of processes'
    expect_status 0 systemctl stop "rkt-$UUID.scope"
    expect_status 0 wait "$RKT_PID"
    expect_well_ended
}

case_machine_reboots_and_is_stopped() {
    app one "$LIVES"
    run_in_background
    expect_status 0 machinectl reboot "rkt-$UUID"
    wait_for_line ready one 2
    expect_equal running "$(state_of)" state
    # The second scope is the controller's, too.
    expect_status 0 systemctl stop "rkt-$UUID.scope"
    expect_status 0 wait "$RKT_PID"
    expect_well_ended
    expect_equal 2 "$(grep -c ending "$WORK/output")" 'ends of the app'
}

case_machine_reboots_after_the_bus_was_another() {
    app one "$LIVES"
    run_in_background
    systemctl restart dbus.service
    expect_status 0 systemctl -M "rkt-$UUID" reboot
    wait_for_line ready one 2
    expect_equal running "$(state_of)" state
    expect_status 0 systemctl stop "rkt-$UUID.scope"
    expect_status 0 wait "$RKT_PID"
    expect_well_ended
}

case_poweroff_ends_the_command() {
    app one "$LIVES"
    run_in_background
    expect_status 0 machinectl poweroff "rkt-$UUID"
    expect_status 0 wait "$RKT_PID"
    expect_well_ended
}

case_stop_asks_the_command() {
    app one "$LIVES"
    run_in_background
    expect_status 0 rkt stop "$UUID"
    expect_equal "\"$UUID\"" "$OUT" 'the output'
    expect_status 0 wait "$RKT_PID"
    expect_well_ended
    expect_status 0 rkt stop "$UUID"
    expect_contains "$OUT" 'already stopped' 'the output'
}

case_stop_by_force() {
    app one 'trap "" TERM; echo ready; while :; do sleep 1000 & wait $!; done'
    run_in_background 2>"$WORK/errors"
    expect_status 0 rkt stop --force "$UUID"
    wait "$RKT_PID" || true
    expect_equal exited "$(state_of)" state
    expect_equal 9 "$(app_status one)" 'status of the app'
    expect_nothing_alive
}

case_stop_by_force_where_the_machines_systemd_hangs() {
    app one "$LIVES"
    run_in_background 2>"$WORK/errors"
    kill -STOP "$(leader_of)"
    expect_status 0 rkt stop --force "$UUID"
    expect_status 254 wait "$RKT_PID"
    expect_contains "$(<"$WORK/errors")" 'was killed by signal 9' 'the error'
    expect_equal exited "$(state_of)" state
    expect_nothing_alive
}

case_command_is_stopped_at_any_moment_of_the_start() {
    local moment status
    app one "$LIVES"
    for moment in $(seq -f '0.%03g' 20 15 320); do
        status=0
        # Killed, and the status 137, when it has not ended long after.
        timeout --signal=TERM --kill-after=30 --preserve-status "$moment" rkt --insecure-options=image run \
            "${STAGE1_FLAGS[@]}" --net=none "${APP[@]}" >/dev/null 2>"$WORK/errors" || status=$?
        [[ $status == 0 || $status == 143 ]] || fail "stopped after $moment s: status $status: $(<"$WORK/errors")"
        expect_lacks "$(rkt list --no-legend)" running "the list, stopped after $moment s"
    done
    expect_nothing_alive
}

case_unit_is_stopped_at_any_moment_of_the_start() {
    local moment
    app one "$LIVES"
    start_pod
    rkt stop "$UUID" >/dev/null
    for moment in $(seq -f '0.%03g' 20 30 320); do
        systemctl start --no-block "pod@$UUID"
        timeout "$moment" tail --follow /dev/null || true
        expect_status 0 timeout 30 systemctl stop "pod@$UUID"
    done
    expect_nothing_alive
}

case_scope_is_stopped_in_order_after_a_reexec() {
    app one "$LIVES"
    run_in_background
    systemctl daemon-reexec
    expect_status 0 systemctl stop "rkt-$UUID.scope"
    expect_status 0 wait "$RKT_PID"
    expect_well_ended
}

case_nothing_is_left_of_a_command_that_was_killed_in_a_unit() {
    app one "$LIVES"
    cat >"$WORK/script" <<END
rkt --insecure-options=image run ${STAGE1_FLAGS[*]} --net=none --uuid-file-save=$WORK/uuid ${APP[*]@Q} >$WORK/output &
rkt=\$!
until grep -q ready $WORK/output; do :; done
kill -KILL \$rkt
wait \$rkt
rkt rm --uuid-file=$WORK/uuid
find /sys/fs/cgroup\$(sed -n 's/^0:://p' /proc/self/cgroup) -mindepth 1 -type d
machinectl list --no-legend
END
    expect_status 0 systemd-run --quiet --wait --pipe --unit="$UNIT" --property=KillMode=mixed -- bash "$WORK/script"
    expect_equal "\"$(<"$WORK/uuid")\"" "$OUT" 'the output'
}

case_descriptors_of_the_caller_stay_with_it() {
    app one "$LIVES"
    exec 9</etc/hostname
    run_in_background
    exec 9<&-
    expect_lacks "$(ls -l "/proc/$(pgrep --exact systemd-nspawn)/fd")" /etc/hostname 'descriptors of systemd-nspawn'
    kill -TERM "$RKT_PID"
    expect_status 0 wait "$RKT_PID"
}

case_second_signal_does_not_wait() {
    app one 'trap "" TERM; echo ready; while :; do sleep 1000 & wait $!; done'
    run_in_background 2>/dev/null
    kill -INT "$RKT_PID"
    until [[ -e $DATA/pods/run/$UUID/status/STOPPING ]]; do :; done
    kill -INT "$RKT_PID"
    wait "$RKT_PID" || true
    expect_equal exited "$(state_of)" state
    expect_nothing_alive
}

case_kill_of_the_command_ends_the_pod() {
    app one "$LIVES"
    run_in_background
    local leader
    leader=$(leader_of)
    kill -KILL "$RKT_PID"
    wait "$RKT_PID" 2>/dev/null || true
    # The kernel takes a moment for it.
    tail --pid="$leader" --sleep-interval=0.05 --follow /dev/null
    expect_equal exited "$(state_of)" state
    expect_nothing_alive
    expect_status 0 rkt rm "$UUID"
}

case_kill_of_nspawn_is_told() {
    app one "$LIVES"
    run_in_background 2>"$WORK/errors"
    pkill -KILL --exact systemd-nspawn
    expect_status 254 wait "$RKT_PID"
    expect_equal "run: pod \"$UUID\" has ended early: its systemd-nspawn was killed by signal 9; see journalctl -t rkt-$UUID" \
        "$(<"$WORK/errors")" 'the error'
    expect_nothing_alive
}

case_kill_of_the_machines_systemd_is_told() {
    app one "$LIVES"
    run_in_background 2>"$WORK/errors"
    kill -KILL "$(leader_of)"
    expect_status 254 wait "$RKT_PID"
    expect_contains "$(<"$WORK/errors")" 'has ended early: its machine went down' 'the error'
    expect_nothing_alive
}

case_pod_is_not_started_twice() {
    app one "$LIVES"
    run_in_background
    expect_status 1 systemctl start "pod@$UUID"
    expect_contains "$(journalctl --quiet --unit="pod@$UUID" --output=cat)" 'is in use' "the unit's log"
    expect_equal running "$(state_of)" state
    expect_status 254 rkt rm "$UUID"
    expect_contains "$ERR" 'is currently running' 'the error'
    expect_status 0 rkt gc --grace-period=0s
    expect_equal running "$(state_of)" state
    expect_status 0 rkt stop "$UUID"
}

case_pod_of_before_is_run_by_systemd() {
    app one "$LIVES"
    run_in_background
    kill -TERM "$RKT_PID"
    expect_status 0 wait "$RKT_PID"
    expect_status 0 systemctl start "pod@$UUID"
    expect_contains "$(cgroup_of_leader)" "/pod@$UUID.service/payload" 'the cgroup of the machine'
    expect_status 0 rkt stop "$UUID"
    expect_well_ended
}

case_context_of_the_caller_does_no_harm() {
    app one 'umask; echo x >/tmp/x && stat -c %a /tmp/x; pwd'
    cat >"$WORK/script" <<END
mkdir $WORK/away && cd $WORK/away && rmdir $WORK/away
umask 077
ulimit -c 0
exec rkt --insecure-options=image run ${STAGE1_FLAGS[*]} --net=none ${APP[*]@Q}
END
    expect_status 0 bash "$WORK/script"
    expect_equal '0022 644 /' "$(sed -E 's/^one\[[0-9]+\]: //' <<<"$OUT" | paste -s -d ' ')" 'the output'
    expect_equal '' "$ERR" 'the errors'
}

case_console_of_the_machine_is_in_the_hosts_journal() {
    app one "$LIVES"
    run_in_background 2>"$WORK/errors"
    systemd-run --machine="rkt-$UUID" --quiet --wait sh -c 'echo from the console >/dev/console'
    kill -TERM "$RKT_PID"
    expect_status 0 wait "$RKT_PID"
    expect_equal '' "$(<"$WORK/errors")" 'the errors'
    expect_lacks "$(<"$WORK/output")" 'from the console' 'the output'
    expect_contains "$(journalctl --quiet --identifier="rkt-$UUID" --output=cat)" 'from the console' "the host's journal"
}
