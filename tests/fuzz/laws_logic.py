"""The logic tier's parsers: moments, names, bulk bodies, ledger entries, fingerprints."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import orjson
from fuzz.law import JSON, MARKS, law, text, unless

from condstore.bundle import fingerprint as theirs
from datastore_logic.config import IovMode
from datastore_logic.domain import events
from datastore_logic.domain.bulk import lay
from datastore_logic.domain.columns import Columns
from datastore_logic.domain.errors import (
    BadDigest,
    BadEvent,
    BadMoment,
    BadName,
    BadValue,
    DomainError,
    UnknownEvent,
)
from datastore_logic.domain.fingerprint import timeline_fingerprint
from datastore_logic.domain.moment import LIMIT, Moment
from datastore_logic.domain.tags import (
    Digest,
    ListName,
    PayloadTypeName,
    TagName,
    TagRef,
    TagState,
    TokenName,
)
from datastore_logic.errors import BadRequest, TooLarge
from datastore_logic.serving.incoming import Incoming, Outlook
from datastore_logic.web import bodies
from datastore_logic.web.bounds import DEPTH, SMALL, is_shallow, refuse_beyond
from datastore_logic.web.cdb_rest import bulk as cdb
from datastore_logic.web.cdb_rest.ends import Ends
from datastore_logic.web.v1 import bulk as v1

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datastore_logic.services.iovs import Wanted

REFUSED = (BadRequest, TooLarge, DomainError)
MOST = 50


@law(b"0:0", b"968654552:500000000", b"9223372036854775807:0", b"9223372036854775808", b"-1:2",
     words=(b"9" * 19, b"9" * 5000, "\u0663\u00b2".encode(), b"+", b"_", b" ", b"0x"))  # fmt: skip
def moments(data: bytes) -> None:
    """A moment is two numbers in range, and is read back from what it writes."""
    major, _, minor = text(data).partition(":")
    found = unless(BadMoment, lambda: Moment.parse(major, minor or "0"))
    if found is not None:
        assert 0 <= found.major <= LIMIT
        assert Moment.parse(*str(found).split(":")) == found == Moment.parse(*found.wire())
        assert found.major == int(major)
    numbers = unless(REFUSED, lambda: bodies.from_json(data))
    unless(BadMoment, lambda: Moment.parse(numbers, numbers))


@law(
    *(each.encode() for each in ("data_2026-prompt", f"T@{'ab' * 32}", "T@17", "T@007", "Beam_12")),
    *(b"sha256:" + b"ab" * 32, b"@", b"T@", b"a" * 201, b"_0", b"a__1"),
    words=MARKS,
)
def names(data: bytes) -> None:
    """A name is what was given, and safe in a URL, a path, a page and a log."""
    told = text(data)
    for kind in (TagName, PayloadTypeName, TokenName, Digest, ListName):
        name = unless((BadName, BadDigest), lambda kind=kind: kind.parse(told))
        assert name is None or (name == told and not {*name} & {*"/\\\0\n%\"'<>&? "})
        assert name is None or name[0] != "."
    ref = unless(BadName, lambda: TagRef.parse(told))
    assert ref is None or TagRef.parse(str(ref)) == ref
    listed = unless(BadName, lambda: ListName.parse(told))
    assert listed is None or ListName.of(listed.payload_type, listed.id) == listed


@law(
    b'{"a":[1,{"b":"]}"}]}',
    b"[" * DEPTH + b"]" * DEPTH,
    b"[" * (DEPTH + 1) + b"]" * (DEPTH + 1),
    b'{"\\"[[":{"":[[]]}}',
    words=(*JSON, b"[" * 8, b'{"":' * 8, b'\\"', b"\\\\"),
)
def json_depth(data: bytes) -> None:
    """How deep JSON is nested is told before it is read, and what is counted is not too few."""
    try:
        told = orjson.loads(data)
    except orjson.JSONDecodeError:
        is_shallow(data)
        return
    depth, values = measured(told)
    assert is_shallow(data) == (depth <= DEPTH)
    if values > SMALL.values:
        assert unless(TooLarge, lambda: refuse_beyond(SMALL, data) or True) is None


def measured(told: object) -> tuple[int, int]:
    """Return how deep JSON is nested, and how many values it has."""
    if not isinstance(told, list | dict):
        return 0, 1
    inner = list(map(measured, told.values() if isinstance(told, dict) else told))
    return 1 + max((depth for depth, _ in inner), default=0), 1 + sum(each for _, each in inner)


@law(
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345GET",
    b"POST / HTTP/1.1\r\ncontent-length: 5\r\nContent-Length: 6\r\n\r\n123",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\nExpect: 100-continue\r\n\r\n",
    words=(
        b"\r\n",
        b"\n",
        b"\r",
        b"Content-Length:",
        b"Transfer-Encoding:",
        b"chunked",
        b"\t",
        b"\x0b",
    ),
)
def request_heads(data: bytes) -> None:
    """However the bytes of a request come, the same is to be done with it."""
    whole = Incoming()
    whole.add(data)
    parts = Incoming()
    for at in range(0, len(data), 3):
        parts.add(data[at : at + 3])
        if parts.outlook() not in {Outlook.HEAD, Outlook.BODY}:
            parts.add(data[at + 3 :])
            break
    assert parts.outlook() is whole.outlook()
    assert parts.missing == whole.missing
    assert parts.held == data


def check_wanted(found: Iterable[Wanted]) -> None:
    """Check that what was read can be kept: laid into a timeline, written to the ledger, read."""
    for wanted in found:
        Columns.parse(orjson.loads(orjson.dumps(wanted.columns.data())))
        for state in (TagState.UNLOCKED, TagState.LOCKED):
            effects = unless(DomainError, lambda w=wanted, s=state: lay([], w.columns, s))
            if effects is None:
                assert state is TagState.LOCKED
                continue
            rows = sorted((row.interval.start, row.interval) for row in effects.attached.rows())
            assert not any(one.overlaps(other) for (_, one), (_, other) in pairwise(rows))
            change = events.ListChange(
                PayloadTypeName("Beam"), TagName("T"), None, effects.attached
            )
            check_event(events.TimelinesChanged((change,)))


def check_event(event: Any) -> None:
    """Check that an event is read back from its entry as it was."""
    again = events.parse(event.type, orjson.loads(orjson.dumps(event.data())))
    assert type(again) is type(event)
    assert again.data() == event.data()


V1 = b'{"payload_type":"Beam","start":[1,0],"end":[5,0],"name":"b1"}'
CDB = b'{"payload_list":"Beam_1","payload_url":"a","major_iov":1,"minor_iov":0,"checksum":"c"}'
FIELDS = (
    *(b'"start":', b'"end":', b'"digest":', b'"size":', b'"revision":', b'"name":', b"[1,0]"),
    *(b'"major_iov":', b'"minor_iov_end":', b'"payload_url":', b'"sha256:'),
)


@law(
    b'[%s,{"payload_type":"Beam","start":[3,0],"name":"x","checksum":"md5:1","size":3}]' % V1,
    b'[%s,%s,{"payload_type":"N","start":[0,9223372036854775807],"digest":"sha256:%s"}]'
    % (V1, V1, b"ab" * 32),
    b'[{"payload_type":"Beam","start":[0,0],"end":[9223372036854775807,0],"name":"<b>"}]',
    words=(*JSON, *FIELDS),
)
def v1_bulk(data: bytes) -> None:
    """An array of payload IOVs is refused, or can be kept as it is."""
    sent = unless(REFUSED, lambda: bodies.from_json(data))
    check_wanted(unless(REFUSED, lambda: v1.wanted(sent, TagName("T"), MOST)) or [])


@law(
    b"[%s,%s]" % (CDB, CDB.replace(b'_iov":1', b'_iov":"7"')),
    b"[%s]" % CDB.replace(b'"minor_iov":0', b'"minor_iov":0,"major_iov_end":5,"minor_iov_end":0'),
    b"[%s]" % CDB.replace(b"}", b',"major_iov_end":9223372036854775807,"size":1,"revision":"2"}'),
    words=(*JSON, *FIELDS),
)
def cdb_bulk(data: bytes) -> None:
    """So is nopayloaddb's, in both modes, and ends are written back as they were read."""
    sent = unless(REFUSED, lambda: bodies.from_json(data))
    if not isinstance(sent, list) or not all(isinstance(each, dict) for each in sent):
        return
    for mode in IovMode:
        ends = Ends(mode)
        found = unless(REFUSED, lambda ends=ends: cdb.wanted(sent, ends)) or []
        check_wanted(found)
        for wanted in found:
            assert all(ends.read(ends.write(end)) == end for end in wanted.columns.ends())


SHA256 = "ab" * 32
ROW = {
    "start_major": [1],
    "name": ["a"],
    "end_major": [None],
    "digest": [f"sha256:{SHA256}"],
}
CHANGE = {
    "payload_type": "Beam",
    "tag": "T",
    "list": None,
    "attached": ROW,
    "detached": [[1, 0]],
    "deleted": [],
    "trimmed": [[[1, 0], [2, 0]]],
}
FIRST_FORM = {
    "start": [[1, 0]],
    "end": [None],
    "name": ["a"],
    "checksum": [None],
    "digest": [None],
    "size": [1],
}
DATA: dict[str, Any] = {
    "tag.created": {"tag": "T", "description": "d", "author": None, "state": "locked"},
    "tag.cloned": {"source": "S", "tag": "T", "source_lsn": 7},
    "tag.changed": {"tag": "T", "state": "unlocked", "reason": "r"},
    "tag.freeze_proposed": {"tag": "T", "fingerprint": "f", "made_by": "m"},
    "tag.frozen": {"tag": "T", "fingerprint": "f"},
    "list.attached": {"list": 1, "tag": "T"},
    "iov.created": {"iov": ROW},
    "timelines.changed": {"lists": [CHANGE]},
    "iovs.changed": {
        "payload_type": "Beam",
        "tag": "T",
        "detached": [],
        "trimmed": [],
        "attached": FIRST_FORM,
    },
    "token.made": {
        "token": "ab" * 6,
        "name": "n",
        "sha256": SHA256,
        "expires": 1,
        "made_by": "a",
        "grants": [{"role": "admin", "tags": ".*"}],
    },
    "buffer.stored": {
        "name": "gwb1.json",
        "payload_type": "strain",
        "digest": f"sha256:{SHA256}",
        "start": [1, 0],
        "end": [2, 0],
        "samples": 3,
        "sample_ns": 1,
        "size": 1,
    },
    "buffer.frozen": {"user": "a", "token": "t"},
}


@law(
    *(orjson.dumps([kind, data]) for kind, data in DATA.items()),
    words=(
        *JSON,
        *(f'"{name}":'.encode() for name in ("tag", "list", "state", "lists", "iov")),
        *(f'"{kind}"'.encode() for kind in sorted(events.KINDS)),
    ),
)
def ledger_events(data: bytes) -> None:
    """An entry is an event or bad; what this tier writes is read back as it was."""
    told = unless(REFUSED, lambda: bodies.from_json(data))
    match told:
        case [str() as kind, dict() as fields]:
            event = unless(
                (BadEvent, UnknownEvent), lambda: events.parse(kind, fields), longest=9000
            )
        case _:
            return
    if isinstance(event, events.Decided):
        check_event(event)


@law(
    b'{"start_major":[1,5],"name":["a","\\u00e9\\u2028\\u0001"],"end_major":[5,null],"checksum":["c",null]}',
    b'{"start_major":[1],"name":["\\u007f<&\\""],"start_minor":[9223372036854775807]}',
    words=(*JSON, b'"start_major":', b'"name":', b'"end_minor":', b'"checksum":', b'"digest":'),
)
def fingerprints(data: bytes) -> None:
    """Rows in any order have one fingerprint, and the client computes the same."""
    told = unless(REFUSED, lambda: bodies.from_json(data))
    if not isinstance(told, dict):
        return
    columns = unless(
        (BadValue, TypeError, ValueError, KeyError), lambda: Columns.parse(told)
    )  # what `events.parse` takes for a bad entry
    if columns is None:
        return
    rows = list(columns.rows())
    mixed = random.Random(len(rows)).sample(rows, len(rows))  # noqa: S311 - any order will do
    mark = timeline_fingerprint(rows)
    assert mark == timeline_fingerprint(mixed)
    exact = [(*bare[:2], *_end(bare), *bare[4:7]) for bare in columns.bare()]
    assert mark == theirs.timeline_fingerprint(exact)


def _end(bare: tuple[Any, ...]) -> tuple[int | None, int | None]:
    """Return an end as both its parts: without a minor it is 0."""
    return (None, None) if bare[2] is None else (bare[2], bare[3] or 0)
