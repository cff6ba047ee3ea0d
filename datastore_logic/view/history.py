"""What was done to a global tag: by whom, when, and what it came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from datastore_logic.domain.moment import LIMIT
from datastore_logic.domain.tags import TagRef
from datastore_logic.errors import NotFound

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
        ActRow(lsn, time, actor, act, _shown(snapshot, orjson.loads(about)))
        for lsn, time, actor, act, about in rows
    ]


def last_called(snapshot: Snapshot, name: str) -> int:
    """Return the id of the tag that has this name, or was the last to have it.

    Raises:
        NotFound: no tag ever had it, or none that the caller may see under that name.
    """
    if not snapshot.sees(name):
        raise NotFound("tag", name)
    found = snapshot.connection.execute(
        "SELECT tag_id FROM tag_version WHERE name = ?"
        " ORDER BY until_lsn IS NULL DESC, lsn DESC LIMIT 1",
        (name,),
    ).fetchone()
    if found is None:
        raise NotFound("tag", name)
    return int(found[0])


def _shown(snapshot: Snapshot, about: dict[str, Any]) -> dict[str, Any]:
    """Return what an act told, but for the source of a clone which the caller does not see."""
    if "source" in about and not _is_seen(snapshot, TagRef.parse(about["source"])):
        del about["source"]
    return about


def _is_seen(snapshot: Snapshot, source: TagRef) -> bool:
    """Return whether the caller sees a tag by the name under which it was cloned."""
    if snapshot.sight is None:
        return True
    if not snapshot.sees(source.name):
        return False
    query = "SELECT 1 FROM tag_version WHERE name = ?"
    return snapshot.connection.execute(query, (source.name,)).fetchone() is not None
