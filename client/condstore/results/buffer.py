"""The streaming buffer and the servers' own state as they tell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from condstore.calls import between
from condstore.results.parsing import Json, optional

if TYPE_CHECKING:
    from condstore.moments import Moment


@dataclass(frozen=True, slots=True)
class Buffer:
    """The streaming buffer now: files, bytes, and whether it still takes segments."""

    files: int
    size: int
    state: str
    user: str
    token: str

    @classmethod
    def read(cls, stat: Json, desc: Json) -> Buffer:
        """Join the buffer's counters and its description."""
        return cls(
            files=int(stat["n_itm"]),
            size=int(stat["buff_size"]),
            state=str(desc["dstatus"]),
            user=str(desc["user"]),
            token=str(desc["token"]),
        )

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
        params = between(self.start, self.end)
        params |= {"tag": self.tag} if self.tag else {}
        return params | ({"name": self.name} if self.name else {})


@dataclass(frozen=True, slots=True)
class FreezeAsked:
    """The answer to asking for a freeze: done, or waiting for more data."""

    frozen: bool
    answer: str
    files: int | None
    size: int | None

    @classmethod
    def done(cls, answer: Json) -> FreezeAsked:
        """Read the counters that a done freeze answers with."""
        return cls(True, "frozen", int(answer["n_itm"]), int(answer["buff_size"]))


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a logic replica says of itself."""

    ready: bool
    databuffer: str
    writes: bool
    detail: str | None
    lsn: int | None
    head: int | None

    @classmethod
    def read(cls, answer: Json) -> Readiness:
        """Read what a replica says of itself."""
        return cls(
            ready=bool(answer["ready"]),
            databuffer=str(answer.get("databuffer", "unknown")),
            writes=bool(answer.get("writes", False)),
            detail=answer.get("halted") or answer.get("detail"),
            lsn=optional(int, answer.get("applied_lsn")),
            head=optional(int, answer.get("head_lsn")),
        )
