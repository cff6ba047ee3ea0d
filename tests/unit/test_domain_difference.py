"""What changes from one timeline to another, against a comparison moment by moment."""

from itertools import count, islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastore_logic.domain.difference import differences, union
from datastore_logic.domain.moment import LIMIT, Interval, Moment
from datastore_logic.domain.timeline import Payload

SPAN = 14
MOMENTS = [(major, minor) for major in range(SPAN + 2) for minor in (0, 1)]

PAYLOADS = (("a",), ("b",), ("b", "sum"), ("b", "sum", "sha256:x"))


def bare(start, end, name, checksum=None, digest=None, size=None):
    """Return a row as the columns of an IOV."""
    return (*start, *(end or (None, None)), name, checksum, digest, size, None)


@st.composite
def timelines(draw):
    """Return disjoint rows in order, the last one perhaps without an end; few payloads."""
    cuts = sorted(draw(st.sets(st.sampled_from(MOMENTS[:-2]), max_size=12)))
    rows = []
    for start, end in pairwise([*cuts, None]):
        if draw(st.booleans()):
            rows.append(bare(start, end, *draw(st.sampled_from(PAYLOADS))))
    return rows


def holding(rows, moment):
    """Return by a scan what holds at a moment."""
    for row in rows:
        if row[:2] <= moment and (row[2] is None or moment < row[2:4]):
            return row[4:7]
    return None


def told(payload):
    """Return a payload as it is compared."""
    return None if payload is None else (payload.name, payload.checksum, payload.digest)


@given(timelines(), timelines())
def test_every_moment_is_in_a_change_just_if_another_payload_holds(old, new):
    """At each moment the change there says what held and what holds; without one it is the same."""
    found = list(differences(old, new))
    for moment in MOMENTS:
        before, after = holding(old, moment), holding(new, moment)
        here = [change for change in found if Moment(*moment) in change.interval]
        expected = [] if before == after else [(before, after)]
        assert [(told(change.old), told(change.new)) for change in here] == expected


@given(timelines(), timelines())
def test_changes_are_ordered_and_as_long_as_can_be(old, new):
    """No two that touch say the same, so that they are few; and they never overlap."""
    found = list(differences(old, new))
    for one, following in pairwise(found):
        assert one.interval.end is not None
        assert one.interval.end <= following.interval.start
        touching = one.interval.end == following.interval.start
        assert not touching or (one.old, one.new) != (following.old, following.new)


@given(timelines(), timelines())
def test_the_way_back_undoes_the_changes(old, new):
    """The other way round old and new change places."""
    back = [(change.interval, change.new, change.old) for change in differences(new, old)]
    assert back == [(c.interval, c.old, c.new) for c in differences(old, new)]


@given(timelines(), st.data())
def test_how_intervals_are_cut_does_not_matter(rows, data):
    """Rows cut into neighbours with the same payload are no change."""
    pieces = []
    for row in rows:
        inside = [m for m in MOMENTS if row[:2] < m and (row[2] is None or m < row[2:4])]
        cut = data.draw(st.none() | st.sampled_from(inside)) if inside else None
        ends = [row[:2], cut, row[2:4]] if cut else [row[:2], row[2:4]]
        pieces += [(*a, *b, *row[4:]) for a, b in pairwise(ends)]
    assert list(differences(rows, pieces)) == list(differences(pieces, rows)) == []


@pytest.mark.parametrize(
    "other",
    [
        bare((0, 0), (9, 0), "a", "sum", "sha256:x", size=7),
        bare((0, 0), (9, 0), "a", "sum", "sha256:x"),
    ],
)
def test_a_size_that_only_one_knows_is_no_change(other):
    """Payloads are the same by name, checksum and digest."""
    assert not list(differences([bare((0, 0), (9, 0), "a", "sum", "sha256:x", size=8)], [other]))


def test_the_last_of_all_moments_is_compared():
    """A row that begins there and has no end is a change like any other."""
    (change,) = differences([], [bare((LIMIT, LIMIT), None, "a")])
    assert change.interval == Interval(Moment(LIMIT, LIMIT))
    assert (change.old, change.new) == (None, Payload("a"))


def test_changes_come_while_the_rows_are_read():
    """Of endless timelines the first changes are there at once: nothing is collected."""
    old = (bare((n, 0), (n + 1, 0), f"{n}") for n in count())
    new = (bare((n, 0), (n + 1, 0), f"{n // 10 * 10}") for n in count())
    starts = [change.interval.start.major for change in islice(differences(old, new), 20)]
    assert starts == [n for n in range(23) if n % 10][:20]


intervals = st.builds(
    lambda start, length: Interval(Moment(start), length and Moment(start + length)),
    st.integers(0, 20),
    st.none() | st.integers(1, 6),
)


@given(st.lists(intervals, max_size=8))
def test_a_union_covers_what_any_covers_in_intervals_that_do_not_touch(parts):
    """The same moments, in the fewest intervals."""
    found = union(parts)
    for major in range(30):
        assert any(Moment(major) in i for i in found) == any(Moment(major) in i for i in parts)
    for one, following in pairwise(found):
        assert one.end is not None
        assert one.end < following.start
