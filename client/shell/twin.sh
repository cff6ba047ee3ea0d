# What the twin's scripts share: where the service is, and one way to ask it. Sourced, not run.
# shellcheck shell=bash

export LC_ALL=C # what a letter is depends on nothing else

# The service, without a last slash: DS_BURL as the twin's pods have it, or CONDSTORE_URL's first.
base=${DS_BURL:-${CONDSTORE_URL:-http://localhost:5000}}
base=${base%%,*}
base=${base%/}

# A failure has curl's own status (22: the service said no, 7: nobody is there), its body is shown.
# What is tried again carries the same Idempotency-Key, so that it is done once.
curl_options=(
    --silent --show-error --no-progress-meter --fail-with-body --connect-timeout 5 --max-time 120
    --retry 3 --retry-connrefused --header 'Content-Type: application/json'
)

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
    file=$(mktemp)
    curl "${curl_options[@]}" --output "$file" "$@" || status=$?
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
