"""Global tags, payload types and payload lists as the servers tell them, and who did what to them.

Times and names stay what the server said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from condstore.results.parsing import Json, open_moment, optional, several
from condstore.results.review import PreflightReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from condstore.moments import Moment


@dataclass(frozen=True, slots=True)
class Tag:
    """A global tag as lists show it; `lsn` is when it was last touched.

    `payload_iov_count` is None where only the past could tell (`TAG@<lsn>` of a changed tag).
    """

    name: str
    state: str
    fingerprint: str | None
    description: str
    author: str | None
    streamed: bool
    created: str
    updated: str
    payload_list_count: int
    payload_iov_count: int | None
    lsn: int

    @classmethod
    def read(cls, row: Json) -> Tag:
        """Read one row of the list of tags."""
        return cls(
            name=str(row["name"]),
            state=str(row["state"]),
            fingerprint=optional(str, row["fingerprint"]),
            description=str(row["description"]),
            author=optional(str, row["author"]),
            streamed=bool(row["streamed"]),
            created=str(row["created"]),
            updated=str(row["updated"]),
            payload_list_count=int(row["payload_list_count"]),
            payload_iov_count=optional(int, row["payload_iov_count"]),
            lsn=int(row["lsn"]),
        )

    @property
    def reference(self) -> str:
        """Name its content for ever: `TAG@<fingerprint>` if it is frozen, else `TAG@<lsn>`."""
        if self.state == "frozen" and self.fingerprint:
            return f"{self.name}@{self.fingerprint}"
        return f"{self.name}@{self.lsn}"


def newest_archive(tags: Iterable[Tag], stream_tag: str) -> str:
    """Return the newest tag that a flush has archived, which names the buffer's filling after it.

    "" if there is none. A tag that somebody called alike was not streamed, and is none.
    """
    archived = [tag for tag in tags if tag.streamed and tag.name.startswith(f"{stream_tag}-")]
    return max(archived, key=lambda tag: tag.lsn).name if archived else ""


@dataclass(frozen=True, slots=True)
class HeldList:
    """One payload type of a tag, and from when to when it has payloads (`end` None: open).

    `begin` is None if there are none at all.
    """

    payload_type: str
    name: str
    payload_iovs: int | None
    begin: Moment | None
    end: Moment | None

    @classmethod
    def read(cls, row: Json) -> HeldList:
        """Read one row of a tag's payload lists."""
        return cls(
            payload_type=str(row["payload_type"]),
            name=str(row["name"]),
            payload_iovs=optional(int, row["payload_iovs"]),
            begin=open_moment(row["begin"]),
            end=open_moment(row["end"]),
        )


@dataclass(frozen=True, slots=True)
class FreezeProposal:
    """A freeze that waits for its second person, and of which content it is to be.

    `made_by` is who gave out the API token by which it was proposed: one person with its user.
    """

    proposed_by: str
    made_by: str | None
    at: str
    fingerprint: str
    reason: str | None
    approvals: int
    needed: int

    @classmethod
    def read(cls, row: Json) -> FreezeProposal:
        """Read a proposal."""
        return cls(
            proposed_by=str(row["proposed_by"]),
            made_by=optional(str, row["made_by"]),
            at=str(row["at"]),
            fingerprint=str(row["fingerprint"]),
            reason=optional(str, row["reason"]),
            approvals=int(row["approvals"]),
            needed=int(row["needed"]),
        )


@dataclass(frozen=True, slots=True)
class TagContent:
    """A global tag with its payload lists, by payload type; `freeze` is one that is proposed."""

    tag: Tag
    payload_lists: tuple[HeldList, ...]
    freeze: FreezeProposal | None = None

    @classmethod
    def read(cls, answer: Json) -> TagContent:
        """Read a tag's own page."""
        return cls(
            Tag.read(answer),
            several(HeldList.read, answer["payload_lists"]),
            optional(FreezeProposal.read, answer.get("freeze")),
        )


@dataclass(frozen=True, slots=True)
class TagFrozen:
    """A frozen tag, and what the look over it before the freeze reported (if it was asked for).

    A repeat under an idempotency key tells how the tag stands by then: opened since, it has no
    fingerprint.
    """

    tag: str
    state: str
    fingerprint: str | None
    lsn: int
    report: PreflightReport | None

    @classmethod
    def read(cls, answer: Json) -> TagFrozen:
        """Read the answer to a freeze."""
        return cls(
            tag=str(answer["tag"]),
            state=str(answer["state"]),
            fingerprint=optional(str, answer["fingerprint"]),
            lsn=int(answer["lsn"]),
            report=optional(PreflightReport.read, answer.get("report")),
        )

    @property
    def reference(self) -> str:
        """Name its content for ever: `TAG@<fingerprint>`, or `TAG@<lsn>` if it was opened since."""
        return f"{self.tag}@{self.fingerprint or self.lsn}"


@dataclass(frozen=True, slots=True)
class FreezeProposed:
    """A freeze that another admin must confirm, by asking for the same: the tag is not frozen.

    It has no reference yet. Once the tag holds anything else, whoever asks next proposes anew.
    """

    tag: str
    state: str
    freeze: FreezeProposal
    lsn: int
    report: PreflightReport | None

    @classmethod
    def read(cls, answer: Json) -> FreezeProposed:
        """Read the answer to a freeze that is none yet."""
        return cls(
            tag=str(answer["tag"]),
            state=str(answer["state"]),
            freeze=FreezeProposal.read(answer["freeze"]),
            lsn=int(answer["lsn"]),
            report=optional(PreflightReport.read, answer.get("report")),
        )


def read_freeze(answer: Json) -> TagFrozen | FreezeProposed:
    """Read the answer to a freeze: it is done, or waits for its confirmation."""
    return FreezeProposed.read(answer) if answer.get("freeze") else TagFrozen.read(answer)


@dataclass(frozen=True, slots=True)
class Act:
    """One entry of a tag's history: who did what, when, and what else the entry says of it."""

    lsn: int
    time: str
    actor: str
    act: str
    about: Mapping[str, Json]

    @classmethod
    def read(cls, row: Json) -> Act:
        """Read one entry of a history."""
        return cls(
            lsn=int(row["lsn"]),
            time=str(row["time"]),
            actor=str(row["actor"]),
            act=str(row["act"]),
            about=dict(row["about"]),
        )


@dataclass(frozen=True, slots=True)
class PayloadType:
    """What kind of payload there is, and since when."""

    name: str
    created: str

    @classmethod
    def read(cls, row: Json) -> PayloadType:
        """Read one row of the list of payload types."""
        return cls(str(row["name"]), str(row["created"]))


@dataclass(frozen=True, slots=True)
class PayloadListInfo:
    """A payload list, whether a tag has it or not (`tag` None)."""

    name: str
    payload_type: str
    tag: str | None
    payload_iovs: int
    created: str

    @classmethod
    def read(cls, answer: Json) -> PayloadListInfo:
        """Read the description of a payload list."""
        return cls(
            name=str(answer["name"]),
            payload_type=str(answer["payload_type"]),
            tag=optional(str, answer["global_tag"]),
            payload_iovs=int(answer["payload_iovs"]),
            created=str(answer["created"]),
        )
