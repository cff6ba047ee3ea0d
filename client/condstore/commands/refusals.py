"""Why a tag would refuse an act, for `--dry-run`: the states of docs/conditions-model.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from condstore.results import Tag

STREAMED = "it holds what was streamed, and changes with the buffer only (condstore buffer)"


def refusal(tag: Tag, *allowed: str) -> str | None:
    """Say why an act is refused that only tags in the `allowed` states take; None if it is not."""
    if tag.streamed:
        return STREAMED
    return None if tag.state in allowed else f"the tag is {tag.state}"
