"""Contract B of the digital-twin datastore, row by row, through gunicorn and a real databuffer."""

import json
import re

import pytest
from logic_pair import pair
from servers import eventually

SEGMENT = '{"h":[1.0,2.5,-3e-21],"t":[968654552.25,0.25]}'
LATER = '{"h":[1.0,2.5,-3e-21],"t":[968654553.0,0.25]}'


@pytest.fixture
def both(tmp_path):
    """Run both tiers, with a threshold of two small segments."""
    with pair(tmp_path, MAX_SIZE=str(len(SEGMENT) + 1)) as running:
        yield running


def test_a_day_in_the_life_of_the_buffer(both):
    """Stream, wait, stream, freeze, refuse, clean, stream: each answers as the contract says."""
    fresh = {"dstatus": "OPERATIONAL", "user": "databuf", "token": "databuf"}
    assert both.get("/bufstat") == {"n_itm": 0, "buff_size": 0}
    assert both.get("/dsdesc") == fresh
    assert both.get("/dumpf") == {"nmlist": []}
    assert both.get("/dumpflog") == []

    stored = both.post("/stream", SEGMENT)
    assert stored.status == 201
    told = stored.json()
    assert told["code"] == "RES_CREATE"
    assert re.fullmatch(rf"Written gwb\d+\.json for {len(SEGMENT)} bytes", told["body"])
    waiting = both.post("/freezeds", '{"user":"alice","token":"s3cret"}')
    assert (waiting.status, waiting.data) == (200, b"Waiting for more incoming data.")

    assert both.post("/stream", LATER).status == 201
    size = {"n_itm": 2, "buff_size": len(SEGMENT) + len(LATER)}
    assert both.get("/bufstat") == size
    names = both.get("/dumpf")["nmlist"]
    log = both.get("/dumpflog")
    assert [line["name"] for line in log] == names
    assert {line["message"] for line in log} == {"Write file"}

    frozen = both.post("/freezeds", '{"user":"alice","token":"s3cret"}')
    assert (frozen.status, frozen.json()) == (201, size)
    again = both.post("/freezeds", '{"user":"alice","token":"s3cret"}')
    assert (again.status, again.json()) == (201, size)
    described = both.get("/dsdesc")
    assert (described["dstatus"], described["user"]) == ("FROZEN", "alice")
    assert re.fullmatch("sha256:[0-9a-f]{12}", described["token"])
    refused = both.post("/stream", SEGMENT)
    assert (refused.status, refused.data) == (503, b"Datastore frozen.")
    assert both.get("/bufstat") == size

    cleaned = both.post("/flushbuf", "whatever")
    assert (cleaned.status, cleaned.json()["body"]) == (201, "Buffer cleaned")
    assert both.get("/dsdesc") == fresh
    assert both.post("/stream", SEGMENT).status == 201


def test_the_stream_is_a_tag(both):
    """Each segment resolves by GPS second; freezing freezes, cleaning keeps it by its time."""
    both.post("/stream", SEGMENT)
    stored = both.post("/stream", LATER)
    held = both.get("/api/v1/global-tags/stream/payloads?major=968654553&minor=1")
    assert held["since"] == [968654553, 0]
    assert held["until"] == [968654553, 750000000]
    assert held["lsn"] == int(stored.headers["X-Ledger-LSN"])
    (payload,) = held["payloads"]
    assert payload["payload_type"] == "strain"
    assert both.ask("GET", payload["href"]).data == LATER.encode()
    assert both.get("/api/v1/global-tags/stream/payloads?major=968654552")["gaps"] == ["strain"]

    frozen = both.post("/api/v1/global-tags/stream/freeze", '{"user":"bob"}').json()
    assert frozen["state"] == "frozen"
    assert both.get("/dsdesc")["dstatus"] == "FROZEN"
    both.post("/flushbuf")
    (kept,) = both.get("/api/v1/global-tags")["global_tags"]
    assert re.fullmatch(r"stream-\d{8}T\d{6}Z", kept["name"])
    assert (kept["state"], kept["fingerprint"]) == ("frozen", frozen["fingerprint"])
    held = both.get(f"/api/v1/global-tags/{kept['name']}/payloads?major=968654553")
    assert held["payloads"] == [payload]


def test_the_type_names_the_channel(both):
    """`?type=` is the payload type; any Content-Type is read as a segment."""
    assert both.post("/stream?type=H1:STRAIN", SEGMENT, Content_Type="text/csv").status == 201
    assert both.post("/stream?type=L1:STRAIN", SEGMENT).status == 201
    kinds = [row["payload_type"] for row in both.get("/api/v1/global-tags/stream")["payload_lists"]]
    assert kinds == ["H1:STRAIN", "L1:STRAIN"]


def test_any_bytes_with_a_moment_are_a_payload(both):
    """Kept as a blob with an IOV, not among the files of the buffer."""
    both.post("/api/v1/global-tags", '{"name":"calib"}')
    body = b"\x00\xffany bytes" * 1000
    stored = both.post("/stream?tag=calib&type=Beam&major=7&minor=1&major_end=9", body)
    assert stored.status == 201
    told = stored.json()
    assert (told["start"], told["end"], told["size"]) == ([7, 1], [9, 0], len(body))
    held = both.get("/api/v1/global-tags/calib/payloads?major=8")
    assert both.ask("GET", held["payloads"][0]["href"]).data == body
    assert both.get("/bufstat")["n_itm"] == 0
    unknown = both.post("/stream?tag=nobody&type=Beam&major=7", body)
    assert (unknown.status, unknown.json()["code"]) == (404, "tag_not_found")


def test_the_same_key_stores_a_segment_once(both):
    """A repeat with the same Idempotency-Key answers as the first did."""
    first = both.post("/stream", SEGMENT, Idempotency_Key="seg-1")
    again = both.post("/stream", SEGMENT, Idempotency_Key="seg-1")
    assert (again.status, again.data) == (first.status, first.data)
    assert both.get("/bufstat")["n_itm"] == 1


def test_reads_go_on_while_the_databuffer_is_away(both):
    """The view answers, and says so; writes are refused with Retry-After and nothing is lost."""
    both.post("/stream", SEGMENT)
    before = {path: both.get(path) for path in ("/bufstat", "/dumpf", "/dumpflog", "/dsdesc")}
    both.buffer.kill()
    eventually(lambda: both.get("/readyz")["databuffer"] == "away")
    assert {path: both.get(path) for path in before} == before
    told = both.ask("GET", "/bufstat")
    assert told.headers["X-Databuffer"] == "away"
    held = both.ask("GET", "/api/v1/global-tags/stream/payloads?major=968654552&minor=300000000")
    assert (held.status, held.headers["X-Databuffer"]) == (200, "away")
    for path in ("/stream", "/flushbuf", "/freezeds", "/api/v1/global-tags", "/api/v1/payloads"):
        told = {"user": "u", "token": "t"} if path == "/freezeds" else {"name": "X"}
        refused = both.post(path, json.dumps(told))
        assert refused.status == 503, path
        assert int(refused.headers["Retry-After"]) >= 1
        assert refused.json()["code"] == "databuffer_away"
    both.buffer.restart()
    both.settle()
    assert both.post("/stream", LATER).status == 201
    assert both.get("/bufstat")["n_itm"] == 2


def test_a_frozen_empty_buffer_is_frozen_for_everyone(tmp_path):
    """No tag is made that could not be frozen, and a retried freeze succeeds below MAX_SIZE."""
    with pair(tmp_path) as both:
        both.http.request("POST", f"{both.buffer.url}/upddsc", body=b'{"user":"a","token":"t"}')
        refused = both.post("/api/v1/global-tags", '{"name":"stream"}')
        assert (refused.status, refused.json()["detail"]) == (503, "Datastore frozen.")
        frozen = both.post("/freezeds", '{"user":"a","token":"t"}')
        assert (frozen.status, frozen.json()) == (201, {"n_itm": 0, "buff_size": 0})


def test_the_streams_tag_is_never_made_in_a_state_that_segments_would_break(tmp_path):
    """Who makes it makes it unlocked, over both contracts; what is frozen gains nothing."""
    with pair(tmp_path) as both:
        for path, told in (
            ("/api/cdb_rest/gt", {"status": "locked"}),
            ("/api/cdb_rest/gt", {"status": "frozen"}),
            ("/api/v1/global-tags", {"state": "locked"}),
        ):
            refused = both.post(path, json.dumps({"name": "stream"} | told))
            assert (refused.status, refused.json()["code"]) == (409, "tag_streamed")
        assert both.post("/stream", LATER).status == 201
        assert both.get("/api/v1/global-tags/stream")["state"] == "unlocked"


def test_no_clone_takes_the_streams_name_while_the_buffer_is_frozen(tmp_path):
    """It would be unlocked, and the buffer is not."""
    with pair(tmp_path) as both:
        both.post("/api/v1/global-tags", '{"name":"source"}')
        both.http.request("POST", f"{both.buffer.url}/upddsc", body=b'{"user":"a","token":"t"}')
        refused = both.post("/api/v1/global-tags/source/clone", '{"name":"stream"}')
        assert (refused.status, refused.json()["detail"]) == (503, "Datastore frozen.")
        assert both.ask("GET", "/api/v1/global-tags/stream").status == 404
