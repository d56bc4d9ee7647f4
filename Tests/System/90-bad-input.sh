# shellcheck shell=bash
# stage1: units
# What cannot be done is refused: one clear line, status 254, and nothing changes.

# Nothing may change: neither pods nor images.
everything() { find "$DATA" -mindepth 2 -maxdepth 3 -not -path '*/tmp*' | sort; }

case_images_that_are_none() {
    local before
    before=$(everything)
    refused /nowhere RKT fetch /nowhere
    echo 'no image' >"$WORK/text"
    refused "$WORK/text" RKT fetch "$WORK/text"
    : >"$WORK/empty"
    refused "$WORK/empty" RKT fetch "$WORK/empty"
    mkdir "$WORK/directory"
    refused "$WORK/directory" RKT fetch "$WORK/directory"
    mkfifo "$WORK/pipe"
    refused "$WORK/pipe" timeout 10 rkt --insecure-options=image fetch "$WORK/pipe"
    refused /dev/zero timeout 20 rkt --insecure-options=image fetch /dev/zero
    expect_equal "$before" "$(everything)" 'pods and images'
}

case_truncated_images() {
    local image size
    for image in busybox.aci busybox.aci.gz busybox.aci.bz2 busybox.aci.xz busybox.docker.tar redis-client.oci.tar; do
        size=$(stat -c %s "$IMAGES/$image")
        for part in 3 2; do
            head -c $((size * (part - 1) / part)) "$IMAGES/$image" >"$WORK/$image"
            refused "$image" rkt --dir="$WORK/store" --insecure-options=image fetch "$WORK/$image"
        done
    done
    expect_equal '' "$(rkt --dir="$WORK/store" image list --no-legend)" 'images in the store'
    expect_equal '' "$(find "$WORK/store" -name busybox -print -quit)" 'files of images'
}

case_corrupted_layer() {
    cp -a "$IMAGES/redis.oci" "$WORK/redis.oci"
    local blob
    blob=$(find "$WORK/redis.oci/blobs" -type f -size +100k | head -n1)
    printf 'X' | dd of="$blob" bs=1 seek=5000 conv=notrunc 2>/dev/null
    refused "${blob##*/}" rkt --dir="$WORK/store" --insecure-options=image fetch "$WORK/redis.oci"
    expect_contains "$ERR" 'has the digest' 'the error'
    expect_equal '' "$(rkt --dir="$WORK/store" image list --no-legend)" 'images in the store'
}

case_corrupted_manifest() {
    cp -a "$IMAGES/redis.oci" "$WORK/redis.oci"
    local digest
    digest=$(jq -r '.manifests[0].digest' "$WORK/redis.oci/index.json")
    printf ' ' >>"$WORK/redis.oci/blobs/sha256/${digest#sha256:}"
    refused "${digest#sha256:}" rkt --dir="$WORK/store" --insecure-options=image fetch "$WORK/redis.oci"
}

case_missing_blob() {
    cp -a "$IMAGES/redis.oci" "$WORK/redis.oci"
    rm "$(find "$WORK/redis.oci/blobs" -type f -size +100k | head -n1)"
    refused redis.oci rkt --dir="$WORK/store" --insecure-options=image fetch "$WORK/redis.oci"
}

case_digest_that_is_a_path() {
    cp -a "$IMAGES/redis.oci" "$WORK/redis.oci"
    jq '.manifests[0].digest = "sha256:../../../../etc/passwd"' "$IMAGES/redis.oci/index.json" >"$WORK/redis.oci/index.json"
    refused digest rkt --dir="$WORK/store" --insecure-options=image fetch "$WORK/redis.oci"
}

case_unknown_and_malformed_flags() {
    local before id
    before=$(everything)
    id=$(busybox)
    refused --nonsense RKT run --nonsense "$id"
    refused --nonsense rkt list --nonsense
    refused nonsense rkt nonsense
    refused volume RKT run --net=nonsense-volume "$id" 2>/dev/null || refused net RKT run --net=nonsense "$id"
    refused journal RKT run --journal=nowhere "$id"
    refused stage1 RKT run --stage1-name=nonsense "$id"
    refused policy RKT run --pull-policy=sometimes "$id"
    refused environment RKT run "$id" --environment=NOVALUE
    refused set-env RKT run --set-env=NOVALUE "$id"
    refused name RKT run "$id" --name='not a name'
    refused name RKT run "$id" --name="$(printf 'x%.0s' {1..300})"
    refused oom RKT run "$id" --oom-score-adj=1001
    refused '"CAP_NOTHING" is no capability' RKT run "$id" --caps-retain=CAP_NOTHING
    refused caps RKT run "$id" --caps-retain=CAP_KILL --caps-remove=CAP_CHOWN
    refused gids RKT run "$id" --supplementary-gids=a
    refused hostname RKT run --hostname="$(printf 'x%.0s' {1..100})" "$id"
    refused insecure rkt --insecure-options=nonsense run "$id"
    refused 'must follow an image' RKT run --exec=/bin/true "$id"
    refused 'at least one image' RKT run
    refused 'before any app arguments' RKT run -- a
    refused 'only one set of app arguments' RKT run "$id" -- a --- -- b
    refused 'multiple apps with name' RKT run "$id" --name=a "$id" --name=a
    refused grace rkt gc --grace-period=soon
    refused format rkt list --format=yaml
    refused wait rkt status --wait=soon 00000000
    refused dir rkt --dir= list
    expect_equal "$before" "$(everything)" 'pods and images'
}

case_what_is_not_utf8_is_refused_by_name() {
    local before id bad=$'x\xff' shown='x\xff' flag
    before=$(everything)
    id=$(busybox)
    for flag in --environment=A= --environment= --exec= --working-dir=/ --user= --name=; do
        refused "argument 4, \"$flag$shown" RKT run "$id" "$flag$bad"
        refused "argument 4, \"$flag$shown" RKT prepare "$id" "$flag$bad"
    done
    refused "argument 3, \"--hostname=$shown\", is not UTF-8" RKT run --hostname="$bad" "$id"
    refused "argument 3, \"--set-env=A=$shown\", is not UTF-8" RKT run --set-env="A=$bad" "$id"
    refused "argument 6, \"$shown\", is not UTF-8" RKT run "$id" -- a "$bad"
    refused "argument 2, \"$shown\", is not UTF-8" rkt status "$bad"
    printf 'A=1\nB=%s\n' "$bad" >"$WORK/environment"
    refused "$WORK/environment is not UTF-8" RKT run --set-env-file="$WORK/environment" "$id"
    refused 'environment variable "BAD" is not UTF-8' env BAD="$bad" rkt --insecure-options=image run --inherit-env "$id"
    refused "environment variable \"$shown\" is not UTF-8" \
        env "$bad=1" rkt --insecure-options=image prepare --inherit-env "$id"
    expect_equal "$before" "$(everything)" 'pods and images'
    # Who does not ask for the environment may have what it likes in it.
    app one true
    BAD=$bad expect_status 0 run_pod
}

case_files_of_flags_that_are_not_there() {
    refused /nowhere RKT run --set-env-file=/nowhere "$(busybox)"
    refused /nowhere rkt stop --uuid-file=/nowhere || expect_status 1 rkt stop --uuid-file=/nowhere
    refused nowhere RKT run --uuid-file-save=/nowhere/uuid "$(busybox)"
}

case_uuids() {
    local command text end
    for command in status stop rm cat-manifest logs run-prepared; do
        # Where several may be named, a line that counts those that failed follows.
        case $command in
            stop) end=$'\nstop: failed to stop 1 pod(s)' ;;
            rm) end=$'\nrm: failed to remove one or more pods' ;;
            *) end='' ;;
        esac
        for text in ffffffff ../../etc; do
            expect_status 254 rkt "$command" "$text"
            expect_equal "$command: unable to resolve UUID: no matches found for \"$text\"$end" "$ERR" 'the error'
            expect_equal '' "$OUT" 'standard output'
        done
        expect_status 254 rkt "$command" ''
        expect_equal "$command: unable to resolve UUID: UUID cannot be empty$end" "$ERR" 'the error'
        expect_status 254 rkt "$command"
        expect_match "$ERR" "^$command: [^"$'\n'"]*(UUID|uuid)[^"$'\n'"]*$" 'the error'
    done
}

case_ambiguous_prefix() {
    app one true
    local first second number
    declare -A seen=()
    expect_equal '' "$(rkt list --no-legend)" 'pods before'
    # Two of seventeen begin with the same digit.
    for number in {1..17}; do
        first=$(RKT prepare "${APP[@]}")
        second=${first:0:1}
        [[ ! -v seen[$second] ]] || break
        seen[$second]=$number
    done
    refused 'ambiguous uuid, 2 matches' rkt status "$second"
}

case_apps_that_cannot_start() {
    app one true --user=nosuch
    refused nosuch run_pod
    APP=()
    app one true --group=nosuch
    refused nosuch run_pod
    APP=()
    app one true --user=/nowhere
    refused nowhere run_pod
    expect_equal '' "$(rkt list --no-legend)" 'pods'
}

case_missing_runtime() {
    app one true
    mount --bind /dev/null /usr/bin/crun
    local status=0
    run_pod >"$WORK/output" 2>"$WORK/errors" || status=$?
    umount /usr/bin/crun
    expect_equal 254 "$status" status
    expect_contains "$(<"$WORK/errors")" crun 'the error'
}

case_missing_pod_init() {
    app one true
    local init status=0
    init=$(readlink -f "$(dirname "$(command -v rkt)")/../lib/rkt/pod-init")
    mount --bind /dev/null "$init"
    run_pod >"$WORK/output" 2>"$WORK/errors" || status=$?
    umount "$init"
    expect_equal 254 "$status" status
    expect_contains "$(<"$WORK/errors")" pod-init 'the error'
}

case_missing_bus_and_systemd() {
    # In namespaces where neither answers.
    app one true
    local words
    words=$(printf '%q ' rkt --insecure-options=image run --net=none "${APP[@]}")
    expect_status 254 timeout 60 unshare --mount sh -c "mount -t tmpfs none /run && exec $words"
    expect_match "$ERR" 'systemd|bus' 'the error'
    expect_equal 1 "$(wc -l <<<"$ERR")" 'lines of the error'
    expect_equal '' "$(rkt list --no-legend)" 'the list'
}

case_not_root() {
    local words=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    local id command
    id=$(busybox)
    refused 'cannot run as unprivileged user' "${words[@]}" rkt --insecure-options=image run "$id"
    refused 'cannot run as unprivileged user' "${words[@]}" rkt --insecure-options=image prepare "$id"
    refused 'cannot run as unprivileged user' "${words[@]}" rkt gc
    refused 'cannot run as unprivileged user' "${words[@]}" rkt rm ffffffff
    refused 'cannot run as unprivileged user' "${words[@]}" rkt run-prepared ffffffff
    expect_status 254 "${words[@]}" rkt --insecure-options=image fetch "$IMAGES/busybox.aci"
    expect_status 0 "${words[@]}" rkt version
}

case_group_rkt_may_look() {
    getent group rkt >/dev/null || skip 'there is no group rkt'
    app one "$LIVES"
    start_pod
    local words=(setpriv --reuid=65534 --regid=65534 "--groups=$(getent group rkt | cut -d: -f3)")
    expect_status 0 "${words[@]}" rkt list
    expect_contains "$OUT" running 'the list'
    expect_status 0 "${words[@]}" rkt status "$UUID"
    expect_contains "$OUT" 'state=running' status
    expect_status 0 "${words[@]}" rkt image list
    expect_contains "$OUT" busybox 'the images'
    expect_status 254 "${words[@]}" rkt rm "$UUID"
}

case_full_disk() {
    mkdir "$WORK/small"
    mount -t tmpfs -o size=3M none "$WORK/small"
    local status=0
    rkt --dir="$WORK/small/rkt" --insecure-options=image fetch "$IMAGES/redis.oci" >"$WORK/output" 2>"$WORK/errors" || status=$?
    local used list
    list=$(rkt --dir="$WORK/small/rkt" image list --no-legend)
    rkt --dir="$WORK/small/rkt" image gc --grace-period=0s >/dev/null 2>&1 || true
    used=$(du -sk "$WORK/small" | cut -f1)
    umount "$WORK/small"
    expect_equal 254 "$status" status
    expect_match "$(<"$WORK/errors")" 'o space left|is full' 'the error'
    expect_equal '' "$list" 'images in the store'
    ((used < 200)) || fail "$used kB are left"
}

case_read_only_data_directory() {
    mkdir "$WORK/ro"
    mount -t tmpfs -o ro none "$WORK/ro"
    local status=0
    rkt --dir="$WORK/ro/rkt" --insecure-options=image fetch "$IMAGES/busybox.aci" >"$WORK/output" 2>"$WORK/errors" || status=$?
    umount "$WORK/ro"
    expect_equal 254 "$status" status
    expect_match "$(<"$WORK/errors")" "ead-only" 'the error'
}

case_standard_output_that_is_closed() {
    app one 'seq 1 100'
    local status=0
    rkt --insecure-options=image run --net=none "${APP[@]}" 2>"$WORK/errors" >/dev/full || status=$?
    expect_equal 254 "$status" status
}

case_pod_directory_that_is_damaged() {
    app one true
    start_pod
    wait_for_end
    echo '{' >"$DATA/pods/run/$UUID/pod"
    APP=()
    app two true
    start_pod --uuid-file-save="$WORK/uuid"
    wait_for_end
    # One broken pod must not blind the user.
    expect_status 0 rkt list
    expect_contains "$OUT" two 'the list'
}

case_damaged_unit_files_of_a_pod() {
    local file damage
    for damage in 'truncate -s 0' 'truncate -s 100' 'truncate -s 1M' 'sed -i s/^/-/' 'sed -i s,systemd/system,../x,'; do
        UUID=$(RKT prepare "$(busybox)" --exec=/bin/true)
        file=$DATA/pods/prepared/$UUID/host-files
        $damage "$file"
        refused 'host-files is damaged: remove the pod and prepare it again' rkt run-prepared "$UUID"
        expect_status 1 systemctl start "pod@$UUID"
        expect_contains "$(journalctl --unit="pod@$UUID" --output=cat)" 'host-files is damaged' "the log after $damage"
        expect_equal '' "$(find /run/systemd/system -name "*$UUID*")" 'unit files'
        expect_status 0 rkt rm "$UUID"
        expect_equal '' "$(leftovers)" "left behind after $damage"
    done
}

case_temporary_pod_of_another_boot() {
    app one 'exit 3'
    UUID=$(RKT prepare "${APP[@]}")
    cat /proc/sys/kernel/random/uuid >"$DATA/pods/prepared/$UUID/temporary"
    expect_status 1 systemctl start "pod@$UUID"
    expect_contains "$(journalctl --unit="pod@$UUID" --output=cat)" 'was temporary and the machine has been down since' 'the log'
    expect_status 0 rkt gc
    expect_equal '' "$(leftovers)" 'left behind'
}
