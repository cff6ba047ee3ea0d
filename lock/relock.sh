#!/usr/bin/env bash
# Resolve pyproject.toml anew. dev.txt is the one resolution; what the images install are
# subsets of it, so that no image ever runs a version the tests have not.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v uv >/dev/null || { echo "relock: needs uv (pip install uv)" >&2; exit 1; }

compile() {
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-annotate --no-header "$@"
}

# What one tier needs, and tracing, which nobody can add to an image that is read-only; nothing else:
# an image has no use for what the library needs.
tier() {
    python3 -c 'import sys, tomllib
extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]
print(*extras[sys.argv[1]], *extras["tracing"], sep="\n")' "$1"
}

compile pyproject.toml --upgrade --extra servers --extra tracing --extra demo --extra dev -o lock/dev.txt
compile pyproject.toml --constraints lock/dev.txt -o lock/client.txt
compile pyproject.toml --constraints lock/dev.txt --extra demo -o lock/producer.txt
python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
    | compile - --constraints lock/dev.txt -o lock/build.txt
for part in buffer logic; do
    tier "$part" | compile - --constraints lock/dev.txt -o "lock/$part.txt"
done
# Airflow brings much; its environment has it beside the very versions the other tests run with.
compile pyproject.toml --extra servers --extra airflow --extra dev --constraints lock/dev.txt \
    -o lock/airflow.txt
