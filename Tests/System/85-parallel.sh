# shellcheck shell=bash
# Many pods at once.

# run_many COUNT: so many pods at once, each with a status of its own; all must be told right.
run_many() {
    local number wrong=0 status runners=()
    for ((number = 1; number <= $1; number++)); do
        rkt --insecure-options=image run "${STAGE1_FLAGS[@]}" --net=none "$(busybox)" --name=one --exec=/bin/sh -- \
            -c "echo pod $number; exit $((number % 200))" >"$WORK/output.$number" 2>"$WORK/errors.$number" &
        runners[number]=$!
    done
    for ((number = 1; number <= $1; number++)); do
        status=0
        wait "${runners[number]}" || status=$?
        if [[ $status != $((number % 200)) ]]; then
            wrong=$((wrong + 1))
            echo "pod $number ended with $status: $(head -c 400 "$WORK/errors.$number")"
        fi
    done
    ((wrong == 0)) || fail "$wrong of $1 pods told a wrong status"
    for ((number = 1; number <= $1; number++)); do
        grep -qE "^one\[[0-9]+\]: pod $number\$" "$WORK/output.$number" || fail "the line of pod $number is missing"
    done
    expect_equal "$1" "$(rkt list --no-legend | grep -c exited)" 'exited pods in the list'
}

# The systemd of each machine takes inotify instances, of which all of root's processes on the host have so many.
inotify_instances() { cat /proc/sys/fs/inotify/max_user_instances; }

case_many_pods_at_once() {
    if [[ $STAGE1 == nspawn ]] && (($(inotify_instances) < 512)); then
        run_many 20
    else
        run_many 50
    fi
}

case_two_hundred_pods_at_once() {
    [[ $STAGE1 != nspawn ]] || (($(inotify_instances) >= 2048)) ||
        skip "stage1 nspawn: the host has $(inotify_instances) inotify instances"
    run_many 200
}

case_twenty_prepares_at_once() {
    local runners=() number
    app one true
    for number in {1..20}; do
        RKT prepare "${STAGE1_FLAGS[@]}" "${APP[@]}" >"$WORK/uuid.$number" 2>"$WORK/errors.$number" &
        runners+=($!)
    done
    for number in "${runners[@]}"; do expect_status 0 wait "$number"; done
    expect_equal 20 "$(sort -u "$WORK"/uuid.* | wc -l)" 'different UUIDs'
    expect_equal 20 "$(rkt list --no-legend | grep -c prepared)" 'prepared pods'
}

case_gc_beside_running_pods() {
    local runners=() number
    app one 'exit 5'
    for number in {1..10}; do
        run_pod >/dev/null 2>"$WORK/errors.$number" &
        runners+=($!)
        # It may take pods that have ended, never the status of one whose run is not over.
        rkt gc --grace-period=1h >/dev/null 2>&1 || fail 'gc failed'
    done
    for number in "${runners[@]}"; do expect_status 5 wait "$number"; done
}

case_start_of_one_pod_twice_at_once() {
    app one "$LIVES"
    UUID=$(RKT prepare "${STAGE1_FLAGS[@]}" "${APP[@]}")
    local first second
    systemctl start "pod@$UUID" &
    first=$!
    systemctl start "pod@$UUID" &
    second=$!
    expect_status 0 wait "$first"
    expect_status 0 wait "$second"
    # The shell has executed it some time after the start.
    wait_for_line ready
    while ! pgrep -x sleep >/dev/null; do :; done
    expect_equal 1 "$(pgrep -c -x sleep)" 'processes of the app'
}
