"""Cutting all rows of a bundle into slices of time, as they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Row: TypeAlias = tuple[Any, ...]
"""The columns `format.ROW`, and the seal."""

LEAST: Final = 256
"""A slice has at least so many rows that start in it, where there are so many."""


class Slice(NamedTuple):
    """From where on it is read, and the rows that hold then or start before the next slice."""

    start: tuple[int, int]
    rows: list[Row]


def slices(rows: Iterable[Row], lists: int) -> Iterator[Slice]:
    """Yield the slices of rows that come by their start.

    Twice as many rows start in each as there are lists, so that what is repeated is at most half of
    what there is, and a resolution reads three rows for each that it answers with.
    """
    at_least = max(LEAST, 2 * lists)
    standing: dict[int, Row] = {}
    fresh: list[Row] = []
    for row in rows:
        if len(fresh) >= at_least and _start(row) != _start(fresh[-1]):
            yield _slice(standing, fresh)
            standing.update((each[0], each) for each in fresh)
            fresh = []
        fresh.append(row)
    if fresh:
        yield _slice(standing, fresh)


def _slice(standing: dict[int, Row], fresh: list[Row]) -> Slice:
    start = _start(fresh[0])
    anew = {row[0] for row in fresh if _start(row) == start}
    carried = [row for number, row in standing.items() if number not in anew]
    return Slice(start, sorted(carried + fresh, key=_by_list))


def _start(row: Row) -> tuple[int, int]:
    return row[1], row[2]


def _by_list(row: Row) -> tuple[int, int, int]:
    return row[0], row[1], row[2]
