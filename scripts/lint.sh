#!/usr/bin/env bash
# Checks what a machine can check about the source, changing nothing.
# The checks are called by name, which older shellchecks do not see.
# shellcheck disable=SC2317
set -euo pipefail

usage() {
    cat <<'EOF'
Usage: lint.sh

Checks the formatting of the Swift code, the directions of imports, the shell scripts, the manual pages, and the
white space of all files.
EOF
}

case ${1:-} in
    -h | --help) usage; exit ;;
    '') ;;
    *) usage >&2; exit 2 ;;
esac

cd "$(dirname "$(readlink -f "$0")")/.."
failed=0

# step WHAT COMMAND...: all steps run, so that one look shows all.
step() {
    local what=$1
    shift
    if "$@"; then
        echo "ok      $what"
    else
        echo "FAILED  $what"
        failed=1
    fi
}

swift_format() { swift format lint --strict --recursive --parallel Sources Tests; }

shell_scripts() {
    local scripts
    mapfile -t scripts < <({
        git ls-files '*.sh' '*.bash' .ci/run
        git grep -lE '^#!(/usr/bin/env bash|/bin/(ba)?sh)'
    } | sort -u)
    shellcheck --external-sources "${scripts[@]}"
}

python_scripts() { git ls-files -z '*.py' | xargs -0 -r python3 -W error -c '
import ast, sys
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        ast.parse(file.read(), path)
'; }

# Style, but for references to pages that are not installed here.
manual_pages() {
    local page complaints=''
    for page in man/*.[1-8]; do
        complaints+=$(mandoc -T lint -W style "$page" 2>&1 |
            grep -vE 'referenced manual not found|outdated mandoc.db' || true)
    done
    [[ -z $complaints ]] || { echo "$complaints"; return 1; }
}

white_space() {
    ! git grep -nIE '[[:space:]]+$' -- ':!Tests/Fixtures' ':!LICENSE' &&
        ! git grep -nIP '\t' -- '*.swift' '*.sh' '*.bash' '*.py'
}

step 'format of the Swift code' swift_format
step 'directions of imports, forbidden calls, sizes' scripts/check-imports.py
step 'shell scripts' shell_scripts
step 'Python scripts' python_scripts
step 'manual pages' manual_pages
step 'white space' white_space
exit $failed
