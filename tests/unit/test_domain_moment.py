"""Moments and intervals: tables at the edges, laws by Hypothesis."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastore_logic.domain.errors import BadInterval, BadMoment
from datastore_logic.domain.moment import LIMIT, Interval, Moment

small = st.builds(Moment, st.integers(0, 4), st.integers(0, 2))
intervals = st.builds(
    lambda start, length: Interval(
        start, None if length is None else Moment(start.major + length, start.minor)
    ),
    small,
    st.none() | st.integers(1, 4),
)


@pytest.mark.parametrize("value", [0, 1, LIMIT])
def test_both_parts_reach_from_zero_to_the_limit(value):
    """0 and 2^63-1 are moments, as integers and as decimal text."""
    assert (
        Moment.parse(value, value) == Moment.parse(str(value), str(value)) == Moment(value, value)
    )


@pytest.mark.parametrize(
    "value",
    [-1, LIMIT + 1, 10**500, "9" * 5000, "-1", "1.0", "", " 1", "1_0", "٣", 1.0, True, None],
)
@pytest.mark.parametrize("field", ["major", "minor"])
def test_anything_else_is_refused_by_the_name_of_its_field(value, field):
    """What is no integer in range says which part of the moment it was, shortly."""
    with pytest.raises(BadMoment, match=f"^{field}: ") as refused:
        Moment.parse(**{"major": 1, "minor": 1, field: value})
    assert refused.value.field == field
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("end", [Moment(3, 5), Moment(3, 4), Moment(2, 9)])
def test_an_interval_ends_after_its_start(end):
    """Empty and backward intervals cannot be made."""
    with pytest.raises(BadInterval, match="does not come after the start 3:5"):
        Interval(Moment(3, 5), end)


def test_the_last_moment_lies_in_open_intervals_only():
    """The largest moment is an ordinary one: no end reaches beyond it but the open one."""
    last = Moment(LIMIT, LIMIT)
    assert last in Interval(Moment(0))
    assert last not in Interval(Moment(0), last)


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ((1, 3), (3, 5), None),  # adjacent
        ((1, 4), (3, 5), (3, 4)),
        ((1, 9), (3, 5), (3, 5)),  # nested
        ((3, 5), (3, 5), (3, 5)),  # equal
        ((1, None), (3, None), (3, None)),
        ((1, None), (3, 5), (3, 5)),
        ((1, 3), (3, None), None),
    ],
)
def test_intersection(one, other, shared):
    """The intersection, in both operand orders."""
    first, second = make(one), make(other)
    assert (first & second) == (second & first) == (shared and make(shared))


def make(pair):
    """Return the interval between two majors."""
    start, end = pair
    return Interval(Moment(start), None if end is None else Moment(end))


@given(intervals, intervals, small)
def test_a_moment_is_shared_when_it_lies_in_both(one, other, moment):
    """Membership of the intersection is membership of both; overlap means it exists."""
    both = one & other
    assert (both is not None and moment in both) == (moment in one and moment in other)
    assert one.overlaps(other) == other.overlaps(one) == (both is not None)


@given(intervals, intervals, small)
def test_subtraction_keeps_just_what_the_other_lacks(one, other, moment):
    """The difference holds what only the first holds; its pieces are disjoint and ordered."""
    pieces = one - other
    assert any(moment in piece for piece in pieces) == (moment in one and moment not in other)
    assert len(pieces) <= 2
    assert list(pieces) == sorted(pieces, key=lambda piece: piece.start)
    assert len(pieces) < 2 or not pieces[0].overlaps(pieces[1])
