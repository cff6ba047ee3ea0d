#!/usr/bin/env bash
# Resolve pyproject.toml anew. dev.txt is the one resolution; what the images install are
# subsets of it, so that no image ever runs a version the tests have not.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v uv >/dev/null || { echo "relock: needs uv (pip install uv)" >&2; exit 1; }

compile() {
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-annotate --no-header pyproject.toml "$@"
}

compile --upgrade --extra buffer --extra logic --extra client --extra demo --extra dev -o lock/dev.txt
for part in buffer logic client; do
    compile --extra "$part" --constraints lock/dev.txt -o "lock/$part.txt"
done
# Airflow brings much; its environment has it beside the very versions the other tests run with.
compile --extra buffer --extra logic --extra airflow --extra dev --constraints lock/dev.txt \
    -o lock/airflow.txt
