"""How moments, intervals, digests and whole results are written."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from condstore.moments import Moment

if TYPE_CHECKING:
    from condstore.results import Payload, PayloadIOV

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


def style_of(text: str, *others: Moment | None) -> Written:
    """Choose the way in which the caller wrote one, else what the others look like."""
    if "." in text:
        return gps
    return runs if ":" in text else style([Moment.parse(text), *others])


def written(moment: Moment | None, how: Written, *, open_as: str = "open") -> str:
    """Write a moment that may be no end at all."""
    return open_as if moment is None else how(moment)


def interval(start: Moment, end: Moment | None, how: Written) -> str:
    """Write a half-open interval.

    >>> interval(Moment(1200), None, runs), interval(Moment(1200), Moment(1300, 5), runs)
    ('[1200, open)', '[1200, 1300:5)')
    """
    return f"[{how(start)}, {written(end, how)})"


def what(payload: Payload | PayloadIOV) -> str:
    """Write by what a payload is known: its digest, or its name where it is kept elsewhere."""
    return short(payload.digest) if payload.digest else payload.name


def short(digest: str) -> str:
    """Write enough of a digest to tell payloads apart on a screen."""
    return digest.removeprefix("sha256:")[:12]


def named(name: str) -> str:
    """Write a payload's name; one that is its digest only is shortened."""
    return f"{name[:19]}…" if name.startswith("sha256:") and len(name) == 71 else name


def as_json(value: object, *, lines: bool = False) -> str:
    """Write a result as one JSON document, on one line where each line is one (`lines`)."""
    return json.dumps(value, indent=None if lines else 2, default=_plain)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, frozenset | set):
        return sorted(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON")
