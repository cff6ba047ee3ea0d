"""What one ledger line looks like: composed here, checked here, nowhere else.

`{"lsn","time","actor","type","data","keys","idempotency_key"?,"prev","crc"}`, where `prev` is the
SHA-256 of the line before (without its newline; 64 zeros for the first) and `crc` the CRC-32 of the
bytes before `,"crc":`, so that the last line, which no other line vouches for, checks itself.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import orjson

from databuffer.errors import BadLine

NO_HASH = "0" * 64
NO_TIME = ""
_TAIL = re.compile(rb',"crc":"([0-9a-f]{8})"\}')
_TAIL_LENGTH = 18


@dataclass(frozen=True, slots=True)
class Entry:
    """A line read back."""

    lsn: int
    time: str
    actor: str
    type: str
    data: dict[str, Any]
    keys: tuple[str, ...]
    idempotency_key: str | None
    prev: str


def compose(lsn: int, time: str, body: bytes, prev: str) -> bytes:
    """Make the line, without its newline, of an entry whose inner part is serialised already."""
    head = b'{"lsn":%d,"time":"%s",%s,"prev":"%s"' % (lsn, time.encode(), body, prev.encode())
    return b'%s,"crc":"%08x"}' % (head, crc32(head))


def hash_of(line: bytes) -> str:
    """Name a line for the `prev` of the next."""
    return hashlib.sha256(line).hexdigest()


def parse(line: bytes) -> Entry:
    """Read a line back; raise `BadLine` where its checksum or its form is wrong."""
    tail = _TAIL.fullmatch(line[-_TAIL_LENGTH:])
    if tail is None:
        raise BadLine("it does not end in a checksum")
    if int(tail[1], 16) != crc32(line[:-_TAIL_LENGTH]):
        raise BadLine("its checksum does not fit its bytes")
    try:
        return _entry(orjson.loads(line))
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise BadLine(f"it is not a ledger entry ({error})") from error


def check(line: bytes, lsn: int, prev: str) -> Entry:
    """Read back the line that must stand at `lsn` after the line named `prev`; raise `BadLine`."""
    entry = parse(line)
    if entry.lsn != lsn:
        raise BadLine(f"it says LSN {entry.lsn}")
    if entry.prev != prev:
        raise BadLine("it does not follow the line before it")
    return entry


def _entry(raw: dict[str, Any]) -> Entry:
    return Entry(
        lsn=raw["lsn"],
        time=raw["time"],
        actor=raw["actor"],
        type=raw["type"],
        data=raw["data"],
        keys=tuple(raw["keys"]),
        idempotency_key=raw.get("idempotency_key"),
        prev=raw["prev"],
    )
