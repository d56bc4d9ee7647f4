# shellcheck shell=bash
# systemd: any
# stage1: units
# What the store promises: work that is shared, room that is freed, and members of the group rkt whom nobody has to trust.

rkt_here() { rkt --dir="$WORK/data" --insecure-options=http,image "$@"; }

# member COMMAND...: as a user in the group rkt, and in no other.
member() { setpriv --reuid=12345 --regid=12345 --groups="$(getent group rkt | cut -d: -f3)" "$@"; }

# A registry with an image.
serve() {
    serve_registry registry 5000
    skopeo copy --quiet --dest-tls-verify=false "oci:$IMAGES/redis.oci" docker://localhost:5000/redis
}

# A store as `make install` makes it, with the group's directories, where members can get at it; sets PLACE.
group_store() {
    getent group rkt >/dev/null || systemd-sysusers /usr/local/lib/sysusers.d/rkt.conf
    # Not in the case's own directory, which is root's alone.
    PLACE=$(mktemp -d /var/tmp/rkt-test.XXXXXX)
    chmod 755 "$PLACE"
    sed "s|/var/lib/rkt|$PLACE/data|; /\/run\//d" /usr/local/lib/tmpfiles.d/rkt.conf >"$WORK/rkt.conf"
    systemd-tmpfiles --create "$WORK/rkt.conf"
}

# rkt by a member, and by root, in that store.
members_rkt() { member rkt --dir="$PLACE/data" "$@"; }
roots_rkt() { rkt --dir="$PLACE/data" "$@"; }

case_fetches_of_the_same_image_share_the_work() {
    serve
    local number since digest runners=()
    since=$(date +%s)
    for number in 1 2 3; do
        rkt_here fetch --full docker://localhost:5000/redis >"$WORK/id.$number" 2>"$WORK/errors.$number" &
        runners+=($!)
    done
    for number in "${runners[@]}"; do wait "$number" || fail 'a fetch failed'; done
    expect_equal 1 "$(sort -u "$WORK"/id.? | wc -l)" 'different ids'
    journalctl --sync
    journalctl --unit=rkt-test-registry --since="@$since" --output=cat | grep -o 'GET /v2/redis/blobs/[^ ]*' >"$WORK/requests"
    for digest in $(jq -r '.layers[].digest' "$WORK/data/store/blobs/sha256/$(sed 's/sha256-//' "$WORK/id.1")"); do
        expect_equal 1 "$(grep -c "$digest" "$WORK/requests")" "requests for $digest"
    done
}

case_collecting_disturbs_no_fetch() {
    local fetch number=0
    rkt_here fetch "$IMAGES/busybox.aci" >/dev/null
    rkt_here fetch "$IMAGES/redis.oci" "$IMAGES/nginx.oci" >/dev/null 2>&1 &
    fetch=$!
    while kill -0 "$fetch" 2>/dev/null; do
        expect_status 0 rkt_here image gc
        number=$((number + 1))
    done
    wait "$fetch" || fail "the fetch failed while $number collections went on"
    ((number > 0)) || fail 'no collection ran while images were fetched'
    expect_equal 3 "$(rkt_here image list --no-legend | wc -l)" 'images'
    expect_status 0 rkt_here run --net=none "$(rkt_here image list --no-legend --full --fields=id,name | awk '/redis/ { print $1 }')" \
        --exec=/usr/bin/redis-server -- --version
    rkt_here gc --grace-period=0s >/dev/null 2>&1
}

case_removing_frees_all_but_what_pods_use() {
    local image id uuid left
    # The files of both kinds of image are called after different digests.
    for image in redis.oci busybox.aci; do
        id=$(rkt_here fetch --full "$IMAGES/$image")
        uuid=$(rkt_here prepare "$id")
        expect_status 0 rkt_here image rm "$id"
        expect_equal '' "$(rkt_here image list --no-legend)" 'images'
        expect_status 0 rkt_here image gc --grace-period=0s
        left=$(find "$WORK/data/store/layers" -name "${image%.*}*" -print -quit)
        [[ -n $left ]] || fail "the layer of a pod of $image is gone"
        expect_status 0 rkt_here rm "$uuid"
        expect_status 0 rkt_here image gc
        expect_match "$ERR" '[0-9.]+[KM]iB freed' 'what gc says'
        expect_equal '' "$(find "$WORK/data/store" -type f -size +0)" 'files that are left'
        # Without a pod, rm frees everything itself.
        rkt_here fetch "$IMAGES/$image" >/dev/null
        expect_status 0 rkt_here image rm "$id"
        expect_equal '' "$(find "$WORK/data/store" -type f -size +0)" 'files that rm has left'
    done
}

case_members_fetch_list_and_read() {
    group_store
    serve
    local id
    id=$(members_rkt --insecure-options=http,image fetch --full docker://localhost:5000/redis) || fail 'a member cannot fetch'
    expect_contains "$(members_rkt image list --no-legend --full)" "$id" "a member's list"
    expect_equal 2 "$(members_rkt image cat-manifest "$id" | jq .schemaVersion)" 'of the manifest'
    expect_contains "$(roots_rkt image list --no-legend --full)" "$id" "root's list"
    expect_status 254 members_rkt image gc
    # Where it came from, a member cannot say; by its id it becomes root's, every digest verified again.
    systemctl stop rkt-test-registry
    refused localhost:5000 roots_rkt --insecure-options=http,image run --net=none docker://localhost:5000/redis
    refused 'whole id' roots_rkt run --net=none "${id:0:30}"
    expect_match "$(roots_rkt run --net=none "$id" --exec=/usr/bin/redis-server -- --version)" 'Redis server v=' 'the app'
    expect_equal root "$(stat --format=%U "$PLACE/data/store/images/$id.json")" "the record's owner"
    # And a member cannot change or remove it then.
    expect_status 254 members_rkt image rm "$id"
    # shellcheck disable=SC2016 # the member's shell
    expect_equal '' "$(member sh -c 'cd "$1" && for file in blobs/sha256/* images/*; do
        if mv -f "$file" tmp/x || echo >>"$file"; then echo "$file"; fi; done' sh "$PLACE/data/store" 2>/dev/null)" \
        'what a member could change'
    roots_rkt gc --grace-period=0s >/dev/null 2>&1
    rm -rf "$PLACE"
}

case_what_members_forge_is_refused() {
    group_store
    cp -r "$IMAGES/redis.oci" "$PLACE"
    local id layer store=$PLACE/data/store blob
    id=$(members_rkt --insecure-options=image fetch --full "$PLACE/redis.oci") || fail 'a member cannot fetch'
    # A record that says all is well, and that the image is another one's.
    # shellcheck disable=SC2016 # the member's shell
    member sh -c 'jq ".verification = {isVerified: true, detail: \"x\"} | .names = [\"nginx\"] | .owner = 0 |
        .sources = [{reference: \"docker.io/library/nginx:latest\", isVerified: true}]" "$1" >"$1.new" &&
        mv -f "$1.new" "$1"' sh "$store/images/$id.json"
    refused nginx roots_rkt run --net=none --pull-policy=never docker://nginx
    refused 'whole id' roots_rkt run --net=none "${id:0:30}"
    # A blob with other content, or what never ends.
    layer=$(jq -r '.layers[-1].digest | sub("sha256:"; "")' "$store/blobs/sha256/${id#sha256-}")
    blob=$store/blobs/sha256/$layer
    printf evil | dd of="$blob" conv=notrunc bs=1 seek=20 status=none
    refused "$layer" roots_rkt run --net=none "$id"
    rm "$blob"
    member mkfifo "$blob"
    refused "$layer" roots_rkt run --net=none "$id"
    expect_equal '' "$(ls "$store/layers")" 'layers'
    rm -rf "$PLACE"
}

case_members_look_at_pods_and_hold_none() {
    group_store
    local id pod name waiter
    id=$(roots_rkt --insecure-options=image fetch --full "$IMAGES/busybox.aci")
    UUID=$(roots_rkt run --detach --net=none "$id" --name=one --exec=/bin/sh -- -c "$LIVES")
    wait_for_line ready
    pod=$PLACE/data/pods/run/$UUID
    expect_match "$(members_rkt list --no-legend --full)" "^$UUID.*running" "a member's list"
    expect_contains "$(members_rkt status "$UUID")" state=running 'what a member is told'
    # Each of these is locked at some time; whoever can open it could do that too.
    for name in lock status; do
        expect_status 66 member flock --nonblock "$pod/$name" true
    done
    # The bus lets in only whom it finds among the accounts.
    setpriv --reuid=nobody --regid=nogroup --groups="$(getent group rkt | cut -d: -f3)" \
        rkt --dir="$PLACE/data" status --wait=60s "$UUID" >"$WORK/waited" &
    waiter=$!
    expect_status 0 roots_rkt stop "$UUID"
    wait "$waiter" || fail 'a member cannot wait'
    expect_contains "$(<"$WORK/waited")" state=exited 'what a member has waited for'
    expect_contains "$(<"$WORK/waited")" app-one=0 'the status of the app'
    expect_status 0 roots_rkt rm "$UUID"
    rm -rf "$PLACE"
}
