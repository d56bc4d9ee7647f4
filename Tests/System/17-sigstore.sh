# shellcheck shell=bash
# systemd: any
# stage1: units
# Images in a registry, or in a layout with their signatures, that somebody has signed: with skopeo, and in cosign's form
# with openssl. Each case has a store, a configuration and a key of its own.

# shellcheck source=Tests/System/15-registry.sh
source "${BASH_SOURCE[0]%/*}/15-registry.sh"

rkt_here() {
    rkt --dir="$WORK/data" --system-config="$WORK/system" --local-config="$WORK/local" --insecure-options=http "$@"
}

trust() { rkt_here trust --skip-fingerprint-review --prefix="$1" "$2" 2>/dev/null; }

# look_at REFERENCE: sets DIGEST, and the tag at which its signatures are, in SIGNATURES.
look_at() {
    DIGEST=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$1")
    SIGNATURES=${DIGEST/:/-}.sig
}

# push_signed IMAGE NAME: as `push`, signed with $WORK/key.private.
push_signed() {
    mkdir -p "$WORK/registries.d"
    printf '%s\n' 'docker:' '  localhost:5000:' '    use-sigstore-attachments: true' >"$WORK/registries.d/here.yaml"
    skopeo --registries.d="$WORK/registries.d" copy --quiet --dest-tls-verify=false \
        --sign-by-sigstore-private-key="$WORK/key.private" --sign-passphrase-file="$WORK/passphrase" \
        "oci:$IMAGES/$1" "docker://localhost:5000/$2" >/dev/null
}

skopeo_key() {
    echo secret >"$WORK/passphrase"
    skopeo generate-sigstore-key --output-prefix="$WORK/key" --passphrase-file="$WORK/passphrase" >/dev/null 2>&1 ||
        skip 'this skopeo was built without sigstore'
}

# copy_tag FROM TO
copy_tag() {
    skopeo copy --quiet --src-tls-verify=false --dest-tls-verify=false --preserve-digests \
        "docker://localhost:5000/$1" "docker://localhost:5000/$2"
}

case_image_that_skopeo_signed_is_run_once_its_key_is_trusted() {
    skopeo_key
    serve
    push_signed redis.oci team/redis:7
    look_at localhost:5000/team/redis:7
    local reference=docker://localhost:5000/team/redis:7 way
    refused 'no key is trusted for it' rkt_here fetch "$reference"
    for way in 'rkt trust --prefix=localhost:5000/team/redis KEY' "docker://localhost:5000/team/redis@$DIGEST;" \
        --insecure-options=image; do
        expect_contains "$ERR" "$way" 'the refusal'
    done
    trust localhost:5000/team "$WORK/key.pub"
    expect_match "$(rkt_here run --net=none "$reference" --exec=/usr/bin/redis-server -- --version)" 'Redis server v=' 'the app'
    expect_match "$(rkt_here image list --full --no-legend)" 'signed by sigstore key sha256:[0-9a-f]{64}' 'the list'
    # What is there was verified: nobody is asked again, though the key is gone.
    systemctl stop rkt-test-registry
    rm -r "$WORK/local"
    expect_status 0 rkt_here run --net=none "$reference" --exec=/usr/bin/redis-server -- --version
    serve
    refused 'no key is trusted for it' rkt_here fetch "$reference"
    rkt_here gc --grace-period=0s >/dev/null 2>&1
}

case_another_image_by_that_name_is_refused() {
    serve
    push redis.oci team/redis:7
    look_at localhost:5000/team/redis:7
    openssl_key
    sign_with_openssl team/redis:7
    trust localhost:5000/team "$WORK/key.pub"
    # The same image and its signatures, under names that they are not for.
    copy_tag team/redis:7 team/redis:8
    refused '--debug says why' rkt_here fetch docker://localhost:5000/team/redis:8
    expect_status 254 rkt_here --debug fetch docker://localhost:5000/team/redis:8
    expect_contains "$ERR" 'it is for localhost:5000/team/redis:7' 'what --debug says'
    copy_tag team/redis:7 team/other:7
    copy_tag "team/redis:$SIGNATURES" "team/other:$SIGNATURES"
    expect_status 254 rkt_here --debug fetch docker://localhost:5000/team/other:7
    expect_contains "$ERR" 'it is for localhost:5000/team/redis:7' 'what --debug says'
    # Another image at the tag, with the signatures of the first one.
    push nginx.oci team/redis:7
    local old=$SIGNATURES
    look_at localhost:5000/team/redis:7
    refused 'no key that is trusted for it has signed it (' rkt_here fetch docker://localhost:5000/team/redis:7
    copy_tag "team/redis:$old" "team/redis:$SIGNATURES"
    refused '--debug says why' rkt_here fetch docker://localhost:5000/team/redis:7
    expect_equal '' "$(rkt_here image list --no-legend)" 'images'
}

openssl_key() {
    openssl ecparam -name prime256v1 -genkey -noout -out "$WORK/key.pem"
    openssl ec -in "$WORK/key.pem" -pubout -out "$WORK/key.pub" 2>/dev/null
}

# sign_with_openssl REPOSITORY[:TAG]: signs $DIGEST as cosign does, with $WORK/key.pem.
sign_with_openssl() {
    local layout=$WORK/signature place=$WORK/signature/blobs/sha256 payload config
    mkdir -p "$place"
    printf '{"critical":{"identity":{"docker-reference":"%s"},"image":{"docker-manifest-digest":"%s"},%s},"optional":null}' \
        "localhost:5000/$1" "$DIGEST" '"type":"cosign container image signature"' >"$WORK/payload"
    payload=$(add_blob "$WORK/payload")
    printf '{"architecture":"","os":"","config":{},"rootfs":{"type":"layers","diff_ids":["%s"]}}' "$payload" >"$WORK/config"
    config=$(add_blob "$WORK/config")
    printf '{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"%s",%s},"layers":[{"mediaType":"%s",%s,"annotations":%s}]}' \
        application/vnd.oci.image.manifest.v1+json application/vnd.oci.image.config.v1+json \
        "\"digest\":\"$config\",\"size\":$(stat -c %s "$WORK/config")" application/vnd.dev.cosign.simplesigning.v1+json \
        "\"digest\":\"$payload\",\"size\":$(stat -c %s "$WORK/payload")" \
        "{\"dev.cosignproject.cosign/signature\":\"$(openssl dgst -sha256 -sign "$WORK/key.pem" "$WORK/payload" | base64 -w0)\"}" \
        >"$WORK/manifest"
    printf '{"schemaVersion":2,"manifests":[{"mediaType":"%s","digest":"%s","size":%s}]}' \
        application/vnd.oci.image.manifest.v1+json "$(add_blob "$WORK/manifest")" "$(stat -c %s "$WORK/manifest")" \
        >"$layout/index.json"
    echo '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
    skopeo copy --quiet --dest-tls-verify=false --preserve-digests "oci:$layout" \
        "docker://localhost:5000/${1%%:*}:$SIGNATURES"
}

# add_blob FILE: puts it into the layout of the signature; prints its digest.
add_blob() {
    local sum
    sum=$(sha256sum <"$1")
    cp "$1" "$WORK/signature/blobs/sha256/${sum%% *}"
    echo "sha256:${sum%% *}"
}

case_signature_in_the_form_of_cosign() {
    serve
    push redis.oci team/redis:7
    look_at localhost:5000/team/redis:7
    openssl_key
    sign_with_openssl team/redis
    openssl ecparam -name prime256v1 -genkey -noout | openssl ec -pubout -out "$WORK/other.pub" 2>/dev/null
    trust localhost:5000/team/redis "$WORK/other.pub"
    refused '--debug says why' rkt_here fetch docker://localhost:5000/team/redis:7
    trust localhost:5000/team/red "$WORK/key.pub"
    refused '--debug says why' rkt_here fetch docker://localhost:5000/team/redis:7
    trust localhost:5000/team/redis "$WORK/key.pub"
    expect_status 0 rkt_here fetch docker://localhost:5000/team/redis:7
    # Who signs for a repository signs for all of its tags.
    copy_tag team/redis:7 team/redis:latest
    expect_status 0 rkt_here fetch docker://localhost:5000/team/redis
    expect_equal "$(openssl pkey -pubin -in "$WORK/key.pub" -outform DER | sha256sum | cut -d' ' -f1)" \
        "$(rkt_here image list --format=json | jq -r '.[0].verification.signers[0]')" 'the signer'
}

# save_tag TAG LAYOUT: copies a tag of team/redis into a layout.
save_tag() {
    skopeo copy --quiet --src-tls-verify=false --preserve-digests "docker://localhost:5000/team/redis:$1" "oci:$2:$1"
}

case_layout_holds_the_signatures_of_its_image() {
    serve
    push redis.oci team/redis:7
    look_at localhost:5000/team/redis:7
    openssl_key
    sign_with_openssl team/redis:7
    save_tag 7 "$WORK/signed"
    refused 'the layout holds no signature' rkt_here fetch "$WORK/signed"
    save_tag "$SIGNATURES" "$WORK/signed"
    systemctl stop rkt-test-registry
    refused 'no key is trusted for it' rkt_here fetch "$WORK/signed"
    local way
    for way in 'rkt trust --prefix=HOST/REPOSITORY KEY' '"cosign save"' --insecure-options=image; do
        expect_contains "$ERR" "$way" 'the refusal'
    done
    trust localhost:5000/other "$WORK/key.pub"
    expect_status 254 rkt_here --debug fetch "$WORK/signed"
    expect_contains "$ERR" 'it is for localhost:5000/team/redis' 'what --debug says'
    trust localhost:5000/team "$WORK/key.pub"
    expect_match "$(rkt_here run --net=none "$WORK/signed" --exec=/usr/bin/redis-server -- --version)" 'Redis server v=' 'the app'
    expect_match "$(rkt_here image list --full --no-legend)" 'localhost:5000/team/redis:7.*signed by sigstore key sha256:[0-9a-f]{64}' \
        'the list'
    expect_equal "$WORK/signed" "$(rkt_here image list --format=json | jq -r '.[0].verification.origin')" 'where it came from'
    # It is what it was signed as: no registry is asked.
    expect_status 0 rkt_here run --net=none docker://localhost:5000/team/redis:7 --exec=/usr/bin/redis-server -- --version
    rkt_here gc --grace-period=0s >/dev/null 2>&1

    # As cosign saves it, and in a tar.
    jq '.manifests[0].annotations = {kind: "dev.cosignproject.cosign/image"}
        | .manifests[1].annotations = {kind: "dev.cosignproject.cosign/sigs"}' "$WORK/signed/index.json" >"$WORK/index.json"
    cp "$WORK/index.json" "$WORK/signed/index.json"
    tar -C "$WORK/signed" -cf "$WORK/signed.tar" .
    rkt_here image rm "sha256-${DIGEST#sha256:}" >/dev/null
    expect_equal "sha256-${DIGEST#sha256:}" "$(rkt_here fetch --full "$WORK/signed.tar")" 'the id'
    # Another image with these signatures.
    skopeo copy --quiet "oci:$IMAGES/nginx.oci" "oci:$WORK/other"
    cp -n "$WORK/other/blobs/sha256/"* "$WORK/signed/blobs/sha256"
    jq --argjson other "$(jq '.manifests[0]' "$WORK/other/index.json")" \
        '.manifests[0] = ($other | .annotations = {kind: "dev.cosignproject.cosign/image"})' "$WORK/index.json" \
        >"$WORK/signed/index.json"
    expect_status 254 rkt_here --debug fetch "$WORK/signed"
    expect_contains "$ERR" "it is of $DIGEST, another image" 'what --debug says'
    # What docker save writes holds none.
    skopeo copy --quiet "oci:$IMAGES/redis.oci" "docker-archive:$WORK/saved.tar:localhost:5000/team/redis:7"
    refused --insecure-options=image rkt_here fetch "$WORK/saved.tar"
}
