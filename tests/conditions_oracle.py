"""What a conditions database must answer, by brute force: lists of rows, scanned end to end.

It shares no code with the service. A tag is a dictionary from payload type to a plain list of
(start, end, name) in no order, with end None for open; moments are whole numbers.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

Row = tuple[int, int | None, str]
FAR = 10**9


class Refused(Exception):
    """The rules do not allow it, and nothing has changed."""


def _end(row: Row) -> int:
    return FAR if row[1] is None else row[1]


def _overlap(one: Row, other: Row) -> bool:
    return one[0] < _end(other) and other[0] < _end(one)


def _without(row: Row, new: Row) -> list[Row]:
    """Return the pieces of `row` that `new` leaves."""
    if not _overlap(row, new):
        return [row]
    pieces: list[Row] = []
    if row[0] < new[0]:
        pieces.append((row[0], new[0], row[2]))
    if new[1] is not None and new[1] < _end(row):
        pieces.append((new[1], row[1], row[2]))
    return pieces


@dataclass
class Tag:
    """One global tag."""

    state: str = "unlocked"
    lists: dict[str, list[Row]] = field(default_factory=dict)

    def copy(self) -> Tag:
        """Return a clone: unlocked, with lists of its own."""
        return Tag("unlocked", {kind: list(rows) for kind, rows in self.lists.items()})

    def insert(self, kind: str, new: Row) -> None:
        """Insert one row as DESIGN §3's table of states says."""
        if self.state == "frozen":
            raise Refused
        rows = self.lists.get(kind, [])
        if new in rows:
            return
        if self.state == "locked":
            for row in rows:
                follows = new[1] is None and row[1] is None and row[0] < new[0]
                if _overlap(row, new) and not follows:
                    raise Refused
        self.lists[kind] = [piece for row in rows for piece in _without(row, new)] + [new]

    def bulk(self, kind: str, starts: list[tuple[int, str]]) -> None:
        """Insert rows without ends: each stops at the next start in its list, sent or stored."""
        if self.state == "frozen":
            raise Refused
        rows = self.lists.get(kind, [])
        sent = dict(starts)
        known = sorted({*sent, *(row[0] for row in rows)})
        wanted: list[Row] = []
        for start, name in sorted(sent.items()):
            following = [other for other in known if other > start]
            wanted.append((start, following[0] if following else None, name))
        if self.state == "locked":
            for new in wanted:
                for row in rows:
                    follows = row[1] is None and row[0] < new[0]
                    if _overlap(row, new) and row != new and not follows:
                        raise Refused
        for new in wanted:
            rows = [piece for row in rows for piece in _without(row, new)] + [new]
        self.lists[kind] = rows

    def delete(self, kind: str, row: Row) -> None:
        """Delete exactly this row."""
        if self.state != "unlocked":
            raise Refused
        self.lists[kind].remove(row)

    def at(self, moment: int) -> dict[str, str]:
        """Return what holds, by type."""
        return {
            kind: row[2]
            for kind, rows in self.lists.items()
            for row in rows
            if row[0] <= moment < _end(row)
        }

    def answer_holds(self, moment: int) -> tuple[int | None, int | None]:
        """Return the last edge of any row up to the moment, and the first one after it."""
        edges = [
            edge
            for rows in self.lists.values()
            for row in rows
            for edge in row[:2]
            if edge is not None
        ]
        before = max((edge for edge in edges if edge <= moment), default=None)
        after = min((edge for edge in edges if edge > moment), default=None)
        return before, after

    def rows(self, kind: str) -> list[Row]:
        """Return the rows of a type in order."""
        return sorted(self.lists[kind])

    def fingerprint(self, major: int) -> str:
        """Return the fingerprint as docs/conditions-model.md defines it; moments are minors."""
        lines = []
        for kind in sorted(self.lists):
            rows: list[list[Any]] = [
                [major, start, *((None, None) if end is None else (major, end)), name, name, None]
                for start, end, name in self.rows(kind)
            ]
            lines.append([kind, _sha256(rows)])
        return _sha256(lines)


def _sha256(lines: list[list[Any]]) -> str:
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    return hashlib.sha256(text.encode()).hexdigest()
