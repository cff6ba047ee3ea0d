"""Payload types and lists in the view: made, attached, replaced, detached, deleted."""

import pytest
from ledger_view import LedgerView, changed, iov

from datastore_logic.domain.events import (
    ListAttached,
    ListCreated,
    ListDeleted,
    ListDetached,
    TagCreated,
    TypeCreated,
    TypeDeleted,
)
from datastore_logic.domain.tags import ListName, TagName
from datastore_logic.errors import NotFound
from datastore_logic.view.iovs import extent
from datastore_logic.view.lists import (
    count_lists,
    find_list,
    find_type,
    list_made_by,
    lists_of,
    type_named,
    types,
)
from datastore_logic.view.tags import find_tag

X, Y = map(TagName, "XY")


@pytest.fixture
def view(tmp_path):
    """Return an empty view."""
    made = LedgerView(tmp_path / "view.sqlite")
    yield made
    made.close()


def counts(view, tag):
    """Return how many lists and IOVs a tag is said to have."""
    with view.read() as snapshot:
        found = find_tag(snapshot, tag)
        return found.list_count, found.iov_count


def test_a_list_is_named_by_its_type_and_its_id(view):
    """It is found by that name, by its id, and by the entry that made it."""
    view.add(TypeCreated("Beam"))
    lsn = view.add(ListCreated("Beam"))
    with view.read() as snapshot:
        made = list_made_by(snapshot, lsn)
        assert made.name == "Beam_1"
        assert made == find_list(snapshot, ListName.parse("Beam_1")) == find_list(snapshot, 1)
        assert (made.tag, made.tag_id, made.iov_count) == (None, None, 0)
        with pytest.raises(NotFound):
            find_list(snapshot, ListName.parse("Field_1"))
        with pytest.raises(NotFound):
            list_made_by(snapshot, lsn - 1)


def test_a_tag_s_list_is_made_by_its_first_iov(view):
    """And its type with it; without a list named, the second IOV goes into the same one."""
    view.add(TagCreated(X))
    view.add(changed("Beam", X, iov(1, 2)))
    view.add(changed("Beam", X, iov(2)))
    with view.read() as snapshot:
        (held,) = lists_of(snapshot, 1)
        assert (held.name, held.tag, held.iov_count) == ("Beam_1", "X", 2)
        assert [kind.name for kind in types(snapshot)] == ["Beam"]
        assert extent(snapshot, held.timeline_id, None) == ([1, 0], None)
        assert extent(snapshot, held.timeline_id, 2) == ([1, 0], [2, 0])
        assert extent(snapshot, held.timeline_id, 1) == (None, None)


def test_an_attached_list_replaces_the_one_of_its_type(view):
    """The other one is in no tag then, and the tag counts what it has now."""
    view.add(TagCreated(X))
    view.add(changed("Beam", X, iov(1, 2), iov(2)))
    view.add(ListCreated("Beam"))
    view.add(changed("Beam", None, iov(7), list_id=2))
    view.add(ListAttached(2, X))
    assert counts(view, "X") == (1, 1)
    with view.read() as snapshot:
        assert find_list(snapshot, 1).tag is None
        assert find_list(snapshot, 2).tag == "X"


def test_a_list_moves_from_one_tag_to_another(view):
    """Both tags count what they have, and both were touched."""
    view.add(TagCreated(X))
    view.add(TagCreated(Y))
    view.add(changed("Beam", X, iov(1, 2), iov(2)))
    lsn = view.add(ListAttached(1, Y))
    assert (counts(view, "X"), counts(view, "Y")) == ((0, 0), (1, 2))
    with view.read() as snapshot:
        assert {find_tag(snapshot, tag).lsn for tag in "XY"} == {lsn}


def test_the_same_attachment_again_changes_nothing(view):
    """Neither the counts nor the history."""
    view.add(TagCreated(X))
    view.add(changed("Beam", X, iov(1)))
    view.add(ListAttached(1, X))
    assert counts(view, "X") == (1, 1)
    assert view.rows("SELECT count(*) FROM tag_history") == [(2,)]


def test_a_detached_list_keeps_its_iovs_and_may_grow(view):
    """It counts for no tag any more."""
    view.add(TagCreated(X))
    view.add(changed("Beam", X, iov(1, 2)))
    view.add(ListDetached(1))
    view.add(changed("Beam", None, iov(2), list_id=1))
    assert counts(view, "X") == (0, 0)
    with view.read() as snapshot:
        assert find_list(snapshot, 1).iov_count == 2


def test_a_deleted_list_is_gone(view):
    """Also from the tag it was in."""
    view.add(TagCreated(X))
    view.add(ListCreated("Beam"))
    view.add(ListAttached(1, X))
    view.add(ListDeleted(1))
    assert counts(view, "X") == (0, 0)
    with view.read() as snapshot, pytest.raises(NotFound):
        find_list(snapshot, 1)


def test_a_deleted_type_is_gone_and_its_name_free(view):
    """One that a list has come to use meanwhile stays."""
    view.add(TypeCreated("Beam"))
    view.add(TypeDeleted("Beam"))
    with view.read() as snapshot:
        assert type_named(snapshot, "Beam") is None
    view.add(ListCreated("Beam"))
    view.add(TypeDeleted("Beam"))
    with view.read() as snapshot:
        assert count_lists(snapshot, find_type(snapshot, "Beam").id) == 1
