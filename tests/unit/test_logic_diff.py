"""What changes between contents of the view: tags, clones, frozen content, one tag at two LSNs."""

import pytest
from ledger_view import LedgerView, change, changed, iov

from datastore_logic.domain.events import (
    TagChanged,
    TagCloned,
    TagCreated,
    TagFrozen,
    TimelinesChanged,
)
from datastore_logic.domain.moment import Interval, Moment
from datastore_logic.domain.tags import TagName, TagRef, TagState
from datastore_logic.view.contents import find_content
from datastore_logic.view.diff import difference
from datastore_logic.view.lists import list_of
from datastore_logic.view.tags import find_tag

ONE, TWO = TagName("ONE"), TagName("TWO")
MARK = "ab" * 32


def list_id(view, tag, kind):
    """Return the id of a tag's list of a type."""
    with view.read() as snapshot:
        return list_of(snapshot, find_tag(snapshot, tag).id, kind).id


@pytest.fixture
def view(tmp_path):
    """A view in which ONE has two types, and TWO is its clone with Beam changed from 5 to 7."""
    made = LedgerView(tmp_path / "view.sqlite")
    made.add(TagCreated(ONE))
    beam = change("Beam", "ONE", iov(1, 5), iov(5, 9), iov(9))
    made.add(TimelinesChanged((beam, change("Align", "ONE", iov(0, name="a")))))
    made.add(TagCloned(ONE, TWO))
    beam = list_id(made, "TWO", "Beam")
    made.add(changed("Beam", "TWO", list_id=beam, detached=[5]))
    made.add(changed("Beam", "TWO", iov(5, 7, "new"), iov(7, 9, "p5"), list_id=beam))
    yield made
    made.close()


def told(view, old, new, only=None, limit=100):
    """Return the changes as short texts."""
    with view.read() as snapshot:
        contents = [find_content(snapshot, TagRef.parse(text)) for text in (old, new)]
        found = difference(snapshot, *contents, only, limit)
    return [
        f"{c.payload_type} {c.interval} {c.old and c.old.name} {c.new and c.new.name}"
        for c in found.changes
    ], found


def test_a_clone_differs_in_what_was_changed_since(view):
    """The one interval with another payload; the other type is shared and not looked at."""
    changes, found = told(view, "ONE", "TWO")
    assert changes == ["Beam [5:0, 7:0) p5 new"]
    assert found.reprocess == (Interval(Moment(5), Moment(7)),)
    assert found.complete


def test_lists_on_one_timeline_are_not_read(view):
    """Their rows could be anything: the same rows cannot differ."""
    view.add(TagCloned(ONE, TagName("THREE")))
    with view._database.applying() as connection:
        connection.execute("DROP INDEX iov_by_id")
        connection.execute("ALTER TABLE iov RENAME TO hidden")
    assert told(view, "ONE", "THREE")[0] == []


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("TWO@3", "TWO@5", ["Beam [5:0, 7:0) p5 new"]),
        ("TWO@5", "TWO@3", ["Beam [5:0, 7:0) new p5"]),
        ("TWO@3", "TWO@4", ["Beam [5:0, 9:0) p5 None"]),
        ("TWO@4", "TWO", ["Beam [5:0, 7:0) None new", "Beam [7:0, 9:0) None p5"]),
        ("ONE@2", "ONE", []),
        ("ONE@1", "ONE@2", [
            "Align [0:0, ∞) None a", "Beam [1:0, 5:0) None p1", "Beam [5:0, 9:0) None p5",
            "Beam [9:0, ∞) None p9",
        ]),
        ("ONE@2", "TWO@3", []),
    ],
)  # fmt: skip
def test_a_tag_at_two_lsns_differs_in_what_happened_between(view, old, new, changes):
    """Also across the LSN at which a pinned timeline was copied."""
    assert told(view, old, new)[0] == changes


def test_frozen_content_is_compared_with_what_the_tag_became(view):
    """TAG@<fingerprint> names what was frozen, whatever happened since."""
    view.add(TagFrozen(TWO, MARK))
    view.add(TagChanged(TWO, TagState.UNLOCKED, "a wrong payload"))
    assert told(view, f"TWO@{MARK}", "TWO")[0] == []
    beam = list_id(view, "TWO", "Beam")
    view.add(changed("Beam", "TWO", iov(9, 12), list_id=beam, detached=[9]))
    assert told(view, f"TWO@{MARK}", "TWO")[0] == ["Beam [12:0, ∞) p9 None"]


def test_one_type_alone_can_be_asked_for(view):
    """Others are left out, and one that neither has differs in nothing."""
    assert told(view, "ONE@1", "ONE", only="Align")[0] == ["Align [0:0, ∞) None a"]
    assert told(view, "ONE@1", "ONE", only="Nothing")[0] == []


def test_a_limit_says_that_there_is_more(view):
    """The first changes by type and start, what they cover, and that they are not all."""
    changes, found = told(view, "ONE@1", "ONE", limit=2)
    assert changes == ["Align [0:0, ∞) None a", "Beam [1:0, 5:0) None p1"]
    assert not found.complete
    assert told(view, "ONE@1", "ONE", limit=4)[1].complete


def test_what_must_be_reprocessed_is_the_union_over_types(view):
    """Changes of several types that touch or overlap make one interval."""
    view.add(TagCreated(TagName("A")))
    view.add(TagCreated(TagName("B")))
    rows = change("X", "A", iov(1, 4)), change("Y", "A", iov(4, 6), iov(8, 9))
    view.add(TimelinesChanged(rows))
    found = told(view, "A", "B")[1]
    assert [str(interval) for interval in found.reprocess] == ["[1:0, 6:0)", "[8:0, 9:0)"]
