# shellcheck shell=bash
# systemd: any
# stage1: units
# ACIs from web servers: nginx with a certificate of an authority of the tests' own, as the hosts acis.example and other.example.
# Each case has a data directory and a configuration of its own.

WEB=https://acis.example:8443

web_rkt() { rkt --dir="$WORK/data" --system-config="$WORK/system" --local-config="$WORK/local" "$@"; }

insecure_rkt() { web_rkt --insecure-options=image "$@"; }

end_web() {
    systemctl stop rkt-test-web 2>/dev/null || true
    rm -rf /etc/rkt/certs.d
    sed -i '/ acis\.example/d' /etc/hosts
    GNUPGHOME=$WORK/gnupg gpgconf --kill all 2>/dev/null || true
}

# serve_web: runs a web server until the case ends, with the files of $WORK/www, and notes what it is asked for in $WORK/asked.
serve_web() {
    trap end_web EXIT
    mkdir -p "$WORK/www/images"
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$WORK/ca.key" -out "$WORK/ca.crt" -days 2 -subj '/CN=an authority' 2>/dev/null
    openssl req -newkey rsa:2048 -nodes -keyout "$WORK/key" -out "$WORK/request" -subj '/CN=acis.example' 2>/dev/null
    openssl x509 -req -in "$WORK/request" -CA "$WORK/ca.crt" -CAkey "$WORK/ca.key" -CAcreateserial -days 2 \
        -extfile <(echo 'subjectAltName=DNS:acis.example,DNS:other.example') -out "$WORK/crt" 2>/dev/null
    local host
    for host in acis.example other.example; do
        mkdir -p "/etc/rkt/certs.d/$host"
        cp "$WORK/ca.crt" "/etc/rkt/certs.d/$host/ca.crt"
    done
    echo '127.0.0.1 acis.example other.example' >>/etc/hosts
    cat >"$WORK/nginx.conf" <<END
daemon off;
user root;  # the directory of a case is root's alone
pid $WORK/nginx.pid;
error_log $WORK/nginx.errors;
events {}
http {
    log_format asked '\$host \$status \$request_uri "\$http_authorization"';
    access_log $WORK/asked asked;
    client_body_temp_path $WORK/tmp; proxy_temp_path $WORK/tmp; fastcgi_temp_path $WORK/tmp; uwsgi_temp_path $WORK/tmp;
    scgi_temp_path $WORK/tmp;
    ssl_certificate $WORK/crt;
    ssl_certificate_key $WORK/key;
    server {
        listen 127.0.0.1:443 ssl;
        listen 127.0.0.1:8443 ssl;
        root $WORK/www;
        location = / { default_type text/html; try_files /root.html =404; }
        location /away/ { rewrite ^/away/(.*) https://other.example/images/\$1 redirect; }
        location /down/ { rewrite ^/down/(.*) http://acis.example/images/\$1 redirect; }
    }
}
END
    chmod 755 "$WORK" "$WORK/www" "$WORK/www/images"
    systemd-run --quiet --collect --unit=rkt-test-web nginx -e "$WORK/nginx.errors" -c "$WORK/nginx.conf"
    wait_for_port 443
}

# page [TAG]: writes the page of acis.example; who asks for the templates of others in it has been misled.
page() {
    cat >"$WORK/www/root.html" <<END
<!DOCTYPE html><html><head><title>Images</title>
<!-- <meta name="ac-discovery" content="acis.example file:///etc/{name}.{ext}"> -->
<meta name="ac-discovery" content="acis.example ftp://acis.example/{name}.{ext}">
<meta name='ac-discovery' content='acis.example https://acis.example/images/{name}-{version}-{os}-{arch}.{ext}'/>
${1-}
</head><body>Hello</body></html>
END
}

# put NAME PLACE [VERSION] [DEPENDENCY]: makes an ACI of busybox's with another name, where the page says it is.
put() {
    local target="$WORK/www/images/$2-${3:-latest}-linux-amd64.aci" tree="$WORK/tree"
    rm -rf "$tree"
    mkdir -p "$tree" "${target%/*}"
    tar -C "$tree" -xf "$IMAGES/busybox.aci" manifest
    if [[ -n ${4-} ]]; then mkdir -p "$tree/rootfs" && echo "$2" >"$tree/rootfs/own"; else tar -C "$tree" -xf "$IMAGES/busybox.aci" rootfs; fi
    jq -c --arg name "$1" --arg version "${3:-1}" --arg other "${4-}" '.name = $name
        | .labels = ([.labels[] | select(.name != "version")] + [{name: "version", value: $version}])
        | if $other != "" then .dependencies = [{imageName: $other}] else . end' "$tree/manifest" >"$tree/manifest.new"
    mv "$tree/manifest.new" "$tree/manifest"
    tar -C "$tree" --numeric-owner -cf "$target" manifest rootfs
    chmod -R a+rX "$WORK/www"
}

# What was asked for, without the pages.
asked() { grep -v ac-discovery "$WORK/asked" || true; }

case_image_is_fetched_by_its_name_and_once() {
    serve_web
    page
    put acis.example/app acis.example/app
    local id
    id=$(insecure_rkt fetch --full acis.example/app)
    expect_equal "sha512-$(sha512sum "$WORK/www/images/acis.example/app-latest-linux-amd64.aci" | cut -c1-64)" "$id" id
    expect_contains "$(web_rkt image list --no-legend)" acis.example/app:1 'the list'
    # Unchanged: the server is asked, and sends nothing.
    expect_equal "$id" "$(insecure_rkt fetch --full acis.example/app)" 'the id of the second time'
    expect_equal $'200\n304' "$(asked | awk '/latest-linux-amd64.aci / { print $2 }')" 'what the server said'
    # What is there is used without asking.
    systemctl stop rkt-test-web
    expect_equal hello "$(insecure_rkt run --net=none acis.example/app --exec=/bin/sh -- -c 'echo hello' | sed 's/.*: //')" 'the app'
    # That nobody had to vouch for it was said for that time.
    refused 'discovery failed' web_rkt fetch acis.example/app
    insecure_rkt gc --grace-period=0s >/dev/null 2>&1
}

case_url_and_what_its_name_leads_to() {
    serve_web
    page '<meta name="ac-discovery-pubkeys" content="acis.example https://acis.example/key.asc">'
    put acis.example/app acis.example/app 2
    local found url=https://acis.example/images/acis.example/app-2-linux-amd64.aci
    expect_status 0 insecure_rkt fetch "$url"
    refused 'bad HTTP status code: 404' insecure_rkt fetch https://acis.example/none.aci
    found=$(web_rkt image discover --format=json acis.example/app:2)
    expect_equal "$url $url.asc https://acis.example?ac-discovery=1" \
        "$(jq -r '.endpoints[0] | "\(.aci) \(.asc) \(.page)"' <<<"$found")" 'the endpoint'
    expect_equal https://acis.example/key.asc "$(jq -r '.keys[0].url' <<<"$found")" 'the key'
    expect_equal 1 "$(jq '.endpoints | length' <<<"$found")" 'how many endpoints'
    expect_contains "$(jq -r '.attempts[0].page' <<<"$found")" https://acis.example/app?ac-discovery=1 'what was tried'
    expect_contains "$(web_rkt image discover acis.example/app:2)" "ACI: $url" 'the lines'
    expect_status 254 web_rkt image discover other.example/app
    expect_contains "$OUT" 'Tried: https://other.example/app?ac-discovery=1' 'the lines'
}

case_image_with_another_name_is_refused() {
    serve_web
    page
    put acis.example/evil acis.example/app
    refused '"acis.example/app" expected but "acis.example/evil" found' insecure_rkt fetch acis.example/app
    put acis.example/app acis.example/app 3
    mv "$WORK/www/images/acis.example/app-3-linux-amd64.aci" "$WORK/www/images/acis.example/app-4-linux-amd64.aci"
    refused 'requested value for label "version": "4"' insecure_rkt fetch acis.example/app:4
    expect_equal '' "$(web_rkt image list --no-legend)" 'images'
}

case_credentials_go_to_their_host_alone() {
    serve_web
    page
    put acis.example/app acis.example/app
    mkdir -p "$WORK/local/auth.d"
    echo '{"rktKind": "auth", "rktVersion": "v1", "domains": ["acis.example"], "type": "oauth", "credentials": {"token": "secret"}}' \
        >"$WORK/local/auth.d/here.json"
    expect_status 0 insecure_rkt fetch https://acis.example/away/acis.example/app-latest-linux-amd64.aci
    expect_equal '"Bearer secret"' "$(awk '/^acis.example .*away/ { print $4, $5 }' "$WORK/asked")" 'what its host was shown'
    expect_equal '"-"' "$(awk '/^other.example/ { print $4 }' "$WORK/asked")" 'what the other host was shown'
    # Nor to the same name at another port, nor without TLS.
    expect_status 254 insecure_rkt fetch "$WEB/none.aci"
    expect_equal '"-"' "$(awk '/none.aci/ { print $4 }' "$WORK/asked")" 'what the other port was shown'
    refused 'not encrypted' insecure_rkt fetch https://acis.example/down/acis.example/app-latest-linux-amd64.aci
}

case_signed_image_with_what_it_is_built_on() {
    serve_web
    mkdir -m 700 "$WORK/gnupg"
    local key image
    gpg_web() { GNUPGHOME=$WORK/gnupg gpg --batch --quiet --no-tty --yes --passphrase '' "$@" 2>>"$WORK/gpg.log"; }
    gpg_web --quick-gen-key 'Web <web@example.com>' ed25519 sign never
    gpg_web --armor --export >"$WORK/www/key.asc"
    key=$(gpg_web --with-colons --list-keys | awk -F: '$1 == "fpr" { print tolower($10); exit }')
    page '<meta name="ac-discovery-pubkeys" content="acis.example https://acis.example/key.asc">'
    put acis.example/base acis.example/base
    put acis.example/app acis.example/app latest acis.example/base
    # Without a signature nothing is accepted.
    expect_status 254 web_rkt fetch acis.example/app
    expect_contains "$ERR" 'no signature at https://acis.example/images/acis.example/app-latest-linux-amd64.aci.asc' 'the error'
    for image in app base; do
        gpg_web --armor --detach-sign "$WORK/www/images/acis.example/$image-latest-linux-amd64.aci"
    done
    chmod -R a+rX "$WORK/www"
    # Nor one whose key nobody trusts: nobody can be asked here.
    expect_status 254 web_rkt fetch acis.example/app
    expect_contains "$ERR" "rkt trust --prefix" 'the error'
    expect_equal '' "$(web_rkt image list --no-legend)" 'images'
    expect_status 0 web_rkt --trust-keys-from-https fetch acis.example/app
    expect_contains "$ERR" 'signature verified' 'the messages'
    [[ -f $WORK/local/trustedkeys/prefix.d/acis.example/app/$key ]] || fail 'the key is not in the key store'
    [[ -f $WORK/local/trustedkeys/prefix.d/acis.example/base/$key ]] || fail 'the key of what it is built on is not in the key store'
    expect_equal 2 "$(web_rkt image list --no-legend | wc -l)" 'images'
    expect_equal acis.example/app "$(web_rkt run --net=none acis.example/app --exec=/bin/sh -- -c 'read -r line </own; echo "$line"' | sed 's/.*: //')" 'the app'
    # One changed byte, in what comes: refused.
    put acis.example/app acis.example/app latest acis.example/base
    echo changed >>"$WORK/tree/rootfs/own"
    tar -C "$WORK/tree" -cf "$WORK/www/images/acis.example/app-latest-linux-amd64.aci" manifest rootfs
    # nginx calls two files the same that have one size and were written in one second.
    touch -d 2001-01-01 "$WORK/www/images/acis.example/app-latest-linux-amd64.aci"
    refused 'signature is bad' web_rkt fetch acis.example/app
    web_rkt gc --grace-period=0s >/dev/null 2>&1
}
