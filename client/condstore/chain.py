"""Checking a ledger line by line, without any I/O: numbers, chain, checksum, and what it names.

A line's `prev` is the SHA-256 of the line before it, so one changed, lost or added line shows in
the next; its own `crc` shows damage in the last one, which has no next. Entries of unknown types
are chained like any other; only what they name is not looked at.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from condstore.results import Json

START: Final = "0" * 64
_CRC = re.compile(rb',"crc":"([0-9a-f]{8})"\}$')
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong, and at which ledger position (0: with the ledger as a whole)."""

    lsn: int
    what: str

    def __str__(self) -> str:
        return f"LSN {self.lsn}: {self.what}" if self.lsn else self.what


@dataclass(frozen=True, slots=True)
class Named:
    """A payload that an entry names, and the size it says, if it says one."""

    hex: str
    size: int | None
    lsn: int


@dataclass(slots=True)
class Chain:
    """Where the walk has come to: feed it each line, without its newline, in order."""

    lsn: int = 0
    hash: str = START
    problems: list[Problem] = field(default_factory=list)

    def take(self, line: bytes) -> tuple[Named, ...]:
        """Check one line, note what is wrong with it, and return the payloads it names."""
        expected, previous = self.lsn + 1, self.hash
        self.lsn, self.hash = expected, hashlib.sha256(line).hexdigest()
        self.problems += (Problem(expected, what) for what in _own_damage(line))
        try:
            entry = orjson.loads(line)
            lsn, prev, data = entry["lsn"], entry["prev"], entry["data"]
            kind = entry["type"]
        except (ValueError, KeyError, TypeError):
            self.problems.append(Problem(expected, "not a ledger entry"))
            return ()
        if lsn != expected:
            self.problems.append(Problem(expected, f"entry {lsn} stands in its place"))
            self.lsn = lsn if isinstance(lsn, int) and lsn > 0 else expected
        if prev != previous:
            self.problems.append(
                Problem(self.lsn, f"does not follow the entry before it (changed or lost? {prev})")
            )
        return self._named(kind, data)

    def _named(self, kind: Json, data: Json) -> tuple[Named, ...]:
        try:
            return tuple(
                Named(_hex(digest), None if size is None else int(size), self.lsn)
                for digest, size in pairs(kind, data)
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self.problems.append(Problem(self.lsn, f"{kind} names no payloads ({error})"))
            return ()


def _own_damage(line: bytes) -> Iterator[str]:
    found = _CRC.search(line)
    if found is None:
        yield "carries no crc"
    elif zlib.crc32(line[: found.start()]) != int(found[1], 16):
        yield "its crc does not match its bytes (damaged)"


def pairs(kind: Json, data: Json) -> Iterator[tuple[Json, Json]]:
    """Yield digest and size of each payload kept here that an entry of a known type names."""
    if kind == "buffer.stored":
        yield data["digest"], int(data["size"])
    elif kind == "iovs.changed":
        yield from _columns(data["attached"])
    elif kind == "iov.created":
        yield from _columns(data["iov"])
    elif kind == "timelines.changed":
        for change in data["lists"]:
            yield from _columns(change["attached"])


def _columns(rows: Json) -> Iterator[tuple[Json, Json]]:
    """Yield digest and size of rows told in columns; a column of nothing is left out."""
    digests = rows.get("digest") or []  # sizes may be told of payloads that are kept elsewhere
    sizes = (digests and rows.get("size")) or [None] * len(digests)
    for digest, size in zip(digests, sizes, strict=True):
        if digest is not None:
            yield digest, size


def _hex(digest: Json) -> str:
    found = _DIGEST.fullmatch(digest)
    if found is None:
        raise ValueError(f"{digest!r} is not a digest")
    return found[1]
