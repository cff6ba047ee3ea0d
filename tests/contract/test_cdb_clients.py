"""What nopayloaddb's clients really send, and what they are told when it cannot be done."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from cdb import Cdb, cdb, fresh, ways
from logic_pair import Pair
from servers import databuffer, eventually, logic


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    """Run both tiers for the tests of this file."""
    with cdb(tmp_path_factory.mktemp("cdb_clients")) as running:
        yield running


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json", "application/x-www-form-urlencoded", "text/plain", "nonsense",
        "multipart/form-data; boundary=x", "application/json; charset=latin-1", None,
    ],
)  # fmt: skip
def test_a_body_is_json_whatever_it_claims_to_be(db, content_type):
    """As `curl -d` sends it, and as libcurl does that is told nothing."""
    headers = {} if content_type is None else {"Content_Type": content_type}
    name = fresh("tag")
    answer = db.ask("POST", "gt", {"name": name, "status": "unlocked"}, **headers)
    assert (answer.status, answer.json()["name"]) == (200, name)


def test_a_put_without_body_nor_length_is_taken(db):
    """As libcurl sends it by `CUSTOMREQUEST` alone."""
    name = fresh("tag")
    db.tag(name)
    address = urlsplit(db.both.logic.url)
    request = (
        f"PUT /api/cdb_rest/gt_change_status/{name}/locked HTTP/1.1\r\n"
        f"Host: {address.netloc}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port), 10) as connection:
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert db.get(f"globalTag/{name}?light=1")["status"] == "locked"


@pytest.mark.parametrize("body", [b"{", b"\xff", b"NaN", b"{}{}", b"\x00"])
def test_a_body_that_is_no_json_is_400(db, body):
    """Never our fault."""
    for path in ("gt", "pt", "pl", "piov", "gtstatus", "bulk_piov"):
        db.refused(400, "POST", path, body)
    for path in ("pl_attach", "piov_attach"):
        db.refused(400, "PUT", path, body)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "nowhere", 404), ("GET", "", 404), ("POST", "globalTags", 405),
        ("DELETE", "gt", 405), ("PATCH", "pl_attach", 405), ("GET", "pl_attach", 405),
        ("GET", "deleteGlobalTag/x", 405), ("POST", "gt_change_status/x/locked", 405),
        ("GET", "gt//5", 404), ("GET", "/gt", 404), ("PUT", "gt_change_status/x/", 404),
        ("DELETE", "deletePayloadIOV/x/Beam/1", 404), ("DELETE", "deleteGlobalTag/a%20b", 400),
        ("POST", "cloneGlobalTag/a%20b/c", 400), ("POST", "cloneGlobalTag/a/b%20c", 400),
        ("DELETE", "deletePayloadType/%00", 400), ("DELETE", "deletePayloadList/x", 400),
    ],
)  # fmt: skip
def test_refusals_are_json_and_lead_nowhere(db, method, path, status):
    """Never a page, never a redirect."""
    db.refused(status, method, path)


@pytest.mark.parametrize("path", ways("timeout"))
def test_a_time_out_is_answered_at_once(db, path):
    """504: the original holds a worker for half an hour."""
    db.refused(504, "GET", path)


@pytest.mark.parametrize("path", ways("web"))
def test_the_web_pages_are_there(db, path):
    """The only answer that is a page."""
    answer = db.ask("GET", path)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/html")


def test_the_same_key_again_changes_nothing(db):
    """A repeat of each kind of write answers as the first did."""
    tag = fresh("tag")
    held = db.tag(tag, "Beam")["Beam"]
    iov = {"payload_url": "u", "checksum": "c", "major_iov": 1, "minor_iov": 0}
    many = [{**iov, "major_iov": 5, "payload_list": held}]
    for method, path, body in (
        ("POST", "gt", {"name": fresh("tag"), "status": "unlocked"}),
        ("POST", "pt", {"name": fresh("Type")}),
        ("POST", "pl", {"payload_type": "Beam"}),
        ("POST", "piov", iov),
        ("POST", "bulk_piov", many),
        ("POST", f"cloneGlobalTag/{tag}/{fresh('tag')}", None),
    ):
        key = fresh("key")
        first, again = (db.ask(method, path, body, Idempotency_Key=key) for _ in range(2))
        assert (first.status, again.status) == (200, 200), path
        assert again.data == first.data, path
        assert again.headers["X-Ledger-LSN"] == first.headers["X-Ledger-LSN"], path


def test_a_key_that_comes_back_with_another_request_is_409(db):
    """It is no race that trying again would win."""
    key = fresh("key")
    db.ask("POST", "pt", {"name": fresh("Type")}, Idempotency_Key=key)
    refused = db.ask("POST", "pt", {"name": fresh("Type")}, Idempotency_Key=key)
    assert (refused.status, refused.json()["code"]) == (409, "idempotency_key_reused")


def test_a_read_waits_for_the_lsn_it_must_reflect(db):
    """X-Min-LSN, with what a write answered."""
    made = db.ask("POST", "gt", {"name": fresh("tag"), "status": "unlocked"})
    lsn = made.headers["X-Ledger-LSN"]
    for path in ("globalTags", "gt", "pt", "pl", "piov", "globalTags?page=1"):
        read = db.ask("GET", path, X_Min_LSN=lsn)
        assert read.status == 200
        assert int(read.headers["X-Ledger-LSN"]) >= int(lsn)


def test_many_writers_at_one_list_all_get_through(db):
    """Clients that know nothing of races: each IOV is attached, none is told to mind the others."""
    held = db.tag(fresh("tag"), "Beam")["Beam"]

    def write(writer):
        moments = range(writer * 100, writer * 100 + 10)
        return [db.insert(held, "u", (major, 0), (major + 1, 0)) for major in moments]

    with ThreadPoolExecutor(4) as writers:
        ids = [iov_id for made in writers.map(write, range(4)) for iov_id in made]
    assert len(set(ids)) == 40
    assert db.get(f"payload-lists/by-name/{held}")["iov_count"] == 40


def test_a_long_list_is_sent_piece_by_piece(db):
    """A reader that goes away in the middle leaves the service as it was."""
    held = db.tag(fresh("tag"), "Beam")["Beam"]
    sent = [
        {"payload_url": "u" * 900, "payload_list": held, "major_iov": major, "minor_iov": 0}
        for major in range(9000)
    ]
    assert db.ask("POST", "bulk_piov", sent).status == 200
    address = urlsplit(db.both.logic.url)
    for _ in range(20):
        with socket.create_connection((address.hostname, address.port), 10) as connection:
            request = f"GET /api/cdb_rest/piov HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n"
            connection.sendall(request.encode())
            assert b"Transfer-Encoding: chunked" in connection.recv(4096)
    whole = db.ask("GET", "piov")
    assert len(json.loads(whole.data)) >= 9000
    assert db.ask("HEAD", "piov").status == 200
    assert db.get("globalTags")
    assert "Traceback" not in db.both.logic.log.read_text()


# the databuffer is away -------------------------------------------------------------------------


@pytest.fixture
def alone(tmp_path):
    """A replica that has lost its databuffer, with a tag, a type, two lists and an IOV."""
    with (
        databuffer(tmp_path) as buffer,
        logic(buffer.url, tmp_path, BUFFER_TIMEOUT="2", VIEW_WAIT="2") as tier,
    ):
        db = Cdb(Pair(buffer, tier))
        db.both.settle()
        held = db.tag("run3", "Beam")["Beam"]
        db.insert(held, "a.root", (1, 0))
        db.ok("POST", "pl", {"payload_type": "Beam"})
        db.piov("b.root", (5, 0))
        buffer.kill()
        eventually(lambda: db.both.ask("GET", "/readyz").json().get("databuffer") == "away")
        yield db
        assert "Traceback" not in tier.log.read_text()


READS = (
    "gtstatus", "gt", "gt/1", "globalTag/run3", "globalTag/run3?light=1", "globalTags",
    "globalTags?page=1", "gtPayloadLists/run3", "pt", "pl", "pl/1", "payload-lists/by-name/Beam_1",
    "piov", "piov/1", "piov?page=1", "payloadiovs/?gtName=run3&majorIOV=5&minorIOV=0",
    "user_settings/CDB_IOV_MODE",
)  # fmt: skip
IOV = {"payload_url": "u", "checksum": "c", "major_iov": 7, "minor_iov": 0}
WRITES = (
    ("POST", "gt", {"name": "run4", "status": "unlocked"}),
    ("POST", "cloneGlobalTag/run3/run4", None),
    ("PUT", "gt_change_status/run3/locked", None),
    ("DELETE", "deleteGlobalTag/run3", None),
    ("DELETE", "deleteGlobalTag/nowhere", None),
    ("POST", "pt", {"name": "Magnet"}),
    ("DELETE", "deletePayloadType/Nothing", None),
    ("POST", "pl", {"payload_type": "Beam"}),
    ("PUT", "pl_attach", {"global_tag": "run3", "payload_list": "Beam_2"}),
    ("DELETE", "deletePayloadList/Beam_2", None),
    ("POST", "piov", IOV),
    ("POST", "bulk_piov", [{**IOV, "payload_list": "Beam_1"}]),
    ("PUT", "piov_attach", {"payload_list": "Beam_1", "piov_id": 2}),
    ("DELETE", "deletePayloadIOV/run3/Beam/1/0", None),
)


def test_without_the_databuffer_reads_go_on_and_writes_are_504(alone):
    """504 is what the C++ client tries again after; and nothing was done."""
    before = {path: alone.get(path) for path in READS}
    for method, path, body in WRITES:
        told = alone.refused(504, method, path, body)
        assert told["code"] in {"databuffer_away", "outcome_unknown"}, path
    for path, told in before.items():
        assert alone.get(path) == told, path
        answer = alone.ask("GET", path)
        if "X-Ledger-LSN" in answer.headers:
            assert answer.headers["X-Databuffer"] == "away", path
    beyond = alone.ask("GET", "globalTags", X_Min_LSN="99999")
    assert (beyond.status, beyond.json()["code"]) == (504, "view_behind")
    assert "Retry-After" in alone.ask("POST", "pt", {"name": "Magnet"}).headers
