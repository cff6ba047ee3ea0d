"""Deciding: on a snapshot, on condition that it still holds; and once, however often asked."""

import orjson
import pytest
from logic_fakes import FakeBuffer, small_app

from datastore_logic.errors import PreconditionFailed
from datastore_logic.services.commit import ATTEMPTS


@pytest.fixture
def buffer():
    """Return a databuffer in memory."""
    return FakeBuffer()


@pytest.fixture
def ask(buffer, tmp_path):
    """Make a client of the application over the databuffer."""
    with small_app(tmp_path, buffer) as app:
        client = app.test_client()
        client.post("/api/v1/global-tags", json={"name": "X"})
        yield client


def types(buffer):
    """Return the types of the ledger's entries."""
    return [orjson.loads(line)["type"] for line in buffer.lines]


def test_a_lost_race_is_decided_anew_on_the_newer_state(buffer, ask):
    """A freeze that slips in between makes the insert a conflict, not a lost update."""
    buffer.before_append = lambda: buffer.write(
        "tag.frozen", {"tag": "X", "fingerprint": "f", "reason": None}, "tag/X"
    )
    refused = ask.post("/stream?tag=X&type=Beam&major=1", data=b"x")
    assert (refused.status_code, refused.json["code"]) == (409, "tag_frozen")
    assert types(buffer) == ["tag.created", "tag.frozen"]


def test_two_inserts_at_once_both_stand(buffer, ask):
    """The slower one decides again, and trims what the faster one put there."""

    def faster():
        assert ask.post("/stream?tag=X&type=Beam&major=1&name=first", data=b"1").status_code == 201

    buffer.before_append = faster
    assert ask.post("/stream?tag=X&type=Beam&major=5&name=second", data=b"2").status_code == 201
    url = "/api/v1/global-tags/X/payloads?major="
    assert ask.get(f"{url}1").json["payloads"][0]["name"] == "first"
    assert ask.get(f"{url}1").json["until"] == [5, 0]
    assert ask.get(f"{url}5").json["payloads"][0]["name"] == "second"


def test_a_freeze_covers_what_was_inserted_while_it_was_computed(buffer, ask):
    """The fingerprint of the state that was frozen, not of the one that was looked at."""

    def insert():
        assert ask.post("/stream?tag=X&type=Beam&major=1", data=b"late").status_code == 201

    buffer.before_append = insert
    frozen = ask.post("/api/v1/global-tags/X/freeze").json
    assert ask.post("/api/v1/global-tags", json={"name": "Y"}).status_code == 201
    assert ask.post("/stream?tag=Y&type=Beam&major=1", data=b"late").status_code == 201
    assert ask.post("/api/v1/global-tags/Y/freeze").json["fingerprint"] == frozen["fingerprint"]


def test_who_always_loses_is_told_so(buffer, ask):
    """After a few attempts it is a conflict, and nothing was appended."""
    attempts = []

    def lose(entry):
        attempts.append(entry)
        raise PreconditionFailed(len(buffer.lines))

    buffer.append = lose
    refused = ask.post("/api/v1/global-tags", json={"name": "Y"})
    assert (refused.status_code, refused.json["code"]) == (409, "conflict")
    assert len(attempts) == ATTEMPTS
    assert len({entry["idempotency_key"] for entry in attempts}) == 1


def test_a_callers_key_makes_a_repeat_harmless(buffer, ask):
    """The same Idempotency-Key answers with the first LSN, even after a freeze."""
    key = {"Idempotency-Key": "calib-42"}
    url = "/stream?tag=X&type=Beam&major=1"
    first = ask.post(url, data=b"x", headers=key)
    ask.post("/stream?tag=X&type=Beam&major=1", data=b"other")
    ask.post("/api/v1/global-tags/X/freeze")
    again = ask.post(url, data=b"x", headers=key)
    assert again.json == first.json
    url = "/api/v1/global-tags/X/payloads?major=1"
    assert ask.get(url).json["payloads"][0]["digest"] != first.json["digest"]


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("/api/v1/global-tags", b'{"name":"Y"}'),
        ("/api/v1/global-tags/X/freeze", b""),
        ("/stream?tag=X&type=Other&major=1", b"x"),
    ],
)
@pytest.mark.parametrize("seen", [True, False])
def test_a_key_of_another_request_is_no_success(buffer, ask, url, body, seen):
    """It is said that nothing was done, also where only another replica knew the key."""
    key = {"Idempotency-Key": "calib-42"}

    def use() -> None:
        told = {"tag": "elsewhere", "description": ""}
        buffer.requests["calib-42"] = buffer.write(
            "tag.created", told, "tag/elsewhere", key="calib-42"
        )

    if seen:
        ask.post("/stream?tag=X&type=Beam&major=1", data=b"x", headers=key)
    else:
        buffer.before_append = use
    refused = ask.post(url, data=body, headers=key)
    assert (refused.status_code, refused.json["code"]) == (409, "idempotency_key_reused")
    assert ask.get("/api/v1/global-tags/X").json["state"] == "unlocked"


def test_a_view_that_cannot_follow_is_ours_to_answer_for(buffer, ask):
    """A lost race whose winner cannot be seen is 503, not the caller's conflict."""

    def lose(entry):
        assert entry
        raise PreconditionFailed(len(buffer.lines) + 7)

    buffer.append = lose
    refused = ask.post("/api/v1/global-tags", json={"name": "Y"})
    assert (refused.status_code, refused.json["code"]) == (503, "view_behind")


def test_the_same_payload_again_changes_nothing(buffer, ask):
    """Without any key as well, the very same IOV is not written twice."""
    ask.post("/stream?tag=X&type=Beam&major=1&major_end=4", data=b"x")
    before = len(buffer.lines)
    assert ask.post("/stream?tag=X&type=Beam&major=1&major_end=4", data=b"x").status_code == 201
    assert len(buffer.lines) == before


def test_freezing_again_answers_the_same(buffer, ask):
    """A retried freeze is harmless."""
    first = ask.post("/api/v1/global-tags/X/freeze", json={"user": "alice", "reason": "O4"}).json
    again = ask.post("/api/v1/global-tags/X/freeze", data=b"").json
    assert {**first, "report": None} == {**again, "report": None}
    assert types(buffer) == ["tag.created", "tag.frozen"]


def test_any_payload_may_be_streamed_into_the_stream_tag(buffer, ask):
    """The first makes the tag; each is kept beside segments, none is counted as a file."""
    assert ask.post("/stream?type=Beam&major=1&major_end=9", data=b"x").status_code == 201
    buffer.stored([2, 0], [3, 0], name="segment", payload_type="Beam")
    buffer.stored([5, 0], [6, 0], name="other")
    ask.post("/stream?type=Beam&major=2&minor=5&major_end=4&name=newest", data=b"y")
    url = "/api/v1/global-tags/stream"
    assert ask.get(url).json["payload_lists"][0]["payload_iovs"] == 3
    names = [
        ask.get(f"{url}/payloads?type=Beam&major={major}&minor=7").json["payloads"][0]["name"]
        for major in (2, 3)
    ]
    assert names == ["newest", "newest"]
    assert ask.get(f"{url}/payloads?type=Beam&major=2").json["payloads"][0]["name"] == "segment"
    assert ask.get("/bufstat").json["n_itm"] == 2


def test_a_frozen_stream_takes_no_payload_either(buffer, ask):
    """Frozen is frozen, for segments and for everything else."""
    assert ask.post("/stream?type=Beam&major=1", data=b"x").status_code == 201
    assert ask.post("/api/v1/global-tags/stream/freeze").json["state"] == "frozen"
    refused = ask.post("/stream?type=Beam&major=2", data=b"y")
    assert (refused.status_code, refused.text) == (503, "Datastore frozen.")
    assert len(buffer.blobs) == 1


def test_a_clean_keeps_the_tag_under_its_time(buffer, ask):
    """Twice within a second the second gets `-2`; the next segment opens a new stream."""
    for _ in range(2):
        ask.post("/stream", data=b"{}")
        assert ask.post("/flushbuf").status_code == 201
    ask.post("/stream", data=b"{}")
    tags = {tag["name"]: tag for tag in ask.get("/api/v1/global-tags").json["global_tags"]}
    assert set(tags) == {"X", "stream", "stream-20261120T231700Z", "stream-20261120T231700Z-2"}
    assert tags["stream"]["state"] == "unlocked"
    assert tags["stream-20261120T231700Z"]["state"] == "frozen"
    assert tags["stream-20261120T231700Z"]["fingerprint"]


def test_a_tag_named_as_an_archive_does_no_harm(buffer, ask):
    """Whoever takes the name first keeps it, in every replica alike."""
    ask.post("/stream", data=b"{}")
    buffer.before_append = lambda: buffer.clean(None)
    name = "stream-20261120T231700Z"
    assert ask.post("/api/v1/global-tags", json={"name": name}).status_code == 201
    assert ask.get("/readyz").json["halted"] is None
    assert ask.get(f"/api/v1/global-tags/{name}").json["state"] == "frozen"
