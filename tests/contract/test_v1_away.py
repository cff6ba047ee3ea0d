"""v1 while the databuffer is away, and on a replica that has not heard of everything yet."""

import json

import pytest
from logic_pair import Pair, pair
from servers import databuffer, eventually, logic

TAGS = "/api/v1/global-tags"
IOV = {"payload_type": "Beam", "start": [5, 0], "end": [9, 0], "name": "b5"}
DIGEST = "0" * 64


@pytest.fixture(scope="module")
def away(tmp_path_factory):
    """Run both tiers with a tag in each state, and stop the databuffer."""
    with pair(tmp_path_factory.mktemp("away")) as running:
        for name in ("T", "cold"):
            running.post(TAGS, json.dumps({"name": name}))
            running.post(f"{TAGS}/{name}/iovs", json.dumps({"iovs": [IOV]}))
        running.post("/api/v1/payload-types", '{"name":"Spare"}')
        running.post("/api/v1/payload-lists", '{"payload_type":"Beam"}')
        running.post(f"{TAGS}/cold/freeze")
        running.buffer.stop()
        eventually(lambda: "X-Databuffer" in running.ask("GET", TAGS).headers)
        yield running


@pytest.mark.parametrize(
    "path",
    [
        "", "/T", "/T@2", "/T?as_of=2", "/T/payloads?major=6", "/T@2/payloads?major=6",
        "/T/payload-lists/Beam/iovs", "/T/history", "/T/diff?to=T@1",
    ],
)  # fmt: skip
def test_reads_go_on_and_say_so(away, path):
    """200 from the view with X-Databuffer, also of what the ledger said earlier."""
    answer = away.ask("GET", f"{TAGS}{path}")
    assert (answer.status, answer.headers["X-Databuffer"]) == (200, "away")


def test_many_moments_are_resolved_all_the_same(away):
    """It changes nothing, so it needs nobody."""
    answer = away.post(f"{TAGS}/T/resolve", '{"moments":[[6,0]]}')
    assert answer.json()["resolutions"][0]["payloads"][0]["name"] == "b5"


WRITES = [
    ("POST", "/global-tags", '{"name":"new"}'),
    ("POST", "/global-tags/T/clone", '{"name":"copy"}'),
    ("POST", "/global-tags/T/lock", None),
    ("POST", "/global-tags/T/freeze", None),
    ("POST", "/global-tags/cold/unfreeze", '{"reason":"r"}'),
    ("DELETE", "/global-tags/T", None),
    ("POST", "/global-tags/T/iovs", json.dumps({"iovs": [IOV | {"start": [6, 0]}]})),
    ("DELETE", "/global-tags/T/payload-lists/Beam/iovs?major=5&major_end=9", None),
    ("PUT", "/global-tags/T/payload-lists/Beam", '{"payload_list":"Beam_3"}'),
    ("DELETE", "/global-tags/T/payload-lists/Beam", None),
    ("POST", "/payload-types", '{"name":"New"}'),
    ("DELETE", "/payload-types/Spare", None),
    ("POST", "/payload-lists", '{"payload_type":"Spare"}'),
    ("DELETE", "/payload-lists/Beam_3", None),
    ("POST", "/payloads", b"bytes"),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES, ids=[f"{m} {p}" for m, p, _ in WRITES])
def test_writes_say_when_to_come_again(away, method, path, body):
    """503 databuffer_away with Retry-After, and nothing is acknowledged."""
    refused = away.ask(method, f"/api/v1{path}", body)
    assert (refused.status, refused.json()["code"]) == (503, "databuffer_away"), refused.data
    assert int(refused.headers["Retry-After"]) >= 1


@pytest.mark.parametrize(
    "path", ["/global-tags/T@999", "/global-tags/nobody/clone", f"/payloads/sha256/{DIGEST}"]
)
def test_what_nobody_knows_is_not_denied(away, path):
    """Whether there is such an LSN, tag or payload the databuffer knows: 503, never a 404."""
    method, body = ("POST", '{"name":"x"}') if path.endswith("clone") else ("GET", None)
    refused = away.ask(method, f"/api/v1{path}", body)
    assert (refused.status, refused.json()["code"]) == (503, "databuffer_away")


def test_a_replica_waits_for_the_lsn_it_is_asked_about(tmp_path):
    """TAG@<lsn> right after the write elsewhere is 200, not 404: the ledger has it."""
    with (
        databuffer(tmp_path) as buffer,
        logic(buffer.url, tmp_path, name="a") as one,
        logic(buffer.url, tmp_path, name="b") as two,
    ):
        first, second = Pair(buffer, one), Pair(buffer, two)
        first.settle()
        second.settle()
        first.post(TAGS, '{"name":"T"}')
        for start in range(30):
            iov = IOV | {"start": [start, 0], "end": [start + 1, 0], "name": f"b{start}"}
            done = first.post(f"{TAGS}/T/iovs", json.dumps({"iovs": [iov]})).json()
            ref = f"{TAGS}/T@{done['lsn']}"
            found = second.get(f"{ref}/payloads?major={start}")
            assert [payload["name"] for payload in found["payloads"]] == [f"b{start}"]
            assert second.post(f"{ref}/clone", f'{{"name":"c{start}"}}').status == 201
        first.http.clear()
        second.http.clear()
