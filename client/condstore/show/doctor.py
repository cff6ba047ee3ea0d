"""What an examination found: a line a thing, and below it what to do."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from condstore.doctor import Finding
    from condstore.terminal import Terminal


def examined(findings: Sequence[Finding], to: Terminal) -> list[str]:
    """Say how each thing is, and what to do about what is not well."""
    width = max((len(one.what) for one in findings), default=0)
    shown = []
    for one in findings:
        colour = {"good": to.good, "warn": to.warn}.get(one.state, to.bad)
        first, *rest = _folded(one.said, to.room and to.room - width - 8)
        shown.append(f"{one.what:{width}}  {colour(one.state)}{' ' * (6 - len(one.state))}{first}")
        shown += [f"{'':{width + 8}}{line}" for line in rest]
        shown += [f"    do: {one.do}"] if one.do else []
    return [*shown, _verdict([one.state for one in findings], to)]


def _verdict(states: Sequence[str], to: Terminal) -> str:
    bad, warned = states.count("bad"), states.count("warn")
    if not (bad or warned):
        return to.good("nothing is wrong")
    mend = [to.bad(f"{bad} to mend")] if bad else []
    return ", ".join([*mend, *([to.warn(f"{warned} to look at")] if warned else [])])


def _folded(said: str, room: int | None) -> list[str]:
    """Return what was said in lines that a terminal has room for; words are never broken."""
    if room is None:
        return [said]
    room = max(room, 20)
    lines = textwrap.wrap(said, room, break_long_words=False, break_on_hyphens=False)
    return lines or [""]
