#!/usr/bin/env bash
# Make sure the given interpreter is new enough and can create virtual environments;
# on a bare Debian, where that module is a package of its own, install it if we may.
set -euo pipefail
python=${1:-python3}

command -v "$python" >/dev/null || { echo "setup: $python not found: install Python 3.11 or newer" >&2; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "setup: $("$python" --version) is too old: condstore needs Python 3.11 or newer (make PYTHON=/path/to/python3.11)" >&2
    exit 1
}
"$python" -c 'import ensurepip, venv' 2>/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "setup: installing python3-venv"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
else
    echo "setup: $python cannot make virtual environments: sudo apt-get install python3-venv" >&2
    exit 1
fi
