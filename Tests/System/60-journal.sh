# shellcheck shell=bash
# The log of a pod is a journal.

case_journalctl_of_the_machine() {
    app one 'echo from one; exec sleep 1000'
    app two 'echo from two >&2; exec sleep 1000'
    start_pod
    wait_for_line 'from one'
    wait_for_line 'from two'
    local lines
    lines=$(journalctl -M "rkt-$UUID" --output=cat --no-pager)
    expect_contains "$lines" 'from one' 'journalctl -M'
    expect_contains "$lines" 'from two' 'journalctl -M'
    # Nothing of other pods and of the host.
    expect_equal '' "$(journalctl -M "rkt-$UUID" --output=json --no-pager |
        jq -r 'select(._TRANSPORT == "stdout") | .RKT_POD' | grep -v "^$UUID$" || true)" "other pods' lines"
}

case_namespace_while_it_runs_and_after() {
    app one 'echo hello'
    start_pod
    wait_for_end
    expect_equal hello "$(pod_journal --output=cat SYSLOG_IDENTIFIER=one)" 'journalctl --namespace'
}

case_fields() {
    app one 'echo hello'
    start_pod
    wait_for_end
    expect_equal "$UUID one one $(unit_of one) 6" "$(pod_journal --output=json MESSAGE=hello |
        jq -r '"\(.RKT_POD) \(.RKT_APP) \(.SYSLOG_IDENTIFIER) \(._SYSTEMD_UNIT) \(.PRIORITY)"')" 'the fields'
    expect_match "$(pod_journal --output=json MESSAGE=hello | jq -r .RKT_IMAGE)" \
        '^example.com/busybox' 'the image'
}

case_logs_of_an_exited_pod() {
    app one 'echo first; echo second'
    app two 'echo third'
    start_pod
    wait_for_end
    expect_equal $'one: first\none: second' "$(rkt logs --app=one "$UUID" | sed -E 's/\[[0-9]+\]//')" 'rkt logs --app'
    expect_equal 'one: second' "$(rkt logs --app=one -n 1 "$UUID" | sed -E 's/\[[0-9]+\]//')" 'rkt logs -n'
    expect_equal 3 "$(rkt logs "$UUID" | wc -l)" 'lines of all'
    expect_status 254 rkt logs --app=three "$UUID"
    expect_contains "$ERR" three 'the error'
}

case_logs_follow_ends_with_the_pod() {
    app one 'echo begin; trap "echo end; exit" TERM; sleep 1000 & wait $!'
    start_pod
    rkt logs --follow "$UUID" >"$WORK/follow" &
    local follower=$!
    wait_for_text "$WORK/follow" begin "$follower"
    rkt stop "$UUID" >/dev/null
    expect_status 0 wait "$follower"
    expect_contains "$(<"$WORK/follow")" 'end' 'rkt logs --follow'
}

case_twenty_thousand_lines_and_none_lost() {
    app one 'seq 1 20000'
    expect_status 0 run_pod --uuid-file-save="$WORK/uuid"
    UUID=$(<"$WORK/uuid")
    expect_numbers 1 20000 'what run printed' <<<"$OUT"
    rkt logs "$UUID" >"$WORK/logs"
    expect_numbers 1 20000 'rkt logs' <"$WORK/logs"
    pod_journal --output=cat SYSLOG_IDENTIFIER=one >"$WORK/logs"
    expect_numbers 1 20000 'journalctl' <"$WORK/logs"
}

case_last_line_is_there_when_run_returns() {
    app one 'echo the last'
    local number
    for number in 1 2 3 4 5 6 7 8 9 10; do
        run_pod --uuid-file-save="$WORK/uuid" >"$WORK/output"
        expect_match "$(<"$WORK/output")" '^one\[[0-9]+\]: the last$' "what run number $number printed"
        UUID=$(<"$WORK/uuid")
        expect_equal 'the last' "$(pod_journal --output=cat SYSLOG_IDENTIFIER=one)" \
            "the journal of run number $number"
    done
}

case_last_line_of_a_detached_pod_is_there_after_wait() {
    app one 'seq 1 3000'
    start_pod
    rkt status --wait "$UUID" >/dev/null
    expect_match "$(rkt logs -n 1 "$UUID")" '^one\[[0-9]+\]: 3000$' 'rkt logs -n'
    rkt logs "$UUID" >"$WORK/logs"
    expect_numbers 1 3000 'rkt logs' <"$WORK/logs"
}

case_several_apps_write_much_at_once() {
    app one 'seq 1 5000'
    app two 'seq 1 5000'
    app three 'seq 1 5000'
    expect_status 0 run_pod
    local name
    for name in one two three; do
        expect_numbers 1 5000 "lines of $name" < <(grep "^$name\[" <<<"$OUT")
    done
}

case_bytes_that_are_no_text() {
    app one 'printf "a\001\033[31m\377b\n"; printf "%09000d\n" 7'
    expect_status 0 run_pod
    expect_equal "$(printf 'a\001\033[31m\377b' | od -An -tx1)" \
        "$(run_pod | head -n1 | sed 's/^one\[[0-9]*\]: //' | tr -d '\n' | od -An -tx1)" 'bytes in a file'
    expect_match "$OUT" '0{8999}7' 'the long line'
}

case_journal_of_the_host() {
    not_nspawn 'its machine has a journal of its own'
    app one 'echo to the host'
    expect_status 0 run_pod --journal=host --uuid-file-save="$WORK/uuid"
    UUID=$(<"$WORK/uuid")
    expect_match "$OUT" '^one\[[0-9]+\]: to the host$' 'the output'
    expect_equal 'to the host' "$(journalctl --output=cat "RKT_POD=$UUID" RKT_APP=one _TRANSPORT=stdout)" "the host's journal"
    expect_contains "$(rkt logs "$UUID")" 'to the host' 'rkt logs'
    expect_equal '' "$(find /var/log/journal -maxdepth 1 -name "*$UUID*")" 'journal of its own'
    expect_equal '' "$(systemctl list-units --all --plain --no-legend "systemd-journald@rkt-$UUID*")" 'journald of its own'
}

case_no_line_is_lost_in_the_hosts_journal() {
    not_nspawn 'its machine has a journal of its own'
    # More than journald takes of a unit that has set no limit of its own.
    app one 'seq 1 100000'
    expect_status 0 run_pod --journal=host
    expect_numbers 1 100000 'what run printed' <<<"$OUT"
}

case_log_goes_with_the_pod() {
    app one 'echo hello'
    start_pod
    wait_for_end
    [[ -n $(journal_directory) ]] || fail 'the pod has no journal directory'
    rkt rm "$UUID" >/dev/null
    expect_equal '' "$(journal_directory)" 'journal directories'
    # systemd's own notes on the pod's journald go when that has ended.
    systemctl stop "systemd-journald@rkt-$UUID.service"
    expect_equal '' "$(find /run/systemd /etc/systemd -maxdepth 2 -name "*$UUID*")" 'configuration'
}

case_journald_of_the_pod_is_small() {
    app one "$LIVES"
    start_pod
    wait_for_line ready
    local kb
    kb=$(du -sk "$(journal_directory)" | cut -f1)
    ((kb <= 2048)) || fail "a journal of one line takes $kb kB"
}

case_kill_of_the_pods_journald_loses_nothing_after() {
    app one 'echo before; while [ ! -e /tmp/go ]; do sleep 0.05; done; echo after; exec sleep 1000'
    start_pod
    wait_for_line before
    app_systemctl kill --signal=KILL "$(journald_of)"
    touch "/proc/$(main_pid one)/root/tmp/go"
    wait_for_line after
    expect_equal running "$(state_of)" state
}
