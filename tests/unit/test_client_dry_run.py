"""What `iov insert --dry-run` foresees is what the server's rules do."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from condstore.commands import dry_run
from condstore.moments import Moment
from condstore.results import NewIOV, PayloadIOV, Span
from datastore_logic.domain import bulk, timeline
from datastore_logic.domain.columns import Columns
from datastore_logic.domain.errors import LockedOverlap, TagIsFrozen
from datastore_logic.domain.moment import Interval
from datastore_logic.domain.moment import Moment as DomainMoment
from datastore_logic.domain.tags import TagState

NAMES = st.sampled_from("abc")


def iov(start, end, name="old"):
    """Return a stored payload IOV of whole runs."""
    last = None if end is None else Moment(end)
    return PayloadIOV("Beam", Moment(start), last, name, None, None, None, None, 1, 1)


def new(start, end=None, name="new"):
    """Return an entry to insert."""
    return NewIOV("Beam", Moment(start), None if end is None else Moment(end), name)


def plan(wanted, stored=(), state="unlocked", before=None):
    """Return the plan of inserting into a list of one type."""
    return dry_run.plan("Beam", wanted, stored, state=state, before=before)


def spans(pieces):
    """Return [start, end) as pairs of runs."""
    return [(piece.start.major, piece.end and piece.end.major) for piece in pieces]


def fates(found):
    """Return what becomes of each stored IOV that gives way."""
    return [(one.iov.start.major, one.what, spans(one.kept)) for one in found.affected]


def test_into_an_empty_list_it_touches_nothing():
    """One open interval, no gap."""
    found = plan([new(1200)])
    assert spans(found.inserted) == [(1200, None)]
    assert (found.affected, found.gaps, found.ends, found.refusal) == ((), (), None, None)


@pytest.mark.parametrize(
    ("wanted", "fate"),
    [
        (new(150), (100, "trimmed", [(100, 150)])),
        (new(50, 150), (100, "trimmed", [(150, 200)])),
        (new(120, 150), (100, "split", [(100, 120), (150, 200)])),
        (new(100, 200), (100, "detached", [])),
        (new(50, 300), (100, "detached", [])),
    ],
)
def test_what_is_overlapped_gives_way(wanted, fate):
    """Trimmed, split or detached: the newest wins over its range."""
    assert fates(plan([wanted], [iov(100, 200)])) == [fate]


def test_an_entry_without_an_end_stops_at_the_next_start():
    """Sent or stored, in whatever order."""
    found = plan([new(300), new(100)], [iov(500, None)])
    assert spans(found.inserted) == [(100, 300), (300, 500)]
    assert found.affected == ()


def test_of_two_with_an_equal_start_the_later_counts():
    """The other is said to be unseen."""
    found = plan([new(100, name="first"), new(100, name="second")])
    assert [piece.name for piece in found.inserted] == ["second"]
    assert [one.name for one in found.unseen] == ["first"]


def test_an_entry_under_a_later_one_is_unseen():
    """It is sent for nothing: that is worth a word."""
    found = plan([new(120, 130, "small"), new(100, 200, "large")])
    assert spans(found.inserted) == [(100, 200)]
    assert [one.name for one in found.unseen] == ["small"]


def test_what_stands_there_already_is_unchanged():
    """The same interval and payload again is no act."""
    found = plan([new(100, 200, "old")], [iov(100, 200)])
    assert (found.inserted, found.affected, found.unchanged, found.unseen) == ((), (), 1, ())


def test_gaps_beside_and_between_are_said():
    """A silent gap is what users fall into most."""
    found = plan(
        [new(300, 400), new(450, 460)], [iov(500, None)], before=Moment(200)
    )  # fmt: skip
    assert found.gaps == (
        Span(Moment(200), Moment(300)),
        Span(Moment(400), Moment(450)),
        Span(Moment(460), Moment(500)),
    )
    assert found.ends is None


def test_where_the_payloads_end_is_said():
    """An interval with an end, behind which nothing follows."""
    assert plan([new(300, 400)], [iov(100, 300)]).ends == Moment(400)
    assert plan([new(300, 400)], [iov(100, None)]).ends is None


@pytest.mark.parametrize(
    ("wanted", "stored", "allowed"),
    [
        ([new(200)], [iov(100, None)], True),
        ([new(200, 300)], [iov(100, None)], False),
        ([new(150, 200)], [iov(100, 150), iov(200, 300)], True),
        ([new(140, 200)], [iov(100, 150)], False),
        ([new(100, 200, "old")], [iov(100, 200)], True),
        ([new(300, 400), new(350, 360)], [], False),
    ],
)
def test_a_locked_tag_is_only_added_to(wanted, stored, allowed):
    """It may be appended to and its gaps filled."""
    assert (plan(wanted, stored, "locked").refusal is None) == allowed


def test_a_frozen_tag_refuses():
    """And the line says what to do instead."""
    assert "clone it" in plan([new(1)], state="frozen").refusal


# -- the law: what is foreseen is what the server's own rules do ---------------------------------


@st.composite
def stored_timelines(draw):
    """Draw disjoint IOVs in order, the last one perhaps open."""
    bounds = sorted(draw(st.sets(st.integers(0, 30), max_size=9)))
    pairs = [(a, b) for a, b in itertools.pairwise(bounds) if draw(st.booleans())]
    if bounds and draw(st.booleans()):
        pairs.append((bounds[-1], None))
    return [iov(start, end, draw(NAMES)) for start, end in pairs]


@st.composite
def entries(draw):
    """Draw entries to insert, most of them without an end."""
    start = draw(st.integers(0, 30))
    end = draw(st.none() | st.integers(start + 1, 33))
    return new(start, end, draw(NAMES))


def domain_row(one):
    """Return a row as the server's rules know it."""
    return timeline.Row(interval(one.start, one.end), timeline.Payload(one.name))


def interval(start, end):
    """Return an interval as the server's rules know it."""
    return Interval(DomainMoment(*start), None if end is None else DomainMoment(*end))


def by_the_server(stored, wanted, state):
    """Return the timeline after the server's own bulk insert: {(start, end): name}."""
    rows = [domain_row(one) for one in stored]
    columns = Columns.of(
        timeline.Row(interval(one.start, one.end), timeline.Payload(one.name)) for one in wanted
    )
    effects = bulk.lay(rows, columns, state)
    after = {row.interval.start: row for row in rows}
    for start in effects.detached:
        del after[start]
    for start, end in effects.trimmed:
        after[start] = timeline.Row(Interval(start, end), after[start].payload)
    for row in effects.attached.rows():
        after[row.interval.start] = row
    return {
        (row.interval.start.pair(), row.interval.end and row.interval.end.pair()): row.payload.name
        for row in after.values()
    }


def by_the_plan(found, stored):
    """Return the timeline that the plan foresees."""
    gone = {one.iov.start for one in found.affected}
    pieces = [(one.start, one.end, one.name) for one in stored if one.start not in gone]
    pieces += [(s.start, s.end, one.iov.name) for one in found.affected for s in one.kept]
    pieces += [(piece.start, piece.end, piece.name) for piece in found.inserted]
    return {(tuple(start), end and tuple(end)): name for start, end, name in pieces}


@given(stored_timelines(), st.lists(entries(), min_size=1, max_size=6))
@example([iov(0, 10, "a"), iov(10, None, "b")], [new(5, None, "a"), new(5, 20, "c")])
def test_what_is_foreseen_is_what_the_server_does(stored, wanted):
    """For any timeline and any entries, and the gaps are those of the result."""
    found = plan(wanted, stored)
    after = by_the_server(stored, wanted, TagState.UNLOCKED)
    assert by_the_plan(found, stored) == after
    covered = sorted(after)
    between = [
        (one[1], other[0])
        for one, other in itertools.pairwise(covered)
        if one[1] is not None and one[1] < other[0]
    ]
    assert [(tuple(gap.start), tuple(gap.end)) for gap in found.gaps] == between


@given(stored_timelines(), st.lists(entries(), min_size=1, max_size=4))
def test_what_is_refused_is_what_the_server_refuses(stored, wanted):
    """In a locked tag as well as in a frozen one."""
    for state in (TagState.LOCKED, TagState.FROZEN):
        try:
            by_the_server(stored, wanted, state)
            refused = False
        except (LockedOverlap, TagIsFrozen):
            refused = True
        assert (plan(wanted, stored, str(state)).refusal is not None) == refused
