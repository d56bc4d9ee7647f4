# shellcheck shell=bash
# systemd: any
# stage1: units
# The power goes: what the disk has at that moment is all there is. The disk is a file with a file system in it, whose
# copy is taken behind the file system's back, so that whatever was not synced is missing.

# Where the data directory is, on a disk of its own. Nothing that is not asked for reaches it for a minute; and no
# heuristic of the file system makes good for a sync that is missing.
OPTIONS=loop,noauto_da_alloc,commit=60

make_disk() {
    local number
    trap 'umount --quiet "$WORK/data" || true' EXIT
    # The machine has no udev; loop devices are the host's.
    [[ -e /dev/loop-control ]] || mknod -m 600 /dev/loop-control c 10 237
    for number in {0..31}; do
        [[ -b /dev/loop$number ]] || mknod -m 600 "/dev/loop$number" b 7 "$number"
    done
    truncate -s 192M "$WORK/new"
    mkfs.ext4 -q -m 0 -E lazy_itable_init=0,lazy_journal_init=0 "$WORK/new"
    mkdir -p "$WORK/data"
    mount -o "$OPTIONS" "$WORK/new" "$WORK/data" 2>"$WORK/mounting" ||
        skip "needs loop devices and ext4: $(<"$WORK/mounting")"
    umount "$WORK/data"
}

rkt_here() { rkt --dir="$WORK/data/rkt" --insecure-options=image "$@"; }

# without_power CALL NUMBER COMMAND...: runs a command on a new disk until it makes the call for that time (or, with `end`, to its end), and leaves
# mounted what the disk had then. Returns 1 when the command came to its end before.
without_power() {
    local call=$1 number=$2 status=0
    shift 2
    cp --sparse=always "$WORK/new" "$WORK/disk"
    mount -o "$OPTIONS" "$WORK/disk" "$WORK/data"
    if [[ $call == end ]]; then
        "$@" >"$WORK/killed" 2>&1 || status=$?
    else
        strace --follow-forks --quiet=all --output=/dev/null --trace="$call" \
            --inject="$call:signal=KILL:when=$number" "$@" >"$WORK/killed" 2>&1 || status=$?
    fi
    cp --sparse=always "$WORK/disk" "$WORK/rest"
    # Nothing of the pod was started, so that nothing else uses it.
    umount "$WORK/data"
    mount -o "$OPTIONS" "$WORK/rest" "$WORK/data"
    ((status != 0))
}

# All that is listed is there to the last byte.
expect_whole_store() {
    local id blob sum layer
    [[ -d $WORK/data/rkt/store ]] || return 0
    for blob in "$WORK"/data/rkt/store/blobs/sha*/*; do
        [[ -e $blob ]] || continue
        sum=${blob%/*}
        expect_equal "${blob##*/}" "$("${sum##*/}sum" "$blob" | cut -d' ' -f1)" "blob $1"
    done
    rkt_here image list --no-legend --full --fields=id >"$WORK/list" || fail "image list $1"
    while read -r id; do
        rkt_here image cat-manifest "$id" >/dev/null || fail "image $id $1"
    done <"$WORK/list"
    for layer in "$WORK"/data/rkt/store/layers/*; do
        [[ ! -d $layer ]] || expect_equal "$(tree "$WORK/whole/${layer##*/}")" "$(tree "$layer")" "layer $1"
    done
}

# A directory's entries with all that they are, and the content of its files.
tree() {
    (cd "$1" && find . -mindepth 1 -printf '%P %y %m %U:%G %T@ %l\n' | sort && find . -type f -exec sha256sum {} + | sort)
}

case_power_is_lost_at_any_point_of_a_fetch() {
    local call number kills=0 images=("$IMAGES/redis-client.oci.tar" "$IMAGES/busybox.aci.gz")
    make_disk
    mount -o "$OPTIONS" "$WORK/new" "$WORK/data"
    rkt_here fetch "${images[@]}" >/dev/null 2>&1
    cp -a "$WORK/data/rkt/store/layers" "$WORK/whole"
    rm -r "$WORK/data/rkt"
    umount "$WORK/data"
    for call in fsync:1,2,3,4,5,6 syncfs:1,2 renameat2:1,2 renameat:1,2,3,4,5,6 write:5,40 exit_group:1,2,3 end:1; do
        for number in $(tr , ' ' <<<"${call#*:}"); do
            if without_power "${call%%:*}" "$number" rkt --dir="$WORK/data/rkt" --insecure-options=image fetch "${images[@]}"; then
                kills=$((kills + 1))
            else
                # What has been said to be there stays there.
                expect_equal 2 "$(rkt_here image list --no-legend | wc -l)" "images after ${call%%:*} number $number"
            fi
            expect_whole_store "after ${call%%:*} number $number"
            expect_status 0 rkt_here fetch "${images[0]}"
            expect_equal 0 "$(find "$WORK/data/rkt/store/tmp" -mindepth 1 | wc -l)" "left in tmp after ${call%%:*} number $number"
            umount "$WORK/data"
        done
    done
    ((kills >= 12)) || fail "only $kills of the fetches were killed"
}

case_power_is_lost_while_and_after_a_pod_is_prepared() {
    local call number uuid kills=0
    make_disk
    mount -o "$OPTIONS" "$WORK/new" "$WORK/data"
    rkt_here fetch "$IMAGES/busybox.aci" >"$WORK/id" 2>/dev/null
    umount "$WORK/data"
    for call in fsync:1,2,3 renameat:1,2 end:1; do
        for number in $(tr , ' ' <<<"${call#*:}"); do
            if without_power "${call%%:*}" "$number" rkt --dir="$WORK/data/rkt" --insecure-options=image prepare \
                "$(<"$WORK/id")" --exec=/bin/echo -- told; then
                kills=$((kills + 1))
            fi
            uuid=$(grep -xE '[0-9a-f-]{36}' "$WORK/killed" || true)
            rkt_here list >/dev/null || fail "list after ${call%%:*} number $number"
            if [[ -n $uuid ]]; then
                expect_equal prepared "$(rkt_here status "$uuid" | sed -n s/^state=//p)" 'the state'
                expect_contains "$(rkt_here run-prepared "$uuid")" told 'the output'
            else
                expect_status 0 rkt_here gc --grace-period=0s --expire-prepared=0s
                expect_equal '' "$(find "$WORK"/data/rkt/pods -mindepth 2 -maxdepth 2)" "left after ${call%%:*} number $number"
            fi
            rkt_here gc --grace-period=0s --expire-prepared=0s >/dev/null 2>&1
            umount "$WORK/data"
        done
    done
    ((kills >= 3)) || fail "only $kills were killed"
    [[ -n $uuid ]] || fail "no pod was prepared: $(<"$WORK/killed")"
}
