"""Which of many payloads the store has, over HTTP; what is stored and fetched is in other files."""

import hashlib
import json

import pytest
from logic_pair import pair

MISSING = "/api/v1/payloads/missing"


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Run both tiers for the tests of this file."""
    with pair(tmp_path_factory.mktemp("payloads")) as running:
        yield running


def digest_of(content):
    """Return the name that the store gives these bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_what_the_store_lacks_is_told_each_once(both):
    """Of many, repeated or not, those and only those that nobody uploaded."""
    here = [
        both.post("/api/v1/payloads", b"kept %d" % number).json()["digest"] for number in (1, 2)
    ]
    lacked = [digest_of(b"never sent %d" % number) for number in range(3)]
    asked = json.dumps({"digests": [*here, *lacked, *here, *lacked]})
    before = both.get("/api/v1/global-tags")["lsn"]
    answer = both.post(MISSING, asked)
    assert (answer.status, sorted(answer.json()["missing"])) == (200, sorted(lacked))
    assert both.get("/api/v1/global-tags")["lsn"] == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"digests": []}, "digests"),
        ({"digests": "sha256:00"}, "digests"),
        ({"digests": ["sha256:00"]}, "digests[0]"),
        ({"digests": [digest_of(b""), 7]}, "digests[1]"),
        ({"digests": [digest_of(b"")], "size": 7}, "size"),
        ({"digests": [digest_of(b"")] * 10_001}, "digests"),
    ],
)
def test_a_question_that_makes_no_sense_names_the_field(both, body, field):
    """400, and which of the digests it is."""
    refused = both.post(MISSING, json.dumps(body))
    assert (refused.status, refused.json()["field"]) == (400, field)
