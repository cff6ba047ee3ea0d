"""Global tags in the view: how they are listed, what they were, and who did what to them."""

import pytest
from ledger_view import LedgerView, change, changed, iov

from datastore_logic.domain import fingerprint
from datastore_logic.domain.columns import Columns
from datastore_logic.domain.events import (
    ListAttached,
    ListCreated,
    ListDeleted,
    ListDetached,
    TagChanged,
    TagCloned,
    TagCreated,
    TagDeleted,
    TagFreezeProposed,
    TagFreezeWithdrawn,
    TagFrozen,
    TimelinesChanged,
)
from datastore_logic.domain.moment import Interval, Moment
from datastore_logic.domain.tags import Digest, PayloadTypeName, TagName, TagRef, TagState
from datastore_logic.domain.timeline import Payload, Row
from datastore_logic.errors import KeyReused, NotFound
from datastore_logic.view.contents import find_content
from datastore_logic.view.fingerprints import tag_fingerprint
from datastore_logic.view.history import history
from datastore_logic.view.proposals import open_proposals, proposal
from datastore_logic.view.requests import is_known, known_request
from datastore_logic.view.tags import count_tags, find_tag, newest_tags, tag_named, tags

X, Y = map(TagName, "XY")


@pytest.fixture
def view(tmp_path):
    """Return an empty view."""
    made = LedgerView(tmp_path / "view.sqlite")
    yield made
    made.close()


def found(view, **asked):
    """Return the names of the tags that are listed."""
    with view.read() as snapshot:
        return [tag.name for tag in tags(snapshot, **asked)]


def test_tags_are_listed_by_name_from_anywhere(view):
    """Page by page, by state, and by what stands in name or author."""
    for name, author in (("b", None), ("a_1", "Ann"), ("c", "b%b"), ("d", "Hann")):
        view.add(TagCreated(TagName(name), author=author))
    view.add(TagChanged(TagName("b"), TagState.LOCKED))
    assert found(view) == ["a_1", "b", "c", "d"]
    assert found(view, after="a_1", limit=2) == ["b", "c"]
    assert found(view, search="ANN") == ["a_1", "d"]
    assert found(view, search="_") == ["a_1"]
    assert found(view, search="%") == ["c"]
    assert found(view, state=TagState.LOCKED) == ["b"]
    with view.read() as snapshot:
        assert count_tags(snapshot) == 4
        assert [tag.name for tag in newest_tags(snapshot, 2)] == ["b", "d"]


def test_a_tag_may_begin_in_any_state(view):
    """One that is frozen from the start has the fingerprint of nothing."""
    mark = fingerprint.tag_fingerprint({})
    view.add(TagCreated(X, state=TagState.LOCKED))
    view.add(TagCreated(Y, state=TagState.FROZEN, fingerprint=mark))
    with view.read() as snapshot:
        assert find_tag(snapshot, "X").state is TagState.LOCKED
        assert find_tag(snapshot, "Y").fingerprint == mark
        assert find_content(snapshot, TagRef(Y, mark)).lists == ()


def acts(view, name):
    """Return who did what to a tag, in order."""
    with view.read() as snapshot:
        told = history(snapshot, find_tag(snapshot, name).id)
    return [(act.actor, act.act, act.about) for act in reversed(told)]


def test_who_proposed_and_who_confirmed_is_in_the_history(view):
    """Each act under its actor; the freeze names both."""
    mark, both = "f" * 64, {"proposed_by": "ci", "approved_by": "bob"}
    view.add(TagCreated(X))
    view.add(TagFreezeProposed(X, mark, "O4"), actor="alice")
    view.add(TagFreezeWithdrawn(X, "wrong beam"), actor="carol")
    view.add(TagFreezeProposed(X, mark, made_by="root"), actor="ci")
    view.add(TagFrozen(X, mark, None, "ci", "bob", "tina"), actor="bob")
    assert acts(view, "X")[1:] == [
        ("alice", "tag.freeze_proposed", {"fingerprint": mark, "reason": "O4"}),
        ("carol", "tag.freeze_withdrawn", {"reason": "wrong beam"}),
        ("ci", "tag.freeze_proposed", {"fingerprint": mark, "made_by": "root"}),
        ("bob", "tag.frozen", both | {"fingerprint": mark, "made_by": "tina"}),
    ]


def test_a_proposal_remembers_whose_token_it_was(view):
    """So that who made the token is known for no second person; it touches the tag, as acts do."""
    view.add(TagCreated(X))
    lsn = view.add(TagFreezeProposed(X, "f" * 64, "O4", made_by="root"), actor="ci")
    with view.read() as snapshot:
        tag = find_tag(snapshot, "X")
        found = proposal(snapshot, tag.id)
    assert (tag.lsn, tag.state) == (lsn, TagState.UNLOCKED)
    assert (found.lsn, found.proposed_by, found.made_by) == (lsn, "ci", "root")
    assert (found.fingerprint, found.reason) == ("f" * 64, "O4")


@pytest.mark.parametrize(
    ("event", "is_open"),
    [
        (TagChanged(X, TagState.LOCKED), True),
        (TagChanged(X, TagState.UNLOCKED), True),
        (TagCreated(Y), True),
        (TagCloned(X, Y), True),
        (changed("Beam", "X", iov(3)), False),
        (changed("Beam", "X", deleted=[1]), False),
        (changed("Field", "X", iov(3)), False),
        (changed("Beam", list_id=2, trimmed=[(1, 2)]), True),
        (ListAttached(2, X), False),
        (ListDetached(1), False),
        (TagFreezeWithdrawn(X), False),
        (TagFreezeProposed(X, "e" * 64), True),
        (TagFrozen(X, "f" * 64), False),
        (TagDeleted(X), False),
    ],
    ids=lambda event: getattr(event, "type", None),
)
def test_what_ends_a_proposal(view, event, is_open):
    """What changes the tag's content, freezes or deletes it; neither a lock nor a clone does."""
    view.add(TagCreated(X))
    view.add(changed("Beam", "X", iov(1)))
    view.add(ListCreated(PayloadTypeName("Beam")))
    view.add(changed("Beam", None, iov(1), list_id=2))
    view.add(TagFreezeProposed(X, "f" * 64))
    view.add(event)
    with view.read() as snapshot:
        assert [tag for tag, _ in open_proposals(snapshot, 9)] == ["X"] * is_open


def test_unfreezing_takes_the_fingerprint_from_the_tag(view):
    """The tag has none while it may change."""
    view.add(TagCreated(X))
    view.add(TagFrozen(X, "f" * 64))
    view.add(TagChanged(X, TagState.LOCKED, "a mistake"))
    with view.read() as snapshot:
        tag = find_tag(snapshot, "X")
    assert (tag.state, tag.fingerprint) == (TagState.LOCKED, None)


def test_a_tag_says_when_anything_of_it_changed_last(view):
    """Its state, its lists, their IOVs; and nothing that is not its own."""
    view.add(TagCreated(X))
    view.add(TagCreated(Y))
    touching = [
        changed("Beam", X, iov(1)),
        changed("Beam", None, list_id=1, deleted=[1]),
        ListDeleted(1),
        TagChanged(X, TagState.LOCKED),
    ]
    for event in touching:
        lsn = view.add(event)
        with view.read() as snapshot:
            tag = find_tag(snapshot, "X")
            assert (tag.lsn, tag.updated[-10:-8]) == (lsn, f"{lsn:02}")
    view.add(TagCloned(X, TagName("Z")))
    view.add(changed("Beam", Y, iov(1)))
    with view.read() as snapshot:
        assert find_tag(snapshot, "X").lsn == lsn


def test_a_deleted_tag_is_known_as_of_before(view):
    """Its name may be another tag's by now."""
    view.add(TagCreated(X, "the first", "ann"))
    view.add(changed("Beam", X, iov(1)))
    view.add(TagDeleted(X))
    view.add(TagCreated(X, "the second"))
    with view.read() as snapshot:
        then = find_content(snapshot, TagRef(X, lsn=2))
        now = find_content(snapshot, TagRef(X))
        with pytest.raises(NotFound):
            find_content(snapshot, TagRef(X, lsn=3))
    assert (then.tag.description, then.tag.author, then.tag.lsn) == ("the first", "ann", 2)
    assert [held.payload_type for held in then.lists] == ["Beam"]
    assert (now.tag.description, now.lists) == ("the second", ())
    assert then.tag.id != now.tag.id


def test_content_of_one_type_alone(view):
    """A type that the tag does not have is not found, then as now."""
    view.add(TagCreated(X))
    view.add(TimelinesChanged((change("Field", X, iov(1)), change("Beam", X, iov(1)))))
    view.add(changed("Late", X, iov(1)))
    beam, late = PayloadTypeName("Beam"), PayloadTypeName("Late")
    with view.read() as snapshot:
        for ref in (TagRef(X), TagRef(X, lsn=2)):
            content = find_content(snapshot, ref, beam)
            assert [held.payload_type for held in content.lists] == ["Beam"]
        assert content.tag.list_count == 2
        find_content(snapshot, TagRef(X), late)
        with pytest.raises(NotFound):
            find_content(snapshot, TagRef(X, lsn=2), late)


def test_content_that_nothing_has_touched_since_is_the_current_one(view):
    """No past row needs to be looked for then."""
    view.add(TagCreated(X))
    view.add(changed("Beam", X, iov(1)))
    view.add(TagCreated(Y))
    with view.read() as snapshot:
        assert find_content(snapshot, TagRef(X, lsn=2)).as_of is None
        assert find_content(snapshot, TagRef(X, lsn=2)).lsn == 2
        assert find_content(snapshot, TagRef(X, lsn=1)).as_of == 1


def test_history_tells_who_did_what(view):
    """Newest first, page by page, with what it came to."""
    view.add(TagCreated(X), actor="ann")
    view.add(changed("Beam", X, iov(1, 2), iov(2)), actor="bob")
    view.add(changed("Beam", X, iov(5), detached=[1], trimmed=[(2, 5)]), actor="bob")
    view.add(ListCreated("Beam"))
    view.add(ListAttached(2, X), actor="ann")
    view.add(TagFrozen(X, "f" * 64, "for the campaign"), actor="carl")
    with view.read() as snapshot:
        acts = history(snapshot, 1)
        assert [act.lsn for act in history(snapshot, 1, before=5, limit=2)] == [3, 2]
    assert [(act.actor, act.act) for act in acts] == [
        ("carl", "tag.frozen"),
        ("ann", "list.attached"),
        ("bob", "timelines.changed"),
        ("bob", "timelines.changed"),
        ("ann", "tag.created"),
    ]
    assert acts[0].about == {"fingerprint": "f" * 64, "reason": "for the campaign"}
    assert acts[1].about["replaced"] == "Beam_1"
    counted = {"payload_type": "Beam", "attached": 1, "trimmed": 1, "detached": 1}
    assert acts[2].about == {"lists": [counted]}


def test_one_entry_is_one_act_however_many_lists(view):
    """And one for each of the tags it changes."""
    view.add(TagCreated(X))
    view.add(TagCreated(Y))
    view.add(
        TimelinesChanged((change("A", X, iov(1)), change("B", X, iov(1)), change("A", Y, iov(1))))
    )
    with view.read() as snapshot:
        assert len(history(snapshot, 1)[0].about["lists"]) == 2
        assert len(history(snapshot, 2)[0].about["lists"]) == 1


def test_the_fingerprint_is_the_domain_s_whatever_the_text(view):
    """Quotes, controls, letters beyond ASCII and nulls stand in its lines as Python writes them."""
    texts = ['"\\/', *map(chr, range(1, 32)), "\x7f", "βeta 🎉", "'", "", "\u2028"]
    rows = [
        Row(
            Interval(Moment(at, 2**63 - 1), Moment(at + 1) if at % 2 else Moment(at + 1, 7)),
            Payload(text, text if at % 3 else None, Digest("sha256:" + f"{at:064}")),
        )
        for at, text in enumerate(texts)
    ]
    rows.append(Row(Interval(Moment(99)), Payload("open")))
    view.add(TagCreated(X))
    kinds = ["Z", "a", "Beam"]
    view.add(TimelinesChanged(tuple(change(kind, X, *rows) for kind in kinds)))
    expected = fingerprint.timeline_fingerprint(rows)
    with view.read() as snapshot:
        told = tag_fingerprint(snapshot.connection, 1)
    assert told == fingerprint.tag_fingerprint(dict.fromkeys(kinds, expected))


def test_old_entries_are_understood(view):
    """The first version's entry of changes makes the list, and later goes on with that list."""
    view.add(TagCreated(X))
    told = {"tag": "X", "payload_type": "Beam", "detached": [], "trimmed": []}
    row = {"name": ["a"], "checksum": [None], "digest": [None], "size": [3]}
    view.append("iovs.changed", {**told, "attached": {"start": [[1, 0]], "end": [None], **row}})
    told["trimmed"] = [[[1, 0], [4, 2]]]
    view.append("iovs.changed", {**told, "attached": {"start": [[4, 2]], "end": [[9, 0]], **row}})
    rows = "SELECT timeline_id, start_major, end_major, end_minor, size FROM iov"
    assert view.rows(rows) == [(1, 1, 4, 2, 3), (1, 4, 9, 0, 3)]


def test_a_repeat_is_known_by_what_was_asked(view):
    """The mark that the first request left in its entry tells it from another one."""
    lsn = len(view.lines) + 1
    view.append("tag.created", {"tag": "X", "asked": "one"}, key="k")
    view.append("tag.created", {"tag": "Y"}, keys=["tag/Y"], key="old")
    with view.read() as snapshot:
        assert is_known(snapshot, "k")
        assert known_request(snapshot, "k", "one") == lsn
        assert known_request(snapshot, "other", "one") is None
        for key in ("k", "old"):
            with pytest.raises(KeyReused):
                known_request(snapshot, key, "two")


def test_a_change_of_columns_only_is_as_good_as_rows(view):
    """What is not told is null, and minors are 0."""
    view.add(TagCreated(X))
    view.append(
        "timelines.changed",
        {
            "lists": [
                {
                    "list": None, "tag": "X", "payload_type": "Beam", "detached": [], "deleted": [],
                    "trimmed": [], "attached": Columns([1, 2], ["a", "b"], end_major=[2, 3]).data(),
                }
            ]
        },
    )  # fmt: skip
    rows = "SELECT start_minor, end_minor, checksum, digest, size, revision FROM iov"
    assert view.rows(rows) == [(0, 0, None, None, None, None)] * 2


def test_a_tag_that_never_was(view):
    """Neither now, nor then, nor frozen."""
    with view.read() as snapshot:
        assert tag_named(snapshot, "X") is None
        for ref in (TagRef(X), TagRef(X, lsn=0), TagRef(X, "0" * 64)):
            with pytest.raises(NotFound):
                find_content(snapshot, ref)
