"""A frozen tag in memory that answers like the servers, by brute force; bundles are pulled of it.

It shares no code with bundles: rows are scanned from end to end, the fingerprint is computed from
the words of docs/conditions-model.md alone.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from condstore.digests import Digest
from condstore.errors import NotFound
from condstore.moments import Moment
from condstore.results import HeldList, Payload, PayloadIOV, Resolution, Tag, TagContent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FAR = Moment(2**64)


def iov(kind: str, start: Any, end: Any = None, name: str | None = None, **more: Any) -> PayloadIOV:
    """Return a payload IOV; moments as `Moment.of` takes them."""
    start = Moment.of(start)
    told = {"checksum": None, "digest": None, "size": None, "revision": None, "id": 1, "lsn": 5}
    name = name or f"{kind}-{start.pair()}"
    last = None if end is None else Moment.of(end)
    return PayloadIOV(kind, start, last, name, **{**told, **more})


def sha256(lines: Sequence[Any]) -> str:
    """Return the SHA-256 over lines of JSON."""
    text = (json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n" for line in lines)
    return hashlib.sha256("".join(text).encode()).hexdigest()


def exact(row: PayloadIOV) -> list[Any]:
    """Return the line of a row that a fingerprint is over."""
    end = [None, None] if row.end is None else [*row.end]
    return [*row.start, *end, row.name, row.checksum, row.digest]


@dataclass
class ToldTag:
    """A tag's lists in order of their type; `streamed` are the segments of lists that are streamed.

    `asked` counts the questions.
    """

    lists: dict[str, list[PayloadIOV]]
    payloads: dict[str, bytes] = field(default_factory=dict)
    streamed: dict[str, list[PayloadIOV]] = field(default_factory=dict)
    name: str = "prompt"
    state: str = "frozen"
    fingerprint: str | None = None

    def __post_init__(self) -> None:
        self.lists = {kind: sorted(self.lists[kind], key=_start) for kind in sorted(self.lists)}
        told = {kind: self.streamed.get(kind, rows) for kind, rows in self.lists.items()}
        lines = [[kind, sha256([exact(row) for row in rows])] for kind, rows in told.items()]
        self.fingerprint = self.fingerprint or sha256(lines)

    @property
    def ref(self) -> str:
        """`TAG@<fingerprint>`."""
        return f"{self.name}@{self.fingerprint}"

    def keep(self, content: bytes) -> str:
        """Store a payload and return its digest."""
        digest = Digest.of(content)
        self.payloads[digest] = content
        return digest

    def tag(self, ref: str) -> TagContent:
        """Return the tag and its lists."""
        if ref.partition("@")[0] != self.name:
            raise NotFound(f"no tag {ref}", status=404)
        count = sum(map(len, self.lists.values()))
        tag = Tag(
            self.name, self.state, self.fingerprint, "as told", "alice", bool(self.streamed),
            "2026-11-21T05:01:50.045077Z", "2026-11-21T05:01:51.045077Z", len(self.lists), count, 9,
        )  # fmt: skip
        return TagContent(tag, tuple(_held(kind, rows) for kind, rows in self.lists.items()))

    def iovs(
        self, ref: str, payload_type: str, begin: Any = None, end: Any = None
    ) -> Iterator[Any]:
        """Yield those that overlap [begin, end)."""
        assert ref == self.ref
        first, last = begin or Moment(0), end or FAR
        for row in self.lists[payload_type]:
            if row.start < last and (row.end or FAR) > first:
                yield row

    def segments(self, ref: str, payload_type: str) -> tuple[PayloadIOV, ...] | None:
        """Return the segments of a streamed list."""
        assert ref == self.ref
        return tuple(self.streamed[payload_type]) if payload_type in self.streamed else None

    def resolve(self, moment: Moment, kinds: Sequence[str] | None = None) -> Resolution:
        """Return what holds, found by looking at every row and every edge of every list."""
        wanted = self.lists if kinds is None else kinds
        rows = {kind: [row for row in self.lists[kind] if _holds(row, moment)] for kind in wanted}
        edges = {
            edge
            for kind in wanted
            for row in self.lists[kind]
            for edge in (row.start, row.end)
            if edge is not None
        }
        return Resolution(
            self.name, self.state, self.fingerprint, 9, moment,
            max((edge for edge in edges if edge <= moment), default=Moment(0)),
            min((edge for edge in edges if edge > moment), default=None),
            tuple(_payload(row) for found in rows.values() for row in found),
            tuple(kind for kind, found in rows.items() if not found),
        )  # fmt: skip

    def resolve_many(
        self, ref: str, moments: Any, payload_types: Sequence[str] = ()
    ) -> tuple[Resolution, ...]:
        """Return what holds at each moment, of one type or of all."""
        assert ref == self.ref
        assert len(payload_types) < 2
        return tuple(self.resolve(moment, payload_types or None) for moment in moments)

    def open(self, which: Digest) -> io.BytesIO:
        """Open a payload."""
        return io.BytesIO(self.payloads[which])


def _start(row: PayloadIOV) -> Moment:
    return row.start


def _holds(row: PayloadIOV, moment: Moment) -> bool:
    return row.start <= moment < (row.end or FAR)


def _payload(row: PayloadIOV) -> Payload:
    return Payload(
        row.payload_type, row.name, row.checksum, row.digest, row.size, row.revision,
        row.start, row.end,
    )  # fmt: skip


def _held(kind: str, rows: list[PayloadIOV]) -> HeldList:
    begin, end = (rows[0].start, rows[-1].end) if rows else (None, None)
    return HeldList(kind, f"{kind}_1", len(rows), begin, end)
