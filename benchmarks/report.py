"""Tables a person can read: aligned on a terminal, Markdown in the documentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MIB = 2**20
TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of ready text under their column names; the first column says what was measured."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def lines(self, *, markdown: bool) -> Iterable[str]:
        """Yield the table's lines, a heading first and the notes last."""
        widths = [
            max(len(row[column]) for row in (self.columns, *self.rows))
            for column in range(len(self.columns))
        ]
        yield f"### {self.title}" if markdown else self.title
        yield ""
        yield _line(self.columns, widths, markdown=markdown)
        yield _rule(widths, markdown=markdown)
        for row in self.rows:
            yield _line(row, widths, markdown=markdown)
        yield ""
        for note in self.notes:
            yield f"- {note}" if markdown else f"  {note}"
        if self.notes:
            yield ""


def _line(cells: Sequence[str], widths: Sequence[int], *, markdown: bool) -> str:
    first = cells[0].ljust(widths[0])
    rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "| " + " | ".join((first, *rest)) + " |" if markdown else "  ".join((first, *rest))


def _rule(widths: Sequence[int], *, markdown: bool) -> str:
    if not markdown:
        return "  ".join("-" * width for width in widths)
    return f"|{'-' * (widths[0] + 2)}|" + "".join(f"{'-' * (width + 1)}:|" for width in widths[1:])


@dataclass(frozen=True, slots=True)
class Aim:
    """A figure that was to be reached, or not to be passed: so many times another, or of a unit."""

    what: str
    reached: float
    wanted: float
    unit: str = "times"
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether it was."""
        return self.reached <= self.wanted if self.at_most else self.reached >= self.wanted

    def line(self) -> str:
        """Return the verdict as one line."""
        verdict = "met" if self.met else "NOT met"
        return f"Aim: {self.what} {self._limit()}: {self._text(self.reached)}, {verdict}."

    def row(self) -> tuple[str, str, str, str]:
        """Return what, how much, what was found, and the verdict, for a table of aims."""
        verdict = "met" if self.met else f"short by {self._short()}"
        return self.what, self._limit(), self._text(self.reached), verdict

    def _short(self) -> str:
        if self.at_most:
            return f"{number(self.reached / self.wanted)} {TIMES}"
        return percent(self.wanted - self.reached, self.wanted)

    def _limit(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self._text(self.wanted)}"

    def _text(self, value: float) -> str:
        return f"{number(value)} {self.unit}"


def number(value: float) -> str:
    """Write a number with about three figures: 0.41, 7.3, 812, 18 400."""
    if value >= 1000:
        digits = 10 ** max(0, len(str(int(value))) - 3)
        return f"{round(value / digits) * digits:,.0f}".replace(",", " ")
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def percent(part: float, whole: float) -> str:
    """Write a part of a whole: 83 %."""
    return f"{100 * part / whole:.0f} %"


def mebibytes(count: float) -> str:
    """Write so many bytes in MiB."""
    return number(count / MIB)


def seconds(value: float) -> str:
    """Write a duration in s."""
    return f"{number(value)} s"


def milliseconds(seconds: float) -> str:
    """Write a duration in ms."""
    return number(1000 * seconds)


def size(count: int) -> str:
    """Write a size of bytes: 4 KiB, 256 MiB."""
    return f"{count // MIB} MiB" if count >= MIB else f"{count // 1024} KiB"
