#!/usr/bin/env bash
# Runs all tests: the unit tier on this host, the system tier in test machines.
set -euo pipefail
# Swift Testing begins its lines with characters of several bytes.
export LC_ALL=C.UTF-8

usage() {
    cat <<'EOF'
Usage: test.sh [OPTION...] [SUITE...]

  SUITE           a Debian suite to boot: bookworm (systemd 252), trixie (257), forky (262); default: the first two,
                  and the third where its tree can be made
  --unit          only the unit tier
  --system        only the system tier
  --case PATTERN  of the system tier, only cases whose name matches; may be given several times

The last line is `N passed, N failed, N skipped`: cases of the system tier and unit tests. Fails if any failed.

Environment:
  RKT_BUILD    the directory with the built programs (default: .build/release in this clone)
EOF
}

source_directory=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
machine=$source_directory/Tests/Machine/machine
images=$source_directory/.build/images

main() {
    local unit=true system=true suites=() status=0
    patterns=()
    unit_tier=''
    while (($# > 0)); do
        case $1 in
            -h | --help) usage; return ;;
            --unit) system=false ;;
            --system) unit=false ;;
            --case)
                [[ $# -ge 2 ]] || { usage >&2; return 2; }
                patterns+=("$2")
                shift
                ;;
            bookworm | trixie | forky) suites+=("$1") ;;
            *) usage >&2; return 2 ;;
        esac
        shift
    done
    work=$(mktemp -d)
    trap 'stop_units; rm -rf "$work"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    : >"$work/results"
    if $system && ((EUID != 0)); then
        echo 'test: the system tier must be run as root' >&2
        return 1
    fi
    start_units
    if $system; then
        ((${#suites[@]} > 0)) || find_suites
        run_suites "${suites[@]}"
    fi
    end_units
    summary || status=1
    return $status
}

# --- unit tier

# A machine waits more than it computes: where there is memory for both, the unit tier is built and run meanwhile.
start_units() {
    $unit || return 0
    # A process group of its own, which can be ended as a whole.
    set -m
    run_units >"$work/units.out" 2>&1 &
    set +m
    unit_tier=$!
    if ! $system || (($(memory) < 8)); then end_units; fi
}

end_units() {
    [[ -n $unit_tier ]] || return 0
    : >>"$work/unit-results"
    wait "$unit_tier" || echo 'not ok unit: the tier ended early' >>"$work/unit-results"
    cat "$work/units.out"
    cat "$work/unit-results" >>"$work/results"
    stop_units
}

# Also what a test has left running that was ended.
stop_units() {
    [[ -n $unit_tier ]] || return 0
    kill -- "-$unit_tier" 2>/dev/null || true
    wait "$unit_tier" 2>/dev/null || true
    unit_tier=''
}

run_units() {
    local status=0 skipped passed
    echo '== unit tests'
    # Into a file, not a pipe: what a crashed test leaves running would hold the pipe open.
    (cd "$source_directory" && swift build --build-tests && timeout --foreground --kill-after=10 1500 swift test) \
        >"$work/unit.log" 2>&1 </dev/null || status=1
    grep -vE '^(\[[0-9]+/[0-9]+\] |◇|↳|. Test .* passed after|. Suite .* passed after|Test (Suite|Case) |dbus-daemon\[|\s+Executed 0 tests)' \
        "$work/unit.log" || true
    grep -qE '^. Test run with [0-9]+ tests? .*passed after' "$work/unit.log" || status=1
    grep -E '^. Test .*' "$work/unit.log" | grep -v '^. Test run with' >"$work/unit-tests" || true
    passed=$(grep -c ' passed after ' "$work/unit-tests" || true)
    skipped=$(grep -c ' skipped' "$work/unit-tests" || true)
    sed -nE 's/^. Test (.*) failed after .*/not ok unit: \1/p; s/^. Test (.*) skipped:? ?(.*)/skip unit: \1: \2/p' \
        "$work/unit-tests" >>"$work/unit-results"
    if ((status != 0)) && ! grep -q '^not ok unit' "$work/unit-results"; then
        echo 'not ok unit: the tests did not build or did not end' >>"$work/unit-results"
        tail -n 40 "$work/unit.log"
    fi
    echo "$passed" >"$work/unit-passed"
    echo "unit tests: $passed passed, $skipped skipped"
}

# --- system tier

# What of the memory can be had, in GB.
memory() { awk '/^MemAvailable:/ { print int($2 / 1048576) }' /proc/meminfo; }

# Sets `suites`: forky only where its tree can be made.
find_suites() {
    suites=(bookworm trixie)
    if "$machine" tree forky >"$work/forky" 2>&1; then
        suites+=(forky)
    else
        echo "skip forky: its tree cannot be made: $(tail -n1 "$work/forky")" | tee -a "$work/results"
    fi
}

run_suites() {
    local suite runners=() memory instances systemd=first
    make --no-print-directory -C "$source_directory" install DESTDIR="$work/root" >/dev/null
    # Trees one after the other: each is a download.
    for suite; do "$machine" tree "$suite" >/dev/null; done
    memory=$(memory)
    # What building the unit tier takes, it may not have taken yet.
    [[ -z $unit_tier ]] || memory=$((memory - 4))
    read -r instances </proc/sys/fs/inotify/max_user_instances
    for suite; do
        # A machine with 200 pods takes some 2 GB; and all machines share the host's inotify instances.
        if ((memory < 4 || instances < 1024)) && ((${#runners[@]} > 0)); then
            wait "${runners[-1]}" || true
        fi
        RKT_TEST_SYSTEMD=$systemd run_suite "$suite" >"$work/$suite.log" 2>&1 &
        systemd=again
        runners+=($!)
        memory=$((memory - 3))
    done
    for suite; do
        wait "${runners[0]}" || true
        runners=("${runners[@]:1}")
        echo "== $suite"
        cat "$work/$suite.log"
        sed -nE "s/^(ok|not ok|skip) /\\1 $suite: /p" "$work/$suite.log" >>"$work/results"
        grep -qE '^(ok|not ok|skip) ' "$work/$suite.log" || echo "not ok $suite: no test ran" >>"$work/results"
    done
}

# In a machine of its own: what runs inside, then what starts the machine anew.
run_suite() {
    local suite=$1 status=0
    RKT_TEST_LOG=$work/$suite.part \
        "$machine" with --suite "$suite" --install "$work/root" -- "$0" --inside "${patterns[@]}" || status=$?
    "$source_directory/Tests/System/boot/run" "$suite" "$work/root" "$images" "${patterns[@]}" || status=$?
    return $status
}

# Called by `machine with`: RKT_MACHINE is the machine. All cases with pods as units, and as machines; of machines with
# users of their own those that show what is different then.
run_inside() {
    local status=0
    copy_images
    "$machine" copy-in "$RKT_MACHINE" "$source_directory/Tests/System" /root/System
    run_over units '' "$@" || status=$?
    run_over nspawn 'nspawn ' "$@" || status=$?
    (($# > 0)) || set -- 'nspawn: *' 'isolation: *' 'machines: *'
    run_over nspawn-users 'users ' "$@" || status=$?
    return $status
}

# run_over STAGE1 PREFIX PATTERN...: the prefix tells the results from those of the other stage1s.
run_over() {
    local stage1=$1 prefix=$2 status=0
    shift 2
    "$machine" run "$RKT_MACHINE" -- env "RKT_TEST_STAGE1=$stage1" "RKT_TEST_SYSTEMD=$RKT_TEST_SYSTEMD" \
        /root/System/run "$@" >"$RKT_TEST_LOG" || status=$?
    sed -E "s/^(ok|not ok|skip) /\\1 $prefix/" "$RKT_TEST_LOG"
    # A machine that goes down takes its results along, and its failures.
    grep -q '^ended$' "$RKT_TEST_LOG" || echo "not ok ${prefix}system tests: they have not come to their end"
    return $status
}

copy_images() {
    local image
    "$machine" run "$RKT_MACHINE" -- mkdir -p /root/images
    for image in "$images"/*.oci "$images"/*.tar "$images"/*.aci "$images"/*.aci.*; do
        "$machine" copy-in "$RKT_MACHINE" "$image" "/root/images/${image##*/}"
    done
}

# --- summary

summary() {
    local passed failed skipped
    passed=$(($(grep -c '^ok ' "$work/results" || true) + $(cat "$work/unit-passed" 2>/dev/null || echo 0)))
    failed=$(grep -c '^not ok ' "$work/results" || true)
    skipped=$(grep -c '^skip ' "$work/results" || true)
    echo
    grep '^skip ' "$work/results" || true
    grep '^not ok ' "$work/results" || true
    echo "$passed passed, $failed failed, $skipped skipped"
    ((failed == 0 && passed > 0))
}

case ${1:-} in
    # For ourselves, demo.sh and shell.sh, as commands of `machine with`.
    --inside) shift; run_inside "$@" ;;
    --copy-images) copy_images ;;
    *) main "$@" ;;
esac
