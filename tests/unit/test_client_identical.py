"""Which IOVs a producer may leave out: judged by the server's own rule for bulk inserts."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from condstore.moments import Moment
from condstore.producer.identical import Held, needless
from datastore_logic.domain.bulk import lay
from datastore_logic.domain.columns import Columns
from datastore_logic.domain.errors import LockedOverlap
from datastore_logic.domain.moment import Interval
from datastore_logic.domain.moment import Moment as ServerMoment
from datastore_logic.domain.tags import TagState
from datastore_logic.domain.timeline import Payload, Row

SPAN = 12
PAYLOADS = "AAB"


def held(start, end, payload):
    """Return an interval over majors."""
    return Held(Moment(start), None if end is None else Moment(end), payload)


def row(one):
    """Return the same as the server's row."""
    end = None if one.end is None else ServerMoment(*one.end)
    return Row(Interval(ServerMoment(*one.start), end), Payload(one.digest))


def inserted(stored, sent, state=TagState.UNLOCKED):
    """Return the list after the server's bulk insert."""
    at = {one.start: one for one in stored}
    effects = lay([row(one) for one in stored], Columns.of(map(row, sent)), state)
    for start in effects.detached:
        del at[tuple(start.pair())]
    for start, end in effects.trimmed:
        at[start.pair()] = at[start.pair()]._replace(end=Moment(*end.pair()))
    for new in effects.attached.rows():
        start, end = new.interval.start, new.interval.end
        at[start.pair()] = held(start.major, end and end.major, new.payload.name)
    return [at[start] for start in sorted(at)]


def answers(rows):
    """Return what resolves at each moment."""
    return [
        next(
            (one.digest for one in rows if one.start <= at and (not one.end or at < one.end)), None
        )
        for at in (Moment(major) for major in range(2 * SPAN))
    ]


@st.composite
def timelines(draw):
    """Draw the rows of a list: in order, disjoint, some with gaps, the last perhaps open."""
    bounds = sorted(draw(st.sets(st.integers(0, SPAN), max_size=8)))
    rows = [
        held(start, end, draw(st.sampled_from(PAYLOADS)))
        for start, end in pairwise(bounds)
        if draw(st.booleans())
    ]
    if bounds and draw(st.booleans()):
        rows.append(held(bounds[-1], None, draw(st.sampled_from(PAYLOADS))))
    return rows


@st.composite
def sendings(draw, ended=True):
    """Draw what is sent: in any order, mostly without ends."""
    starts = draw(st.lists(st.integers(0, SPAN), min_size=1, max_size=7))
    lengths = st.one_of(st.none(), st.none(), st.integers(1, 4)) if ended else st.none()
    return [
        held(start, length and start + length, draw(st.sampled_from(PAYLOADS)))
        for start in starts
        for length in [draw(lengths)]
    ]


def kept(stored, sent):
    """Return what is still sent."""
    left_out = needless(stored, sent)
    return [one for place, one in enumerate(sent) if place not in left_out]


@given(timelines(), sendings())
@example([held(0, 15, "A")], [held(10, None, "A")])
@example([held(15, None, "C")], [held(10, None, "B"), held(20, None, "B")])
def test_what_is_left_out_changes_no_answer(stored, sent):
    """At every moment the same digest resolves, with everything sent or without the needless."""
    assert answers(inserted(stored, kept(stored, sent))) == answers(inserted(stored, sent))


@given(timelines(), sendings(ended=False))
def test_no_second_iov_stands_beside_an_identical_one(stored, sent):
    """But where a stored one stops the left: by its own end, or by the start ours takes."""
    result = inserted(stored, kept(stored, sent))
    ended = {one.start for one in stored if one.end is not None}
    was = {one.start: one.digest for one in stored}
    for left, right in pairwise(result):
        ours = was.get(right.start) != right.digest
        if ours and left.end == right.start and left.digest == right.digest:
            assert left.start in ended or right.start in was


@given(timelines(), sendings())
def test_what_was_sent_before_is_needless(stored, sent):
    """The same put again inserts nothing, whatever it was, unless its own intervals overlapped."""
    after = inserted(stored, kept(stored, sent))
    again = kept(after, sent)
    assert answers(inserted(after, again)) == answers(inserted(after, sent))
    order = sorted(sent, key=lambda one: one.start)
    if all(one.end is None or one.end <= other.start for one, other in pairwise(order)):
        assert again == []


@given(timelines(), sendings())
def test_a_locked_tag_takes_what_is_kept_if_it_takes_all(stored, sent):
    """Leaving out the needless never makes a refusal of what was allowed."""
    try:
        everything = inserted(stored, sent, TagState.LOCKED)
    except LockedOverlap:
        return
    assert answers(inserted(stored, kept(stored, sent), TagState.LOCKED)) == answers(everything)


@pytest.mark.parametrize(
    ("stored", "sent", "left"),
    [
        ([], [(1, None, "A"), (2, None, "A"), (3, None, "B")], [(1, None, "A"), (3, None, "B")]),
        ([(0, None, "A")], [(5, None, "A")], []),
        ([(0, None, "A")], [(5, 9, "A")], []),
        ([(0, 10, "A")], [(10, 20, "A")], [(10, 20, "A")]),
        ([(0, 10, "A"), (10, 20, "A")], [(5, 15, "A")], []),
        ([(0, 10, "A")], [(0, 20, "A")], [(0, 20, "A")]),
        ([(0, 10, "A")], [(5, None, "A")], [(5, None, "A")]),
        ([(0, 5, "A"), (5, None, "B")], [(2, None, "A")], []),
        ([(0, None, None)], [(5, None, "A")], [(5, None, "A")]),
        ([(3, None, "A")], [(3, None, "B"), (3, None, "A")], []),
        ([], [(0, 10, "A"), (5, None, "A")], [(0, 10, "A"), (5, None, "A")]),
    ],
)
def test_the_rule_by_examples(stored, sent, left):
    """Skipped is what changes nothing; what reaches further than what is there is made."""
    stored, sent = ([held(*one) for one in rows] for rows in (stored, sent))
    assert kept(stored, sent) == [held(*one) for one in left]
