"""The streamed tag in the view: frozen, renamed, cloned, as it stood, and written to elsewhere."""

import pytest
from ledger_view import LedgerView, changed, iov

from datastore_logic.domain import fingerprint
from datastore_logic.domain.events import TagChanged, TagCloned, TagCreated
from datastore_logic.domain.moment import Interval, Moment
from datastore_logic.domain.tags import Digest, TagName, TagRef, TagState
from datastore_logic.domain.timeline import Payload, Row
from datastore_logic.errors import NotFound
from datastore_logic.view.buffer import buffer
from datastore_logic.view.contents import find_content
from datastore_logic.view.fingerprints import tag_fingerprint
from datastore_logic.view.history import history
from datastore_logic.view.iovs import rows_between
from datastore_logic.view.tags import find_tag, tag_named

DIGEST = "sha256:" + "ab" * 32
STREAM, Y = TagName("stream"), TagName("Y")
ARCHIVE = "stream-20261120T230004Z"


def segment(view, start, end, name):
    """Store a segment and return its LSN."""
    data = {
        "name": name, "payload_type": "strain", "digest": DIGEST, "size": 100, "samples": 300,
        "start": [start, 0], "end": [end, 0], "sample_ns": 1,
    }  # fmt: skip
    return view.append("buffer.stored", data)


@pytest.fixture
def view(tmp_path):
    """Return a view of two segments, the second over the end of the first."""
    made = LedgerView(tmp_path / "view.sqlite")
    segment(made, 1, 4, "a")
    segment(made, 3, 6, "b")
    yield made
    made.close()


def clean(view):
    """Freeze and clean the buffer, and return the fingerprint of what was in it."""
    view.append("buffer.frozen", {"user": "alice", "token": "t"})
    view.append("buffer.cleaned", {"archive": "Fri Nov 20 23:17"})
    with view.read() as snapshot:
        return find_tag(snapshot, ARCHIVE).fingerprint


def visible(view, ref):
    """Return what is visible of segments: name, first second, second after the last."""
    with view.read() as snapshot:
        content = find_content(snapshot, TagRef.parse(ref))
        (held,) = content.lists
        found = rows_between(snapshot, held, None, content.as_of)
        return [(columns[5], columns[1], columns[3]) for columns in found]


def named(view, name):
    """Return a tag."""
    with view.read() as snapshot:
        return find_tag(snapshot, name)


def of_segments():
    """Return the fingerprint of both segments in full."""
    rows = [
        Row(Interval(Moment(*start), Moment(*end)), Payload(name, None, Digest(DIGEST), 100))
        for start, end, name in (((1,), (4,), "a"), ((3,), (6,), "b"))
    ]
    return fingerprint.tag_fingerprint({"strain": fingerprint.timeline_fingerprint(rows)})


def test_the_newest_segment_is_visible_and_all_are_counted(view):
    """The older one ends, for resolution, where the newer begins."""
    assert visible(view, "stream") == [("a", 1, 3), ("b", 3, 6)]
    assert named(view, "stream").iov_count == 2


def test_a_stream_stood_otherwise_before(view):
    """As of the first segment's LSN it is visible in full."""
    assert visible(view, "stream@1") == [("a", 1, 4)]


def test_a_cleaned_stream_answers_under_both_its_names(view):
    """By its fingerprint, which covers the segments in full, as long as the ledger lasts."""
    mark = clean(view)
    assert mark == of_segments()
    segment(view, 9, 10, "c")
    for name in ("stream", ARCHIVE):
        assert visible(view, f"{name}@{mark}") == [("a", 1, 3), ("b", 3, 6)]
    assert visible(view, "stream") == [("c", 9, 10)]


def test_a_name_means_what_it_meant_then(view):
    """As of an LSN `stream` is the tag that was called so; no tag had the archive's name yet."""
    clean(view)
    segment(view, 9, 10, "c")
    assert visible(view, "stream@2") == [("a", 1, 3), ("b", 3, 6)]
    assert visible(view, "stream@5") == [("c", 9, 10)]
    with view.read() as snapshot:
        for ref in (f"{ARCHIVE}@2", "stream@4", "stream@99"):
            with pytest.raises(NotFound):
                find_content(snapshot, TagRef.parse(ref))


def test_segments_are_no_acts_of_their_own(view):
    """Its history tells who made it, froze it and cleaned it."""
    clean(view)
    with view.read() as snapshot:
        acts = [act.act for act in history(snapshot, 1)]
    assert acts == ["buffer.cleaned", "buffer.frozen", "buffer.stored"]


def test_a_clone_has_the_stream_s_content(view):
    """The same fingerprint, and it is an ordinary tag that does not grow with the stream."""
    view.add(TagCloned(STREAM, Y))
    with view.read() as snapshot:
        assert tag_fingerprint(snapshot.connection, find_tag(snapshot, Y).id) == of_segments()
    segment(view, 6, 7, "c")
    assert [name for name, *_ in visible(view, "stream")] == ["a", "b", "c"]
    assert [name for name, *_ in visible(view, "Y")] == ["a", "b"]
    assert named(view, "Y").streamed is False


def test_a_clone_that_is_written_holds_what_is_visible(view):
    """From then on its rows are told like any others, and its fingerprint is theirs."""
    view.add(TagCloned(STREAM, Y))
    view.add(changed("strain", Y, deleted=[1]))
    assert visible(view, "Y") == [("b", 3, 6)]
    assert visible(view, "stream") == [("a", 1, 3), ("b", 3, 6)]
    assert named(view, "Y").iov_count == 1
    row = Row(Interval(Moment(3), Moment(6)), Payload("b", None, Digest(DIGEST)))
    alone = fingerprint.tag_fingerprint({"strain": fingerprint.timeline_fingerprint([row])})
    with view.read() as snapshot:
        assert tag_fingerprint(snapshot.connection, find_tag(snapshot, Y).id) == alone


def test_a_clone_may_become_the_stream(view):
    """What is streamed then lies over the rows that were there, all of which are kept."""
    clean(view)
    view.add(TagCloned(TagName(ARCHIVE), Y))
    view.add(changed("strain", Y, deleted=[1]))
    view.add(TagCloned(Y, STREAM))
    segment(view, 5, 7, "c")
    assert visible(view, "stream") == [("b", 3, 5), ("c", 5, 7)]
    assert visible(view, "Y") == [("b", 3, 6)]
    assert named(view, "stream").iov_count == 2
    assert view.rows("SELECT count(*) FROM segment s JOIN timeline t ON t.id = s.timeline_id"
                     " WHERE NOT t.streamed") == [(0,)]  # fmt: skip


def test_an_unfrozen_stream_grows_on_a_copy(view):
    """What was frozen stays, segments included."""
    view.append("buffer.frozen", {"user": "alice", "token": "t"})
    mark = named(view, "stream").fingerprint
    view.add(TagChanged(STREAM, TagState.UNLOCKED, "by hand"))
    segment(view, 6, 7, "c")
    assert visible(view, f"stream@{mark}") == [("a", 1, 3), ("b", 3, 6)]
    assert named(view, "stream").iov_count == 3


def test_a_payload_may_be_put_into_the_stream(view):
    """It lies over the segments as the newest, whatever the entry says of the others."""
    view.add(changed("strain", "stream", iov(2, 5, "d")))
    assert visible(view, "stream") == [("a", 1, 2), ("d", 2, 5), ("b", 5, 6)]


def test_making_the_tag_that_the_first_segment_made_changes_nothing(view):
    """Both happen at once, and neither knows of the other."""
    view.add(TagCreated(STREAM, "too late"))
    view.add(TagCloned(STREAM, STREAM, "too late"))
    assert named(view, "stream").description == ""


def test_cleaning_a_buffer_that_nothing_was_streamed_to(tmp_path):
    """There is no tag to be kept, and the buffer is open again."""
    view = LedgerView(tmp_path / "view.sqlite")
    view.append("buffer.frozen", {"user": "alice", "token": "t"})
    view.append("buffer.cleaned", {"archive": "Fri Nov 20 23:17"})
    with view.read() as snapshot:
        assert tag_named(snapshot, "stream") is None
        assert not buffer(snapshot).frozen
    view.close()
