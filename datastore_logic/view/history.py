"""What was done to a global tag: by whom, when, and what it came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from datastore_logic.domain.moment import LIMIT

if TYPE_CHECKING:
    from datastore_logic.view.database import Snapshot


@dataclass(frozen=True, slots=True)
class ActRow:
    """One act on a tag: `act` is the type of the ledger entry, `about` what it told."""

    lsn: int
    time: str
    actor: str
    act: str
    about: dict[str, Any]


def history(
    snapshot: Snapshot, tag_id: int, before: int | None = None, limit: int = -1
) -> list[ActRow]:
    """Return the acts on a tag, newest first; only those before an LSN, and at most `limit`.

    Single segments that were streamed are no acts of their own.
    """
    rows = snapshot.connection.execute(
        "SELECT lsn, time, actor, act, about FROM tag_history"
        " WHERE tag_id = ? AND lsn < ? ORDER BY lsn DESC LIMIT ?",
        (tag_id, LIMIT if before is None else before, limit),
    )
    return [
        ActRow(lsn, time, actor, act, orjson.loads(about)) for lsn, time, actor, act, about in rows
    ]
