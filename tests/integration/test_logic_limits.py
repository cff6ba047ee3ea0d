"""The bounds of a request, of a caller, of a crowd: refused by name, quickly, nothing changed."""

import contextlib
import gzip
import http.client
import json
import resource
import time
from pathlib import Path

import pytest
from dripping import connect, raw, status
from logic_pair import pair
from servers import eventually

from datastore_logic.web.bounds import DEPTH

MOST = 500


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Run both tiers; the logic tier takes few payload IOVs at once."""
    with pair(tmp_path_factory.mktemp("limits"), MAX_IOVS=str(MOST)) as running:
        assert running.post("/api/v1/global-tags", '{"name":"X"}').status == 201
        assert running.post("/api/v1/payload-types", '{"name":"Beam"}').status == 201
        yield running


@pytest.fixture
def unchanged(both):
    """Check that what a test asks for changes nothing."""
    before = both.get("/api/v1/global-tags")["lsn"]
    yield
    assert both.get("/api/v1/global-tags")["lsn"] == before


def workers(both):
    """Return the process ids of the pod's workers."""
    master = both.logic.process.pid
    return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


def peak(both):
    """Return the most memory that a worker has ever held, in MiB."""
    lines = [
        line
        for pid in workers(both)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    ]
    return max(int(line.split()[1]) for line in lines) >> 10


def iovs(many):
    """Return so many payload IOVs in v1's shape."""
    return [
        {"payload_type": "Beam", "start": [at, 0], "end": [at + 1, 0], "name": f"a,{{{at}}}[]"}
        for at in range(many)
    ]


# bodies -----------------------------------------------------------------------------------------


def test_as_many_iovs_as_may_be_are_taken_and_one_more_is_not(both):
    """The refusal names the limit and the field, and the tag is as it was."""
    path = "/api/v1/global-tags/X/iovs"
    refused = both.post(path, json.dumps({"iovs": iovs(MOST + 1)}))
    assert refused.status == 413
    told = refused.json()
    assert (told["code"], told["field"]) == ("too_large", "iovs")
    assert f"at most {MOST} payload IOVs in one request (MAX_IOVS)" in told["detail"]
    assert both.get("/api/v1/global-tags/X")["payload_iov_count"] == 0
    assert both.post(path, json.dumps({"iovs": iovs(MOST)})).status == 201


def test_nopayloaddbs_bulk_has_the_same_limit(both, unchanged):
    """In its own shape."""
    row = {"payload_list": "Beam_1", "payload_url": "u", "major_iov": 1, "minor_iov": 0}
    refused = both.post("/api/cdb_rest/bulk_piov", json.dumps([row] * (MOST + 1)))
    assert refused.status == 413
    assert b"MAX_IOVS" in refused.data


HUGE = {"objects": b"{}", "arrays": b"[]", "strings": b'"ab"'}
LENGTH = 32_500_000


@pytest.mark.parametrize("what", HUGE)
@pytest.mark.parametrize("path", ["/api/v1/global-tags/X/iovs", "/api/cdb_rest/bulk_piov"])
def test_what_would_become_gigabytes_is_never_read(both, unchanged, path, what):
    """33 MB of it are refused by number, and cost little more than themselves."""
    each = HUGE[what]
    body = b"[%b%b]" % ((each + b",") * (LENGTH // (len(each) + 1)), each)
    before = peak(both)
    refused = both.post(path, body)
    assert refused.status == 413
    assert refused.json()["code"] == "too_large"
    assert peak(both) < before + 200


@pytest.mark.parametrize(
    "path", ["/api/v1/global-tags", "/api/v1/global-tags/X/iovs", "/api/cdb_rest/gt", "/freezeds"]
)
@pytest.mark.parametrize("levels", [DEPTH + 1, 200, 900, 1020, 100_000])
def test_deep_json_is_refused(both, unchanged, path, levels):
    """A little too deep, as deep as the parser would go, and beyond."""
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        inner = opening * (levels - 1) + "1" + closing * (levels - 1)
        refused = both.post(path, f'{{"name":{inner}}}')
        assert refused.status in {400, 413}, refused.data
        assert refused.json()["detail"]


BOMB = gzip.compress(bytes(1 << 20)) * 100
"""A hundred MiB in a hundred KiB: a file of gzip may have many members."""


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "x-gzip", "gzip, gzip"])
@pytest.mark.parametrize("path", ["/api/v1/global-tags", "/api/v1/payloads", "/stream"])
def test_packed_bodies_are_refused(both, unchanged, path, coding):
    """By their header, whatever the packing: a bomb is not unpacked, nor are its bytes kept."""
    before = peak(both)
    refused = both.post(path, BOMB, Content_Encoding=coding, Connection="close")
    assert refused.status == 415
    assert refused.json()["code"] == "unsupported_encoding"
    assert peak(both) < before + 40


def test_identity_is_no_coding(both):
    """It says that nothing was done."""
    assert both.post("/api/v1/payloads", b"as it is", Content_Encoding="identity").status == 201


def test_a_refusal_carries_the_id_of_its_request(both):
    """Also where no request was understood."""
    answered = raw(both.logic.url, b"nonsense\r\n\r\n")
    head, _, body = answered.partition(b"\r\n\r\n")
    assert f"X-Request-Id: {json.loads(body)['request_id']}".encode() in head


# heads ------------------------------------------------------------------------------------------

HEADS = [
    (b"GET /" + b"a" * 4200 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    (b"GET /" + b"a" * 200_000, 431),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 8200 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 101 + b"\r\n", 431),
    (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 1_000_000, 431),
    (b"GET / HTTP/1.1\r\nX: " + b"a" * 1_000_000, 431),
]


@pytest.mark.parametrize(("sent", "expected"), HEADS, ids=range(len(HEADS)))
def test_a_head_that_is_a_flood_is_refused(both, sent, expected):
    """By its line, its fields, their number, their sum: at once, however it would go on."""
    began = time.monotonic()
    assert status(raw(both.logic.url, sent)) == expected
    assert time.monotonic() - began < 9  # HEADER_TIMEOUT is 10


def test_a_head_within_the_limits_is_served(both):
    """A hundred fields, four thousand letters in the URL, eight thousand in a field."""
    fields = b"".join(b"X-%d: a\r\n" % number for number in range(97))
    fields += b"Y: " + b"a" * 8000 + b"\r\nConnection: close\r\n"
    sent = b"GET /livez?" + b"a" * 4000 + b" HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n"
    assert status(raw(both.logic.url, sent)) == 200


# crowds -----------------------------------------------------------------------------------------


def test_beyond_max_connections_one_is_told_so(tmp_path):
    """At once, with 503; idle ones give way; when others leave there is room again."""
    with (
        pair(tmp_path, MAX_CONNECTIONS="20", HEADER_TIMEOUT="60") as both,
        contextlib.ExitStack() as stack,
    ):
        both.http.clear()
        busy = []
        for _ in range(24):
            one = stack.enter_context(connect(both.logic.url))
            one.sendall(b"GET /livez HTTP/1.1\r\nX: ")
            busy.append(one)

        def refused():
            return raw(both.logic.url, b"", timeout=30)  # sooner than HEADER_TIMEOUT

        eventually(lambda: status(refused()) == 503)
        told = refused()
        assert b"Retry-After: 1" in told
        assert b'"code":"busy"' in told
        assert cpu_seconds(both, 1.0) < 0.5, "the workers spin"
        for one in busy:
            one.close()
        eventually(lambda: status(raw(both.logic.url, LIVE)) == 200)


LIVE = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def cpu_seconds(both, seconds):
    """Return the processor time that the workers take in so many seconds."""

    def taken():
        ticks = 0
        for pid in workers(both):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / 100

    before = taken()
    time.sleep(seconds)
    return taken() - before


def test_idle_connections_give_way(tmp_path):
    """As many clients as like keep theirs open; each new one is served all the same."""
    with pair(tmp_path, MAX_CONNECTIONS="20") as both, contextlib.ExitStack() as stack:
        host = both.logic.url.removeprefix("http://")
        for _ in range(60):
            one = http.client.HTTPConnection(host, timeout=30)
            stack.callback(one.close)
            one.request("GET", "/livez")
            assert one.getresponse().read() == b'{"alive":true}'


def test_without_a_file_left_the_workers_wait_and_do_not_spin(tmp_path):
    """Where connections cannot be accepted, they are when some are closed."""
    with pair(tmp_path, HEADER_TIMEOUT="60") as both:
        both.http.clear()
        for pid in workers(both):
            open_files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
            limit_files(pid, open_files + 5)
        with contextlib.ExitStack() as stack:
            for _ in range(40):
                one = stack.enter_context(connect(both.logic.url))
                one.sendall(b"GET /livez HTTP/1.1\r\nX: ")
            eventually(lambda: "no connection is accepted" in both.logic.log.read_text())
            assert cpu_seconds(both, 2.0) < 0.6
            assert both.logic.log.read_text().count("no connection is accepted") < 20
            assert len(workers(both)) == 2
        eventually(lambda: status(raw(both.logic.url, LIVE)) == 200)


def limit_files(pid, most):
    """Let a process have so many open files."""
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, most))


# rates ------------------------------------------------------------------------------------------


def test_a_caller_over_his_rate_is_told_when_to_come_again(tmp_path):
    """One limit of the pod for both workers, reads and writes apart; probes are not counted."""
    with pair(tmp_path, AUTH="off", RATE_READS="40/day", RATE_WRITES="20/day") as both:

        def burst(method, path, body=None):
            return [both.ask(method, path, body, Connection="close") for _ in range(60)]

        reads = burst("GET", "/api/v1/global-tags")
        assert [answer.status for answer in reads] == [200] * 40 + [429] * 20
        refused = reads[-1]
        assert refused.json()["code"] == "too_many_requests"
        assert abs(int(refused.headers["Retry-After"]) - (86_400 - time.time() % 86_400)) < 60
        writes = burst("POST", "/api/v1/global-tags", '{"name":"same"}')
        assert [answer.status for answer in writes] == [201] + [200] * 19 + [429] * 40
        assert {answer.status for answer in burst("GET", "/livez")} == {200}


def test_who_guesses_is_slowed_and_who_knows_is_not(tmp_path):
    """Failed authentications are counted by address; a right credential beside them is served."""
    secrets = {"ADMIN_TOKEN": "a" * 40, "RATE_FAILURES": "10/day"}
    with pair(tmp_path, **secrets) as both:
        body, right = '{"name":"X"}', f"Bearer {'a' * 40}"
        wrong = [
            both.post("/api/v1/global-tags", body, Authorization=f"Bearer {number}").status
            for number in range(20)
        ]
        assert wrong == [401] * 10 + [429] * 10
        assert both.post("/api/v1/global-tags", body, Authorization=right).status == 201
        assert both.post("/api/v1/global-tags", body).status == 429


def test_a_proxy_that_is_trusted_says_whom_it_asks_for(tmp_path):
    """Callers behind it are counted apart; who is not trusted cannot say who he is."""
    for trusted, passed in (("127.0.0.1", 30), ("10.0.0.0/8", 10)):
        folder = tmp_path / trusted.replace("/", "-")
        folder.mkdir()
        with pair(folder, AUTH="off", TRUSTED_PROXIES=trusted, RATE_READS="10/day") as both:
            answers = [
                both.ask("GET", "/api/v1/global-tags", X_Forwarded_For=f"6.6.6.6, 192.0.2.{n}")
                for n in (1, 2, 3)
                for _ in range(15)
            ]
            assert [answer.status for answer in answers].count(200) == passed
