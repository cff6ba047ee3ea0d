"""Following the chain of a ledger's lines by their bytes alone, without reading their JSON.

A line begins `{"lsn":<n>,"time":"…"` and ends `,"prev":"<hash of the line before>","crc":"…"}`: it
is the databuffer that writes both ends. What lies between is nobody's business here, but for the
payloads that are named anywhere in it: `sha256:` and 64 digits, or so in a URL.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import orjson

from condstore.chain import START, pairs

if TYPE_CHECKING:
    from condstore.results import Json

NAMED: Final = re.compile(rb"sha256(?::|/|%3[Aa])([0-9a-f]{64})")  # or as in a URL
_CRC: Final = 18  # bytes: ,"crc":"<8 hex>"}


class Broken(Exception):
    """A line that cannot stand where it stands; says at which LSN, and why."""

    def __init__(self, lsn: int, what: str) -> None:
        super().__init__(f"LSN {lsn}: {what}")


@dataclass(slots=True)
class Links:
    """The last line that was followed: its LSN, its hash, its time ("" before the first).

    Where the line before is not known, its hash is "", and the next may follow any.
    """

    lsn: int = 0
    hash: str = START
    time: str = ""

    def follow(self, line: bytes) -> None:
        """Go on to a line, without its newline; raise `Broken` if it is not the next."""
        lsn = self.lsn + 1
        head = b'{"lsn":%d,"time":"' % lsn
        tail = b',"prev":"%s"' % self.hash.encode()
        if line[-_CRC:] != b',"crc":"%08x"}' % zlib.crc32(line[:-_CRC]):
            raise Broken(lsn, "its crc does not match its bytes (damaged)")
        if not line.startswith(head):
            raise Broken(lsn, "another entry stands in its place")
        if self.hash and not line.endswith(tail, 0, len(line) - _CRC):
            raise Broken(lsn, "it does not follow the entry before it (changed or lost?)")
        self.lsn, self.hash = lsn, hashlib.sha256(line).hexdigest()
        self.time = time_of(line)


def time_of(line: bytes) -> str:
    """Return when a line was written, as it says: UTC, to be compared as text."""
    return line.split(b'"', 6)[5].decode("ascii", "replace")


def written(moment: datetime) -> str:
    """Write a time as lines have it; the moment must have a zone."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def before(time: str) -> str:
    """Return the moment before a line's time, "" if that is none.

    >>> before("2026-11-20T23:17:00.000000Z")
    '2026-11-20T23:16:59.999999Z'
    """
    try:
        return written(datetime.fromisoformat(time) - timedelta(microseconds=1))
    except (ValueError, OverflowError):
        return ""


def named(lines: list[bytes]) -> set[str]:
    """Return the digests (hex) of the payloads that lines name."""
    return {found.decode() for line in lines for found in set(NAMED.findall(line))}


def kept_here(lines: list[bytes], names: set[str]) -> set[str]:
    """Return those of the digests that lines name as payloads of the store, not in passing.

    A digest may also stand in a comment, or be that of bytes which never were here.
    """
    wanted = re.compile(b"|".join(name.encode() for name in sorted(names)))
    entries = (orjson.loads(line) for line in lines if names and wanted.search(line))
    return names.intersection(digest for entry in entries for digest in _payloads(entry))


def _payloads(entry: Json) -> list[str]:
    try:
        found = [digest for digest, _ in pairs(entry["type"], entry["data"])]
    except (KeyError, TypeError, ValueError, AttributeError):
        return []  # the logic tier wrote no such entry
    return [str(digest).removeprefix("sha256:") for digest in found]
