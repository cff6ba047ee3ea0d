"""A freeze that two must want: who may confirm what, cell by cell and in any order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastore_logic.domain import approvals
from datastore_logic.domain.approvals import FOUNDER, FreezeProposal, Person
from datastore_logic.domain.decisions import GlobalTag
from datastore_logic.domain.errors import FreezeNeedsTwo, TagIsFrozen, TagIsStreamed
from datastore_logic.domain.events import TagFreezeProposed, TagFreezeWithdrawn, TagFrozen
from datastore_logic.domain.tags import TagName, TagState

UNLOCKED, LOCKED, FROZEN = TagState
X = TagName("X")
MARK, OTHER = "ab" * 32, "cd" * 32

ALICE, BOB = Person("alice"), Person("bob")
ALICES, BOBS = Person("ci", made_by="alice"), Person("cron", made_by="bob")
ROOT = Person(FOUNDER)
ROOTS = (Person("tina", made_by=FOUNDER), Person("tom", made_by=FOUNDER))
PEOPLE = (ALICE, BOB, ALICES, BOBS, ROOT, *ROOTS)
ONE = [
    (ALICE, ALICE),
    (ALICE, ALICES),
    (ALICES, ALICES),
    (Person("ci", made_by="bob"), ALICES),
    (Person("ci-2", made_by="alice"), ALICES),
    (Person("robot", made_by="tina"), ROOTS[0]),
    (ROOT, ROOTS[0]),
    (ROOT, ROOTS[1]),
]
TWO = [
    (ALICE, BOB),
    (ALICE, BOBS),
    (ALICES, BOBS),
    (ALICE, ROOT),
    ROOTS,
    (Person("robot", made_by="tina"), ROOTS[1]),
    (Person("Alice"), ALICE),
]


def tag(state=UNLOCKED, *, streamed=False):
    """Return a tag."""
    return GlobalTag(X, state, streamed)


def proposed(by, mark=MARK, reason=None):
    """Return an open proposal."""
    return FreezeProposal(by, mark, reason)


def agree(who, proposal=None, *, state=UNLOCKED, mark=MARK, reason=None):
    """Return the event by which somebody asks to freeze a tag of such content."""
    return approvals.agree(tag(state), proposal, who, reason, lambda: mark)


@pytest.mark.parametrize(("one", "other"), ONE)
def test_a_token_and_who_made_it_are_one_person(one, other):
    """Whichever of them proposes the other confirms nothing; nor does another of their tokens."""
    assert agree(other, proposed(one)) is None
    assert agree(one, proposed(other)) is None


@pytest.mark.parametrize(("one", "other"), TWO)
def test_two_people_freeze(one, other):
    """Whichever of them proposes; the founder's tokens are as many people, and names are exact."""
    for first, second in ((one, other), (other, one)):
        done = agree(second, proposed(first))
        assert done == TagFrozen(X, MARK, None, first.subject, second.subject, second.made_by)


@pytest.mark.parametrize("state", [UNLOCKED, LOCKED])
@pytest.mark.parametrize(
    ("proposal", "mark", "expected"),
    [
        (None, MARK, TagFreezeProposed(X, MARK, "why", "bob")),
        (proposed(ALICE), MARK, TagFrozen(X, MARK, "why", "alice", "cron", "bob")),
        (proposed(ALICE), OTHER, TagFreezeProposed(X, OTHER, "why", "bob")),
        (proposed(BOB), MARK, None),
        (proposed(BOB), OTHER, TagFreezeProposed(X, OTHER, "why", "bob")),
        (proposed(BOBS), MARK, None),
    ],
)
def test_what_asking_to_freeze_comes_to(state, proposal, mark, expected):
    """Proposed, confirmed, or nothing new; locked as well as unlocked. Other content: a new one."""
    assert agree(BOBS, proposal, state=state, mark=mark, reason="why") == expected


def test_the_reason_is_the_last_one_given():
    """Who confirms without a word does it for the reason it was proposed for."""
    assert agree(BOB, proposed(ALICE, reason="O4")).reason == "O4"
    assert agree(BOB, proposed(ALICE, reason="O4"), reason="checked").reason == "checked"


def test_what_is_frozen_is_frozen():
    """Nothing is computed or proposed, and no proposal is withdrawn."""
    for proposal in (None, proposed(ALICE)):
        assert approvals.agree(tag(FROZEN), proposal, BOB, None, pytest.fail) is None
        with pytest.raises(TagIsFrozen):
            approvals.withdraw(tag(FROZEN), proposal, None)


def test_the_streamed_tag_is_not_proposed():
    """It freezes with the buffer, never by itself."""
    with pytest.raises(TagIsStreamed):
        approvals.agree(tag(streamed=True), None, ALICE, None, lambda: MARK)


def test_a_proposal_is_withdrawn_once():
    """Whosever it is; where there is none nothing changes."""
    gone = approvals.withdraw(tag(LOCKED), proposed(ALICE), "wrong beam")
    assert gone == TagFreezeWithdrawn(X, "wrong beam")
    assert approvals.withdraw(tag(), None, "wrong beam") is None


def test_no_tag_is_made_frozen():
    """Unlocked and locked ones are."""
    for state in (UNLOCKED, LOCKED):
        approvals.refuse_made_frozen(X, state)
    with pytest.raises(FreezeNeedsTwo, match="X is not made frozen"):
        approvals.refuse_made_frozen(X, FROZEN)


@given(st.sampled_from(PEOPLE), st.sampled_from(PEOPLE))
def test_being_one_person_has_no_direction(one, other):
    """And everybody is the same as themselves."""
    assert one.is_same_as(other) == other.is_same_as(one)
    assert one.is_same_as(one)


MARKS = st.sampled_from([MARK, OTHER])
STEPS = st.lists(st.tuples(st.sampled_from(PEOPLE), MARKS | st.just("withdraw")), max_size=12)


@given(STEPS)
def test_whatever_happens_a_freeze_has_two_people_and_one_content(steps):
    """Of any requests and changes of content, the one that freezes confirms the last proposal.

    It is looked for in the whole history: by another person, of the same content, and since then
    nobody has proposed anything else or withdrawn it.
    """
    history, proposal = [], None
    for who, what in steps:
        if what == "withdraw":
            event = approvals.withdraw(tag(), proposal, None)
            proposal = None
        else:
            event = agree(who, proposal, mark=what)
        if isinstance(event, TagFreezeProposed):
            proposal = FreezeProposal(who, what)
        if isinstance(event, TagFrozen):
            first, first_event = next(step for step in reversed(history) if step[1] is not None)
            assert isinstance(first_event, TagFreezeProposed)
            assert first_event.fingerprint == event.fingerprint == what
            assert not first.is_same_as(who)
            assert (event.proposed_by, event.approved_by) == (first.subject, who.subject)
            return
        history.append((who, event))
        assert event is not None or what == "withdraw" or proposal.by.is_same_as(who)
