"""The rows of a global tag in the view: as it is, as it was, who did what, and what is pinned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from datastore_logic.domain.errors import BadEvent
from datastore_logic.domain.tags import TagState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from datastore_logic.view.entries import Step


def find_tag(view: sqlite3.Connection, name: str) -> int | None:
    """Return the id of the tag of that name, None if there is none."""
    found = view.execute("SELECT id FROM global_tag WHERE name = ?", (name,)).fetchone()
    return None if found is None else int(found[0])


def known_tag(step: Step, name: str) -> int:
    """Return the id of the tag of that name.

    Raises:
        BadEvent: there is none.
    """
    tag_id = find_tag(step.view, name)
    if tag_id is None:
        raise BadEvent(f"LSN {step.lsn} speaks of the unknown global tag {name}")
    return tag_id


def make_tag(step: Step, name: str, description: str = "", author: str | None = None) -> int:
    """Make an unlocked, empty tag; one of the streaming buffer's name is streamed."""
    made = step.view.execute(
        "INSERT INTO global_tag"
        " (name, state, description, author, streamed, created, updated, lsn)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            name, TagState.UNLOCKED, description, author, name == step.stream_tag,
            step.time, step.time, step.lsn,
        ),
    )  # fmt: skip
    tag_id = int(made.lastrowid or 0)
    _begin_version(step, tag_id)
    return tag_id


def change_content(step: Step, tag_id: int, *, lists: int = 0, iovs: int = 0) -> None:
    """Note that the tag holds something else now, and has gained so many lists and IOVs."""
    _end_proposal(step, tag_id)
    _touch(step, tag_id, lists=lists, iovs=iovs)


def _touch(step: Step, tag_id: int, *, lists: int = 0, iovs: int = 0) -> None:
    step.view.execute(
        "UPDATE global_tag SET list_count = list_count + ?, iov_count = iov_count + ?,"
        " updated = ?, lsn = ? WHERE id = ?",
        (lists, iovs, step.time, step.lsn, tag_id),
    )


def set_state(step: Step, tag_id: int, state: TagState, fingerprint: str | None = None) -> None:
    """Give the tag another state."""
    step.view.execute(
        "UPDATE global_tag SET state = ?, fingerprint = ? WHERE id = ?",
        (state, fingerprint, tag_id),
    )
    _touch(step, tag_id)
    _begin_version(step, tag_id)


def freeze_tag(step: Step, tag_id: int, fingerprint: str) -> None:
    """Freeze the tag and pin what it holds under its fingerprint."""
    _end_proposal(step, tag_id)
    set_state(step, tag_id, TagState.FROZEN, fingerprint)
    _pin(step, tag_id, fingerprint)


def rename_tag(step: Step, tag_id: int, name: str) -> None:
    """Give the tag another name."""
    step.view.execute("UPDATE global_tag SET name = ? WHERE id = ?", (name, tag_id))
    _end_proposal(step, tag_id)
    _touch(step, tag_id)
    _begin_version(step, tag_id)


def remove_tag(step: Step, tag_id: int) -> None:
    """Remove the tag and its lists; what they held stays for who asks what was."""
    view = step.view
    _end_proposal(step, tag_id)
    for table in ("tag_version", "attachment"):
        view.execute(
            f"UPDATE {table} SET until_lsn = ? WHERE tag_id = ? AND until_lsn IS NULL",  # noqa: S608 - one of two
            (step.lsn, tag_id),
        )
    view.execute("DELETE FROM payload_list WHERE tag_id = ?", (tag_id,))
    view.execute("DELETE FROM global_tag WHERE id = ?", (tag_id,))


def propose_freeze(
    step: Step, tag_id: int, fingerprint: str, reason: str | None, made_by: str | None
) -> None:
    """Note that the entry's actor wants the tag frozen, in the place of an earlier proposal."""
    _end_proposal(step, tag_id)
    step.view.execute(
        "INSERT INTO freeze_proposal VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
        (tag_id, step.lsn, step.time, step.actor, made_by, fingerprint, reason),
    )
    _touch(step, tag_id)


def withdraw_freeze(step: Step, tag_id: int) -> None:
    """Note that nobody wants the tag frozen any more."""
    _end_proposal(step, tag_id)
    _touch(step, tag_id)


def _end_proposal(step: Step, tag_id: int) -> None:
    """Note that a proposal to freeze the tag, if one was open, no longer is."""
    step.view.execute(
        "UPDATE freeze_proposal SET until_lsn = ? WHERE tag_id = ? AND until_lsn IS NULL",
        (step.lsn, tag_id),
    )


def note(step: Step, tag_id: int, about: Mapping[str, Any]) -> None:
    """Write down in the tag's history what the entry did to it."""
    step.view.execute(
        "INSERT INTO tag_history VALUES (?, ?, ?, ?, ?, ?)",
        (tag_id, step.lsn, step.time, step.actor, step.act, orjson.dumps(about).decode()),
    )


def _begin_version(step: Step, tag_id: int) -> None:
    """Note how the tag is called and what state it is in from this entry on."""
    view, lsn = step.view, step.lsn
    view.execute("DELETE FROM tag_version WHERE tag_id = ? AND lsn = ?", (tag_id, lsn))
    view.execute(
        "UPDATE tag_version SET until_lsn = ? WHERE tag_id = ? AND until_lsn IS NULL",
        (lsn, tag_id),
    )
    view.execute(
        "INSERT INTO tag_version SELECT id, name, state, fingerprint, description, author,"
        " streamed, created, ?, ?, NULL FROM global_tag WHERE id = ?",
        (step.time, lsn, tag_id),
    )


def _pin(step: Step, tag_id: int, fingerprint: str) -> None:
    """Keep the tag's timelines as they are, unless the tag had this content before."""
    view = step.view
    found = "SELECT 1 FROM frozen WHERE tag_id = ? AND fingerprint = ?"
    if view.execute(found, (tag_id, fingerprint)).fetchone() is not None:
        return
    made = view.execute(
        "INSERT INTO frozen (fingerprint, tag_id, name, lsn)"
        " SELECT ?, id, name, ? FROM global_tag WHERE id = ?",
        (fingerprint, step.lsn, tag_id),
    )
    view.execute(
        "INSERT INTO frozen_list SELECT ?, type_id, id, timeline_id, iov_count"
        " FROM payload_list WHERE tag_id = ?",
        (made.lastrowid, tag_id),
    )
    view.execute(
        "UPDATE timeline SET shared = 1"
        " WHERE id IN (SELECT timeline_id FROM payload_list WHERE tag_id = ?)",
        (tag_id,),
    )
