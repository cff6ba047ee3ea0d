"""Slices: what holds over one stretch of time, of all payload types, in one place.

SQLite looks up each payload type by itself, so 200 types are 200 searches and as many pages. Here
time is cut into slices: what stands when one begins, and the changes until the next one does, in
order. One read and one pass over those changes answer for every type at once, and rows are kept as
the JSON that answers are made of.

Slices are derived from the view and never the truth: where there are none, SQLite answers. They
say what they were made of and check themselves. They are for the machine that made them.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import orjson

from datastore_logic.domain.moment import Interval, Moment
from datastore_logic.view.standing import Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Read = Callable[[int, int], bytes]
    """Return so many bytes from an offset on."""

Change = tuple[int, int, int, bytes]
"""From this major, minor on, the payload type of this number has this row (b"": a gap)."""

MAGIC: Final = f"condstore slices 1 {sys.byteorder}\n".encode()
LEAST_CHANGES: Final = 256
CHANGES_A_TYPE: Final = 4
"""How long slices are: twice as many make files a tenth smaller and reading them a third slower."""

_HEAD: Final = struct.Struct("=II")  # of a slice: how many entries, how many of them are changes
_TAIL: Final = struct.Struct("=QQI")  # of a file: where its contents are, their length and checksum


class Damaged(Exception):
    """These are not slices, not whole, or not what was written."""


# writing ----------------------------------------------------------------------------------------


def changes(number: int, payload_type: str, rows: Iterable[Sequence[Any]]) -> Iterator[Change]:
    """Yield the changes of the payload type of this number.

    `rows` are the IOV_COLUMNS of a timeline in order; ends of None are open.
    """
    ended: tuple[int, int] | None = None
    for _, start_major, start_minor, end_major, end_minor, *payload, _ in rows:
        if ended is not None and ended != (start_major, start_minor):
            yield *ended, number, b""
        name, checksum, digest, size, revision = payload
        interval = start_major, start_minor, end_major, end_minor
        told = (payload_type, name, checksum, size, *interval, revision, digest)
        yield start_major, start_minor, number, orjson.dumps(told)
        ended = None if end_major is None else (end_major, end_minor)
    if ended is not None:
        yield *ended, number, b""


def written(about: str, types: Sequence[str], ordered: Iterable[Change]) -> Iterator[bytes]:
    """Yield, piece by piece, the slices of changes that come in the order of time.

    `about` says what they are made of; `types` are sorted.

    Raises:
        Damaged: the changes are not in order, so the rows overlap.
    """
    yield MAGIC
    starts: list[tuple[int, int]] = []
    ends, sums = [len(MAGIC)], []
    for start, slice_ in _cut(len(types), ordered):
        yield slice_
        starts.append(start)
        ends.append(ends[-1] + len(slice_))
        sums.append(crc32(slice_))
    told = {"about": about, "types": types, "starts": starts, "ends": ends, "sums": sums}
    contents = orjson.dumps(told)
    yield contents
    yield _TAIL.pack(ends[-1], len(contents), crc32(contents))


def _cut(types: int, ordered: Iterable[Change]) -> Iterator[tuple[tuple[int, int], bytes]]:
    """Yield each slice's first moment and its bytes; a slice begins where something changes."""
    enough = max(LEAST_CHANGES, CHANGES_A_TYPE * types)
    start = last = (0, 0)
    standing, following = [b""] * types, list[Change]()
    for change in ordered:
        at = change[:2]
        if at < last:
            raise Damaged(f"what changes at {at} comes after what changes at {last}")
        if len(following) >= enough and at != last:
            yield start, _packed(standing, following)
            for *_, number, row in following:
                standing[number] = row
            start, following = at, []
        if at == start:
            standing[change[2]] = change[3]
        else:
            following.append(change)
        last = at
    yield start, _packed(standing, following)


def _packed(standing: list[bytes], following: list[Change]) -> bytes:
    """Return a slice: moments of the changes, each entry's type and where it ends, the rows."""
    rows = [*standing, *(row for *_, row in following)]
    ends = array("I", [0])
    for row in rows:
        ends.append(ends[-1] + len(row))
    return b"".join(
        (
            _HEAD.pack(len(rows), len(following)),
            array("Q", (major for major, *_ in following)).tobytes(),
            array("Q", (minor for _, minor, *_ in following)).tobytes(),
            array("I", range(len(standing))).tobytes(),
            array("I", (number for *_, number, _ in following)).tobytes(),
            ends.tobytes(),
            *rows,
        )
    )


# reading ----------------------------------------------------------------------------------------


class Slices:
    """The slices of one content, read where they lie; many threads may ask at once."""

    def __init__(self, read: Read, size: int) -> None:
        """Take slices of `size` bytes from `read`.

        Raises:
            Damaged: they are not whole.
        """
        told = _contents(read, size)
        self._read = read
        self.about: str = told["about"]
        self._types: list[str] = told["types"]
        self._majors = array("Q", (major for major, _ in told["starts"]))
        self._minors = array("Q", (minor for _, minor in told["starts"]))
        self._ends = array("Q", told["ends"])
        self._sums = array("I", told["sums"])
        self._checked = bytearray(len(self._sums))

    def __len__(self) -> int:
        return len(self._sums)

    def starts(self) -> Iterator[Moment]:
        """Yield the first moment of each slice."""
        return map(Moment, self._majors, self._minors)

    def at(self, moment: Moment) -> Standing:
        """Return what stands at the moment.

        Raises:
            Damaged: the slice is not what was written, or cannot be read.
        """
        number = _until(self._majors, self._minors, moment) - 1
        entries = _Entries(self._slice(number))
        done = _until(entries.majors, entries.minors, moment)
        rows = entries.latest(len(self._types) + done)
        standing = orjson.loads(b"[%b]" % b",".join(filter(None, rows)))
        gaps = () if all(rows) else _without(self._types, rows)
        return Standing(self._around(number, entries, done), standing, gaps)

    def _slice(self, number: int) -> bytes:
        """Return a slice's bytes; their checksum is compared the first time."""
        start, end = self._ends[number], self._ends[number + 1]
        try:
            read = self._read(start, end - start)
        except OSError as reason:
            raise Damaged(f"slice {number} cannot be read: {reason}") from reason
        if not self._checked[number]:
            self._checked[number] = crc32(read) == self._sums[number]
        if len(read) != end - start or not self._checked[number]:
            raise Damaged(f"slice {number} is not what was written")
        return read

    def _around(self, number: int, entries: _Entries, done: int) -> Interval:
        """Return from the last change up to the next one, in this slice or the one that follows."""
        if done:
            start = Moment(entries.majors[done - 1], entries.minors[done - 1])
        else:
            start = Moment(self._majors[number], self._minors[number])
        if done < len(entries.majors):
            return Interval(start, Moment(entries.majors[done], entries.minors[done]))
        if number + 1 < len(self):
            return Interval(start, Moment(self._majors[number + 1], self._minors[number + 1]))
        return Interval(start)


class _Entries:
    """A slice taken apart without copying: what stands at its beginning, then what changes."""

    __slots__ = ("_bytes", "_ends", "_rows", "_types", "majors", "minors")

    def __init__(self, slice_: bytes) -> None:
        count, changing = _HEAD.unpack_from(slice_)
        view = memoryview(slice_)
        minors = _HEAD.size + 8 * changing
        types = minors + 8 * changing
        ends = types + 4 * count
        self._rows = ends + 4 * (count + 1)
        self._bytes = slice_
        self.majors = view[_HEAD.size : minors].cast("Q")
        self.minors = view[minors:types].cast("Q")
        self._types = view[types:ends].cast("I")
        self._ends = view[ends : self._rows].cast("I")

    def latest(self, until: int) -> list[bytes]:
        """Return the row of each type after so many entries, by type, b"" for a gap.

        Every type is among the entries that stand at the beginning, in order; later ones replace.
        """
        found = dict(zip(self._types[:until], range(until), strict=True))
        rows, ends, slice_ = self._rows, self._ends, self._bytes
        return [slice_[rows + ends[at] : rows + ends[at + 1]] for at in found.values()]


def _until(majors: Sequence[int], minors: Sequence[int], moment: Moment) -> int:
    """Return how many of the ordered moments come no later than this one."""
    low = bisect_left(majors, moment.major)
    high = bisect_right(majors, moment.major, low)
    return bisect_right(minors, moment.minor, low, high)


def _without(types: Sequence[str], rows: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(name for name, row in zip(types, rows, strict=True) if not row)


def _contents(read: Read, size: int) -> dict[str, Any]:
    """Return what is written after the last slice."""
    try:
        at, length, checksum = _TAIL.unpack(read(max(0, size - _TAIL.size), _TAIL.size))
        if at + length + _TAIL.size != size or read(0, len(MAGIC)) != MAGIC:
            raise Damaged("these are not slices, or not whole")
        contents = read(at, length)
        if crc32(contents) != checksum:
            raise Damaged("what they contain is not what was written")
        told: dict[str, Any] = orjson.loads(contents)
    except (OSError, ValueError, struct.error) as reason:
        raise Damaged(f"these are not slices: {reason}") from reason
    return told
