#!/usr/bin/env bash
# A shell in a booted test machine that has the built rkt and the test images.
set -euo pipefail

case ${1:-} in
    -h | --help)
        cat <<'EOF'
Usage: shell.sh [SUITE]

Boots a machine of the suite (default: trixie), installs rkt, puts the test images into /root/images and gives a
shell in it. The machine is removed when the shell ends.
EOF
        exit
        ;;
esac

source_directory=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
machine=$source_directory/Tests/Machine/machine

if [[ ${1:-} == --inside ]]; then
    "$source_directory/scripts/test.sh" --copy-images
    echo "In $RKT_MACHINE: rkt is installed, test images are in /root/images, 'exit' removes the machine."
    exec "$machine" shell "$RKT_MACHINE"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
make --no-print-directory -C "$source_directory" install DESTDIR="$work" >/dev/null
"$machine" with --suite "${1:-trixie}" --install "$work" -- "$0" --inside
