"""The segments of a streamed list over HTTP: in full, with their exact bounds, by pages."""

import hashlib
import json

import pytest
from logic_pair import pair

TAGS = "/api/v1/global-tags"


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Run both tiers, with four segments of which the last covers a part of the one before."""
    with pair(tmp_path_factory.mktemp("segments")) as running:
        for start in (10, 12, 14, 15):
            body = json.dumps({"h": [1.5, 2.5], "t": [start, 1]})
            assert running.post("/stream?type=h", body).status == 201
        running.ask("POST", f"{TAGS}/stream/clone", json.dumps({"name": "clone"}))
        yield running


def segments(both, ref, query="", kind="h"):
    """Return a page of segments."""
    return both.get(f"{TAGS}/{ref}/payload-lists/{kind}/segments{query}")


def fingerprint(kind, rows):
    """Return what docs/conditions-model.md says is the fingerprint of a tag of one list."""
    lines = sorted(
        [*row["start"], *row["end"], row["name"], row["checksum"], row["digest"]] for row in rows
    )
    return _sha256([[kind, _sha256(lines)]])


def _sha256(lines):
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    return hashlib.sha256(text.encode()).hexdigest()


def test_segments_are_listed_in_full_and_in_order_of_arrival(both):
    """Also what newer ones cover: the payload IOVs show what is answered."""
    told = segments(both, "stream")["segments"]
    assert [(row["start"][0], row["end"][0]) for row in told] == [
        (10, 12), (12, 14), (14, 16), (15, 17),
    ]  # fmt: skip
    seen = both.get(f"{TAGS}/stream/payload-lists/h/iovs")["iovs"]
    assert [row["end"][0] for row in seen] == [12, 14, 15, 17]


def test_pages_of_segments_lose_none(both):
    """Three a page: each is told once."""
    found, after = [], ""
    while True:
        page = segments(both, "stream", f"?limit=3{after}")
        found += page["segments"]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert found == segments(both, "stream")["segments"]


def test_anybody_can_recompute_the_fingerprint_of_what_was_streamed(both):
    """Of the tag and of a clone of it, which answers with segments as well."""
    frozen = both.post(f"{TAGS}/clone/freeze").json()["fingerprint"]
    answer = both.ask("GET", f"{TAGS}/clone@{frozen}/payload-lists/h/segments")
    assert fingerprint("h", answer.json()["segments"]) == frozen
    assert "immutable" in answer.headers["Cache-Control"]


def test_a_list_that_is_not_streamed_has_none(both):
    """Null, and not an empty page: its fingerprint is over its payload IOVs."""
    both.post(TAGS, '{"name": "X"}')
    iov = {"payload_type": "Beam", "start": [1, 0], "name": "b"}
    both.post(f"{TAGS}/X/iovs", json.dumps({"iovs": [iov]}))
    assert segments(both, "X", kind="Beam")["segments"] is None
    assert both.ask("GET", f"{TAGS}/X/payload-lists/None/segments").status == 404
