"""Our own API through gunicorn and a real databuffer: tags, resolution, payloads, health, page."""

import hashlib
import json

import pytest
import urllib3
from logic_pair import pair


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Run both tiers for the tests of this file."""
    with pair(tmp_path_factory.mktemp("v1")) as running:
        yield running


def test_a_tag_is_made_once(both):
    """201 the first time, 200 and the same row again."""
    made = both.post("/api/v1/global-tags", '{"name":"made","description":"for O4"}')
    again = both.post("/api/v1/global-tags", '{"name":"made"}')
    assert (made.status, again.status) == (201, 200)
    assert made.json() == again.json()
    assert made.json() | {"name": "made", "state": "unlocked", "fingerprint": None} == made.json()
    assert "made" in [tag["name"] for tag in both.get("/api/v1/global-tags")["global_tags"]]


def test_freezing_is_for_ever_and_answers_the_same_again(both):
    """The fingerprint is the one that ten lines compute from what the API shows."""
    both.post("/api/v1/global-tags", '{"name":"cold"}')
    both.post("/stream?tag=cold&type=Beam&major=5&name=b%22%C3%A9", b"beam")
    frozen = both.post("/api/v1/global-tags/cold/freeze", '{"user":"alice","reason":"O4"}')
    again = both.post("/api/v1/global-tags/cold/freeze").json()
    assert frozen.json() | {"report": None} == again | {"report": None}
    digest = f"sha256:{hashlib.sha256(b'beam').hexdigest()}"
    row = json.dumps(
        [5, 0, None, None, 'b"é', None, digest], separators=(",", ":"), ensure_ascii=False
    )
    timeline = hashlib.sha256(f"{row}\n".encode()).hexdigest()
    line = json.dumps(["Beam", timeline], separators=(",", ":"))
    assert frozen.json()["fingerprint"] == hashlib.sha256(f"{line}\n".encode()).hexdigest()
    refused = both.post("/stream?tag=cold&type=Beam&major=9", b"late")
    assert (refused.status, refused.json()["code"]) == (409, "tag_frozen")


def test_an_answer_revalidates_until_the_tag_is_touched(both):
    """ETag and no-cache; 304 as long as nothing touched the tag."""
    both.post("/api/v1/global-tags", '{"name":"warm"}')
    url = "/api/v1/global-tags/warm/payloads?major=5"
    first = both.ask("GET", url)
    assert first.headers["Cache-Control"] == "no-cache"
    both.post("/api/v1/global-tags", '{"name":"warmer"}')
    unchanged = both.ask("GET", url, If_None_Match=first.headers["ETag"])
    assert (unchanged.status, unchanged.data) == (304, b"")
    both.post("/stream?tag=warm&type=Beam&major=1", b"x")
    assert both.ask("GET", url, If_None_Match=first.headers["ETag"]).status == 200


def test_a_fingerprint_names_frozen_content_for_ever(both):
    """`TAG@<fingerprint>` answers the same bytes, cacheable for ever, after a clean as well."""
    both.post("/stream", '{"h":[1,2],"t":[100,1]}')
    mark = both.post("/api/v1/global-tags/stream/freeze").json()["fingerprint"]
    url = f"/api/v1/global-tags/stream@{mark}/payloads?major=101"
    frozen = both.ask("GET", url)
    assert frozen.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    both.post("/flushbuf")
    both.post("/stream", '{"h":[3,4],"t":[100,1]}')
    assert both.ask("GET", url).data == frozen.data
    assert (
        frozen.json()["payloads"]
        != both.get("/api/v1/global-tags/stream/payloads?major=101")["payloads"]
    )
    assert both.ask("GET", url, If_None_Match=frozen.headers["ETag"]).status == 304


@pytest.mark.parametrize(
    ("name", "status"),
    [(f"stream@{'0' * 64}", 404), (f"made@{'0' * 64}", 404), ("stream@-1", 400), ("a@b@c", 400)],
)
def test_no_other_content_answers_to_a_fingerprint(both, name, status):
    """Unknown is 404, what is no fingerprint 400."""
    for url in (f"/api/v1/global-tags/{name}", f"/api/v1/global-tags/{name}/payloads?major=1"):
        assert both.ask("GET", url).status == status


def test_a_payload_is_stored_once_and_read_in_parts(both):
    """201 then 200; ranges, HEAD and revalidation reach the databuffer and come back."""
    body = bytes(range(256)) * 40
    stored = both.post("/api/v1/payloads", body)
    again = both.post("/api/v1/payloads", body)
    assert (stored.status, again.status) == (201, 200)
    assert stored.json() == again.json()
    told = stored.json()
    assert told["digest"] == f"sha256:{hashlib.sha256(body).hexdigest()}"
    assert told["size"] == len(body)
    whole = both.ask("GET", told["href"])
    assert whole.data == body
    part = both.ask("GET", told["href"], Range="bytes=10-19")
    assert (part.status, part.data) == (206, body[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(body)}"
    beyond = both.ask("GET", told["href"], Range="bytes=999999-")
    assert beyond.status == 416
    head = both.ask("HEAD", told["href"])
    assert (head.headers["Content-Length"], head.data) == (str(len(body)), b"")
    known = both.ask("GET", told["href"], If_None_Match=whole.headers["ETag"])
    assert (known.status, known.data) == (304, b"")
    assert "immutable" in whole.headers["Cache-Control"]


def test_a_chunked_upload_of_some_megabytes_passes_through(both):
    """Without a Content-Length the bytes arrive all the same."""
    pieces = [bytes([number]) * 700_000 for number in range(8)]
    stored = both.http.request(
        "POST", f"{both.logic.url}/api/v1/payloads", body=iter(pieces), chunked=True
    )
    assert stored.status == 201
    assert stored.json()["size"] == sum(map(len, pieces))
    assert both.ask("GET", stored.json()["href"]).data == b"".join(pieces)


def test_an_unknown_payload_is_404(both):
    """Nothing of that digest is kept."""
    url = f"/api/v1/payloads/sha256/{'0' * 64}"
    missing = both.ask("GET", url)
    assert (missing.status, missing.json()["code"]) == (404, "payload_not_found")
    assert both.ask("HEAD", url).status == 404
    assert both.ask("GET", url).status == 404


def test_a_read_says_what_it_reflects_and_waits_for_more(both):
    """X-Ledger-LSN on reads; X-Min-LSN waits, and gives up with Retry-After."""
    made = both.post("/api/v1/global-tags", '{"name":"seen"}')
    lsn = made.headers["X-Ledger-LSN"]
    read = both.ask("GET", "/api/v1/global-tags/seen", X_Min_LSN=lsn)
    assert int(read.headers["X-Ledger-LSN"]) >= int(lsn)


def test_a_request_keeps_its_id(both):
    """A sane X-Request-Id comes back; another is replaced; an error carries it too."""
    assert both.ask("GET", "/livez", X_Request_Id="job-17").headers["X-Request-Id"] == "job-17"
    assert both.ask("GET", "/livez", X_Request_Id="a b").headers["X-Request-Id"] != "a b"
    assert both.ask("GET", "/nowhere", X_Request_Id="job-18").headers["X-Request-Id"] == "job-18"


def test_health_and_metrics(both):
    """Alive, ready with where it stands, and counters of both workers in one exposition."""
    assert both.get("/livez") == {"alive": True}
    told = both.get("/readyz")
    assert (told["ready"], told["databuffer"], told["writes"]) == (True, "reachable", True)
    text = both.ask("GET", "/metrics").data.decode()
    assert "condstore_logic_applied_lsn" in text
    assert 'condstore_logic_requests_total{method="GET",route="/livez",status="200"}' in text


def test_the_page_escapes_what_it_shows_and_runs_nothing(both):
    """Strict CSP, nothing inline; a hostile operator's name is text."""
    both.post("/stream", '{"h":[1],"t":[5,1]}')
    hostile = '<script>alert("x")</script>'
    both.post("/api/v1/global-tags/stream/freeze", json.dumps({"user": hostile}))
    page = both.ask("GET", "/")
    html = page.data.decode()
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert "<script" not in html
    assert "style=" not in html
    assert "&lt;script&gt;" in html
    for shown in ("FROZEN", "gwb", "stream", "databuffer reachable"):
        assert shown in html
    sheet = both.ask("GET", "/static/status.css")
    assert (sheet.status, sheet.headers["Content-Type"]) == (200, "text/css; charset=utf-8")


def test_a_busy_port_is_one_line(both):
    """The second replica on the port says so and ends, without a traceback."""
    status, lines = both.logic.refusal()
    assert status != 0
    (line,) = lines
    assert "cannot start" in line
    assert both.logic.environ["PORT"] in line


def test_a_client_that_sends_half_a_payload_leaves_nothing(both):
    """The length announced was longer: refused, and not kept under the digest of the half."""
    half = b"half of it"
    with urllib3.HTTPConnectionPool("127.0.0.1", int(both.logic.environ["PORT"])) as http:
        connection = http.ConnectionCls("127.0.0.1", int(both.logic.environ["PORT"]))
        connection.putrequest("POST", "/api/v1/payloads")
        connection.putheader("Content-Length", "1000")
        connection.endheaders()
        connection.send(half)
        connection.close()
    missing = both.ask("GET", f"/api/v1/payloads/sha256/{hashlib.sha256(half).hexdigest()}")
    assert missing.status == 404


def test_it_stops_cleanly(tmp_path):
    """SIGTERM ends it with status 0, both workers and the follower with it."""
    with pair(tmp_path) as running:
        assert running.logic.stop() == 0
        assert running.buffer.stop() == 0
