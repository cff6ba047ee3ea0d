#!/usr/bin/env bash
# Stream segment files into the buffer, some at once.
set -eu
# shellcheck source=client/shell/twin.sh
. "$(dirname "$0")/twin.sh"

usage() {
    cat <<END
usage: streamdata.sh [-c CHANNEL] [-j JOBS] FILE...
  Each FILE is a segment {"h":[samples],"t":[t0,dt]}, or with a time for each
  sample. One line a file says what became of it.
  -c CHANNEL   its payload type (default strain)
  -j JOBS      how many at once (default 3)

  ./streamdata.sh -c L1:STRAIN segments/*.json

SRV is the URL of /streamdata (default: DS_BURL or http://localhost:5000, and
/streamdata). Each call stores each file once, however often it is tried again;
another call stores it again.
CONDSTORE_TOKEN or CONDSTORE_TOKEN_FILE says who asks, if it wants to know.
Exit status: 0 all are stored; 1 some are not (frozen, refused, nobody there);
2 used wrongly.
END
}

channel='' jobs=3
while getopts c:j:h option; do
    case $option in
        c) channel=$OPTARG ;;
        j) jobs=$OPTARG ;;
        h) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || misused 'which files?'
case $jobs in
    '' | *[!0-9]* | 0* | ????*) misused "-j $jobs: a number from 1 to 999" ;;
esac
case $channel in
    *[!A-Za-z0-9_.:+~-]*) misused "-c $channel: letters, digits and _.:+~- only" ;;
esac
for file in "$@"; do
    [ -f "$file" ] || misused "$file is not a file"
done

url=${SRV:-$base/streamdata}
[ -z "$channel" ] || url="$url?type=${channel//+/%2B}"
answers=$(mktemp -d)
trap 'rm -rf "$answers"' EXIT
key=$(fresh_key)

# The transfers of some files, as one configuration: a command line has an end, and is no secret.
transfers() {
    local file at=$number
    for file in "$@"; do
        [ "$at" -eq "$number" ] || printf 'next\n'
        at=$((at + 1))
        transfer
        printf 'header = "Idempotency-Key: %s-%s"\n' "$key" "$at"
        printf 'data-binary = %s\n' "$(quoted "@$file")"
        printf 'output = %s\nurl = %s\n' "$(quoted "$answers/$at")" "$(quoted "$url")"
    done
}

# Answers are said some at a time.
readonly SOME=200
number=0 failed=0
beware "$url"
while [ $# -gt 0 ]; do
    here=("${@:1:SOME}")
    shift "${#here[@]}"
    # Which of them failed is told by the answers below, one by one.
    curl --parallel --parallel-max "$jobs" --config <(transfers "${here[@]}") || true
    for file in "${here[@]}"; do
        number=$((number + 1))
        said=$(cat "$answers/$number" 2>/dev/null || true)
        says CREATED "$said" || failed=$((failed + 1))
        printf '%s: %s\n' "$file" "${said:-no answer}"
        rm -f "$answers/$number"
    done
done
if [ "$failed" -gt 0 ]; then
    printf 'streamdata.sh: %s of %s files are not stored\n' "$failed" "$number" >&2
    exit 1
fi
