"""One payload type of the picture: its name, its bar of cells, its gaps and trims, its counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from condstore.plot.cells import Kind, Row
from condstore.plot.words import between, counted
from condstore.plot.xml import element, group, rect, shortened, text, tooltip, words
from condstore.terminal import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from condstore.plot.words import Written
    from condstore.results import HeldList, PayloadIOV, Place, TypeReport

WIDTH, LEFT, RIGHT = 1200, 200, 210
CELLS = WIDTH - LEFT - RIGHT
_LONGEST_NAME = 26
_MARK = 3  # px: what is narrower is drawn this wide
_GAPS = frozenset({Kind.GAP, Kind.SLIVER})
_FILLED = {Kind.ONE: "one", Kind.OTHER: "other", Kind.SEVERAL: "several"}


@dataclass(frozen=True, slots=True)
class RowPicture:
    """A payload list and where it is drawn: the row's top and height.

    `most` of its gaps, and as many trims, have a tooltip of their own; if `named`, each IOV has.
    """

    held: HeldList
    iovs: Sequence[PayloadIOV] | None
    report: TypeReport | None
    row: Row
    written: Written
    top: float
    height: float
    most: int
    named: bool

    def svg(self) -> str:
        """Return the row."""
        said = f"{self.held.payload_type}: {self._said()}"
        parts = [tooltip(said), self._name(), *self._bar(), *self._trims(), self._counts()]
        return group(parts, role="listitem", aria_label=said)

    @property
    def _middle(self) -> float:
        return self.top + self._thick / 2 + 6

    @property
    def _thick(self) -> float:
        return round(self.height * 0.6)

    def _said(self) -> str:
        if self.iovs is None:
            return "not asked for"
        return counted(self.row, self.written) + (", no end" if self.row.open_end else "")

    def _name(self) -> str:
        shown = shortened(self.held.payload_type, _LONGEST_NAME)
        return text(shown, LEFT - 12, self._middle, "name")

    def _bar(self) -> Iterator[str]:
        if self.iovs is None:
            return
        for kind, filled in _FILLED.items():
            runs = [(at, many) for one, at, many in self.row.runs() if one is kind]
            if runs:
                yield element("path", d=self._path(runs), class_=filled, stroke_width=self._thick)
        yield from self._lacking()
        if self.row.open_end:
            yield self._arrow()
        if self.named:
            yield from self._tooltips()

    def _lacking(self) -> Iterator[str]:
        """Return the widest gaps as hatched boxes with their own tooltips, the others as cells."""
        widest = sorted(self.row.gaps, key=lambda gap: gap[0] - gap[1])
        if len(widest) > self.most:
            runs = [(at, many) for kind, at, many in self.row.runs() if kind in _GAPS]
            yield element("path", d=self._path(runs), class_="sliver", stroke_width=self._thick)
        yield from (self._hole(edge, "nothing") for edge in self.row.edges)
        yield from (self._hole(gap, "gap") for gap in widest[: self.most])

    def _path(self, runs: list[tuple[int, int]]) -> str:
        """Return the runs of cells as strokes of one line, which takes the fewest bytes."""
        strokes, reached = [f"M{LEFT} {self.top + self._thick / 2 + 2:g}"], 0
        for at, many in runs:
            strokes.append(f"m{at - reached} 0h{many}" if at > reached else f"h{many}")
            reached = at + many
        return "".join(strokes)

    def _place(self, begin: int, end: int) -> tuple[float, float]:
        """Return the left edge and the width of an interval, never too narrow to be seen."""
        scale = self.row.scale
        left, right = (
            (place - scale.low) * 10 * scale.cells // (scale.high - scale.low) / 10
            for place in (begin, end)
        )
        width = max(right - left, _MARK)
        return round(min(LEFT + left, LEFT + CELLS - width), 1), round(width, 1)

    def _hole(self, gap: tuple[int, int], class_: str) -> str:
        left, width = self._place(*gap)
        kind = "narrow" if class_ == "gap" and width <= _MARK else class_
        said = f"no payload from {between(self.row.scale, *gap, self.written)}"
        high = self._thick + (4 if kind == "narrow" else 0)
        return rect(left, self.top + 2 - (high - self._thick) / 2, width, high, kind, tooltip(said))

    def _arrow(self) -> str:
        """Return the head of an arrow behind an interval without an end."""
        x, y = LEFT + CELLS, self.top + 2
        return element(
            "path",
            d=f"M{x} {y - 2:g}l9 {self._thick / 2 + 2:g}l-9 {self._thick / 2 + 2:g}z",
            class_="arrow",
        )

    def _tooltips(self) -> Iterator[str]:
        for iov in self.iovs or ():
            bar = self._clipped(iov)
            if bar is not None:
                left, width = self._place(*bar)
                end = "no end" if iov.end is None else self.written(iov.end)
                said = f"{iov.name}: {self.written(iov.start)} to {end}"
                yield rect(left, self.top + 2, width, self._thick, "hover", tooltip(said))

    def _clipped(self, iov: PayloadIOV | Place) -> tuple[int, int] | None:
        scale = self.row.scale
        start = scale.clipped(scale.position(iov.start))
        end = scale.high if iov.end is None else scale.clipped(scale.position(iov.end))
        return (start, end) if start < end else None

    def _trims(self) -> Iterator[str]:
        """Return a line below the bar for what an interval was before newer ones cut it."""
        for place in self.report.trimmed.first[: self.most] if self.report else ():
            was = self._clipped(place)
            if was is not None:
                left, width = self._place(*was)
                said = f"{place.name} was {between(self.row.scale, *was, self.written)}"
                until = f" until LSN {place.lsn}" if place.lsn is not None else ""
                yield rect(
                    left, self.top + self._thick + 4, width, 3, "trim", tooltip(said + until)
                )

    def _counts(self) -> str:
        """Return how many there are, and of what is worth a look."""
        trimmed = self.report.trimmed.count if self.report else 0
        said = [element("tspan", words(self._many()))]
        if self.row.gaps:
            said.append(
                element("tspan", words(f" · {plural(len(self.row.gaps), 'gap')}"), class_="bad")
            )
        if trimmed:
            said.append(element("tspan", words(f" · {trimmed} trimmed"), class_="warn"))
        return element("text", *said, x=LEFT + CELLS + 18, y=self._middle)

    def _many(self) -> str:
        if self.iovs is None:
            return "not asked for"
        return plural(len(self.row.bars), "IOV") if self.row.bars else "empty"
