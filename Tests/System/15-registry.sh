# shellcheck shell=bash
# systemd: any
# stage1: units
# Images from a registry: Debian's docker-registry on loopback, filled by skopeo. Each case has a data directory of its own.

rkt_here() { rkt --dir="$WORK/data" "$@"; }

# serve [WORD...]: runs a registry until the case ends; `password` lets in only me with the password secret, `tls` has a
# certificate of an authority of its own.
serve() {
    local more=()
    if [[ " $* " == *' password '* ]]; then
        htpasswd -Bbn me secret >"$WORK/passwords"
        more+=("auth: {htpasswd: {realm: here, path: $WORK/passwords}}")
    fi
    if [[ " $* " == *' tls '* ]]; then
        openssl req -x509 -newkey rsa:2048 -nodes -keyout "$WORK/ca.key" -out "$WORK/ca.crt" -days 2 \
            -subj '/CN=an authority' 2>/dev/null
        openssl req -newkey rsa:2048 -nodes -keyout "$WORK/key" -out "$WORK/request" -subj '/CN=localhost' 2>/dev/null
        openssl x509 -req -in "$WORK/request" -CA "$WORK/ca.crt" -CAkey "$WORK/ca.key" -CAcreateserial -days 2 \
            -extfile <(echo 'subjectAltName=DNS:localhost') -out "$WORK/crt" 2>/dev/null
        more=("  tls: {certificate: $WORK/crt, key: $WORK/key}" "${more[@]}")
    fi
    serve_registry registry 5000 "${more[@]}"
}

# push IMAGE NAME: copies an OCI layout to the registry.
push() { skopeo copy --quiet --dest-tls-verify=false --dest-creds=me:secret "oci:$IMAGES/$1" "docker://localhost:5000/$2"; }

case_image_is_refused_pinned_and_run() {
    serve
    push redis.oci team/redis:7
    local pinned
    refused '--insecure-options=http' rkt_here fetch docker://localhost:5000/team/redis:7
    refused '--insecure-options=image' rkt_here --insecure-options=http fetch docker://localhost:5000/team/redis:7
    pinned=$(grep -o 'docker://[^ ;)]*@sha256:[0-9a-f]*' <<<"$ERR")
    expect_equal '' "$(rkt_here image list --no-legend)" 'images'
    # Ready to paste, and the same image as in the file.
    expect_equal "$(rkt --dir="$WORK/other" --insecure-options=image fetch --full "$IMAGES/redis.oci")" \
        "$(rkt_here --insecure-options=http fetch --full "$pinned")" id
    expect_match "$(rkt_here --insecure-options=http run --net=none "$pinned" --exec=/usr/bin/redis-server -- --version)" \
        'Redis server v=' 'the app'
    # What is there is used.
    systemctl stop rkt-test-registry
    expect_status 0 rkt_here --insecure-options=http run --net=none "$pinned" --exec=/usr/bin/redis-server -- --version
    refused localhost:5000 rkt_here --insecure-options=http fetch "$pinned"
    rkt_here gc --grace-period=0s >/dev/null 2>&1
}

case_tag_is_fetched_when_the_user_says_so() {
    serve
    push redis.oci team/redis:7
    local options=--insecure-options=http,image
    expect_status 0 rkt_here "$options" fetch docker://localhost:5000/team/redis:7
    expect_contains "$(rkt_here image list --no-legend)" localhost:5000/team/redis:7 'the list'
    refused 'does not have it' rkt_here "$options" fetch docker://localhost:5000/team/redis:8
    refused 'pull-policy' rkt_here "$options" run --net=none --pull-policy=never docker://localhost:5000/team/redis:8
}

case_what_nobody_vouched_for_needs_the_users_word_again() {
    serve
    push redis.oci redis
    expect_status 0 rkt_here --insecure-options=http,image fetch docker://localhost:5000/redis
    refused '--insecure-options=image' rkt_here --insecure-options=http run --net=none docker://localhost:5000/redis
    # A name that is written into a file leads nowhere.
    skopeo copy --quiet "oci:$IMAGES/nginx.oci" "docker-archive:$WORK/evil.tar:localhost:5000/app:1"
    expect_status 0 rkt_here --insecure-options=image fetch "$WORK/evil.tar"
    refused 'does not have it' rkt_here --insecure-options=http,image run --net=none docker://localhost:5000/app:1
}

case_password() {
    serve password
    push redis.oci redis
    local options=--insecure-options=http,image reference=docker://localhost:5000/redis
    refused 'podman login localhost:5000' rkt_here "$options" fetch "$reference"
    mkdir -p "$WORK/configuration/auth.d"
    echo '{"rktKind": "dockerAuth", "rktVersion": "v1", "registries": ["localhost:5000"],
        "credentials": {"user": "me", "password": "wrong"}}' >"$WORK/configuration/auth.d/here.json"
    refused 'does not let you in' rkt_here --user-config="$WORK/configuration" "$options" fetch "$reference"
    sed -i s/wrong/secret/ "$WORK/configuration/auth.d/here.json"
    expect_status 0 rkt_here --user-config="$WORK/configuration" "$options" fetch "$reference"
    # As other tools of the field leave it.
    skopeo login --authfile="$WORK/auth.json" --tls-verify=false --username=me --password=secret localhost:5000 >/dev/null
    expect_status 0 env REGISTRY_AUTH_FILE="$WORK/auth.json" rkt --dir="$WORK/data" "$options" fetch "$reference"
}

case_certificate_of_an_own_authority() {
    serve tls
    push redis.oci redis
    local reference=docker://localhost:5000/redis
    refused certs.d rkt_here --insecure-options=image fetch "$reference"
    # Nothing goes over to plain http by itself.
    expect_lacks "$ERR" 'status 400' 'the error'
    expect_status 0 rkt_here --insecure-options=image,tls fetch "$reference"
    mkdir -p /etc/rkt/certs.d/localhost:5000
    # One of several.
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$WORK/other.key" -out /etc/rkt/certs.d/localhost:5000/a.crt \
        -days 2 -subj '/CN=another authority' 2>/dev/null
    cp "$WORK/ca.crt" /etc/rkt/certs.d/localhost:5000/ca.crt
    local status=0
    rkt_here --insecure-options=image fetch "$reference" >/dev/null 2>"$WORK/errors" || status=$?
    rm -r /etc/rkt/certs.d
    expect_equal 0 "$status" "status: $(<"$WORK/errors")"
}

case_fetch_that_is_killed_leaves_whole_images() {
    serve
    push redis.oci redis
    push nginx.oci nginx
    local call number blob id kills=0 options=--insecure-options=http,image
    for call in recvfrom pwrite64 write renameat2 renameat fsync syncfs mkdirat; do
        for number in 1 4 30; do
            strace --follow-forks --quiet=all --output=/dev/null --trace="$call" --inject="$call:signal=KILL:when=$number" \
                rkt --dir="$WORK/data" "$options" fetch docker://localhost:5000/redis docker://localhost:5000/nginx \
                >"$WORK/killed" 2>&1 || kills=$((kills + 1))
            # Whatever has its final name is whole.
            for blob in "$WORK"/data/store/blobs/sha256/*; do
                [[ ! -e $blob || $(sha256sum <"$blob") == "${blob##*/}  -" ]] || fail "$blob after $call number $number"
            done
            rkt_here image list --no-legend --full --fields=id >"$WORK/list" || fail "list after $call number $number"
            while read -r id; do
                rkt_here image cat-manifest "$id" >/dev/null || fail "image $id after $call number $number"
            done <"$WORK/list"
        done
    done
    ((kills >= 8)) || fail "only $kills of the fetches were killed"
    expect_status 0 rkt_here "$options" fetch docker://localhost:5000/redis docker://localhost:5000/nginx
    expect_status 0 rkt_here "$options" run --net=none docker://localhost:5000/redis --exec=/usr/bin/redis-server -- --version
    rkt_here gc --grace-period=0s >/dev/null 2>&1
}

# configure KIND NAME FIELDS: writes a file of the configuration in $WORK/configuration.
configure() {
    mkdir -p "$WORK/configuration/$1.d"
    echo "{\"rktKind\": \"$1\", \"rktVersion\": \"v1\", $3}" >"$WORK/configuration/$1.d/$2.json"
}

case_mirror() {
    serve
    serve_registry mirror 5001
    push redis.oci team/redis
    skopeo copy --quiet --dest-tls-verify=false "oci:$IMAGES/redis.oci" docker://localhost:5001/hub/team/redis
    configure registries here '"prefix": "localhost:5000/team", "mirrors": [
        {"location": "localhost:5002", "insecure": true}, {"location": "localhost:5001/hub/team", "insecure": true}]'
    local rkt=(rkt_here --user-config="$WORK/configuration") reference=docker://localhost:5000/team/redis
    # What a mirror says is nobody's word either.
    refused '--insecure-options=image' "${rkt[@]}" fetch "$reference"
    systemctl stop rkt-test-registry
    # Nor does anybody need a proxy to get to this machine.
    expect_status 0 env http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 \
        rkt --dir="$WORK/data" --user-config="$WORK/configuration" --debug --insecure-options=image fetch "$reference"
    expect_contains "$ERR" 'image: mirror localhost:5002: ' 'what it says of the one that is not there'
    expect_contains "$(rkt_here image list --no-legend)" localhost:5000/team/redis:latest 'the list'
    expect_lacks "$(rkt_here image list --no-legend)" 5001 'the list'
    # A mirror that lacks a layer, and has another one wrong.
    serve
    local digest blobs=()
    for digest in $(skopeo inspect --raw --tls-verify=false "$reference" | jq -r '.layers[].digest'); do
        blobs+=("$WORK/mirror/docker/registry/v2/blobs/sha256/${digest:7:2}/${digest:7}/data")
    done
    printf X | dd of="${blobs[0]}" bs=1 seek=1000 conv=notrunc status=none
    ((${#blobs[@]} == 1)) || rm "${blobs[1]}"
    expect_status 0 rkt --dir="$WORK/other" --user-config="$WORK/configuration" --debug --insecure-options=http,image \
        fetch "$reference"
    expect_contains "$ERR" 'image: mirror localhost:5001: ' 'what it says of the one that is wrong'
    configure registries here '"prefix": "localhost:5000/team", "blocked": true'
    refused registries.d "${rkt[@]}" --insecure-options=http,image fetch "$reference"
}

case_credential_helper() {
    serve password
    push redis.oci redis
    mkdir -p "$WORK/bin" "$WORK/docker"
    # As docker-credential-helpers says: the server comes on standard input.
    printf '%s\n' '#!/bin/sh' 'read -r server || true' \
        '[ "$1 $server" = "get localhost:5000" ] || { echo "credentials not found in native keychain"; exit 1; }' \
        'echo "{\"ServerURL\": \"$server\", \"Username\": \"me\", \"Secret\": \"secret\"}"' \
        >"$WORK/bin/docker-credential-here"
    chmod +x "$WORK/bin/docker-credential-here"
    local rkt=(env HOME=/nowhere DOCKER_CONFIG="$WORK/docker" PATH="$WORK/bin:$PATH"
        rkt --dir="$WORK/data" "--insecure-options=http,image")
    local reference=docker://localhost:5000/redis
    echo '{"credHelpers": {"localhost:5000": "../bin/here"}}' >"$WORK/docker/config.json"
    refused 'bare word' "${rkt[@]}" fetch "$reference"
    echo '{"credHelpers": {"localhost:5000": "missing"}}' >"$WORK/docker/config.json"
    refused docker-credential-missing "${rkt[@]}" fetch "$reference"
    echo '{"credsStore": "here"}' >"$WORK/docker/config.json"
    expect_status 0 "${rkt[@]}" fetch "$reference"
}

case_config_and_paths() {
    configure paths here "\"data\": \"$WORK/configured\", \"stage1-images\": \"$WORK/images\""
    configure registries here '"prefix": "docker.io", "mirrors": [{"location": "mirror.example:5000"}]'
    mkdir -p "$WORK/configuration/auth.d"
    echo '{"rktKind": "auth", "rktVersion": "v1", "domains": ["example.com"], "type": "oauth",
        "credentials": {"token": "t"}}' >"$WORK/configuration/auth.d/here.json"
    local rkt=(rkt --user-config="$WORK/configuration")
    # Flags are taken before the command's name too.
    expect_status 0 "${rkt[@]}" --pretty-print=false config
    expect_equal 1 "$(wc -l <<<"$OUT")" 'lines without indentation'
    expect_equal "$("${rkt[@]}" config | jq --compact-output .)" "$OUT" 'the same indented'
    expect_equal 'auth registries paths stage1' "$(jq -r '[.stage0[].rktKind] | join(" ")' <<<"$OUT")" kinds
    expect_equal "t mirror.example:5000 $WORK/configured $WORK/images" "$(jq -r \
        '.stage0 | "\(.[0].credentials.token) \(.[1].mirrors[0].location) \(.[2].data) \(.[2]["stage1-images"])"' \
        <<<"$OUT")" values
    expect_equal "$WORK/flag" "$("${rkt[@]}" --dir="$WORK/flag" config | jq -r '.stage0[-2].data')" 'the flag counts'
    # Images and pods are there from now on, for every command.
    expect_status 0 "${rkt[@]}" --insecure-options=image fetch "$IMAGES/redis.oci"
    [[ -d $WORK/configured/store ]] || fail "nothing is in $WORK/configured"
    expect_equal 1 "$("${rkt[@]}" image list --no-legend | wc -l)" images
    expect_status 0 "${rkt[@]}" --insecure-options=image run --net=none "$IMAGES/redis.oci" --exec=/usr/bin/redis-server \
        -- --version
    expect_equal 1 "$("${rkt[@]}" list --no-legend | wc -l)" pods
    expect_status 0 "${rkt[@]}" gc --grace-period=0s
    # A directory by configuration makes nothing trusted.
    mkdir -p "$WORK/images"
    cp "$IMAGES/redis.oci/index.json" "$WORK/images/stage1.aci"
    refused "$WORK/images/stage1.aci" "${rkt[@]}" run --stage1-from-dir=stage1.aci --net=none "$IMAGES/redis.oci"
    echo '{"rktKind": "paths", "rktVersion": "v1", "data": "here"}' >"$WORK/configuration/paths.d/here.json"
    refused 'paths.d/here.json' "${rkt[@]}" list
    refused 'absolute' "${rkt[@]}" config
}
