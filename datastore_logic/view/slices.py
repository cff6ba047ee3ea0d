"""Slices: what holds over one stretch of time, of all payload types, in one place.

SQLite looks up each payload type by itself, so 200 types are 200 searches and as many pages. Here
time is cut into slices: what stands when one begins, and the changes until the next one does, in
order. One read and one pass over those changes answer for every type at once. Rows are kept as the
JSON that most callers want, and become objects only for who looks into them.

Slices are derived from the view and never the truth: where there are none, SQLite answers. They
say what they were made of and check themselves. They are for the machine that made them.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import orjson

from datastore_logic.domain.moment import LIMIT, Interval, Moment
from datastore_logic.view.standing import Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Read = Callable[[int, int], bytes]
    """Return so many bytes from an offset on."""

Change = tuple[int, int, int, bytes, bytes]
"""From this major, minor on, the payload type of this number has this row (b"": a gap).

The row is in two parts: the JSON of all but its digest, where an open end is 2^63-1 twice; and the
JSON of the digest, in an array of its own if the end is open.
"""

OPEN: Final = (LIMIT, LIMIT)
MAGIC: Final = f"condstore slices 2 {sys.byteorder}\n".encode()
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
        start = start_major, start_minor
        if ended is not None and ended != start:
            yield *ended, number, b"", b""
        ended = None if end_major is None else (end_major, end_minor)
        name, checksum, digest, size, revision = payload
        told = (payload_type, name, checksum, size, *start, *(ended or OPEN), revision)
        rest = digest if ended else (digest,)
        yield *start, number, orjson.dumps(told), orjson.dumps(rest)
    if ended is not None:
        yield *ended, number, b"", b""


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
    standing, following = [(b"", b"")] * types, list[Change]()
    for change in ordered:
        at = change[:2]
        if at < last:
            raise Damaged(f"what changes at {at} comes after what changes at {last}")
        if len(following) >= enough and at != last:
            yield start, _packed(standing, following)
            for _, _, number, row, rest in following:
                standing[number] = row, rest
            start, following = at, []
        if at == start:
            standing[change[2]] = change[3:]
        else:
            following.append(change)
        last = at
    yield start, _packed(standing, following)


def _packed(standing: list[tuple[bytes, bytes]], following: list[Change]) -> bytes:
    """Return a slice: moments of the changes; of each entry its type and where its parts end."""
    parts = [*standing, *(change[3:] for change in following)]
    rows = [row for row, _ in parts]
    rests = [rest for _, rest in parts]
    tables = (
        array("Q", (change[0] for change in following)),
        array("Q", (change[1] for change in following)),
        array("I", range(len(standing))),
        array("I", (change[2] for change in following)),
        array("I", accumulate(map(len, rows), initial=0)),
        array("I", accumulate(map(len, rests), initial=0)),
    )
    head = _HEAD.pack(len(parts), len(following))
    return b"".join((head, *(table.tobytes() for table in tables), *rows, *rests))


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
        rows = Written(entries, len(self._types) + done)
        holds = self._around(number, entries, done)
        return Standing(holds, rows, rows.without(self._types))

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

    __slots__ = (
        "_bytes",
        "_rest_ends",
        "_rests",
        "_row_ends",
        "_rows",
        "majors",
        "minors",
        "types",
    )

    def __init__(self, slice_: bytes) -> None:
        count, changing = _HEAD.unpack_from(slice_)
        view = memoryview(slice_)
        minors = _HEAD.size + 8 * changing
        types = minors + 8 * changing
        row_ends = types + 4 * count
        rest_ends = row_ends + 4 * (count + 1)
        self._bytes = slice_
        self._rows = rest_ends + 4 * (count + 1)
        self.majors = view[_HEAD.size : minors].cast("Q")
        self.minors = view[minors:types].cast("Q")
        self.types = view[types:row_ends].cast("I")
        self._row_ends = view[row_ends:rest_ends].cast("I")
        self._rest_ends = view[rest_ends : self._rows].cast("I")
        self._rests = self._rows + self._row_ends[count]

    def rows(self, which: Iterable[int]) -> list[bytes]:
        """Return the first parts of some entries' rows."""
        begin, ends, slice_ = self._rows, self._row_ends, self._bytes
        return [slice_[begin + ends[at] : begin + ends[at + 1]] for at in which]

    def rests(self, which: Iterable[int]) -> list[bytes]:
        """Return the second parts of some entries' rows."""
        begin, ends, slice_ = self._rests, self._rest_ends, self._bytes
        return [slice_[begin + ends[at] : begin + ends[at + 1]] for at in which]


class Written:
    """The rows that stand after so many entries, as they are written; iterating decodes them.

    Every type is among the entries at the beginning, in order; later ones take their places.
    """

    __slots__ = ("_entries", "_latest", "_rows")

    def __init__(self, entries: _Entries, until: int) -> None:
        self._entries = entries
        self._latest = dict(zip(entries.types[:until], range(until), strict=True)).values()
        self._rows = entries.rows(self._latest)

    def json(self) -> bytes:
        """Return the rows but for their digests, as JSON; open ends are 2^63-1 twice."""
        return b"[%b]" % b",".join(filter(None, self._rows))

    def __iter__(self) -> Iterator[list[Any]]:
        rests = filter(None, self._entries.rests(self._latest))
        digests = orjson.loads(b"[%b]" % b",".join(rests))
        for row, digest in zip(orjson.loads(self.json()), digests, strict=True):
            if isinstance(digest, list):
                row[6] = row[7] = None
                row.extend(digest)
            else:
                row.append(digest)
            yield row

    def without(self, types: Sequence[str]) -> tuple[str, ...]:
        """Return which of the types have a gap."""
        if all(self._rows):
            return ()
        return tuple(name for name, row in zip(types, self._rows, strict=True) if not row)


def _until(majors: Sequence[int], minors: Sequence[int], moment: Moment) -> int:
    """Return how many of the ordered moments come no later than this one."""
    low = bisect_left(majors, moment.major)
    high = bisect_right(majors, moment.major, low)
    return bisect_right(minors, moment.minor, low, high)


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
