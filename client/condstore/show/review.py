"""What a tag librarian reads: a difference of two tags, the report before a freeze."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from condstore.moments import interval, style
from condstore.show.written import named, short
from condstore.terminal import plural, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from condstore.moments import Written
    from condstore.results import ComparedPayload, Difference, PreflightReport, Tally, TypeReport
    from condstore.terminal import Terminal

_MOST = 20
_SEVERE = (
    ("gaps", "gap"),
    ("missing_payloads", "payload that the store lacks"),
    ("wrong_payloads", "payload that is not what was told"),
)
_TOLD = (
    ("trimmed", "IOV that newer ones trimmed"),
    ("identical_neighbours", "IOV with the same payload as its neighbour"),
)


def difference(
    found: Difference, to: Terminal, *, old: str, new: str, most: int = _MOST
) -> list[str]:
    """Say which intervals to process again, then what changed, by payload type.

    `old` and `new` are the references that were compared.
    """
    if not found.changes:
        return [to.good(f"{old} and {new} answer the same at every moment")]
    how = style(moment for span in found.reprocess for moment in (span.start, span.end))
    spans = [f"  {interval(span.start, span.end, how)}" for span in found.reprocess[:most]]
    again = plural(len(found.reprocess), "interval")
    changed = Counter(change.payload_type for change in found.changes)
    counts = ", ".join(f"{kind} {number}" for kind, number in sorted(changed.items()))
    return [
        to.bold(f"reprocess {again} to go from {old} to {new}:"),
        *spans,
        *_more(len(found.reprocess), most),
        "",
        f"{plural(len(found.changes), 'change')}: {counts}",
        *_changes(found, how, most),
        *_more(len(found.changes), most),
        *([] if found.complete else [to.warn("there are more: --limit shows more of them")]),
    ]


def _changes(found: Difference, how: Written, most: int) -> list[str]:
    rows = [
        (
            f"  {change.payload_type}",
            interval(change.start, change.end, how),
            _side(change.old),
            _side(change.new),
        )
        for change in found.changes[:most]
    ]
    return table(("  type", "interval", "from", "to"), rows)


def _side(payload: ComparedPayload | None) -> str:
    if payload is None:
        return "(nothing)"
    if payload.digest and payload.name in {"", payload.digest}:
        return short(payload.digest)
    return named(payload.name)


def report(found: PreflightReport, to: Terminal) -> list[str]:
    """Say what speaks against freezing a tag, and what else there is to know of it."""
    verdict = (
        to.good(f"{found.tag} is ok to freeze (as of LSN {found.lsn})")
        if found.ok
        else to.bad(f"{found.tag} is not ok: a strict freeze would refuse it (LSN {found.lsn})")
    )
    return [*findings(found, to), verdict]


def findings(found: PreflightReport, to: Terminal) -> list[str]:
    """Say what was found in a tag, a line each; nothing where nothing was."""
    lines = [
        to.bad(f"{kind}: no payload of this type, the template {found.template} has it")
        for kind in found.missing_types
    ]
    for one in found.payload_types:
        lines += _of_type(one, to)
    return lines


def _of_type(one: TypeReport, to: Terminal) -> Iterator[str]:
    how = style(
        moment
        for name, _ in (*_SEVERE, *_TOLD)
        for place in getattr(one, name).first
        for moment in (place.start, place.end)
    )
    if one.empty:
        yield to.warn(f"{one.payload_type}: no payload IOVs")
    if one.ends_early:
        yield to.warn(f"{one.payload_type}: ends while other types go on")
    for name, noun in _SEVERE:
        yield from _tally(one.payload_type, noun, getattr(one, name), how, to.bad)
    for name, noun in _TOLD:
        yield from _tally(one.payload_type, noun, getattr(one, name), how, str)
    if one.kept_elsewhere:
        held = plural(one.kept_elsewhere, "payload")
        yield f"{one.payload_type}: {held} kept elsewhere, nobody looked for them"


def _tally(
    kind: str, noun: str, tally: Tally, how: Written, colour: Callable[[str], str]
) -> Iterator[str]:
    if not tally.count:
        return
    many = "at least " if not tally.complete else ""
    places = ", ".join(interval(place.start, place.end, how) for place in tally.first[:3])
    more = ", …" if tally.count > 3 else ""
    first, *rest = noun.split(" ", 1)
    nouns = " ".join((first if tally.count == 1 else f"{first}s", *rest))
    yield colour(f"{kind}: {many}{tally.count} {nouns}: {places}{more}")


def _more(there: int, most: int) -> list[str]:
    return [f"  … and {there - most} more (--json lists all)"] if there > most else []
