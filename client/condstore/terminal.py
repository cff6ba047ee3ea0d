"""What a person reads: plain lines everywhere, colour and a moving bar on a terminal only.

Results go to standard output, progress and complaints to standard error: a pipe gets results.
Much of a line is a server's words: they are shown, never obeyed by the terminal.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
import time
import unicodedata
import warnings
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_CONTROL = re.compile(r"\x1b(?!\[[0-9;]*m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]")
_EVERY = 5.0  # seconds between two progress lines where no bar can move
_BOLD, _DIM, _RED, _GREEN, _YELLOW = "1", "2", "31", "32", "33"


class Terminal:
    """Where to write; `colour` is whether the user allows it."""

    def __init__(self, out: TextIO, err: TextIO, *, colour: bool) -> None:
        self._out, self._err = out, err
        self._colour = colour

    @classmethod
    def standard(cls, *, colour: bool) -> Terminal:
        """Use the process's own streams."""
        return cls(sys.stdout, sys.stderr, colour=colour)

    def say(self, line: str = "") -> None:
        """Print one line of the result, at once."""
        _write(self._out, f"{_harmless(line)}\n")

    def complain(self, line: str) -> None:
        """Print one line that is not part of the result."""
        _write(self._err, f"{_harmless(' '.join(line.splitlines()))}\n")

    def ask(self, question: str) -> str:
        """Print a question beside the results and return the line that was typed, "" at the end."""
        _write(self._err, _harmless(question))
        return sys.stdin.readline()

    @property
    def width(self) -> int:
        """How many columns a line may have."""
        return shutil.get_terminal_size((100, 24)).columns

    @property
    def room(self) -> int | None:
        """How many columns a result should keep to; None where nobody looks at its lines' ends."""
        return self.width if self._out.isatty() else None

    @property
    def colourful(self) -> bool:
        """Whether results are shown in colour."""
        return self._colour and self._out.isatty()

    @property
    def encoding(self) -> str:
        """Which characters it takes."""
        return self._out.encoding or "ascii"

    def bold(self, text: str) -> str:
        """Make it stand out."""
        return self._styled(text, _BOLD)

    def dim(self, text: str) -> str:
        """Make it stand back."""
        return self._styled(text, _DIM)

    def good(self, text: str) -> str:
        """Mark it as well."""
        return self._styled(text, _GREEN)

    def warn(self, text: str) -> str:
        """Mark it as worth a look."""
        return self._styled(text, _YELLOW)

    def bad(self, text: str) -> str:
        """Mark it as wrong."""
        return self._styled(text, _RED)

    def _styled(self, text: str, code: str) -> str:
        if not self.colourful:
            return text
        return f"\x1b[{code}m{text}\x1b[0m"

    @contextlib.contextmanager
    def progress(self, what: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
        """Give a function that is told how much more was done; show it while the block runs.

        `total` is None where nobody knows how much there is.
        """
        if self._err.isatty():
            with self._bar(what, total, unit) as advance:
                yield advance
        else:
            yield self._lines(what, total, unit)

    @contextlib.contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Show that something goes on whose end cannot be told."""
        if not self._err.isatty():
            yield
            return
        from rich.console import Console  # noqa: PLC0415 - only where it can move

        with Console(file=self._err, no_color=not self._colour).status(what):
            yield

    @contextlib.contextmanager
    def stages(self, doing: str) -> Iterator[Callable[[str, int, int | None], None]]:
        """Give a function that is told (what, done, of) for one stage of the work after another.

        `doing` is the work in one word: `checking`.
        """
        with contextlib.ExitStack() as stack:
            now, seen = "", 0
            advance: Callable[[int], None] = _nothing

            def tell(what: str, done: int, total: int | None) -> None:
                nonlocal now, seen, advance
                if what != now:
                    stack.close()
                    advance = stack.enter_context(self.progress(doing, total, what))
                    now, seen = what, 0
                advance(done - seen)
                seen = done

            yield tell

    @contextlib.contextmanager
    def _bar(self, what: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
        from rich.console import Console  # noqa: PLC0415 - only where a bar can move
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeRemainingColumn(),
        )
        console = Console(file=self._err, no_color=not self._colour)
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield lambda more: bar.advance(task, more)

    def _lines(self, what: str, total: int | None, unit: str) -> Callable[[int], None]:
        done, told = 0, time.monotonic()
        of = "" if total is None else f" of {total}"

        def advance(more: int) -> None:
            nonlocal done, told
            done += more
            if time.monotonic() - told > _EVERY:
                told = time.monotonic()
                self.complain(f"{what}: {done}{of} {unit}")

        return advance


@contextlib.contextmanager
def warned(complain: Callable[[str], object]) -> Iterator[None]:
    """Let the block's warnings be told in one line each, as complaints are."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        complain(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _write(stream: TextIO, text: str) -> None:
    """Write at once and in one piece: the lines of two threads never run into each other."""
    stream.write(text)
    stream.flush()


def _harmless(text: str) -> str:
    r"""Leave colours and line ends; whatever else would move a terminal becomes visible.

    >>> _harmless("\x1b[1mbold\x1b[0m \x1b[2J\x07")
    '\x1b[1mbold\x1b[0m �[2J�'
    """
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _nothing(_: int) -> None:
    return


def table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()
) -> list[str]:
    """Return the lines of a table, columns as wide as they need, two blanks between.

    Columns numbered in `right` are numbers and end below each other.

    >>> table(("name", "IOVs"), [("stream", "165"), ("prompt-1", "3")], right=(1,))
    ['name      IOVs', 'stream     165', 'prompt-1     3']
    """
    columns = list(zip(headings, *rows, strict=True))
    widths = [max(map(_cells, column)) for column in columns]
    return [
        "  ".join(
            _filled(cell, width, right=place in right)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (headings, *rows)
    ]


def _filled(cell: str, width: int, *, right: bool) -> str:
    blanks = " " * (width - _cells(cell))
    return blanks + cell if right else cell + blanks


def _cells(text: str) -> int:
    """Return how many columns of a terminal the text takes.

    >>> _cells("beam"), _cells("ビーム"), _cells("e\u0301")
    (4, 6, 1)
    """
    if text.isascii():
        return len(text)
    return sum(_width(letter) for letter in text)


def _width(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in {"W", "F"} else 1


def size(count: int) -> str:
    """Write a number of bytes for people.

    >>> size(6912), size(980), size(863_881)
    ('6.9 kB', '980 B', '863.9 kB')
    """
    if count < 1000:
        return f"{count} B"
    number = float(count)
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 999.95:
            return f"{number:.1f} {unit}"
    return f"{number / 1000:.1f} TB"


def plural(count: int, noun: str) -> str:
    """Write a count with its noun.

    >>> plural(1, "segment"), plural(1650, "segment")
    ('1 segment', '1 650 segments')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}".replace(",", " ")
