"""Global tags: the list of them, and one with its payload lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from condstore.moments import style, written
from condstore.terminal import plural, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from condstore.results import FreezeProposal, HeldList, Tag, TagContent
    from condstore.terminal import Terminal


def tag_table(tags: Sequence[Tag]) -> list[str]:
    """List tags, a line each."""
    if not tags:
        return ["no global tags yet: condstore tag create NAME"]
    rows = [
        (
            tag.name,
            tag.state,
            str(tag.payload_list_count),
            count(tag.payload_iov_count),
            (tag.fingerprint or "-")[:12],
        )
        for tag in tags
    ]
    return table(("global tag", "state", "types", "IOVs", "fingerprint"), rows, right=(2, 3))


def content(found: TagContent, to: Terminal) -> list[str]:
    """Say what a tag is and holds."""
    tag = found.tag
    about = [
        ("state", shown_state(tag.state, to)),
        ("fingerprint", (tag.fingerprint or "-")[:12]),
        ("about", tag.description),
        ("author", tag.author or ""),
        ("created", tag.created),
        ("changed", f"{tag.updated}, LSN {tag.lsn}"),
        ("streamed", "yes: the streaming buffer's tag" if tag.streamed else ""),
        ("proposed", f"to freeze it, by {found.freeze.proposed_by}" if found.freeze else ""),
    ]
    lines = [to.bold(tag.name), *(f"  {name:11}  {said}" for name, said in about if said)]
    if tag.fingerprint:  # on a line of its own: it is as wide as a screen
        lines += ["  for ever:", f"  {tag.reference}"]
    return [*lines, "", *held_lists(found.payload_lists, tag.name)]


def proposed(tag: str, freeze: FreezeProposal) -> list[str]:
    """Say that a tag is not frozen yet, who wants it, and how another admin confirms it."""
    count = f"{freeze.approvals} of {freeze.needed} want it"
    return [
        f"{tag} is not frozen yet: {freeze.proposed_by} proposed it, {count}",
        f"  content proposed: fingerprint {freeze.fingerprint[:12]}",
        f"another admin confirms it by the same: condstore tag freeze {tag}",
    ]


def held_lists(lists: Sequence[HeldList], tag: str) -> list[str]:
    """List a tag's payload types and from when to when they have payloads."""
    if not lists:
        return [f"no payloads yet: condstore iov insert {tag} TYPE START --file FILE"]
    how = style(moment for held in lists for moment in (held.begin, held.end))
    rows = [
        (
            held.payload_type,
            count(held.payload_iovs),
            written(held.begin, how, open_as="-"),
            written(held.end, how) if held.begin is not None else "-",
        )
        for held in lists
    ]
    return table(("type", "IOVs", "begins", "ends"), rows, right=(1,))


def held(found: TagContent) -> str:
    """Say in a few words how much a tag holds."""
    tag = found.tag
    types = plural(tag.payload_list_count, "payload type")
    if tag.payload_iov_count is None:
        return types
    return f"{types}, {plural(tag.payload_iov_count, 'IOV')}"


def count(number: int | None) -> str:
    """Write a count that may be unknown."""
    return "?" if number is None else str(number)


def shown_state(state: str, to: Terminal) -> str:
    """Write a tag's state in its colour."""
    return {"frozen": to.good, "locked": to.warn}.get(state, str)(state)
