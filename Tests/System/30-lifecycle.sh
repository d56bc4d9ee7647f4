# shellcheck shell=bash
# A pod's life: detached, stopped, started again, listed, waited for, removed.

case_detach_prints_the_uuid_and_returns_when_started() {
    app one "$LIVES"
    start_pod
    expect_equal running "$(state_of)" state
    expect_equal active "$(systemctl is-active "pod@$UUID")" 'the unit'
    expect_equal active "$(app_systemctl is-active "$(unit_of one)")" "the app's unit"
}

case_stop() {
    app one "$LIVES"
    start_pod
    wait_for_line ready
    expect_status 0 rkt stop "$UUID"
    expect_equal "\"$UUID\"" "$OUT" 'the output'
    expect_equal exited "$(state_of)" state
    expect_equal 0 "$(app_status one)" 'status of the app'
    expect_equal inactive "$(systemctl is-active "pod@$UUID" || true)" 'the unit'
    expect_contains "$(rkt logs "$UUID")" ending 'the log'
}

case_stop_of_an_exited_pod() {
    app one true
    start_pod
    wait_for_end
    expect_status 0 rkt stop "$UUID"
    expect_equal "pod \"$UUID\" is already stopped" "$OUT" 'the output'
}

case_stop_of_a_prepared_pod_is_refused() {
    app one true
    UUID=$(RKT prepare "${STAGE1_FLAGS[@]}" "${APP[@]}")
    expect_status 254 rkt stop "$UUID"
    expect_contains "$ERR" 'not running' 'the error'
    expect_equal prepared "$(state_of)" state
}

case_stop_force_kills() {
    app one 'trap "" TERM; echo ready; while :; do sleep 1000; done'
    start_pod
    wait_for_line ready
    expect_status 0 rkt stop --force "$UUID"
    expect_equal exited "$(state_of)" state
    expect_lacks "$(rkt logs "$UUID")" ending 'the log'
}

case_stop_of_several_tells_each_failure() {
    app one "$LIVES"
    start_pod
    expect_status 254 rkt stop ffffffff-ffff-4fff-8fff-ffffffffffff "$UUID"
    expect_contains "$OUT" "\"$UUID\"" 'the output'
    expect_contains "$ERR" 'failed to stop 1 pod(s)' 'the error'
    expect_equal exited "$(state_of)" state
}

case_prepare_then_systemctl_start() {
    app one 'echo hello'
    UUID=$(RKT prepare "${STAGE1_FLAGS[@]}" "${APP[@]}")
    expect_equal prepared "$(state_of)" state
    expect_status 0 systemctl start "pod@$UUID"
    wait_for_end
    expect_equal 'one: hello' "$(lines_of)" 'the log'
}

case_run_prepared() {
    app one 'echo hello; exit 4'
    UUID=$(RKT prepare "${STAGE1_FLAGS[@]}" "${APP[@]}")
    expect_status 4 rkt run-prepared "$UUID"
    expect_match "$OUT" '^one\[[0-9]+\]: hello$' 'the output'
    expect_status 254 rkt run-prepared "$UUID"
    expect_contains "$ERR" "pod \"$UUID\" is not prepared" 'the error'
}

case_exited_pod_starts_again_and_keeps_its_files() {
    app one 'echo run >>/tmp/runs; wc -l </tmp/runs'
    start_pod
    wait_for_end
    expect_status 0 systemctl start "pod@$UUID"
    wait_for_end
    expect_equal $'one: 1\none: 2' "$(lines_of)" 'the log'
}

case_restart_through_systemctl() {
    app one "$LIVES"
    start_pod
    wait_for_line ready
    local before
    before=$(main_pid one)
    expect_status 0 systemctl restart "pod@$UUID"
    expect_equal running "$(state_of)" state
    [[ $(main_pid one) != "$before" ]] || fail 'the app was not started anew'
}

case_unit_is_failed_when_an_app_failed() {
    app one 'exit 6'
    start_pod || true
    wait_for_end
    expect_equal failed "$(systemctl is-active "pod@$UUID" || true)" 'the unit'
    expect_equal 6 "$(property "pod@$UUID" ExecMainStatus)" "the unit's status"
    expect_equal 6 "$(app_status one)" 'status of the app'
}

case_unit_is_inactive_when_all_ended_well() {
    app one true
    app two true
    start_pod
    wait_for_end
    expect_equal inactive "$(systemctl is-active "pod@$UUID" || true)" 'the unit'
    expect_equal success "$(property "pod@$UUID" Result)" 'the result'
}

case_systemctl_stop_is_no_failure() {
    app one "$LIVES"
    app two 'echo ready; exec sleep 1000'
    start_pod
    wait_for_line ready one
    wait_for_line ready two
    expect_status 0 systemctl stop "pod@$UUID"
    expect_equal inactive "$(systemctl is-active "pod@$UUID" || true)" 'the unit'
    expect_equal exited "$(state_of)" state
}

case_enable_is_for_the_next_boot_only() {
    app one true
    UUID=$(RKT prepare "${STAGE1_FLAGS[@]}" "${APP[@]}")
    expect_status 0 systemctl enable "pod@$UUID"
    expect_equal prepared "$(state_of)" state
    expect_equal enabled "$(systemctl is-enabled "pod@$UUID")" 'the unit'
    expect_status 0 systemctl disable "pod@$UUID"
}

case_start_of_a_running_pod_changes_nothing() {
    app one "$LIVES"
    start_pod
    local before
    before=$(main_pid one)
    expect_status 0 systemctl start "pod@$UUID"
    expect_equal "$before" "$(main_pid one)" 'the main process'
}

case_start_of_an_unknown_pod_fails() {
    UUID=ffffffff-ffff-4fff-8fff-ffffffffffff
    expect_status 1 systemctl start "pod@$UUID"
    expect_contains "$(journalctl --unit="pod@$UUID" --output=cat)" "$UUID" 'the journal'
    systemctl reset-failed "pod@$UUID"
}

case_listing() {
    app one "$LIVES"
    app two "$LIVES"
    start_pod
    local list
    list=$(rkt list)
    expect_match "$(head -n1 <<<"$list")" $'^UUID\t+APP\t+IMAGE NAME\t+STATE\t+CREATED\t+STARTED\t+NETWORKS$' titles
    expect_match "$(sed -n 2p <<<"$list")" "^${UUID:0:8}"$'\t+one\t+example.com/busybox:[^\t]+\t+running\t' 'the first line'
    expect_match "$(sed -n 3p <<<"$list")" $'^\t+two\t+example.com/busybox' 'the second line'
    expect_contains "$(rkt list --full)" "$UUID" 'the full list'
    expect_lacks "$(rkt list --no-legend)" UUID 'the list without titles'
}

case_listing_as_json() {
    app one "$LIVES"
    app two 'exit 0'
    start_pod
    local document
    document=$(rkt list --format=json)
    expect_equal "$UUID running one,two" \
        "$(jq -r '.[] | "\(.name) \(.state) \(.app_names | join(","))"' <<<"$document")" 'the pod'
    expect_equal "$(busybox)" "$(jq -r '.[0].apps[0].image_id' <<<"$document")" 'the image'
    expect_match "$(jq -r '.[0].created_at' <<<"$document")" '^[0-9]{10}$' 'the time'
}

case_listing_without_pods() {
    expect_equal null "$(rkt list --format=json)" 'the list'
    expect_equal 1 "$(rkt list | wc -l)" 'lines of the list'
}

case_status_of_a_running_pod() {
    app one "$LIVES"
    start_pod
    local status
    status=$(rkt status "$UUID")
    expect_equal "state created started stage1 networks pid exited" "$(sed 's/=.*//' <<<"$status" | paste -sd' ')" 'the lines'
    expect_contains "$status" 'exited=false' status
    expect_equal "$(leader_of)" "$(sed -n 's/^pid=//p' <<<"$status")" 'the process'
    expect_match "$(sed -n 's/^created=//p' <<<"$status")" '^20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9:.]+ [+-][0-9]{4} ' 'the time'
}

case_status_of_an_exited_pod() {
    app one 'exit 3'
    app two "$LIVES"
    start_pod
    wait_for_end
    expect_contains "$(rkt status "$UUID")" 'exited=true' status
    expect_contains "$(rkt status "$UUID")" 'app-one=3' status
    expect_equal 3 "$(rkt status --format=json "$UUID" | jq -r '.apps[] | select(.name == "one").exit_code')" 'in JSON'
}

case_status_wait_returns_at_the_end() {
    app one 'sleep 0.5; exit 2'
    start_pod
    expect_status 0 rkt status --wait "$UUID"
    expect_contains "$OUT" 'state=exited' status
    expect_contains "$OUT" 'app-one=2' status
}

case_status_wait_gives_up_in_time() {
    app one "$LIVES"
    start_pod
    expect_status 254 rkt status --wait=300ms "$UUID"
    expect_equal running "$(state_of)" state
}

case_status_wait_ready() {
    app one "$LIVES"
    UUID=$(RKT prepare "${STAGE1_FLAGS[@]}" "${APP[@]}")
    rkt status --wait-ready "$UUID" >"$WORK/ready" &
    local waiter=$!
    systemctl start "pod@$UUID"
    wait "$waiter"
    expect_contains "$(<"$WORK/ready")" 'state=running' status
}

# Its name is known before it is prepared.
case_status_wait_ready_from_the_first_moment() {
    local round pid
    app one "$LIVES"
    for round in 1 2 3 4 5; do
        rm -f "$WORK/uuid"
        rkt --insecure-options=image run "${STAGE1_FLAGS[@]}" --net=none --uuid-file-save="$WORK/uuid" "${APP[@]}" \
            >"$WORK/out" 2>&1 &
        pid=$!
        until [[ -s $WORK/uuid ]]; do :; done
        UUID=$(<"$WORK/uuid")
        expect_status 0 rkt status --wait-ready=30s "$UUID"
        expect_contains "$OUT" 'state=running' "status in round $round"
        expect_status 0 rkt stop "$UUID"
        wait "$pid" || true
    done
}

case_remove() {
    app one true
    start_pod
    wait_for_end
    expect_status 0 rkt rm "$UUID"
    expect_equal "\"$UUID\"" "$OUT" 'the output'
    expect_equal '' "$(rkt list --no-legend)" 'the list'
    # The pod's journald, killed, may still be on its way: systemctl waits for that.
    systemctl stop "systemd-journald@rkt-$UUID.service"
    expect_equal '' "$(leftovers)" 'left behind'
}

case_remove_of_a_running_pod_is_refused() {
    app one "$LIVES"
    start_pod
    expect_status 254 rkt rm "$UUID"
    expect_contains "$ERR" "pod \"$UUID\" is currently running" 'the error'
    expect_equal running "$(state_of)" state
}

case_remove_of_a_prepared_pod() {
    app one true
    UUID=$(RKT prepare "${STAGE1_FLAGS[@]}" "${APP[@]}")
    expect_status 0 rkt rm "$UUID"
    expect_equal '' "$(leftovers)" 'left behind'
}

case_gc_keeps_what_ended_lately() {
    app one true
    start_pod
    wait_for_end
    expect_status 0 rkt gc
    expect_contains "$ERR" 'still within grace period (30m0s)' 'standard error'
    expect_equal 'exited garbage' "$(state_of)" state
    expect_status 0 rkt gc --grace-period=0s
    expect_contains "$OUT" "Garbage collecting pod \"$UUID\"" 'the output'
    expect_equal '' "$(leftovers)" 'left behind'
}

case_gc_takes_what_rm_was_killed_over() {
    app one "$LIVES"
    run_in_background --rm
    kill -KILL "$RKT_PID"
    wait "$RKT_PID" || true
    # A machine is the command's own and ends with it.
    if [[ $STAGE1 != nspawn ]]; then
        expect_equal running "$(state_of)" 'state without the command'
        systemctl stop "pod@$UUID"
    fi
    expect_equal exited "$(state_of)" state
    expect_status 0 rkt gc
    expect_equal '' "$(rkt list --no-legend)" 'the list'
    expect_equal '' "$(leftovers)" 'left behind'
}

case_temporary_pod_restarts_an_app() {
    app one 'touch /mark; trap "exit 0" TERM; echo ready; while :; do sleep 1000 & wait $!; done'
    run_in_background --rm
    app_systemctl restart "$(unit_of one)"
    wait_for_line ready one 2
    in_app one test -e /mark || fail 'the restarted app has lost its files'
    kill -TERM "$RKT_PID"
    expect_status 0 wait "$RKT_PID"
    expect_equal '' "$(rkt list --no-legend)" 'the list'
}

case_gc_mark_only() {
    app one true
    start_pod
    wait_for_end
    expect_status 0 rkt gc --mark-only --grace-period=0s
    expect_equal 'exited garbage' "$(state_of)" state
}

case_gc_takes_neither_running_nor_enabled_pods() {
    app one "$LIVES"
    start_pod
    local running=$UUID
    APP=()
    app one true
    start_pod
    wait_for_end
    systemctl --quiet enable "pod@$UUID"
    rkt gc --grace-period=0s >/dev/null 2>&1
    expect_equal running "$(state_of "$running")" 'the running pod'
    expect_equal exited "$(state_of)" 'the enabled pod'
    systemctl --quiet disable "pod@$UUID"
}

case_gc_takes_expired_prepared_pods() {
    app one true
    UUID=$(RKT prepare "${STAGE1_FLAGS[@]}" "${APP[@]}")
    rkt gc >/dev/null 2>&1
    expect_equal prepared "$(state_of)" state
    rkt gc --expire-prepared=0s >/dev/null 2>&1
    expect_equal '' "$(leftovers)" 'left behind'
}

# What a boot takes away is taken away by hand; with a real boot: `boot: pods of another data directory …`.
case_pod_of_another_data_directory() {
    local other=$WORK/other
    UUID=$(rkt --dir="$other" --insecure-options=image prepare "$IMAGES/busybox.aci" --exec=/bin/true)
    expect_equal "$other" "$(readlink "$DATA/elsewhere/$UUID")" 'the link'
    rm "/run/rkt/pods/$UUID"
    systemctl start "pod@$UUID"
    rkt --dir="$other" status --wait=60s "$UUID" >/dev/null
    expect_equal exited "$(rkt --dir="$other" status "$UUID" | sed -n 's/^state=//p')" state
    # Not what another user could have put there.
    rm "/run/rkt/pods/$UUID"
    chown 65534 "$other/pods/run"
    expect_status 1 systemctl start "pod@$UUID"
    expect_contains "$(journalctl --unit="pod@$UUID" --lines=20 --output=cat)" \
        "$other/pods/run belongs to user 65534" 'the log'
    chown 0 "$other/pods/run"
    # Collecting the default directory leaves it alone as long as the pod is there.
    rkt gc
    expect_equal "$other" "$(readlink "$DATA/elsewhere/$UUID")" 'the link after gc'
    expect_status 0 rkt --dir="$other" rm "$UUID"
    expect_equal '' "$(leftovers)" 'left behind'
}

case_gc_removes_links_to_pods_that_are_gone() {
    local other=$WORK/other
    UUID=$(rkt --dir="$other" --insecure-options=image prepare "$IMAGES/busybox.aci" --exec=/bin/true)
    rm "/run/rkt/pods/$UUID"
    mv "$other" "$other.unmounted"
    expect_status 0 rkt gc
    expect_equal "$other" "$(readlink "$DATA/elsewhere/$UUID")" 'the link while the directory is not there'
    expect_status 1 systemctl start "pod@$UUID"
    expect_contains "$(journalctl --unit="pod@$UUID" --lines=20 --output=cat)" \
        "was prepared in the data directory $other" 'the log'
    systemctl reset-failed "pod@$UUID"
    mv "$other.unmounted" "$other"
    rm -r "$other/pods/prepared/$UUID"
    expect_status 0 rkt gc
    expect_equal '' "$(leftovers)" 'left behind'
}

case_gc_service_runs() {
    expect_status 0 systemctl start rkt-gc.service
    expect_equal success "$(property rkt-gc.service Result)" 'the result'
    expect_status 0 systemd-analyze verify --man=no rkt-gc.timer rkt-gc.service "pod@$(</proc/sys/kernel/random/uuid).service"
}

case_cat_manifest() {
    app one true
    app two true
    start_pod
    wait_for_end
    expect_equal 'PodManifest one,two' \
        "$(rkt cat-manifest "$UUID" | jq -r '"\(.acKind) \([.apps[].name] | join(","))"')" 'the manifest'
    expect_equal 1 "$(rkt cat-manifest --pretty-print=false "$UUID" | wc -l)" lines
}

case_uuid_may_be_shortened() {
    app one true
    start_pod
    wait_for_end
    expect_equal exited "$(state_of "${UUID:0:4}")" state
    expect_equal exited "$(state_of "${UUID^^}")" 'state in capitals'
}

case_commands_may_be_shortened() {
    expect_equal "$(rkt image list --fields=id,name)" "$(rkt im li --fields=id,name)" 'the list'
    expect_contains "$(rkt ver)" 'rkt Version: ' 'the version'
    expect_equal "$(rkt --dir="$WORK/x" list)" "$(rkt list --dir="$WORK/x")" 'the flag before the command'
}

case_version_and_help() {
    expect_match "$(rkt version | head -n1)" '^rkt Version: [0-9]+\.' 'the version'
    expect_status 0 rkt --help
    expect_contains "$OUT" run 'the help'
    expect_status 0 rkt help run
    expect_contains "$OUT" --detach 'the help of run'
    expect_status 2 rkt
    expect_contains "$ERR" 'missing command' 'standard error'
}
