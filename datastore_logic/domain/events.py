"""The ledger entries this tier understands, as values.

Each records effects: what now stands, not what somebody wanted. The databuffer writes the
`buffer.*` ones, the logic tier the rest. Their data are part of the ledger's format: fields
may be added, never changed in meaning, for old entries are read for ever. Ids of tags, payload
types, payload lists and payload IOVs are given by the order of the ledger, so an entry names only
those that were there before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from datastore_logic.domain.columns import Columns
from datastore_logic.domain.errors import BadEvent, DomainError, UnknownEvent
from datastore_logic.domain.moment import LIMIT, Interval, Moment
from datastore_logic.domain.tags import Digest, PayloadTypeName, TagName, TagState, TokenName
from datastore_logic.domain.timeline import Payload, Row

if TYPE_CHECKING:
    from collections.abc import Mapping

Data = dict[str, Any]


class _Plain:
    """An event whose data are its fields, in their JSON forms."""

    __slots__ = ()

    def data(self) -> Data:
        """Return the entry's `data`; fields that are None are left out."""
        told = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]  # each subclass is a dataclass
        return {name: value for name, value in told.items() if value is not None}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read the entry's `data`; fields that a newer version added are ignored."""
        known = (field.name for field in fields(cls))  # type: ignore[arg-type]  # as above
        return cls(**{name: _PARSE[name](data[name]) for name in known if name in data})


# Global tags ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TagCreated(_Plain):
    """A new global tag, empty; `fingerprint` where it is frozen from the start."""

    type: ClassVar = "tag.created"
    tag: TagName
    description: str = ""
    author: str | None = None
    state: TagState = TagState.UNLOCKED
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class TagCloned(_Plain):
    """A new, unlocked global tag with a list for each of the source's, on the same timelines.

    The source is a tag as it stands at this entry, its frozen content, or as it stood at an LSN.
    """

    type: ClassVar = "tag.cloned"
    source: TagName
    tag: TagName
    description: str = ""
    author: str | None = None
    source_fingerprint: str | None = None
    source_lsn: int | None = None


@dataclass(frozen=True, slots=True)
class TagChanged(_Plain):
    """A global tag is now unlocked or locked; if it was frozen, an admin unfroze it."""

    type: ClassVar = "tag.changed"
    tag: TagName
    state: TagState
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class TagFreezeProposed(_Plain):
    """Somebody wants a global tag frozen with the content of this fingerprint; another must, too.

    Who that is the entry's actor says; `made_by` is who gave them the API token they used. Until it
    is withdrawn, or the tag's content changes, or it is frozen, the proposal is open; of two the
    later one is.
    """

    type: ClassVar = "tag.freeze_proposed"
    tag: TagName
    fingerprint: str
    reason: str | None = None
    made_by: str | None = None


@dataclass(frozen=True, slots=True)
class TagFreezeWithdrawn(_Plain):
    """The proposal to freeze a global tag is no more."""

    type: ClassVar = "tag.freeze_withdrawn"
    tag: TagName
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class TagFrozen(_Plain):
    """A global tag that never changes again, and the fingerprint of its content.

    Where two had to agree it names both; `made_by` is who gave the API token to who approved.
    """

    type: ClassVar = "tag.frozen"
    tag: TagName
    fingerprint: str
    reason: str | None = None
    proposed_by: str | None = None
    approved_by: str | None = None
    made_by: str | None = None


@dataclass(frozen=True, slots=True)
class TagDeleted(_Plain):
    """A global tag is gone with its lists and their IOVs; its history stays."""

    type: ClassVar = "tag.deleted"
    tag: TagName


# Payload types and lists ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TypeCreated(_Plain):
    """A new payload type."""

    type: ClassVar = "type.created"
    payload_type: PayloadTypeName


@dataclass(frozen=True, slots=True)
class TypeDeleted(_Plain):
    """A payload type that no list uses is gone."""

    type: ClassVar = "type.deleted"
    payload_type: PayloadTypeName


@dataclass(frozen=True, slots=True)
class ListCreated(_Plain):
    """A new payload list, empty, in no tag; its type is made if there is none."""

    type: ClassVar = "list.created"
    payload_type: PayloadTypeName


@dataclass(frozen=True, slots=True)
class ListAttached(_Plain):
    """A payload list is now the tag's list of its type, and no other tag's.

    The list which the tag had of that type is in no tag any more.
    """

    type: ClassVar = "list.attached"
    list: int
    tag: TagName


@dataclass(frozen=True, slots=True)
class ListDetached(_Plain):
    """A payload list is in no tag any more; it keeps its IOVs."""

    type: ClassVar = "list.detached"
    list: int


@dataclass(frozen=True, slots=True)
class ListDeleted(_Plain):
    """An empty payload list is gone."""

    type: ClassVar = "list.deleted"
    list: int


# Payload IOVs -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IovCreated:
    """A new payload IOV that is in no list yet."""

    type: ClassVar = "iov.created"
    row: Row

    def data(self) -> Data:
        """Return the entry's `data`."""
        return {"iov": Columns.of([self.row]).data()}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> IovCreated:
        """Read the entry's `data`."""
        (row,) = Columns.parse(data["iov"]).rows()
        return cls(row)


@dataclass(frozen=True, slots=True)
class ListChange:
    """What happens to one timeline, in this order: rows leave, end earlier, come.

    The list is named by its id; without one it is the tag's list of that type, made if there is
    none. Rows are named by their starts. What is `detached` remains as an IOV in no list, what is
    `deleted` is gone (or comes into another list). What is attached under an id was in no list,
    or is deleted from one by the same entry.
    """

    payload_type: PayloadTypeName
    tag: TagName | None
    list_id: int | None
    attached: Columns
    detached: tuple[Moment, ...] = ()
    deleted: tuple[Moment, ...] = ()
    trimmed: tuple[tuple[Moment, Moment], ...] = ()

    def data(self) -> Data:
        """Return the JSON form."""
        return {
            "payload_type": self.payload_type,
            "tag": self.tag,
            "list": self.list_id,
            "detached": [start.wire() for start in self.detached],
            "deleted": [start.wire() for start in self.deleted],
            "trimmed": [[start.wire(), end.wire()] for start, end in self.trimmed],
            "attached": self.attached.data(),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> ListChange:
        """Read the JSON form."""
        return cls(
            PayloadTypeName.parse(data["payload_type"]),
            None if data["tag"] is None else TagName.parse(data["tag"]),
            _optional_number(data["list"]),
            Columns.parse(data["attached"]),
            _moments(data["detached"]),
            _moments(data["deleted"]),
            _trimmed(data["trimmed"]),
        )


@dataclass(frozen=True, slots=True)
class TimelinesChanged:
    """Changes to the timelines of any number of lists, all of one decision."""

    type: ClassVar = "timelines.changed"
    lists: tuple[ListChange, ...]

    def data(self) -> Data:
        """Return the entry's `data`: effects as columns, so that thousands stay one short line."""
        return {"lists": [change.data() for change in self.lists]}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> TimelinesChanged:
        """Read the entry's `data`."""
        return cls(tuple(ListChange.from_data(change) for change in data["lists"]))


def _iovs_changed(data: Mapping[str, Any]) -> TimelinesChanged:
    """Read `iovs.changed`, the entry of the first versions: one list, moments as pairs."""
    told = data["attached"]
    columns = Columns.parse(
        {
            "start_major": [start[0] for start in told["start"]],
            "start_minor": [start[1] for start in told["start"]],
            "end_major": [end and end[0] for end in told["end"]],
            "end_minor": [end and end[1] for end in told["end"]],
            **{name: told[name] for name in ("name", "checksum", "digest", "size")},
        }
    )
    change = ListChange(
        PayloadTypeName.parse(data["payload_type"]),
        TagName.parse(data["tag"]),
        None,
        columns,
        deleted=_moments(data["detached"]),
        trimmed=_trimmed(data["trimmed"]),
    )
    return TimelinesChanged((change,))


# API tokens -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Given:
    """What a token may do: a role on the tags that a pattern covers, both as they were told."""

    role: str
    tags: str


@dataclass(frozen=True, slots=True)
class TokenMade:
    """A new API token; `sha256` is of its secret, which nobody keeps, `expires` seconds since 1970.

    `made_by` is the person behind it, `made_with` the id of the token with which that person asked.
    """

    type: ClassVar = "token.made"
    token: str
    name: TokenName
    sha256: str = field(repr=False)
    grants: tuple[Given, ...]
    expires: int
    made_by: str
    made_with: str | None = None

    def data(self) -> Data:
        """Return the entry's `data`."""
        return {
            "token": self.token,
            "name": self.name,
            "sha256": self.sha256,
            "grants": [{"role": each.role, "tags": each.tags} for each in self.grants],
            "expires": self.expires,
            "made_by": self.made_by,
            "made_with": self.made_with,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> TokenMade:
        """Read the entry's `data`."""
        return cls(
            _token(data["token"]),
            TokenName.parse(data["name"]),
            _sha256(data["sha256"]),
            tuple(Given(_text(each["role"]), _text(each["tags"])) for each in data["grants"]),
            _number(data["expires"]),
            _text(data["made_by"]),
            None if data["made_with"] is None else _token(data["made_with"]),
        )


@dataclass(frozen=True, slots=True)
class TokenRevoked(_Plain):
    """An API token proves nothing any more."""

    type: ClassVar = "token.revoked"
    token: str


# The streaming buffer ---------------------------------------------------------------------------


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
        payload = Payload(
            _text(data["name"]), None, Digest.parse(data["digest"]), _optional_number(data["size"])
        )
        return cls(
            PayloadTypeName.parse(data["payload_type"]),
            Row(Interval(Moment(*data["start"]), Moment(*data["end"])), payload),
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


Decided = (
    TagCreated
    | TagCloned
    | TagChanged
    | TagFreezeProposed
    | TagFreezeWithdrawn
    | TagFrozen
    | TagDeleted
    | TypeCreated
    | TypeDeleted
    | ListCreated
    | ListAttached
    | ListDetached
    | ListDeleted
    | IovCreated
    | TimelinesChanged
    | TokenMade
    | TokenRevoked
)
"""What this tier writes."""

Event = Decided | BufferStored | BufferFrozen | BufferCleaned

KINDS: Final = {
    kind.type: kind.from_data
    for kind in (
        *(TagCreated, TagCloned, TagChanged, TagFrozen, TagDeleted),
        *(TagFreezeProposed, TagFreezeWithdrawn),
        *(TypeCreated, TypeDeleted, ListCreated, ListAttached, ListDetached, ListDeleted),
        *(IovCreated, TimelinesChanged, TokenMade, TokenRevoked),
        *(BufferStored, BufferFrozen, BufferCleaned),
    )
} | {"iovs.changed": _iovs_changed}
"""What reads the data of each type of entry."""


def parse(kind: str, data: Mapping[str, Any]) -> Event:
    """Return the event of a ledger entry's `type` and `data`.

    Raises:
        UnknownEvent: a newer version wrote it.
        BadEvent: something it must have is missing or malformed.
    """
    if kind not in KINDS:
        raise UnknownEvent(f"ledger entries of type {kind!r} need a newer condstore")
    try:
        return KINDS[kind](data)
    except (LookupError, TypeError, ValueError, AttributeError, DomainError) as reason:
        raise BadEvent(f"a ledger entry of type {kind!r} is malformed: {reason!r}") from reason


# The fields of plain events ---------------------------------------------------------------------


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _optional_text(value: object) -> str | None:
    return None if value is None else _text(value)


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value <= LIMIT:
        raise ValueError(f"{value!r} is not a number from 0 to {LIMIT}")
    return value


def _optional_number(value: object) -> int | None:
    return None if value is None else _number(value)


_TOKEN: Final = re.compile(r"[0-9a-f]{12}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def _token(value: object) -> str:
    if not (isinstance(value, str) and _TOKEN.fullmatch(value)):
        raise ValueError("that is no token's id")
    return value


def _sha256(value: object) -> str:
    if not (isinstance(value, str) and _SHA256.fullmatch(value)):
        raise ValueError("that is no SHA-256")  # of a secret: it is not shown
    return value


_PARSE: Final = {
    "tag": TagName.parse,
    "token": _token,
    "source": TagName.parse,
    "payload_type": PayloadTypeName.parse,
    "state": TagState,
    "description": _text,
    "author": _optional_text,
    "reason": _optional_text,
    "made_by": _optional_text,
    "proposed_by": _optional_text,
    "approved_by": _optional_text,
    "fingerprint": _optional_text,
    "source_fingerprint": _optional_text,
    "source_lsn": _optional_number,
    "list": _number,
}
"""How each field of the plain events is read."""


def _moments(pairs: list[list[int]]) -> tuple[Moment, ...]:
    return tuple(Moment(*pair) for pair in pairs)


def _trimmed(pairs: list[list[list[int]]]) -> tuple[tuple[Moment, Moment], ...]:
    return tuple((Moment(*start), Moment(*end)) for start, end in pairs)
