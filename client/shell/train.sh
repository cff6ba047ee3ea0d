#!/usr/bin/env bash
# Freeze the streaming buffer for training, if it holds enough.
set -eu
# shellcheck source=client/shell/twin.sh
. "$(dirname "$0")/twin.sh"

usage() {
    cat <<END
usage: train.sh [-u USER]
  {"resp":"FROZEN","n_f":<files>,"bt_wrt":<bytes>}, also if it is frozen already;
  {"resp":"WAITING"} while it holds less than MAX_SIZE bytes

  TOKEN=\$(cat token) ./train.sh -u alice
  until ./train.sh || [ \$? -ne 1 ]; do sleep 60; done

USER and TOKEN say who freezes it; the token is not kept. It is taken from the
environment only, where others do not see it. DS_BURL is the service (default
http://localhost:5000).
CONDSTORE_TOKEN or CONDSTORE_TOKEN_FILE says who asks, if it wants to know.
Exit status: 0 frozen; 1 waiting; 2 used wrongly; else curl's: 7 nobody is
there, 22 refused.
END
}

user=${USER:-shell}
while getopts u:h option; do
    case $option in
        u) user=$OPTARG ;;
        h) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -eq 0 ] || misused "what is $1?"

who=$(json_string "$user")
token=$(json_string "${TOKEN:-shell}")
post /train <<<"{\"user\":$who,\"token\":$token}"
says FROZEN "$answer"
