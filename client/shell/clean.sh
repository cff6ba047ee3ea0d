#!/usr/bin/env bash
# Archive what the streaming buffer holds and open it again.
set -eu
# shellcheck source=client/shell/twin.sh
. "$(dirname "$0")/twin.sh"

usage() {
    cat <<END
usage: clean.sh [MESSAGE]
  {"resp":"CLEANED","body":"Buffer cleaned"}, or {"resp":"FS ERR",...}
  Nothing is lost: the files are archived, the tag is kept frozen.

  ./clean.sh 'next training set'

DS_BURL is the service (default http://localhost:5000).
CONDSTORE_TOKEN or CONDSTORE_TOKEN_FILE says who asks, if it wants to know.
Exit status: 0 cleaned; 1 its volume failed; 2 used wrongly; else curl's:
7 nobody is there, 22 refused.
END
}

while getopts h option; do
    case $option in
        h) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -le 1 ] || misused "one message, not $#"

message=$(json_string "${1:-clean}")
post /cleanbuf <<<"{\"msg\":$message}"
says CLEANED "$answer"
