# shellcheck shell=bash
# systemd: any
# stage1: units
# Images from files: every kind, listing, removal, many at once. Each case has a data directory of its own.

store() { rkt --dir="$WORK/store" --insecure-options=image "$@"; }

ids() { rkt --dir="$WORK/store" image list --no-legend --full --fields=id; }

case_aci_in_every_compression_is_the_same_image() {
    local kind id first=''
    for kind in '' .gz .bz2 .xz; do
        id=$(store fetch --full "$IMAGES/busybox.aci$kind")
        expect_match "$id" '^sha512-[0-9a-f]{64}$' "the id of busybox.aci$kind"
        expect_equal "${first:=$id}" "$id" "the id of busybox.aci$kind"
    done
    expect_equal 1 "$(ids | wc -l)" 'images in the store'
}

case_id_of_an_aci_is_the_hash_of_its_tar() {
    expect_equal "sha512-$(sha512sum "$IMAGES/busybox.aci" | cut -c1-64)" "$(store fetch --full "$IMAGES/busybox.aci.xz")" id
}

case_docker_save_tar() {
    expect_match "$(store fetch "$IMAGES/busybox.docker.tar")" '^sha(256|512)-[0-9a-f]{32}$' id
    expect_contains "$(rkt --dir="$WORK/store" image list)" busybox 'the list'
}

case_oci_layout_as_a_directory_and_as_a_tar() {
    local directory tar
    directory=$(store fetch --full "$IMAGES/redis.oci")
    tar -C "$IMAGES/redis.oci" -cf "$WORK/redis.tar" .
    tar=$(store fetch --full "$WORK/redis.tar")
    expect_equal "$directory" "$tar" id
    expect_equal 1 "$(ids | sort -u | wc -l)" 'images in the store'
}

case_kind_is_told_by_content_not_by_name() {
    cp "$IMAGES/busybox.aci.gz" "$WORK/image.tar"
    store fetch "$WORK/image.tar" >/dev/null
    expect_contains "$(rkt --dir="$WORK/store" image list)" example.com/busybox 'the list'
}

case_whiteouts_are_applied() {
    # shellcheck disable=SC2034 # start_pod uses it
    APP=("$IMAGES/redis.oci" --name=redis)
    start_pod
    local share
    share=/proc/$(main_pid redis)/root/usr/share/redis
    expect_equal shown "$(ls "$share/old")" 'the opaque directory'
    [[ ! -e $share/removed ]] || fail 'a file that was whited out is there'
}

case_image_that_nobody_signed_is_refused() {
    refused sign rkt --dir="$WORK/store" fetch "$IMAGES/busybox.aci"
    expect_equal '' "$(ids)" 'images in the store'
}

case_name_of_an_image_that_nobody_signed_is_refused() {
    local id
    id=$(store fetch "$IMAGES/busybox.docker.tar")
    refused "run it by its id ${id:0:19}" rkt --dir="$WORK/store" prepare busybox
    refused 'an image of a registry is docker://nosuch:7)' rkt --dir="$WORK/store" prepare nosuch:7
    store rm "$(store prepare --quiet busybox)" >/dev/null
    store rm "$(rkt --dir="$WORK/store" prepare --quiet "${id:0:19}")" >/dev/null
}

case_listing() {
    store fetch "$IMAGES/busybox.aci" "$IMAGES/redis.oci" >/dev/null
    local list
    list=$(rkt --dir="$WORK/store" image list)
    expect_match "$(head -n1 <<<"$list")" $'^ID\t+NAME\t+SIZE\t+IMPORT TIME\t+LAST USED$' 'the titles'
    expect_equal 3 "$(wc -l <<<"$list")" 'lines of the list'
    expect_match "$list" 'sha512-[0-9a-f]{12}'$'\t+''example.com/busybox:1' 'the list'
    expect_equal 2 "$(rkt --dir="$WORK/store" image list --no-legend | wc -l)" 'lines without titles'
}

case_listing_as_json() {
    local id
    id=$(store fetch --full "$IMAGES/busybox.aci")
    expect_equal "$id" "$(rkt --dir="$WORK/store" image list --format=json | jq -r '.[0].id')" id
    expect_equal number "$(rkt --dir="$WORK/store" image list --format=json | jq -r '.[0].import_time | type')" 'type of the time'
    expect_match "$(rkt --dir="$WORK/store" image list --format=json | jq -r '.[0].name')" '^example.com/busybox:' name
    expect_equal 'id import_time last_used_time name size verification' \
        "$(rkt --dir="$WORK/store" image list --format=json-pretty | jq -r '.[0] | keys | join(" ")')" fields
    expect_equal 'checked_time detail origin verified' \
        "$(rkt --dir="$WORK/store" image list --format=json | jq -r '.[0].verification | keys | join(" ")')" 'fields of the verification'
}

case_listing_sorts() {
    store fetch "$IMAGES/busybox.aci" "$IMAGES/redis.oci" >/dev/null
    local up down
    up=$(rkt --dir="$WORK/store" image list --no-legend --full --fields=size --sort=size)
    down=$(rkt --dir="$WORK/store" image list --no-legend --full --fields=size --sort=size --order=desc)
    expect_equal "$(sort -n <<<"$up")" "$up" 'sizes upwards'
    expect_equal "$(sort -rn <<<"$up")" "$down" 'sizes downwards'
}

case_remove() {
    local id
    id=$(store fetch --full "$IMAGES/busybox.aci")
    expect_status 0 rkt --dir="$WORK/store" image rm "$id"
    expect_contains "$OUT" "successfully removed aci for image: \"$id\"" 'the output'
    expect_equal '' "$(ids)" 'images in the store'
    # What images share, gc removes.
    rkt --dir="$WORK/store" image gc
    expect_equal '' "$(find "$WORK/store" -name 'busybox' -print -quit)" 'files of the image'
}

case_remove_by_name_and_by_short_id() {
    store fetch "$IMAGES/busybox.aci" >/dev/null
    expect_status 0 rkt --dir="$WORK/store" image rm example.com/busybox
    local id
    id=$(store fetch "$IMAGES/busybox.aci")
    expect_status 0 rkt --dir="$WORK/store" image rm "${id:0:15}"
    expect_equal '' "$(ids)" 'images in the store'
}

case_remove_what_is_not_there() {
    store fetch "$IMAGES/busybox.aci" >/dev/null
    local before
    before=$(ids)
    expect_status 0 rkt --dir="$WORK/store" image rm sha512-0123456789abcdef
    expect_contains "$ERR" sha512-0123456789abcdef 'the error'
    expect_equal "$before" "$(ids)" 'images in the store'
}

case_cat_manifest() {
    local id
    id=$(store fetch "$IMAGES/busybox.aci")
    expect_equal example.com/busybox "$(rkt --dir="$WORK/store" image cat-manifest "$id" | jq -r .name)" name
    expect_equal 1 "$(rkt --dir="$WORK/store" image cat-manifest --pretty-print=false "$id" | wc -l)" lines
}

case_gc_removes_what_was_not_used() {
    store fetch "$IMAGES/busybox.aci" >/dev/null
    expect_status 0 rkt --dir="$WORK/store" image gc
    expect_equal 1 "$(ids | wc -l)" 'images used lately'
    expect_status 0 rkt --dir="$WORK/store" image gc --grace-period=0s
    expect_equal '' "$(ids)" 'images in the store'
}

case_gc_keeps_what_a_pod_uses() {
    app one "$LIVES"
    start_pod
    wait_for_line ready
    rkt image gc --grace-period=0s 2>/dev/null
    rkt image list --full --no-legend | grep -q "$(busybox)" || fail 'gc took the image of a running pod'
    expect_equal busybox "$(in_app one /bin/sh -c 'ls /bin/busybox' | xargs basename)" 'a program of the app'
}

case_twenty_fetches_at_once_are_one_image() {
    local number runners=()
    for number in {1..20}; do
        store fetch --full "$IMAGES/busybox.aci.gz" >"$WORK/id.$number" 2>/dev/null &
        runners+=($!)
    done
    for number in "${runners[@]}"; do wait "$number" || fail 'a fetch failed'; done
    expect_equal 1 "$(sort -u "$WORK"/id.* | wc -l)" 'different ids'
    expect_equal 1 "$(ids | wc -l)" 'images in the store'
}

case_fetch_prints_only_ids_on_standard_output() {
    expect_status 0 store fetch "$IMAGES/busybox.aci" "$IMAGES/redis.oci"
    expect_equal 2 "$(grep -cE '^sha(256|512)-[0-9a-f]{32}$' <<<"$OUT")" 'ids'
    expect_equal 2 "$(wc -l <<<"$OUT")" 'lines'
}

# Killed at the Nth call of each kind that changes the store.
case_fetch_killed_at_any_moment_leaves_a_store_that_works() {
    local call number
    for call in openat2 mkdirat write fsync syncfs renameat2 renameat unlinkat fchmod; do
        for number in 1 2 4; do
            rm -f "$WORK/killed"
            strace --follow-forks --quiet=all --output=/dev/null --trace="$call" \
                --inject="$call:signal=KILL:when=$number" \
                rkt --dir="$WORK/store" --insecure-options=image fetch "$IMAGES/redis.oci" >/dev/null 2>&1 &
            wait $! 2>/dev/null || true
            store image list >/dev/null || fail "the store is not readable after $call number $number"
            ids | while read -r id; do
                store image cat-manifest "$id" >/dev/null || fail "half an image after $call number $number"
            done
        done
    done
    store fetch "$IMAGES/redis.oci" >/dev/null
    expect_equal 1 "$(ids | wc -l)" 'images in the store'
    store image gc --grace-period=0s >/dev/null 2>&1
    expect_equal '' "$(cd "$WORK/store" && find . \( -name 'redis-server' -o -path './store/tmp/*' \) -print -quit)" \
        'files that are left'
}
