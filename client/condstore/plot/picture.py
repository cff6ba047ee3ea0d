"""A global tag as one SVG: a row for each payload type, with its intervals, gaps and trims.

The document stands alone (no script, no font, no link), is read by screen readers, follows the
reader's light or dark, and stays below 2 MB whatever the tag holds.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from condstore.moments import Moment
from condstore.plot.cells import Kind, Row, window
from condstore.plot.picture_rows import CELLS, LEFT, WIDTH, RowPicture
from condstore.plot.picture_style import PATTERNS, STYLE
from condstore.plot.scale import Scale
from condstore.plot.xml import element, group, rect, shortened, text, words
from condstore.terminal import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from condstore.plot.words import Written
    from condstore.results import PayloadIOV, PreflightReport, TagContent

_TOP = 128
_NAMED_IOVS = 2000  # in the whole picture: more and each has no tooltip of its own
_NAMED_GAPS = 2000
_APART = 16  # px between two labels
_PER_CHARACTER = 6.6  # px, a little more than a digit needs


def svg(
    content: TagContent,
    timelines: Mapping[str, Sequence[PayloadIOV]],
    *,
    report: PreflightReport | None = None,
    begin: Moment | None = None,
    end: Moment | None = None,
    written: Written = Moment.pair,
) -> str:
    """Return the picture of a tag over [begin, end), by default over all its intervals.

    `timelines` has the payload IOVs of each type; a type that is not in it is said to be not asked
    for. `report`, a check's, adds what newer intervals cut off. `written` writes a moment.
    """
    scale = window(list(chain.from_iterable(timelines.values())), begin, end, CELLS)
    drawn = tuple(_rows(content, timelines, report, scale or Scale(1, 0, 1, CELLS), written))
    bottom = drawn[-1].top + drawn[-1].height if drawn else _TOP
    said = _said(content, drawn, report)
    parts = [
        element("title", words(f"Global tag {content.tag.name}"), id="title"),
        element("desc", words("; ".join(said)), id="desc"),
        element("style", words(STYLE)),
        PATTERNS,
        rect(0, 0, WIDTH, bottom + 64, "ground"),
        *_header(content, said),
        *([] if scale is None else _axis(scale, written, bottom, ends=_ends(drawn, end))),
        group((row.svg() for row in drawn), role="list", **_small(drawn)),
        *_legend(bottom + 44, drawn),
    ]
    return element(
        "svg",
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        width=WIDTH,
        height=f"{bottom + 64:g}",
        viewBox=f"0 0 {WIDTH} {bottom + 64:g}",
        role="group",
        aria_labelledby="title desc",
    )


def _rows(
    content: TagContent,
    timelines: Mapping[str, Sequence[PayloadIOV]],
    report: PreflightReport | None,
    scale: Scale,
    written: Written,
) -> Iterator[RowPicture]:
    """Yield the rows, the higher the fewer there are."""
    lists = content.payload_lists
    height = 30 if len(lists) <= 40 else 20 if len(lists) <= 100 else 15
    reports = {one.payload_type: one for one in (report.payload_types if report else ())}
    named = sum(map(len, timelines.values())) <= _NAMED_IOVS
    for place, held in enumerate(lists):
        iovs = timelines.get(held.payload_type)
        yield RowPicture(
            held,
            iovs,
            reports.get(held.payload_type),
            Row.of(iovs or (), scale),
            written,
            top=_TOP + place * height,
            height=height,
            most=max(_NAMED_GAPS // len(lists), 1),
            named=named,
        )


def _said(
    content: TagContent, drawn: Sequence[RowPicture], report: PreflightReport | None
) -> list[str]:
    """Return what is to be known of the tag, most important first."""
    gaps = sum(len(row.row.gaps) for row in drawn)
    trimmed = report.totals.get("trimmed", 0) if report else 0
    return [
        content.tag.state,
        f"LSN {content.tag.lsn}",
        plural(len(drawn), "payload type"),
        plural(sum(len(row.row.bars) for row in drawn), "payload IOV"),
        plural(gaps, "gap") if gaps else "no gap",
        *([f"{trimmed or 'nothing'} trimmed"] if report else []),
    ]


def _header(content: TagContent, said: Sequence[str]) -> Iterator[str]:
    tag = content.tag
    yield text(shortened(tag.name, 80), 24, 38, "title")
    yield text("  ·  ".join(said), 24, 60)
    fingerprint = (
        f"fingerprint {tag.fingerprint}" if tag.fingerprint else "no fingerprint: not frozen"
    )
    yield text(fingerprint, 24, 78, "mono faint")


def _ends(drawn: Sequence[RowPicture], end: Moment | None) -> bool:
    """Say whether the right edge is a moment that means something."""
    return end is not None or not any(row.row.open_end for row in drawn)


def _axis(scale: Scale, written: Written, bottom: float, *, ends: bool) -> Iterator[str]:
    """Yield the moments above the rows and a faint line down from each."""
    low, high = (written(scale.moment(edge)) for edge in (scale.low, scale.high))
    high = high if ends else "no end"
    yield from _tick(LEFT, low, bottom, "")
    yield from _tick(LEFT + CELLS, high, bottom, "end")
    free, end = LEFT + len(low) * _PER_CHARACTER, LEFT + CELLS - len(high) * _PER_CHARACTER
    longest = max(len(low), len(high)) * _PER_CHARACTER + _APART
    for place in scale.ticks(max(int(CELLS // longest), 1)):
        x, label = LEFT + scale.cell(place), written(scale.moment(place))
        half = len(label) * _PER_CHARACTER / 2
        if free + _APART <= x - half and x + half <= end - _APART:
            free = x + half
            yield from _tick(x, label, bottom, "middle")


def _tick(x: float, label: str, bottom: float, anchor: str) -> Iterator[str]:
    yield text(label, x, _TOP - 14, f"faint {anchor}".strip())
    yield element("path", d=f"M{x} {_TOP - 8}V{bottom:g}", class_="grid")


def _small(drawn: Sequence[RowPicture]) -> dict[str, str]:
    return {"class_": "small"} if drawn and drawn[0].height < 20 else {}


def _legend(y: float, drawn: Sequence[RowPicture]) -> Iterator[str]:
    """Yield one box and its meaning after the other."""
    x = 24.0
    kinds = {kind.value for row in drawn for kind, _, _ in row.row.runs()}
    used = (
        kinds
        | {"trim" for row in drawn if row.report and row.report.trimmed.first}
        | {"gap" for row in drawn if row.row.gaps}
    )
    for class_, said in _MEANINGS.items():
        if class_ not in used:
            continue
        yield _box(class_, x, y)
        yield text(said, x + 30, y + 4, "faint")
        x += 30 + len(said) * _PER_CHARACTER + 8


def _box(class_: str, x: float, y: float) -> str:
    if class_ == "trim":
        return rect(x, y - 1, 22, 3, class_)
    if class_ in {"gap", "nothing"}:
        return rect(x, y - 6, 22, 12, class_)
    strokes = [element("path", d=f"M{x:g} {y}h22", class_=class_, stroke_width=12)]
    if class_ == Kind.ONE.value:
        strokes.append(element("path", d=f"M{x + 11:g} {y}h11", class_="other", stroke_width=12))
    return "".join(strokes)


_MEANINGS = {
    "one": "one payload after the other",
    "several": "several in one pixel",
    "gap": "a gap: no payload",
    "nothing": "before the first, after the last",
    "trim": "its length before newer ones cut it",
}
