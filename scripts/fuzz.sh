#!/usr/bin/env bash
# Fuzzes what reads bytes of others, with libFuzzer and the sanitizers.
set -euo pipefail

usage() {
    cat <<'END'
Usage: fuzz.sh [--seconds N] [TARGET...]

Runs the targets one after the other, each for N seconds (default: 75, all together ten minutes), on their kept corpora
in Tests/Fuzz/Corpus. What it finds on the way is added to .build/fuzz/corpus; an input that breaks a target is kept in
.build/fuzz/finds, and belongs into the kept corpus with the fix. Fails if there was one.

  --list       name the targets
  --minimize   instead of fuzzing, replace the kept corpora with the smallest that reach as much

The target `unpacker` unpacks tars as root, in a mount namespace where all but its own directory is read-only.
END
}

cd "$(dirname "$(readlink -f "$0")")/.."
work=$PWD/.build/fuzz
corpus=$PWD/Tests/Fuzz/Corpus

main() {
    local seconds=75 targets=() target failed=0 minimize=false
    while (($# > 0)); do
        case $1 in
            -h | --help) usage; return ;;
            --list) list; return ;;
            --minimize) minimize=true ;;
            --seconds) seconds=${2:?}; shift ;;
            -*) usage >&2; return 2 ;;
            *) targets+=("$1") ;;
        esac
        shift
    done
    ((${#targets[@]} > 0)) || mapfile -t targets < <(list)
    mkdir -p "$work/corpus" "$work/finds"
    build "${targets[@]}"
    for target in "${targets[@]}"; do
        if $minimize; then
            minimize "$target"
        else
            echo "== $target, $seconds s"
            fuzz "$target" "$seconds" || failed=1
        fi
    done
    return $failed
}

# A target is called after its corpus.
list() { ls "$corpus"; }

build() {
    local target
    for target; do
        [[ -d $corpus/$target ]] || { echo "no target $target; there are: $(list | xargs)" >&2; return 2; }
    done
    if [[ " $* " == *' unpacker '* ]]; then
        # The file that is compiled includes the parts it looks into.
        # shellcheck disable=SC2046
        "$(dirname "$(readlink -f "$(command -v swift)")")/clang" -g -O1 -Wall -Wno-nullability-completeness \
            -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -fuse-ld=lld \
            -ISources/CLinux -ISources/CLinux/include -o "$work/unpacker" Tests/Fuzz/Unpacker/unpack_fuzz.c \
            $(find Sources/CLinux -name '*.c' ! -name unpack.c ! -name unpack_files.c) -ldl
    fi
    if [[ " $* " != ' unpacker ' ]]; then
        RKT_FUZZ=1 swift build --scratch-path "$work/build" --product rkt-fuzz \
            -Xswiftc -sanitize=fuzzer,address -Xswiftc -use-ld=lld
    fi
}

# run TARGET OPTION...: libFuzzer over a target.
run() {
    local target=$1
    shift
    # A crash is libFuzzer's to report: Swift's own look into it takes minutes. What libraries leave is no bug of ours.
    export SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0 TMPDIR=$work
    if [[ $target != unpacker ]]; then
        "$work/build/debug/rkt-fuzz" "$target" "$@"
        return
    fi
    mkdir -p "$work/tree"
    # shellcheck disable=SC2016
    RKT_FUZZ_TREE=$work/tree unshare --mount --propagation private sh -ec '
        work=$1
        shift
        mount --bind "$work" "$work"
        mount -t tmpfs -o mode=700,size=256m tree "$work/tree"
        mount -o remount,bind,ro /
        exec "$work/unpacker" "$@"' sh "$work" "$@"
}

fuzz() {
    local target=$1 seconds=$2
    mkdir -p "$work/corpus/$target"
    run "$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=512 -max_len=65536 \
        -print_final_stats=1 -verbosity=1 -artifact_prefix="$work/finds/$target-" \
        "$work/corpus/$target" "$corpus/$target" >"$work/$target.log" 2>&1 ||
        { tail -n 40 "$work/$target.log"; echo "FAILED  $target: see $work/finds"; return 1; }
    sed -nE 's/^stat::(number_of_executed_units|new_units_added|peak_rss_mb): */  \1 /p' "$work/$target.log"
}

minimize() {
    local target=$1
    rm -rf "$work/minimized"
    mkdir -p "$work/minimized" "$work/corpus/$target"
    run "$target" -merge=1 -max_len=65536 "$work/minimized" "$corpus/$target" "$work/corpus/$target" >"$work/$target.log" 2>&1
    rm -f "${corpus:?}/$target"/*
    cp "$work/minimized"/* "$corpus/$target/"
    echo "$target: $(find "$corpus/$target" -type f | wc -l) inputs"
}

main "$@"
