# shellcheck shell=bash
# How a case of the system tests ends, in a machine or outside of it; its last word is in $WORK/why.

fail() {
    printf '%s\n' "$*" >"$WORK/why"
    exit 1
}

skip() {
    printf '%s\n' "$*" >"$WORK/why"
    exit 77
}

# Whatever fails without a word of its own: the command and where it stands.
say_where() {
    local status=$? line=$1 command=$2
    [[ -s $WORK/why ]] || printf 'line %s: %s (status %s)\n' "$line" "${command%%$'\n'*}" "$status" >"$WORK/why"
}

expect_equal() {
    [[ $2 == "$1" ]] || fail "${3:-value}: got '$2' instead of '$1'"
}

expect_contains() {
    [[ $1 == *"$2"* ]] || fail "${3:-text} has no '$2': $1"
}
