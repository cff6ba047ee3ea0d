"""What the client reads: bundles, strain and row files, answers of servers, moments, addresses."""

from __future__ import annotations

import hashlib
import sqlite3
import struct
import tempfile
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
from fuzz.law import JSON, law, text, unless
from told_tag import ToldTag, iov

from condstore import bundle, results
from condstore.access import Credential
from condstore.bundle import Bundle
from condstore.bundle import format as layout
from condstore.cache import codec
from condstore.chain import Chain
from condstore.config import parse_urls
from condstore.digests import Digest
from condstore.errors import (
    CondstoreError,
    DamagedBundle,
    NotFound,
    NotInBundle,
    UnexpectedAnswer,
    UnreadableFile,
    UsageError,
    from_answer,
)
from condstore.moments import Moment
from condstore.results.parsing import parse
from condstore.rows import read as read_rows
from condstore.segments import cut
from condstore.strain import Series
from condstore.strain import read as read_strain
from databuffer.buffer.segment import parse_segment

AWAY = (DamagedBundle, UsageError, NotFound, NotInBundle)


def pulled() -> tuple[ToldTag, bytes]:
    """Return a tag, and a bundle of it."""
    kept = ToldTag({})
    first, second = kept.keep(b"first"), kept.keep(b"second")
    rows = {
        "Beam": [iov("Beam", 1, 2, digest=first, size=5), iov("Beam", 4, digest=second)],
        "Field": [iov("Field", 2, 9, checksum="md5:1", revision=3)],
    }
    told = ToldTag(rows, kept.payloads)
    usual, layout.PAGE_SIZE = layout.PAGE_SIZE, 512  # so that little of it is unused
    with tempfile.TemporaryDirectory() as folder:
        bundle.pull(told, told.ref, Path(folder) / "a.bundle")
        layout.PAGE_SIZE = usual
        return told, (Path(folder) / "a.bundle").read_bytes()


TOLD, BUNDLE = pulled()
DATABASE = BUNDLE[: -layout.TRAILER_SIZE]


def ask_everything(path: Path, small: int) -> list[Any]:
    """Ask a bundle all that it answers."""
    found = Bundle(path, small=small)
    try:
        payloads = []
        for digest in TOLD.payloads:
            with found.pieces(digest) as pieces:
                payloads.append(b"".join(pieces))
        resolved = found.resolve_many(TOLD.ref, [Moment(run, 1) for run in (0, 1, 3, 9)], [])
        return [payloads, resolved, found.tag(TOLD.ref)]
    finally:
        found.close()


@law(
    *(struct.pack(">H", at) + b"\xff" for at in (0, 18, 100, 1000, 3000)),
    struct.pack(">H", 40) + b"\0\0\0\1",
    words=(b"\0\0\0\0", b"\xff\xff\xff\xff", b"CREATE TABLE", b"sha256:"),
)
def damaged_bundle(data: bytes) -> None:
    """A bundle with other bytes anywhere is refused by its name, or answers; nothing else."""
    if len(data) < 2:
        return
    (at,) = struct.unpack(">H", data[:2])
    changed = bytearray(DATABASE)
    changed[at : at + len(data) - 2] = data[2:]
    mark = hashlib.sha256(changed).hexdigest()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.bundle"
        path.write_bytes(changed + layout.trailer(mark))  # as one that forges it would
        for small in (0, 1 << 20):
            unless(AWAY, lambda small=small: ask_everything(path, small))
        path.write_bytes(data)
        assert unless(AWAY, lambda: ask_everything(path, 0)) is None


ABOUT = ("reference", "tag", "lsn", "begin", "end", "proof", "payloads")


@law(
    *(b"\1{}", b"\2x", b"\3[1]", b"\4[1,2,3]", b"\5proof", b"\0T@7", b'\1{"name":1}'),
    b"\2" + b"9" * 5000,
    words=JSON,
)
def forged_bundle(data: bytes) -> None:
    """A bundle that says anything of itself, and seals it, is refused by name or answers."""
    if not data:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.bundle"
        path.write_bytes(DATABASE)
        connection = sqlite3.connect(path)
        told = (text(data[1:]), ABOUT[data[0] % len(ABOUT)])
        connection.execute("UPDATE about SET value = ? WHERE name = ?", told)
        mark = layout.catalogue_digest(connection)
        connection.execute("UPDATE about SET value = ? WHERE name = 'catalogue_sha256'", (mark,))
        connection.commit()
        connection.close()
        content = path.read_bytes()
        path.write_bytes(content + layout.trailer(hashlib.sha256(content).hexdigest()))
        unless(AWAY, lambda: ask_everything(path, 0))
        unless(AWAY, lambda: bundle.verify(path))
        unless(AWAY, lambda: bundle.describe(path))


CHAINED = {
    "lsn": 1, "time": "2026-11-20T23:17:00.123456Z", "actor": "a", "keys": [], "prev": "0" * 64,
}  # fmt: skip
COLUMNS = {"digest": [f"sha256:{'ab' * 32}"], "size": [1], "name": ["a"]}


@law(
    *(
        orjson.dumps([kind, data])
        for kind, data in (
            ("buffer.stored", {"digest": "sha256:" + "ab" * 32, "size": 1}),
            ("iov.created", {"iov": COLUMNS}),
            ("iov.created", {"iov": {"size": [1]}}),
            ("timelines.changed", {"lists": [{"attached": COLUMNS}]}),
        )
    ),
    words=(*JSON, b'"digest":', b'"size":', b'"lists":', b'"attached":', b'"sha256:'),
)
def ledger_chain(data: bytes) -> None:
    """Whatever stands in a ledger, `condstore verify` says what is wrong with it, or nothing."""
    Chain().take(data)
    try:
        kind, told = orjson.loads(data)
    except (ValueError, TypeError):
        return
    head = orjson.dumps({**CHAINED, "type": kind, "data": told})[:-1]
    chain = Chain()
    for named in chain.take(b'%s,"crc":"%08x"}' % (head, zlib.crc32(head))):
        assert len(named.hex) == 64


@law(
    b"1126259446.0 1e-21\n1126259446.5 2e-21\n1126259447.0 3\n",
    b"# a comment\n0,1\n0.1,2\n0.2 nan\n",
    b"1e400 1\n2e400 2\n",
    b"0 0\n1e-400 1\n",
    b"1e999999 0\n2e999999 0\n",
    words=(b" ", b"\n", b",", b"#", b"nan", b"inf", b"1e", b"e-", b"999999999", b"0.000000001"),
)
def strain_text(data: bytes) -> None:
    """A text file is a series whose segments a databuffer takes, or unreadable."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "strain.txt"
        path.write_bytes(data)
        found = unless(UnreadableFile, lambda: read_strain(path))
    for series in found or ():
        check_series(series)


def check_series(series: Series) -> None:
    """Check that segments follow each other, and that a databuffer reads them as they are meant."""
    assert series.dt > 0
    assert series.t0.is_finite()
    segments = list(cut(series, 3))
    assert sum(each.samples for each in segments) <= len(series.samples)
    if not (0 <= series.t0 <= 10**10 and 10**-6 <= series.dt <= 10**6):
        return  # no time that a detector has: a databuffer may refuse it
    taken = [parse_segment(each.body) for each in segments]
    assert [each.samples for each in taken] == [each.samples for each in segments]
    assert all(one.end_ns <= other.start_ns for one, other in pairwise(taken))


ROWS = (
    b"payload_type,start,end,name,size\nBeam,1200:17,,a,3\nField,968654552.25,968654553,b,\n",
    b'[{"payload_type":"Beam","start":[1,2],"end":null,"name":"a"}]',
    b'{"payload_type":"Beam","start":"1200","digest":"sha256:%s"}\n{"start":1,"name":"x"}\n'
    % (b"ab" * 32),
)


@law(*ROWS, b"start,size\n1,%s\n" % (b"9" * 5000), b'{"start":1.5,"name":"a","checksum":[]}',
     b'[{"start":1,"file":"\\u0000"}]', b'[{"start":1,"file":"../../etc/passwd"}]',
     words=(*JSON, b'"start":', b'"size":', b'"file":', b"payload_type", b'"\n"'))  # fmt: skip
def row_files(data: bytes) -> None:
    """A file of payload IOVs is taken whole, or each bad row is named."""
    nowhere = Path("/nowhere")
    found = unless(
        UsageError, lambda: read_rows(text(data), "rows", nowhere, "Beam"), longest=1 << 17
    )  # twenty rows are named, and who sent them is who reads it
    for entry in found or ():
        assert entry.iov.end is None or entry.iov.start < entry.iov.end
        orjson.dumps(entry.iov.wire())


READERS = (
    *(results.Payload.read, results.Resolution.read, results.Inserted.read, results.Span.read),
    *(results.PreflightReport.read, results.Difference.read, results.TagStanding.read),
    *(results.Tag.read, results.TagContent.read, results.TagFrozen.read, results.Act.read),
    *(results.PayloadType.read, results.PayloadListInfo.read, results.Readiness.read),
    lambda answer: results.PayloadIOV.read("Beam", answer),
    lambda answer: results.Buffer.read(answer, answer),
)
TAG = (
    b'{"name":"T","state":"frozen","fingerprint":"f","description":"","author":null,"streamed":false,'
    b'"created":"c","updated":"u","payload_list_count":1,"payload_iov_count":1,"lsn":3}'
)
RESOLUTION = (
    b'{"tag":"T","moment":[1,0],"lsn":3,"valid_from":[0,0],"valid_until":null,"payloads":[{'
    b'"payload_type":"Beam","name":"a","digest":null,"checksum":null,"start":[0,0],"end":null,'
    b'"size":1,"revision":null,"href":null,"lsn":2,"id":1}]}'
)


@law(
    *(TAG, RESOLUTION, b'{"tag":%s,"payload_lists":[]}' % TAG, b"[]", b"[1,[2]]", b'{"lsn":1e308}'),
    words=(*JSON, b'"moment":', b'"payloads":', b'"payload_lists":', b'"start":', b'"lsn":'),
)
def answers(data: bytes) -> None:
    """What a server answers is one of our values, or an answer that was not expected."""
    try:
        told = orjson.loads(data)
    except orjson.JSONDecodeError:
        told = text(data)
    for read in READERS:
        unless(UnexpectedAnswer, lambda read=read: parse(read, told, "http://a:5000/x"))
    for read in (codec.resolution, codec.tag_content):
        answer = unless(UnexpectedAnswer, lambda read=read: read(data))
        kept = unless(UnexpectedAnswer, lambda answer=answer: answer and codec.encoded(answer))
        assert kept is None or read(kept) == answer


@law(
    b"\0\0{}", b'\x01\x94{"detail":"Global tag T is frozen.","code":"tag_frozen","request_id":"r"}',
    b'\x01\xf7{"detail":["x"],"code":7,"body":{}}', b"\x01\xadThu, 01 Jan 1970 00:01:00 GMT",
    b"\x01\xf7Mon, 99 Foo 99999 99:99:99 +9999", b"\x01\xad" + b"9" * 5000,
    b"\x01\xadMon, 1 Jan 0 0:0:0 -0000",
    words=(*JSON, b'"detail":', b'"code":', b"GMT", b"Jan", b"+0000", b":"),
)  # fmt: skip
def refusals(data: bytes) -> None:
    """What a server refuses with is one of our errors, however it is put."""
    if len(data) < 2:
        return
    (status,), said = struct.unpack(">H", data[:2]), data[2:]
    for headers in ({"Retry-After": said.decode("latin-1"), "X-Request-Id": text(said)}, {}):
        error = from_answer(status, headers, said, "http://alice:hunter22@a:5000/x")
        assert isinstance(error, CondstoreError)
        assert "hunter22" not in str(error)
        assert len(str(error)) < 2000


@law(b"968654552.25", b"1200:17", b"1200", b"9223372036854775808", b"1.0000000001", "٣:٤".encode(),
     b"http://a:5000/, https://[::1]", b"http://[::1", b"http://a:99999", b"sha256:" + b"AB" * 32,
     words=(b":", b".", b"http://", b"@", b"[", b"9" * 19))  # fmt: skip
def written_moments(data: bytes) -> None:
    """A moment, a digest, an address, a token: read as it is meant, or refused in words."""
    told = text(data)
    found = unless(UsageError, lambda: Moment.parse(told), longest=1 << 17)  # his own words
    if found is not None:
        assert Moment.parse(found.pair()) == found
        assert found.minor >= 10**9 or Moment.parse(found.gps()) == found
    digest = unless(UsageError, lambda: Digest.parse(told), longest=1 << 17)
    assert digest is None or (len(digest) == 71 and digest.isascii())
    unless(UsageError, lambda: parse_urls(told, "CONDSTORE_URL"), longest=1 << 17)
    try:
        credential = Credential("CONDSTORE_TOKEN", told)
    except UsageError as error:
        assert len(told) < 16 or told not in str(error)  # noqa: PT017
        return
    assert len(told) < 16 or told not in repr(credential)
