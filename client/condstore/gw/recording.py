"""What is to be streamed: one channel of one detector, cut out of files, in blocks of 300 samples.

Samples are counted from the first one of the recording; that count is what `lastrd.txt` keeps.
Refuses files that overlap or differ in step, and a window that the files do not reach.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from condstore import segments, strain
from condstore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from decimal import Decimal
    from pathlib import Path

    from condstore.segments import Segment
    from condstore.strain import Series


@dataclass(frozen=True, slots=True)
class Block:
    """Up to 300 samples: the segments they come to (none in a gap), and where they end."""

    segments: tuple[Segment, ...]
    end: int


@dataclass(frozen=True, slots=True)
class Recording:
    """Series of one channel in order of time; between two of them there may be a gap."""

    parts: tuple[Series, ...]

    @property
    def first(self) -> Series:
        """The earliest series."""
        return self.parts[0]

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return sum(len(part.samples) for part in self.parts)

    def time_of(self, index: int) -> Decimal:
        """Return the GPS time of a sample; of the one after the last, where it would be."""
        for part in self.parts[:-1]:
            if index < len(part.samples):
                return segments.time_of(part, index)
            index -= len(part.samples)
        return segments.time_of(self.parts[-1], index)

    def blocks(self, begin: int, bound: int) -> Iterator[Block]:
        """Yield what lies between sample `begin` and `bound`.

        The same begin and bound give the same blocks, also when the files have grown since.
        """
        before = 0
        for part in self.parts:
            inside = len(part.samples)
            while begin < (stop := min(before + inside, bound)):
                end = min(begin + segments.SAMPLES, stop)
                piece = _slice(part, begin - before, end - before)
                yield Block(tuple(segments.cut(piece)), end)
                begin = end
            before += inside

    def cropped(self, begin: Decimal, end: Decimal) -> Recording:
        """Return the samples in [begin, end); raise `UsageError` if the files lack some of them."""
        has, until = self.first.t0, self.time_of(self.samples)
        if begin < has or end > until:
            raise UsageError(
                f"{self.first.name} is there from GPS {segments.plain(has)} to "
                f"{segments.plain(until)}, wanted is {segments.plain(begin)} to "
                f"{segments.plain(end)}: choose INF and SUP within, or give more files"
            )
        cut = (_slice(part, _after(part, begin), _after(part, end)) for part in self.parts)
        parts = tuple(part for part in cut if part.samples)
        if not parts:
            raise UsageError(f"{self.first.name} has no sample between INF and SUP")
        return Recording(parts)


def read(paths: Iterable[Path], detector: str, channel: str | None) -> Recording:
    """Read one channel out of strain files; raise `UsageError` or `UnreadableFile`."""
    found = [(path, _channel(path, detector, channel)) for path in paths]
    found.sort(key=lambda each: each[1].t0)
    for (path, one), (next_path, other) in pairwise(found):
        if (one.name, one.dt) != (other.name, other.dt):
            raise UsageError(
                f"{path} has {one.name} every {one.dt} s, {next_path} has {other.name} every "
                f"{other.dt} s: give files of one channel"
            )
        if other.t0 < segments.time_of(one, len(one.samples)):
            raise UsageError(
                f"{next_path} begins at GPS {segments.plain(other.t0)}, before {path} ends: "
                "give each second once"
            )
    return Recording(tuple(one for _, one in found))


def _channel(path: Path, detector: str, channel: str | None) -> Series:
    """Return the one series meant: by its name, by its detector, or the only one there is."""
    found = strain.read(path)
    if channel is not None:
        chosen = [series for series in found if series.name == channel]
    else:
        chosen = [series for series in found if _may_be_of(series, detector)]
    if len(chosen) != 1:
        there = ", ".join(series.name for series in found)
        what = f"channel {channel}" if channel else f"one channel of DTCID={detector or 'any'}"
        raise UsageError(f"{path} has {there}; looked for {what}: choose one with --channel")
    (series,) = chosen
    anonymous = series.name == strain.DEFAULT_TYPE and detector
    return series.renamed(f"{detector}:{strain.DEFAULT_TYPE}") if anonymous else series


def _may_be_of(series: Series, detector: str) -> bool:
    """Whether the series is the detector's, as far as its name says: text files name none."""
    named, _, _ = series.name.partition(":")
    return not detector or ":" not in series.name or named == detector


def _after(series: Series, gps: Decimal) -> int:
    """Return the index of the first sample at or after a time, within the series."""
    index = math.ceil((Fraction(gps) - Fraction(series.t0)) / Fraction(series.dt))
    return min(max(index, 0), len(series.samples))


def _slice(series: Series, begin: int, end: int) -> Series:
    return replace(series, t0=segments.time_of(series, begin), samples=series.samples[begin:end])
