"""A payload list's timeline in a terminal, in as many columns as there are.

Needs no colour, and no more than ASCII where the terminal's encoding has no better. No line is
wider than the terminal; what is narrower than a column is condensed, but a gap is always seen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from condstore.plot.cells import Kind, Row, window
from condstore.plot.words import between, counted
from condstore.terminal import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from condstore.moments import Moment
    from condstore.plot.scale import Scale
    from condstore.plot.words import Written
    from condstore.results import PayloadIOV

NARROWEST = 24
_INK = re.compile(r"\x1b\[[0-9;]*m")
_CROWDED = 0.9  # of all intervals in one column: worth a hint


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters to draw with."""

    cells: Mapping[Kind, str]
    arrow: str
    rule: str
    tick: str
    gap_mark: str


FINE = Glyphs(
    dict(zip(Kind, "█▓▚·!·", strict=True)),
    *("▶", "─", "┬", "^"),
)
ASCII = Glyphs(
    dict(zip(Kind, "#=%.!.", strict=True)),
    *(">", "-", "+", "^"),
)
_LACKING = frozenset({Kind.GAP, Kind.SLIVER, Kind.NOTHING})
_SAID = {
    (Kind.ONE, Kind.OTHER): "one payload after the other",
    (Kind.SEVERAL,): "several in one column",
    (Kind.GAP, Kind.NOTHING): "no payload",
    (Kind.SLIVER,): "a gap narrower than a column",
}
_COLOURS = {
    Kind.ONE: "36",
    Kind.OTHER: "34",
    Kind.SEVERAL: "35",
    Kind.GAP: "31",
    Kind.SLIVER: "1;31",
    Kind.NOTHING: "2",
}


def timeline(
    iovs: Sequence[PayloadIOV],
    *,
    width: int,
    written: Written,
    begin: Moment | None = None,
    end: Moment | None = None,
    colour: bool = False,
    encoding: str = "utf-8",
) -> list[str]:
    """Return the lines that draw payload IOVs of one type, in any order, over [begin, end).

    Without `begin` and `end` the picture goes from the first start to the last end; an interval
    without an end is drawn on to the edge, with an arrow. `written` writes a moment.
    """
    width = max(width, NARROWEST)
    scale = window(iovs, begin, end, width - 1)
    if scale is None:
        return _wrapped([_nothing(iovs, begin, end)], width)
    picture = _Picture(Row.of(iovs, scale), glyphs_for(encoding), written, colour)
    return [
        *axis(scale, picture.edges(ends=end is not None), written, picture.glyphs),
        picture.bar(),
        *picture.marks(),
        *_wrapped([counted(picture.row, written), *picture.hints(), picture.legend()], width),
    ]


def glyphs_for(encoding: str) -> Glyphs:
    """Return the finest glyphs that an encoding can carry.

    >>> glyphs_for("utf-8") is FINE, glyphs_for("ascii") is ASCII, glyphs_for("?") is ASCII
    (True, True, True)
    """
    fine = "".join([*FINE.cells.values(), FINE.arrow, FINE.rule, FINE.tick])
    try:
        fine.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return FINE


def axis(scale: Scale, edges: tuple[str, str], written: Written, glyphs: Glyphs) -> list[str]:
    """Return the labels of the window's edges and of round moments between, and the rule below."""
    width, (low, high) = scale.cells + 1, edges
    labels, ticks = [" "] * width, {0, scale.cells}
    _write(labels, 0, low)
    _write(labels, max(width - len(high), 0), high)
    longest = max(len(low), len(high)) + 2
    for place in scale.ticks(max(width // longest, 1)):
        text, column = written(scale.moment(place)), scale.cell(place)
        at = column - len(text) // 2
        if _free(labels, at, len(text)):
            _write(labels, at, text)
            ticks.add(column)
    rule = (glyphs.tick if column in ticks else glyphs.rule for column in range(width))
    return ["".join(labels).rstrip(), "".join(rule)]


def _free(labels: list[str], at: int, length: int) -> bool:
    around = labels[max(at - 2, 0) : at + length + 2]
    return at >= 0 and at + length <= len(labels) and not "".join(around).strip()


def _write(labels: list[str], at: int, text: str) -> None:
    """Write a text over what is there, cut where the line ends."""
    cut = text[: len(labels) - at]
    labels[at : at + len(cut)] = cut


@dataclass(frozen=True, slots=True)
class _Picture:
    """One row and how it is to be drawn and said."""

    row: Row
    glyphs: Glyphs
    written: Written
    colour: bool

    def edges(self, *, ends: bool) -> tuple[str, str]:
        """Return the labels of the window's edges; where nothing ends there is no moment to say."""
        scale = self.row.scale
        last = (
            "no end" if self.row.open_end and not ends else self.written(scale.moment(scale.high))
        )
        return self.written(scale.moment(scale.low)), last

    def bar(self) -> str:
        runs = (self._inked(kind, count) for kind, _, count in self.row.runs())
        return "".join(runs) + (self.glyphs.arrow if self.row.open_end else "")

    def _inked(self, kind: Kind, count: int = 1) -> str:
        text = self.glyphs.cells[kind] * count
        return f"\x1b[{_COLOURS[kind]}m{text}\x1b[0m" if self.colour else text

    def marks(self) -> list[str]:
        """Return the line below the bar that points at every gap, if there is one."""
        marked = (
            (self.glyphs.gap_mark if kind in _LACKING else " ") * count
            for kind, _, count in self.row.runs()
        )
        line = "".join(marked).rstrip()
        return [line] if line else []

    def hints(self) -> list[str]:
        """Say where to look closer if nearly all intervals begin in one column."""
        scale, bars = self.row.scale, self.row.bars
        if len(bars) < 10:
            return []
        middle = scale.cell(bars[len(bars) // 2][0])
        there = [bar for bar in bars if scale.cell(bar[0]) == middle]
        if len(there) < _CROWDED * len(bars) or scale.high - scale.low <= scale.cells:
            return []
        most = f"{plural(len(there), 'payload IOV')} begin in one column"
        span = between(scale, there[0][0], there[-1][1], self.written)
        return [f"{most}, {span}: plot that range alone"]

    def _key(self, kinds: tuple[Kind, ...], used: set[Kind]) -> str:
        """Return the characters of some kinds, each once."""
        return "".join(dict.fromkeys(self._inked(kind) for kind in kinds if kind in used))

    def legend(self) -> str:
        """Name the characters that occur."""
        used = {kind for kind, _, _ in self.row.runs()}
        said = [
            f"{self._key(kinds, used)} {said}" for kinds, said in _SAID.items() if used & set(kinds)
        ]
        return ",  ".join([*said, *([f"{self.glyphs.arrow} no end"] if self.row.open_end else [])])


def _nothing(iovs: Sequence[PayloadIOV], begin: Moment | None, end: Moment | None) -> str:
    if begin is not None and end is not None and begin >= end:
        return "nothing to draw: the range ends before it begins"
    return "nothing to draw: no payload IOV" + (" in this range" if iovs else "")


def _wrapped(lines: Iterable[str], width: int) -> list[str]:
    """Fold lines at blanks, words too long for a line anywhere; colours take no room."""
    folded: list[str] = []
    for line in lines:
        folded.append("")
        for word in _words(line, width):
            if len(_INK.sub("", f"{folded[-1]} {word}")) > width:
                folded.append(word)
            else:
                folded[-1] = f"{folded[-1]} {word}" if folded[-1] else word
    return folded


def _words(line: str, width: int) -> Iterable[str]:
    for word in line.split(" "):
        if len(_INK.sub("", word)) <= width:
            yield word
        else:
            yield from (word[at : at + width] for at in range(0, len(word), width))
