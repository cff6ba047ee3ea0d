-- The view of the ledger that one pod keeps. It may be deleted at any time: it is rebuilt.
-- Change anything here and raise SCHEMA_VERSION in database.py, so that old files are rebuilt.

-- Which ledger this reflects, and how far. `complete` once it has reached the head it was built
-- up to: before, it would answer too little, so it answers nothing. `halted` says why no further
-- entry can be applied.
CREATE TABLE position (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    ledger TEXT NOT NULL,
    applied_lsn INTEGER NOT NULL,
    hash TEXT NOT NULL,
    head_lsn INTEGER NOT NULL,
    target_lsn INTEGER NOT NULL,
    complete INTEGER NOT NULL,
    halted TEXT,
    stream_tag TEXT NOT NULL
);

-- Whether the pod's follower reaches the databuffer, and since when.
CREATE TABLE link (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    reachable INTEGER NOT NULL,
    since TEXT NOT NULL
);

-- The LSN that last touched a key: what an append expects.
CREATE TABLE touched (
    key TEXT PRIMARY KEY,
    lsn INTEGER NOT NULL
) WITHOUT ROWID;

-- Callers' idempotency keys, so that a repeat is known before anything is decided anew; `about`
-- tells it from another request under the same key.
CREATE TABLE idempotency (
    key TEXT PRIMARY KEY,
    lsn INTEGER NOT NULL,
    about TEXT NOT NULL
) WITHOUT ROWID;

-- `streamed`: a tag of segments, which are kept in full beside what is visible of them.
-- The counts are maintained: lists of tags are asked for all the time.
CREATE TABLE global_tag (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    fingerprint TEXT,
    description TEXT NOT NULL,
    streamed INTEGER NOT NULL,
    created TEXT NOT NULL,
    updated TEXT NOT NULL,
    lsn INTEGER NOT NULL,
    list_count INTEGER NOT NULL DEFAULT 0,
    iov_count INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX global_tag_by_fingerprint ON global_tag (fingerprint) WHERE fingerprint IS NOT NULL;

CREATE TABLE payload_type (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created TEXT NOT NULL
);

CREATE TABLE timeline (id INTEGER PRIMARY KEY AUTOINCREMENT);

CREATE TABLE payload_list (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tag_id INTEGER NOT NULL,
    type_id INTEGER NOT NULL,
    timeline_id INTEGER NOT NULL,
    created TEXT NOT NULL,
    iov_count INTEGER NOT NULL DEFAULT 0,
    UNIQUE (tag_id, type_id)
);

-- Disjoint rows: what resolution reads, one look-up a list. An end of NULL, NULL is open.
CREATE TABLE iov (
    timeline_id INTEGER NOT NULL,
    start_major INTEGER NOT NULL,
    start_minor INTEGER NOT NULL,
    end_major INTEGER,
    end_minor INTEGER,
    name TEXT NOT NULL,
    checksum TEXT,
    digest TEXT,
    size INTEGER,
    lsn INTEGER NOT NULL,
    PRIMARY KEY (timeline_id, start_major, start_minor)
) WITHOUT ROWID;

-- Every segment of a streamed list, in full and with its exact bounds; they may overlap.
CREATE TABLE segment (
    timeline_id INTEGER NOT NULL,
    lsn INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    start_major INTEGER NOT NULL,
    start_minor INTEGER NOT NULL,
    end_major INTEGER,
    end_minor INTEGER,
    name TEXT NOT NULL,
    checksum TEXT,
    digest TEXT,
    size INTEGER,
    PRIMARY KEY (timeline_id, lsn, ordinal)
) WITHOUT ROWID;

-- The streaming buffer as it stands, so that its state can be read while it is away.
CREATE TABLE buffer (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    n_itm INTEGER NOT NULL,
    buff_size INTEGER NOT NULL,
    dstatus TEXT NOT NULL,
    user TEXT NOT NULL,
    token TEXT NOT NULL
);

CREATE TABLE buffer_file (
    lsn INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    payload_type TEXT NOT NULL,
    time TEXT NOT NULL
);
