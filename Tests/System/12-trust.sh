# shellcheck shell=bash
# systemd: any
# stage1: units
# Images that somebody has signed: whose signatures count, and what becomes of all others. Each case has a store, a
# configuration and a signer of its own.

trust_rkt() { rkt --dir="$WORK/store" --system-config="$WORK/system" --local-config="$WORK/local" "$@"; }

gpg_of() {
    GNUPGHOME=$WORK/gnupg gpg --batch --quiet --no-tty --yes --passphrase '' "$@" 2>>"$WORK/gpg.log"
}

# make_key NAME: sets KEY, its fingerprint, and writes $WORK/NAME.asc.
make_key() {
    [[ -d $WORK/gnupg ]] || mkdir -m 700 "$WORK/gnupg"
    gpg_of --quick-gen-key "$1 <$1@example.com>" ed25519 sign never
    KEY=$(gpg_of --with-colons --list-keys "=$1 <$1@example.com>" | awk -F: '$1 == "fpr" { print tolower($10); exit }')
    gpg_of --armor --export "$KEY" >"$WORK/$1.asc"
}

# sign FILE KEY: writes FILE.asc.
sign() { gpg_of --local-user "$2" --armor --detach-sign --output "$1.asc" "$1"; }

end_agent() { GNUPGHOME=$WORK/gnupg gpgconf --kill all 2>/dev/null || true; }

# A copy of the image that each case can sign.
own_image() {
    trap end_agent EXIT
    cp "$IMAGES/busybox.aci" "$WORK/app.aci"
}

signed_ids() { trust_rkt image list --no-legend --full --fields=id; }

# on_terminal ANSWER COMMAND...: runs it on a terminal, where somebody types; sets OUT and STATUS.
on_terminal() {
    local answer=$1
    shift
    STATUS=0
    OUT=$(printf '%b' "$answer" | script --quiet --return --command "$(printf '%q ' "$@")" /dev/null) || STATUS=$?
}

case_from_a_key_to_a_running_app() {
    own_image
    make_key alice
    sign "$WORK/app.aci" "$KEY"
    refused "rkt trust --prefix \"example.com/busybox\"" trust_rkt fetch "$WORK/app.aci"
    on_terminal 'maybe\nyes\n' rkt --local-config="$WORK/local" trust --prefix=example.com/busybox "$WORK/alice.asc"
    expect_equal 0 "$STATUS" 'the status of rkt trust'
    expect_contains "$OUT" 'Are you sure you want to trust this key (yes/no)?' 'the dialogue'
    expect_contains "$OUT" 'alice <alice@example.com>' 'the dialogue'
    expect_contains "$(tr -d ' ' <<<"${OUT,,}")" "gpgkeyfingerprintis:$KEY" 'the dialogue'
    expect_contains "$OUT" 'after fingerprint review' 'the dialogue'
    expect_equal "644 root" "$(stat -c '%a %U' "$WORK/local/trustedkeys/prefix.d/example.com/busybox/$KEY")" 'the file of the key'
    expect_match "$(trust_rkt trust --list --no-legend)" "^example.com/busybox"$'\t+'"openpgp"$'\t+'"$KEY"$'\t+'"alice" 'the list of keys'

    expect_status 0 trust_rkt fetch --full "$WORK/app.aci"
    expect_contains "$ERR" $'image: signature verified:\n  alice <alice@example.com>' 'the messages'
    expect_equal "$KEY" "$(trust_rkt image list --format=json | jq -r '.[0].verification.signers[0]')" 'the signer on record'
    expect_match "$(trust_rkt image list --full --no-legend)" "signed by alice <alice@example.com>.*$KEY.*$WORK/app.aci" 'the list'
    UUID=$(trust_rkt run --detach --net=none "$WORK/app.aci" --exec=/bin/sh -- -c 'echo signed and running')
    trust_rkt status --wait=60s "$UUID" >/dev/null
    expect_contains "$(trust_rkt logs "$UUID")" 'signed and running' 'the log'
    trust_rkt rm "$UUID" >/dev/null
}

case_no_is_no() {
    own_image
    make_key alice
    on_terminal 'no\n' rkt --local-config="$WORK/local" trust --root "$WORK/alice.asc"
    expect_equal 254 "$STATUS" 'the status of rkt trust'
    expect_contains "$OUT" 'Not trusting' 'the dialogue'
    [[ ! -e $WORK/local ]] || fail 'something was written'
    expect_status 254 trust_rkt trust --root "$WORK/alice.asc"
    expect_contains "$ERR" 'needs a terminal' 'the error'
    [[ ! -e $WORK/local ]] || fail 'something was written'
}

case_what_was_changed_is_refused() {
    own_image
    make_key alice
    trust_rkt trust --prefix=example.com --skip-fingerprint-review "$WORK/alice.asc" 2>/dev/null
    sign "$WORK/app.aci" "$KEY"
    cp "$WORK/app.aci" "$WORK/as-it-was"
    printf X | dd of="$WORK/app.aci" bs=1 seek=$(($(stat -c %s "$WORK/app.aci") / 2)) conv=notrunc status=none
    refused 'its signature is bad' trust_rkt fetch "$WORK/app.aci"
    expect_equal '' "$(signed_ids)" 'images in the store'
    expect_equal '' "$(find "$WORK/store/blobs" -type f)" 'blobs in the store'
    cp "$WORK/as-it-was" "$WORK/other.aci"
    refused 'is not signed' trust_rkt fetch "$WORK/other.aci"
    expect_status 0 trust_rkt fetch --signature="$WORK/app.aci.asc" "$WORK/other.aci"
}

case_what_nobody_signed_is_told_the_ways_on() {
    own_image
    refused --insecure-options=image trust_rkt fetch "$WORK/app.aci"
    expect_contains "$ERR" "$WORK/app.aci.asc" 'the error'
    expect_contains "$ERR" --signature 'the error'
    expect_status 0 trust_rkt --insecure-options=image fetch "$WORK/app.aci"
    expect_equal 'false insecure-options=image' \
        "$(trust_rkt image list --format=json | jq -r '.[0].verification | "\(.verified) \(.detail)"')" 'the record'
}

case_keys_that_others_could_have_put_there_do_not_count() {
    own_image
    make_key alice
    sign "$WORK/app.aci" "$KEY"
    trust_rkt trust --root --skip-fingerprint-review "$WORK/alice.asc" 2>/dev/null
    local file=$WORK/local/trustedkeys/root.d/$KEY
    chmod g+w "$file"
    refused "$file" trust_rkt fetch "$WORK/app.aci"
    chmod g-w "$file"
    chown nobody "$file"
    refused "$file" trust_rkt fetch "$WORK/app.aci"
    chown root "$file"
    mv "$file" "$WORK/local/trustedkeys/root.d/${KEY//[0-9]/0}"
    refused "$KEY" trust_rkt fetch "$WORK/app.aci"
    mv "$WORK/local/trustedkeys/root.d/${KEY//[0-9]/0}" "$file"
    # What the system trusts, this machine can take away.
    mkdir -p "$WORK/system/trustedkeys"
    mv "$WORK/local/trustedkeys/root.d" "$WORK/system/trustedkeys/"
    expect_status 0 trust_rkt fetch "$WORK/app.aci"
    mkdir "$WORK/local/trustedkeys/root.d"
    : >"$file"
    refused 'no key is trusted for it' trust_rkt fetch "$WORK/app.aci"
}

case_what_trust_refuses() {
    own_image
    make_key alice
    local key=$WORK/alice.asc
    refused '--root' trust_rkt trust "$key"
    refused 'exclude each other' trust_rkt trust --root --prefix=example.com "$key"
    refused 'nothing to trust' trust_rkt trust
    refused 'https://' trust_rkt trust --prefix=https://example.com "$key"
    refused 'could not get the keystore' rkt --insecure-options=image --local-config="$WORK/local" trust --root "$key"
    refused --insecure-allow-http trust_rkt trust --root http://127.0.0.1/key
    refused 'secret key' trust_rkt trust --root --skip-fingerprint-review <(gpg_of --armor --export-secret-keys "$KEY")
    refused "$IMAGES/busybox.aci" trust_rkt trust --root --skip-fingerprint-review "$IMAGES/busybox.aci"
    [[ ! -e $WORK/local ]] || fail 'something was written'
}

case_keys_of_sigstore_are_kept_too() {
    trap end_agent EXIT
    openssl ecparam -name prime256v1 -genkey -noout | openssl ec -pubout >"$WORK/cosign.pub" 2>/dev/null
    local sum
    sum=$(openssl ec -pubin -in "$WORK/cosign.pub" -outform DER 2>/dev/null | sha256sum | cut -c1-64)
    expect_status 0 trust_rkt trust --prefix=localhost:5000/team --skip-fingerprint-review "$WORK/cosign.pub"
    expect_contains "$ERR" "SHA256:$sum" 'the messages'
    cmp "$WORK/cosign.pub" "$WORK/local/trustedkeys/prefix.d/localhost:5000/team/$sum"
    expect_match "$(trust_rkt trust --list)" "localhost:5000/team"$'\t+'"sigstore"$'\t+'"$sum" 'the list of keys'
}
