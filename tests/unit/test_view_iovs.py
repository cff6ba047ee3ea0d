"""Payload IOVs in the view: in no list, detached or deleted, and which overlap an interval."""

from random import Random

import pytest
from ledger_view import LedgerView, change, changed, iov

from datastore_logic.domain.columns import Columns
from datastore_logic.domain.events import (
    IovCreated,
    ListChange,
    TagCloned,
    TagCreated,
    TimelinesChanged,
)
from datastore_logic.domain.moment import Interval, Moment
from datastore_logic.domain.tags import TagName, TagRef
from datastore_logic.errors import NotFound
from datastore_logic.view.contents import find_content
from datastore_logic.view.iovs import (
    find_iov,
    first_start_after,
    iov_at,
    iov_made_by,
    overlapping,
    rows_between,
)

X, Y = map(TagName, "XY")


@pytest.fixture
def view(tmp_path):
    """Return a view with the tag X."""
    made = LedgerView(tmp_path / "view.sqlite")
    made.add(TagCreated(X))
    yield made
    made.close()


def known(view, iov_id):
    """Return the payload IOV of an id, None if there is none."""
    with view.read() as snapshot:
        try:
            return find_iov(snapshot, iov_id)
        except NotFound:
            return None


def test_an_iov_may_be_in_no_list(view):
    """It is found by its id and by the entry that made it, with all it was given."""
    row = iov(1, 5, "a.root", checksum="c", size=7, revision=3)
    lsn = view.add(IovCreated(row))
    with view.read() as snapshot:
        made = iov_made_by(snapshot, lsn)
    assert made == known(view, made.id)
    assert (made.row, made.list_id) == (row, None)
    assert made.inserted == "2026-11-20T23:00:02.000000Z"


def test_attaching_keeps_the_id(view):
    """The IOV leaves those in no list, and still tells when it was made."""
    view.add(IovCreated(iov(1, 5)))
    view.add(IovCreated(iov(5, 9)))
    view.add(changed("Beam", X, iov(1, 5), iov(5, 9), iov(9), ids=[1, 2, None]))
    assert [known(view, number).list_id for number in (1, 2, 3)] == [1, 1, 1]
    assert known(view, 2).inserted < known(view, 3).inserted
    assert view.rows("SELECT * FROM loose_iov") == []


def test_what_is_detached_is_in_no_list_and_what_is_deleted_is_gone(view):
    """Both are one IOV less for the tag."""
    view.add(changed("Beam", X, iov(1, 2), iov(2, 3), iov(3)))
    view.add(changed("Beam", X, detached=[1], deleted=[2]))
    assert known(view, 1).row == iov(1, 2)
    assert known(view, 1).list_id is None
    assert known(view, 1).inserted == "2026-11-20T23:00:02.000000Z"
    assert known(view, 2) is None
    assert view.rows("SELECT iov_count FROM global_tag") == [(1,)]


def test_an_iov_goes_from_one_list_to_another(view):
    """Deleted from one and attached to the other by one entry, it keeps its id."""
    view.add(changed("Beam", X, iov(1)))
    moved = change("Beam", None, list_id=1, deleted=[1]), change("Beam2", X, iov(1), ids=[1])
    view.add(TimelinesChanged(moved))
    assert known(view, 1).list_id == 2


def test_a_detached_iov_is_in_no_list_though_a_clone_has_it(view):
    """So attaching it again takes nothing from the clone."""
    view.add(changed("Beam", X, iov(1)))
    view.add(TagCloned(X, Y))
    view.add(changed("Beam", X, iov(1, name="new"), detached=[1]))
    assert known(view, 1).list_id is None


def test_a_trimmed_iov_keeps_its_id(view):
    """Its end and since when it stands are other ones."""
    view.add(changed("Beam", X, iov(1)))
    view.add(changed("Beam", X, iov(5), trimmed=[(1, 5)]))
    assert known(view, 1).row == iov(1, 5)
    assert view.rows("SELECT lsn, until_lsn FROM iov_past") == [(2, 3)]


def test_what_comes_and_goes_in_one_entry_leaves_no_past(view):
    """Nobody can ask for what never stood."""
    view.add(
        TimelinesChanged(
            (change("Beam", X, iov(1), iov(0, 1)), change("Beam", X, trimmed=[(1, 5)], deleted=[0]))
        )
    )
    assert view.rows("SELECT * FROM iov_past") == []
    assert known(view, 1).row == iov(1, 5)


def test_columns_without_minors_are_whole_majors(view):
    """An end of a major alone ends at its beginning."""
    columns = Columns([1, 3], ["a", "b"], end_major=[3, None])
    view.add(TimelinesChanged((ListChange("Beam", X, None, columns),)))
    found = view.rows("SELECT start_minor, end_major, end_minor FROM iov ORDER BY start_major")
    assert found == [(0, 3, 0), (0, None, None)]


@pytest.mark.parametrize("seed", range(20))
def test_the_rows_that_overlap_are_those_that_brute_force_finds(view, seed):
    """Now and as of any LSN, of any interval, behind any moment, up to any number."""
    rng = Random(seed)  # noqa: S311 - chance that can be repeated
    cuts = sorted(rng.sample(range(30), 12))
    rows = [iov(*cuts[at : at + 2]) for at in range(0, 12, rng.choice([1, 2])) if at < 11]
    view.add(changed("Beam", X, *rows[::2]))
    view.add(changed("Beam", X, *rows[1::2]))
    for as_of, stood in ((2, rows[::2]), (None, rows), (3, rows)):
        interval = Interval(Moment(rng.randrange(30)), rng.choice([None, Moment(31)]))
        after = rng.choice([None, Moment(rng.randrange(30))])
        limit = rng.choice([None, 2])
        expected = [
            row.payload.name
            for row in stood
            if row.interval.overlaps(interval) and (after is None or row.interval.start > after)
        ][:limit]
        with view.read() as snapshot:
            (held,) = find_content(snapshot, TagRef(X)).lists
            found = rows_between(snapshot, held, interval, as_of, after=after, limit=limit)
            assert [columns[5] for columns in found] == expected
            near = overlapping(snapshot, held.timeline_id, interval)
            assert near == [row for row in rows if row.interval.overlaps(interval)]


def test_neighbours_are_found(view):
    """The row that begins at a moment, and the first start after one."""
    view.add(changed("Beam", X, iov(1, 2), iov(4)))
    with view.read() as snapshot:
        (held,) = find_content(snapshot, TagRef(X)).lists
        timeline = held.timeline_id
        assert iov_at(snapshot, timeline, Moment(4)) == (2, iov(4))
        assert iov_at(snapshot, timeline, Moment(3)) is None
        assert first_start_after(snapshot, timeline, Moment(1)) == Moment(4)
        assert first_start_after(snapshot, timeline, Moment(4)) is None


def test_rows_are_searched_by_the_primary_key(view):
    """No question about a timeline scans the table of IOVs or sorts it."""
    view.add(changed("Beam", X, iov(1)))
    asked = []
    with view.read() as snapshot:
        (held,) = find_content(snapshot, TagRef(X)).lists
        snapshot.connection.set_trace_callback(asked.append)
        within = Interval(Moment(1), Moment(9))
        for as_of in (None, 2):
            list(rows_between(snapshot, held, within, as_of, after=Moment(0), limit=3))
        overlapping(snapshot, held.timeline_id, within)
        snapshot.connection.set_trace_callback(None)
        for query in asked:
            plan = [step[3] for step in snapshot.connection.execute(f"EXPLAIN QUERY PLAN {query}")]
            assert not [step for step in plan if "SCAN iov" in step or "FOR ORDER BY" in step], plan
            searched = [step for step in plan if step.startswith("SEARCH iov")]
            assert all("(start_major,start_minor)" in step for step in searched), plan
