"""What a global tag must answer, worked out by brute force: of all payloads the newest that covers.

It knows nothing of trims and splits: every payload that was ever accepted is kept with its whole
interval, and each moment is looked up by trying them all.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

Moment = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Accepted:
    """A payload as somebody wanted it, and the LSN at which it was accepted."""

    lsn: int
    start: Moment
    end: Moment | None
    digest: str

    def covers(self, moment: Moment) -> bool:
        """Whether it holds at the moment."""
        return self.start <= moment and (self.end is None or moment < self.end)


@dataclass
class TagOracle:
    """One global tag: the accepted payloads of each type."""

    name: str
    types: dict[str, list[Accepted]] = field(default_factory=lambda: defaultdict(list))

    def at(self, payload_type: str, moment: Moment) -> str | None:
        """Return the digest of what holds, None in a gap."""
        found = [one for one in self.types[payload_type] if one.covers(moment)]
        return max(found, key=lambda one: one.lsn).digest if found else None

    def moments(self) -> list[Moment]:
        """Return every moment at which any answer may change, the beginning, and the far future."""
        edges = {(0, 0), (2**62, 0)}
        for accepted in self.types.values():
            edges |= {edge for one in accepted for edge in (one.start, one.end) if edge}
        return sorted(edges)

    def rows(self, payload_type: str) -> list[tuple[Moment, Moment | None, str]]:
        """Return the disjoint intervals and what holds over each."""
        rows: list[tuple[Moment, Moment | None, str]] = []
        edges = self.moments()[:-1]
        for start, end in zip(edges, [*edges[1:], None], strict=True):
            digest = self.at(payload_type, start)
            if digest is None:
                continue
            if rows and rows[-1][1:] == (start, digest):
                start = rows.pop()[0]  # noqa: PLW2901 - the row goes on
            rows.append((start, end, digest))
        return rows

    def fingerprint(self) -> str:
        """Return the tag's fingerprint as the documents define it."""
        lines = [
            [payload_type, _timeline_fingerprint(self.rows(payload_type))]
            for payload_type in sorted(self.types)
        ]
        return _sha256_of(lines)


def oracles(entries: Iterable[dict[str, Any]], wanted: dict[str, Any]) -> dict[str, TagOracle]:
    """Return an oracle a tag from ledger entries.

    `wanted` maps the digest of each payload to (tag, type, start, end) as its producer wanted it;
    an entry accepts the payload whose digest no earlier entry had.
    """
    tags: dict[str, TagOracle] = {}
    seen: set[str] = set()
    for entry in entries:
        data = entry["data"]
        if entry["type"] == "tag.created":
            assert data["tag"] not in tags, "a tag was created twice"
            tags[data["tag"]] = TagOracle(data["tag"])
        for change in changes(entry):
            if change["tag"] not in tags:
                continue
            (digest,) = set(change["attached"]["digest"]) - seen
            seen.add(digest)
            tag, payload_type, start, end = wanted[digest]
            assert (change["tag"], change["payload_type"]) == (tag, payload_type)
            tags[tag].types[payload_type].append(Accepted(entry["lsn"], start, end, digest))
    return tags


def changes(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the changes of lists that a ledger entry tells of."""
    return list(entry["data"]["lists"]) if entry["type"] == "timelines.changed" else []


def tags_of(entry: dict[str, Any]) -> set[str]:
    """Return the tags that a ledger entry makes or changes."""
    named = [entry["data"], *changes(entry)]
    return {told["tag"] for told in named if "tag" in told}


def _timeline_fingerprint(rows: list[tuple[Moment, Moment | None, str]]) -> str:
    return _sha256_of(
        [[*start, *(end or (None, None)), name, None, name] for start, end, name in rows]
    )


def _sha256_of(lines: Iterable[list[Any]]) -> str:
    total = hashlib.sha256()
    for line in lines:
        total.update(json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
    return total.hexdigest()
