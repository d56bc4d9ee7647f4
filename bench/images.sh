#!/usr/bin/env bash
# Measures the fetching of images in the machine it is in, which must have rkt, podman and a registry, and be expendable.
# Called by run.sh, with the images of make_images.sh in /var/lib/bench.
set -euo pipefail

PAIRS=$1
SAMPLES=/root/samples-images
# All of it is on one plain file system.
PLACE=/var/lib/bench
REGISTRY=localhost:5000
# How long SHA-512 of the archive took where the original rkt's import of it took 671 ms (one core, 690 MB/s).
THEN_SHA512=152 THEN_IMPORT=671

main() {
    : >"$SAMPLES"
    prepare
    archives
    registry
    report
    rm -rf "$PLACE"
}

# First and by itself, as the original was measured: what writes gigabytes before leaves a machine whose memory its host
# has still to find, which no hash could tell.
archives() {
    local round
    for ((round = 0; round <= 3 * PAIRS; round++)); do
        ROUND=$PLACE/$round
        mkdir "$ROUND"
        echo "measuring archives, round $round of $((3 * PAIRS))" >&2
        sample "$round" rkt_archive rkt_archive_again tar_and_sum sum
        rm -rf "$ROUND"
    done
}

# Nothing is removed before the end: file systems remember for a while what was.
registry() {
    local round
    for ((round = 0; round <= PAIRS; round++)); do
        # Each in directories of its own; what is compared stands side by side.
        ROUND=$PLACE/$round
        mkdir "$ROUND"
        echo "measuring images, round $round of $PAIRS" >&2
        sample "$round" rkt_fetch podman_pull floor skopeo_copy
        # They are short, and the host's mood changes.
        for _ in 1 2 3 4; do sample "$round" rkt_again podman_again; done
        sample "$round" rkt_third_layer podman_third_layer rkt_third_alone
        if ((round > 0 && round <= 3)); then memory; fi
    done
}

prepare() {
    local image
    printf '%s\n' 'version: 0.1' "storage: {filesystem: {rootdirectory: $PLACE/registry}}" 'http: {addr: 127.0.0.1:5000}' \
        'log: {level: error}' >"$PLACE/registry.yml"
    systemd-run --quiet --collect --unit=bench-registry docker-registry serve "$PLACE/registry.yml"
    until (exec 3<>/dev/tcp/127.0.0.1/5000) 2>/dev/null; do sleep 0.1; done
    for image in one two third; do
        skopeo copy --quiet --dest-tls-verify=false "oci:$PLACE/$image" "docker://$REGISTRY/$image:1"
    done
    # An archive of what cannot be compressed, as large as the one that the original was measured with.
    mkdir -p "$PLACE/aci/rootfs"
    head -c 104857600 /dev/urandom >"$PLACE/aci/rootfs/data"
    printf '{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/data","labels":[
        {"name":"os","value":"linux"},{"name":"arch","value":"amd64"}]}' >"$PLACE/aci/manifest"
    tar -C "$PLACE/aci" -cf "$PLACE/data.aci" manifest rootfs
    for image in "$PLACE"/layers/*.gz; do
        echo "layer ${image##*/}: $(($(stat -c %s "$image") / 1000000)) MB," \
            "$(($(gzip -dc "$image" | wc -c) / 1000000)) MB unpacked, $(tar -tzf "$image" | wc -l) entries"
    done
}

# --- what is timed

fetch() { rkt --dir="$ROUND/$1" --insecure-options=http,image fetch --quiet "${@:3}" "docker://$REGISTRY/$2:1"; }
pull() {
    podman --root="$ROUND/podman" --runroot=/run/bench --storage-driver=overlay pull --quiet --tls-verify=false \
        "docker://$REGISTRY/$1:1"
}

rkt_fetch() { fetch rkt one; }
podman_pull() { pull one; }
rkt_again() { fetch rkt one --pull-policy=update; }
podman_again() { pull one; }
rkt_third_layer() { fetch rkt two; }
podman_third_layer() { pull two; }
rkt_third_alone() { fetch third third; }
skopeo_copy() { skopeo copy --quiet --src-tls-verify=false "docker://$REGISTRY/one:1" "dir:$ROUND/skopeo"; }
rkt_archive() { rkt --dir="$ROUND/archive" --insecure-options=image fetch --quiet "$PLACE/data.aci"; }
rkt_archive_again() { rkt_archive; }
sum() { sha512sum "$PLACE/data.aci"; }

tar_and_sum() {
    mkdir "$ROUND/tar"
    tar -C "$ROUND/tar" -xf "$PLACE/data.aci"
    sha512sum "$PLACE/data.aci"
}

# What cannot be done without: inflating with isa-l and making the files, all layers at once, until it is on the disk.
floor() {
    local layer
    for layer in 1 2 3; do
        mkdir -p "$ROUND/floor/$layer"
        igzip -dc "$PLACE/layers/$layer.gz" | tar -C "$ROUND/floor/$layer" -x &
    done
    wait
    sync -f "$ROUND/floor"
}

# --- taking samples

# sample ROUND FUNCTION...: time, and all CPU time in the machine, so the registry's too. The first round warms up.
sample() {
    local round=$1 function cpu start end
    shift
    for function; do
        sync
        cpu=$(cpu_time)
        start=${EPOCHREALTIME/./}
        "$function" >/root/out 2>&1 || {
            # What comes after it would not be what it is called.
            echo "$function failed: $(tail -n 1 /root/out)" >&2
            return 0
        }
        end=${EPOCHREALTIME/./}
        cpu=$(($(cpu_time) - cpu))
        ((round < 1)) || echo "$function $((end - start)) $cpu" >>"$SAMPLES"
    done
}

# Microseconds of the whole machine.
cpu_time() { awk '$1 == "usage_usec" { print $2 }' /sys/fs/cgroup/cpu.stat; }

# The most memory of all processes of a command, in kB (PSS, looked at again and again), in runs that are not timed.
memory() {
    ROUND=$ROUND/memory
    mkdir "$ROUND"
    echo "rkt_memory $(most_memory rkt_fetch)" >>"$SAMPLES"
    echo "podman_memory $(most_memory podman_pull)" >>"$SAMPLES"
    ROUND=${ROUND%/*}
}

most_memory() {
    local command most=0 sum
    "$1" >/dev/null 2>&1 &
    command=$!
    while kill -0 "$command" 2>/dev/null; do
        sum=$(descendants "$command" | while read -r pid; do cat "/proc/$pid/smaps_rollup" 2>/dev/null; done |
            awk '/^Pss:/ { sum += $2 } END { print sum + 0 }')
        if ((sum > most)); then most=$sum; fi
        sleep 0.02
    done
    wait "$command" || true
    echo "$most"
}

# The processes below a process.
descendants() {
    local children child
    read -r -a children < <(cat /proc/"$1"/task/*/children 2>/dev/null | tr '\n' ' ') || true
    for child in "${children[@]}"; do
        echo "$child"
        descendants "$child"
    done
}

# --- the report

report() {
    echo
    printf '%-52s %8s %8s %6s %6s  %9s\n' 'images, medians in ms' rkt other ratio target 'CPU ratio'
    compare rkt_fetch podman_pull 0.5 'fetch, unpacked and on the disk : podman pull'
    compare rkt_fetch floor '' 'the same : igzip and tar of the layers, and sync'
    compare rkt_fetch skopeo_copy '' 'the same : skopeo copy, not unpacked, not synced'
    compare rkt_again podman_again 0.5 'the same image again : podman pull'
    compare rkt_third_layer podman_third_layer 0.5 'one that shares two of three layers : podman pull'
    compare rkt_third_layer rkt_third_alone 1.1 'the same : an image of the third layer alone'
    compare rkt_archive tar_and_sum '' 'ACI of 100 MB from a file : tar -x, sha512sum'
    compare rkt_archive_again rkt_archive '' 'the same ACI again : the first time'
    then_report
    memory_report
}

# The original's import, as long as it would take here: SHA-512 is most of it.
then_report() {
    awk -v a="$(median rkt_archive 2)" -v sum="$(median sum 2)" -v then="$THEN_IMPORT" -v then_sum="$THEN_SHA512" 'BEGIN {
        b = then * sum / then_sum
        printf "%-52s %8.1f %8.1f %6.2f %6s  %9s  %s\n", "the same : rkt 1, 671 ms scaled by sha512sum", a, b, b ? a / b : 0,
            0.5, "", !a || !b ? "failed" : a <= b / 2 ? "met" : "over"
    }'
}

memory_report() {
    awk -v a="$(median rkt_memory 2)" -v b="$(median podman_memory 2)" 'BEGIN {
        printf "%-52s %8.1f %8.1f %6.2f %6s  %9s  %s\n", "most memory while fetching, MB (PSS) : podman", a, b, b ? a / b : 0, 1, "",
            !a || !b ? "failed" : a <= b ? "met" : "over"
    }'
}

# compare A B TARGET TEXT: a line of the table.
compare() {
    awk -v a="$(median "$1" 2)" -v b="$(median "$2" 2)" -v x="$(median "$1" 3)" -v y="$(median "$2" 3)" -v target="$3" \
        -v text="$4" 'BEGIN {
        printf "%-52s %8.1f %8.1f %6.2f %6s  %9.2f  %s\n", text, a, b, b ? a / b : 0, target, y ? x / y : 0,
            !a || !b ? "failed" : target == "" ? "" : a <= target * b ? "met" : "over"
    }'
}

# median FUNCTION COLUMN: in thousands.
median() {
    awk -v name="$1" -v column="$2" '$1 == name { print $column / 1000 }' "$SAMPLES" | sort -n |
        awk '{ value[NR] = $1 } END { print NR ? (value[int((NR + 1) / 2)] + value[int(NR / 2) + 1]) / 2 : 0 }'
}

main
