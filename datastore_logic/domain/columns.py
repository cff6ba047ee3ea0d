"""Payload IOVs as parallel columns: how thousands travel in one ledger entry and into the view.

A campaign loads millions of payload IOVs; an object for each would cost more than all the rest.
So a bulk decision, its entry and the view's rows are columns, and `Row` is for the few that a
decision looks at one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import repeat
from operator import lt
from typing import TYPE_CHECKING, Any, Final

from datastore_logic.domain.bare import row_of
from datastore_logic.domain.moment import LIMIT
from datastore_logic.domain.tags import Digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from datastore_logic.domain.bare import Bare
    from datastore_logic.domain.moment import Pair
    from datastore_logic.domain.timeline import Row


@dataclass(frozen=True, slots=True)
class Columns:
    """Payload IOVs, one list a field, all of one length; None stands for a column of nothing.

    Without `start_minor` every minor is 0, without `end_major` every interval is open, and
    `end_minor` is None where `end_major` is. `id` names IOVs that have been known before.
    """

    start_major: list[int]
    name: list[str]
    start_minor: list[int] | None = None
    end_major: list[int | None] | None = None
    end_minor: list[int | None] | None = None
    checksum: list[str | None] | None = None
    digest: list[str | None] | None = None
    size: list[int | None] | None = None
    revision: list[int | None] | None = None
    id: list[int | None] | None = None

    @classmethod
    def of(cls, rows: Iterable[Row], ids: list[int | None] | None = None) -> Columns:
        """Return rows as columns.

        >>> Columns.of([row_of((1, 2, None, None, "a", None, None, None, None))]).starts()
        [(1, 2)]
        """
        held = list(rows)
        starts = [row.interval.start for row in held]
        ends = [row.interval.end for row in held]
        payloads = [row.payload for row in held]
        return cls(
            [start.major for start in starts],
            [payload.name for payload in payloads],
            [start.minor for start in starts],
            [None if end is None else end.major for end in ends],
            [None if end is None else end.minor for end in ends],
            [payload.checksum for payload in payloads],
            [payload.digest for payload in payloads],
            [payload.size for payload in payloads],
            [payload.revision for payload in payloads],
            ids,
        )

    @classmethod
    def parse(cls, columns: Mapping[str, Any]) -> Columns:
        """Read the columns of a ledger entry; ones it does not have are columns of nothing.

        Raises:
            BadValue: a moment or a digest cannot be.
            TypeError, ValueError, KeyError: what must be there is not, or is something else.
        """
        told: dict[str, Any] = {field: columns.get(field) for field in _FIELDS}
        found = cls(**told)
        found.check()
        return found

    def data(self) -> dict[str, Any]:
        """Return the JSON form, without the columns that say nothing."""
        told = {field: getattr(self, field) for field in _FIELDS}
        return {field: column for field, column in told.items() if _says(field, column)}

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            ValueError: columns of different lengths, a number out of range, an empty interval.
            TypeError: a value of the wrong type.
            BadDigest: naming the digest.
        """
        for field, kind in _KINDS.items():
            _check_column(field, kind, getattr(self, field), len(self))
        if self.digest is not None:
            for digest in self.digest:
                if digest is not None:
                    Digest.parse(digest)
        if self.end_major is not None and not all(map(_comes_before, self.starts(), self.ends())):
            raise ValueError("an interval's end does not come after its start")

    def __len__(self) -> int:
        return len(self.start_major)

    def starts(self) -> list[Pair]:
        """Return every start."""
        return list(zip(self.start_major, self.start_minor or repeat(0), strict=False))

    def ends(self) -> list[Pair | None]:
        """Return every end, None where it is open."""
        if self.end_major is None:
            return [None] * len(self)
        minors = self.end_minor or repeat(0)
        return [
            None if major is None else (major, minor or 0)
            for major, minor in zip(self.end_major, minors, strict=False)
        ]

    def bare(self) -> Iterator[Bare]:
        """Yield each payload IOV as its columns."""
        nothing = repeat(None)
        return zip(
            self.start_major,
            self.start_minor or repeat(0),
            self.end_major or nothing,
            self.end_minor or nothing,
            self.name,
            self.checksum or nothing,
            self.digest or nothing,
            self.size or nothing,
            self.revision or nothing,
            strict=False,
        )

    def rows(self) -> Iterator[Row]:
        """Yield each payload IOV as a value."""
        return map(row_of, self.bare())

    def picked(self, order: list[int], ends: list[Pair | None]) -> Columns:
        """Return the rows at these places, in this order, with these ends."""
        told = {field: getattr(self, field) for field in _FIELDS}
        moved: dict[str, Any] = {
            field: None if column is None else [column[at] for at in order]
            for field, column in told.items()
        }
        moved["end_major"] = [end and end[0] for end in ends]
        moved["end_minor"] = [end and end[1] for end in ends]
        return Columns(**moved)


_FIELDS: Final = tuple(field.name for field in fields(Columns))
_KINDS: Final[Mapping[str, frozenset[type]]] = {
    "start_major": frozenset({int}),
    "start_minor": frozenset({int}),
    "name": frozenset({str}),
    "end_major": frozenset({int, type(None)}),
    "end_minor": frozenset({int, type(None)}),
    "checksum": frozenset({str, type(None)}),
    "digest": frozenset({str, type(None)}),
    "size": frozenset({int, type(None)}),
    "revision": frozenset({int, type(None)}),
    "id": frozenset({int, type(None)}),
}
_NEEDED: Final = frozenset({"start_major", "name"})


def _says(field: str, column: list[Any] | None) -> bool:
    if field in _NEEDED:
        return True
    nothing = 0 if field == "start_minor" else None
    return column is not None and column.count(nothing) < len(column)


def _check_column(field: str, kind: frozenset[type], column: list[Any] | None, length: int) -> None:
    if column is None and field not in _NEEDED:
        return
    if not isinstance(column, list) or len(column) != length:
        raise ValueError(f"{field} is no column of {length} values")
    if not kind.issuperset(map(type, column)):
        raise TypeError(f"{field} holds something else than {sorted(k.__name__ for k in kind)}")
    if int in kind:
        numbers = [number for number in column if number is not None]
        if numbers and not 0 <= min(numbers) <= max(numbers) <= LIMIT:
            raise ValueError(f"{field} holds a number that is not from 0 to {LIMIT}")


def _comes_before(start: Pair, end: Pair | None) -> bool:
    return end is None or lt(start, end)
