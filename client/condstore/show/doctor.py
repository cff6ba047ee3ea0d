"""What an examination found: a line a thing, and below it what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from condstore.terminal import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from condstore.doctor import Finding
    from condstore.terminal import Terminal


def examined(findings: Sequence[Finding], to: Terminal) -> list[str]:
    """Say how each thing is, and what to do about what is not well."""
    lines = table(("what", "is", "said"), [(one.what, one.state, one.said) for one in findings])
    shown = []
    for line, one in zip(lines[1:], findings, strict=True):
        colour = {"good": to.good, "warn": to.warn}.get(one.state, to.bad)
        shown.append(line.replace(f" {one.state} ", f" {colour(one.state)} ", 1))
        shown += [f"    do: {one.do}"] if one.do else []
    return [*shown, _verdict([one.state for one in findings], to)]


def _verdict(states: Sequence[str], to: Terminal) -> str:
    bad, warned = states.count("bad"), states.count("warn")
    if not (bad or warned):
        return to.good("nothing is wrong")
    mend = [to.bad(f"{bad} to mend")] if bad else []
    return ", ".join([*mend, *([to.warn(f"{warned} to look at")] if warned else [])])
