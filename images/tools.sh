#!/usr/bin/env bash
# What building and running images without an engine takes: buildah, crun and debootstrap, and root,
# for file systems are mounted. Debian's packages are installed where that is allowed.
set -euo pipefail

[ "$(id -u)" = 0 ] || { echo "images: building and running images here needs root" >&2; exit 1; }
missing=()
for tool in buildah crun debootstrap; do
    command -v "$tool" >/dev/null || missing+=("$tool")
done
[ ${#missing[@]} -gt 0 ] || exit 0
command -v apt-get >/dev/null || { echo "images: missing ${missing[*]}, and no apt-get to install them" >&2; exit 1; }
echo "images: installing ${missing[*]}"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
