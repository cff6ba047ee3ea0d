#!/usr/bin/env bash
# What the streaming buffer holds.
set -eu
# shellcheck source=client/shell/twin.sh
. "$(dirname "$0")/twin.sh"

usage() {
    cat <<END
usage: stats.sh [-d | -f]
  without options   {"n_itm":<files>,"buff_size":<bytes>}
  -d                {"resp":"OPERATIONAL"} or {"resp":"FROZEN"}
  -f                {"nmlist":[<files>]}

  DS_BURL=http://datastore:5000 ./stats.sh

DS_BURL is the service (default http://localhost:5000).
CONDSTORE_TOKEN or CONDSTORE_TOKEN_FILE says who asks, if it wants to know.
Exit status: 0; 2 used wrongly; else curl's: 7 nobody is there, 22 refused.
END
}

path=/stats
while getopts dfh option; do
    case $option in
        d) path=/desc ;;
        f) path=/dumpbuf ;;
        h) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -eq 0 ] || misused "what is $1?"

ask "$base$path"
