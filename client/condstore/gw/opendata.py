"""The open data around an event: when it was, which files have it, and fetching them once.

gwosc asks the archive, by default https://gwosc.org (GWOSC_SERVER_URL is its own variable for
another); it is imported only when it is needed. A file gets its name when it is whole, so what was
fetched before is not fetched again.
"""

from __future__ import annotations

import functools
import importlib
import math
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import requests

from condstore import landing
from condstore.errors import ServerAway, UnexpectedAnswer, UsageError, from_answer
from condstore.retry import HASTY, persist
from condstore.strain import INSTALL
from condstore.transport import AGENT, CONNECT_WITHIN, SILENT_FOR, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

Foreign: TypeAlias = Any  # gwosc is not typed

RATE: Final = 4096
INSTEAD: Final = "give local files instead: GWID=<GPS seconds> python -m condstore.gw FILE ..."
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Event:
    """An event that the archive knows: its GPS time and its observing run."""

    name: str
    gps: Decimal
    run: str


def event(name: str) -> Event:
    """Return the event; raise `UsageError` if the archive has none of that name."""
    with _archive(f"event GWID={name}"):
        found = _module("gwosc.api.v2").fetch_event_version(name)
        return Event(name, Decimal(str(found["gps"])), str(found.get("run") or ""))


def fetch(
    of: Event,
    detector: str,
    window: tuple[Decimal, Decimal],
    folder: Path,
    tell: Callable[[str], object],
) -> list[Path]:
    """Return local files that hold the detector's strain over the half-open window.

    `tell` hears of each file that must be fetched: that may take minutes.
    """
    begin, end = window
    urls = _urls(of, detector, math.floor(begin), math.ceil(end))
    folder.mkdir(parents=True, exist_ok=True)
    paths = {folder / (url.rpartition("/")[2] or "strain"): url for url in urls}
    for path, url in paths.items():
        if not path.exists():
            tell(f"fetching {url}")
            persist(functools.partial(_fetched, url, path), HASTY)
    return list(paths)


def covering(urls: Iterable[tuple[str, int, int]], begin: int, end: int) -> list[str]:
    """Choose, of (URL, start, end), the shortest files that have all of [begin, end); else [].

    >>> covering([("long", 0, 4096), ("a", 0, 32), ("b", 32, 64)], 10, 40)
    ['a', 'b']
    >>> covering([("long", 0, 4096), ("a", 0, 32), ("c", 64, 96)], 10, 70)
    ['long']
    """
    spans = {(start, stop): url for url, start, stop in urls if start < end and stop > begin}
    for length in sorted({stop - start for start, stop in spans}):
        alike = sorted(span for span in spans if span[1] - span[0] == length)
        meets = all(one[1] == other[0] for one, other in pairwise(alike))
        if meets and alike[0][0] <= begin and alike[-1][1] >= end:
            return [spans[span] for span in alike]
    return []


def _urls(of: Event, detector: str, begin: int, end: int) -> list[str]:
    """Ask for the event's own files, and where they are too short for its run's."""
    locate, utils = _module("gwosc.locate"), _module("gwosc.utils")
    span: dict[str, Any] = {"detector": detector, "start": begin, "end": end, "sample_rate": RATE}
    with _archive(f"strain of DTCID={detector} for GWID={of.name}"):
        found = locate.get_event_urls(of.name, **span)
        chosen = covering(((url, *utils.url_segment(url)) for url in found), begin, end)
        if not chosen and of.run:
            found = locate.get_run_urls(of.run, **span)
            chosen = covering(((url, *utils.url_segment(url)) for url in found), begin, end)
    if not chosen:
        raise UsageError(
            f"the open data have no {detector} strain over all of GPS {begin} to {end}: "
            f"choose another DTCID, or INF and SUP nearer to {of.name} at GPS {of.gps}"
        )
    return chosen


def _download(url: str, path: Path) -> None:
    asked = requests.get(
        url,
        stream=True,
        timeout=(CONNECT_WITHIN, SILENT_FOR),
        headers={"User-Agent": AGENT, "Accept-Encoding": "identity"},
    )
    with asked as response:
        if response.status_code != requests.codes.ok:
            raise from_answer(response.status_code, response.headers, response.content, url)
        with landing.published(path) as file:
            for piece in response.iter_content(_PIECE):
                file.write(piece)


def _fetched(url: str, path: Path) -> None:
    try:
        _download(url, path)
    except requests.RequestException as error:
        raise ServerAway(f"{url} cannot be fetched ({reason(error)}); {INSTEAD}") from error


@contextmanager
def _archive(what: str) -> Iterator[None]:
    """Tell what the archive's client raises in our own errors."""
    gave_up = _module("tenacity").RetryError
    try:
        yield
    except requests.HTTPError as error:
        status = error.response.status_code
        if status in {requests.codes.not_found, requests.codes.bad_request}:
            raise UsageError(f"the open data have no {what}") from error
        raise ServerAway(f"the open data archive answered {status}; {INSTEAD}") from error
    except (requests.ConnectionError, requests.Timeout, gave_up) as error:
        raise ServerAway(
            f"the open data archive cannot be reached ({reason(error)}); {INSTEAD}"
        ) from error
    except (requests.RequestException, KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise UnexpectedAnswer(
            f"what answers for the open data archive does not speak as it does "
            f"({type(error).__name__}: {error})"
        ) from error


def _module(name: str) -> Foreign:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UsageError(f"to take open data: {INSTALL}; or {INSTEAD}") from error
