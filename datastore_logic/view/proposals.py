"""Proposals to freeze a tag, where two must want it: as they stand, and as they stood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datastore_logic.view.database import Snapshot

_COLUMNS: Final = "lsn, time, proposed_by, made_by, fingerprint, reason"
_OF: Final = f"SELECT {_COLUMNS} FROM freeze_proposal WHERE tag_id = :tag"  # noqa: S608


@dataclass(frozen=True, slots=True)
class ProposalRow:
    """Who wants a tag frozen since entry `lsn`; `made_by` made the token that they used."""

    lsn: int
    time: str
    proposed_by: str
    made_by: str | None
    fingerprint: str
    reason: str | None


def proposal(snapshot: Snapshot, tag_id: int, lsn: int | None = None) -> ProposalRow | None:
    """Return the tag's proposal that is open, or was when the ledger stood at `lsn`."""
    stood = "until_lsn IS NULL"
    if lsn is not None:
        stood = "lsn <= :lsn AND (until_lsn IS NULL OR until_lsn > :lsn)"
    bound = {"tag": tag_id, "lsn": lsn}
    found = snapshot.connection.execute(f"{_OF} AND {stood}", bound).fetchone()
    return None if found is None else ProposalRow(*found)


def proposal_of(snapshot: Snapshot, tag_id: int, lsn: int) -> ProposalRow | None:
    """Return the proposal that the entry `lsn` made, open or not; None if it made none."""
    bound = {"tag": tag_id, "lsn": lsn}
    found = snapshot.connection.execute(f"{_OF} AND lsn = :lsn", bound).fetchone()
    return None if found is None else ProposalRow(*found)


def open_proposals(snapshot: Snapshot, limit: int) -> list[tuple[str, ProposalRow]]:
    """Return the open proposals and the tags they are of, the newest first."""
    found = snapshot.connection.execute(
        f"SELECT g.name, {', '.join(f'p.{column}' for column in _COLUMNS.split(', '))}"  # noqa: S608
        " FROM freeze_proposal p JOIN global_tag g ON g.id = p.tag_id"
        " WHERE p.until_lsn IS NULL ORDER BY p.lsn DESC LIMIT ?",
        (limit,),
    )
    return [(name, ProposalRow(*columns)) for name, *columns in found]
