"""Freezing by two: whoever asks, however often, and whatever slips in between."""

import orjson
import pytest
from logic_fakes import FakeBuffer, small_app

from datastore_logic.access.caller import Right
from datastore_logic.access.roles import ANYBODY, EVERYTHING, Principal, Role
from datastore_logic.access.settings import Access
from datastore_logic.app import TIER
from datastore_logic.domain.columns import Columns
from datastore_logic.domain.errors import FreezeNeedsTwo, OtherContent, TagIsFrozen, TagIsStreamed
from datastore_logic.domain.moment import Interval, Moment
from datastore_logic.domain.tags import PayloadTypeName, TagName, TagState
from datastore_logic.domain.timeline import Payload, Row
from datastore_logic.errors import KeyReused, PreflightFailed, Unauthenticated
from datastore_logic.services import tags
from datastore_logic.services.approving import Wish, pending
from datastore_logic.services.commit import Asking
from datastore_logic.services.freezing import Look, freeze_with_report
from datastore_logic.services.goals import TagAndType
from datastore_logic.services.iovs import Wanted, delete_iov, insert_iovs
from datastore_logic.view.tags import find_tag

X, BEAM = TagName("X"), PayloadTypeName("Beam")


def person(name, made_by=None):
    """Return somebody who may do everything."""
    kind = "token" if made_by else "jwt"
    return Principal(name, (EVERYTHING,), kind, made_by=made_by)


ALICE, BOB, ROBOT = person("alice"), person("bob"), person("ci", made_by="alice")


def by(principal, key=None):
    """Return that they ask."""
    return Asking(principal.subject, Right(principal, Role.ADMIN), key)


@pytest.fixture
def buffer():
    """Return a databuffer in memory."""
    return FakeBuffer()


def opened(folder, buffer, approvals):
    """Make a tier where so many must want a freeze, with a tag X of one IOV."""
    return small_app(folder, buffer, access=Access(freeze_approvals=approvals))


@pytest.fixture
def tier(buffer, tmp_path):
    """Return a tier where a freeze needs two, with a tag X of one IOV."""
    with opened(tmp_path, buffer, 2) as app:
        tier = app.extensions[TIER]
        tags.create_tag(tier, X, asking=by(ALICE))
        insert(tier, 1)
        yield tier


def insert(tier, start):
    """Put one more IOV into X."""
    row = Row(Interval(Moment(start), Moment(start + 1)), Payload(f"p{start}"))
    wanted = Wanted(TagAndType(X, BEAM), Columns.of([row]))
    return insert_iovs(tier, [wanted], asking=by(ALICE))


def freeze(tier, who, key=None, **told):
    """Ask for a freeze of X; return whose proposal then waits, None if it is frozen."""
    done = tags.freeze_tag(tier, X, Wish(**told), asking=by(who, key))
    with tier.reading(done.lsn) as snapshot:
        row = find_tag(snapshot, X)
        waits = pending(tier, snapshot, row, done.lsn)
    assert (row.state is TagState.FROZEN) == (waits is None)
    return waits and waits.proposed_by


def written(buffer):
    """Return the type, the actor and the data of the entries since X was filled."""
    entries = [orjson.loads(line) for line in buffer.lines[2:]]
    return [(entry["type"], entry["data"]) for entry in entries]


def types(buffer):
    """Return the types of those entries."""
    return [kind for kind, _ in written(buffer)]


def mark_of(tier):
    """Return the fingerprint of what X holds."""
    with tier.reading() as snapshot:
        return tier.fingerprints.of_tag(snapshot, find_tag(snapshot, X).id)


def test_one_proposes_another_confirms(tier, buffer):
    """Both are in the entry, and whose token confirmed; asking once more changes nothing."""
    assert freeze(tier, BOB, reason="O4") == "bob"
    assert freeze(tier, ROBOT) is None
    assert freeze(tier, BOB) is None
    mark = mark_of(tier)
    assert written(buffer) == [
        ("tag.freeze_proposed", {"tag": "X", "fingerprint": mark, "reason": "O4"}),
        (
            "tag.frozen",
            {
                "tag": "X",
                "fingerprint": mark,
                "reason": "O4",
                "proposed_by": "bob",
                "approved_by": "ci",
                "made_by": "alice",
            },
        ),
    ]


@pytest.mark.parametrize("again", [ALICE, ROBOT])
def test_the_same_person_again_changes_nothing(tier, buffer, again):
    """Neither by their own name, nor by a token of theirs."""
    assert freeze(tier, ALICE) == "alice"
    assert freeze(tier, again, reason="please") == "alice"
    assert types(buffer) == ["tag.freeze_proposed"]


def test_other_content_is_a_new_proposal(tier, buffer):
    """Whoever asks next proposes what is there now; the first must come back to confirm."""
    assert freeze(tier, ALICE) == "alice"
    insert(tier, 7)
    assert freeze(tier, BOB) == "bob"
    assert freeze(tier, ALICE) is None
    assert written(buffer)[-1][1]["proposed_by"] == "bob"


def test_what_was_there_before_needs_a_new_proposal_as_well(tier, buffer):
    """Content that changed and came back has been open meanwhile."""
    assert freeze(tier, ALICE) == "alice"
    insert(tier, 7)
    delete_iov(tier, X, BEAM, Interval(Moment(7), Moment(8)), asking=by(ALICE))
    assert freeze(tier, BOB) == "bob"
    assert types(buffer)[-1] == "tag.freeze_proposed"


def test_a_lock_is_no_change_of_content(tier):
    """What was proposed may be locked, and opened again, until it is confirmed."""
    assert freeze(tier, ALICE) == "alice"
    for state in (TagState.LOCKED, TagState.UNLOCKED):
        tags.lock_or_unlock_tag(tier, X, state, reason=None, asking=by(ALICE))
    assert freeze(tier, BOB) is None


def test_a_proposal_is_withdrawn_by_whoever_may_freeze(tier, buffer):
    """Once; then it takes two again. What is frozen is not opened so."""
    freeze(tier, ALICE)
    for _ in range(2):
        tags.withdraw_freeze(tier, X, reason="wrong beam", asking=by(BOB))
    assert types(buffer) == ["tag.freeze_proposed", "tag.freeze_withdrawn"]
    assert freeze(tier, BOB) == "bob"
    assert freeze(tier, ALICE) is None
    with pytest.raises(TagIsFrozen):
        tags.withdraw_freeze(tier, X, reason=None, asking=by(BOB))


def test_unfreezing_is_one_persons_act_and_freezing_again_is_not(tier):
    """The approvals of before count for nothing."""
    freeze(tier, ALICE)
    freeze(tier, BOB)
    tags.unfreeze_tag(tier, X, reason="a mistake", asking=by(ALICE))
    assert freeze(tier, BOB) == "bob"


def test_two_who_propose_at_once_have_agreed(tier, buffer):
    """One of them is the first, and the other confirms: one proposal, one freeze."""
    buffer.before_append = lambda: freeze(tier, BOB)
    assert freeze(tier, ALICE) is None
    assert types(buffer) == ["tag.freeze_proposed", "tag.frozen"]
    assert written(buffer)[1][1]["proposed_by"] == "bob"


def test_one_who_proposes_twice_at_once_has_not(tier, buffer):
    """A person and their token, faster than each other: one proposal, nothing frozen."""
    buffer.before_append = lambda: freeze(tier, ROBOT)
    assert freeze(tier, ALICE) == "ci"
    assert types(buffer) == ["tag.freeze_proposed"]


def test_content_that_changes_under_a_confirmation_is_not_confirmed(tier, buffer):
    """The confirmation becomes a proposal of what is there now."""
    freeze(tier, ALICE)
    buffer.before_append = lambda: insert(tier, 7)
    assert freeze(tier, BOB) == "bob"
    assert types(buffer) == ["tag.freeze_proposed", "timelines.changed", "tag.freeze_proposed"]


def test_a_proposal_withdrawn_under_a_confirmation_is_not_confirmed(tier, buffer):
    """Whoever was slower starts anew."""
    freeze(tier, ALICE)
    buffer.before_append = lambda: tags.withdraw_freeze(tier, X, reason=None, asking=by(ALICE))
    assert freeze(tier, BOB) == "bob"


def test_a_repeat_answers_as_the_first_did(tier, buffer):
    """202 again under its key, also when nobody waits any more; frozen once it is frozen."""
    assert freeze(tier, ALICE, "k-1") == "alice"
    tags.withdraw_freeze(tier, X, reason=None, asking=by(BOB))
    assert freeze(tier, ALICE, "k-1") == "alice"
    assert types(buffer) == ["tag.freeze_proposed", "tag.freeze_withdrawn"]
    assert freeze(tier, BOB, "k-2") == "bob"
    assert freeze(tier, ALICE, "k-1") == "bob"
    assert freeze(tier, ALICE, "k-3") is None
    assert freeze(tier, ALICE, "k-1") is None
    assert freeze(tier, BOB, "k-2") is None


def test_anothers_key_confirms_nothing(tier):
    """What another asks under the key of a proposal is no repeat of it, and is not lost unsaid."""
    freeze(tier, ALICE, "freeze-X")
    with pytest.raises(KeyReused):
        freeze(tier, BOB, "freeze-X")


def test_what_one_looked_at_is_what_one_confirms(tier, buffer):
    """By its fingerprint: other content is refused, whether it waits or is frozen."""
    mark, other = mark_of(tier), "0" * 64
    with pytest.raises(OtherContent, match=mark):
        freeze(tier, ALICE, content=other)
    assert types(buffer) == []
    assert freeze(tier, ALICE, content=mark) == "alice"
    with pytest.raises(OtherContent, match=mark):
        freeze(tier, BOB, content=other)
    with pytest.raises(OtherContent, match=mark):
        freeze(tier, ALICE, content=other)
    assert freeze(tier, BOB, content=mark) is None
    assert freeze(tier, BOB, content=mark) is None
    with pytest.raises(OtherContent, match=mark):
        freeze(tier, BOB, content=other)


def test_each_of_both_looks_the_tag_over(tier, buffer):
    """Strict is asked for by each; the report is of what is there when they ask."""

    def ask(who, *, strict):
        done, report = freeze_with_report(tier, X, Wish(), Look(), strict=strict, asking=by(who))
        assert report.wire()["payload_types"][0]["payload_type"] == "Beam"
        return done, report.ok

    insert(tier, 7)
    with pytest.raises(PreflightFailed):
        ask(ALICE, strict=True)
    assert ask(ALICE, strict=False)[1] is False
    with pytest.raises(PreflightFailed):
        ask(BOB, strict=True)
    assert ask(ALICE, strict=False)[1] is False
    assert types(buffer) == ["timelines.changed", "tag.freeze_proposed"]
    ask(BOB, strict=False)
    assert types(buffer)[-1] == "tag.frozen"


@pytest.mark.parametrize("state", TagState)
def test_no_tag_is_made_frozen(tier, state):
    """Locked from the start is no freeze; one that exists is left as it is."""
    if state is TagState.FROZEN:
        with pytest.raises(FreezeNeedsTwo):
            tags.create_tag(tier, TagName("Y"), state=state, asking=by(ALICE))
        assert not tags.create_tag(tier, X, state=state, asking=by(ALICE)).new
    else:
        assert tags.create_tag(tier, TagName("Y"), state=state, asking=by(ALICE)).new


def test_the_streaming_buffer_freezes_by_one(tier, buffer):
    """Its tag with it, as it then is: nobody can say by which fingerprint."""
    buffer.stored([1, 0], [2, 0])
    stream = TagName("stream")
    with pytest.raises(TagIsStreamed):
        tags.freeze_tag(tier, stream, Wish(content="0" * 64), asking=by(ALICE))
    tags.freeze_tag(tier, stream, Wish(), asking=by(ALICE))
    with tier.reading() as snapshot:
        assert find_tag(snapshot, stream).state is TagState.FROZEN


def test_who_is_nobody_in_particular_freezes_nothing(tier, buffer):
    """What is said is no proof: nobody could be told from a second person."""
    with pytest.raises(Unauthenticated):
        freeze(tier, ANYBODY)
    assert types(buffer) == []


def test_where_one_is_enough_nothing_is_new(buffer, tmp_path):
    """One person freezes, and the entry is as ever; a proposal of before is not heeded."""
    with opened(tmp_path, buffer, 1) as app:
        tier = app.extensions[TIER]
        tags.create_tag(tier, X, asking=by(ALICE))
        insert(tier, 1)
        mark = mark_of(tier)
        buffer.write("tag.freeze_proposed", {"tag": "X", "fingerprint": mark}, "tag/X")
        assert freeze(tier, ANYBODY, reason="O4") is None
        told = {"tag": "X", "fingerprint": mark, "reason": "O4"}
        assert written(buffer)[1:] == [("tag.frozen", told)]
        assert tags.create_tag(tier, TagName("Y"), state=TagState.FROZEN, asking=by(BOB)).new
