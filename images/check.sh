#!/usr/bin/env bash
# Build the images and run them for real, where there is neither a registry nor an engine.
set -euo pipefail
cd "$(dirname "$0")/.."
bash images/tools.sh
bash images/base.sh
bash images/build.sh
echo "images: running them"
# A network of their own, so that the ports the images have are free; and mounts of our own, so that
# crun, which takes either version of cgroups and not both, sees one where the machine has both.
exec unshare --net --mount bash -c '
    ! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified
    exec "$@"' - \
    "${PYTHON:-python3}" -m pytest -q -p no:cacheprovider -o pythonpath="images tests" -o testpaths= images "$@"
