"""Payloads: which hold at a moment, the intervals of a list, and what is to be inserted.

Intervals are half-open, [start, end); an end of None is open.
"""

from __future__ import annotations

from dataclasses import dataclass

from condstore.moments import Moment
from condstore.results.parsing import Json, moment, open_moment, optional, several


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload that holds at the moment asked for, over [start, end).

    `digest` is None for a payload that is kept elsewhere; `size` is in bytes.
    """

    payload_type: str
    name: str
    checksum: str | None
    digest: str | None
    size: int | None
    revision: int | None
    start: Moment
    end: Moment | None

    @classmethod
    def read(cls, row: Json) -> Payload:
        """Read one payload of a resolution."""
        return cls(
            payload_type=str(row["payload_type"]),
            name=str(row["name"]),
            checksum=optional(str, row["checksum"]),
            digest=optional(str, row["digest"]),
            size=optional(int, row["size"]),
            revision=optional(int, row["revision"]),
            start=moment(row["start"]),
            end=open_moment(row["end"]),
        )


@dataclass(frozen=True, slots=True)
class Resolution:
    """Which payloads hold at a moment; the same answer is true over [since, until).

    `gaps` are the payload types that have no payload at this moment.
    """

    tag: str
    state: str
    fingerprint: str | None
    lsn: int
    moment: Moment
    since: Moment
    until: Moment | None
    payloads: tuple[Payload, ...]
    gaps: tuple[str, ...]

    @classmethod
    def read(cls, answer: Json) -> Resolution:
        """Read a resolution."""
        return cls(
            tag=str(answer["tag"]),
            state=str(answer["state"]),
            fingerprint=optional(str, answer["fingerprint"]),
            lsn=int(answer["lsn"]),
            moment=moment(answer["moment"]),
            since=moment(answer["since"]),
            until=open_moment(answer["until"]),
            payloads=several(Payload.read, answer["payloads"]),
            gaps=several(str, answer["gaps"]),
        )

    def payload(self, payload_type: str) -> Payload | None:
        """Return the payload of one type, or None where there is a gap."""
        return next((one for one in self.payloads if one.payload_type == payload_type), None)

    def holds_at(self, moment: Moment) -> bool:
        """Say whether this answer is true at `moment` too."""
        return self.since <= moment and (self.until is None or moment < self.until)


@dataclass(frozen=True, slots=True)
class PayloadIOV:
    """One interval of a payload list and its payload; `lsn` is when it became what it is."""

    payload_type: str
    start: Moment
    end: Moment | None
    name: str
    checksum: str | None
    digest: str | None
    size: int | None
    revision: int | None
    id: int | None
    lsn: int

    @classmethod
    def read(cls, payload_type: str, row: Json) -> PayloadIOV:
        """Read one row of a payload list."""
        return cls(
            payload_type=payload_type,
            start=moment(row["start"]),
            end=open_moment(row["end"]),
            name=str(row["name"]),
            checksum=optional(str, row["checksum"]),
            digest=optional(str, row["digest"]),
            size=optional(int, row["size"]),
            revision=optional(int, row["revision"]),
            id=optional(int, row["id"]),
            lsn=int(row["lsn"]),
        )


@dataclass(frozen=True, slots=True)
class NewIOV:
    """A payload IOV to insert: of a payload kept here (`digest`) or elsewhere (`name`).

    Without an `end` it stops at the next start of its payload type, sent along or stored. `start`
    and `end` may be given as anything that `Moment.of` reads.
    """

    payload_type: str
    start: Moment
    end: Moment | None = None
    name: str | None = None
    digest: str | None = None
    checksum: str | None = None
    size: int | None = None
    revision: int | None = None

    def __post_init__(self) -> None:
        if type(self.start) is not Moment:
            object.__setattr__(self, "start", Moment.of(self.start))
        if self.end is not None and type(self.end) is not Moment:
            object.__setattr__(self, "end", Moment.of(self.end))

    def wire(self) -> dict[str, Json]:
        """Return what the server is told: nothing of what is not known."""
        told = {
            "payload_type": self.payload_type,
            "start": list(self.start),
            "end": self.end and list(self.end),
            "name": self.name,
            "digest": self.digest,
            "checksum": self.checksum,
            "size": self.size,
            "revision": self.revision,
        }
        return {field: value for field, value in told.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Inserted:
    """How many IOVs came to stand in the tag (none if all stood there), and the entry's LSN."""

    tag: str
    inserted: int
    lsn: int

    @classmethod
    def read(cls, answer: Json) -> Inserted:
        """Read the answer to an insert."""
        return cls(str(answer["tag"]), int(answer["inserted"]), int(answer["lsn"]))


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes in the store: their digest, their size, and whether they were new to it."""

    digest: str
    size: int
    new: bool
