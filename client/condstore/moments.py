"""A moment as people write it, and back: `968654552.25` (GPS), `1200:17` (run:lumi), `1200`.

Two integers 0 … 2^63-1, compared in that order. Refuses what is not exact: more than nine decimals.
Whoever tells people of a moment, the command or an error of the library, writes it by `written`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

from condstore.errors import UsageError

LIMIT = 2**63 - 1
_WRITTEN = re.compile(r"(?P<major>\d{1,19})(?::(?P<minor>\d{1,19})|\.(?P<decimals>\d{1,9}))?")


class Moment(NamedTuple):
    """Major and minor: run and lumi section, or GPS seconds and nanoseconds."""

    major: int
    minor: int = 0

    @classmethod
    def parse(cls, text: str) -> Moment:
        """Return the moment that `text` writes; raise `UsageError` saying the three forms.

        >>> Moment.parse("968654552.25")
        Moment(major=968654552, minor=250000000)
        >>> Moment.parse("1200:17"), Moment.parse("1200")
        (Moment(major=1200, minor=17), Moment(major=1200, minor=0))
        """
        found = _WRITTEN.fullmatch(text.strip())
        if found is None:
            raise UsageError(
                f"{text!r} is not a moment: write 968654552.25 (GPS seconds, at most nine "
                "decimals), 1200:17 (run:lumi) or 1200"
            )
        minor = found["minor"] or (found["decimals"] or "").ljust(9, "0")
        moment = cls(int(found["major"]), int(minor))
        if max(moment) > LIMIT:
            raise UsageError(f"{text!r}: a moment's numbers end at 2^63-1")
        return moment

    @classmethod
    def of(cls, when: When) -> Moment:
        """Return the moment meant by one, by `(major, minor)`, by a major alone or by its text.

        >>> Moment.of(1200), Moment.of((1200, 17)), Moment.of("968654552.25")[1]
        (Moment(major=1200, minor=0), Moment(major=1200, minor=17), 250000000)
        """
        if isinstance(when, str):
            return cls.parse(when)
        parts = (when, 0) if isinstance(when, int) else _parts(when)
        if len(parts) == 2 and all(type(part) is int and 0 <= part <= LIMIT for part in parts):
            return cls(*parts)
        raise UsageError(
            f"{when!r} is not a moment: give a run or GPS second, (major, minor) with two integers "
            "0 to 2^63-1, or text such as '968654552.25'"
        )

    def gps(self) -> str:
        """Write it as GPS seconds.

        >>> Moment(968654552, 250000000).gps()
        '968654552.250000000'
        """
        return f"{self.major}.{self.minor:09d}"

    def pair(self) -> str:
        """Write it as `major:minor`."""
        return f"{self.major}:{self.minor}"


def _parts(when: object) -> tuple[Any, ...]:
    """Return what may be the two numbers; a float, or nothing at all, has none."""
    return tuple(when) if isinstance(when, tuple | list) else ()


When: TypeAlias = Moment | tuple[int, int] | int | str
"""How a caller may name a moment; `Moment.of` reads it."""

Written: TypeAlias = Callable[[Moment], str]
"""How a moment is written: `runs` or `gps`."""

_GPS_FROM = 100_000_000  # seconds: 1983; no run number is as large


def runs(moment: Moment) -> str:
    """Write a run, with its lumi section unless that is 0.

    >>> runs(Moment(1200)), runs(Moment(1200, 17))
    ('1200', '1200:17')
    """
    return moment.pair() if moment.minor else str(moment.major)


def gps(moment: Moment) -> str:
    """Write a GPS time, without zeros at its end.

    >>> gps(Moment(968654552, 250000000)), gps(Moment(968654552))
    ('968654552.25', '968654552')
    """
    return moment.gps().rstrip("0").rstrip(".")


def style(moments: Iterable[Moment | None]) -> Written:
    """Choose how to write these: as GPS times if one of them can only be that.

    >>> style([Moment(968654552), None]) is gps, style([Moment(1200, 17)]) is runs
    (True, True)
    """
    found = [moment for moment in moments if moment is not None]
    if any(moment.minor >= 10**9 for moment in found):
        return runs
    return gps if any(_GPS_FROM <= moment.major < 10**10 for moment in found) else runs


def written(moment: Moment | None, how: Written | None = None, *, open_as: str = "open") -> str:
    """Write a moment that may be no end at all.

    >>> written(Moment(1250)), written(Moment(968654552, 250000000)), written(None)
    ('1250', '968654552.25', 'open')
    """
    return open_as if moment is None else (how or style([moment]))(moment)


def interval(start: Moment, end: Moment | None, how: Written | None = None) -> str:
    """Write a half-open interval.

    >>> interval(Moment(1200), None), interval(Moment(1200), Moment(1300, 5))
    ('[1200, open)', '[1200, 1300:5)')
    """
    how = how or style((start, end))
    return f"[{how(start)}, {written(end, how)})"
