"""Slices, beside brute force: every row of every payload type looked at, one by one."""

from heapq import merge

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from timelines import MOMENTS, TYPES, check, contents, timelines

from datastore_logic.domain.moment import LIMIT, Moment
from datastore_logic.view import slices
from datastore_logic.view.slices import Damaged, Slices


def columns(rows):
    """Return rows as the view has them."""
    for start, end, name in rows:
        yield (0, *start, *(end or (None, None)), name, "sum", None, 7, None, 1)


def packed(timelines_of, about=""):
    """Return the slices of each type's timeline as bytes."""
    parts = (
        slices.changes(number, kind, columns(rows))
        for number, (kind, rows) in enumerate(sorted(timelines_of.items()))
    )
    return b"".join(slices.written(about, sorted(timelines_of), merge(*parts)))


def opened(content):
    """Open slices that lie in memory."""
    return Slices(lambda at, length: content[at : at + length], len(content))


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch):
    """Cut after every few changes, so that the smallest timelines have several slices."""
    monkeypatch.setattr(slices, "LEAST_CHANGES", 1)
    monkeypatch.setattr(slices, "CHANGES_A_TYPE", 1)


@given(content=contents(), moment=MOMENTS)
@example(content={"Beam": [((0, 0), None, "all")]}, moment=(LIMIT, LIMIT))
@example(content={"Beam": [((LIMIT, LIMIT), None, "end")]}, moment=(LIMIT, LIMIT))
@example(content={"Beam": []}, moment=(0, 0))
def test_what_stands_is_what_brute_force_finds(content, moment):
    """With gaps and open ends, at the first and the last moment."""
    check(opened(packed(content)).at(Moment(*moment)), content, moment)


def test_a_long_timeline_is_cut_where_something_changes():
    """Each slice begins with a change, and what begins together is never cut apart."""
    rows = [((at, 0), (at + 1, 0), f"n{at}") for at in range(100)]
    found = opened(packed(dict.fromkeys(TYPES, rows)))
    starts = list(found.starts())
    assert len(starts) > 10
    assert len(starts) == len(set(starts))
    assert set(starts) <= {Moment(at) for at in range(101)}
    assert found.at(starts[3]).holds.start == starts[3]


@given(content=contents(), moment=MOMENTS)
def test_rows_as_they_are_written_have_the_ends_of_the_contract(content, moment):
    """All but the digest, and 2^63-1 twice for an open end."""
    rows = opened(packed(content)).at(Moment(*moment)).rows
    assert orjson.loads(rows.json()) == [
        [*row[:6], *([LIMIT, LIMIT] if row[6] is None else row[6:8]), row[8]] for row in rows
    ]


@pytest.mark.parametrize("end", [None, (9, 9), (LIMIT, LIMIT)])
@pytest.mark.parametrize("digest", [None, "sha256:" + "ab" * 32])
def test_every_column_comes_back(end, digest):
    """Text of any letters, an end at the last moment there is, which is not open, and nulls."""
    row = (4, 1, 2, *(end or (None, None)), 'ä"\\\n,]', None, digest, 2**62, 3, 17)
    content = b"".join(slices.written("", ["Beam"], slices.changes(0, "Beam", [row])))
    (found,) = opened(content).at(Moment(1, 2)).rows
    assert found == ["Beam", row[5], None, 2**62, 1, 2, *(end or (None, None)), 3, digest]


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
        found = opened(bytes(content)).at(Moment(*moment))
        assert (found.holds, found.gaps) == (right.holds, right.gaps)
        assert list(found.rows) == list(right.rows)
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
