# shellcheck shell=bash
# Installing on a running system, and taking it away again.

# All that is there, but for what a system writes by itself, for what this test has brought, and for pods and images.
files() {
    inside find / /var -xdev \( -path /root -o -path /tmp -o -path /var/tmp -o -path /var/log -o -path /var/lib/rkt \
        -o -path /var/lib/systemd -o -path '/etc/g*shadow*' -o -path '/etc/group*' -o -path /etc/.pwd.lock \) -prune \
        -o -not -type d -print | sort
}

# install_script install|uninstall PREFIX: what `make` does there; the machine has no make(1).
install_script() {
    inside env PATH="/root/tools:/usr/bin:/usr/sbin:/bin:/sbin" RKT_BUILD=/root/build \
        /root/source/scripts/install.sh "$1" '' "$2" "$2/lib/systemd" "$2/share/man"
}

# The machine has neither strip(1) nor Python: programs are stripped already, and the pages made.
bring_source() {
    local source=$RKT_TEST_INSTALL/usr/local directory
    # shellcheck disable=SC2154 # of lib.bash
    directory=$(cd "$(dirname "$machine_program")/../.." && pwd)
    mkdir -p "$WORK/source" "$WORK/build" "$WORK/tools"
    cp -r "$directory/scripts" "$directory/units" "$directory/man" "$WORK/source/"
    cp "$source/bin/rkt" "$source/lib/rkt/pod-init" "$WORK/build/"
    # shellcheck disable=SC2016 # for the shell in there
    printf '#!/bin/sh\ncp "$3" "$2"\n' >"$WORK/tools/strip"
    # shellcheck disable=SC2016 # for the shell in there
    printf '#!/bin/sh\ncp /root/pages/rkt-*.1 "$3"/\n' >"$WORK/tools/python3"
    chmod +x "$WORK/tools/strip" "$WORK/tools/python3"
    machine copy-in "$RKT_MACHINE" "$source/share/man/man1" /root/pages
    for directory in source build tools; do
        machine copy-in "$RKT_MACHINE" "$WORK/$directory" "/root/$directory"
    done
}

case_install_and_uninstall() {
    local prefix status before
    bring_source
    inside rkt image rm "$BUSYBOX" >/dev/null
    install_script uninstall /usr/local
    inside sed -i /^rkt:/d /etc/group /etc/gshadow
    expect_equal '' "$(inside find /usr/local -type f)" 'what came with the machine'
    before=$(files)
    for prefix in /usr/local /usr; do
        install_script install "$prefix"
        expect_equal "$prefix/bin/rkt" "$(shell 'command -v rkt')" 'the program'
        # Where /lib is a link to usr/lib, 252 finds it there.
        expect_equal "$prefix/lib/systemd/system/pod@.service" "$(shell 'readlink -f "$(systemctl show \
            --property=FragmentPath --value pod@00000000-0000-4000-8000-000000000000)"')" 'the template'
        expect_equal 'enabled active' "$(shell 'echo $(systemctl is-enabled rkt-gc.timer; systemctl is-active rkt-gc.timer)')" \
            'the timer'
        expect_equal 'rkt 2750' "$(inside stat --format='%G %a' /var/lib/rkt/pods)" 'the directory of pods'
        BUSYBOX=$(inside rkt --insecure-options=image fetch --full /root/images/busybox.aci 2>/dev/null)
        status=0
        inside rkt --insecure-options=image run --net=none "$BUSYBOX" --name=one --exec=/bin/sh -- -c 'echo hello; exit 5' \
            >"$WORK/output" || status=$?
        expect_equal 5 "$status" "status of a pod under $prefix"
        expect_contains "$(<"$WORK/output")" hello 'its output'
        inside systemctl reset-failed
        inside systemctl start rkt-gc.service
        expect_clean
        install_script uninstall "$prefix"
        expect_equal "$before" "$(files)" "files after the uninstall of $prefix"
        expect_equal '' "$(inside systemctl list-units --all --plain --no-legend 'pod@*' 'rkt*')" 'units'
        expect_equal running "$(inside systemctl is-system-running)" 'the system'
    done
}
