# shellcheck shell=bash
# stage1: units
# A stage1 that is an image: chosen by flags and by configuration, started, stopped and cleaned up by its entry points.

# make_stage1 FILE INTERFACE [ENTRY-POINT...]: an image whose entry points record how they are run. `run` runs the first app
# in its root and ends as it does; what is on the host is there, as the entry points run on it.
make_stage1() {
    local file=$1 version=$2 tree=$WORK/stage1-tree entry annotations=
    shift 2
    for entry; do annotations+="{\"name\":\"coreos.com/rkt/stage1/${entry%=*}\",\"value\":\"${entry#*=}\"},"; done
    rm -rf "$tree"
    mkdir -p "$tree/rootfs/opt" "$tree/rootfs/etc"
    cat >"$tree/manifest" <<JSON
{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/stage1","labels":[{"name":"version","value":"1.0.$version"},
{"name":"os","value":"linux"},{"name":"arch","value":"amd64"}],
"annotations":[$annotations{"name":"coreos.com/rkt/stage1/interface-version","value":"$version"}]}
JSON
    cat >"$tree/rootfs/init" <<'SCRIPT'
#!/bin/sh
{
    echo "program=$0"
    echo "directory=$(pwd)"
    for word; do echo "argument=$word"; done
    echo "lock=$(readlink "/proc/self/fd/$RKT_LOCK_FD")"
    echo "pid=$(cat pid) of $$"
    echo "manifest=$(grep -o example.com/stage1 stage1/manifest)"
} >record
echo x >>stage1/rootfs/starts
app=$(ls appsinfo | head -n 1)
cmp "appsinfo/$app/manifest" "stage1/rootfs/opt/stage2/$app/manifest" || exit 99
eval "set -- '$(sed "s/.*\"exec\":\[\"\(.*\)\"\],\"group\".*/\1/; s/\",\"/' '/g" pod | sed 's/\\"/"/g')'"
chroot "stage1/rootfs/opt/stage2/$app/rootfs" "$@" &
child=$!
trap 'kill $child' TERM
trap 'echo asked; kill $child' USR1
wait $child
status=$?
# A signal ends the first wait.
[ $status -lt 128 ] || { wait $child; status=$?; }
echo $status >"stage1/rootfs/rkt/status/$app"
exit $status
SCRIPT
    cat >"$tree/rootfs/stop" <<'SCRIPT'
#!/bin/sh
echo "$0 in $(pwd): $* $(ls -d stage1/rootfs/opt/stage2/*/rootfs/bin)" >/run/rkt-test-stop
echo 'stopped by the stage1'
kill -USR1 "$(cat pid)"
SCRIPT
    cat >"$tree/rootfs/gc" <<'SCRIPT'
#!/bin/sh
echo "$0 in $(pwd): $* $(wc -l <stage1/rootfs/starts)" >/run/rkt-test-gc
echo 'cleaned by the stage1'
exit "$(cat /run/rkt-test-gc-status 2>/dev/null || echo 0)"
SCRIPT
    chmod +x "$tree"/rootfs/{init,stop,gc}
    tar -C "$tree" -cf "$file" manifest rootfs
    rm -f /run/rkt-test-*
}

# stage1 [INTERFACE]: the usual image, in $STAGE1_FILE.
stage1() {
    STAGE1_FILE=$WORK/stage1.aci
    make_stage1 "$STAGE1_FILE" "${1:-6}" run=/init gc=/gc
}

run_image() { rkt --insecure-options=image run --stage1-path="$STAGE1_FILE" "$@" "${APP[@]}"; }

start_image() { UUID=$(run_image --detach) || fail "rkt run --detach ended with $?"; }

pod_directory() { echo "$DATA/pods/run/$UUID"; }

recorded() { sed -n "s/^$1=//p" "$(pod_directory)/record"; }

# wait_for_journal TEXT: returns when the pod's unit has logged it.
wait_for_journal() {
    local line log reader
    exec {log}< <(exec rkt logs --follow "$UUID")
    reader=$!
    while IFS= read -r -t 60 -u "$log" line; do
        [[ $line != *"$1"* ]] || { kill "$reader"; exec {log}<&-; return; }
    done
    fail "no line with '$1'"
}

# configure DIRECTORY NAME JSON: a file of a configuration directory.
configure() {
    mkdir -p "$WORK/$1/stage1.d"
    printf '%s\n' "$3" >"$WORK/$1/stage1.d/$2.json"
}

# run_configured [FLAG...]: with just the configuration of the case.
run_configured() {
    rkt --insecure-options=image --system-config="$WORK/system" --local-config="$WORK/local" run "$@" "${APP[@]}"
}

# What runs the last pod.
stage1_of() { sed -n 's/^Stage1=//p' "$DATA/pods/run/$(<"$WORK/uuid")/runtime-config"; }

stage1_json() { echo "{\"rktKind\":\"stage1\",\"rktVersion\":\"v1\"$1}"; }

case_runs_in_the_foreground() {
    stage1
    app one 'echo hello; ls /proc; echo end; exit 7'
    expect_status 7 run_image --uuid-file-save="$WORK/uuid"
    UUID=$(<"$WORK/uuid")
    expect_match "$OUT" '^stage1\[[0-9]+\]: hello' 'what was printed'
    # The stage1 mounts what it wants for the app: nothing.
    expect_equal 2 "$(wc -l <<<"$OUT")" 'lines'
    expect_equal exited "$(state_of)" state
    expect_equal 7 "$(app_status one)" 'status of the app'
    expect_contains "$(rkt status "$UUID")" stage1=example.com/stage1:1.0.6 'what status says'
    expect_contains "$(journalctl --output=cat -u "pod@$UUID")" hello 'the journal of the unit'
    expect_equal '' "$(mounts_of_rkt)" 'mounts'
    expect_equal '' "$(systemctl list-units --plain --no-legend "rkt-$UUID*")" 'units of apps'
}

case_good_end_is_no_failure() {
    stage1
    app one 'exit 0'
    expect_status 0 run_image --uuid-file-save="$WORK/uuid"
    UUID=$(<"$WORK/uuid")
    expect_equal 0 "$(app_status one)" 'status of the app'
    expect_equal inactive "$(systemctl is-active "pod@$UUID" || true)" 'the unit'
}

case_runs_detached() {
    stage1
    app one "$LIVES"
    start_image
    wait_for_journal ready
    expect_equal running "$(state_of)" state
    expect_equal active "$(systemctl is-active "pod@$UUID")" 'the unit'
    # Becomes the main process; its mounts are its own.
    expect_equal "$(property "pod@$UUID" MainPID) of $(property "pod@$UUID" MainPID)" "$(recorded pid)" 'the process'
    expect_equal '' "$(mounts_of_rkt)" 'mounts of the host'
    expect_equal "$(pod_directory)/stage1/rootfs/init" "$(recorded program)" 'the program'
    expect_equal "$(pod_directory)" "$(recorded directory)" 'the directory'
    expect_equal "$(pod_directory)/lock" "$(recorded lock)" 'the lock'
    expect_equal example.com/stage1 "$(recorded manifest)" 'the manifest'
    # The pod keeps what it uses of the image.
    expect_status 0 rkt image rm "$(sed -n 's/^Stage1ImageID=//p' "$(pod_directory)/runtime-config")"
    rkt image gc --grace-period=0s >/dev/null
    expect_equal '"'"$UUID"'"' "$(rkt stop "$UUID")" 'what stop prints'
    expect_equal exited "$(state_of)" state
    expect_equal inactive "$(systemctl is-active "pod@$UUID" || true)" 'the unit'
}

case_arguments_of_interface_6() {
    stage1 6
    app one 'exit 0'
    expect_status 0 rkt --debug --local-config=/etc/other --insecure-options=image,paths,seccomp run \
        --stage1-path="$STAGE1_FILE" --net=host --hostname=some.host --uuid-file-save="$WORK/uuid" "${APP[@]}"
    UUID=$(<"$WORK/uuid")
    expect_equal "--debug --net=host --local-config=/etc/other --hostname=some.host \
--dns-conf-mode=resolv=default,hosts=default --disable-paths --disable-seccomp --ipc=auto $UUID" \
        "$(recorded argument | paste -sd ' ')" 'the arguments'
    rkt rm "$UUID" 2>/dev/null
    expect_equal "$DATA/pods/exited-garbage/$UUID/stage1/rootfs/gc in $DATA/pods/exited-garbage/$UUID: \
--debug --local-config=/etc/other $UUID 1" "$(</run/rkt-test-gc)" 'how gc was run'
}

case_arguments_of_interface_1() {
    stage1 1
    app one 'exit 0'
    expect_status 0 run_image --uuid-file-save="$WORK/uuid" --hostname=some.host
    UUID=$(<"$WORK/uuid")
    expect_contains "$ERR" 'warning: ignored: --hostname: stage1 example.com/stage1:1.0.1 has interface version 1' 'the warning'
    expect_equal "--net=none --local-config=/etc/rkt $UUID" "$(recorded argument | paste -sd ' ')" 'the arguments'
    rkt rm "$UUID" 2>/dev/null
    expect_match "$(</run/rkt-test-gc)" ": $UUID 1\$" 'how gc was run'
}

case_stop_without_an_entry_point() {
    stage1
    app one "$LIVES"
    start_image
    wait_for_journal ready
    rkt stop "$UUID" >/dev/null
    expect_contains "$(rkt logs "$UUID")" ending 'the log'
    expect_equal exited "$(state_of)" state
    expect_match "$(app_status one)" '^[0-9]+$' 'status of the app'
}

case_stop_by_its_entry_point() {
    STAGE1_FILE=$WORK/stage1.aci
    make_stage1 "$STAGE1_FILE" 6 run=/init stop=/stop
    app one "$LIVES"
    start_image
    wait_for_journal ready
    expect_status 0 rkt stop "$UUID"
    expect_equal "$(pod_directory)/stage1/rootfs/stop in $(pod_directory): $UUID stage1/rootfs/opt/stage2/one/rootfs/bin" \
        "$(</run/rkt-test-stop)" 'how stop was run'
    expect_contains "$(rkt logs "$UUID")" asked 'the log'
    expect_equal exited "$(state_of)" state
    expect_equal inactive "$(systemctl is-active "pod@$UUID" || true)" 'the unit'
}

case_stop_by_systemctl_and_by_force() {
    stage1
    app one 'trap "" TERM; echo ready; while :; do sleep 1000; done'
    start_image
    wait_for_journal ready
    expect_status 0 rkt stop --force "$UUID"
    expect_equal exited "$(state_of)" state
    expect_equal 9 "$(app_status one)" 'status of the app'
    STAGE1_FILE=$WORK/stop.aci
    make_stage1 "$STAGE1_FILE" 6 run=/init stop=/stop
    start_image
    wait_for_journal ready
    expect_status 0 rkt stop --force "$UUID"
    expect_contains "$(</run/rkt-test-stop)" ": --force $UUID " 'how stop was run'
    expect_equal 9 "$(app_status one)" 'status of the app'
    stage1
    APP=()
    app one "$LIVES"
    start_image
    wait_for_journal ready
    systemctl stop "pod@$UUID"
    expect_equal exited "$(state_of)" state
    expect_equal inactive "$(systemctl is-active "pod@$UUID" || true)" 'the unit'
}

case_detached_failure() {
    stage1
    app one 'exit 6'
    start_image
    rkt status --wait=60s "$UUID" >/dev/null
    expect_equal 6 "$(app_status one)" 'status of the app'
    expect_equal failed "$(systemctl is-active "pod@$UUID" || true)" 'the unit'
}

case_interrupt_stops_the_pod() {
    stage1
    app one "$LIVES"
    env --default-signal=INT rkt --insecure-options=image run --stage1-path="$STAGE1_FILE" \
        --uuid-file-save="$WORK/uuid" "${APP[@]}" >"$WORK/output" &
    RKT_PID=$!
    wait_for_text "$WORK/output" ready "$RKT_PID"
    kill -INT "$RKT_PID"
    wait "$RKT_PID" || true
    UUID=$(<"$WORK/uuid")
    expect_equal exited "$(state_of)" state
    expect_contains "$(<"$WORK/output")" ending 'what was printed'
}

case_gc_failure_keeps_the_pod() {
    stage1
    app one 'exit 0'
    expect_status 0 run_image --uuid-file-save="$WORK/uuid"
    UUID=$(<"$WORK/uuid")
    echo 3 >/run/rkt-test-gc-status
    expect_status 254 rkt rm "$UUID"
    expect_contains "$ERR" 'the entry point gc of stage1 example.com/stage1:1.0.6 ended with status 3' 'the error'
    expect_contains "$ERR" 'cleaned by the stage1' 'what gc printed'
    expect_equal exited-garbage "$(find "$DATA/pods" -mindepth 2 -maxdepth 2 -name "$UUID" | cut -d/ -f6)" 'where the pod is'
    rm /run/rkt-test-gc-status /run/rkt-test-gc
    expect_status 0 rkt gc --grace-period=0s
    [[ -s /run/rkt-test-gc ]] || fail 'gc was not run again'
    expect_status 254 rkt status "$UUID"
}

case_temporary_pod_is_cleaned_up() {
    stage1
    app one 'exit 3'
    expect_status 3 run_image --rm --uuid-file-save="$WORK/uuid"
    expect_match "$(</run/rkt-test-gc)" "$(<"$WORK/uuid") 1\$" 'how gc was run'
    expect_equal '' "$(find "$DATA"/pods -mindepth 2 -maxdepth 2)" 'pods'
}

case_prepared_pod_that_never_ran_has_nothing_to_clean_up() {
    stage1
    UUID=$(rkt --insecure-options=image prepare --stage1-path="$STAGE1_FILE" "$(busybox)" --name=one)
    rkt rm "$UUID" >/dev/null
    [[ ! -e /run/rkt-test-gc ]] || fail 'gc was run'
}

case_exited_pod_starts_again() {
    stage1
    app one 'if [ -e /started ]; then echo again; exit 0; fi; echo >/started; exit 5'
    expect_status 5 run_image --uuid-file-save="$WORK/uuid"
    UUID=$(<"$WORK/uuid")
    expect_equal 5 "$(app_status one)" 'status of the app'
    systemctl start "pod@$UUID"
    wait_for_end
    expect_contains "$(rkt logs "$UUID")" again 'the log'
    expect_equal 0 "$(app_status one)" 'status of the app'
    expect_equal 2 "$(wc -l <"$(pod_directory)/stage1/upper/starts")" 'starts that the stage1 counted'
}

case_flags() {
    stage1
    local id
    app one 'exit 4'
    id=$(RKT fetch --full "$STAGE1_FILE" 2>/dev/null)
    expect_status 4 rkt run --stage1-hash="${id:0:20}" "${APP[@]}"
    expect_status 4 RKT run --stage1-name=example.com/stage1:1.0.6 "${APP[@]}"
    expect_status 4 RKT run --stage1-name=example.com/stage1 "${APP[@]}"
    # Any image can call itself so: nobody has vouched for this one.
    refused '--insecure-options=image' rkt run --stage1-name=example.com/stage1 "${APP[@]}"
    mkdir "$WORK/a b"
    cp "$STAGE1_FILE" "$WORK/a b/stage1.aci"
    expect_status 4 RKT run --stage1-url="file://$WORK/a%20b/stage1.aci" "${APP[@]}"
    # By rkt's own names.
    expect_status 4 rkt run --stage1-name=coreos.com/rkt/stage1-fly:1.30.0 --uuid-file-save="$WORK/uuid" "${APP[@]}"
    expect_equal fly "$(stage1_of)" 'the stage1'
    expect_status 4 rkt run --stage1-name=coreos.com/rkt/stage1-coreos:1.30.0 --uuid-file-save="$WORK/uuid" "${APP[@]}"
    expect_equal nspawn "$(stage1_of)" 'the stage1'
}

case_from_a_web_server() {
    local url=http://127.0.0.1:8080/stage1.aci
    stage1
    app one 'exit 4'
    cat >"$WORK/nginx.conf" <<END
daemon off;
user root;  # the directory of a case is root's alone
pid $WORK/nginx.pid;
events {}
http {
    access_log $WORK/asked;
    client_body_temp_path $WORK/tmp; proxy_temp_path $WORK/tmp; fastcgi_temp_path $WORK/tmp; uwsgi_temp_path $WORK/tmp;
    scgi_temp_path $WORK/tmp;
    server { listen 127.0.0.1:8080; root $WORK; }
}
END
    systemd-run --quiet --collect --unit=rkt-test-web nginx -e "$WORK/nginx.errors" -c "$WORK/nginx.conf"
    wait_for_port 8080
    refused 'not encrypted' rkt --insecure-options=image run --stage1-url="$url" "${APP[@]}"
    refused 'no signature at' rkt --insecure-options=http run --stage1-url="$url" "${APP[@]}"
    expect_status 4 rkt --insecure-options=http,image run --stage1-url="$url" --uuid-file-save="$WORK/uuid" "${APP[@]}"
    expect_contains "$(rkt status "$(<"$WORK/uuid")")" stage1=example.com/stage1:1.0.6 'what status says'
    systemctl stop rkt-test-web
    # It is fetched once.
    expect_status 4 rkt --insecure-options=http,image run --stage1-url="$url" "${APP[@]}"
    expect_equal 1 "$(grep -c 'GET /stage1.aci ' "$WORK/asked")" 'requests'
}

case_images_of_the_installation_need_no_signature() {
    local place
    place=$(dirname "$(dirname "$(readlink -f "$(command -v rkt)")")")/lib/rkt/stage1-images
    app one 'exit 4'
    stage1
    refused sign rkt run --stage1-path="$STAGE1_FILE" "${APP[@]}"
    mkdir "$place"
    cp "$STAGE1_FILE" "$place/some.aci"
    ln -s "$STAGE1_FILE" "$place/elsewhere.aci"
    expect_status 4 rkt run --stage1-from-dir=some.aci "${APP[@]}"
    expect_status 4 rkt run --stage1-path="$place/some.aci" "${APP[@]}"
    refused sign rkt run --stage1-from-dir=elsewhere.aci "${APP[@]}"
    refused sign rkt run --stage1-from-dir="../../../../..$STAGE1_FILE" "${APP[@]}"
    rm -r "$place"
}

case_refused() {
    local file=$WORK/other.aci
    stage1
    app one 'exit 0'
    refused 'no stage1: it is no ACI with the annotation coreos.com/rkt/stage1/run' \
        RKT run --stage1-path="$IMAGES/busybox.aci" "${APP[@]}"
    refused 'no stage1: it is no ACI' RKT run --stage1-path="$IMAGES/redis.oci" "${APP[@]}"
    refused "$WORK/missing.aci" RKT run --stage1-path="$WORK/missing.aci" "${APP[@]}"
    refused '"nonsense"' RKT run --stage1-name=nonsense "${APP[@]}"
    refused 'example.com/stage1' RKT run --stage1-hash=example.com/stage1 "${APP[@]}"
    refused 'no image IDs' RKT run --stage1-hash=sha512-ffffffff "${APP[@]}"
    refused 'its scheme must be file, http, https or docker' RKT run --stage1-url=ftp://example.com/a.aci "${APP[@]}"
    refused 'flags --stage1-path and --stage1-name are mutually exclusive' \
        RKT run --stage1-path="$STAGE1_FILE" --stage1-name=fly "${APP[@]}"
    refused '--stage1-name already used' RKT run --stage1-name=fly --stage1-name=fly "${APP[@]}"
    refused 'has no private users' RKT run --stage1-path="$STAGE1_FILE" --private-users "${APP[@]}"
    make_stage1 "$file" 6 run=init
    refused 'coreos.com/rkt/stage1/run of image "example.com/stage1:1.0.6" is no absolute path' \
        RKT run --stage1-path="$file" "${APP[@]}"
    make_stage1 "$file" six run=/init
    refused 'is no version: "six"' RKT run --stage1-path="$file" "${APP[@]}"
    expect_equal '' "$(find "$DATA"/pods -mindepth 2 -maxdepth 2)" 'pods'
}

case_entry_point_that_cannot_run_is_told() {
    STAGE1_FILE=$WORK/stage1.aci
    make_stage1 "$STAGE1_FILE" 6 run=/missing
    app one 'exit 0'
    expect_status 254 run_image --uuid-file-save="$WORK/uuid"
    UUID=$(<"$WORK/uuid")
    expect_match "$(journalctl --output=cat -u "pod@$UUID")" 'entry point .*/stage1/rootfs/missing: No such file' 'the journal'
    make_stage1 "$STAGE1_FILE" 6 run=/etc/no-program
    echo nonsense >"$WORK/stage1-tree/rootfs/etc/no-program"
    chmod +x "$WORK/stage1-tree/rootfs/etc/no-program"
    tar -C "$WORK/stage1-tree" -cf "$STAGE1_FILE" manifest rootfs
    expect_status 254 run_image --uuid-file-save="$WORK/uuid"
    expect_contains "$OUT" 'etc/no-program: Exec format error' 'what was printed'
    expect_equal '' "$(mounts_of_rkt)" 'mounts'
}

case_default_by_configuration() {
    app one 'exit 4'
    expect_status 4 run_configured --uuid-file-save="$WORK/uuid"
    expect_equal units "$(stage1_of)" 'without configuration'
    configure system 10 "$(stage1_json ',"name":"fly"')"
    expect_status 4 run_configured --uuid-file-save="$WORK/uuid" --net=default
    expect_equal fly "$(stage1_of)" 'of the system'
    configure local 10 "$(stage1_json ',"name":"coreos.com/rkt/stage1-coreos","version":"1.30.0"')"
    expect_status 4 run_configured --uuid-file-save="$WORK/uuid"
    expect_equal nspawn "$(stage1_of)" 'of this machine'
    stage1
    configure local 10 "$(stage1_json ',"name":"example.com/other","version":"1.0.0","location":"'"$STAGE1_FILE"'"')"
    expect_status 4 run_configured --uuid-file-save="$WORK/uuid"
    expect_equal image "$(stage1_of)" 'by its location'
    # One in the store is taken from there.
    configure local 10 "$(stage1_json ',"name":"example.com/stage1","version":"1.0.6","location":"/nowhere.aci"')"
    expect_status 4 run_configured --uuid-file-save="$WORK/uuid"
    expect_equal image "$(stage1_of)" 'by its name'
    configure user 10 "$(stage1_json ',"name":"units"')"
    expect_status 4 run_configured --user-config="$WORK/user" --uuid-file-save="$WORK/uuid"
    expect_equal units "$(stage1_of)" 'of the user'
    expect_status 4 run_configured --stage1-name=fly --uuid-file-save="$WORK/uuid"
    expect_equal fly "$(stage1_of)" 'with a flag'
}

case_default_configuration_directories() {
    app one 'exit 4'
    mkdir -p /etc/rkt/stage1.d
    stage1_json ',"name":"fly"' >/etc/rkt/stage1.d/test.json
    expect_status 4 rkt run --uuid-file-save="$WORK/uuid" "${APP[@]}"
    rm /etc/rkt/stage1.d/test.json
    rmdir /etc/rkt/stage1.d
    expect_equal fly "$(stage1_of)" 'the stage1'
}

case_wrong_configuration_is_refused() {
    app one 'exit 0'
    configure local 10 "$(stage1_json ',"location":"stage1.aci"')"
    refused "$WORK/local/stage1.d/10.json: default stage1 image location is either a relative path" run_configured
    configure local 10 '{"rktKind":"auth","rktVersion":"v1"}'
    refused "$WORK/local/stage1.d/10.json" run_configured
    configure local 10 '{"rktKind":"stage1","rktVersion":"v2"}'
    refused 'rktVersion "v2" is not known' run_configured
    configure local 10 "$(stage1_json ',"name":"fly"')"
    configure local 20 "$(stage1_json ',"name":"units"')"
    refused "$WORK/local/stage1.d/20.json: another file of the same directory gives a name too" run_configured
    # Which a flag makes nobody's business.
    expect_status 0 run_configured --stage1-name=units
}
