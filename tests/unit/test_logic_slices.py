"""Slices, beside brute force: every row of every payload type looked at, one by one."""

from heapq import merge

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datastore_logic.domain.moment import LIMIT, Moment
from datastore_logic.view import slices
from datastore_logic.view.slices import Damaged, Slices

PARTS = st.sampled_from([0, 1, 2, 3, 7, 8, LIMIT - 1, LIMIT])
MOMENTS = st.tuples(PARTS, PARTS)
TYPES = ["Beam", "Field", "Gain"]


@st.composite
def timelines(draw):
    """Draw a timeline: ordered, disjoint (start, end or None, name), adjacent or with gaps."""
    edges = sorted(draw(st.sets(MOMENTS, max_size=8)))
    rows = []
    for start, end in zip(edges, [*edges, None][1:], strict=True):
        if draw(st.booleans()):
            rows.append((start, end, f"n{start[0]}.{start[1]}"))
    return rows


def columns(rows):
    """Return rows as the view has them."""
    for start, end, name in rows:
        yield (*start, *(end or (None, None)), name, "sum", None, 7, None)


def packed(timelines_of, about=""):
    """Return the slices of each type's timeline as bytes."""
    parts = (
        slices.changes(number, kind, columns(rows))
        for number, (kind, rows) in enumerate(timelines_of.items())
    )
    return b"".join(slices.written(about, list(timelines_of), merge(*parts)))


def opened(content):
    """Open slices that lie in memory."""
    return Slices(lambda at, length: content[at : at + length], len(content))


def holding(rows, moment):
    """Return the one row that holds at the moment, None in a gap."""
    (found,) = [
        row for row in rows if row[0] <= moment and (row[1] is None or moment < row[1])
    ] or [None]
    return found


def standing(timelines_of, moment):
    """Return what each type has at the moment."""
    return {kind: holding(rows, moment) for kind, rows in timelines_of.items()}


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch):
    """Cut after every few changes, so that the smallest timelines have several slices."""
    monkeypatch.setattr(slices, "LEAST_CHANGES", 1)
    monkeypatch.setattr(slices, "CHANGES_A_TYPE", 1)


@given(rows=st.fixed_dictionaries({kind: timelines() for kind in TYPES}), moment=MOMENTS)
@example(rows={"Beam": [((0, 0), None, "all")]}, moment=(LIMIT, LIMIT))
@example(rows={"Beam": [((LIMIT, LIMIT), None, "end")]}, moment=(LIMIT, LIMIT))
@example(rows={"Beam": []}, moment=(0, 0))
def test_what_stands_is_what_brute_force_finds(rows, moment):
    """At any moment, as at every other of the interval over which the answer is said to hold."""
    found = opened(packed(rows)).at(Moment(*moment))
    expected = standing(rows, moment)
    assert found.rows == [
        [kind, row[2], "sum", 7, *row[0], *(row[1] or (None, None)), None, None]
        for kind, row in expected.items()
        if row is not None
    ]
    assert list(found.gaps) == [kind for kind, row in expected.items() if row is None]
    edges = {edge for found in rows.values() for row in found for edge in row[:2] if edge}
    for other in sorted(edges | {(0, 0), (LIMIT, LIMIT)}):
        if Moment(*other) in found.holds:
            assert standing(rows, other) == expected


@given(rows=st.fixed_dictionaries({kind: timelines() for kind in TYPES}), moment=MOMENTS)
def test_an_answer_holds_until_something_changes(rows, moment):
    """It ends where a row begins or ends, never earlier: what all rows and gaps have in common."""
    held = opened(packed(rows)).at(Moment(*moment)).holds
    edges = {edge for found in rows.values() for row in found for edge in row[:2] if edge}
    before = max((edge for edge in edges if edge <= moment), default=(0, 0))
    after = min((edge for edge in edges if edge > moment), default=None)
    assert tuple(held.start.wire()) == before
    assert held.end == (after and Moment(*after))


def test_a_long_timeline_is_cut_where_something_changes():
    """Each slice begins with a change, and what begins together is never cut apart."""
    rows = [((at, 0), (at + 1, 0), f"n{at}") for at in range(100)]
    found = opened(packed(dict.fromkeys(TYPES, rows)))
    starts = list(found.starts())
    assert len(starts) > 10
    assert set(starts) <= {Moment(at) for at in range(101)}
    assert found.at(starts[3]).holds.start == starts[3]


def test_overlapping_rows_are_refused():
    """Nothing is made of rows that the view should never have had."""
    rows = [((1, 0), (9, 0), "one"), ((5, 0), (6, 0), "two")]
    with pytest.raises(Damaged, match="comes after"):
        packed({"Beam": rows})


def test_they_say_what_they_are_made_of():
    """The name of the content comes back as it was given."""
    assert opened(packed({"Beam": []}, "X@2")).about == "X@2"


@given(cut=st.integers(0, 10_000), rows=timelines())
def test_slices_cut_short_are_refused(cut, rows):
    """A file that was not written to its end is no slices."""
    content = packed({"Beam": rows})
    with pytest.raises(Damaged):
        opened(content[: cut % len(content)])


@given(at=st.integers(0), flip=st.integers(1, 255), moment=MOMENTS)
def test_a_changed_byte_is_noticed(at, flip, moment):
    """Where it lies in what is read, there is no answer; elsewhere the answer is right."""
    rows = {"Beam": [((at, 0), (at + 1, 0), f"n{at}") for at in range(9)]}
    content = bytearray(packed(rows))
    right = opened(bytes(content)).at(Moment(*moment))
    content[at % len(content)] ^= flip
    try:
        assert opened(bytes(content)).at(Moment(*moment)) == right
    except Damaged as reason:
        assert str(reason)  # noqa: PT017 - both are right


def test_a_file_that_cannot_be_read_is_damaged():
    """An error of the disk is no answer, and no crash."""
    content = packed({"Beam": [((1, 0), None, "one")]})
    failing = False

    def read(at, length):
        if failing:
            raise OSError("the disk is gone")
        return content[at : at + length]

    found = Slices(read, len(content))
    failing = True
    with pytest.raises(Damaged, match="the disk is gone"):
        found.at(Moment(1))
