"""What an answer of the databuffer means to who asked the logic tier."""

import orjson
import pytest

from datastore_logic.databuffer.answers import Answer
from datastore_logic.databuffer.refusals import expect, refusal
from datastore_logic.errors import BufferAway, BufferIsFrozen, BufferRefused, LsnBeyondHead


def answer(status, **told):
    """Return an answer in the databuffer's words."""
    return Answer(status, orjson.dumps({"detail": "in words", **told}), 17)


@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_success_is_an_answer(status):
    """Whatever it says."""
    told = Answer(status, b"", 17)
    assert expect(told) is told


@pytest.mark.parametrize(
    ("refused", "kind"),
    [
        (answer(503, code="FROZEN"), BufferIsFrozen),
        (answer(404, code="lsn_beyond_head"), LsnBeyondHead),
        (answer(500, code="error"), BufferAway),
        (answer(502, code="error"), BufferAway),
        (answer(504, code="error"), BufferAway),
        (answer(503, code="busy"), BufferRefused),
        (answer(507, code="volume_full"), BufferRefused),
        (answer(400, code="bad_request"), BufferRefused),
    ],
)
def test_a_refusal_is_one_error(refused, kind):
    """Its own failures are those of a databuffer that is away; what it refuses, it refuses."""
    assert type(refusal(refused)) is kind
    with pytest.raises(kind):
        expect(refused)


def test_what_it_refuses_is_passed_on_as_it_said_it():
    """Status, words, code and the field that was wrong."""
    found = refusal(answer(422, code="digest_mismatch", field="digest"))
    assert (found.status, str(found), found.code, found.field) == (
        422, "in words", "digest_mismatch", "digest",
    )  # fmt: skip


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"7", b'{"detail":"in words"}'])
@pytest.mark.parametrize("status", [302, 404, 502])
def test_words_that_no_databuffer_says_are_of_none(status, body):
    """A proxy's page, another service's JSON: the databuffer is not there."""
    found = refusal(Answer(status, body, 0))
    assert type(found) is BufferAway
    assert str(status) in str(found)
