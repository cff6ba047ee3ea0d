"""Timelines against a brute-force oracle: a plain list of inserts, scanned from the newest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastore_logic.domain.errors import LockedOverlap, TagIsFrozen
from datastore_logic.domain.moment import Interval, Moment
from datastore_logic.domain.tags import ALLOWED, Act, Rule, TagState
from datastore_logic.domain.timeline import (
    Attach,
    Detach,
    Payload,
    Row,
    Trim,
    apply,
    insert,
    snap,
)

SPAN = 12


def row(start, end, name="new"):
    """Return a row between two majors."""
    return Row(Interval(Moment(start), None if end is None else Moment(end)), Payload(name))


rows = st.builds(
    lambda start, length, name: row(start, None if length is None else start + length, name),
    st.integers(0, SPAN),
    st.none() | st.integers(1, SPAN),
    st.sampled_from("abc"),
)


@pytest.mark.parametrize(
    ("there", "new", "changes"),
    [
        ((1, 5), (5, 9), [Attach(row(5, 9))]),
        ((1, 5), (3, 9), [Trim(Moment(1), Moment(3)), Attach(row(3, 9))]),
        ((3, 9), (1, 5), [Detach(Moment(3)), Attach(row(5, 9, "old")), Attach(row(1, 5))]),
        (
            (1, 9),
            (3, 5),
            [Trim(Moment(1), Moment(3)), Attach(row(5, 9, "old")), Attach(row(3, 5))],
        ),
        ((3, 5), (1, 9), [Detach(Moment(3)), Attach(row(1, 9))]),
        ((3, 5), (3, 5), [Detach(Moment(3)), Attach(row(3, 5))]),
        ((3, None), (5, None), [Trim(Moment(3), Moment(5)), Attach(row(5, None))]),
        ((5, None), (3, None), [Detach(Moment(5)), Attach(row(3, None))]),
    ],
)
def test_in_an_unlocked_tag_the_newest_wins_over_its_range(there, new, changes):
    """What is overlapped is trimmed, split or detached, and the effects say which."""
    assert list(insert([row(*there, "old")], row(*new), TagState.UNLOCKED)) == changes


@given(st.lists(rows, max_size=12))
def test_after_any_inserts_every_moment_answers_the_newest(inserts):
    """The timeline agrees with a scan of all inserts, newest first, and stays disjoint."""
    timeline = ()
    for new in inserts:
        timeline = apply(timeline, insert(timeline, new, TagState.UNLOCKED))
    for major in range(2 * SPAN + 2):
        moment = Moment(major)
        newest = next((r.payload for r in reversed(inserts) if moment in r.interval), None)
        found = [r.payload for r in timeline if moment in r.interval]
        assert found == ([] if newest is None else [newest])


@given(st.lists(rows, max_size=12))
def test_in_a_locked_tag_no_answer_already_given_changes(inserts):
    """Whatever a locked tag takes, what was answered stays, but for the open tail."""
    timeline = ()
    for new in inserts:
        try:
            grown = apply(timeline, insert(timeline, new, TagState.LOCKED))
        except LockedOverlap:
            continue
        for old in timeline:
            kept = next(r for r in grown if r.interval.start == old.interval.start)
            assert kept.payload == old.payload
            assert kept.interval == old.interval or old.interval.is_open
        timeline = grown


@pytest.mark.parametrize("new", [(0, 2), (3, 4), (4, None), (1, 5), (1, 9), (7, 8)])
def test_a_locked_tag_refuses_an_overlap_and_names_both(new):
    """The message names the interval that was there and the one that came."""
    there = [row(1, 5, "old"), row(6, None, "tail")]
    with pytest.raises(LockedOverlap, match=r"overlaps \[\d:0, .*which holds (old|tail)"):
        insert(there, row(*new), TagState.LOCKED)


def test_a_locked_tag_takes_appends_gaps_and_the_next_open_tail():
    """Filling a gap and following the open tail are what locked is for."""
    there = [row(1, 3, "old"), row(6, None, "tail")]
    assert insert(there, row(3, 6), TagState.LOCKED) == (Attach(row(3, 6)),)
    assert insert(there, row(8, None), TagState.LOCKED) == (
        Trim(Moment(6), Moment(8)),
        Attach(row(8, None)),
    )


@pytest.mark.parametrize("state", [TagState.UNLOCKED, TagState.LOCKED])
def test_the_very_same_row_again_changes_nothing(state):
    """A retried insert is harmless."""
    assert insert([row(1, 5)], row(1, 5), state) == ()


def test_a_frozen_tag_takes_nothing():
    """Not even what it has already."""
    with pytest.raises(TagIsFrozen):
        insert([row(1, 5)], row(1, 5), TagState.FROZEN)


def test_the_table_of_states_covers_every_act():
    """No cell is missing, and frozen allows nothing."""
    assert set(ALLOWED) == set(TagState)
    assert all(set(acts) == set(Act) for acts in ALLOWED.values())
    assert set(ALLOWED[TagState.FROZEN].values()) == {Rule.NEVER}


@pytest.mark.parametrize(
    ("start_ns", "snapped_ns"), [(1000, 1000), (1030, 1000), (970, 1000), (1031, 1031), (969, 969)]
)
def test_ends_snap_within_half_a_sample(start_ns, snapped_ns):
    """With samples of 60 ns an end moves by 30 ns at most."""
    segment = Interval(Moment(7, start_ns), Moment(8))
    assert snap(segment, [Moment(7, 1000)], 60) == Interval(Moment(7, snapped_ns), Moment(8))


def test_snapping_reaches_over_the_second():
    """Distance is counted over the boundary of a second; the far boundary is ignored."""
    segment = Interval(Moment(7, 999_999_999), Moment(9))
    assert snap(segment, [Moment(2), Moment(8)], 4) == Interval(Moment(8), Moment(9))


def test_a_segment_that_would_vanish_stays_as_it_is():
    """Both ends within reach of one boundary: the exact interval is kept."""
    segment = Interval(Moment(7, 10), Moment(7, 20))
    assert snap(segment, [Moment(7, 15)], 10) == segment
