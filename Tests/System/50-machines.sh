# shellcheck shell=bash
# The pod as a machine of machined.

case_list() {
    app one "$LIVES"
    start_pod
    expect_match "$(machinectl list --no-legend)" "^rkt-$UUID +container +" 'machinectl list'
    rkt stop "$UUID" >/dev/null
    expect_equal '' "$(machinectl list --no-legend)" 'machinectl list after the end'
}

case_status_and_show() {
    app one 'exec sleep 4321'
    start_pod
    expect_contains "$(machinectl status "rkt-$UUID" --no-pager)" "$(leader_of)" 'machinectl status'
    expect_equal "rkt-$UUID" "$(machinectl show "rkt-$UUID" --property=Name --value)" name
    expect_equal "${UUID//-/}" "$(machinectl show "rkt-$UUID" --property=Id --value | tr -d -)" id
    expect_equal container "$(machinectl show "rkt-$UUID" --property=Class --value)" class
    expect_equal running "$(machinectl show "rkt-$UUID" --property=State --value)" state
    expect_equal "pod@$UUID.service" "$(machinectl show "rkt-$UUID" --property=Unit --value)" unit
}

case_poweroff_ends_the_pod_in_order() {
    app one "$LIVES"
    start_pod
    wait_for_line ready
    expect_status 0 machinectl poweroff "rkt-$UUID"
    wait_for_end
    expect_equal exited "$(state_of)" state
    expect_contains "$(rkt logs "$UUID")" ending 'the log'
    expect_equal inactive "$(systemctl is-active "pod@$UUID" || true)" 'the unit'
}

case_terminate_ends_the_pod() {
    app one "$LIVES"
    start_pod
    wait_for_line ready
    expect_status 0 machinectl terminate "rkt-$UUID"
    wait_for_end
    expect_equal exited "$(state_of)" state
    expect_equal '' "$(machinectl list --no-legend)" 'machinectl list'
}

case_kill_of_the_leader_ends_the_pod() {
    app one "$LIVES"
    start_pod
    wait_for_line ready
    expect_status 0 machinectl kill --kill-whom=leader --signal=KILL "rkt-$UUID"
    wait_for_end
    expect_equal exited "$(state_of)" state
}

case_kill_with_sigterm_ends_the_pod_in_order() {
    not_nspawn 'SIGTERM makes the systemd in it execute itself anew'
    app one "$LIVES"
    start_pod
    wait_for_line ready
    expect_status 0 machinectl kill --kill-whom=leader --signal=TERM "rkt-$UUID"
    wait_for_end
    expect_contains "$(rkt logs "$UUID")" ending 'the log'
}

case_two_pods_are_two_machines() {
    app one "$LIVES"
    start_pod
    local first=$UUID
    start_pod
    expect_equal 2 "$(machinectl list --no-legend | wc -l)" machines
    rkt stop "$first" >/dev/null
    expect_match "$(machinectl list --no-legend)" "^rkt-$UUID " 'machinectl list'
}

case_pod_runs_without_machined() {
    systemctl mask --runtime --now --quiet systemd-machined.service
    app one 'echo hello; exit 3'
    local status=0
    run_pod >"$WORK/output" 2>"$WORK/errors" || status=$?
    systemctl unmask --runtime --quiet systemd-machined.service
    expect_equal 3 "$status" status
    expect_contains "$(<"$WORK/output")" hello 'the output'
}
