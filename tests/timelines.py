"""Timelines drawn at random, and brute force over them: every row looked at, one by one."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from logic_fakes import FakeBuffer

from datastore_logic.domain.columns import Columns
from datastore_logic.domain.events import (
    ListChange,
    TagChanged,
    TagCloned,
    TagCreated,
    TagDeleted,
    TagFrozen,
    TimelinesChanged,
)
from datastore_logic.domain.moment import LIMIT, Moment
from datastore_logic.domain.tags import PayloadTypeName, TagName, TagState
from datastore_logic.view.acknowledged import Acknowledged
from datastore_logic.view.database import Database
from datastore_logic.view.replica import Replica

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from datastore_logic.view.standing import Standing

Pair = tuple[int, int]
Row = tuple[Pair, Pair | None, str]
"""From, to (None: for ever), name."""

PARTS = st.sampled_from([0, 1, 2, 3, 7, 8, LIMIT - 1, LIMIT])
MOMENTS = st.tuples(PARTS, PARTS)
TYPES = ["Beam", "Field", "Gain"]


@st.composite
def timelines(draw) -> list[Row]:
    """Draw ordered, disjoint rows: adjacent, with gaps, of equal majors, the last one open."""
    edges = sorted(draw(st.sets(MOMENTS, max_size=8)))
    serial = draw(st.integers(0, 99))
    kept = [draw(st.booleans()) for _ in edges]
    following = [*edges, None][1:]
    return [
        (start, end, f"n{serial}.{at}")
        for at, (start, end) in enumerate(zip(edges, following, strict=True))
        if kept[at]
    ]


def contents() -> st.SearchStrategy[dict[str, list[Row]]]:
    """Return a strategy of a timeline for each of the TYPES."""
    return st.fixed_dictionaries({kind: timelines() for kind in TYPES})


def holding(rows: list[Row], moment: Pair) -> Row | None:
    """Return the one row that holds at the moment, None in a gap."""
    (found,) = [
        row for row in rows if row[0] <= moment and (row[1] is None or moment < row[1])
    ] or [None]
    return found


def standing(content: dict[str, list[Row]], moment: Pair) -> dict[str, Row | None]:
    """Return what each type has at the moment."""
    return {kind: holding(rows, moment) for kind, rows in sorted(content.items())}


def edges(content: dict[str, list[Row]]) -> set[Pair]:
    """Return every moment at which something begins or ends."""
    return {edge for rows in content.values() for row in rows for edge in row[:2] if edge}


def check(found: Standing, content: dict[str, list[Row]], moment: Pair) -> None:
    """Compare an answer with brute force, at its moment and all over the interval it holds."""
    expected = standing(content, moment)
    assert [list(row) for row in found.rows] == [
        [kind, row[2], "sum", 7, *row[0], *(row[1] or (None, None)), None, None]
        for kind, row in expected.items()
        if row is not None
    ]
    assert list(found.gaps) == [kind for kind, row in expected.items() if row is None]
    told = edges(content)
    for other in told | {(0, 0), (LIMIT, LIMIT)}:
        if Moment(*other) in found.holds:
            assert standing(content, other) == expected
    assert found.holds.start == Moment(*max((e for e in told if e <= moment), default=(0, 0)))
    after = min((edge for edge in told if edge > moment), default=None)
    assert found.holds.end == (after and Moment(*after))


@dataclass(repr=False)
class Ledgered:
    """A view of a databuffer in memory, written to by ledger entries."""

    path: Path
    buffer: FakeBuffer
    database: Database
    replica: Replica
    reader: Database
    """As another process has it, which does not write."""

    def hold(self, tag: str, content: dict[str, list[Row]]) -> int:
        """Make a tag that holds this; return the LSN at which it does."""
        self._write(TagCreated(TagName(tag)))
        return self.change(tag, {}, content)

    def change(self, tag: str, old: dict[str, list[Row]], new: dict[str, list[Row]]) -> int:
        """Replace all rows of a tag; return the LSN at which they are."""
        lists = [
            ListChange(
                PayloadTypeName(kind),
                TagName(tag),
                None,
                _columns(rows),
                deleted=_gone(old, kind),
            )
            for kind, rows in new.items()
        ]
        return self._write(TimelinesChanged(tuple(lists)))

    def freeze(self, tag: str, fingerprint: str) -> int:
        """Freeze a tag under any fingerprint."""
        return self._write(TagFrozen(TagName(tag), fingerprint))

    def unfreeze(self, tag: str) -> int:
        """Let a frozen tag change again."""
        return self._write(TagChanged(TagName(tag), TagState.UNLOCKED, "a reason"))

    def clone(self, tag: str, clone: str) -> int:
        """Make another tag of the same rows."""
        return self._write(TagCloned(TagName(tag), TagName(clone)))

    def delete(self, tag: str) -> int:
        """Delete a tag."""
        return self._write(TagDeleted(TagName(tag)))

    def _write(self, event) -> int:
        lsn = self.buffer.write(event.type, event.data())
        assert self.replica.pull().applied_lsn == lsn
        return lsn


@contextmanager
def ledgered(folder: Path) -> Iterator[Ledgered]:
    """Make an empty view in a folder."""
    buffer = FakeBuffer()
    path = folder / "view.sqlite"
    database = Database(path, "stream")
    replica = Replica(database, buffer, TagName("stream"), Acknowledged(folder / "acknowledged"))
    yield Ledgered(path, buffer, database, replica, reader := Database(path, "stream"))
    reader.close()
    database.close()


def _columns(rows: list[Row]) -> Columns:
    return Columns(
        [start[0] for start, *_ in rows],
        [name for *_, name in rows],
        [start[1] for start, *_ in rows],
        [end and end[0] for _, end, _ in rows],
        [end and end[1] for _, end, _ in rows],
        ["sum"] * len(rows),
        size=[7] * len(rows),
    )


def _gone(content: dict[str, list[Row]], kind: str) -> tuple[Moment, ...]:
    return tuple(Moment(*start) for start, *_ in content.get(kind, ()))
