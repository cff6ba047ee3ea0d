"""What `condstore stream FILE` does: tell what the file is, and stream it.

A strain file becomes segments of each channel; a JSON segment is one already; with an interval of
validity any file is one payload. Refuses, as wrong use, what is none of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from condstore import interrupts, segments, strain
from condstore.errors import Frozen, UsageError
from condstore.moments import Moment
from condstore.producer import Producer, StreamReport
from condstore.results import Stored, Validity
from condstore.segments import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from condstore.access import Credential
    from condstore.client import Client
    from condstore.strain import Series


@dataclass(frozen=True, slots=True)
class Work:
    """What one file comes to: its channels, or the one segment it is."""

    series: tuple[Series, ...] = ()
    whole: Segment | None = None

    @property
    def segments(self) -> int:
        """How many segments that makes, at least."""
        return sum(map(segments.count, self.series)) + (self.whole is not None)

    def __iter__(self) -> Iterator[Segment]:
        if self.whole is not None:
            yield self.whole
        for series in self.series:
            yield from segments.cut(series)


def work(path: Path, payload_type: str | None, channels: tuple[str, ...]) -> Work:
    """Read a file; raise `UsageError` or `UnreadableFile` if it cannot be cut into segments."""
    if _is_json(path):
        return Work(whole=_segment(path, payload_type or strain.DEFAULT_TYPE))
    found = strain.read(path)
    chosen = tuple(series for series in found if not channels or series.name in channels)
    if missing := set(channels) - {series.name for series in chosen}:
        there = ", ".join(series.name for series in found)
        raise UsageError(f"{path} has no channel {', '.join(sorted(missing))}; it has {there}")
    if payload_type is None:
        return Work(chosen)
    if len(chosen) > 1:
        names = ", ".join(series.name for series in chosen)
        raise UsageError(f"--type names one series, {path} has {names}; choose with --channel")
    return Work(tuple(series.renamed(payload_type) for series in chosen))


def run(
    todo: Iterable[Segment],
    urls: tuple[str, ...],
    *,
    period: str,
    in_flight: int,
    advance: Callable[[int], object],
    resume: Path | None = None,
    token: Credential | None = None,
) -> StreamReport:
    """Stream all of it; `advance` is told 1 for each acknowledged segment.

    With `resume`, a file, segments acknowledged to an earlier run are not sent again. A refusal
    says how many segments were acknowledged before it.
    """
    producer = Producer(
        urls, in_flight=in_flight, period=period, token=token, tell=lambda _: advance(1)
    )
    try:
        return interrupts.run(producer.stream(todo, resume=resume))
    except Frozen as frozen:
        raise Frozen(
            f"{frozen.detail} It takes segments again after a flush, `condstore buffer flush`, "
            f"which keeps what it holds as a frozen tag. Before that {producer.report}.",
            status=frozen.status,
            code=frozen.code,
        ) from frozen


def payload(client: Client, path: Path, payload_type: str | None, where: Validity) -> Stored:
    """Store a file as one payload."""
    if payload_type is None:
        raise UsageError("a payload with --major needs its --type too")
    return client.stream_payload(path, payload_type, where)


def validity(major: int, minor: int, end: str | None, tag: str | None) -> Validity:
    """Return the interval of validity that the command line wrote."""
    start = Moment.parse(f"{major}:{minor}")
    return Validity(start, Moment.parse(end) if end else None, tag)


def _is_json(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(64).lstrip()[:1] in {b"{", b"["}


def _segment(path: Path, payload_type: str) -> Segment:
    """Take the file as the segment it must be; its values are the server's to judge."""
    body = path.read_bytes()
    try:
        content = orjson.loads(body)
        samples = len(content["h"])
        len(content["t"])
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f'{path} is JSON but not a segment {{"h":[...],"t":[t0,dt]}}; to store any file as a '
            "payload give --type, --major and --minor"
        ) from error
    return Segment(payload_type, body, samples)
