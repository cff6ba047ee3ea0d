"""One line of the ledger, read and checked, and what it is applied to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from datastore_logic.domain.events import parse
from datastore_logic.errors import BrokenChain

if TYPE_CHECKING:
    import sqlite3

    from datastore_logic.domain.events import Event
    from datastore_logic.domain.tags import TagName


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger."""

    lsn: int
    time: str
    actor: str
    event: Event
    keys: tuple[str, ...]
    idempotency_key: str | None
    asked: str | None
    hash: str


@dataclass(frozen=True, slots=True)
class Context:
    """The view's write transaction, and which tag the streaming buffer is."""

    view: sqlite3.Connection
    stream_tag: TagName


@dataclass(frozen=True, slots=True)
class Step:
    """An entry while it is applied: the view as it was before, and what the entry tells."""

    view: sqlite3.Connection
    stream_tag: TagName
    lsn: int
    time: str
    actor: str
    act: str
    hash: str


def read_entry(line: bytes, after_lsn: int, after_hash: str) -> Entry:
    """Read a ledger line that must follow the entry of `after_lsn` and `after_hash`.

    Raises:
        BrokenChain: it does not follow.
        UnknownEvent: a newer version wrote it.
        BadEvent: it is malformed.
    """
    told = linked(line, after_lsn, after_hash)
    return Entry(
        told["lsn"],
        told["time"],
        told["actor"],
        parse(told["type"], told["data"]),
        tuple(told["keys"]),
        told.get("idempotency_key"),
        asked if isinstance(asked := told["data"].get("asked"), str) else None,
        hashlib.sha256(line).hexdigest(),
    )


def linked(line: bytes, after_lsn: int, after_hash: str) -> dict[str, Any]:
    """Return what a ledger line says, which must follow the entry of `after_lsn` and `after_hash`.

    Raises:
        BrokenChain: it does not follow.
    """
    try:
        told: dict[str, Any] = orjson.loads(line)
        lsn, previous = told["lsn"], told["prev"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as reason:
        raise BrokenChain(f"what follows LSN {after_lsn} is no ledger entry") from reason
    if lsn != after_lsn + 1 or previous != after_hash:
        raise BrokenChain(f"LSN {lsn} does not follow LSN {after_lsn} as it was known")
    return told
