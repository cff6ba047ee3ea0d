# Sourced: where the images made here are kept, apart from those of an engine that may be installed.
STORE="$PWD/var/images"
BASE=$(sed -n 's/^ARG BASE=//p' Dockerfile.buffer)

store() {
    buildah --storage-driver vfs --root "$STORE/storage" --runroot "$STORE/run" "$@"
}
