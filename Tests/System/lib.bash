# shellcheck shell=bash
# What every system test has at hand. A case is a function `case_WORDS` in a file NN-topic.sh; it runs in a shell
# of its own with errexit, and fails with the first command that does. Nothing here sleeps, and wait_for_port alone
# tries again.

# shellcheck disable=SC2034 # cases use it
IMAGES=${RKT_TEST_IMAGES:-/root/images}
DATA=/var/lib/rkt
# What runs the pods of the cases: units, nspawn, or nspawn-users, which is nspawn with users of the pod's own.
STAGE1=${RKT_TEST_STAGE1:-units}
STAGE1_FLAGS=(--stage1-name="${STAGE1%-users}")
HAS_USERS=false
[[ $STAGE1 != *-users ]] || { STAGE1_FLAGS+=(--private-users); HAS_USERS=true; }
STAGE1=${STAGE1%-users}
WORK=${RKT_TEST_WORK:-/tmp}
SYSTEMD_VERSION=$(systemctl --version | awk 'NR == 1 { print $2 + 0 }')
export SYSTEMD_PAGER='' SYSTEMD_COLORS=0 SYSTEMD_URLIFY=0

# --- results

# shellcheck source=Tests/System/results.bash
source "${BASH_SOURCE[0]%/*}/results.bash"

# not_nspawn REASON: passes over a case where pods are machines.
not_nspawn() { [[ $STAGE1 != nspawn ]] || skip "stage1 nspawn: $1"; }

# not_users REASON: passes over a case where pods have users of their own.
not_users() { ! $HAS_USERS || skip "private users: $1"; }

need_systemd() { ((SYSTEMD_VERSION >= $1)) || skip "needs systemd $1 or later, this is $SYSTEMD_VERSION"; }

# --- assertions

# expect_status STATUS COMMAND...: sets OUT and ERR.
expect_status() {
    local expected=$1 status=0
    shift
    "$@" >"$WORK/out" 2>"$WORK/err" || status=$?
    OUT=$(<"$WORK/out")
    ERR=$(<"$WORK/err")
    [[ $status == "$expected" ]] || fail "status $status instead of $expected: $* | $OUT | $ERR"
}

expect_lacks() {
    [[ $1 != *"$2"* ]] || fail "${3:-text} has '$2': $1"
}

expect_match() {
    [[ $1 =~ $2 ]] || fail "${3:-text} does not match '$2': $1"
}

# refused TEXT COMMAND...: one clear line with TEXT on standard error, nothing on standard output, status 254.
refused() {
    local text=$1
    shift
    expect_status 254 "$@"
    expect_equal '' "$OUT" 'standard output'
    # Progress on what came before is not part of the error.
    local errors
    errors=$(grep -vE '^(layer sha|[^ ]+: [0-9.]+ ?[KMG]?i?B)' <<<"$ERR" || true)
    expect_contains "$errors" "$text" 'the error'
    expect_equal 1 "$(wc -l <<<"$errors")" "lines of the error '$errors'"
}

# --- pods

RKT() { rkt --insecure-options=image "$@"; }

# The id of busybox in the store; images are fetched once per machine.
busybox() { cat /root/busybox-id; }

# app NAME SCRIPT [FLAG...]: sets the words of a shell app, in APP.
app() {
    local name=$1 script=$2
    shift 2
    APP+=("$(busybox)" "--name=$name" --exec=/bin/sh "$@" -- -c "$script" ---)
}

# run_pod [FLAG...]: runs the apps of APP in the foreground.
run_pod() { rkt --insecure-options=image run "${STAGE1_FLAGS[@]}" --net=none "$@" "${APP[@]}"; }

# start_pod [FLAG...]: runs the apps of APP and returns when they have started; sets UUID.
start_pod() {
    UUID=$(run_pod --detach "$@") || fail "rkt run --detach ended with $?"
    [[ $UUID =~ ^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$ ]] || fail "'$UUID' is no UUID"
}

# An app that lives until it is told to end; says "ready" when it can be told.
# shellcheck disable=SC2034 # cases use it
LIVES='trap "echo ending; exit 0" TERM; echo ready; while :; do sleep 1000 & wait $!; done'

# The unit of an app, for the systemd that runs it: app_systemctl asks that one.
unit_of() { if [[ $STAGE1 == nspawn ]]; then echo "$1.service"; else echo "rkt-$UUID-$1.service"; fi; }

app_systemctl() { if [[ $STAGE1 == nspawn ]]; then systemctl -M "rkt-$UUID" "$@"; else systemctl "$@"; fi; }

# app_property APP PROPERTY
app_property() { app_systemctl show --property="$2" --value "$(unit_of "$1")"; }

# The cgroup of an app, below /sys/fs/cgroup.
cgroup_of() {
    case $STAGE1 in
        nspawn) echo "$(machine_cgroup)/apps.slice/$1.service" ;;
        *) property "$(unit_of "$1")" ControlGroup ;;
    esac
}

# The cgroup of the pod's machine, below /sys/fs/cgroup.
machine_cgroup() { sed -n 's|^0::\(.*\)/init.scope$|\1|p' "/proc/$(leader_of)/cgroup"; }

# The unit of the journald that gets what the apps write, for app_systemctl.
journald_of() {
    if [[ $STAGE1 == nspawn ]]; then echo systemd-journald.service; else echo "systemd-journald@rkt-$UUID.service"; fi
}

# The directory of the pod's journal.
journal_directory() {
    local place
    for place in "/var/log/journal/${UUID//-/}" /var/log/journal/*."rkt-$UUID"; do
        [[ ! -d $place ]] || echo "$place"
    done
}

# pod_journal OPTION...: the pod's own log, while it runs and after.
pod_journal() {
    case $STAGE1 in
        nspawn) journalctl --quiet --directory="/var/log/journal/${UUID//-/}" "$@" ;;
        *) journalctl --namespace="rkt-$UUID" "$@" ;;
    esac
}

slice_of() { echo "rkt-${UUID//-/}.slice"; }

property() { systemctl show --property="$2" --value "$1"; }

# The process that is PID 1 in the pod.
leader_of() { machinectl show "rkt-$UUID" --property=Leader --value; }

# The main process of an app, as this machine numbers it.
main_pid() {
    local pid process
    [[ $STAGE1 == nspawn ]] || { property "$(unit_of "$1")" MainPID; return; }
    pid=$(app_property "$1" MainPID)
    while read -r process; do
        ! grep -qE "^NSpid:.*[[:space:]]$pid\$" "/proc/$process/status" || echo "$process"
    done <"/sys/fs/cgroup$(cgroup_of "$1")/cgroup.procs"
}

state_of() { rkt status "${1:-$UUID}" | sed -n 's/^state=//p'; }

app_status() { rkt status "$UUID" | sed -n "s/^app-$1=//p"; }

wait_for_end() { rkt status --wait=60s "$UUID" >/dev/null || fail "pod $UUID does not end"; }

# wait_for_line TEXT [APP [COUNT]]: returns when apps of the pod have written a line with TEXT (COUNT times).
wait_for_line() {
    local line log reader left=${3:-1} app=${2:+SYSLOG_IDENTIFIER=$2}
    if [[ $STAGE1 == nspawn ]]; then
        # journalctl follows only one boot, and each start of the pod is one.
        exec {log}< <(exec rkt logs --follow ${2:+--app="$2"} "$UUID")
    else
        exec {log}< <(exec journalctl --namespace="rkt-$UUID" --follow --lines=all --output=cat ${app:+"$app"})
    fi
    reader=$!
    while ((left > 0)) && IFS= read -r -t 60 -u "$log" line; do
        [[ $line != *"$1"* ]] || left=$((left - 1))
    done
    kill "$reader" 2>/dev/null || true
    exec {log}<&-
    ((left == 0)) || fail "no line with '$1'"
}

# wait_for_text FILE TEXT PID: returns when the command PID has written TEXT to the file.
wait_for_text() {
    local line text reader
    touch "$1"
    exec {text}< <(exec tail --pid="$3" --follow --lines=+1 "$1" 2>/dev/null)
    reader=$!
    while IFS= read -r -t 60 -u "$text" line; do
        [[ $line != *"$2"* ]] || {
            kill "$reader" 2>/dev/null || true
            exec {text}<&-
            return
        }
    done
    fail "no '$2' in its output: $(<"$1")"
}

# in_app APP COMMAND...: a command of this machine in the namespaces of an app.
in_app() {
    local pid
    pid=$(main_pid "$1")
    shift
    nsenter --target "$pid" --mount --uts --ipc --net --pid --root --wd "$@"
}

# run_in_background [FLAG...]: runs the apps of APP in the foreground of a job; sets RKT_PID to it, and UUID
# when an app has said "ready" in $WORK/output. The shell has its jobs ignore the keyboard's signals; this one does not.
run_in_background() {
    env --default-signal=INT rkt --insecure-options=image run "${STAGE1_FLAGS[@]}" --net=none \
        --uuid-file-save="$WORK/uuid" "$@" "${APP[@]}" >"$WORK/output" &
    # shellcheck disable=SC2034 # cases use it
    RKT_PID=$!
    wait_for_text "$WORK/output" ready "$RKT_PID"
    UUID=$(<"$WORK/uuid")
}

# expect_numbers FIRST LAST WHAT: standard input is these numbers in order, as lines of one app with or without its name.
# Where a file of a journal is full in the middle of an entry, journald writes the entry to the next file too: such a
# line is there twice.
expect_numbers() {
    local lines
    lines=$(sed -E 's/^[a-z]+\[[0-9]+\]: //' | uniq)
    [[ $lines == "$(seq "$1" "$2")" ]] || fail "$3: not $1 to $2: $(diff <(seq "$1" "$2") - <<<"$lines" | head -n 5)"
}

lines_of() { rkt logs "$UUID" | sed -E 's/^([^ ]+)\[[0-9]+\]: /\1: /'; }

# --- servers

# wait_for_port PORT: returns when somebody listens at localhost:PORT; for servers that do not say when they do.
wait_for_port() {
    local deadline=$((SECONDS + 30))
    until (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do ((SECONDS < deadline)) || fail "nobody listens at port $1"; done
}

# serve_registry NAME PORT [LINE...]: runs a registry at localhost:PORT until the case ends, as the unit rkt-test-NAME;
# its images are in $WORK/NAME, lines of configuration are added, and it logs each request.
serve_registry() {
    printf '%s\n' 'version: 0.1' 'log: {level: info}' "storage: {filesystem: {rootdirectory: $WORK/$1}}" 'http:' \
        "  addr: 127.0.0.1:$2" "${@:3}" >"$WORK/$1.yml"
    systemd-run --quiet --collect --unit="rkt-test-$1" docker-registry serve "$WORK/$1.yml"
    wait_for_port "$2"
}

# --- what no case may leave behind

# One name at a time: older versions of pgrep take no longer patterns.
processes_of_rkt() {
    local name
    for name in pod-init crun rkt systemd-nspawn; do
        pgrep --list-full --exact "$name" || true
    done
}

mounts_of_rkt() { awk '$5 ~ "rkt" || $0 ~ "overlay .*/var/lib/rkt" { print $5 }' /proc/self/mountinfo; }

units_of_rkt() {
    systemctl list-units --all --plain --no-legend 'pod@*' 'rkt-*.service' 'rkt-*.scope' 'rkt-*.slice' 'systemd-journald*@rkt*' |
        awk '$1 !~ /^(rkt-gc\.(service|timer))$/ { print $1, $3, $4 }'
}

# What pods have left, a line each, without what an earlier case has left and answered for.
leftovers() {
    all_leftovers | sort | comm -23 - "${RKT_TEST_LEFT:-/dev/null}"
}

# Only pods are looked at: images stay. Not every place is there on every systemd, which must not end the search.
all_leftovers() {
    machinectl list --no-legend | awk '{ print "machine " $1 }'
    units_of_rkt | sed 's/^/unit /'
    mounts_of_rkt | sed 's/^/mount /'
    processes_of_rkt | sed 's/^/process /'
    find "$DATA"/pods -mindepth 2 -maxdepth 2 2>/dev/null || true
    find "$DATA/elsewhere" /run/rkt/pods /run/rkt/apps -mindepth 1 -maxdepth 1 2>/dev/null || true
    find /run/systemd/system /run/systemd/system.control /run/systemd/transient /etc/systemd/system \
        /run/systemd/units /etc/systemd /run/systemd /var/log/journal -maxdepth 1 \
        \( -name '*rkt-????????-*' -o -name 'pod@?*' -o -name 'rkt-????????????????????????????????.slice' \) \
        2>/dev/null || true
    # Journals of machines; the host's own has its machine id.
    find /var/log/journal -mindepth 1 -maxdepth 1 -name '????????????????????????????????' \
        ! -name "$(</etc/machine-id)" 2>/dev/null || true
    find /run/systemd/nspawn /run/systemd/machines -name 'rkt-*' 2>/dev/null || true
    find /sys/fs/cgroup/rkt.slice -mindepth 1 -maxdepth 1 -type d 2>/dev/null || true
}

# What no killed pod may leave, before gc: a directory at most. It looks before it touches anything: a pod that counts
# as ended has no app that runs.
expect_nothing_alive() {
    local ending machine
    expect_equal '' "$(processes_of_apps)" "apps' processes"
    # The apps' units may end after the pod's. A stop job waits for those that are ending; for one that is not, it would
    # hide that.
    ending=$(units_in deactivating)
    # shellcheck disable=SC2086 # one word each
    [[ -z $ending ]] || systemctl stop $ending
    expect_equal '' "$(units_in active,activating,reloading,deactivating)" 'units'
    expect_equal '' "$(processes_of_rkt)" 'processes'
    expect_equal '' "$(mounts_of_rkt)" 'mounts'
    expect_equal '' "$(pgrep -a sleep || true)" "apps' processes outside"
    expect_equal '' "$(lsns --noheadings --output=COMMAND --type=net | grep -vE 'systemd|init' || true)" 'network namespaces'
    # machined hears of an end from systemd.
    for machine in $(machinectl list --no-legend | awk '{ print $1 }'); do
        wait_for_record "Machine $machine terminated" '' SYSLOG_IDENTIFIER=systemd-machined
    done
    expect_equal '' "$(machinectl list --no-legend)" 'machines'
}

# Of pods and apps, the units in one of these states.
units_in() {
    systemctl list-units --plain --no-legend --state="$1" 'pod@*.service' 'rkt-????????-*.service' \
        'rkt-????????-*.scope' | awk '{ print $1 }'
}

# What runs in the pods' cgroups, but for the programs that begin and end a unit.
processes_of_apps() {
    local file pid name
    find /sys/fs/cgroup/rkt.slice -name cgroup.procs 2>/dev/null | while read -r file; do
        while read -r pid; do
            name=$(cat "/proc/$pid/comm" 2>/dev/null) || continue
            [[ $name =~ ^(pod-init|crun|rkt|systemctl|\(.*)$ ]] || echo "$pid $name ${file%/*}"
        done < <(cat "$file" 2>/dev/null)
    done
}

# Stops and removes all pods there are.
clean() {
    local uuid
    for uuid in $(rkt list --full --no-legend 2>/dev/null | awk '$1 ~ /^[0-9a-f]{8}-/ { print $1 }'); do
        [[ ! -L /etc/systemd/system/multi-user.target.wants/pod@$uuid.service ]] ||
            systemctl --quiet disable "pod@$uuid"
    done
    systemctl stop 'pod@*.service' 'rkt-????????-*.scope' 'rkt-test-*.service'
    rkt gc --grace-period=0s --expire-prepared=0s
}
