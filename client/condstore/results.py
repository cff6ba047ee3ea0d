"""What the servers answer, as values. Times and names stay what the server said.

An answer that lacks a promised field raises `UnexpectedAnswer`: something else listens there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from condstore.errors import UnexpectedAnswer
from condstore.moments import Moment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Buffer:
    """The streaming buffer now: files, bytes, and whether it still takes segments."""

    files: int
    size: int
    state: str
    user: str
    token: str

    @property
    def frozen(self) -> bool:
        """Whether it takes nothing more until it is flushed."""
        return self.state == "FROZEN"


@dataclass(frozen=True, slots=True)
class Stored:
    """An accepted write: what the server said and the ledger position that made it durable."""

    answer: str
    lsn: int


@dataclass(frozen=True, slots=True)
class Validity:
    """Where a payload is to hold: over [start, end) of a tag, open-ended without `end`.

    Without `tag` it is the server's STREAM_TAG; without `name` the payload is called by its digest.
    """

    start: Moment
    end: Moment | None = None
    tag: str | None = None
    name: str | None = None

    def params(self) -> dict[str, str]:
        """Return the query of `/stream` that says so."""
        params = {"major": str(self.start.major), "minor": str(self.start.minor)}
        if self.end is not None:
            params |= {"major_end": str(self.end.major), "minor_end": str(self.end.minor)}
        params |= {"tag": self.tag} if self.tag else {}
        return params | ({"name": self.name} if self.name else {})


@dataclass(frozen=True, slots=True)
class FreezeAsked:
    """The answer to asking for a freeze: done, or waiting for more data."""

    frozen: bool
    answer: str
    files: int | None
    size: int | None


@dataclass(frozen=True, slots=True)
class TagFrozen:
    """A frozen tag; `TAG@<fingerprint>` names its content for ever."""

    tag: str
    fingerprint: str
    lsn: int


@dataclass(frozen=True, slots=True)
class Tag:
    """A global tag as lists show it."""

    name: str
    state: str
    fingerprint: str | None
    payload_list_count: int
    payload_iov_count: int
    lsn: int


@dataclass(frozen=True, slots=True)
class TagPage:
    """Some of the global tags, by name; the others come after `next`, None at the end."""

    tags: tuple[Tag, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class PayloadList:
    """One payload type of a tag, and from when to when it has payloads."""

    payload_type: str
    payload_iovs: int
    begin: Moment | None
    end: Moment | None


@dataclass(frozen=True, slots=True)
class TagContent:
    """A global tag with its payload lists."""

    tag: Tag
    payload_lists: tuple[PayloadList, ...]


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload that holds at the moment asked for, over [start, end)."""

    payload_type: str
    name: str
    checksum: str | None
    digest: str | None
    size: int | None
    start: Moment
    end: Moment | None


@dataclass(frozen=True, slots=True)
class Resolution:
    """Which payloads hold at a moment. The same answer is true over [since, until)."""

    tag: str
    state: str
    fingerprint: str | None
    lsn: int
    moment: Moment
    since: Moment | None
    until: Moment | None
    payloads: tuple[Payload, ...]
    gaps: tuple[str, ...]

    def payload(self, payload_type: str) -> Payload | None:
        """Return the payload of one type, or None where there is a gap."""
        return next((one for one in self.payloads if one.payload_type == payload_type), None)


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a logic replica says of itself."""

    ready: bool
    databuffer: str
    writes: bool
    detail: str | None
    lsn: int | None
    head: int | None


Json: TypeAlias = Any


def parse(make: Callable[[Json], T], answer: Json, url: str) -> T:
    """Return `make(answer)`; raise `UnexpectedAnswer` naming the URL if it is something else."""
    try:
        return make(answer)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise UnexpectedAnswer(
            f"{url} does not answer as a condstore server does ({type(error).__name__}: {error}); "
            "is another service on that port?"
        ) from error


def _optional(kind: Callable[[Json], T], value: Json) -> T | None:
    return None if value is None else kind(value)


def moment(pair: Json) -> Moment | None:
    """Return the moment of `[major, minor]`, or None where there is none."""
    return None if pair is None else Moment(int(pair[0]), int(pair[1]))


def buffer(stat: Json, desc: Json) -> Buffer:
    """Join the buffer's counters and its description."""
    return Buffer(
        files=int(stat["n_itm"]),
        size=int(stat["buff_size"]),
        state=str(desc["dstatus"]),
        user=str(desc["user"]),
        token=str(desc["token"]),
    )


def tag(row: Mapping[str, Json]) -> Tag:
    """Read one row of the list of tags."""
    return Tag(
        name=str(row["name"]),
        state=str(row["state"]),
        fingerprint=_optional(str, row.get("fingerprint")),
        payload_list_count=int(row["payload_list_count"]),
        payload_iov_count=int(row["payload_iov_count"]),
        lsn=int(row["lsn"]),
    )


def tag_page(answer: Json) -> TagPage:
    """Read a page of the list of tags."""
    return TagPage(
        tuple(tag(row) for row in answer["global_tags"]), _optional(str, answer.get("next"))
    )


def tag_content(answer: Json) -> TagContent:
    """Read a tag's own page."""
    return TagContent(
        tag=tag(answer),
        payload_lists=tuple(
            PayloadList(
                payload_type=str(row["payload_type"]),
                payload_iovs=int(row["payload_iovs"]),
                begin=moment(row["begin"]),
                end=moment(row["end"]),
            )
            for row in answer["payload_lists"]
        ),
    )


def freeze_done(answer: Json) -> FreezeAsked:
    """Read the counters that a done freeze answers with."""
    return FreezeAsked(True, "frozen", int(answer["n_itm"]), int(answer["buff_size"]))


def readiness(answer: Json) -> Readiness:
    """Read what a replica says of itself."""
    return Readiness(
        ready=bool(answer["ready"]),
        databuffer=str(answer.get("databuffer", "unknown")),
        writes=bool(answer.get("writes", False)),
        detail=answer.get("halted") or answer.get("detail"),
        lsn=answer.get("applied_lsn"),
        head=answer.get("head_lsn"),
    )


def tag_frozen(answer: Json) -> TagFrozen:
    """Read the answer to freezing a tag."""
    return TagFrozen(str(answer["tag"]), str(answer["fingerprint"]), int(answer["lsn"]))


def resolution(answer: Json) -> Resolution:
    """Read a resolution."""
    return Resolution(
        tag=str(answer["tag"]),
        state=str(answer["state"]),
        fingerprint=_optional(str, answer.get("fingerprint")),
        lsn=int(answer["lsn"]),
        moment=Moment(*(int(number) for number in answer["moment"])),
        since=moment(answer["since"]),
        until=moment(answer["until"]),
        payloads=tuple(_payload(row) for row in answer["payloads"]),
        gaps=tuple(str(name) for name in answer.get("gaps", ())),
    )


def _payload(row: Json) -> Payload:
    start = row["start"]
    return Payload(
        payload_type=str(row["payload_type"]),
        name=str(row["name"]),
        checksum=_optional(str, row.get("checksum")),
        digest=_optional(str, row.get("digest")),
        size=_optional(int, row.get("size")),
        start=Moment(int(start[0]), int(start[1])),
        end=moment(row["end"]),
    )
