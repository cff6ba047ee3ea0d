"""What a scenario holds: so many payload types with so many intervals each.

Every value follows from the number of its type and of its interval, so that an answer can be
checked without keeping five million rows. No two types begin their intervals together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.report import TIMES, number

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP = 1000
"""Majors from one interval to the next, give or take as many."""

_MINORS = 1_000_000
_ODD = 2_654_435_761
_WIDE = 0x9E3779B97F4A7C15F39CC0605CEDC835

Moment = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Shape:
    """A number of payload types and of intervals in each."""

    types: int
    iovs: int

    @property
    def label(self) -> str:
        """How the field writes it: 200 types times 26 000."""
        each = number(self.iovs) if self.iovs >= 1000 else self.iovs
        return f"{self.types} {TIMES} {each}"

    @property
    def name(self) -> str:
        """A name for folders and tags."""
        return f"{self.types}x{self.iovs}"

    @property
    def total(self) -> int:
        """All its intervals."""
        return self.types * self.iovs

    @property
    def first(self) -> Moment:
        """The earliest moment at which every type holds something."""
        return STEP - 1, _MINORS

    @property
    def last(self) -> Moment:
        """A moment in the last interval of every type."""
        return self.iovs * STEP, 0

    def held(self, number_of_type: int, moment: Moment) -> int:
        """Return the number of the interval that holds at a moment, -1 before the first."""
        at = min(moment[0] // STEP, self.iovs - 1)
        return at if start(number_of_type, at) <= moment else at - 1

    def end(self, number_of_type: int, at: int) -> Moment | None:
        """Return where an interval ends: at the next one's start, the last one never."""
        return None if at + 1 == self.iovs else start(number_of_type, at + 1)

    def expected(self, moment: Moment) -> list[Held]:
        """Return what must be answered at a moment, by payload type."""
        return sorted(self._expected(moment))

    def _expected(self, moment: Moment) -> Iterator[Held]:
        for kind in range(self.types):
            if (at := self.held(kind, moment)) >= 0:
                name, checksum, size = payload(kind, at)
                begin = start(kind, at)
                yield type_name(kind), name, checksum, size, begin, self.end(kind, at)


Held = tuple[str, str, str, int, Moment, Moment | None]
"""A payload type, its payload's name, checksum and size, and where the interval begins and ends."""


def start(number_of_type: int, at: int) -> Moment:
    """Return where the interval `at` of a type begins: anywhere within its step."""
    mixed = _mixed(number_of_type, at)
    return at * STEP + (mixed >> 10) % STEP, mixed % _MINORS


def payload(number_of_type: int, at: int) -> tuple[str, str, int]:
    """Return a payload's name of about fifty characters, its checksum and its size in bytes."""
    checksum = f"{(number_of_type * 1_000_003 + at + 1) * _WIDE & (1 << 128) - 1:032x}"
    kind = type_name(number_of_type)
    name = f"{kind}/{checksum[:2]}/{checksum[2:4]}/{checksum[4:12]}_{kind}_{at:06}.root"
    return name, checksum, 1000 + _mixed(number_of_type, at) % 4_000_000


def type_name(number_of_type: int) -> str:
    """Return the name of a payload type."""
    return f"CALIB_{number_of_type:03}"


def _mixed(number_of_type: int, at: int) -> int:
    mixed = (at * 1_024 + number_of_type + 1) * _ODD & 0xFFFFFFFF
    mixed = (mixed ^ mixed >> 15) * _ODD & 0xFFFFFFFF
    return mixed ^ mixed >> 13
