#!/usr/bin/env bash
# Measures in the machine it is in, which must have rkt, podman and /root/images, and be expendable. Called by run.sh.
set -euo pipefail

PAIRS=$1 EXITED=$2 RUNNING=$3
SAMPLES=/root/samples
# Programs that are at work as long as they are there.
BUSY=(podman conmon crun pod-init systemd-nspawn)
BUNDLE=/root/bundle
TREE=/root/tree
export SYSTEMD_PAGER='' SYSTEMD_COLORS=0

main() {
    : >"$SAMPLES"
    prepare
    versions
    # All in one round, so that the machine's mood is the same for all; what is compared stands side by side.
    interleave rkt_run podman_run rkt_run_host_journal podman_run rkt_pod_1 podman_pod_1 rkt_pod_3 podman_pod_3 \
        rkt_run_and_rm rkt_run_3 systemd_run crun_run
    interleave rkt_nspawn bare_nspawn rkt_nspawn_10 rkt_nspawn_users
    stages
    memory
    populate
    interleave rkt_list machinectl_list rkt_version crun_version nothing
    report
}

# --- preparations

# The same image in both stores, and a bundle of it for crun alone.
prepare() {
    echo 'preparing' >&2
    # By its id: names count only for images that somebody has vouched for.
    IMAGE=$(rkt --insecure-options=image fetch --quiet /root/images/busybox.docker.tar)
    podman load --quiet --input /root/images/busybox.docker.tar >/dev/null
    mkdir -p "$BUNDLE/rootfs"
    local container
    container=$(podman create --network=none busybox)
    podman export "$container" | tar -C "$BUNDLE/rootfs" -x
    podman rm "$container" >/dev/null
    (cd "$BUNDLE" && crun spec)
    jq '.process.terminal = false | .process.args = ["/bin/true"]' "$BUNDLE/config.json" >"$BUNDLE/config.new"
    mv "$BUNDLE/config.new" "$BUNDLE/config.json"
    prepare_tree
}

# The root of a pod that is a machine, for systemd-nspawn alone: the same units, and for the app's one of systemd's own kind.
prepare_tree() {
    local uuid leader
    uuid=$(rkt run --stage1-name=nspawn --detach --net=none "$IMAGE" --exec /bin/sleep -- 1000)
    leader=$(machinectl show "rkt-$uuid" --property=Leader --value)
    mkdir "$TREE"
    (cd "/proc/$leader/root" && find . -xdev ! -path './rkt/apps/*' ! -path './usr/*' ! -path './var/log/journal/*' -print0 |
        tar -c --no-recursion --null --files-from=- 2>/dev/null) | tar -C "$TREE" -x
    rkt stop "$uuid" >/dev/null
    rkt rm "$uuid" >/dev/null
    mkdir -p "$TREE/var/log/journal"
    cat >"$TREE/etc/systemd/system/busybox.service" <<'END'
[Unit]
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target
SuccessAction=exit
[Service]
StandardOutput=journal
ExecStart=/bin/true
END
}

versions() {
    echo "systemd $(systemctl --version | awk 'NR == 1 { print $2 }')," \
        "$(podman --version)," "$(crun --version | sed 's/ version//; q')," \
        "$(rkt version | sed -n 's/^rkt-systemd Version: */rkt /p; s/^rkt Version: */rkt /p' | head -n1)"
}

# --- what is timed: each from its first command's start to its last one's end

rkt_run() { rkt run --net=none "$IMAGE" --exec /bin/true; }
rkt_run_host_journal() { rkt run --net=none --journal=host "$IMAGE" --exec /bin/true; }
podman_run() { podman run --rm --network=none busybox /bin/true; }

# Removed too, as podman's pod is.
rkt_pod_1() { rkt run --rm --net=none "$IMAGE" --exec /bin/true; }

rkt_pod_3() {
    rkt run --rm --net=none "$IMAGE" --name=a --exec /bin/true \
        "$IMAGE" --name=b --exec /bin/true "$IMAGE" --name=c --exec /bin/true
}

# Kept, as rkt run does by itself.
rkt_run_3() {
    rkt run --net=none "$IMAGE" --name=a --exec /bin/true \
        "$IMAGE" --name=b --exec /bin/true "$IMAGE" --name=c --exec /bin/true
}

rkt_run_and_rm() {
    rkt run --net=none --uuid-file-save=/root/uuid "$IMAGE" --exec /bin/true
    rkt rm --uuid-file=/root/uuid
}

podman_pod_1() {
    podman pod create --network=none --name=p
    podman run --pod=p --name=a busybox /bin/true
    podman pod rm --force --time=0 p
}

podman_pod_3() {
    podman pod create --network=none --name=p
    podman run --detach --pod=p --name=a busybox /bin/true
    podman run --detach --pod=p --name=b busybox /bin/true
    podman run --detach --pod=p --name=c busybox /bin/true
    podman wait a b c
    podman pod rm --force --time=0 p
}

rkt_nspawn() { rkt run --stage1-name=nspawn --net=none "$IMAGE" --exec /bin/true; }
rkt_nspawn_users() { rkt run --stage1-name=nspawn --private-users --net=none "$IMAGE" --exec /bin/true; }

rkt_nspawn_10() {
    local words=() name
    for name in a b c d e f g h i j; do words+=("$IMAGE" "--name=$name" --exec /bin/true); done
    rkt run --stage1-name=nspawn --net=none "${words[@]}"
}

bare_nspawn() {
    systemd-nspawn --quiet --settings=no --boot --register=yes --machine=bench --directory="$TREE" --bind-ro=/usr \
        --private-network --link-journal=no --resolv-conf=off --timezone=off \
        --setenv=SYSTEMD_UNIT_PATH=/etc/systemd/system --setenv=SYSTEMD_GENERATOR_PATH=/nonexistent \
        --setenv=SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/nonexistent systemd.show_status=0 systemd.log_target=journal
}

systemd_run() { systemd-run --quiet --wait /bin/true; }
crun_run() { crun run --bundle "$BUNDLE" bench; }
rkt_list() { rkt list; }
machinectl_list() { machinectl list; }
rkt_version() { rkt version; }
crun_version() { crun --version; }
# What the shell takes to start any program.
nothing() { /bin/true; }

# --- taking samples

# interleave FUNCTION...: rounds of all of them, of which the first two count as warm-ups.
interleave() {
    local round function
    echo "measuring $*" >&2
    for ((round = -1; round <= PAIRS; round++)); do
        for function; do sample "$function" "$round"; done
    done
}

# Takes one sample: the time until the function is back, and all CPU time in the machine (so PID 1's, the bus's and the
# journal's too) until a moment later, when what goes on behind it has ended as well.
sample() {
    local function=$1 round=$2 cpu start end
    cpu=$(cpu_time)
    start=${EPOCHREALTIME/./}
    "$function" >/root/out 2>&1 || say_failure "$function"
    end=${EPOCHREALTIME/./}
    sleep 0.2
    cpu=$(($(cpu_time) - cpu))
    ((round < 1)) || echo "$function $((end - start)) $cpu" >>"$SAMPLES"
    wait_for_quiet
}

say_failure() {
    echo "$1 failed, its numbers mean nothing: $(tail -n 1 /root/out)" >&2
}

# Microseconds of the whole machine. The kernel counts them in every cgroup, whatever controllers there are.
cpu_time() {
    local key value
    while read -r key value; do
        if [[ $key == usage_usec ]]; then echo "$value"; fi
    done </sys/fs/cgroup/cpu.stat
}

# The next one must not pay for what this one has left to do.
wait_for_quiet() {
    local end=$((SECONDS + 20))
    while ((SECONDS < end)); do
        [[ -n $(systemctl list-jobs --no-legend) ]] || busy || return 0
        sleep 0.05
    done
}

# One name at a time: pgrep of bookworm takes no pattern longer than a process's name can be.
busy() {
    local name
    for name in "${BUSY[@]}"; do
        if pgrep -x "$name" >/dev/null; then return 0; fi
    done
    return 1
}

# --- the stages of one start

# As rkt and pod-start tell them: a line per stage of each run, "COMMAND: STAGE: 1.2 ms".
stages() {
    local run uuid
    : >/root/stages
    systemctl set-environment RKT_DEBUG=1
    for ((run = 0; run < PAIRS; run++)); do
        rkt --debug run --net=none --uuid-file-save=/root/uuid "$IMAGE" --exec /bin/true 2>&1 |
            grep -E '^run: .* ms$' >>/root/stages || true
        wait_for_quiet
        uuid=$(</root/uuid)
        journalctl --unit="pod@$uuid" --output=cat | grep -E '^pod-start: .* ms$' >>/root/stages || true
    done
    systemctl unset-environment RKT_DEBUG
}

# --- memory

# Of processes with nothing to do, once what they had to do is over: proportional set sizes, in kB.
memory() {
    local uuid pod
    uuid=$(rkt run --detach --net=none "$IMAGE" --exec /bin/sleep -- 1000)
    pod=$(podman pod create --network=none)
    podman run --detach --pod="$pod" busybox /bin/sleep 1000 >/dev/null
    sleep 3
    {
        echo "rkt_init $(pss_of pod-init)"
        echo "rkt_journald $(pss_of "systemd-journald rkt-$uuid")"
        echo "podman_pod $(pss_of conmon catatonit)"
    } >>"$SAMPLES"
    rkt stop "$uuid" >/dev/null
    podman pod rm --force --time=0 "$pod" >/dev/null
    wait_for_quiet
}

# pss_of TEXT...: the sum of the processes whose command line has one of the texts in its program's part.
pss_of() {
    local text pid sum=0
    for text; do
        for pid in $(pgrep -f "^[^ ]*$text( |\$)"); do
            sum=$((sum + $(awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup")))
        done
    done
    echo "$sum"
}

# --- many pods

# Fills up to the wanted numbers of exited and running pods. The running ones use the host's journal: each journal of a
# pod's own would take inotify instances, of which the whole host has few.
populate() {
    local count
    BUSY=(podman conmon crun)
    echo 'making pods' >&2
    count=$(rkt list --no-legend | grep -c exited || true)
    for ((; count < EXITED; count++)); do rkt_run_host_journal >/dev/null 2>&1; done
    for ((count = 0; count < RUNNING; count++)); do
        rkt run --detach --net=none --journal=host "$IMAGE" --exec /bin/sleep -- 10000 >/dev/null
    done
    echo "$(rkt list --no-legend | grep -c exited || true) exited," \
        "$(rkt list --no-legend | grep -c running || true) running" >&2
}

# --- the report

report() {
    echo
    printf '%-46s %9s %9s %7s %7s  %6s\n' 'medians in ms' rkt other ratio target 'CPU ratio'
    compare rkt_run podman_run 0.8 'rkt run true : podman run --rm true'
    compare rkt_run_host_journal podman_run 0.6 'the same with --journal=host'
    compare rkt_run podman_pod_1 0.35 'pod of 1 app, run : podman pod, removed'
    compare rkt_pod_1 podman_pod_1 0.35 'the same, run --rm : podman pod, removed'
    compare rkt_run_and_rm podman_pod_1 '' 'the same in two commands, run and rm'
    compare rkt_run_3 podman_pod_3 0.25 'pod of 3 apps, run : podman pod, removed'
    compare rkt_pod_3 podman_pod_3 0.25 'the same, run --rm : podman pod, removed'
    compare rkt_nspawn bare_nspawn 1.2 'stage1 nspawn, run true : systemd-nspawn --boot'
    compare rkt_nspawn_10 rkt_nspawn 1.5 'the same, 10 apps : 1 app'
    compare rkt_nspawn_users rkt_nspawn '' 'the same, with users of its own : without'
    compare rkt_list machinectl_list 2.0 "rkt list of $((EXITED + RUNNING)) : machinectl list of $RUNNING"
    compare rkt_version crun_version 1.5 'rkt version : crun --version'
    compare rkt_run systemd_run '' 'rkt run true : systemd-run --wait true'
    compare rkt_run crun_run '' 'rkt run true : crun run of true'
    printf '%-46s %9s %9.1f   (the shell starts a program)\n' 'true' '' "$(median nothing 2)"
    memory_report
    stage_report
}

# compare A B TARGET TEXT: a line of the table.
compare() {
    local a b cpu_a cpu_b
    a=$(median "$1" 2)
    b=$(median "$2" 2)
    cpu_a=$(median "$1" 3)
    cpu_b=$(median "$2" 3)
    awk -v a="$a" -v b="$b" -v x="$cpu_a" -v y="$cpu_b" -v target="$3" -v text="$4" 'BEGIN {
        printf "%-46s %9.1f %9.1f %7.2f %7s  %6.2f  %s\n", text, a, b, b ? a / b : 0, target, y ? x / y : 0,
            target == "" ? "" : a <= target * b ? "met" : "over"
    }'
}

# median FUNCTION COLUMN: in milliseconds.
median() { awk -v name="$1" -v column="$2" '$1 == name { print $column / 1000 }' "$SAMPLES" | middle; }

middle() {
    sort -n | awk '{ value[NR] = $1 } END { print NR ? (value[int((NR + 1) / 2)] + value[int(NR / 2) + 1]) / 2 : 0 }'
}

memory_report() {
    local init journald podman
    init=$(awk '$1 == "rkt_init" { print $2 }' "$SAMPLES")
    journald=$(awk '$1 == "rkt_journald" { print $2 }' "$SAMPLES")
    podman=$(awk '$1 == "podman_pod" { print $2 }' "$SAMPLES")
    echo
    awk -v a="$init" -v b="$podman" -v journald="$journald" 'BEGIN {
        printf "%-46s %9d %9d %7.2f %7s  %6s  %s\n", "idle pod, kB (PSS): init : conmon x 2, pause", a, b,
            b ? a / b : 0, "0.1", "", a <= b / 10 ? "met" : "over"
        printf "%-46s %9d %9s %7.2f\n", "  beside it, the journald of its own", journald, "", b ? journald / b : 0
    }'
}

stage_report() {
    local command stage
    echo
    echo 'stages of rkt run true, medians in ms (those of pod-start are within "start")'
    while IFS=: read -r command stage; do
        printf '  %-10s %-12s %8.1f\n' "$command" "$stage" \
            "$(sed -n "s/^$command: $stage: \(.*\) ms\$/\1/p" /root/stages | middle)"
    done < <(sed -E 's/^([^:]*): ([^:]*): .*/\1:\2/' /root/stages | awk '!seen[$0]++')
}

main
