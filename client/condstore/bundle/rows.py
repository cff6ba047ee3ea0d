"""Rows and payloads of a bundle's file, each checked when it is read.

A row's seal says that it is as it was written; where its next one starts, that none between is
missing. Threads share a connection in turns; a forked process opens its own.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from condstore.bundle import format as layout
from condstore.bundle.file import damaged, open_bundle, reading
from condstore.errors import NotFound
from condstore.moments import written

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from condstore.digests import Digest
    from condstore.moments import Moment

Row: TypeAlias = tuple[Any, ...]
"""The seal, and the columns `format.ROW`."""

_AT: Final = "(start_major, start_minor) <= (:major, :minor)"
_SLICE: Final = (
    f"SELECT slice FROM slice WHERE {_AT} ORDER BY start_major DESC, start_minor DESC LIMIT 1"  # noqa: S608
)
STANDING: Final = (
    f"SELECT seal, {layout.ROW} FROM iov WHERE slice = ({_SLICE}) AND {_AT}"  # noqa: S608
    " AND (next_major IS NULL OR (next_major, next_minor) > (:major, :minor))"
)
_STANDING_OF: Final = f"{STANDING} AND list = :list"
_OF_SLICES: Final = (
    f"SELECT i.seal, {', '.join(f'i.{name}' for name in layout.ROW.split(', '))}"  # noqa: S608
    " FROM slice s CROSS JOIN iov i ON i.slice = s.slice AND i.list = :list"
    " WHERE s.slice >= :slice AND s.slice < :slice + :many"
    " ORDER BY s.slice, i.start_major, i.start_minor"
)
_SLICES_AT_ONCE: Final = 32
_ROWS_AT_ONCE: Final = 1000


class Chain:
    """The rows of one list, each of which tells where the next one starts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.last: Row | None = None

    def goes_on_with(self, row: Row) -> bool:
        """Say whether this is the next row, not the last one again; else raise `DamagedBundle`."""
        last = self.last
        if last is not None:
            if row[2:4] == last[2:4]:
                return False  # it reaches into another slice too
            if row[2:4] != last[6:8]:
                raise damaged(self._path, "rows are missing")
        self.last = row
        return True

    def end_at(self, end: Moment | None) -> None:
        """Raise `DamagedBundle` if there should be further rows before `end`."""
        last = self.last
        if last is None or (last[6] is not None and (end is None or last[6:8] < end)):
            raise damaged(self._path, "rows are missing")


class Rows:
    """What is in the tables of the bundle at `path`; opening it checks what is read then."""

    def __init__(self, path: Path, small: int) -> None:
        self.path = path
        self._small = small
        self._open()

    def __del__(self) -> None:
        if "connection" in self.__dict__:
            self.close()

    def _open(self) -> None:
        self.connection = open_bundle(self.path, small=self._small)
        self._pid, self._lock = os.getpid(), Lock()

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()

    def standing(self, moment: Moment, lists: Collection[int]) -> list[Row]:
        """Return the last row that starts by `moment`, of each of `lists` (one, or all)."""
        asked: dict[str, Any] = {"major": moment.major, "minor": moment.minor}
        query = STANDING
        if len(lists) == 1:
            query, asked["list"] = _STANDING_OF, next(iter(lists))
        rows = self._sealed(query, asked)
        if [row[1] for row in rows] != list(lists):
            raise damaged(self.path, f"rows for {written(moment)} are missing")
        for row in rows:
            if row[2:4] > moment or (row[6] is not None and row[6:8] <= moment):
                raise damaged(self.path, f"rows for {written(moment)} are others")
        return rows

    def following(self, number: int, first: Moment, end: Moment | None) -> Iterator[Row]:
        """Yield the rows of a list from the one `first` falls to up to `end`, none left out."""
        chain = Chain(self.path)
        for row in self._by_slices(number, first):
            if row[1] != number or (chain.last is None and row[2:4] > first):
                raise damaged(self.path, "rows are missing")
            if chain.goes_on_with(row):
                if end is not None and row[2:4] >= end:
                    return
                yield row
        chain.end_at(end)

    def everything(self) -> Iterator[Row]:
        """Yield all rows as they lie in the file, those in several slices more than once."""
        with reading(self.path):
            cursor = self.connection.execute(f"SELECT seal, {layout.ROW} FROM iov")  # noqa: S608
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                yield from self._intact(rows)

    def payload(self, digest: Digest) -> Iterator[bytes]:
        """Return the pieces of a payload; raise `NotFound` if it is none of the bundle's."""
        found = self.query("SELECT payload FROM payload WHERE digest = ?", (digest,))
        if not found:
            self._check_lacks(digest)
            raise NotFound(f"{self.path} has no payload {digest}", status=404)
        return self._pieces(digest, found[0][0])

    def query(self, query: str, asked: Mapping[str, Any] | tuple[Any, ...] = ()) -> list[Row]:
        """Return all rows of a query."""
        if self._pid != os.getpid():
            self.close()  # it has no locks that this could take from the parent
            self._open()
        with reading(self.path), self._lock:
            return self.connection.execute(query, asked).fetchall()

    def _sealed(self, query: str, asked: Mapping[str, Any]) -> list[Row]:
        return self._intact(self.query(query, asked))

    def _intact(self, rows: list[Row]) -> list[Row]:
        """Return the rows if their seals hold."""
        sealed, crc32 = layout.SEALED, zlib.crc32
        for row in rows:
            if crc32((sealed % row[1:]).encode("utf-8", "replace")) != row[0]:
                raise damaged(self.path, "a row is not what was written")
        return rows

    def _by_slices(self, number: int, first: Moment) -> Iterator[Row]:
        asked = {"major": first.major, "minor": first.minor, "list": number}
        ((last,),) = self.query("SELECT max(slice) FROM slice")
        found = self.query(_SLICE, asked)
        for at in range(found[0][0] if found else 1, (last or 0) + 1, _SLICES_AT_ONCE):
            yield from self._sealed(_OF_SLICES, asked | {"slice": at, "many": _SLICES_AT_ONCE})

    def _pieces(self, digest: Digest, payload: int) -> Iterator[bytes]:
        """Yield the pieces; the last one only if all hash to the digest."""
        total, waiting = hashlib.sha256(), b""
        for piece in self._parts(payload):
            if not isinstance(piece, bytes):
                break
            if waiting:
                yield waiting
            total.update(piece)
            waiting = piece
        if total.hexdigest() != digest.hex:
            raise damaged(self.path, f"payload {digest}")
        yield waiting

    def _parts(self, payload: int) -> Iterator[object]:
        query = "SELECT bytes FROM piece WHERE payload = ? AND part = ?"
        for part in count():
            found = self.query(query, (payload, part))
            if not found:
                return
            yield found[0][0]

    def _check_lacks(self, digest: Digest) -> None:
        """Raise `DamagedBundle` unless the payload never was here: the whole list is read."""
        told = self.query("SELECT value FROM about WHERE name = 'payloads_sha256'")
        found = self.query("SELECT 1 FROM payload NOT INDEXED WHERE digest = ?", (digest,))
        with reading(self.path), self._lock:
            listed = layout.payloads_digest(self.connection)
        if found or told != [(listed,)]:
            raise damaged(self.path, "its list of payloads")
