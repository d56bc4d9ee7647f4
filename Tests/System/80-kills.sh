# shellcheck shell=bash
# SIGKILL at any moment: afterwards no process, mount, namespace or machine is left, and `list` tells the truth.

# Returns when systemd has done all it was asked to do with the units of the pods there are: what is ordered after a
# unit waits for its job.
wait_for_jobs() {
    local units=()
    readarray -t units < <(systemctl list-units --all --plain --no-legend 'pod@*.service' 'rkt-????????-*.service' |
        awk '{ print $1 }')
    # By a name of its own: that of systemd's making is the connection's to a bus, which counts anew when it was killed.
    systemd-run --quiet --wait --collect --unit="rkt-test-jobs-$SRANDOM" --property=After="${units[*]}" true
}

# wait_for_record TEXT CURSOR MATCH...: returns when the journal has a line with TEXT, after the cursor if there is one.
# Not both a cursor and matches: 252 then skips the first line.
wait_for_record() {
    local line journal reader text=$1 after=${2:+--after-cursor=$2} found=false
    shift 2
    exec {journal}< <(exec journalctl --follow --lines=all ${after:+"$after"} --output=cat "$@")
    reader=$!
    while IFS= read -r -t 60 -u "$journal" line; do
        [[ $line != *"$text"* ]] || { found=true; break; }
    done
    kill "$reader" 2>/dev/null || true
    exec {journal}<&-
    $found || fail "no line with '$text' in the journal"
}

journal_cursor() { journalctl --quiet --lines=1 --show-cursor --output=cat | sed -n 's/^-- cursor: //p'; }

# systemd starts neither more than five times in ten seconds, and cases follow each other faster than kills in life.
forget_starts() { systemctl reset-failed dbus.service systemd-machined.service 2>/dev/null || true; }

case_kill_of_the_init() {
    app one 'echo ready; exec sleep 1000'
    app two 'trap "" TERM; echo ready; while :; do sleep 1000; done'
    start_pod
    wait_for_line ready one
    kill -KILL "$(property "pod@$UUID" MainPID)"
    wait_for_end
    expect_equal exited "$(state_of)" state
    expect_equal failed "$(systemctl is-active "pod@$UUID" || true)" 'the unit'
    expect_nothing_alive
}

case_kill_of_an_app() {
    app one 'exec sleep 1000'
    app two "$LIVES"
    start_pod
    wait_for_line ready two
    kill -KILL "$(main_pid one)"
    wait_for_end
    expect_equal exited "$(state_of)" state
    expect_equal 9 "$(app_status one)" 'status of the killed app'
    expect_nothing_alive
}

case_kill_of_everything_in_the_pod() {
    app one 'exec sleep 1000'
    app two 'exec sleep 1000'
    start_pod
    local units=("pod@$UUID")
    [[ $STAGE1 == nspawn ]] || units+=("$(slice_of)")
    systemctl kill --signal=KILL "${units[@]}"
    wait_for_end
    expect_equal exited "$(state_of)" state
    expect_nothing_alive
}

case_kill_of_machined() {
    forget_starts
    app one "$LIVES"
    start_pod
    wait_for_line ready
    systemctl kill --signal=KILL systemd-machined.service
    expect_equal running "$(state_of)" state
    expect_contains "$(machinectl list --no-legend)" "rkt-$UUID" machines
    expect_status 0 rkt stop "$UUID"
    expect_equal 0 "$(app_status one)" 'status of the app'
}

case_restart_of_machined() {
    forget_starts
    app one "$LIVES"
    start_pod
    wait_for_line ready
    systemctl restart systemd-machined.service
    expect_contains "$(machinectl list --no-legend)" "rkt-$UUID" machines
    expect_status 0 machinectl poweroff "rkt-$UUID"
    wait_for_end
}

case_kill_of_the_bus() {
    local first cursor
    forget_starts
    app one "$LIVES"
    start_pod
    wait_for_line ready
    first=$UUID
    start_pod
    wait_for_line ready
    cursor=$(journal_cursor)
    systemctl kill --signal=KILL dbus.service
    systemctl reset-failed dbus.service 2>/dev/null || true
    systemctl start dbus.service
    expect_equal running "$(state_of)" state
    expect_status 0 rkt stop "$UUID"
    expect_equal 0 "$(app_status one)" 'status of the app'
    # machined stays on the bus that is gone. systemd ends it, since 258 only after a while, and before that nobody
    # answers in its name.
    wait_for_record 'systemd-machined.service: Deactivated successfully' "$cursor"
    expect_contains "$(machinectl list --no-legend)" "rkt-$first" machines
    expect_status 0 rkt stop "$first"
    expect_nothing_alive
}

case_kill_of_the_bus_while_a_pod_starts() {
    forget_starts
    app one 'exit 5'
    local status=0 runner
    run_pod >"$WORK/output" 2>&1 &
    runner=$!
    systemctl kill --signal=KILL dbus.service
    systemctl start dbus.service || true
    wait "$runner" || status=$?
    [[ $status == 5 || $status == 254 ]] || fail "status $status"
    # Whatever became of it, the next one runs.
    expect_status 5 run_pod
    expect_nothing_alive
}

case_kill_of_journald() {
    app one "$LIVES"
    start_pod
    wait_for_line ready
    systemctl kill --signal=KILL systemd-journald.service
    app_systemctl kill --signal=KILL "$(journald_of)"
    expect_equal running "$(state_of)" state
    expect_status 0 rkt stop "$UUID"
    expect_equal 0 "$(app_status one)" 'status of the app'
}

case_kill_of_the_rkt_that_runs_a_pod() {
    app one "$LIVES"
    run_in_background
    kill -KILL "$RKT_PID"
    wait "$RKT_PID" 2>/dev/null || true
    # A machine is the command's own: its file of cases has that.
    [[ $STAGE1 != nspawn ]] || return 0
    # The pod is systemd's: it lives on and can be stopped.
    expect_equal running "$(state_of)" state
    expect_status 0 rkt stop "$UUID"
    expect_nothing_alive
}

# killed CALL NUMBER COMMAND...: runs it, killed at its NUMBERth system call CALL.
killed() {
    local call=$1 number=$2
    shift 2
    strace --follow-forks --quiet=all --output=/dev/null --trace="$call" --inject="$call:signal=KILL:when=$number" \
        "$@" >"$WORK/killed" 2>&1 &
    wait $! 2>/dev/null || true
}

case_kill_of_prepare_at_any_call() {
    local call number
    app one 'echo hello'
    for call in mkdirat openat2 write fsync renameat2 renameat flock symlinkat; do
        for number in 1 2 5 12; do
            killed "$call" "$number" rkt --insecure-options=image prepare "${STAGE1_FLAGS[@]}" "${APP[@]}"
            rkt list >"$WORK/list" 2>&1 || fail "list after $call number $number: $(<"$WORK/list")"
            expect_lacks "$(<"$WORK/list")" 'error' "list after $call number $number"
        done
    done
    expect_lacks "$(rkt list --no-legend)" preparing 'the list'
    UUID=$(RKT prepare "${STAGE1_FLAGS[@]}" "${APP[@]}")
    expect_status 0 rkt run-prepared "$UUID"
    expect_status 0 rkt gc --grace-period=0s --expire-prepared=0s
    expect_equal '' "$(leftovers)" 'left behind'
}

case_kill_of_run_at_any_call() {
    local call number uuid
    app one 'exit 5'
    for call in mkdirat openat2 renameat2 renameat connect sendmsg recvmsg sendto; do
        for number in 1 3 6; do
            killed "$call" "$number" rkt --insecure-options=image run "${STAGE1_FLAGS[@]}" --net=none "${APP[@]}"
            # What was started ends by itself, and what was only asked for is started first.
            wait_for_jobs
            for uuid in $(rkt list --full --no-legend | awk '/\trunning\t/ { print $1 }'); do
                rkt status --wait=60s "$uuid" >/dev/null || fail "pod $uuid goes on after $call number $number"
            done
            expect_nothing_alive
        done
    done
    expect_lacks "$(rkt list --no-legend)" running 'the list'
    expect_status 0 rkt gc --grace-period=0s --expire-prepared=0s
    expect_equal '' "$(leftovers)" 'left behind'
}

case_pod_of_a_run_that_was_killed_early_expires() {
    app one 'echo hello'
    # It makes the link by which units find the pod, when that is prepared.
    killed symlinkat 1 rkt --insecure-options=image run "${STAGE1_FLAGS[@]}" --net=none "${APP[@]}"
    UUID=$(rkt list --full --no-legend | awk '{ print $1 }')
    expect_equal prepared "$(state_of)" state
    expect_status 0 rkt gc --grace-period=0s
    expect_equal prepared "$(state_of)" 'state after a collection within its time'
    expect_status 0 rkt gc --expire-prepared=0s
    expect_equal '' "$(leftovers)" 'left behind'
}

case_kill_of_pod_start_at_any_call() {
    local call number
    for call in clone mkdirat openat mknodat sendto poll sendmsg write renameat; do
        for number in 1 2 4; do
            APP=()
            app one 'exec sleep 1000'
            UUID=$(RKT prepare "${STAGE1_FLAGS[@]}" "${APP[@]}")
            # systemd starts it under strace, which is no parent of it: the init is to be systemd's own child.
            mkdir -p "/run/systemd/system/pod@$UUID.service.d"
            printf '[Service]\nExecStart=\nExecStart=strace --daemonize --quiet=all --output=/dev/null --trace=%s --inject=%s:signal=KILL:when=%s %s start %%i\nTimeoutStartSec=20\nNotifyAccess=all\n' \
                "$call" "$call" "$number" "$(dirname "$(command -v rkt)")/../lib/rkt/pod-init" >"/run/systemd/system/pod@$UUID.service.d/kill.conf"
            systemctl start "pod@$UUID" 2>/dev/null || true
            systemctl stop "pod@$UUID" 2>/dev/null || true
            rm -r "/run/systemd/system/pod@$UUID.service.d"
            # Launchers that waited for the init give up.
            wait_for_jobs
            (expect_nothing_alive) || fail "after $call $number: $(<"$WORK/why")"
            expect_match "$(state_of)" '^(prepared|exited)$' "state after $call number $number"
        done
    done
    systemctl daemon-reload
}

case_kill_of_crun_at_any_call() {
    # A runtime that is killed while it makes the container, or when it has made it and it waits to be started.
    local call number status
    cp /usr/bin/crun "$WORK/crun.real"
    cat >"$WORK/crun" <<EOF
#!/bin/sh
case "\$*" in *" create "*) ;; *) exec $WORK/crun.real "\$@" ;; esac
read -r call number <$WORK/moment
strace --quiet=all --output=/dev/null --trace="\$call" --inject="\$call:signal=KILL:when=\$number" $WORK/crun.real "\$@"
kill -KILL \$\$
EOF
    chmod +x "$WORK/crun"
    mount --bind "$WORK/crun" /usr/bin/crun
    app one 'exec sleep 1000'
    for call in openat write clone clone3 mkdir sendmsg close execve exit_group; do
        for number in 1 2 10; do
            [[ $call != execve ]] || ((number > 1)) || continue
            echo "$call $number" >"$WORK/moment"
            status=0
            timeout 100 rkt --insecure-options=image run "${STAGE1_FLAGS[@]}" --net=none --uuid-file-save="$WORK/uuid" "${APP[@]}" \
                >"$WORK/output" 2>&1 || status=$?
            if ((status == 0 || status == 124)); then
                umount /usr/bin/crun
                fail "status $status after $call number $number: $(<"$WORK/output")"
            fi
            (expect_nothing_alive) || {
                umount /usr/bin/crun
                fail "after $call number $number: $(<"$WORK/why")"
            }
        done
    done
    umount /usr/bin/crun
}

case_kill_of_a_launcher_after_its_hand_over() {
    not_nspawn "drop-ins on the host do not change its machine's units"
    # systemd knows the app as the unit's main process, and nobody will start it any more.
    local call moment status
    for call in sendmsg poll unlinkat; do
        APP=()
        app one 'exec sleep 1000'
        UUID=$(RKT prepare "${STAGE1_FLAGS[@]}" "${APP[@]}")
        moment="when=1"
        # The first times, it waits for the pod.
        [[ $call != poll ]] || moment="when=2+"
        mkdir -p "/run/systemd/system/$(unit_of one).d"
        printf '[Service]\nExecStart=\nExecStart=strace --daemonize --quiet=all --output=%s --trace=%s --inject=%s:signal=KILL:%s %s app %s one %s /usr/bin/crun\n' \
            "$WORK/trace" "$call" "$call" "$moment" "$(dirname "$(command -v rkt)")/../lib/rkt/pod-init" "$UUID" "$DATA" \
            >"/run/systemd/system/$(unit_of one).d/kill.conf"
        status=0
        timeout 60 rkt run-prepared "$UUID" >"$WORK/output" 2>&1 || status=$?
        # strace may still be about to say who was killed; that the call did not return it has said.
        expect_match "$(<"$WORK/trace")" 'killed by SIGKILL|= \?' "the launcher at $call"
        ((status != 0 && status != 124)) || fail "status $status after $call: $(<"$WORK/output")"
        expect_equal exited "$(state_of)" "state after $call"
        expect_nothing_alive
    done
}

case_kill_of_what_records_an_end() {
    not_nspawn "drop-ins on the host do not change its machine's units"
    local call
    for call in openat flock pwrite64 renameat; do
        APP=()
        app one 'echo begin; exit 0'
        UUID=$(RKT prepare "${STAGE1_FLAGS[@]}" "${APP[@]}")
        mkdir -p "/run/systemd/system/$(unit_of one).d"
        printf '[Service]\nExecStopPost=\nExecStopPost=strace --quiet=all --output=%s --trace=%s --inject=%s:signal=KILL:when=1 %s ended %s one %s\n' \
            "$WORK/trace" "$call" "$call" "$(dirname "$(command -v rkt)")/../lib/rkt/pod-init" "$UUID" "$DATA" \
            >"/run/systemd/system/$(unit_of one).d/kill.conf"
        rm -f "$WORK/trace"
        expect_status 254 timeout 60 rkt run-prepared "$UUID"
        expect_contains "$(<"$WORK/trace")" 'killed by SIGKILL' "the recorder at $call"
        expect_equal exited "$(state_of)" "state after $call"
        expect_nothing_alive
    done
}

case_kill_of_stop_at_any_call() {
    local call number
    for call in connect sendmsg recvmsg sendto; do
        for number in 1 3; do
            APP=()
            app one "$LIVES"
            start_pod
            killed "$call" "$number" rkt stop "$UUID"
            expect_match "$(state_of)" '^(running|exited)$' "state after $call number $number"
            expect_status 0 rkt stop "$UUID"
            expect_equal exited "$(state_of)" "state after the next stop"
        done
    done
    expect_nothing_alive
}

case_kill_of_gc_at_any_call() {
    local call number
    for call in renameat2 renameat unlinkat openat2 sendmsg; do
        for number in 1 3 9; do
            APP=()
            app one true
            run_pod >/dev/null
            killed "$call" "$number" rkt gc --grace-period=0s
            rkt list >/dev/null || fail "list after $call number $number"
        done
    done
    expect_status 0 rkt gc --grace-period=0s
    expect_equal '' "$(leftovers)" 'left behind'
}

case_pod_whose_end_cannot_be_recorded() {
    not_users "root of the host has no id in the pod to write with"
    # A full disk when an app ends: its status has a place already.
    mkdir -p "$WORK/small"
    mount -t tmpfs -o size=24M none "$WORK/small"
    local status=0 dir="$WORK/small/rkt"
    app one 'while [ ! -e /tmp/go ]; do sleep 0.05; done; exit 5'
    RKT --dir="$dir" fetch "$IMAGES/busybox.aci" >/dev/null 2>&1
    UUID=$(rkt --dir="$dir" --insecure-options=image run "${STAGE1_FLAGS[@]}" --net=none --detach \
        "$IMAGES/busybox.aci" --name=one --exec=/bin/sh -- -c 'while [ ! -e /tmp/go ]; do sleep 0.05; done; exit 5') || status=$?
    if ((status == 0)); then
        touch "/proc/$(main_pid one)/root/tmp/go"
        dd if=/dev/zero of="$WORK/small/fill" bs=64k 2>/dev/null || true
        rkt --dir="$dir" status --wait=60s "$UUID" >"$WORK/status" || status=$?
        rm "$WORK/small/fill"
        rkt --dir="$dir" status "$UUID" >"$WORK/status"
        rkt --dir="$dir" gc --grace-period=0s >/dev/null 2>&1 || true
    fi
    umount "$WORK/small"
    expect_equal 0 "$status" status
    expect_contains "$(<"$WORK/status")" 'app-one=5' status
}

case_kill_of_the_init_of_a_fly_pod() {
    not_nspawn 'the pod is one of stage1 fly'
    app one 'echo ready; exec sleep 1000'
    # shellcheck disable=SC2034 # lib.bash uses it
    STAGE1_FLAGS=(--stage1-name=fly)
    start_pod
    wait_for_line ready one
    local app
    app=$(main_pid one)
    kill -KILL "$(property "pod@$UUID" MainPID)"
    # No namespace takes it along: systemd does.
    timeout 60 tail --pid="$app" --follow /dev/null || fail 'the app has outlived its init'
    wait_for_end
    expect_equal exited "$(state_of)" state
    expect_nothing_alive
}
