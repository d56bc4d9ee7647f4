#!/usr/bin/env bash
# Runs redis and a client as one pod and shows it as systemd, machined and the journal see it. Leaves nothing behind.
set -euo pipefail

usage() {
    cat <<'EOF'
Usage: demo.sh

Where systemd runs, on this system, with rkt installed for the time (as root); elsewhere in a test machine.
EOF
}

source_directory=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
machine=$source_directory/Tests/Machine/machine

main() {
    case ${1:-} in
        -h | --help) usage; return ;;
        --show) shift; show "$@"; return ;;
        --inside) in_machine; return ;;
        '') ;;
        *) usage >&2; return 2 ;;
    esac
    ((EUID == 0)) || { echo 'demo: must be run as root: it runs a pod' >&2; return 1; }
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    if [[ -d /run/systemd/system ]]; then
        on_host
    else
        echo 'systemd does not run here: this boots a test machine (Debian trixie) and runs in it.'
        make --no-print-directory -C "$source_directory" install DESTDIR="$work" >/dev/null
        "$machine" with --suite trixie --install "$work" -- "$0" --inside
    fi
}

# What is not installed yet is installed for the time, and removed again.
on_host() {
    had_data=false
    [[ ! -e /var/lib/rkt ]] || had_data=true
    if ! command -v rkt >/dev/null; then
        trap uninstall EXIT
        make --no-print-directory -C "$source_directory" install >/dev/null
    fi
    "$0" --show "$source_directory/.build/images"
}

uninstall() {
    make --no-print-directory -C "$source_directory" uninstall >/dev/null
    $had_data || rm -rf /var/lib/rkt /run/rkt
    rm -rf "$work"
}

in_machine() {
    "$source_directory/scripts/test.sh" --copy-images
    "$machine" copy-in "$RKT_MACHINE" "$source_directory/scripts/demo.sh" /root/demo.sh
    "$machine" run "$RKT_MACHINE" -- /root/demo.sh --show /root/images
}

# step COMMAND...: says what it does, and does it.
step() {
    printf '\n\e[1m# %s\e[0m\n' "$*"
    "$@"
}

show() {
    cd "$1"
    uuid=''
    images_before=$(rkt image list --no-legend --full --fields=id)
    trap 'clear_up' EXIT
    export SYSTEMD_PAGER='' SYSTEMD_URLIFY=0
    printf '\n\e[1m# rkt --insecure-options=image run --detach --net=none %s\e[0m\n' \
        'redis.oci --name=redis redis-client.oci.tar --name=client'
    uuid=$(rkt --insecure-options=image run --detach --net=none \
        redis.oci --name=redis redis-client.oci.tar --name=client)
    echo "$uuid"
    # The client is done when its last line is in the journal.
    journalctl --namespace="rkt-$uuid" --follow --lines=all --output=cat 2>/dev/null |
        sed '/redis-demo: visit number/q' >/dev/null || true
    step rkt list
    step systemctl status --no-pager --full "pod@$uuid" || true
    step machinectl list --no-pager
    step journalctl --no-pager -M "rkt-$uuid"
    step systemctl stop "pod@$uuid"
    step rkt status "$uuid"
}

clear_up() {
    local status=$? id
    trap - EXIT
    if [[ -n $uuid ]]; then
        systemctl stop "pod@$uuid" || status=1
        step rkt rm "$uuid" || status=1
    fi
    # Images that were there before stay.
    for id in $(rkt image list --no-legend --full --fields=id); do
        [[ $images_before == *"$id"* ]] || rkt image rm "$id" >/dev/null 2>&1 || status=1
    done
    exit $status
}

main "$@"
