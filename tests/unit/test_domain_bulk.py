"""Bulk inserts against a brute-force oracle: a canvas on which every entry is painted in turn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastore_logic.domain.bulk import lay
from datastore_logic.domain.columns import Columns
from datastore_logic.domain.errors import BadDigest, LockedOverlap, TagIsFrozen
from datastore_logic.domain.moment import Interval, Moment
from datastore_logic.domain.tags import TagState
from datastore_logic.domain.timeline import Payload, Row, insert
from datastore_logic.domain.timeline import apply as apply_changes

SPAN = 14
CANVAS = range(2 * SPAN)


def row(start, end, name="new"):
    """Return a row between two majors."""
    return Row(Interval(Moment(start), None if end is None else Moment(end)), Payload(name))


def painted(rows):
    """Return what a timeline answers at every moment of the canvas."""
    found = [[r.payload.name for r in rows if Moment(at) in r.interval] for at in CANVAS]
    assert all(len(names) < 2 for names in found), "the timeline is not disjoint"
    return [names[0] if names else None for names in found]


def oracle(stored, wanted):
    """Paint each entry over what is there; an open one up to the next start, sent or stored."""
    canvas = painted(stored)
    sent = {r.interval.start.major: r for r in wanted}  # of equal starts the later one
    starts = {r.interval.start.major for r in stored} | set(sent)
    for entry in (r for r in wanted if sent[r.interval.start.major] is r):
        start = entry.interval.start.major
        following = min((s for s in starts if s > start), default=CANVAS.stop)
        end = following if entry.interval.end is None else entry.interval.end.major
        canvas[start:end] = [entry.payload.name] * (min(end, CANVAS.stop) - start)
    return canvas


def applied(stored, effects):
    """Return the timeline after the effects, as the view makes them."""
    at = {r.interval.start: r for r in stored}
    for start in effects.detached:
        del at[start]
    for start, end in effects.trimmed:
        assert end < (at[start].interval.end or Moment(CANVAS.stop))
        at[start] = Row(Interval(start, end), at[start].payload)
    for new in effects.attached.rows():
        assert new.interval.start not in at
        at[new.interval.start] = new
    return tuple(at[start] for start in sorted(at))


def laid(timeline, wanted, state=TagState.UNLOCKED):
    """Insert in bulk into a timeline of which only the span is looked at, as the service does."""
    starts = [r.interval.start for r in wanted]
    ends = [r.interval.end for r in wanted]
    following = min(
        (r.interval.start for r in timeline if r.interval.start > max(starts)), default=None
    )
    if None not in ends:
        following, span = None, Interval(min(starts), max(ends))
    elif following is None:
        span = Interval(min(starts))
    else:
        span = Interval(min(starts), max(end for end in (*ends, following) if end is not None))
    near = [r for r in timeline if r.interval.overlaps(span)]
    pair = None if following is None else (following.major, following.minor)
    effects = lay(near, Columns.of(wanted), state, following=pair)
    return applied(timeline, effects)


entries = st.builds(
    lambda start, length, name: row(start, None if length is None else start + length, name),
    st.integers(0, SPAN),
    st.none() | st.integers(1, SPAN // 2),
    st.sampled_from("abcd"),
)


def timeline_of(rows):
    """Return a timeline built by single inserts."""
    timeline = ()
    for one in rows:
        timeline = apply_changes(timeline, insert(timeline, one, TagState.UNLOCKED))
    return timeline


@given(st.lists(entries, max_size=6), st.lists(entries, min_size=1, max_size=6))
def test_a_bulk_insert_paints_its_entries_in_turn(before, wanted):
    """Whatever was there and whatever comes, every moment answers as the oracle says."""
    timeline = timeline_of(before)
    assert painted(laid(timeline, wanted)) == oracle(timeline, wanted)


@given(
    st.lists(st.tuples(st.integers(0, SPAN), st.sampled_from("abcd")), max_size=8),
    st.randoms(use_true_random=False),
    st.integers(0, 8),
)
def test_the_order_of_loading_does_not_matter(loaded, random, cut):
    """Entries without ends, shuffled and in two requests, give the same timeline as in order."""
    unique = [row(start, None, name) for start, name in dict(loaded).items()]
    whole = timeline_of([])
    if unique:
        whole = laid(whole, sorted(unique, key=lambda r: r.interval.start))
    random.shuffle(unique)
    parts = ()
    for part in (unique[:cut], unique[cut:]):
        parts = laid(parts, part) if part else parts
    assert parts == whole


@given(st.lists(entries, max_size=6), st.lists(entries, min_size=1, max_size=6))
def test_in_a_locked_tag_bulk_changes_no_answer_but_in_the_open_tail(before, wanted):
    """It refuses, or what was answered stays wherever the tail was not open."""
    timeline = timeline_of(before)
    try:
        after = laid(timeline, wanted, TagState.LOCKED)
    except LockedOverlap:
        return
    tail = [r.interval.start.major for r in timeline if r.interval.is_open]
    for at, (was, now) in enumerate(zip(painted(timeline), painted(after), strict=True)):
        assert was is None or was == now or (tail and at > tail[0])
    assert painted(after) == oracle(timeline, wanted)


def test_a_locked_list_grows_by_a_whole_batch():
    """Open entries follow the open tail; a batch into a gap ends where the next one begins."""
    timeline = (row(0, 2, "a"), row(5, None, "tail"))
    wanted = [row(9, None), row(7, None), row(3, None)]
    assert [str(r.interval) for r in laid(timeline, wanted, TagState.LOCKED)] == [
        *("[0:0, 2:0)", "[3:0, 5:0)", "[5:0, 7:0)", "[7:0, 9:0)", "[9:0, ∞)"),
    ]


@pytest.mark.parametrize(
    "wanted",
    [
        [row(1, 3)],
        [row(1, None)],
        [row(0, None)],
        [row(6, 8)],
        [row(2, 6)],
        [row(7, None), row(9, 10)],
        [row(2, 4), row(3, 5)],
    ],
)
def test_a_locked_list_refuses_the_whole_batch(wanted):
    """One overlap, with what is stored or within the batch, and nothing is taken."""
    timeline = (row(0, 2, "a"), row(5, None, "tail"))
    with pytest.raises(LockedOverlap, match=r"\[\d+:0, .*overlaps \[\d:0"):
        laid(timeline, wanted, TagState.LOCKED)


@pytest.mark.parametrize("state", [TagState.UNLOCKED, TagState.LOCKED])
def test_the_very_same_batch_again_changes_nothing(state):
    """A retried bulk insert is harmless."""
    wanted = [row(1, None, "a"), row(4, None, "b"), row(6, 9, "c")]
    once = laid((), wanted, state)
    assert laid(once, wanted, state) == once


def test_a_frozen_list_takes_nothing():
    """Not even an empty batch."""
    with pytest.raises(TagIsFrozen):
        lay((), Columns([], []), TagState.FROZEN)


def test_minors_order_within_a_major():
    """Two starts of one major are two starts."""
    columns = Columns([5, 5, 4], ["b", "c", "a"], start_minor=[1, 9, 0])
    attached = lay((), columns, TagState.UNLOCKED).attached
    assert list(zip(attached.name, attached.starts(), attached.ends(), strict=True)) == [
        ("a", (4, 0), (5, 1)),
        ("b", (5, 1), (5, 9)),
        ("c", (5, 9), None),
    ]


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ({"start_major": [1]}, ValueError),
        ({"start_major": [1], "name": ["a", "b"]}, ValueError),
        ({"start_major": [-1], "name": ["a"]}, ValueError),
        ({"start_major": [2**63], "name": ["a"]}, ValueError),
        ({"start_major": [True], "name": ["a"]}, TypeError),
        ({"start_major": [1], "name": [None]}, TypeError),
        ({"start_major": [1], "name": ["a"], "end_major": [1], "end_minor": [0]}, ValueError),
        ({"start_major": [1], "name": ["a"], "digest": ["sha256:12"]}, BadDigest),
        ({"start_major": [1], "name": ["a"], "checksum": [5]}, TypeError),
    ],
)
def test_columns_that_cannot_be_are_refused(columns, error):
    """Lengths, types, ranges, digests and intervals are looked at."""
    with pytest.raises(error):
        Columns.parse(columns)


@given(st.lists(entries, max_size=6))
def test_columns_are_rows_and_json_and_back(rows):
    """Nothing is lost on the way into the ledger and out of it."""
    columns = Columns.of(rows)
    assert list(Columns.parse(columns.data()).rows()) == rows
