# shellcheck shell=bash
# Pods over reboots, power losses and soft-reboots.

case_enabled_pod_starts_at_every_boot() {
    prepare_pod one "$LIVES"
    inside systemctl --quiet enable "pod@$UUID"
    machine reboot "$RKT_MACHINE"
    expect_equal running "$(state_of)" 'state after the reboot'
    expect_equal active "$(inside systemctl is-active "pod@$UUID")" 'the unit'
    machine reboot "$RKT_MACHINE"
    expect_equal running "$(state_of)" 'state after the second reboot'
    expect_contains "$(inside rkt logs "$UUID")" ending 'the log of the first boot'
    inside systemctl --quiet disable "pod@$UUID"
    inside rkt stop "$UUID"
    expect_clean
}

case_prepared_pod_survives_a_reboot() {
    prepare_pod one 'echo hello'
    machine reboot "$RKT_MACHINE"
    expect_equal prepared "$(state_of)" state
    expect_equal 0 "$(inside rkt run-prepared "$UUID" >"$WORK/output"; echo $?)" status
    expect_contains "$(<"$WORK/output")" hello 'the output'
    expect_clean
}

case_pods_of_another_data_directory_survive_a_reboot() {
    local enabled
    there() { inside rkt --dir=/var/lib/other "$@"; }
    prepare_there() {
        UUID=$(there --insecure-options=image prepare /root/images/busybox.aci --name=one --exec=/bin/sh -- \
            -c "$LIVES" 2>/dev/null)
    }
    prepare_there
    enabled=$UUID
    inside systemctl --quiet enable "pod@$enabled"
    prepare_there
    machine reboot "$RKT_MACHINE"
    expect_equal active "$(inside systemctl is-active "pod@$enabled")" 'the enabled unit'
    expect_equal running "$(there status "$enabled" | sed -n 's/^state=//p')" 'state of the enabled pod'
    inside systemctl start "pod@$UUID"
    expect_equal running "$(there status "$UUID" | sed -n 's/^state=//p')" 'state of the other'
    machine reset "$RKT_MACHINE"
    expect_equal active "$(inside systemctl is-active "pod@$enabled")" 'the enabled unit after a power loss'
    inside systemctl start "pod@$UUID"
    inside systemctl --quiet disable "pod@$enabled"
    there stop "$UUID" "$enabled"
    there rm "$UUID" "$enabled"
    expect_clean
}

case_running_pod_is_exited_after_a_reboot() {
    start_pod one "$LIVES"
    wait_until_ready
    machine reboot "$RKT_MACHINE"
    expect_equal exited "$(state_of)" state
    expect_equal 0 "$(inside rkt status "$UUID" | sed -n 's/^app-one=//p')" 'status of the app, which was told to end'
    expect_contains "$(inside rkt logs "$UUID")" ending 'the log'
    inside systemctl start "pod@$UUID"
    expect_equal running "$(state_of)" 'state when started again'
    inside rkt stop "$UUID"
    expect_clean
}

case_power_loss_while_pods_run() {
    start_pod one "$LIVES"
    local first=$UUID
    prepare_pod two 'echo hello'
    inside systemctl --quiet enable "pod@$UUID"
    machine reset "$RKT_MACHINE"
    expect_equal exited "$(state_of "$first")" 'state of the pod that ran'
    inside rkt status --wait=60s "$UUID" >/dev/null
    expect_contains "$(inside rkt logs "$UUID")" hello 'the log of the enabled pod'
    expect_equal 1 "$(inside rkt image list --no-legend | wc -l)" images
    inside systemctl --quiet disable "pod@$UUID"
    expect_clean
}

case_power_loss_in_the_middle_of_everything() {
    # Many at once, and the power goes at the first sign of life of the fifth.
    inside bash -c 'for n in 1 2 3 4 5 6 7 8 9 10; do
            rkt --insecure-options=image run --net=none "$1" --name=one --exec=/bin/sh -- -c "echo pod $n; exit 3" &
            rkt --insecure-options=image prepare "$1" --name=two --exec=/bin/true &
        done; wait' sh "$BUSYBOX" 2>/dev/null | head -n 5 >/dev/null || true
    machine reset "$RKT_MACHINE"
    local list
    list=$(inside rkt list 2>&1) || fail "list failed: $list"
    [[ $list != *running* && $list != *error* ]] || fail "the list lies: $list"
    expect_equal '' "$(inside machinectl list --no-legend)" machines
    inside rkt --insecure-options=image run --net=none "$BUSYBOX" --name=one --exec=/bin/true
    expect_clean
}

case_power_loss_while_fetching() {
    machine copy-in "$RKT_MACHINE" "$RKT_TEST_IMAGES/redis.oci" /root/images/redis.oci
    # It says what it is at when it begins with a layer.
    local line fetch
    exec {fetch}< <(inside rkt --insecure-options=image fetch /root/images/redis.oci 2>&1)
    read -r -u "$fetch" line
    machine reset "$RKT_MACHINE"
    exec {fetch}<&-
    [[ -n $line ]] || fail 'fetch said nothing'
    inside rkt image list >/dev/null
    inside rkt --insecure-options=image fetch /root/images/redis.oci >/dev/null 2>&1
    expect_equal 2 "$(inside rkt image list --no-legend | wc -l)" images
}

case_soft_reboot() {
    local version
    version=$(inside systemctl --version | awk 'NR == 1 { print $2 + 0 }')
    ((version >= 254)) || skip "needs systemd 254 or later, this is $version"
    prepare_pod enabled "$LIVES"
    local enabled=$UUID
    inside systemctl --quiet enable "pod@$enabled"
    start_pod ended 'exit 3' || true
    local ended=$UUID
    inside rkt status --wait=60s "$ended" >/dev/null
    # It is failed, as it should be; what comes next must not be.
    inside systemctl reset-failed
    start_pod one "$LIVES"
    wait_until_ready
    machine soft-reboot "$RKT_MACHINE"
    expect_equal '' "$(inside systemctl list-units --failed --plain --no-legend)" 'failed units'
    expect_equal "$enabled" "$(inside rkt list --full --no-legend | awk '/\trunning\t/ { print $1 }')" 'the pods that run'
    expect_equal exited "$(state_of)" 'state of the pod that ran'
    expect_equal 0 "$(inside rkt status "$UUID" | sed -n 's/^app-one=//p')" 'status of the app, which was told to end'
    expect_equal 'ready ending' "$(log_of "$UUID")" 'its log'
    expect_equal 3 "$(inside rkt status "$ended" | sed -n 's/^app-ended=//p')" 'status of the app that had ended before'
    expect_equal "rkt-$enabled" "$(inside machinectl list --no-legend | awk '{ print $1 }')" machines
    # What systemd has kept of their units in /run does for the next start.
    inside systemctl start "pod@$UUID"
    inside systemctl start "pod@$ended" || true
    inside rkt status --wait=60s "$ended" >/dev/null
    expect_equal 3 "$(inside rkt status "$ended" | sed -n 's/^app-ended=//p')" 'status of its app when started again'
    expect_equal running "$(state_of)" 'state when started again'
    expect_equal "$(printf 'rkt-%s\n' "$UUID" "$enabled" | sort)" \
        "$(inside machinectl list --no-legend | awk '{ print $1 }' | sort)" 'machines at the end'
    inside systemctl --quiet disable "pod@$enabled"
    inside rkt stop "$UUID" "$enabled"
    expect_clean
}

case_reboot_is_not_held_up_by_pods() {
    start_pod one "$LIVES"
    local start=$SECONDS
    machine reboot "$RKT_MACHINE"
    ((SECONDS - start < 20)) || fail "the reboot took $((SECONDS - start)) s"
    expect_clean
}
