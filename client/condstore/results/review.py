"""What a tag librarian reads before a freeze: the pre-flight report, a difference of two tags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from condstore.results.parsing import Json, moment, open_moment, optional, several
from condstore.results.standing import TagStanding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from condstore.moments import Moment


@dataclass(frozen=True, slots=True)
class Span:
    """An interval [start, end); an end of None is open."""

    start: Moment
    end: Moment | None

    @classmethod
    def read(cls, row: Json) -> Span:
        """Read an interval."""
        return cls(moment(row["start"]), open_moment(row["end"]))


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was found, and what is known of it there."""

    start: Moment
    end: Moment | None
    name: str | None
    digest: str | None
    lsn: int | None

    @classmethod
    def read(cls, row: Json) -> Place:
        """Read a place of a finding."""
        return cls(
            start=moment(row["start"]),
            end=open_moment(row["end"]),
            name=optional(str, row.get("name")),
            digest=optional(str, row.get("digest")),
            lsn=optional(int, row.get("lsn")),
        )


@dataclass(frozen=True, slots=True)
class Tally:
    """How often something was found, the first places, and whether those are all."""

    count: int
    first: tuple[Place, ...]
    complete: bool

    @classmethod
    def read(cls, row: Json) -> Tally:
        """Read a finding of one payload type."""
        return cls(int(row["count"]), several(Place.read, row["first"]), row.get("complete", True))


@dataclass(frozen=True, slots=True)
class TypeReport:
    """What was found in the payload list of one type."""

    payload_type: str
    payload_iovs: int
    begin: Moment | None
    end: Moment | None
    empty: bool
    ends_early: bool
    kept_elsewhere: int
    gaps: Tally
    missing_payloads: Tally
    wrong_payloads: Tally
    trimmed: Tally
    identical_neighbours: Tally

    @classmethod
    def read(cls, row: Json) -> TypeReport:
        """Read one payload type of a report."""
        return cls(
            payload_type=str(row["payload_type"]),
            payload_iovs=int(row["payload_iovs"]),
            begin=open_moment(row["begin"]),
            end=open_moment(row["end"]),
            empty=bool(row["empty"]),
            ends_early=bool(row["ends_early"]),
            kept_elsewhere=int(row["kept_elsewhere"]),
            gaps=Tally.read(row["gaps"]),
            missing_payloads=Tally.read(row["missing_payloads"]),
            wrong_payloads=Tally.read(row["wrong_payloads"]),
            trimmed=Tally.read(row["trimmed"]),
            identical_neighbours=Tally.read(row["identical_neighbours"]),
        )


@dataclass(frozen=True, slots=True)
class PreflightReport:
    """A tag looked over before a freeze; a strict freeze refuses it unless it is `ok`."""

    tag: str
    lsn: int
    template: str | None
    ok: bool
    missing_types: tuple[str, ...]
    totals: Mapping[str, int]
    checked: Mapping[str, Json]
    payload_types: tuple[TypeReport, ...]

    @classmethod
    def read(cls, answer: Json) -> PreflightReport:
        """Read a report."""
        return cls(
            tag=str(answer["tag"]),
            lsn=int(answer["lsn"]),
            template=optional(str, answer["template"]),
            ok=bool(answer["ok"]),
            missing_types=several(str, answer["missing_types"]),
            totals={str(name): int(count) for name, count in answer["totals"].items()},
            checked=dict(answer["checked"]),
            payload_types=several(TypeReport.read, answer["payload_types"]),
        )


@dataclass(frozen=True, slots=True)
class ComparedPayload:
    """A payload on one side of a difference."""

    name: str
    checksum: str | None
    digest: str | None
    size: int | None
    revision: int | None

    @classmethod
    def read(cls, row: Json) -> ComparedPayload:
        """Read one side of a change."""
        return cls(
            name=str(row["name"]),
            checksum=optional(str, row["checksum"]),
            digest=optional(str, row["digest"]),
            size=optional(int, row["size"]),
            revision=optional(int, row["revision"]),
        )


@dataclass(frozen=True, slots=True)
class Change:
    """Over [start, end) a payload type has another payload; None is a gap on that side."""

    payload_type: str
    start: Moment
    end: Moment | None
    old: ComparedPayload | None
    new: ComparedPayload | None

    @classmethod
    def read(cls, row: Json) -> Change:
        """Read one change."""
        return cls(
            payload_type=str(row["payload_type"]),
            start=moment(row["start"]),
            end=open_moment(row["end"]),
            old=optional(ComparedPayload.read, row["from"]),
            new=optional(ComparedPayload.read, row["to"]),
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """What changes from one tag to another; `reprocess` is what jobs must be run again for.

    Not `complete`: there are more changes than were asked for, and `reprocess` covers those shown.
    """

    old: TagStanding
    new: TagStanding
    reprocess: tuple[Span, ...]
    changes: tuple[Change, ...]
    complete: bool

    @classmethod
    def read(cls, answer: Json) -> Difference:
        """Read a difference."""
        return cls(
            old=TagStanding.read(answer["from"]),
            new=TagStanding.read(answer["to"]),
            reprocess=several(Span.read, answer["reprocess"]),
            changes=several(Change.read, answer["changes"]),
            complete=bool(answer["complete"]),
        )
