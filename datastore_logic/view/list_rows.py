"""The rows of payload types and payload lists in the view: whose they are, and on which timeline.

A list points to a timeline, which a clone or a freeze may have pinned; `writable` is the one way
to a timeline that may be changed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from datastore_logic.domain.errors import BadEvent
from datastore_logic.view import timelines
from datastore_logic.view.tag_rows import change_content

if TYPE_CHECKING:
    from datastore_logic.view.entries import Step


@dataclass(frozen=True, slots=True)
class HeldList:
    """A payload list, the tag it is in if it is in one, and whether that is a streamed one.

    `origin` is that tag, or the one it was last in. Of its timeline: whether it is pinned, and
    whether it keeps segments.
    """

    id: int
    type_id: int
    payload_type: str
    tag_id: int | None
    origin: int | None
    timeline_id: int
    iov_count: int
    streamed: bool
    shared: bool
    segmented: bool


_LIST: Final = (
    "SELECT l.id, l.type_id, p.name, l.tag_id, coalesce(l.tag_id, l.from_tag), l.timeline_id,"
    " l.iov_count, coalesce(g.streamed, 0), t.shared, t.streamed"
    " FROM payload_list l JOIN payload_type p ON p.id = l.type_id"
    " JOIN timeline t ON t.id = l.timeline_id LEFT JOIN global_tag g ON g.id = l.tag_id"
)


def type_id(step: Step, payload_type: str) -> int:
    """Return the id of a payload type, which is made if there is none."""
    view = step.view
    found = view.execute(
        "SELECT id FROM payload_type WHERE name = ? AND until_lsn IS NULL", (payload_type,)
    ).fetchone()
    if found is None:
        made = view.execute(
            "INSERT INTO payload_type (name, created) VALUES (?, ?)", (payload_type, step.time)
        )
        return int(made.lastrowid or 0)
    return int(found[0])


def known_list(step: Step, list_id: int) -> HeldList:
    """Return the list of that id.

    Raises:
        BadEvent: there is none.
    """
    found = step.view.execute(f"{_LIST} WHERE l.id = ?", (list_id,)).fetchone()
    if found is None:
        raise BadEvent(f"LSN {step.lsn} speaks of the unknown payload list {list_id}")
    return HeldList(*found)


def lists_of(step: Step, tag_id: int) -> list[HeldList]:
    """Return the tag's lists."""
    found = step.view.execute(f"{_LIST} WHERE l.tag_id = ? ORDER BY l.id", (tag_id,))
    return [HeldList(*columns) for columns in found]


def list_of(step: Step, tag_id: int, payload_type: str) -> HeldList:
    """Return the tag's list of that type, which is made if there is none."""
    kind = type_id(step, payload_type)
    found = step.view.execute(
        f"{_LIST} WHERE l.tag_id = ? AND l.type_id = ?", (tag_id, kind)
    ).fetchone()
    if found is not None:
        return HeldList(*found)
    timeline_id = timelines.make(step.view, step.lsn, streamed=_is_streamed(step, tag_id))
    return known_list(step, make_list(step, kind, timeline_id, tag_id=tag_id))


def make_list(
    step: Step, kind: int, timeline_id: int, *, tag_id: int | None = None, iovs: int = 0
) -> int:
    """Make a list of a type, in a tag or in none, that points to a timeline of so many IOVs."""
    made = step.view.execute(
        "INSERT INTO payload_list (tag_id, type_id, timeline_id, created, lsn, iov_count)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (tag_id, kind, timeline_id, step.time, step.lsn, iovs),
    )
    list_id = int(made.lastrowid or 0)
    if tag_id is not None:
        _begin_attachment(step, tag_id, kind, list_id, timeline_id)
        change_content(step, tag_id, lists=1, iovs=iovs)
    return list_id


def attach(step: Step, held: HeldList, tag_id: int) -> None:
    """Put a list that is in no tag into one that has none of its type."""
    step.view.execute("UPDATE payload_list SET tag_id = ? WHERE id = ?", (tag_id, held.id))
    _begin_attachment(step, tag_id, held.type_id, held.id, held.timeline_id)
    change_content(step, tag_id, lists=1, iovs=held.iov_count)


def detach(step: Step, held: HeldList) -> None:
    """Take a list out of the tag it is in."""
    if held.tag_id is None:
        return
    step.view.execute(
        "UPDATE payload_list SET tag_id = NULL, from_tag = tag_id WHERE id = ?", (held.id,)
    )
    _end_attachment(step, held.tag_id, held.type_id)
    change_content(step, held.tag_id, lists=-1, iovs=-held.iov_count)


def writable(step: Step, held: HeldList) -> HeldList:
    """Return the list on a timeline of its own, of the form its tag needs.

    A pinned timeline is copied. Segments are of use in a streamed tag only: a list that came from
    one holds from its first change on what is visible of them, one that came into it keeps its rows
    as segments.
    """
    if held.shared:
        timeline_id = timelines.copy(step.view, step.lsn, held.timeline_id)
        _point_to(step, held, timeline_id)
        held = replace(held, timeline_id=timeline_id, shared=False)
    if held.segmented != held.streamed:
        timelines.restate(step.view, held.timeline_id, streamed=held.streamed)
        iovs = timelines.size(step.view, held.timeline_id)
        count(step, held, iovs - held.iov_count)
        held = replace(held, iov_count=iovs, segmented=held.streamed)
    return held


def count(step: Step, held: HeldList, grown: int) -> None:
    """Note that the list's timeline was changed, and by how many IOVs it has grown."""
    step.view.execute("UPDATE timeline SET lsn = ? WHERE id = ?", (step.lsn, held.timeline_id))
    step.view.execute(
        "UPDATE payload_list SET iov_count = iov_count + ? WHERE id = ?", (grown, held.id)
    )
    if held.tag_id is not None:
        change_content(step, held.tag_id, iovs=grown)


def _point_to(step: Step, held: HeldList, timeline_id: int) -> None:
    step.view.execute(
        "UPDATE payload_list SET timeline_id = ? WHERE id = ?", (timeline_id, held.id)
    )
    if held.tag_id is not None:
        _begin_attachment(step, held.tag_id, held.type_id, held.id, timeline_id)


def _begin_attachment(step: Step, tag_id: int, kind: int, list_id: int, timeline_id: int) -> None:
    _end_attachment(step, tag_id, kind)
    step.view.execute(
        "INSERT INTO attachment VALUES (?, ?, ?, ?, ?, NULL)",
        (tag_id, kind, list_id, timeline_id, step.lsn),
    )


def _end_attachment(step: Step, tag_id: int, kind: int) -> None:
    """End what the tag has for a type; what began with this same entry never stood."""
    step.view.execute(
        "DELETE FROM attachment WHERE tag_id = ? AND type_id = ? AND lsn = ?",
        (tag_id, kind, step.lsn),
    )
    step.view.execute(
        "UPDATE attachment SET until_lsn = ?"
        " WHERE tag_id = ? AND type_id = ? AND until_lsn IS NULL",
        (step.lsn, tag_id, kind),
    )


def _is_streamed(step: Step, tag_id: int) -> bool:
    query = "SELECT streamed FROM global_tag WHERE id = ?"
    return bool(step.view.execute(query, (tag_id,)).fetchone()[0])
