"""What an insert would do, before it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from condstore.moments import interval, style
from condstore.show.written import named
from condstore.terminal import plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from condstore.commands.dry_run import Affected, Plan
    from condstore.moments import Written
    from condstore.terminal import Terminal

_MOST = 20


def plan(found: Plan, to: Terminal) -> list[str]:
    """Say what would be inserted, what would give way, and where nothing would hold."""
    how = _style(found)
    lines = [*_inserted(found, how), *_given(found, how, to)]
    lines += _capped(
        [
            to.warn(f"  gap       {interval(gap.start, gap.end, how)}: nothing would hold here")
            for gap in found.gaps
        ]
    )
    if found.ends is not None:
        lines.append(f"  ends      nothing would hold from {how(found.ends)} on")
    if found.refusal:
        lines.append(to.bad(f"  refused   {found.refusal}"))
    return [to.bold(found.payload_type), *lines]


def _inserted(found: Plan, how: Written) -> Iterator[str]:
    yield from _capped(
        [
            f"  insert    {interval(piece.start, piece.end, how)} {named(piece.name)}"
            + (" (ends where the next starts)" if piece.end and not piece.iov.end else "")
            for piece in found.inserted
        ]
    )
    if found.unchanged:
        yield f"  unchanged {plural(found.unchanged, 'IOV')}: there already, just so"
    if found.unseen:
        yield (
            f"  unseen    {plural(len(found.unseen), 'IOV')} of those sent: "
            "later ones take their whole range"
        )


def _given(found: Plan, how: Written, to: Terminal) -> list[str]:
    lines = [to.warn(f"  {one.what:9} {_gives_way(one, how)}") for one in found.affected]
    return _capped(lines) if lines else ["  nothing stored is trimmed, split or detached"]


def _gives_way(one: Affected, how: Written) -> str:
    left = " and ".join(interval(span.start, span.end, how) for span in one.kept)
    was = f"{interval(one.iov.start, one.iov.end, how)} {named(one.iov.name)}"
    return f"{was}: keeps {left}" if left else f"{was}: holds nowhere any more"


def _style(found: Plan) -> Written:
    spans = [(piece.start, piece.end) for piece in found.inserted]
    spans += [(one.iov.start, one.iov.end) for one in found.affected]
    spans += [(gap.start, gap.end) for gap in found.gaps]
    return style(moment for span in spans for moment in span)


def _capped(lines: list[str]) -> list[str]:
    more = [f"  … and {len(lines) - _MOST} more (--json lists all)"]
    return lines if len(lines) <= _MOST else [*lines[:_MOST], *more]
