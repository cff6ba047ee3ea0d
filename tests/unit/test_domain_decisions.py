"""Every cell of the two tables of states, decision by decision."""

import pytest

from datastore_logic.domain import decisions
from datastore_logic.domain.columns import Columns
from datastore_logic.domain.decisions import GlobalTag, PayloadList
from datastore_logic.domain.errors import (
    AlreadyExists,
    InUse,
    LockedOverlap,
    TagIsFrozen,
    TagIsLocked,
    TagIsStreamed,
    UnfreezeNeedsReason,
)
from datastore_logic.domain.events import (
    ListAttached,
    ListDeleted,
    ListDetached,
    TagChanged,
    TagCreated,
    TagDeleted,
    TagFrozen,
)
from datastore_logic.domain.fingerprint import tag_fingerprint
from datastore_logic.domain.moment import Interval, Moment
from datastore_logic.domain.tags import MAY_BECOME, PayloadTypeName, TagName, TagRef, TagState
from datastore_logic.domain.timeline import Payload, Row

UNLOCKED, LOCKED, FROZEN = TagState
BEAM = PayloadTypeName("Beam")
THERE = Row(Interval(Moment(1), Moment(5)), Payload("there"))
OVER = Row(Interval(Moment(3), Moment(9)), Payload("new"))
AFTER = Row(Interval(Moment(5), Moment(9)), Payload("new"))
MARK = "ab" * 32


def tag(state, name="X", *, streamed=False):
    """Return a tag."""
    return GlobalTag(TagName(name), state, streamed)


def held(state, *, count=1, streamed=False):
    """Return a list in a tag of that state, in none for None."""
    owner = None if state is None else tag(state, streamed=streamed)
    return PayloadList(7, BEAM, owner, count)


def outcome(decide):
    """Return the class of what a decision raises or answers."""
    try:
        return type(decide())
    except Exception as refusal:  # noqa: BLE001 - whichever it is, is the answer
        return type(refusal)


@pytest.mark.parametrize("insert", ["one", "many"])
@pytest.mark.parametrize(
    ("state", "new", "error"),
    [
        (None, OVER, None),
        (UNLOCKED, OVER, None),
        (LOCKED, AFTER, None),
        (LOCKED, OVER, LockedOverlap),
        (FROZEN, AFTER, TagIsFrozen),
    ],
)
def test_inserting_obeys_the_state(insert, state, new, error):
    """Anywhere when unlocked, into gaps when locked, nowhere when frozen; bulk as well."""

    def decide():
        if insert == "one":
            return decisions.insert_iov(held(state), [THERE], new)
        return decisions.insert_iovs(held(state), [THERE], Columns.of([new]), None)

    if error is None:
        assert list(decide().attached.rows()) == [new]
    else:
        with pytest.raises(error):
            decide()


@pytest.mark.parametrize(
    ("goal", "source", "is_new", "expected"),
    [
        (UNLOCKED, None, False, ListAttached),
        (UNLOCKED, UNLOCKED, False, ListAttached),
        (UNLOCKED, LOCKED, True, TagIsLocked),
        (UNLOCKED, FROZEN, True, TagIsFrozen),
        (LOCKED, None, True, ListAttached),
        (LOCKED, None, False, TagIsLocked),
        (LOCKED, UNLOCKED, True, ListAttached),
        (FROZEN, None, True, TagIsFrozen),
        (FROZEN, None, False, TagIsFrozen),
    ],
)
def test_attaching_obeys_both_states(goal, source, is_new, expected):
    """Of the tag that gains the list, and of the one that would lose it."""
    moved = PayloadList(8, BEAM, None if source is None else tag(source, "other"))
    present = None if is_new else held(goal)
    assert outcome(lambda: decisions.attach(moved, 8, tag(goal), present)) is expected


def test_attaching_where_it_is_changes_nothing():
    """Also in a frozen tag: nothing is asked of it."""
    assert decisions.attach(held(FROZEN), 7, tag(FROZEN), held(FROZEN)) is None


@pytest.mark.parametrize(
    ("state", "refusal"),
    [(None, None), (UNLOCKED, None), (LOCKED, TagIsLocked), (FROZEN, TagIsFrozen)],
)
def test_what_takes_something_away_obeys_the_state(state, refusal):
    """Detaching and deleting lists and IOVs, and deleting the tag: unlocked only."""
    nothing = type(None)
    assert outcome(lambda: decisions.detach(held(state), 7)) is (
        refusal or (ListDetached if state else nothing)
    )
    assert outcome(lambda: decisions.delete_list(held(state, count=0), 7)) is (
        refusal or ListDeleted
    )
    deleted = outcome(lambda: decisions.delete_iov(held(state), Moment(1)))
    assert deleted is (refusal or decisions.ListChange)
    if state is not None:
        assert outcome(lambda: decisions.delete(tag(state))) is (refusal or TagDeleted)


@pytest.mark.parametrize("was", TagState)
@pytest.mark.parametrize("becomes", TagState)
def test_states_follow_each_other_as_the_table_says(was, becomes):
    """Unlocked and locked become anything; frozen only with a reason; the same is nothing.

    To lock or unlock is never to unfreeze, to unfreeze never to unlock what is locked.
    """
    assert set(MAY_BECOME) == set(TagState)
    assert set(MAY_BECOME[was]) == set(TagState)
    changed = None if was is becomes else TagChanged(TagName("X"), becomes, "why")
    if becomes is FROZEN:
        frozen = None if was is FROZEN else TagFrozen(TagName("X"), MARK, "why")
        assert decisions.freeze(tag(was), "why", lambda: MARK) == frozen
        return
    assert decisions.reopen(tag(was), becomes, "why") == changed
    if was is FROZEN:
        assert outcome(lambda: decisions.lock_or_unlock(tag(was), becomes, "why")) is TagIsFrozen
    else:
        assert decisions.lock_or_unlock(tag(was), becomes, "why") == changed
        assert decisions.unfreeze(tag(was), "why") is None


@pytest.mark.parametrize("becomes", [UNLOCKED, LOCKED])
@pytest.mark.parametrize("reason", [None, ""])
def test_unfreezing_says_why(becomes, reason):
    """Without a reason it stays frozen."""
    with pytest.raises(UnfreezeNeedsReason, match="needs a reason"):
        decisions.reopen(tag(FROZEN), becomes, reason)


def test_what_is_unfrozen_is_unlocked():
    """It is an act of its own, and needs a reason as well."""
    assert decisions.unfreeze(tag(FROZEN), "why") == TagChanged(TagName("X"), UNLOCKED, "why")
    assert outcome(lambda: decisions.unfreeze(tag(FROZEN), "")) is UnfreezeNeedsReason


def test_creating_what_exists_changes_nothing():
    """A retried creation is harmless."""
    assert decisions.create(tag(LOCKED), TagName("X")) is None
    assert decisions.create(None, TagName("X")) == TagCreated(TagName("X"))


def test_a_tag_frozen_from_the_start_has_the_fingerprint_of_nothing():
    """It is empty for ever."""
    made = decisions.create(None, TagName("X"), state=FROZEN)
    assert made.fingerprint == tag_fingerprint({})


def test_a_clone_does_not_replace_a_tag():
    """Its name must be free, whatever the state of the one that has it."""
    source = TagRef.parse(f"Y@{MARK}")
    with pytest.raises(AlreadyExists):
        decisions.clone(source, tag(UNLOCKED), TagName("X"), "", None)
    made = decisions.clone(source, None, TagName("X"), "words", "alice")
    assert (made.source, made.source_fingerprint, made.source_lsn) == ("Y", MARK, None)


def test_what_is_in_use_is_not_deleted():
    """The words are those that nopayloaddb's clients know."""
    with pytest.raises(InUse, match=r"^PayloadList contains 2 PayloadIOVs$"):
        decisions.delete_list(held(UNLOCKED, count=2), 7)
    with pytest.raises(InUse, match=r"^PayloadType is used by 1 PayloadLists$"):
        decisions.delete_type(BEAM, 1)


def test_the_streamed_tag_changes_only_with_the_buffer():
    """Nothing that is done to tags is done to it."""
    streamed = tag(UNLOCKED, streamed=True)
    mine = held(UNLOCKED, streamed=True)
    loose = PayloadList(8, BEAM, None)
    for decide in (
        lambda: decisions.freeze(streamed, None, lambda: MARK),
        lambda: decisions.reopen(streamed, LOCKED, "why"),
        lambda: decisions.lock_or_unlock(streamed, LOCKED, None),
        lambda: decisions.unfreeze(tag(FROZEN, streamed=True), "why"),
        lambda: decisions.delete(streamed),
        lambda: decisions.attach(loose, 8, streamed, None),
        lambda: decisions.attach(mine, 7, tag(UNLOCKED, "other"), None),
        lambda: decisions.detach(mine, 7),
        lambda: decisions.delete_list(held(UNLOCKED, count=0, streamed=True), 7),
        lambda: decisions.insert_iov(mine, [], AFTER),
        lambda: decisions.insert_iovs(mine, [], Columns.of([AFTER]), None),
        lambda: decisions.delete_iov(mine, Moment(1)),
    ):
        assert outcome(decide) is TagIsStreamed


@pytest.mark.parametrize("text", ["X@", "X@12g", f"X@{'a' * 63}", "X@1@2", f"X@{10**18}", "@17"])
def test_what_follows_an_at_is_a_fingerprint_or_an_lsn(text):
    """Anything else names no tag."""
    with pytest.raises(Exception, match="tag: "):
        TagRef.parse(text)
