"""What a look over a timeline finds, against a scan of all its moments."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastore_logic.domain.findings import (
    SHOWN,
    WEIGHT,
    Finding,
    Place,
    TypeFindings,
    Weight,
    look_over,
    note_early_ends,
    refuses,
)
from datastore_logic.domain.moment import Interval, Moment

SPAN = 40


def bare(start, end, name, digest=None):
    """Return a row as the columns of an IOV."""
    return (start, 0, end, None if end is None else 0, name, None, digest, None, None)


@st.composite
def timelines(draw):
    """Return disjoint rows in order, the last one perhaps without an end."""
    cuts = sorted(draw(st.sets(st.integers(0, SPAN), max_size=30)))
    kinds = st.sampled_from([None, ("a", None), ("b", None), ("b", "sha256:x")])
    drawn = [(start, end, draw(kinds)) for start, end in pairwise([*cuts, None])]
    return [bare(start, end, *kind) for start, end, kind in drawn if kind is not None]


def scan(rows, major):
    """Return the row that holds at a moment."""
    return next(
        (row for row in rows if row[0] <= major and (row[2] is None or major < row[2])), None
    )


@given(timelines())
def test_gaps_are_the_moments_within_the_list_at_which_nothing_holds(rows):
    """All are counted; the first few are shown, and they are exactly the first ones."""
    found = look_over("T", rows)
    inside = range(rows[0][0], rows[-1][0]) if rows else ()
    empty = [major for major in inside if scan(rows, major) is None]
    tally = found.tally(Finding.GAPS)
    shown = [m for place in tally.first for m in range(*majors(place.interval))]
    assert shown == empty[: len(shown)]
    assert tally.count == len([m for m in empty if m - 1 not in empty])
    assert len(tally.first) == min(SHOWN, tally.count)


def majors(interval):
    """Return where an interval begins and ends."""
    return interval.start.major, interval.end.major


@given(timelines())
def test_neighbours_are_identical_if_they_touch_and_hold_the_same_payload(rows):
    """Each such pair counts, and is shown joined."""
    tally = look_over("T", rows).tally(Finding.IDENTICAL)
    pairs = [(a, b) for a, b in pairwise(rows) if a[2] == b[0] and a[4:7] == b[4:7]]
    assert tally.count == len(pairs)
    ends = [(a[0], b[2]) for a, b in pairs[:SHOWN]]
    shown = [place.interval for place in tally.first]
    assert [(i.start.major, i.end and i.end.major) for i in shown] == ends


@given(timelines())
def test_every_payload_is_either_kept_here_or_elsewhere(rows):
    """Those elsewhere have no digest."""
    found = look_over("T", iter(rows))
    assert found.count(Finding.ELSEWHERE) == len([row for row in rows if row[6] is None])
    assert found.payload_iovs == len(rows)


@pytest.mark.parametrize(
    ("ends", "early"),
    [
        ([5, 9, None], [True, True, False]),
        ([5, 9, 9], [True, False, False]),
        ([9], [False]),
        ([None], [False]),
        ([], []),
    ],
)
def test_a_list_ends_early_if_another_goes_on(ends, early):
    """The one with the latest end does not, nor does any without an end; an empty one neither."""
    types = [TypeFindings("T", 1, Moment(1), end and Moment(end)) for end in ends]
    note_early_ends([*types, TypeFindings("Empty")])
    assert [one.ends_early for one in types] == early


def test_the_json_form_shows_counts_and_places():
    """Every finding has its field, whether there is any or not."""
    found = look_over("T", [bare(1, 3, "a"), bare(5, None, "b")])
    none = {"count": 0, "first": []}
    assert found.wire() == {
        "payload_type": "T",
        "payload_iovs": 2,
        "begin": [1, 0],
        "end": None,
        "empty": False,
        "ends_early": False,
        "kept_elsewhere": 2,
        "gaps": {"count": 1, "first": [{"start": [3, 0], "end": [5, 0]}]},
        "missing_payloads": none,
        "wrong_payloads": none,
        "trimmed": none,
        "identical_neighbours": none,
    }


def test_places_are_counted_beyond_those_shown():
    """A place tells what is known of it, and leaves out the rest."""
    tally = TypeFindings("T").tally(Finding.TRIMMED)
    for lsn in range(SHOWN + 5):
        tally.add_place(Place(Interval(Moment(2), Moment(3)), "a", None, lsn))
    told = tally.wire()
    assert (told["count"], len(told["first"])) == (SHOWN + 5, SHOWN)
    assert told["first"][1] == {"start": [2, 0], "end": [3, 0], "name": "a", "lsn": 1}


@pytest.mark.parametrize("finding", [Finding.GAPS, Finding.MISSING, Finding.TRIMMED])
def test_the_table_says_what_a_strict_freeze_refuses(finding):
    """One finding is enough, if it weighs so much."""
    found = TypeFindings("T", 1, Moment(1))
    assert not refuses(found)
    found.tally(finding).add(bare(1, 3, "a"))
    assert refuses(found) == (WEIGHT[finding] is Weight.REFUSED)
