# What the twin's scripts share: where the service is, and one way to ask it. Sourced, not run.
# shellcheck shell=bash

export LC_ALL=C # what a letter is depends on nothing else

# The service, without a last slash: DS_BURL as the twin's pods have it, or CONDSTORE_URL's first.
base=${DS_BURL:-${CONDSTORE_URL:-http://localhost:5000}}
base=${base%%,*}
base=${base%/}

# Who asks: CONDSTORE_TOKEN, or the first line of CONDSTORE_TOKEN_FILE. It is handed to curl as a
# configuration through a pipe: on its command line all users of the machine could read it.
bearer=${CONDSTORE_TOKEN:-}
no_token() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit 2
}
if [ -n "${CONDSTORE_TOKEN_FILE:-}" ]; then
    [ -z "$bearer" ] || no_token 'CONDSTORE_TOKEN and CONDSTORE_TOKEN_FILE are both set; one is enough'
    IFS= read -r bearer <"$CONDSTORE_TOKEN_FILE" || [ -n "$bearer" ] ||
        no_token "CONDSTORE_TOKEN_FILE=$CONDSTORE_TOKEN_FILE holds no token"
    bearer=${bearer%$'\r'}
fi
case $bearer in
    *[![:graph:]]* | *[\"\\]*) no_token 'CONDSTORE_TOKEN has characters that no token has' ;;
esac

# Say once that a token may be read on its way to another machine.
beware() {
    case $1 in
        https:* | http://localhost | http://localhost[:/]* | http://127.* | 'http://[::1]'*) ;;
        *)
            [ -z "$bearer" ] || printf '%s: the token goes over plain http to %s: %s\n' \
                "${0##*/}" "$1" 'give an https:// URL (CONDSTORE_CA for a CA of your own)' >&2
            ;;
    esac
}

# Write a text as curl's configurations quote it.
quoted() {
    local text=${1//\\/\\\\}
    text=${text//\"/\\\"}
    printf '"%s"' "${text//$'\n'/\\n}"
}

# The configuration of one transfer, for `curl --config <(transfer)`. A failure has curl's own status
# (22: the service said no, 7: nobody is there), its body is shown. What is tried again carries the
# same Idempotency-Key, so that it is done once.
transfer() {
    printf '%s\n' silent show-error no-progress-meter fail-with-body 'connect-timeout = 5' \
        'max-time = 120' 'retry = 3' retry-connrefused 'header = "Content-Type: application/json"'
    [ -z "$bearer" ] || printf 'header = "Authorization: Bearer %s"\n' "$bearer"
    [ -z "${CONDSTORE_CA:-}" ] || printf 'cacert = %s\n' "$(quoted "$CONDSTORE_CA")"
}

# Print one complaint and how the script is used; exit status 2.
misused() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    usage >&2
    exit 2
}

# Write a text as JSON writes it.
json_string() {
    case $1 in
        *[[:cntrl:]]*) misused 'control characters are not taken' ;;
    esac
    printf '%s' "$1" | sed 's/[\\"]/\\&/g; s/^/"/; s/$/"/'
    [ -n "$1" ] || printf '""'
}

# A key of this call alone: its retries are one act, the next call is another.
fresh_key() {
    printf 'shell-%s' "$(cat /proc/sys/kernel/random/uuid)"
}

# Ask; print the last answer, which is in `answer` too. It is written to a file meanwhile, for curl
# cannot take back from a pipe what an attempt before it has said.
ask() {
    local status=0 file
    beware "$base"
    file=$(mktemp)
    curl --config <(transfer) --output "$file" "$@" || status=$?
    answer=$(cat "$file")
    rm -f "$file"
    [ -z "$answer" ] || printf '%s\n' "$answer"
    return "$status"
}

# POST the standard input to a path.
post() {
    ask --header "Idempotency-Key: $(fresh_key)" --data-binary @- "$base$1"
}

# Whether an answer says that in `resp`.
says() {
    printf '%s' "$2" | grep -Eq "\"resp\": ?\"$1\""
}
