"""The databuffer's parsers: segments, ledger lines and files, the journal of blobs, headers."""

from __future__ import annotations

import hashlib
import hmac
import io
import struct
import tempfile
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import orjson
from fuzz.law import JSON, MARKS, law, text, unless
from multidict import CIMultiDict

from databuffer.access import links
from databuffer.access.secrets import TierSecrets, parse_secret_file
from databuffer.buffer.segment import Segment, parse_segment
from databuffer.errors import (
    BadConfiguration,
    BadFrame,
    BadLine,
    DamagedLedger,
    LinkExpired,
    LinkInvalid,
    Malformed,
)
from databuffer.names import Digest, DocumentName, EntryType, PayloadTypeName, parse_text
from databuffer.store import frames, lines
from databuffer.store.journal import _records
from databuffer.store.manifest import Manifest, read_manifest, segment_name
from databuffer.store.protocols import NewEntry
from databuffer.store.scan import scan
from databuffer.store.segments import lines_of
from databuffer.store.sequencer import Sequencer
from databuffer.web.actor import ACTOR, actor_of
from databuffer.web.download import _range
from databuffer.web.ledger import parse_entry

NOW = "2026-11-20T23:17:00.123456Z"


@law(
    b'{"h":[1,2.5],"t":[1126259446.5,0.25]}',
    b'{"h":[1,2,3],"t":[1,2e0,3.5]}',
    b'{"h":[0],"t":[968654552.123456789,6.103515625E-5],"x":{"t":[1]}}',
    b'{"h":[1],"\\u0074":[1,1]}',
    b'{"h":[1,-0],"t":[9223372036854775806,1e-9]}',
    words=(*JSON, b'"h":[', b'"t":[', b"E-5"),
)
def segment(data: bytes) -> None:
    """It is read or refused, covers some time, and is read alike where its times are sought."""
    found = unless(Malformed, lambda: parse_segment(data))
    if found is None:
        return
    assert found.samples >= 1
    assert 0 <= found.start_ns < found.end_ns <= (2**63 - 1) * 10**9
    assert found.sample_ns >= 1
    escaped = data.replace(b"{", b'{"\\u007a":0,', 1)  # with a backslash the slow reader is asked
    assert parse_segment(escaped) == found
    assert isinstance(found, Segment)


@law(
    b'{"type":"tag.created","actor":"alice","data":{"tag":"T"},"keys":["tag/T"],"expect":{"tag/T":0}}',
    b'{"type":"x","actor":"a","data":{"n":[1.5,-0.0,1e300,18446744073709551615]},"keys":[]'
    b',"idempotency_key":"k"}',
    b'{"type":"x","actor":"\xc3\xa9","data":{"a":{"b":[[[]]]},"\\u000a":"\\u2028\\"\\\\"},"keys":[]}',
    words=(*JSON, b'"data":', b'"keys":', b'"expect":', b'"actor":', b'"type":'),
)
def ledger_entry(data: bytes) -> None:
    """What is posted is refused, or stands in one line from which all of it is read back."""
    entry = unless(Malformed, lambda: parse_entry(data))
    if entry is None:
        return
    line = lines.compose(1, NOW, entry.body, lines.NO_HASH)
    assert b"\n" not in line
    back = lines.check(line, 1, lines.NO_HASH)
    assert (back.type, back.actor, back.keys) == (entry.type, entry.actor, entry.keys)
    assert back.idempotency_key == entry.idempotency_key
    assert back.data == orjson.loads(data)["data"]


def line(lsn: int, prev: str, **data: object) -> bytes:
    """Return a line of a ledger."""
    entry = NewEntry("tag.created", "alice", orjson.dumps(data), (f"tag/{lsn}",))
    return lines.compose(lsn, NOW, entry.body, prev)


LINE = line(1, lines.NO_HASH, tag="T")


@law(LINE, LINE[:-18], LINE[:-1], b'[],"crc":"00000000"}', words=JSON)
def ledger_line(data: bytes) -> None:
    """A line is an entry or bad, also one whose checksum fits whatever stands before it."""
    for candidate in (data, b'%s,"crc":"%08x"}' % (data, zlib.crc32(data))):
        found = unless(BadLine, lambda each=candidate: lines.check(each, 1, lines.NO_HASH))
        assert found is None or (found.lsn, found.prev) == (1, lines.NO_HASH)


@law(b"", b"\n", b"a\nb", b"\n\n\n", b"abc\n" * 9)
def line_reader(data: bytes) -> None:
    """However the bytes come, the lines together are the bytes, and each but the last is whole."""
    for most in (1, 3, 1 << 20):
        file = io.BytesIO(data)
        found = list(
            lines_of(lambda size, file=file, most=most: file.read(min(size, most)), len(data))
        )
        assert b"".join(found) == data
        assert all(each.index(b"\n") == len(each) - 1 for each in found[:-1])


def ledger() -> list[bytes]:
    """Return four lines that follow each other."""
    found: list[bytes] = []
    for lsn in range(1, 5):
        prev = lines.hash_of(found[-1]) if found else lines.NO_HASH
        found.append(line(lsn, prev, tag=f"T{lsn}", text="é" * lsn))
    return found


LEDGER = ledger()
WHOLE = b"".join(each + b"\n" for each in LEDGER)


@law(
    *(struct.pack(">HH", at, at) for at in (0, 300, len(WHOLE) - 1, len(WHOLE))),
    struct.pack(">HH", len(WHOLE), len(WHOLE)) + b'{"lsn":5',
    struct.pack(">HH", 10, len(WHOLE)),
    words=(b"\n", b'"lsn":', b'"prev":"', b'"crc":"'),
)
def ledger_file(data: bytes) -> None:
    """Of a file that is damaged anywhere, what is read is a beginning of what was written."""
    if len(data) < 4:
        return
    begin, end = struct.unpack(">HH", data[:4])
    seen: list[lines.Entry] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "ledger.json").write_bytes(Manifest("0" * 32, (segment_name(1),)).encode())
        (root / segment_name(1)).write_bytes(WHOLE[:begin] + data[4:] + WHOLE[end:])
        unless(DamagedLedger, lambda: scan(root, Sequencer(), seen.append))
    written = [lines.parse(each) for each in LEDGER]
    assert seen == written[: len(seen)]


FRAME = frames.pack([each + b"\n" for each in LEDGER])


@law(b"", FRAME, FRAME + FRAME, FRAME[16:], FRAME[:-1], FRAME[:20],
     words=(b"\x50\x2a\x4d\x18\x08\x00\x00\x00", b"\x28\xb5\x2f\xfd", b"\xff" * 8))  # fmt: skip
def compressed_lines(data: bytes) -> None:
    """A frame is whole lines or bad, also one whose checksum fits whatever it is."""
    head = struct.pack("<IIII", 0x184D2A50, 8, len(data), zlib.crc32(data))
    for candidate in (data, head + data):
        with tempfile.TemporaryFile() as file:
            file.write(candidate)
            file.seek(0)
            found = unless(BadFrame, lambda file=file: list(frames.contents(file)))
        assert all(content.endswith(b"\n") for content in found or ())


@law(
    *(
        Manifest("0" * 32, names).encode()
        for names in ((), (segment_name(1),), ("0" * 19 + "1.jsonl.zst",))
    ),
    b'{"format":2,"ledger":"x","segments":["../x"]}',
    words=(*JSON, b'"format":', b'"ledger":', b'"segments":', b".jsonl", b".zst"),
)
def ledger_manifest(data: bytes) -> None:
    """It names segments alone, no path out of the folder, and says the same when written again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.json"
        path.write_bytes(data)
        found = unless(DamagedLedger, lambda: read_manifest(path.parent))
        if found is not None:
            assert not [name for name in found.segments if "/" in name]
            path.write_bytes(found.encode())
            assert read_manifest(path.parent) == found


@law(*(each.encode() for each in ("sha256:" + "ab" * 32, "pointer", "H1:STRAIN", "tag.created")),
     words=MARKS)  # fmt: skip
def databuffer_names(data: bytes) -> None:
    """A name is what was given, and none can lead out of a folder or a line."""
    told = text(data)
    for kind in (Digest, DocumentName, PayloadTypeName, EntryType):
        name = unless(Malformed, lambda kind=kind: kind.parse(told))
        assert name is None or (name == told and not {*name} & {*'/\\\0\n%"'} and name[0] != ".")
    said = unless(Malformed, lambda: parse_text(told, "actor"))
    assert said is None or "\n" not in said


def asking(header: str, value: str) -> Any:
    """Return as much of a request as has headers."""
    return SimpleNamespace(headers=CIMultiDict({header: value}))


@law(
    *(b"bytes=0-4", b"bytes=-5", b"bytes=7-", b"bytes=5-2", b"BYTES=0-0", b"bytes=0-1,3-4"),
    b"items=1-",
    words=(b"bytes=", b"-", b"9999999999999999999"),
)
def byte_range(data: bytes) -> None:
    """A range lies in the blob or begins behind it, and is what others read in the same header."""
    told = data.decode("latin-1")
    digest = Digest.of(b"")
    request = asking("Range", told)
    for size in (0, 1, 10, 2**40):
        found = _range(request, digest, size)
        if found is None:
            continue
        assert found[0] >= 0
        assert found[1] <= size or found[0] >= found[1]
        first, _, last = told.strip().lower().removeprefix("bytes=").partition("-")
        begin = int(first) if first else max(0, size - int(last))
        wanted = range(size)[begin : int(last) + 1 if first and last else None]
        assert range(size)[slice(*found)] == wanted


CONTENTS = [b"one", b"", b"three" * 20]
RECORDS = [
    struct.pack(">4s32sQ", b"cblb", hashlib.sha256(each).digest(), len(each)) + each
    for each in CONTENTS
]
JOURNAL = b"".join(RECORDS)


@law(
    *(struct.pack(">HH", at, at) for at in (0, 44, 50, len(JOURNAL))),
    struct.pack(">HH", 46, len(JOURNAL)),
    struct.pack(">HH", 47, 200) + b"cblb",
    words=(b"cblb", b"\xff" * 8),
)
def blob_journal(data: bytes) -> None:
    """Of a journal that is damaged anywhere, only contents that hash to their digest come back."""
    if len(data) < 4:
        return
    begin, end = struct.unpack(">HH", data[:4])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{1:020d}.blobs"
        path.write_bytes(JOURNAL[:begin] + data[4:] + JOURNAL[end:])
        restored = dict(_records(path))
    assert all(Digest.of(content) == digest for digest, content in restored.items())
    ends = [sum(map(len, RECORDS[: at + 1])) for at in range(3)]
    assert all(
        Digest.of(c) in restored for c, end in zip(CONTENTS, ends, strict=True) if end <= begin
    )


SECRETS = TierSecrets(["a" * 32, "b" * 32])
PATH = "/blobs/sha256/" + "ab" * 32
SIGNATURE = hmac.digest(SECRETS.link_keys[1], f"GET\n{PATH}\n1000".encode(), "sha256").hex()
LINK = f"{PATH}?expires=1000&signature={SIGNATURE}"


@law(LINK.encode(), LINK.replace("1000", "0999").encode(), (LINK + "&x=1").encode(),
     words=(b"?expires=", b"&signature=", b"%2f", b"//"))  # fmt: skip
def signed_link(data: bytes) -> None:
    """No text but the one that was signed is a link, and that one until it expires."""
    told = data.decode("latin-1")
    left = unless(
        (LinkInvalid, LinkExpired), lambda: links.seconds_left(told, SECRETS.link_keys, 900.0)
    )
    assert (left is not None) == (told == LINK)


@law(
    b"alice", b"a%20b", "Zoë".encode(), b"%ff", b"\xe2\x80\xa8", words=(b"%", b"%0a", b"%00", b",")
)
def actor_header(data: bytes) -> None:
    """The actor is a printable name, and whatever is one comes through encoded."""
    raw = data.decode("latin-1")
    told = unless(Malformed, lambda: actor_of(asking(ACTOR, raw)))
    assert told is None or (told.isprintable() and told)
    name = text(data)
    back = unless(Malformed, lambda: actor_of(asking(ACTOR, quote(name, safe=""))))
    assert back == (name if 0 < len(name) <= 200 and name.isprintable() else None)


@law(b"a" * 32 + b"\n" + b"b" * 40, b"short", b"a" * 32 + b"\r\n\r\n", b"\xff" * 40)
def secret_file(data: bytes) -> None:
    """One or two secrets or a refusal, which shows nothing of what stands there."""
    try:
        found = parse_secret_file("BUFFER_TOKEN_FILE", data)
    except BadConfiguration as error:
        assert not any(len(word) >= 16 and word in str(error) for word in text(data).split())  # noqa: PT017
        return
    assert 1 <= len(found) <= 2
    secrets = TierSecrets(found)
    assert all(map(secrets.hold, found))
    assert not secrets.hold("x" * 31)
    assert repr(secrets) == f"<{len(found)} secrets>"
