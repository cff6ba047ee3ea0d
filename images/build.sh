#!/usr/bin/env bash
# Build every image. Packages come from the index this machine's pip is configured with, by way of a
# directory of wheels that is kept in var/images; neither it nor the configuration gets into an image.
set -euo pipefail
cd "$(dirname "$0")/.."
. images/storage.sh
secret=$(mktemp)
trap 'rm -f "$secret"' EXIT

# With the base's own Python, which is the one that knows what fits it.
echo "images: fetching wheels"
wheels=$STORE/wheels
mkdir -p "$wheels"
${PYTHON:-python3} images/pip_conf.py >"$secret"
mounts=(--volume "$wheels:/mnt" --volume "$PWD/lock:/media:ro" --volume "$secret:/etc/pip.conf:ro")
while read -r path; do mounts+=(--volume "$path:$path:ro"); done < <(${PYTHON:-python3} images/pip_conf.py --paths)
fetching=$(store from --pull-never "$BASE")
for lock in build buffer logic client producer; do
    store run --isolation chroot "${mounts[@]}" "$fetching" -- pip download --quiet --dest /mnt --no-cache-dir \
        --only-binary :all: --require-hashes --no-deps -r "/media/$lock.txt" 2>"$STORE/wheels.log" \
        || { tail -5 "$STORE/wheels.log" >&2; exit 1; }
done
store rm "$fetching" >/dev/null
printf '[global]\nno-index = true\nfind-links = /mnt\n' >"$secret"

# What the images are labelled with.
about=(
    --build-arg "VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)"
    --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)"
    --build-arg "CREATED=$(date -u +%Y-%m-%dT%H:%M:%SZ)"
)

build() {
    local name=$1 file=$2 log=$STORE/$1.log
    shift 2
    echo "images: building $name"
    store build-using-dockerfile --isolation chroot --format docker --pull-never --volume "$wheels:/mnt:ro" \
        --secret "id=pip,src=$secret" "${about[@]}" "$@" --file "$file" --tag "$name" . >"$log" 2>&1 \
        || { tail -20 "$log" >&2; exit 1; }
}

build condstore-databuffer Dockerfile.buffer
build condstore-logic Dockerfile.logic
build condstore-client Dockerfile.client --target client
build condstore-producer Dockerfile.client --target producer
store rmi --prune >/dev/null  # what these replaced
