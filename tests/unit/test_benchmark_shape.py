"""What the benchmark of the conditions database loads, and expects to be answered."""

from __future__ import annotations

from bisect import bisect_right

import pytest
from load import seeded

from benchmarks.conditions.shape import Shape, payload, start, type_name

SHAPE = Shape(3, 500)


@pytest.mark.parametrize("kind", range(SHAPE.types))
def test_what_holds_is_what_a_scan_of_the_starts_finds(kind):
    """At any moment the expected interval is the one with the last start not after it."""
    draw = seeded(kind)
    starts = [start(kind, at) for at in range(SHAPE.iovs)]
    assert starts == sorted(set(starts))
    for moment in [(draw.randrange(501_000), draw.randrange(10**6)) for _ in range(2000)]:
        assert SHAPE.held(kind, moment) == bisect_right(starts, moment) - 1


def test_every_type_holds_something_from_the_first_moment_to_the_last():
    """The first and the last moment are answered with the first and the last interval."""
    first, last = SHAPE.expected(SHAPE.first), SHAPE.expected(SHAPE.last)
    assert [row[4] for row in first] == [start(kind, 0) for kind in range(SHAPE.types)]
    assert [row[4] for row in last] == [start(kind, 499) for kind in range(SHAPE.types)]
    assert {row[5] for row in last} == {None}


def test_no_two_types_begin_their_intervals_together():
    """Starts are spread, names and checksums are as long as real ones: nothing is flattered."""
    starts = [start(kind, at) for kind in range(SHAPE.types) for at in range(SHAPE.iovs)]
    assert len(set(starts)) == SHAPE.total
    name, checksum, _ = payload(2, 499)
    assert name.startswith(f"{type_name(2)}/")
    assert (40 <= len(name) <= 60, len(checksum)) == (True, 32)
