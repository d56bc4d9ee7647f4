# shellcheck shell=bash
# `rkt run` in the foreground: output, exit status, grammar, how apps begin.

case_exit_status_0() {
    app one 'echo hello'
    expect_status 0 run_pod
    expect_match "$OUT" '^one\[[0-9]+\]: hello$' 'the output'
}

case_exit_status_of_the_app() {
    app one 'exit 5'
    expect_status 5 run_pod
}

case_exit_status_133_is_no_reboot() {
    # systemd-nspawn ends with it when its machine reboots.
    app one 'echo once; exit 133'
    expect_status 133 run_pod --uuid-file-save="$WORK/uuid"
    UUID=$(<"$WORK/uuid")
    expect_equal exited "$(state_of)" state
    expect_equal 0 "$(property "pod@$UUID" NRestarts)" 'restarts'
    expect_equal 'one: once' "$(lines_of)" 'the log'
}

case_signal_that_killed_the_app_is_the_status() {
    app one 'kill -KILL $$'
    expect_status 9 run_pod
    UUID=$(rkt list --full --no-legend | awk '{ print $1 }')
    expect_equal 9 "$(app_status one)" 'recorded status'
}

# For systemd these are a good end, for a pod they are not: nobody has asked the app to end.
case_signals_by_which_services_end_are_failures_of_a_pod() {
    local signal number
    while read -r signal number; do
        APP=()
        app one "kill -$signal \$\$"
        expect_status "$number" run_pod --uuid-file-save="$WORK/uuid"
        UUID=$(<"$WORK/uuid")
        expect_equal "$number" "$(app_status one)" "recorded status after SIG$signal"
    done <<<$'HUP 1\nINT 2\nPIPE 13\nTERM 15'
}

case_program_that_is_missing_is_named() {
    # As of old, that of systemd for a program that cannot be run.
    expect_status 203 RKT run "${STAGE1_FLAGS[@]}" --net=none "$(busybox)" --exec=/bin/missing
    expect_contains "$OUT$ERR" /bin/missing 'what is said'
}

case_two_apps_print_with_their_names() {
    app first 'echo from the first'
    app second 'echo from the second >&2'
    expect_status 0 run_pod
    expect_match "$OUT" '(^|'$'\n'')first\[[0-9]+\]: from the first' 'the output'
    expect_match "$OUT" '(^|'$'\n'')second\[[0-9]+\]: from the second' 'the output'
}

case_each_line_of_one_app_is_in_order() {
    app one 'for i in $(seq 1 500); do echo line $i; done'
    expect_status 0 run_pod
    expect_equal "$(seq -f 'line %g' 500)" "$(sed 's/^one\[[0-9]*\]: //' <<<"$OUT")" 'the lines'
}

case_last_line_without_line_feed_is_printed() {
    app one 'printf "no end"'
    expect_status 0 run_pod
    expect_match "$OUT" '^one\[[0-9]+\]: no end$' 'the output'
}

case_pod_goes_on_when_one_app_ends_well() {
    app short 'exit 0'
    app long 'while [ ! -e /nothing ]; do sleep 0.3; echo late; exit 0; done'
    expect_status 0 run_pod
    expect_contains "$OUT" 'late' 'the output'
}

case_failing_app_ends_the_pod_with_its_status() {
    app lives "$LIVES"
    app fails 'exit 7'
    expect_status 7 run_pod
    UUID=$(rkt list --full --no-legend | awk 'NF > 3 { print $1; exit }')
    expect_equal 7 "$(app_status fails)" 'status of the one that failed'
    expect_match "$(app_status lives)" '^(0|15)$' 'status of the one that was stopped'
}

case_first_of_three_failures_counts() {
    app one "$LIVES"
    app two "$LIVES"
    app three 'exit 5'
    expect_status 5 run_pod
}

case_sigterm_stops_the_pod() {
    app one "$LIVES"
    run_in_background
    kill -TERM "$RKT_PID"
    expect_status 0 wait "$RKT_PID"
    expect_equal exited "$(state_of)" state
    expect_contains "$(<"$WORK/output")" 'ending' 'the output'
}

case_sigint_stops_the_pod() {
    app one "$LIVES"
    run_in_background
    kill -INT "$RKT_PID"
    expect_status 0 wait "$RKT_PID"
    expect_equal exited "$(state_of)" state
}

# expect_removed: nothing of the pod is left that a user could find. systemd may still be forgetting its units.
expect_removed() {
    UUID=$(<"$WORK/uuid")
    expect_equal '' "$(rkt list --no-legend)" 'the list'
    expect_equal '' "$(find "$DATA/pods" /run/rkt/pods /run/rkt/runtime /run/systemd /etc/systemd /var/log/journal \
        -maxdepth 3 -name "*$UUID*" ! -path '*/units/*')" 'left behind'
    expect_equal '' "$(machinectl list --no-legend)" 'machines'
}

case_rm_removes_the_pod_and_its_log() {
    app one 'echo hello'
    app two 'echo there'
    expect_status 0 run_pod --rm --uuid-file-save="$WORK/uuid"
    expect_match "$OUT" 'one\[[0-9]+\]: hello' 'the output'
    expect_match "$OUT" 'two\[[0-9]+\]: there' 'the output'
    expect_equal '' "$ERR" 'errors'
    expect_removed
}

case_rm_keeps_the_exit_status() {
    app one 'echo failing; exit 7'
    expect_status 7 run_pod --rm --uuid-file-save="$WORK/uuid"
    expect_match "$OUT" 'one\[[0-9]+\]: failing' 'the output'
    expect_removed
    expect_equal '' "$(units_of_rkt | grep "$UUID")" 'units, failed ones too'
}

case_rm_after_an_interrupt() {
    app one "$LIVES"
    run_in_background --rm
    kill -TERM "$RKT_PID"
    expect_status 0 wait "$RKT_PID"
    expect_contains "$(<"$WORK/output")" 'ending' 'the output'
    expect_removed
}

case_rm_of_a_pod_that_cannot_start() {
    APP=("$(busybox)" --exec=/no/such/program)
    expect_status 203 run_pod --rm --uuid-file-save="$WORK/uuid"
    expect_removed
}

case_rm_and_gc_at_once_lose_no_line() {
    app one 'seq 1 30000'
    mkfifo "$WORK/output"
    rkt --insecure-options=image run --rm "${STAGE1_FLAGS[@]}" --net=none --uuid-file-save="$WORK/uuid" "${APP[@]}" >"$WORK/output" &
    local runner=$! output
    exec {output}<"$WORK/output"
    IFS= read -r -u "$output" _
    UUID=$(<"$WORK/uuid")
    # It cannot print all of it yet.
    while [[ $(state_of) != exited ]]; do :; done
    expect_status 0 rkt gc --grace-period=0s
    expect_equal exited "$(state_of)" 'state after gc'
    expect_numbers 2 30000 'the other lines' <&"$output"
    expect_status 0 wait "$runner"
    expect_removed
}

case_rm_and_a_reload_leave_nothing() {
    local number
    app one true
    for number in 1 2 3 4 5; do
        run_pod --rm
        systemctl daemon-reload
        run_pod --uuid-file-save="$WORK/uuid"
        rkt rm --uuid-file="$WORK/uuid" >/dev/null
        systemctl daemon-reload
    done
    # Whatever was still on its way.
    systemctl stop 'systemd-journald@rkt-*.service' 'rkt-????????????????????????????????.slice'
    expect_equal '' "$(leftovers)" 'left behind'
}

case_second_interrupt_kills() {
    app one 'trap "" TERM INT; echo ready; while :; do sleep 1000; done'
    run_in_background
    kill -INT "$RKT_PID"
    while [[ ! -e $DATA/pods/run/$UUID/status/STOPPING ]]; do :; done
    kill -INT "$RKT_PID"
    expect_status 0 rkt status --wait=30s "$UUID"
    wait "$RKT_PID" || true
    expect_equal exited "$(state_of)" state
}

case_rm_needs_the_foreground() {
    app one true
    refused '--rm needs a run in the foreground' run_pod --rm --detach
    expect_equal '' "$(rkt list --no-legend)" 'the list'
}

case_lines_come_while_the_pod_runs() {
    app one "$LIVES"
    run_pod --uuid-file-save="$WORK/uuid" >"$WORK/output" &
    local runner=$!
    wait_for_text "$WORK/output" ready "$runner"
    rkt stop "$(<"$WORK/uuid")" >/dev/null
    wait "$runner"
}

case_arguments_reach_the_app_byte_for_byte() {
    local strange=$'a b\t"c"\\ \'d\' $HOME %n %% ;& \n new -x --- é \x01 #'
    expect_status 0 RKT run "${STAGE1_FLAGS[@]}" --net=none "$(busybox)" --name=one --exec=/bin/sh -- -c \
        'for a; do printf "%s" "$a" | od -An -tx1 | tr -d " \n"; echo; done' sh "$strange" '' '$$' '%%u' '-' '\\'
    local word
    for word in "$strange" '$$' '%%u' '-' '\\'; do
        expect_contains "$OUT" "]: $(printf '%s' "$word" | od -An -tx1 | tr -d ' \n')" 'the output'
    done
}

# Empty ones, and what Swift takes for one character with what stands before it.
case_no_argument_is_lost_or_mended() {
    local words=('' $'\u301' $'cafe\u301' $'caf\u00e9' $'\u212a' $'\r\n' '') word expected=''
    expect_status 0 RKT run "${STAGE1_FLAGS[@]}" --net=none "$(busybox)" --name=one --exec=/bin/sh -- -c \
        'for a; do echo "<$(printf "%s" "$a" | od -An -tx1 | tr -d " \n")>"; done' sh "${words[@]}"
    for word in "${words[@]}"; do expected+="<$(printf '%s' "$word" | od -An -tx1 | tr -d ' \n')>"; done
    expect_equal "$expected" "$(sed 's/^[^<]*//' <<<"$OUT" | tr -d '\n')" 'the arguments'
}

# Not through a shell, which hands only such names on as it could have itself.
case_no_variable_is_lost_or_mended() {
    local composed=$'caf\u00e9' decomposed=$'cafe\u301' mark=$'MARK=\u301'
    local words=("$(busybox)" --name=one --exec=/bin/env)
    printf '%s=file\n' "$composed" >"$WORK/environment"
    expect_status 0 RKT run "${STAGE1_FLAGS[@]}" --net=none --set-env-file="$WORK/environment" "${words[@]}" \
        --environment="$decomposed=app" --environment="$mark"
    expect_equal "$mark $decomposed=app $composed=file" "$(special_variables)" 'the environment'
    expect_status 0 env "$composed=1" "$decomposed=2" "$mark" rkt --insecure-options=image run "${STAGE1_FLAGS[@]}" --net=none \
        --inherit-env "${words[@]}"
    expect_equal "$mark $decomposed=2 $composed=1" "$(special_variables)" 'the inherited environment'
}

special_variables() { sed -n 's/^[^:]*: //; /^caf/p; /^MARK/p' <<<"$OUT" | LC_ALL=C sort | paste -sd' '; }

case_environment_reaches_the_app_byte_for_byte() {
    local value=$'x "y" \\ $HOME %n\t\x27z\x27'
    app one 'printf "%s" "$STRANGE" | od -An -tx1 | tr -d " \n"; echo' --environment=STRANGE="$value"
    expect_status 0 run_pod
    expect_contains "$OUT" "]: $(printf '%s' "$value" | od -An -tx1 | tr -d ' \n')" 'the output'
}

case_environment_order() {
    echo 'B=file' >"$WORK/environment"
    app one 'echo A=$A B=$B C=$C' --environment=A=app --environment=B=app --environment=C=app
    expect_status 0 run_pod --set-env-file="$WORK/environment" --set-env=A=set
    expect_contains "$OUT" 'A=set B=file C=app' 'the output'
}

case_inherit_env() {
    app one 'echo "from=$CALLER"'
    CALLER=outside expect_status 0 run_pod --inherit-env
    expect_contains "$OUT" 'from=outside' 'the output'
    CALLER=outside expect_status 0 run_pod
    expect_contains "$OUT" 'from=' 'the output'
    expect_lacks "$OUT" outside 'the output'
}

case_working_directory() {
    app one 'pwd' --working-dir=/tmp
    expect_status 0 run_pod
    expect_contains "$OUT" ']: /tmp' 'the output'
}

case_user_and_group() {
    app one 'id -u; id -g' --user=65534 --group=65534
    expect_status 0 run_pod
    expect_equal '65534 65534' "$(sed 's/^.*: //' <<<"$OUT" | paste -sd' ')" 'user and group'
}

case_user_by_name() {
    app one 'id -un' --user=nobody --group=nogroup
    expect_status 0 run_pod
    expect_contains "$OUT" ']: nobody' 'the output'
}

case_unknown_user_is_refused() {
    app one 'true' --user=nosuch
    expect_status 254 run_pod
    expect_contains "$ERR" nosuch 'the error'
}

case_supplementary_groups() {
    app one 'id -G' --supplementary-gids=400,500
    expect_status 0 run_pod
    expect_contains "$OUT" ']: 0 400 500' 'the output'
}

case_empty_supplementary_groups_are_none() {
    app one 'id -G' --user=65534 --group=65534 --supplementary-gids=
    expect_status 0 run_pod
    expect_match "$OUT" ']: 65534$' 'the output'
}

case_hostname() {
    app one 'hostname'
    expect_status 0 run_pod --hostname=a-name
    expect_contains "$OUT" ']: a-name' 'the output'
}

case_default_hostname_is_the_machine() {
    app one 'hostname'
    expect_status 0 run_pod --uuid-file-save="$WORK/uuid"
    expect_contains "$OUT" "]: rkt-$(<"$WORK/uuid")" 'the output'
}

case_uuid_file_save() {
    app one 'true'
    expect_status 0 run_pod --uuid-file-save="$WORK/uuid"
    expect_match "$(<"$WORK/uuid")" '^[0-9a-f-]{36}$' 'the file'
    expect_equal 36 "$(stat -c %s "$WORK/uuid")" 'size of the file'
    expect_equal exited "$(state_of "$(<"$WORK/uuid")")" state
    rkt rm --uuid-file="$WORK/uuid" >/dev/null
}

case_read_only_root() {
    app one 'touch /tmp/x 2>&1 || echo refused' --readonly-rootfs=true
    expect_status 0 run_pod
    expect_contains "$OUT" refused 'the output'
}

case_standard_input_is_empty() {
    app one 'read -r line && echo "got $line" || echo nothing'
    expect_status 0 run_pod <<<data
    expect_contains "$OUT" nothing 'the output'
}

case_image_name_is_the_app_name() {
    expect_status 0 RKT run "${STAGE1_FLAGS[@]}" --net=none "$(busybox)" --exec=/bin/true
    expect_contains "$(rkt list --no-legend)" busybox 'the list'
}

case_oci_layout_is_named_by_its_file() {
    expect_status 0 RKT run "${STAGE1_FLAGS[@]}" --net=none "$IMAGES/redis-client.oci.tar" --exec=/bin/true
    expect_contains "$(rkt list --no-legend)" redis-client 'the list'
}

case_two_images_in_one_pod_talk_over_its_loopback() {
    UUID=$(RKT run "${STAGE1_FLAGS[@]}" --detach --net=none "$IMAGES/redis.oci" --name=redis "$IMAGES/redis-client.oci.tar" --name=client)
    wait_for_line 'visit number 1' client
    expect_contains "$(lines_of)" "client: redis-demo: read back: hello from rkt-$UUID" 'the log'
    expect_equal running "$(state_of)" state
    expect_equal 0 "$(app_status client)" 'status of the client'
    rkt stop "$UUID" >/dev/null
    expect_equal 0 "$(app_status redis)" 'status of redis'
}

case_debug_shows_stages_with_times() {
    app one 'true'
    expect_status 0 run_pod --debug
    expect_match "$ERR" '[0-9]+(\.[0-9]+)? ?ms' 'standard error'
}

case_net_host_shares_the_hosts_network() {
    app one 'readlink /proc/self/ns/net'
    expect_status 0 rkt --insecure-options=image run "${STAGE1_FLAGS[@]}" --net=host "${APP[@]}"
    expect_contains "$OUT" "$(readlink /proc/self/ns/net)" 'the output'
}

case_closed_descriptors_are_no_files_of_the_pods() {
    local pid number
    app one 'exec sleep 1000'
    rkt --insecure-options=image run "${STAGE1_FLAGS[@]}" --net=none --uuid-file-save="$WORK/uuid" "${APP[@]}" \
        <&- >&- 2>&- &
    pid=$!
    until [[ -s $WORK/uuid ]]; do :; done
    UUID=$(<"$WORK/uuid")
    # What is printed would go to what was opened in their places.
    for number in 0 1 2; do
        expect_equal /dev/null "$(readlink "/proc/$pid/fd/$number")" "descriptor $number"
    done
    rkt status --wait-ready=30s "$UUID" >/dev/null
    expect_status 0 rkt stop "$UUID"
    wait "$pid" || true
}
