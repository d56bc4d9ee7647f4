# shellcheck shell=bash
# What the tests from outside have at hand. $RKT_MACHINE is the machine; `inside` runs a command in it.
# shellcheck disable=SC2034 # cases use it

machine_program=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../Machine" && pwd)/machine
WORK=$RKT_TEST_WORK

# shellcheck source=Tests/System/results.bash
source "$(dirname "${BASH_SOURCE[0]}")/../results.bash"

machine() { "$machine_program" "$@"; }

inside() { machine run "$RKT_MACHINE" -- "$@"; }

# shell SCRIPT [ARGUMENT...]: a script in the machine.
shell() { inside bash -euc "$1" shell "${@:2}"; }

# An app that lives until it is told to end.
LIVES='trap "echo ending; exit 0" TERM; echo ready; while :; do sleep 1000 & wait $!; done'

# start_pod NAME SCRIPT: sets UUID.
start_pod() {
    UUID=$(inside rkt --insecure-options=image run --net=none --detach "$BUSYBOX" --name="$1" --exec=/bin/sh -- -c "$2" 2>/dev/null)
    [[ $UUID == *-*-*-*-* ]] || fail "'$UUID' is no UUID"
}

prepare_pod() {
    UUID=$(inside rkt --insecure-options=image prepare "$BUSYBOX" --name="$1" --exec=/bin/sh -- -c "$2" 2>/dev/null)
}

state_of() { inside rkt status "${1:-$UUID}" | sed -n 's/^state=//p'; }

# The app of the pod, a $LIVES, hears from now on that it shall end.
wait_until_ready() {
    # shellcheck disable=SC2016 # for the shell in there
    shell 'grep --quiet ready < <(exec journalctl --namespace="rkt-$1" --follow --lines=all --output=cat)' "$UUID"
}

# log_of UUID: what its apps have said, on one line.
log_of() { inside rkt logs "$1" | sed -E 's/^[^ ]+\[[0-9]+\]: //' | paste -sd' '; }

# expect_clean: gc takes all pods, and then nothing of them is left.
expect_clean() {
    inside rkt gc --grace-period=0s --expire-prepared=0s >/dev/null 2>&1
    local file
    for file in lib results; do
        machine copy-in "$RKT_MACHINE" "$(dirname "$machine_program")/../System/$file.bash" "/root/$file.bash"
    done
    expect_equal '' "$(shell 'source /root/lib.bash; leftovers')" 'left behind'
}
