"""What the two tiers say of themselves on /readyz, read once; anything else is another service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from condstore.results.parsing import optional

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")
_NOT_OURS = (KeyError, TypeError, ValueError, AttributeError, OverflowError)


@dataclass(frozen=True, slots=True)
class Logic:
    """A replica of the logic tier: its ledger, how far its view is, and what stops it."""

    ready: bool
    reachable: bool
    writes: bool
    ledger: str | None
    lsn: int
    head: int
    halted: str | None
    detail: str | None
    authentication: str | None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Logic:
        """Read it; while a view cannot be opened there is a detail and no more."""
        if "applied_lsn" not in body and "detail" not in body:
            raise ValueError("a replica says where it is, or why it cannot")
        return cls(
            ready=bool(body["ready"]),
            reachable=body.get("databuffer") == "reachable",
            writes=bool(body.get("writes")),
            ledger=optional(str, body.get("ledger")),
            lsn=int(body.get("applied_lsn") or 0),
            head=int(body.get("head_lsn") or 0),
            halted=optional(str, body.get("halted")),
            detail=optional(str, body.get("detail")),
            authentication=optional(str, body.get("authentication")),
        )


@dataclass(frozen=True, slots=True)
class Databuffer:
    """A databuffer: its ledger, its volume (`used`: a part of 1), its buffer, what fails.

    `refuses` says why no write is taken, "" where it is; `failing` has what stops nobody too.
    """

    ready: bool
    ledger: str
    lsn: int
    used: float
    free: int
    reserve: int
    buffer: str
    refuses: str
    failing: tuple[str, ...]

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Databuffer:
        """Read it."""
        checks = {str(name): str(how) for name, how in body["checks"].items()}
        return cls(
            ready=bool(body["ready"]),
            ledger=str(body["ledger"]["id"]),
            lsn=int(body["ledger"]["lsn"]),
            used=float(body["volume"]["used"]),
            free=int(body["volume"]["bytes_free"]),
            reserve=int(body["volume"].get("reserve") or 0),
            buffer=str(body["buffer"]),
            refuses="; ".join(
                how for name in ("volume", "ledger") if (how := checks.get(name, "ok")) != "ok"
            ),
            failing=tuple(f"{name}: {how}" for name, how in checks.items() if how != "ok"),
        )


@dataclass(frozen=True, slots=True)
class Held:
    """What the streaming buffer holds."""

    files: int
    size: int

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Held:
        """Read the databuffer's /stat."""
        return cls(int(body["n_itm"]), int(body["buff_size"]))


def read(kind: Callable[[Mapping[str, Any]], T], body: Mapping[str, Any]) -> T | None:
    """Return what a body says, or None if it is not what such a server says.

    >>> read(Held.read, {"n_itm": 3, "buff_size": 70}), read(Held.read, {"n_itm": []})
    (Held(files=3, size=70), None)
    """
    try:
        return kind(body)
    except _NOT_OURS:
        return None
