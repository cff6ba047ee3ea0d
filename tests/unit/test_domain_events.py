"""Ledger entries to values and back; names and digests at their edges."""

import json

import pytest

from datastore_logic.domain import events
from datastore_logic.domain.errors import BadDigest, BadEvent, BadName, UnknownEvent
from datastore_logic.domain.moment import Interval, Moment
from datastore_logic.domain.tags import Digest, PayloadTypeName, TagName
from datastore_logic.domain.timeline import Attach, Detach, Payload, Row, Trim

DIGEST = Digest.parse("sha256:" + "0f" * 32)
WRITTEN = [
    events.TagCreated(TagName("X"), "why"),
    events.TagFrozen(TagName("X"), "ab" * 32, "campaign"),
    events.IovsChanged(
        TagName("X"),
        PayloadTypeName("Beam"),
        (
            Detach(Moment(1)),
            Trim(Moment(2), Moment(3, 1)),
            Attach(Row(Interval(Moment(3, 1), Moment(4)), Payload("n", "c", DIGEST, 9))),
            Attach(Row(Interval(Moment(5)), Payload("elsewhere"))),
        ),
    ),
]

COLUMNS = {
    "start": [[1, 0]], "end": [None], "name": ["n"], "checksum": [None], "digest": [None],
    "size": [None],
}  # fmt: skip


@pytest.mark.parametrize("event", WRITTEN, ids=lambda event: event.type)
def test_what_is_written_reads_back_the_same(event):
    """Through JSON and back, nothing is lost."""
    assert events.parse(event.type, json.loads(json.dumps(event.data()))) == event


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
        ("iovs.changed", {"tag": "X", "payload_type": "T", "detached": 3}),
        ("iovs.changed", WRITTEN[2].data() | {"attached": COLUMNS | {"name": [5]}}),
        ("iovs.changed", WRITTEN[2].data() | {"attached": COLUMNS | {"checksum": [5]}}),
        ("iovs.changed", WRITTEN[2].data() | {"attached": COLUMNS | {"size": [2**63]}}),
        ("iovs.changed", WRITTEN[2].data() | {"attached": COLUMNS | {"size": [True]}}),
        ("iovs.changed", WRITTEN[2].data() | {"attached": COLUMNS | {"end": []}}),
    ],
)
def test_a_damaged_entry_is_named(kind, data):
    """Missing or malformed fields are a damaged entry of that type."""
    with pytest.raises(BadEvent, match=kind):
        events.parse(kind, data)


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
