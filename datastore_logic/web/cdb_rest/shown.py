"""How this contract shows what the view holds: the fields of nopayloaddb, in its order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from datastore_logic.domain.tags import TagState
from datastore_logic.web.cdb_rest.ends import comb_iov

if TYPE_CHECKING:
    from datastore_logic.view.catalogue import IovLine, ListLine, TagLine, TypeLine
    from datastore_logic.view.proposals import ProposalRow
    from datastore_logic.web.cdb_rest.ends import Ends

Shown = dict[str, Any]

STATUS_ID: Final = {state: number for number, state in enumerate(TagState, 1)}
FROM_THE_START: Final = "1970-01-01T00:00:00.000000"


def time(stored: str) -> str:
    """Return a time of the ledger as clients expect it, without a zone.

    >>> time("2026-07-23T00:00:26.714171Z")
    '2026-07-23T00:00:26.714171'
    """
    return stored.removesuffix("Z")


def status(state: TagState) -> Shown:
    """Return a status; all three have been there from the start."""
    return {"id": STATUS_ID[state], "name": state.value, "created": FROM_THE_START}


def described_status(state: TagState) -> Shown:
    """Return a status as it stands in a nested tag."""
    told = status(state)
    created = told.pop("created")
    return {**told, "description": None, "created": created}


def tag(row: TagLine, shown_status: str | int | Shown) -> Shown:
    """Return a global tag as making or changing it answers."""
    return {
        "id": row.id,
        "name": row.name,
        "author": row.author,
        "status": shown_status,
        "created": time(row.created),
        "updated": time(row.updated),
    }


def proposed(row: TagLine, waits: ProposalRow) -> Shown:
    """Return a global tag whose freezing one has asked for, and waits for another."""
    return {
        "detail": f"Global tag {row.name} is not frozen yet: {waits.proposed_by} proposed it, and"
        " somebody else must confirm it.",
        "code": "freeze_proposed",
        "global_tag": tag(row, STATUS_ID[TagState(row.state)]),
    }


def listed_tag(row: TagLine) -> Shown:
    """Return a global tag as lists show it, with the counts that are kept."""
    return {
        "id": row.id,
        "name": row.name,
        "author": row.author,
        "status": row.state,
        "payload_lists_count": row.list_count,
        "payload_iov_count": row.iov_count,
        "created": time(row.created),
        "updated": time(row.updated),
    }


def payload_type(row: TypeLine) -> Shown:
    """Return a payload type."""
    return {"id": row.id, "name": row.name, "created": time(row.created)}


def payload_list(row: ListLine) -> Shown:
    """Return a payload list by the names of its tag and its type."""
    return {
        "id": row.id,
        "name": row.name,
        "global_tag": row.tag,
        "payload_type": row.payload_type,
        "created": time(row.created),
    }


def counted_list(row: ListLine) -> Shown:
    """Return a payload list with how many IOVs it holds."""
    shown = payload_list(row)
    created = shown.pop("created")
    return {**shown, "iov_count": row.iov_count, "created": created}


def payload_iov(row: IovLine, ends: Ends) -> Shown:
    """Return a payload IOV."""
    end = None if row.end_major is None else (row.end_major, row.end_minor or 0)
    major_end, minor_end = ends.write(end)
    return {
        "id": row.id,
        "payload_url": row.name,
        "checksum": row.checksum,
        "major_iov": row.start_major,
        "minor_iov": row.start_minor,
        "comb_iov": comb_iov(row.start_major, row.start_minor),
        "major_iov_end": major_end,
        "minor_iov_end": minor_end,
        "payload_list": row.payload_list,
        "inserted": time(row.inserted),
    }


def browsed_iov(row: IovLine, ends: Ends) -> Shown:
    """Return a payload IOV with the names of its tag and its type, as browsing shows it."""
    return {
        **payload_iov(row, ends),
        "global_tag": row.tag,
        "payload_type": row.payload_type,
    }
