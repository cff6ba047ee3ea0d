# Every variable of condstore with its default and why one would change it.
#
#   . ./envsetup.sh                           # what is set already stays as it is
#   VOLUME_ROOT=/data/volume; . ./envsetup.sh # set before, so that the paths below it follow
#
# Source it, in any POSIX shell; do not run it. Twice is harmless. It holds no secrets. The servers and
# the client have the same defaults built in, so nothing here is needed to start them.

# -- databuffer: python -m databuffer --------------------------------------------------------------

# Where it listens; `:8080` is every interface.
: "${SERVURL:=127.0.0.1:8080}"; export SERVURL
# The volume: everything that must survive lies below it.
: "${VOLUME_ROOT:=var/volume}"; export VOLUME_ROOT
# The buffer's counters and state, small and often rewritten.
: "${ADMROOT:=$VOLUME_ROOT/adm}"; export ADMROOT
# File of the counters n_itm and buff_size.
: "${ADMFNM:=StatDesc.json}"; export ADMFNM
# File of the state OPERATIONAL or FROZEN.
: "${DSST:=Dsstat.json}"; export DSST
# The data volume: blobs, streamed files and archives share it, so that publishing is a link.
: "${DTVOLROOT:=$VOLUME_ROOT}"; export DTVOLROOT
# The streamed files now in the buffer; other pods mount this.
: "${DATAROOT:=$DTVOLROOT/data}"; export DATAROOT
# What the names of streamed files begin with.
: "${DATANM:=gwb}"; export DATANM
# The log of streamed files.
: "${LOGROOT:=$VOLUME_ROOT/log}"; export LOGROOT
# Its file.
: "${LOGSTREAM:=LogStream.json}"; export LOGSTREAM
# Payloads by digest; on the data volume.
: "${BLOBROOT:=$DTVOLROOT/blobs}"; export BLOBROOT
# The ledger: the state of the whole system. The fastest disk helps here.
: "${LEDGERROOT:=$VOLUME_ROOT/ledger}"; export LEDGERROOT
# Small named JSON documents.
: "${STATEROOT:=$VOLUME_ROOT/state}"; export STATEROOT
# Segment and blob writes in flight at once; more only if the disk takes more.
: "${WCHSZ:=32}"; export WCHSZ
# Seconds a write waits for one of these places before 503.
: "${WRITE_WAIT:=10}"; export WRITE_WAIT
# Largest payload, bytes (4 GiB).
: "${MAX_BLOB_BYTES:=4294967296}"; export MAX_BLOB_BYTES
# Largest streamed segment, bytes (16 MiB); both tiers refuse a larger one.
: "${MAX_SEGMENT_BYTES:=16777216}"; export MAX_SEGMENT_BYTES
# Largest ledger entry, bytes (64 MiB: thousands of IOVs in one decision).
: "${MAX_ENTRY_BYTES:=67108864}"; export MAX_ENTRY_BYTES
# Largest state document, bytes.
: "${MAX_STATE_BYTES:=1048576}"; export MAX_STATE_BYTES
# Seconds without a byte from a sender before 408.
: "${BODY_TIMEOUT:=30}"; export BODY_TIMEOUT
# Size from which a ledger file is sealed and the next one begun.
: "${LEDGER_SEGMENT_BYTES:=67108864}"; export LEDGER_SEGMENT_BYTES
# Size from which the journal of small blobs is settled; a start after a crash reads about as much.
: "${BLOB_JOURNAL_BYTES:=67108864}"; export BLOB_JOURNAL_BYTES
# Room that no write may take of a volume, bytes, but at most a twentieth of it: below that writes
# are answered 507, while what mends a full volume still works. 0: none.
: "${VOLUME_RESERVE_BYTES:=268435456}"; export VOLUME_RESERVE_BYTES

# -- both tiers ------------------------------------------------------------------------------------

# Empty: callers are told apart where there is something to tell them by, else it listens on loopback
# only. on: always. off: everybody may do all, also from elsewhere.
: "${AUTH:=}"; export AUTH
# What the tiers know each other by: one secret, or two between a comma while it is changed, each of 32
# characters or more; BUFFER_TOKEN_FILE names a file with a line each instead, re-read when it changes.
: "${BUFFER_TOKEN:=}"; export BUFFER_TOKEN
: "${BUFFER_TOKEN_FILE:=}"; export BUFFER_TOKEN_FILE
# Certificate chain and key (PEM) to serve https:// with; re-read when they change.
: "${TLS_CERT:=}"; export TLS_CERT
: "${TLS_KEY:=}"; export TLS_KEY
# Connections open at once; what comes above is told to come again.
: "${MAX_CONNECTIONS:=4096}"; export MAX_CONNECTIONS
# Seconds within which the head of a request must have come.
: "${HEADER_TIMEOUT:=10}"; export HEADER_TIMEOUT
# Bytes a second that the sender of a body must keep up on average; 0 for any.
: "${MIN_BODY_RATE:=1024}"; export MIN_BODY_RATE
# Seconds after SIGTERM in which new connections are still taken; each answer ends its connection.
: "${DRAIN_SECONDS:=2}"; export DRAIN_SECONDS
# Seconds to finish what was taken after that.
: "${SHUTDOWN_GRACE:=20}"; export SHUTDOWN_GRACE
# debug, info, warning or error.
: "${LOG_LEVEL:=info}"; export LOG_LEVEL
# How lines of the log look: text for people, json (an object a line) for machines.
: "${LOG_FORMAT:=text}"; export LOG_FORMAT
# Where traces go, an OTLP/HTTP collector such as http://localhost:4318; empty: nothing is traced.
: "${OTEL_EXPORTER_OTLP_ENDPOINT:=}"; export OTEL_EXPORTER_OTLP_ENDPOINT

# -- logic tier: gunicorn -c datastore_logic/gunicorn.conf.py 'datastore_logic.app:create_app()' -----

# Where the databuffer is; `condstore verify` asks there too (`condstore up` follows SERVURL).
: "${DB_BURL:=http://localhost:8080/}"; export DB_BURL
# The view: a derived SQLite file on local disk, which may be deleted at any time.
: "${VIEW_PATH:=var/view.sqlite}"; export VIEW_PATH
# Bytes from which POST /freezeds freezes the buffer.
: "${MAX_SIZE:=1000000}"; export MAX_SIZE
# The global tag as which the streaming buffer appears.
: "${STREAM_TAG:=stream}"; export STREAM_TAG
# Where it listens; 0.0.0.0 is every interface.
: "${HOST:=127.0.0.1}"; export HOST
# Its port.
: "${PORT:=5000}"; export PORT
# gunicorn workers: about one a core.
: "${WEB_CONCURRENCY:=2}"; export WEB_CONCURRENCY
# Requests that one worker serves at once.
: "${THREADS:=16}"; export THREADS
# The databuffer's paths for the streaming buffer, for one that serves them elsewhere.
: "${ENDP_STAT:=/stat}"; export ENDP_STAT
: "${ENDP_DUMP:=/dumpLogF}"; export ENDP_DUMP
: "${ENDP_DUMPF:=/dumpF}"; export ENDP_DUMPF
: "${ENDP_SEND:=/sendF}"; export ENDP_SEND
: "${ENDP_DESC:=/dstat}"; export ENDP_DESC
: "${ENDP_UPD_DESC:=/upddsc}"; export ENDP_UPD_DESC
: "${ENDP_CLEAN:=/cleanall}"; export ENDP_CLEAN
# Seconds to wait for the databuffer before 503.
: "${BUFFER_TIMEOUT:=30}"; export BUFFER_TIMEOUT
# Seconds that a reader's X-Min-LSN may wait for the view.
: "${VIEW_WAIT:=5}"; export VIEW_WAIT
# Bytes of the disk beside the view for slices, which answer for large, quiet tags; 0 for none.
: "${SLICES_BYTES:=4294967296}"; export SLICES_BYTES
# Whether a replica without a view begins with a checkpoint, if there is a fitting one: on or off.
: "${CHECKPOINTS:=on}"; export CHECKPOINTS
# Whether nopayloaddb's clients mean ends of IOVs as exclusive (continuous) or inclusive (discrete).
: "${CDB_IOV_MODE:=continuous}"; export CDB_IOV_MODE
# Who may read: anonymous (everybody) or authenticated.
: "${READS:=anonymous}"; export READS
# Pattern of the tags that every verified caller may read where READS=authenticated; empty: none.
: "${READ_TAGS:=}"; export READ_TAGS
# Secret of HS256 tokens, 32 characters or more; JWT_SECRET_FILE names a file with one or two instead.
: "${JWT_SECRET:=}"; export JWT_SECRET
: "${JWT_SECRET_FILE:=}"; export JWT_SECRET_FILE
# Public keys of RS256 and ES256 tokens: the URL or the file of a JWKS.
: "${JWT_JWKS:=}"; export JWT_JWKS
# Who must have made a token, and for whom; both are needed with JWT_JWKS.
: "${JWT_ISSUER:=}"; export JWT_ISSUER
: "${JWT_AUDIENCE:=}"; export JWT_AUDIENCE
# Seconds that clocks may differ by, at most 300.
: "${JWT_LEEWAY:=30}"; export JWT_LEEWAY
# The claim that names who asks; the ledger keeps it as the actor.
: "${JWT_SUBJECT_CLAIM:=sub}"; export JWT_SUBJECT_CLAIM
# The claims that hold the patterns of tags for each role.
: "${CLAIM_READER:=condstore:read}"; export CLAIM_READER
: "${CLAIM_PRODUCER:=b2cdb:createpayload}"; export CLAIM_PRODUCER
: "${CLAIM_EDITOR:=b2cdb:createiov}"; export CLAIM_EDITOR
: "${CLAIM_ADMIN:=b2cdb:admin}"; export CLAIM_ADMIN
# A token that may do all, to make the first tokens with; ADMIN_TOKEN_FILE names a file instead.
: "${ADMIN_TOKEN:=}"; export ADMIN_TOKEN
: "${ADMIN_TOKEN_FILE:=}"; export ADMIN_TOKEN_FILE
# How many admins a freeze takes: 1, or 2, of whom one proposes and the other confirms.
: "${FREEZE_APPROVALS:=1}"; export FREEZE_APPROVALS
# Certificates (PEM) by which a databuffer at https:// is known; empty: the system's.
: "${BUFFER_CA:=}"; export BUFFER_CA
# Where the outside reaches the databuffer, for links to payloads; empty: no links are given.
: "${BUFFER_PUBLIC_URL:=}"; export BUFFER_PUBLIC_URL
# Networks of proxies whose X-Forwarded-* is believed, commas between; empty: nobody's.
: "${TRUSTED_PROXIES:=}"; export TRUSTED_PROXIES
# How many tags are counted by name in /metrics, those first asked about; the rest are `other`.
: "${METRICS_TAGS:=20}"; export METRICS_TAGS
# Payload IOVs that one request may bring.
: "${MAX_IOVS:=250000}"; export MAX_IOVS
# Reads and writes of one caller, and failed authentications from one address; none: no limit.
: "${RATE_READS:=3000/second}"; export RATE_READS
: "${RATE_WRITES:=2000/second}"; export RATE_WRITES
: "${RATE_FAILURES:=60/minute}"; export RATE_FAILURES

# -- client: condstore -----------------------------------------------------------------------------

# The logic tier; several replicas separated by commas.
: "${CONDSTORE_URL:=http://localhost:5000}"; export CONDSTORE_URL
# The token that says who asks; CONDSTORE_TOKEN_FILE names a file instead, read again when it is refused.
: "${CONDSTORE_TOKEN:=}"; export CONDSTORE_TOKEN
: "${CONDSTORE_TOKEN_FILE:=}"; export CONDSTORE_TOKEN_FILE
# Certificates (PEM) of the CAs by which servers at https:// are known; empty: the usual ones.
: "${CONDSTORE_CA:=}"; export CONDSTORE_CA
# Directory of the local cache of payloads and immutable answers, on a local disk; empty: none.
: "${CONDSTORE_CACHE:=}"; export CONDSTORE_CACHE
# What it may take, bytes, for each user who names the same directory (10 GiB).
: "${CONDSTORE_CACHE_BYTES:=10737418240}"; export CONDSTORE_CACHE_BYTES
