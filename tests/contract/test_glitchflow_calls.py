"""Contract C of the digital-twin datastore, row by row, through gunicorn and a real databuffer."""

import json
import re

import pytest
from logic_pair import pair

SEGMENT = '{"h":[1.0,2.5,-3e-21],"t":[968654552.25,0.25]}'
LATER = '{"h":[1.0,2.5,-3e-21],"t":[968654553.0,0.25]}'
WHO = '{"user":"alice","token":"s3cret"}'
FLUSH = '{"msg":"flush"}'


@pytest.fixture
def both(tmp_path):
    """Run both tiers, with a threshold of two small segments."""
    with pair(tmp_path, MAX_SIZE=str(len(SEGMENT) + 1)) as running:
        yield running


@pytest.fixture(scope="module")
def open_ones(tmp_path_factory):
    """Run both tiers for what changes nothing."""
    with pair(tmp_path_factory.mktemp("twin"), MAX_SEGMENT_BYTES="10000") as running:
        yield running


def asked(both, path, body, **headers):
    """Return the JSON of a POST that must answer 200."""
    answer = both.post(path, body, **headers)
    assert answer.status == 200, answer.data
    return answer.json()


def test_a_campaign_in_the_twins_words(both):
    """Stream, wait, stream, train, train again, refuse, clean, stream: as the contract says."""
    assert both.get("/stats") == {"n_itm": 0, "buff_size": 0}
    assert both.get("/dumpbuf") == {"nmlist": []}
    assert both.get("/desc") == {"resp": "OPERATIONAL"}

    created = asked(both, "/streamdata", SEGMENT)
    assert created["resp"] == "CREATED"
    assert re.fullmatch(rf"Written gwb\d+\.json for {len(SEGMENT)} bytes", created["body"])
    assert asked(both, "/train", WHO) == {"resp": "WAITING"}

    assert asked(both, "/streamdata", LATER)["resp"] == "CREATED"
    size = {"n_itm": 2, "buff_size": len(SEGMENT) + len(LATER)}
    frozen = {"resp": "FROZEN", "n_f": 2, "bt_wrt": size["buff_size"]}
    assert both.get("/stats") == size
    assert both.get("/dumpbuf") == both.get("/dumpf")
    assert asked(both, "/train", WHO) == frozen
    assert asked(both, "/train", '{"user":"the retry","token":"another"}') == frozen
    assert both.get("/desc") == {"resp": "FROZEN"}
    assert both.get("/dsdesc")["user"] == "alice"

    assert asked(both, "/streamdata", SEGMENT) == {"resp": "FROZEN", "body": "Datastore frozen."}
    assert both.get("/stats") == size
    assert asked(both, "/cleanbuf", FLUSH) == {"resp": "CLEANED", "body": "Buffer cleaned"}
    assert both.get("/desc") == {"resp": "OPERATIONAL"}
    assert both.get("/dumpbuf") == {"nmlist": []}
    assert asked(both, "/streamdata", SEGMENT)["resp"] == "CREATED"


def test_what_is_frozen_is_frozen_for_train_below_the_threshold(both):
    """A retried task must not fail because MAX_SIZE was raised, or somebody froze early."""
    asked(both, "/streamdata", SEGMENT)
    frozen = both.http.request("POST", f"{both.buffer.url}/upddsc", body=WHO)
    assert frozen.status == 201
    told = {"resp": "FROZEN", "n_f": 1, "bt_wrt": len(SEGMENT)}
    assert asked(both, "/train", WHO) == told
    both.logic.environ["MAX_SIZE"] = "1000000000"
    both.logic.stop()
    both.logic.restart()
    both.settle()
    assert asked(both, "/train", WHO) == told


def test_a_long_signed_token_freezes(both):
    """The twin's identity tokens have a thousand characters and more; none is kept."""
    for body in (SEGMENT, LATER):
        asked(both, "/streamdata", body)
    token = "eyJhbGciOi." * 300
    assert asked(both, "/train", json.dumps({"user": "", "token": token}))["resp"] == "FROZEN"
    assert re.fullmatch("sha256:[0-9a-f]{12}", both.get("/dsdesc")["token"])


def test_the_channel_and_the_key_are_taken_as_by_stream(both):
    """`?type=` is the payload type, and the same Idempotency-Key stores once, frozen or not."""
    first = asked(both, "/streamdata?type=L1:STRAIN", SEGMENT, Idempotency_Key="seg-1")
    again = asked(both, "/streamdata?type=L1:STRAIN", SEGMENT, Idempotency_Key="seg-1")
    assert again == first
    assert both.get("/stats")["n_itm"] == 1
    (held,) = both.get("/api/v1/global-tags/stream/payloads?major=968654552&minor=300000000")[
        "payloads"
    ]
    assert held["payload_type"] == "L1:STRAIN"
    other = both.post("/streamdata?type=L1:STRAIN", LATER, Idempotency_Key="seg-1")
    assert (other.status, other.json()["resp"]) == (409, "ERROR")
    assert other.json()["code"].lower() == "idempotency_key_reused"

    asked(both, "/streamdata", LATER)
    assert asked(both, "/train", WHO)["resp"] == "FROZEN"
    late = asked(both, "/streamdata?type=L1:STRAIN", SEGMENT, Idempotency_Key="seg-1")
    assert late == first, "what was stored before the freeze is stored"


def test_a_key_that_froze_once_does_not_say_frozen_for_ever(both):
    """After a clean and a new filling, FROZEN means that this one is frozen."""
    for body in (SEGMENT, LATER):
        asked(both, "/streamdata", body)
    first = asked(both, "/train", WHO, Idempotency_Key="the task")
    assert asked(both, "/train", WHO, Idempotency_Key="the task") == first
    for _ in range(2):
        asked(both, "/cleanbuf", FLUSH, Idempotency_Key="the clean")
    assert asked(both, "/train", WHO, Idempotency_Key="the task") == {"resp": "WAITING"}
    for body in (SEGMENT, LATER, SEGMENT):
        asked(both, "/streamdata", body)
    asked(both, "/cleanbuf", FLUSH, Idempotency_Key="the clean")
    assert both.get("/stats")["n_itm"] == 3, "the same key cleans once"
    assert asked(both, "/train", WHO, Idempotency_Key="the task")["n_f"] == 3
    assert both.get("/desc") == {"resp": "FROZEN"}


def test_sample_times_are_taken_as_the_shell_client_sends_them(both):
    """As many times as samples: contract A takes them, so this does."""
    sampled = '{"h":[1.0,2.0,3.0],"t":[10.0,10.5,11.0]}'
    assert asked(both, "/streamdata", sampled)["resp"] == "CREATED"
    held = both.get("/api/v1/global-tags/stream/payloads?major=11&minor=250000000")
    assert held["payloads"][0]["end"] == [11, 500000000]


def test_the_page_is_where_dspage_leads(both):
    """303, without a host, and a browser lands on the status page."""
    answer = both.http.request("GET", f"{both.logic.url}/dspage", redirect=False)
    assert (answer.status, answer.headers["Location"], answer.data) == (303, "/", b"")
    landed = both.http.request("GET", f"{both.logic.url}/dspage", retries=3)
    assert landed.status == 200
    assert landed.headers["Content-Type"].startswith("text/html")


# Malformed -------------------------------------------------------------------------------------

ANY = ["", "{", "[]", "null", "1", '"x"', "\xff\xfe", "[" * 9000]
OBJECTS = {
    "/train": ["{}", '{"user":"u"}', '{"token":"t"}', '{"user":1,"token":"t"}',
               '{"user":"u","token":null}', '{"user":"u","token":["t"]}',
               json.dumps({"user": "u" * 201, "token": "t"}), '{"user":"a\\nb","token":"t"}',
               json.dumps({"user": "u", "token": "t" * 10_001}), '{"user":"u","token":"\\u0000"}'],
    "/cleanbuf": ["{}", '{"msg":1}', '{"msg":null}', '{"message":"x"}', '{"msg":["x"]}'],
    "/streamdata": ["{}", '{"h":[1]}', '{"t":[0,1]}', '{"h":[],"t":[0,1]}', '{"h":["1"],"t":[0,1]}',
                    '{"h":[true],"t":[0,1]}', '{"h":[NaN],"t":[0,1]}', '{"h":[1],"t":"0,1"}',
                    '{"h":[1],"t":[0]}', '{"h":[1],"t":[0,0]}', '{"h":[1],"t":[-1,1]}',
                    '{"h":[1,2,3],"t":[0,2,1]}', '{"h":[1],"t":[0,1]} x'],
}  # fmt: skip
MALFORMED = [(path, body) for path, those in OBJECTS.items() for body in [*ANY, *those]]


@pytest.mark.parametrize(("path", "body"), MALFORMED, ids=range(len(MALFORMED)))
def test_what_is_malformed_is_422_and_changes_nothing(open_ones, path, body):
    """Not JSON, no object, a field missing or of another type; `detail` and `code` say what."""
    before = open_ones.get("/readyz")["applied_lsn"]
    refused = open_ones.post(path, body.encode("latin-1"))
    assert refused.status == 422, refused.data
    told = refused.json()
    assert told["detail"]
    assert told["code"]
    assert "resp" not in told
    assert open_ones.get("/readyz")["applied_lsn"] == before


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/train", '{"user":"u"}', "token"),
        ("/train", '{"user":7,"token":"t"}', "user"),
        ("/cleanbuf", "{}", "msg"),
        ("/streamdata", '{"h":[1,"2"],"t":[0,1]}', "h[1]"),
        ("/streamdata", '{"h":[1],"t":[0,-1]}', "t[1]"),
        ("/streamdata?type=a/b", '{"h":[1],"t":[0,1]}', "type"),
    ],
)
def test_a_refusal_names_the_field(open_ones, path, body, field):
    """So that who reads it need not guess."""
    refused = open_ones.post(path, body)
    assert (refused.status, refused.json()["field"].lower()) == (422, field)


def test_what_the_databuffer_calls_malformed_is_malformed_here(open_ones):
    """One judge for both contracts: each body that /stream answers 400 is 422 here, no other."""
    for body in OBJECTS["/streamdata"]:
        by_stream = open_ones.post("/stream", body.encode("latin-1"))
        assert by_stream.status == 400, body
        here = open_ones.post("/streamdata", body.encode("latin-1"))
        assert told(here) == told(by_stream)


@pytest.mark.parametrize("path", OBJECTS)
def test_other_refusals_keep_their_status_and_say_error(open_ones, path):
    """413 too large; resp and body for the twin's clients, detail and code for ours."""
    limit = 10_000 if path == "/streamdata" else 1 << 20
    refused = open_ones.post(path, b" " * (limit + 1), Connection="close")
    assert refused.status == 413
    told = refused.json()
    assert (told["resp"], told["code"]) == ("ERROR", "too_large")
    assert told["body"] == told["detail"]
    assert open_ones.ask("GET", path).status == 405


def test_no_content_type_is_needed(open_ones):
    """The originals send none, or a form's."""
    sent = open_ones.post("/train", WHO, Content_Type="application/x-www-form-urlencoded")
    assert sent.json() == {"resp": "WAITING"}


def told(answer):
    """Return what a refusal says, but for the id of its request."""
    return {name: said for name, said in answer.json().items() if name != "request_id"}
