"""Ledger entries to values and back; names and digests at their edges."""

import json

import pytest

from datastore_logic.domain import events
from datastore_logic.domain.columns import Columns
from datastore_logic.domain.errors import BadDigest, BadEvent, BadName, UnknownEvent
from datastore_logic.domain.moment import Interval, Moment
from datastore_logic.domain.tags import Digest, PayloadTypeName, TagName, TagState, TokenName
from datastore_logic.domain.timeline import Payload, Row

DIGEST = Digest.parse("sha256:" + "0f" * 32)
WRITTEN = [
    events.TagCreated(TagName("X"), "why"),
    events.TagFrozen(TagName("X"), "ab" * 32, "campaign"),
    events.TagFrozen(TagName("X"), "ab" * 32, None, "alice", "bob"),
    events.TagFreezeProposed(TagName("X"), "ab" * 32, "campaign", "root"),
    events.TagFreezeWithdrawn(TagName("X"), "wrong beam"),
    events.TagCreated(TagName("X"), "", "alice", TagState.FROZEN, "ab" * 32),
    events.TagCloned(TagName("X"), TagName("Y"), "why", "bob", None, 17),
    events.TagChanged(TagName("X"), TagState.LOCKED, "prompt"),
    events.TagDeleted(TagName("X")),
    events.TypeCreated(PayloadTypeName("Beam")),
    events.TypeDeleted(PayloadTypeName("Beam")),
    events.ListCreated(PayloadTypeName("Beam")),
    events.ListAttached(3, TagName("X")),
    events.ListDetached(3),
    events.ListDeleted(3),
    events.IovCreated(Row(Interval(Moment(3, 1)), Payload("n", "c", None, 9, 2))),
    events.TokenMade(
        "0123456789ab",
        TokenName("ci"),
        "0f" * 32,
        (events.Given("editor", "prompt.*"),),
        1795230024,
        "alice",
        "ba9876543210",
    ),
    events.TokenMade("0123456789ab", TokenName("ci"), "0f" * 32, (), 1795230024, "alice"),
    events.TokenRevoked("0123456789ab"),
    events.TimelinesChanged(
        (
            events.ListChange(
                PayloadTypeName("Beam"),
                TagName("X"),
                5,
                Columns.of([Row(Interval(Moment(3, 1), Moment(4)), Payload("n", "c", DIGEST, 9))]),
                (Moment(1),),
                (Moment(0, 7),),
                ((Moment(2), Moment(3, 1)),),
            ),
            events.ListChange(
                PayloadTypeName("Beam"),
                None,
                None,
                Columns([5, 6], ["elsewhere", "too"], end_major=[6, None], end_minor=[0, None]),
            ),
        )
    ),
]

TOKEN = {
    "token": "0123456789ab", "name": "ci", "sha256": "0f" * 32, "expires": 1795230024,
    "grants": [{"role": "admin", "tags": ".*"}], "made_by": "alice", "made_with": None,
}  # fmt: skip

FIRST_FORM = {
    "tag": "X",
    "payload_type": "Beam",
    "detached": [[1, 0]],
    "trimmed": [[[2, 0], [3, 1]]],
    "attached": {
        "start": [[3, 1]], "end": [None], "name": ["n"], "checksum": [None], "digest": [None],
        "size": [None],
    },
}  # fmt: skip


def damaged(**columns):
    """Return the first form with other columns."""
    return FIRST_FORM | {"attached": FIRST_FORM["attached"] | columns}


def told(event):
    """Return an event's data as JSON gives them back; equal events tell the same."""
    return json.loads(json.dumps(event.data()))


@pytest.mark.parametrize("event", WRITTEN, ids=lambda event: event.type)
def test_what_is_written_reads_back_the_same(event):
    """Through JSON and back, nothing is lost."""
    read = events.parse(event.type, told(event))
    assert type(read) is type(event)
    assert told(read) == told(event)
    if not isinstance(event, events.TimelinesChanged):
        assert read == event


def test_a_newer_field_is_no_damage():
    """Fields may be added: an older version reads on."""
    data = WRITTEN[0].data() | {"since_then": 1}
    assert events.parse("tag.created", data) == WRITTEN[0]


def test_freezes_of_before_are_read_for_ever():
    """One person's freeze names no second one, then and now."""
    data = {"tag": "X", "fingerprint": "ab" * 32}
    frozen = events.parse("tag.frozen", data)
    assert (frozen.proposed_by, frozen.approved_by) == (None, None)
    assert frozen.data() == data


def test_the_first_form_of_changes_is_read_for_ever():
    """Entries of the first versions name a list by tag and type, and moments as pairs."""
    (change,) = events.parse("iovs.changed", FIRST_FORM).lists
    assert (change.tag, change.payload_type, change.list_id) == ("X", "Beam", None)
    assert change.deleted == (Moment(1),)
    assert change.trimmed == ((Moment(2), Moment(3, 1)),)
    assert list(change.attached.rows()) == [Row(Interval(Moment(3, 1)), Payload("n"))]


def test_a_type_nobody_knows_is_no_damage():
    """A newer version's entries are told apart from damaged ones."""
    with pytest.raises(UnknownEvent, match=r"'moon\.landed' need a newer"):
        events.parse("moon.landed", {})


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("tag.created", {}),
        ("tag.created", {"tag": "../x"}),
        ("buffer.stored", {"payload_type": "strain", "start": [1], "end": [0, 0]}),
        ("tag.changed", {"tag": "X", "state": "molten"}),
        ("tag.freeze_proposed", {"tag": "X"}),
        ("tag.freeze_withdrawn", {}),
        ("list.attached", {"tag": "X", "list": "3"}),
        ("list.attached", {"tag": "X"}),
        ("iov.created", {"iov": {"start_major": [1, 2], "name": ["a", "b"]}}),
        ("token.made", {}),
        ("token.made", TOKEN | {"token": "../x"}),
        ("token.made", TOKEN | {"name": "a b"}),
        ("token.made", TOKEN | {"sha256": "0f"}),
        ("token.made", TOKEN | {"grants": [["admin", ".*"]]}),
        ("token.made", TOKEN | {"grants": [{"role": "admin", "tags": None}]}),
        ("token.made", TOKEN | {"expires": 1.5}),
        ("token.made", TOKEN | {"made_by": None}),
        ("token.revoked", {"token": 3}),
        ("timelines.changed", {"lists": [{}]}),
        ("timelines.changed", {"lists": 3}),
        ("iovs.changed", {"tag": "X", "payload_type": "T", "detached": 3}),
        ("iovs.changed", damaged(name=[5])),
        ("iovs.changed", damaged(checksum=[5])),
        ("iovs.changed", damaged(size=[2**63])),
        ("iovs.changed", damaged(size=[True])),
        ("iovs.changed", damaged(end=[])),
    ],
)
def test_a_damaged_entry_is_named(kind, data):
    """Missing or malformed fields are a damaged entry of that type."""
    with pytest.raises(BadEvent, match=kind):
        events.parse(kind, data)


def test_no_complaint_shows_what_is_kept_of_a_secret():
    """Not the hash, even where the entry is damaged; nor does the value's repr."""
    kept = "0f" * 31
    with pytest.raises(BadEvent) as refused:
        events.parse("token.made", TOKEN | {"sha256": kept})
    assert kept not in str(refused.value)
    assert TOKEN["sha256"] not in repr(events.parse("token.made", TOKEN))


@pytest.mark.parametrize(
    "text", ["", "a/b", "../a", ".a", "-a", "a b", "a@b", "a\n", "ä", "a" * 201, None, 5, "a%2f"]
)
@pytest.mark.parametrize("kind", [TagName, PayloadTypeName])
def test_names_that_could_not_stand_in_a_url_are_refused(kind, text):
    """No path traversal, no blanks, no line ends, no `@`, nothing over 200 characters."""
    with pytest.raises(BadName, match=f"^{kind.field}: "):
        kind.parse(text)


@pytest.mark.parametrize("text", ["X", "a" * 200, "H1:LDAS-STRAIN", "_x", "data_2026.1+b~2"])
def test_names_of_the_field_are_taken(text):
    """Tags and channels as experiments write them."""
    assert TagName.parse(text) == PayloadTypeName.parse(text) == text


@pytest.mark.parametrize(
    "text", ["", "sha256:", "ab" * 32, "sha256:" + "AB" * 32, "sha256:" + "ab" * 32 + "\n", 3]
)
def test_only_lower_case_sha256_is_a_digest(text):
    """One spelling a digest, so that equal payloads have equal names."""
    with pytest.raises(BadDigest):
        Digest.parse(text)
