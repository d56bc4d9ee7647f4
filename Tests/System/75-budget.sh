# shellcheck shell=bash
# stage1: units
# What a pod costs PID 1.

ours() {
    systemctl list-units --all --plain --no-legend --no-pager | awk '{ print $1 }' | grep -F -e "$UUID" -e "${UUID//-/}" |
        grep -v '^systemd-journald'
}

case_three_units_for_a_pod_with_one_app() {
    app one "$LIVES"
    start_pod
    expect_equal "$(printf '%s\n' "pod@$UUID.service" "$(unit_of one)" "$(slice_of)" | sort)" "$(ours | sort)" 'units'
}

case_no_mount_on_the_host() {
    local before
    before=$(</proc/self/mountinfo)
    app one "$LIVES"
    start_pod
    wait_for_line ready
    expect_equal "$before" "$(</proc/self/mountinfo)" 'the mount table'
}

case_no_reload_on_the_way() {
    local before
    before=$(busctl get-property org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager \
        UnitsLoadFinishTimestampMonotonic)
    app one true
    run_pod
    start_pod
    wait_for_end
    systemctl start "pod@$UUID"
    wait_for_end
    rkt gc --grace-period=0s >/dev/null 2>&1
    expect_equal "$before" "$(busctl get-property org.freedesktop.systemd1 /org/freedesktop/systemd1 \
        org.freedesktop.systemd1.Manager UnitsLoadFinishTimestampMonotonic)" 'the time of the last load'
}

case_exited_pod_has_no_unit() {
    app one true
    run_pod --uuid-file-save="$WORK/uuid"
    UUID=$(<"$WORK/uuid")
    # systemd may still be about to put them away.
    systemctl stop "pod@$UUID" "$(slice_of)"
    expect_equal '' "$(ours)" 'units'
    rkt rm "$UUID" >/dev/null
}

# Returns when systemd has forgotten the pods, too.
collect_all() {
    rkt gc --grace-period=0s >/dev/null 2>&1
    systemctl stop 'systemd-journald@rkt-*.service' 'rkt-????????????????????????????????.slice'
}

case_number_of_names_stays() {
    local before
    app one true
    run_pod
    collect_all
    before=$(systemctl show --property=NNames --value)
    for _ in 1 2 3 4 5; do run_pod; done
    collect_all
    expect_equal "$before" "$(systemctl show --property=NNames --value)" 'names known to systemd'
}

case_init_is_small() {
    app one "$LIVES"
    start_pod
    local kb own
    read -r kb own < <(awk '/^Pss:/ { pss = $2 } /^Anonymous:/ { own = $2 } END { print pss, own }' \
        "/proc/$(property "pod@$UUID" MainPID)/smaps_rollup")
    # The program itself is in memory once for all pods.
    ((own <= 24)) || fail "$own kB are the init's own"
    ((kb <= 120)) || fail "the init takes $kb kB"
}
