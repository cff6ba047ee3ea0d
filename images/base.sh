#!/usr/bin/env bash
# Make a stand-in for the base image, under its very name, where no registry can be reached: the
# same Debian release with its own Python, laid out as the official image is.
# It is kept in var/images; FRESH=1 makes it anew.
set -euo pipefail
cd "$(dirname "$0")/.."
. images/storage.sh
release=${BASE##*-}
python=python$(sed -E 's/.*python:([0-9]+\.[0-9]+).*/\1/' <<<"$BASE")

[ -n "${FRESH:-}" ] || ! store inspect --type image "$BASE" >/dev/null 2>&1 || exit 0
mkdir -p "$STORE"
root=$(mktemp -d "$STORE/base-XXXXXX")
trap 'rm -rf "$root"' EXIT

echo "images: making $BASE from Debian's packages (a minute or two)"
debootstrap --variant=minbase --include="$python,python3-pip-whl,ca-certificates,netbase,tzdata" \
    "$release" "$root" >"$STORE/debootstrap.log" || { tail -3 "$STORE/debootstrap.log" >&2; exit 1; }

# The official image has Python and pip below /usr/local, and lets pip install there.
local=$root/usr/local/lib/$python
rm -rf "$local/dist-packages" "$root/usr/lib/$python/EXTERNALLY-MANAGED"
mkdir -p "$local/site-packages"
ln -s site-packages "$local/dist-packages"
for name in python python3; do ln -sf "/usr/bin/$python" "$root/usr/local/bin/$name"; done
wheel=$(basename "$root"/usr/share/python-wheels/pip-*.whl)
chroot "$root" /usr/local/bin/python "/usr/share/python-wheels/$wheel/pip" install --quiet \
    --root-user-action ignore --no-cache-dir --no-index "/usr/share/python-wheels/$wheel"
chroot "$root" dpkg --purge python3-pip-whl >/dev/null
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/usr/share/{doc,man,locale}

tar -C "$root" -cf "$root.tar" .
trap 'rm -rf "$root" "$root.tar"' EXIT
container=$(store from scratch)
store add --quiet "$container" "$root.tar" / >/dev/null
store config --env PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin --env LANG=C.UTF-8 \
    --cmd python3 "$container"
store commit --quiet --rm "$container" "$BASE" >/dev/null
