#!/usr/bin/env bash
# make_images.sh ROOT OUTPUT: makes the images that bench/images.sh fetches, of the files below ROOT/usr: the same files
# give the same images. Needs no network.
#
# OUTPUT/one     an OCI layout: three gzip layers, about 410 MB unpacked
# OUTPUT/two     one that shares the first two of them
# OUTPUT/third   the layer alone in which they differ
# OUTPUT/layers  the layers of `one`: 1.gz, 2.gz, 3.gz
set -euo pipefail

root=$1 output=$2
repository=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
# Bytes of the files in each layer.
size=130000000

work=$(mktemp -d -p "${output%/*}")
trap 'rm -rf "$work"' EXIT

# Few large files would be no image as others are.
(cd "$root" && find usr/bin usr/lib usr/share -xdev -type f -size -12000k -printf '%s\t%p\n') | LC_ALL=C sort -t $'\t' -k 2 |
    awk -F '\t' -v size="$size" -v out="$work" '
        BEGIN { layer = 1 }
        sum >= size { layer++; sum = 0 }
        layer > 4 { next }
        { sum += $1; print $2 > (out "/list-" layer) }'
for layer in 1 2 3 4; do
    mkdir "$work/$layer"
    [[ -s $work/list-$layer ]] || { echo "make_images.sh: $root is too small" >&2; exit 1; }
    tar -C "$root" -c --no-recursion --files-from="$work/list-$layer" | tar -C "$work/$layer" -x
done
echo '{"Cmd": ["/usr/bin/true"]}' >"$work/config.json"

pack() {
    local name=$1 layers=()
    shift
    for layer; do layers+=(--layer "$work/$layer"); done
    "$repository/scripts/oci_image.py" oci "$work/out/$name" --config "$work/config.json" --tag "$name" "${layers[@]}"
}

mkdir -p "$work/out/layers"
pack one 1 2 3
pack two 1 2 4
pack third 4
digests=$(jq -r '.manifests[0].digest | sub(":"; "/")' "$work/out/one/index.json")
number=0
while read -r digest; do
    cp "$work/out/one/blobs/$digest" "$work/out/layers/$((number += 1)).gz"
done < <(jq -r '.layers[].digest | sub(":"; "/")' "$work/out/one/blobs/$digests")
rm -rf "$output"
mv -T "$work/out" "$output"
