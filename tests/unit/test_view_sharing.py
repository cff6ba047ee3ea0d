"""Clones and freezes share timelines: what is copied when, and what stays untouched."""

import pytest
from ledger_view import LedgerView, change, changed, iov

from datastore_logic.domain.errors import BadEvent
from datastore_logic.domain.events import (
    ListAttached,
    ListDetached,
    TagChanged,
    TagCloned,
    TagCreated,
    TagDeleted,
    TagFrozen,
    TimelinesChanged,
)
from datastore_logic.domain.tags import TagName, TagRef, TagState
from datastore_logic.errors import NotFound
from datastore_logic.view.contents import find_content
from datastore_logic.view.fingerprints import tag_fingerprint
from datastore_logic.view.iovs import rows_between
from datastore_logic.view.tags import find_tag

X, Y, Z = map(TagName, "XYZ")


@pytest.fixture
def view(tmp_path):
    """Return a view in which X has a list of two types: Beam with p1 and p5, Field with p1."""
    made = LedgerView(tmp_path / "view.sqlite")
    made.add(TagCreated(X))
    made.add(TimelinesChanged((change("Beam", X, iov(1, 5), iov(5)), change("Field", X, iov(1)))))
    yield made
    made.close()


def names(view, ref, kind="Beam"):
    """Return the payload names of a list that a reference names, in order."""
    with view.read() as snapshot:
        content = find_content(snapshot, TagRef.parse(ref))
        (held,) = (held for held in content.lists if held.payload_type == kind)
        return [columns[5] for columns in rows_between(snapshot, held, None, content.as_of)]


def ids(view, tag):
    """Return the ids of the rows of a tag, by payload name."""
    query = (
        "SELECT i.name, i.id FROM iov i JOIN payload_list l ON l.timeline_id = i.timeline_id"
        " JOIN global_tag g ON g.id = l.tag_id WHERE g.name = ?"
    )
    return dict(view.rows(query, tag))


def freeze(view, tag):
    """Freeze a tag and return its fingerprint."""
    with view.read() as snapshot:
        mark = tag_fingerprint(snapshot.connection, find_tag(snapshot, tag).id)
    view.add(TagFrozen(tag, mark))
    return mark


def rows_in_all(view):
    """Return how many rows there are in all timelines."""
    return view.rows("SELECT count(*) FROM iov")[0][0]


def test_a_clone_copies_no_row(view):
    """It has lists of its own on the same timelines, and counts from the first moment."""
    view.add(TagCloned(X, Y, "a copy", "bob"))
    assert rows_in_all(view) == 3
    assert names(view, "Y") == ["p1", "p5"]
    with view.read() as snapshot:
        tag = find_tag(snapshot, Y)
    assert (tag.state, tag.list_count, tag.iov_count) == (TagState.UNLOCKED, 2, 3)
    assert (tag.description, tag.author) == ("a copy", "bob")


@pytest.mark.parametrize("writer", [X, Y])
def test_the_first_write_copies_that_one_timeline(view, writer):
    """Source and clone part ways; the type that nobody writes stays shared."""
    view.add(TagCloned(X, Y))
    view.add(changed("Beam", writer, iov(9), trimmed=[(5, 9)]))
    assert rows_in_all(view) == 3 + 3
    other = Y if writer is X else X
    assert names(view, writer) == ["p1", "p5", "p9"]
    assert names(view, other) == ["p1", "p5"]
    view.add(changed("Beam", writer, iov(12), trimmed=[(9, 12)]))
    assert rows_in_all(view) == 7


def test_a_copy_keeps_ids(view):
    """The rows that nobody touched are still the ones that were known."""
    before = ids(view, X)
    view.add(TagCloned(X, Y))
    view.add(changed("Beam", Y, iov(9), trimmed=[(5, 9)]))
    assert ids(view, X) == before
    assert {name: ids(view, Y)[name] for name in before} == before


def test_a_frozen_tag_outlives_its_deletion(view):
    """Unfrozen, changed and deleted, it still is what it was frozen as."""
    mark = freeze(view, X)
    view.add(TagChanged(X, TagState.UNLOCKED, "a mistake"))
    view.add(changed("Beam", X, deleted=[1]))
    assert names(view, "X") == ["p5"]
    view.add(TagDeleted(X))
    view.add(TagCreated(X, "another one"))
    assert names(view, f"X@{mark}") == ["p1", "p5"]
    with view.read() as snapshot:
        tag = find_content(snapshot, TagRef(X, mark)).tag
    assert (tag.state, tag.fingerprint, tag.iov_count) == (TagState.FROZEN, mark, 3)


def test_a_fingerprint_answers_under_its_own_tag_only(view):
    """A clone with the same content was never frozen as such."""
    mark = freeze(view, X)
    view.add(TagCloned(X, Y))
    with pytest.raises(NotFound):
        names(view, f"Y@{mark}")


def test_freezing_the_same_content_again_adds_nothing(view):
    """The pins of the first freeze serve the second."""
    first = freeze(view, X)
    view.add(TagChanged(X, TagState.LOCKED, "look again"))
    assert freeze(view, X) == first
    assert view.rows("SELECT count(*) FROM frozen")[0][0] == 1


def test_frozen_content_can_be_cloned(view):
    """What was frozen, not what the tag has become."""
    mark = freeze(view, X)
    view.add(TagChanged(X, TagState.UNLOCKED, "more"))
    view.add(changed("Beam", X, deleted=[1]))
    view.add(TagCloned(X, Y, source_fingerprint=mark))
    assert names(view, "Y") == ["p1", "p5"]
    assert names(view, "X") == ["p5"]


def test_a_tag_is_cloned_as_it_stood(view):
    """Timelines that have not changed since are shared, the others copied as they were."""
    lsn = len(view.lines)
    view.add(changed("Beam", X, iov(3, 4, "cut"), deleted=[5], trimmed=[(1, 3)]))
    before = rows_in_all(view)
    view.add(TagCloned(X, Y, source_lsn=lsn))
    assert names(view, "Y") == ["p1", "p5"]
    assert rows_in_all(view) == before + 2  # Beam as it was; Field is shared
    assert ids(view, Y)["p1"] == ids(view, X)["p1"]


def test_a_pinned_list_may_go_elsewhere(view):
    """A list that was frozen with one tag is written to in another, and the pin holds."""
    mark = freeze(view, X)
    view.add(TagChanged(X, TagState.UNLOCKED, "to be taken apart"))
    view.add(TagCreated(Y))
    view.add(ListAttached(1, Y))
    view.add(changed("Beam", Y, iov(9), list_id=1, trimmed=[(5, 9)]))
    assert names(view, "Y") == ["p1", "p5", "p9"]
    assert names(view, f"X@{mark}") == ["p1", "p5"]
    view.add(ListDetached(1))
    view.add(changed("Beam", None, list_id=1, deleted=[1]))
    assert view.rows("SELECT iov_count FROM payload_list WHERE id = 1") == [(2,)]


@pytest.mark.parametrize(
    "event",
    [
        TagCloned(TagName("nobody"), Z),
        TagCloned(X, Z, source_fingerprint="0" * 64),
        TagCloned(X, Z, source_lsn=1000),
        TagChanged(Z, TagState.LOCKED),
        TagDeleted(Z),
        ListAttached(99, X),
        ListAttached(1, Z),
        changed("Beam", Z, iov(1)),
        changed("Beam", None, iov(1)),
        changed("Beam", None, iov(1), list_id=99),
        changed("Beam", X, deleted=[2]),
        changed("Beam", X, detached=[2]),
        changed("Beam", X, trimmed=[(2, 3)]),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(view, event):
    """An entry about what is not there stops the view rather than spoil it."""
    with pytest.raises(BadEvent):
        view.add(event)
