"""The ledger entries this tier understands, as values.

Each records effects: what now stands, not what somebody wanted. The databuffer writes the
`buffer.*` ones, the logic tier the rest. Their data are part of the ledger's format: fields
may be added, never changed in meaning, for old entries are read for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from datastore_logic.domain.errors import BadEvent, DomainError, UnknownEvent
from datastore_logic.domain.moment import LIMIT, Interval, Moment
from datastore_logic.domain.tags import Digest, PayloadTypeName, TagName
from datastore_logic.domain.timeline import Attach, Change, Detach, Payload, Row, Trim

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TagCreated:
    """A new, unlocked global tag."""

    type: ClassVar = "tag.created"
    tag: TagName
    description: str = ""

    def data(self) -> Data:
        """Return the entry's `data`."""
        return {"tag": self.tag, "description": self.description}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> TagCreated:
        """Read the entry's `data`."""
        return cls(TagName.parse(data["tag"]), str(data.get("description", "")))


@dataclass(frozen=True, slots=True)
class TagFrozen:
    """A global tag that never changes again, and the fingerprint of its content."""

    type: ClassVar = "tag.frozen"
    tag: TagName
    fingerprint: str
    reason: str | None = None

    def data(self) -> Data:
        """Return the entry's `data`."""
        return {"tag": self.tag, "fingerprint": self.fingerprint, "reason": self.reason}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> TagFrozen:
        """Read the entry's `data`."""
        return cls(TagName.parse(data["tag"]), str(data["fingerprint"]), data.get("reason"))


@dataclass(frozen=True, slots=True)
class IovsChanged:
    """Changes to the timeline of one payload type in one tag, which it makes if there is none."""

    type: ClassVar = "iovs.changed"
    tag: TagName
    payload_type: PayloadTypeName
    changes: tuple[Change, ...]

    def data(self) -> Data:
        """Return the entry's `data`: effects as columns, so that thousands stay one short line."""
        rows = [change.row for change in self.changes if isinstance(change, Attach)]
        return {
            "tag": self.tag,
            "payload_type": self.payload_type,
            "detached": [c.start.wire() for c in self.changes if isinstance(c, Detach)],
            "trimmed": [
                [c.start.wire(), c.end.wire()] for c in self.changes if isinstance(c, Trim)
            ],
            "attached": {
                "start": [row.interval.start.wire() for row in rows],
                "end": [row.interval.end and row.interval.end.wire() for row in rows],
                "name": [row.payload.name for row in rows],
                "checksum": [row.payload.checksum for row in rows],
                "digest": [row.payload.digest for row in rows],
                "size": [row.payload.size for row in rows],
            },
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> IovsChanged:
        """Read the entry's `data`; detached and trimmed come before attached."""
        return cls(
            TagName.parse(data["tag"]),
            PayloadTypeName.parse(data["payload_type"]),
            (
                *(Detach(Moment(*start)) for start in data["detached"]),
                *(Trim(Moment(*start), Moment(*end)) for start, end in data["trimmed"]),
                *(Attach(row) for row in _rows(data["attached"])),
            ),
        )


@dataclass(frozen=True, slots=True)
class BufferStored:
    """A segment the databuffer took in; times are GPS seconds and nanoseconds."""

    type: ClassVar = "buffer.stored"
    payload_type: PayloadTypeName
    row: Row
    samples: int
    sample_ns: int

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> BufferStored:
        """Read the entry's `data`."""
        return cls(
            PayloadTypeName.parse(data["payload_type"]),
            Row(
                Interval(Moment(*data["start"]), Moment(*data["end"])),
                _payload(data["name"], None, data["digest"], data["size"]),
            ),
            int(data["samples"]),
            int(data["sample_ns"]),
        )


@dataclass(frozen=True, slots=True)
class BufferFrozen:
    """The streaming buffer was frozen; `token` is the shortened hash, never the token."""

    type: ClassVar = "buffer.frozen"
    user: str
    token: str

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> BufferFrozen:
        """Read the entry's `data`."""
        return cls(str(data["user"]), str(data["token"]))


@dataclass(frozen=True, slots=True)
class BufferCleaned:
    """The streaming buffer was emptied; its files went to the directory `archive`."""

    type: ClassVar = "buffer.cleaned"
    archive: str

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> BufferCleaned:
        """Read the entry's `data`."""
        return cls(str(data["archive"]))


Event = TagCreated | TagFrozen | IovsChanged | BufferStored | BufferFrozen | BufferCleaned

_KINDS: Final = {
    kind.type: kind
    for kind in (TagCreated, TagFrozen, IovsChanged, BufferStored, BufferFrozen, BufferCleaned)
}


def parse(kind: str, data: Mapping[str, Any]) -> Event:
    """Return the event of a ledger entry's `type` and `data`.

    Raises:
        UnknownEvent: a newer version wrote it.
        BadEvent: something it must have is missing or malformed.
    """
    if kind not in _KINDS:
        raise UnknownEvent(f"ledger entries of type {kind!r} need a newer condstore")
    try:
        return _KINDS[kind].from_data(data)
    except (KeyError, TypeError, ValueError, DomainError) as reason:
        raise BadEvent(f"a ledger entry of type {kind!r} is malformed: {reason!r}") from reason


def _rows(columns: Mapping[str, Sequence[Any]]) -> list[Row]:
    return [
        Row(
            Interval(Moment(*start), None if end is None else Moment(*end)),
            _payload(name, checksum, digest, size),
        )
        for start, end, name, checksum, digest, size in zip(
            columns["start"],
            columns["end"],
            columns["name"],
            columns["checksum"],
            columns["digest"],
            columns["size"],
            strict=True,
        )
    ]


def _payload(name: object, checksum: object, digest: object, size: object) -> Payload:
    if not isinstance(name, str):
        raise TypeError(f"a payload's name is text, not {name!r}")
    if checksum is not None and not isinstance(checksum, str):
        raise TypeError(f"a checksum is text, not {checksum!r}")
    if size is not None and (type(size) is not int or not 0 <= size <= LIMIT):
        raise ValueError(f"a size is a number of bytes, not {size!r}")
    return Payload(name, checksum, None if digest is None else Digest.parse(digest), size)
