"""Fingerprints that a process remembers are those that the rows have now."""

import pytest
from ledger_view import LedgerView, change, iov

from datastore_logic.domain.events import TagCloned, TagCreated, TimelinesChanged
from datastore_logic.domain.tags import TagName
from datastore_logic.view import fingerprints
from datastore_logic.view.fingerprints import Fingerprints, tag_fingerprint
from datastore_logic.view.tags import tags

X, Y = TagName("X"), TagName("Y")


@pytest.fixture
def view(tmp_path):
    """Return a view with X, which has a Beam and a Field."""
    made = LedgerView(tmp_path / "view.sqlite")
    made.add(TagCreated(X))
    made.add(TimelinesChanged((change("Beam", X, iov(1, 5), iov(5)), change("Field", X, iov(1)))))
    yield made
    made.close()


def compare(view, known):
    """Compare the remembered fingerprint of every tag with one computed from its rows."""
    with view.read() as snapshot:
        for tag in tags(snapshot):
            fresh = tag_fingerprint(snapshot.connection, tag.id)
            assert known.of_tag(snapshot, tag.id) == fresh


def test_whatever_is_done_the_remembered_fingerprint_is_the_true_one(view):
    """Rows come, are trimmed, leave, are copied from a shared timeline; each is noticed."""
    known = Fingerprints()
    compare(view, known)
    view.add(TagCloned(X, Y))
    compare(view, known)
    for name, held in ((Y, (iov(7, 9),)), (X, (iov(20, 30),))):
        view.add(TimelinesChanged((change("Beam", name, *held, trimmed=[(5, 7)]),)))
        compare(view, known)
    view.add(TimelinesChanged((change("Field", Y, deleted=[1]),)))
    compare(view, known)


def test_only_what_changed_is_computed_anew(view, monkeypatch):
    """A clone costs nothing to freeze but for the list that was mended in it."""
    computed = []
    true = fingerprints.timeline_fingerprint

    def counted(connection, timeline_id, *, streamed=False):
        computed.append(timeline_id)
        return true(connection, timeline_id, streamed=streamed)

    monkeypatch.setattr(fingerprints, "timeline_fingerprint", counted)
    known = Fingerprints()
    with view.read() as snapshot:
        known.of_tag(snapshot, 1)
    view.add(TagCloned(X, Y))
    view.add(TimelinesChanged((change("Field", Y, iov(0, 1)),)))
    before = len(computed)
    with view.read() as snapshot:
        known.of_tag(snapshot, 2)
    assert len(computed) - before == 1
