# shellcheck shell=bash
# systemd: any
# stage1: units
# What is done with images that are in the store: written out, unpacked, checked and put right. Each case has a data
# directory of its own.

rkt_here() { rkt --dir="$WORK/data" "$@"; }

fetch_here() { rkt_here --insecure-options=image fetch --quiet --full "$@"; }

# fetch_there FILE: the id that a file has when it is fetched into another store.
fetch_there() { rkt --dir="$WORK/there" --insecure-options=image fetch --quiet --full "$1"; }

# listing DIRECTORY: all that tells a tree from another, but for the time of its root, which archives need not have.
listing() (
    cd "$1" || exit
    find . -printf '%p|%y|%m|%U:%G|%l|%n|%T@|' \( -type f -printf '%s' -o -true \) -printf '\n' | sed 's/^\(\.|.*\)|.*|/\1|/' | sort
    find . -type f -exec sha256sum {} + | sort -k2
    getfattr --recursive --no-dereference --dump --match='^(user|security\.capability|system\.posix)' . | sort
)

case_exported_images_are_the_same_when_they_come_back() {
    local image id
    for image in redis.oci busybox.docker.tar busybox.aci.xz redis-client.oci.tar; do
        id=$(fetch_here "$IMAGES/$image")
        rkt_here image export "$id" "$WORK/$image.out"
        expect_equal "$id" "$(fetch_there "$WORK/$image.out")" "the id of $image"
    done
    expect_equal "$(sha256sum <"$IMAGES/busybox.aci")" "$(sha256sum <"$WORK/busybox.aci.xz.out")" 'the ACI'
    rkt_here image export redis "$WORK/layout/"
    expect_equal "$(fetch_there "$WORK/layout")" "$(fetch_there "$WORK/redis.oci.out")" 'the id of the layout'
    rkt_here image export redis - | cmp - "$WORK/redis.oci.out"
    # Others read it too.
    expect_equal "$(skopeo inspect "oci:$IMAGES/redis.oci" | jq -c '[.Digest, .Layers]')" \
        "$(skopeo inspect "oci-archive:$WORK/redis.oci.out" | jq -c '[.Digest, .Layers]')" "skopeo's view"
    skopeo copy --quiet "oci-archive:$WORK/busybox.docker.tar.out" "dir:$WORK/copied"
}

case_outputs_that_exist_are_left_alone() {
    fetch_here "$IMAGES/busybox.aci" >/dev/null
    local name=example.com/busybox
    echo mine >"$WORK/image"
    refused 'output ACI file exists (try --overwrite)' rkt_here image export "$name" "$WORK/image"
    expect_equal mine "$(<"$WORK/image")" 'the file'
    rkt_here image export --overwrite "$name" "$WORK/image"
    cmp "$WORK/image" "$IMAGES/busybox.aci"
    mkfifo "$WORK/fifo"
    ln -s image "$WORK/link"
    mkdir "$WORK/directory"
    local place
    for place in fifo link directory; do
        refused 'not a regular file' rkt_here image export --overwrite "$name" "$WORK/$place"
    done
    refused 'output directory exists (try --overwrite)' rkt_here image extract "$name" "$WORK/directory"
    refused 'a symbolic link' rkt_here image render --overwrite "$name" "$WORK/link"
    refused '/ is not a place' rkt_here image render --overwrite "$name" "$WORK/../../../../.."
    refused 'overlaps with the data directory' rkt_here image render --overwrite "$name" "$WORK/data/store"
    refused 'overlaps with the data directory' rkt_here image render --overwrite "$name" "$WORK"
    mount -t tmpfs none "$WORK/directory"
    touch "$WORK/directory/kept"
    local status=0
    (refused 'is mounted there' rkt_here image render --overwrite "$name" "$WORK/directory") || status=$?
    umount "$WORK/directory"
    ((status == 0)) || exit "$status"
    touch "$WORK/directory/gone"
    rkt_here image render --overwrite "$name" "$WORK/directory"
    expect_equal 'manifest rootfs' "$(cd "$WORK/directory" && echo *)" 'the directory'
    refused 'cannot run as unprivileged user' setpriv --reuid=nobody --clear-groups \
        rkt --dir="$WORK/data" image render "$name" /tmp/none
}

case_trees_are_as_umoci_unpacks_them() {
    local image
    for image in redis nginx; do
        fetch_here "$IMAGES/$image.oci" >/dev/null
        rkt_here image render "$image" "$WORK/$image"
        rkt_here image extract --rootfs-only "$image" "$WORK/$image-root"
        rkt_here image export "$image" "$WORK/$image-layout/"
        umoci unpack --image "$WORK/$image-layout:$image:latest" "$WORK/$image-bundle" >/dev/null
        listing "$WORK/$image-bundle/rootfs" >"$WORK/wanted"
        ((50 < $(wc -l <"$WORK/wanted"))) || fail 'umoci unpacks nothing'
        listing "$WORK/$image/rootfs" | diff "$WORK/wanted" - >"$WORK/difference" || fail "$image: $(head "$WORK/difference")"
        listing "$WORK/$image-root" | diff "$WORK/wanted" - >"$WORK/difference" || fail "$image: $(head "$WORK/difference")"
    done
    expect_equal "$(rkt_here image cat-manifest --pretty-print=false redis)" "$(jq -c . "$WORK/redis/manifest")" 'the manifest'
    # As ACIs and back: the same trees.
    rkt_here image export --format=aci nginx "$WORK/nginx.aci"
    fetch_there "$WORK/nginx.aci" >/dev/null
    rkt --dir="$WORK/there" image export --format=oci-dir nginx "$WORK/nginx-again"
    umoci unpack --image "$WORK/nginx-again:nginx:latest" "$WORK/again" >/dev/null
    listing "$WORK/again/rootfs" | diff "$WORK/wanted" - >"$WORK/difference" || fail "again: $(head "$WORK/difference")"
}

case_image_with_a_whitelist_has_nothing_else() {
    mkdir "$WORK/aci"
    tar -C "$WORK/aci" -xf "$IMAGES/busybox.aci"
    mkdir "$WORK/aci/rootfs/secret"
    echo no >"$WORK/aci/rootfs/secret/file"
    jq '.name = "example.com/limited" | .pathWhitelist = ["/bin/busybox", "/bin/sh", "/secret"]' "$WORK/aci/manifest" >"$WORK/manifest"
    mv "$WORK/manifest" "$WORK/aci/manifest"
    tar -C "$WORK/aci" -cf "$WORK/limited.aci" manifest rootfs
    fetch_here "$WORK/limited.aci" >/dev/null
    rkt_here image render --rootfs-only example.com/limited "$WORK/limited"
    expect_equal $'bin\nbin/busybox\nbin/sh\nsecret' "$(cd "$WORK/limited" && find . -mindepth 1 -printf '%P\n' | sort)" 'the tree'
    expect_equal 'sh busybox' "$(rkt_here --insecure-options=image run --net=none --rm example.com/limited --exec=/bin/sh -- -c \
        'set -- /bin/s* /bin/b*; [ ! -e /secret/file ] && echo ${1##*/} ${2##*/}' | sed 's/^[^:]*: //')" "the app's view"
    expect_status 0 rkt_here image verify
}

case_damage_is_named_with_who_uses_it_and_put_right() {
    serve_registry registry 5000
    skopeo copy --quiet --dest-tls-verify=false "oci:$IMAGES/redis.oci" docker://localhost:5000/redis:7
    local id store=$WORK/data/store manifest blob file uuid
    id=$(rkt_here --insecure-options=image,http fetch --quiet --full docker://localhost:5000/redis:7)
    expect_status 0 rkt_here image verify
    expect_contains "$OUT" "successfully verified checksum for image: \"localhost:5000/redis:7\" (\"$id\")" 'the output'

    # A manifest, a configuration and a layer that have changed, one of them in its middle.
    manifest=$store/blobs/sha256/${id#sha256-}
    for blob in $(jq -r '.config.digest, .layers[0].digest' "$manifest") "sha256:${id#sha256-}"; do
        printf x | dd of="$store/blobs/sha256/${blob#sha256:}" bs=1 seek=200 conv=notrunc status=none
    done
    expect_status 254 rkt_here image verify "$id"
    expect_equal 3 "$(grep -c "^verify: blob sha256:[0-9a-f]* is damaged: .*; used by image \"localhost:5000/redis:7\" ($id)" <<<"$ERR")" 'blobs'
    expect_equal '' "$OUT" 'the output'
    expect_status 254 rkt_here image verify --repair
    expect_contains "$ERR" 'stays damaged' 'without plain http'
    expect_status 0 rkt_here --insecure-options=http image verify --repair
    expect_equal 3 "$(grep -c '^repaired blob' <<<"$OUT")" 'repaired blobs'
    # Others than root read the blobs.
    chmod a+rx "$WORK"/.. "$WORK" "$WORK/data"
    expect_status 0 setpriv --reuid=nobody --clear-groups rkt --dir="$WORK/data" image verify
    expect_contains "$ERR" 'only root can' 'the error'
    systemctl stop rkt-test-registry

    # A program that has changed, in the unpacked layer of a running pod.
    uuid=$(rkt_here --insecure-options=image run --detach --net=none "$id")
    file=$(find "$store/layers" -path '*/usr/bin/redis-server' -type f)
    touch -d @1 "$file"
    expect_status 254 rkt_here image verify --repair
    expect_contains "$ERR" "pod $uuid" 'the error'
    expect_contains "$ERR" '"usr/bin/redis-server" has another time' 'the error'
    expect_contains "$ERR" 'stop the pod' 'the error'
    systemctl stop "pod@$uuid"
    expect_status 0 rkt_here image verify --repair
    expect_contains "$OUT" 'repaired unpacked layer' 'the output'
    expect_status 0 rkt_here image verify
    expect_equal '' "$(ls "$store/tmp")" 'work that is left'
    rkt_here gc --grace-period=0s >/dev/null 2>&1
}

case_layers_of_an_aci_stay_with_its_pod() {
    local uuid
    fetch_here "$IMAGES/busybox.aci" >/dev/null
    uuid=$(rkt_here --insecure-options=image run --detach --net=none example.com/busybox --exec=/bin/sh -- -c "$LIVES")
    # Whether the image may go or not, what the pod runs from may not.
    rkt_here image rm example.com/busybox >/dev/null 2>&1 || true
    rkt_here image gc --grace-period=0s >/dev/null 2>&1 || true
    expect_equal 1 "$(find "$WORK/data/store/layers" -path '*/bin/busybox' | wc -l)" "the app's program"
    systemctl stop "pod@$uuid"
    rkt_here gc --grace-period=0s >/dev/null 2>&1
}

case_valid_images_are_found_valid() {
    local image before copy
    before=$(ls -A /var/tmp)
    for image in redis.oci busybox.aci.gz busybox.docker.tar redis-client.oci.tar; do
        expect_status 0 rkt_here image validate "$IMAGES/$image"
        expect_contains "$OUT" "$IMAGES/$image: valid " 'the output'
    done
    [[ ! -e $WORK/data ]] || fail 'something was stored'
    # Where others than root get to.
    copy=$(mktemp /tmp/image-XXXXXX)
    install --mode=644 "$IMAGES/busybox.aci.gz" "$copy"
    expect_status 0 setpriv --reuid=nobody --clear-groups rkt image validate "$copy"
    rm "$copy"
    expect_equal "$before" "$(ls -A /var/tmp)" 'what is left'
}

case_broken_images_are_found_broken() {
    local layer config manifest
    cp -r "$IMAGES/redis.oci" "$WORK/good"
    manifest=$(jq -r '.manifests[0].digest' "$WORK/good/index.json")
    manifest=blobs/sha256/${manifest#sha256:}
    layer=blobs/sha256/$(jq -r '.layers[0].digest' "$WORK/good/$manifest" | cut -d: -f2)
    config=blobs/sha256/$(jq -r '.config.digest' "$WORK/good/$manifest" | cut -d: -f2)
    # broken PLACE COMMAND...: a copy in which the command has changed something is not valid there.
    broken() {
        local place=$1
        shift
        rm -rf "$WORK/broken"
        cp -r "$WORK/good" "$WORK/broken"
        (cd "$WORK/broken" && "$@")
        expect_status 254 rkt_here image validate "$WORK/broken"
        expect_match "$OUT" 'not a valid OCI image layout, [0-9]+ problem' "after $*"
        expect_contains "$OUT" "  $place: " "after $*"
    }
    broken oci-layout rm oci-layout
    broken oci-layout cp index.json oci-layout
    broken index.json truncate -s 40 index.json
    broken "$manifest" truncate -s -1 "$manifest"
    broken "$config" rm "$config"
    broken "$layer" truncate -s 1000 "$layer"
    broken "$layer" dd if=/dev/zero of="$layer" bs=1 seek=9999 count=9 conv=notrunc status=none
    broken "$layer" sh -c "rm $layer && mkfifo $layer"
    broken "$layer" ln -sf /etc/passwd "$layer"
    # All at once are all named.
    broken "$config" rm "$config" "$layer" oci-layout
    expect_contains "$OUT" ', 3 problems' 'the output'

    head -c 5000 "$IMAGES/busybox.aci" >"$WORK/short.aci"
    expect_status 254 rkt_here image validate "$WORK/short.aci"
    expect_contains "$OUT" 'not a valid appc image' 'the output'
    echo text >"$WORK/text"
    expect_status 254 rkt_here image validate "$WORK/text"
    refused 'neither a regular file nor a directory' rkt_here image validate /dev/null
    [[ ! -e $WORK/data ]] || fail 'something was stored'
}
