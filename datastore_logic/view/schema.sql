-- The view of the ledger that one pod keeps. It may be deleted at any time: it is rebuilt.
-- Change anything here, or what an entry comes to in it, and raise SCHEMA_VERSION in database.py, so
-- that old files are rebuilt.

-- Which ledger this reflects, and how far. `complete` once it has reached the head it was built
-- up to: before, it would answer too little, so it answers nothing. `halted` says why no further
-- entry can be applied. `tokens`: the hash of the last entry about an API token, '' for none: while
-- it is the same, so is every row of `token`.
CREATE TABLE position (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    ledger TEXT NOT NULL,
    applied_lsn INTEGER NOT NULL,
    hash TEXT NOT NULL,
    head_lsn INTEGER NOT NULL,
    target_lsn INTEGER NOT NULL,
    complete INTEGER NOT NULL,
    halted TEXT,
    stream_tag TEXT NOT NULL,
    tokens TEXT NOT NULL
);

-- What is of this pod and in no ledger: whether its follower reaches the databuffer, and since when;
-- the LSN of the checkpoint that this view began with, NULL where it was built from the ledger; that
-- of the newest checkpoint the pod began with or made, 0 for none.
CREATE TABLE link (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    reachable INTEGER NOT NULL,
    since TEXT NOT NULL,
    started_lsn INTEGER,
    checkpoint_lsn INTEGER NOT NULL
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

-- Every API token that was made. `digest` is of its secret, which nobody keeps; `grants` a JSON array
-- of [role, pattern]; `expires` seconds since 1970; `made_by` the person behind it, `made_with` the
-- token that person asked with; `revoked` since when it proves nothing.
CREATE TABLE token (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    grants TEXT NOT NULL,
    expires INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    made_with TEXT,
    created TEXT NOT NULL,
    lsn INTEGER NOT NULL UNIQUE,
    revoked TEXT
) WITHOUT ROWID;

CREATE INDEX token_by_name ON token (name);

-- `streamed`: the streaming buffer's tag, or one that was. `lsn`: the entry that last touched the tag
-- or an IOV of its lists. The counts are maintained: lists of tags are asked for all the time.
CREATE TABLE global_tag (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    fingerprint TEXT,
    description TEXT NOT NULL,
    author TEXT,
    streamed INTEGER NOT NULL,
    created TEXT NOT NULL,
    updated TEXT NOT NULL,
    lsn INTEGER NOT NULL,
    list_count INTEGER NOT NULL DEFAULT 0,
    iov_count INTEGER NOT NULL DEFAULT 0
);

-- What each tag was like from entry `lsn` on, until before `until_lsn` (NULL: it still is).
-- Tags that were deleted stay here.
CREATE TABLE tag_version (
    tag_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    fingerprint TEXT,
    description TEXT NOT NULL,
    author TEXT,
    streamed INTEGER NOT NULL,
    created TEXT NOT NULL,
    time TEXT NOT NULL,
    lsn INTEGER NOT NULL,
    until_lsn INTEGER
);

CREATE INDEX tag_version_by_name ON tag_version (name, lsn);
CREATE INDEX tag_version_by_tag ON tag_version (tag_id, lsn);

-- Who did what to a tag and when, but for single streamed segments. `act` is the entry's type,
-- `about` a JSON object.
CREATE TABLE tag_history (
    tag_id INTEGER NOT NULL,
    lsn INTEGER NOT NULL,
    time TEXT NOT NULL,
    actor TEXT NOT NULL,
    act TEXT NOT NULL,
    about TEXT NOT NULL,
    PRIMARY KEY (tag_id, lsn)
) WITHOUT ROWID;

-- Where two must want a freeze: who proposed it (`made_by`: who made their token), of what content.
-- It is open from entry `lsn` on until before `until_lsn` (NULL: it still is).
CREATE TABLE freeze_proposal (
    tag_id INTEGER NOT NULL,
    lsn INTEGER NOT NULL,
    time TEXT NOT NULL,
    proposed_by TEXT NOT NULL,
    made_by TEXT,
    fingerprint TEXT NOT NULL,
    reason TEXT,
    until_lsn INTEGER,
    PRIMARY KEY (tag_id, lsn)
) WITHOUT ROWID;

CREATE UNIQUE INDEX freeze_proposal_open ON freeze_proposal (tag_id) WHERE until_lsn IS NULL;

-- A type that was deleted stays, named by what was attached or frozen before.
CREATE TABLE payload_type (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    created TEXT NOT NULL,
    until_lsn INTEGER
);

CREATE UNIQUE INDEX payload_type_by_name ON payload_type (name) WHERE until_lsn IS NULL;

-- What lists point to. `shared`: pinned by a clone or a freeze, so whoever writes copies it first.
-- `streamed`: segments are kept in full beside what is visible of them. `lsn`: its last change.
CREATE TABLE timeline (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    shared INTEGER NOT NULL DEFAULT 0,
    streamed INTEGER NOT NULL DEFAULT 0,
    lsn INTEGER NOT NULL
);

-- A list of no tag has no `tag_id`; `from_tag` is the one it was last taken out of. `lsn`: the entry
-- that made it.
CREATE TABLE payload_list (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tag_id INTEGER,
    from_tag INTEGER,
    type_id INTEGER NOT NULL,
    timeline_id INTEGER NOT NULL,
    created TEXT NOT NULL,
    lsn INTEGER NOT NULL,
    iov_count INTEGER NOT NULL DEFAULT 0
);

CREATE UNIQUE INDEX payload_list_by_tag ON payload_list (tag_id, type_id)
    WHERE tag_id IS NOT NULL;
CREATE INDEX payload_list_by_type ON payload_list (type_id);
CREATE INDEX payload_list_by_timeline ON payload_list (timeline_id);
CREATE INDEX payload_list_by_lsn ON payload_list (lsn);

-- Which timeline a tag had for a type from entry `lsn` on, until before `until_lsn`.
CREATE TABLE attachment (
    tag_id INTEGER NOT NULL,
    type_id INTEGER NOT NULL,
    list_id INTEGER NOT NULL,
    timeline_id INTEGER NOT NULL,
    lsn INTEGER NOT NULL,
    until_lsn INTEGER,
    PRIMARY KEY (tag_id, type_id, lsn)
) WITHOUT ROWID;

-- A freeze, under any name its tag ever had; its timelines are pinned for ever.
CREATE TABLE frozen (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint TEXT NOT NULL,
    tag_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    lsn INTEGER NOT NULL
);

CREATE INDEX frozen_by_fingerprint ON frozen (fingerprint);

CREATE TABLE frozen_list (
    frozen_id INTEGER NOT NULL,
    type_id INTEGER NOT NULL,
    list_id INTEGER NOT NULL,
    timeline_id INTEGER NOT NULL,
    iov_count INTEGER NOT NULL,
    PRIMARY KEY (frozen_id, type_id)
) WITHOUT ROWID;

-- Disjoint rows: what resolution reads, one look-up a list. An end of NULL, NULL is open. `lsn`:
-- since when the row is as it is.
CREATE TABLE iov (
    timeline_id INTEGER NOT NULL,
    start_major INTEGER NOT NULL,
    start_minor INTEGER NOT NULL,
    end_major INTEGER,
    end_minor INTEGER,
    id INTEGER NOT NULL,
    name TEXT NOT NULL,
    checksum TEXT,
    digest TEXT,
    size INTEGER,
    revision INTEGER,
    lsn INTEGER NOT NULL,
    PRIMARY KEY (timeline_id, start_major, start_minor)
) WITHOUT ROWID;

CREATE INDEX iov_by_id ON iov (id);

-- What rows were before: from `lsn` until before `until_lsn`.
CREATE TABLE iov_past (
    timeline_id INTEGER NOT NULL,
    start_major INTEGER NOT NULL,
    start_minor INTEGER NOT NULL,
    end_major INTEGER,
    end_minor INTEGER,
    id INTEGER NOT NULL,
    name TEXT NOT NULL,
    checksum TEXT,
    digest TEXT,
    size INTEGER,
    revision INTEGER,
    lsn INTEGER NOT NULL,
    until_lsn INTEGER NOT NULL,
    PRIMARY KEY (timeline_id, start_major, start_minor, until_lsn)
) WITHOUT ROWID;

-- Payload IOVs in no list: not yet attached, or detached by newer ones, in a list of `from_tag` or one
-- that had been.
CREATE TABLE loose_iov (
    id INTEGER PRIMARY KEY,
    start_major INTEGER NOT NULL,
    start_minor INTEGER NOT NULL,
    end_major INTEGER,
    end_minor INTEGER,
    name TEXT NOT NULL,
    checksum TEXT,
    digest TEXT,
    size INTEGER,
    revision INTEGER,
    inserted TEXT NOT NULL,
    lsn INTEGER NOT NULL,
    from_tag INTEGER
);

-- When payload IOVs came to be: those from `first_id` on up to the next row's.
CREATE TABLE birth (
    first_id INTEGER PRIMARY KEY,
    lsn INTEGER NOT NULL UNIQUE,
    time TEXT NOT NULL
);

-- The next number to give; `iov`.
CREATE TABLE sequence (
    name TEXT PRIMARY KEY,
    next INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO sequence VALUES ('iov', 1);

-- Every segment of a streamed timeline, in full and with its exact bounds; they may overlap.
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
    revision INTEGER,
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
