"""Who sends or reads too slowly is parted with, and meanwhile everybody else is served."""

import contextlib
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import urllib3
from dripping import connect, dripping, everything, raw, status
from logic_pair import pair
from servers import eventually

HEAD = b"GET /api/v1/global-tags HTTP/1.1\r\nHost: x\r\nX-Slow: "
BODY = b"POST /api/v1/global-tags HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{"
LONG = (
    b"POST /api/v1/payloads HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 70_000
)
CHUNKED = (
    b"POST /api/v1/payloads HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"11170\r\n" + b"x" * 70_000 + b"\r\nfffff\r\n"
)
ASKING = (
    b"POST /api/v1/payloads HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
    b"Expect: 100-continue\r\n\r\n"
)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Run both tiers; the logic tier is as it is by default but for its patience."""
    limits = {"HEADER_TIMEOUT": "3.5", "BODY_TIMEOUT": "3.5", "RATE_READS": "none"}
    with pair(tmp_path_factory.mktemp("slow"), **limits) as running:
        assert running.post("/api/v1/global-tags", '{"name":"X"}').status == 201
        yield running


def workers(both):
    """Return the process ids of the pod's workers."""
    master = both.logic.process.pid
    return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


def sockets(both):
    """Return how many sockets the workers hold."""
    found = 0
    for pid in workers(both):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                found += str(link.readlink()).startswith("socket:")
    return found


def slowest_of(both, many, ask):
    """Ask so many times, ten at once, each on a connection of its own; return the longest wait."""

    def timed(number):
        began = time.monotonic()
        with urllib3.PoolManager(retries=False) as http:
            answer = ask(http, number)
        assert answer.status in {200, 201}, answer.data
        return time.monotonic() - began

    with ThreadPoolExecutor(10) as clients:
        return max(clients.map(timed, range(many)))


def read(both):
    """Return an ordinary read."""
    return lambda http, _: http.request("GET", f"{both.logic.url}/api/v1/global-tags")


def test_a_crowd_of_slow_senders_holds_nobody_up(both):
    """A hundred drip heads, a hundred bodies; twenty others are answered; all is freed."""
    quiet = sockets(both)
    with (
        dripping(both.logic.url, HEAD, 100) as heads,
        dripping(both.logic.url, BODY, 100) as bodies,
    ):
        assert slowest_of(both, 20, read(both)) < 10
        assert heads.open + bodies.open > 150, "they were to be there meanwhile"
        body = json.dumps({"name": "made-meanwhile"})
        made = both.post("/api/v1/global-tags", body)
        assert made.status == 201
        eventually(lambda: not heads.open and not bodies.open, within=20)
        assert {status(answer) for answer in heads.answers + bodies.answers} == {408}
    eventually(lambda: sockets(both) <= quiet + 2)


@pytest.mark.parametrize("begun", [LONG, CHUNKED, ASKING], ids=["long", "chunked", "asking"])
def test_a_crowd_of_slow_uploads_holds_nobody_up(both, begun):
    """Not even those who sent enough to be given a thread; large bodies of others come in, too."""
    with dripping(both.logic.url, begun, 100) as uploads:
        assert slowest_of(both, 20, read(both)) < 10
        assert uploads.open > 50, "they were to be there meanwhile"

        waits = urllib3.Retry(20, status_forcelist=[503], allowed_methods=None)
        with urllib3.PoolManager(retries=waits) as http:
            body = begun[-10:] * 30_000
            assert (
                http.request("POST", f"{both.logic.url}/api/v1/payloads", body=body).status == 201
            )
        eventually(lambda: not uploads.open, within=30)
        asked = b"HTTP/1.1 100 Continue\r\n\r\n"
        assert {status(one.removeprefix(asked)) for one in uploads.answers} <= {408, 503}


def test_who_does_not_read_holds_nobody_up(both):
    """Forty ask for a large payload and do not take it; others are answered meanwhile."""
    stored = both.post("/api/v1/payloads", b"z" * 30_000_000).json()
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            host, _, port = both.logic.url.removeprefix("http://").partition(":")
            connection.connect((host, int(port)))
            connection.sendall(f"GET {stored['href']} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert slowest_of(both, 100, read(both)) < 12
    assert len(both.ask("GET", stored["href"]).data) == 30_000_000


def test_who_does_not_read_need_not_be_waited_for(tmp_path):
    """Nobody waits out their BODY_TIMEOUT: what the system took in their stead is no speed."""
    with pair(tmp_path, RATE_READS="none") as both, contextlib.ExitStack() as stack:
        stored = both.post("/api/v1/payloads", b"z" * 30_000_000).json()
        asked = f"GET {stored['href']} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        for _ in range(40):
            connection = stack.enter_context(socket.socket())
            host, _, port = both.logic.url.removeprefix("http://").partition(":")
            connection.connect((host, int(port)))
            connection.sendall(asked)
        assert slowest_of(both, 20, read(both)) < 25


def test_a_sender_who_keeps_to_the_rate_may_take_his_time(both):
    """Longer than any time-out, and with a pause within it; whole and long bodies alike."""
    for size, piece in ((4_800, 1_200), (120_000, 30_000)):
        body = b"p" * size
        head = b"POST /api/v1/payloads HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        with connect(both.logic.url) as connection:
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % size)
            for start in range(0, size, piece):
                connection.sendall(body[start : start + piece])
                threading.Event().wait(1.0)  # as slow as this is allowed to be
            assert status(everything(connection)) in {200, 201}


@pytest.mark.parametrize("sent", [b"", HEAD[:3]], ids=["nothing", "a-byte"])
def test_a_connection_on_which_no_request_comes_is_closed(both, sent):
    """After HEADER_TIMEOUT: without a word, or 408 where one was begun."""
    began = time.monotonic()
    answered = raw(both.logic.url, sent)
    assert 2.0 < time.monotonic() - began < 20
    assert status(answered) == (408 if sent else 0)
    if sent:
        told = json.loads(answered.partition(b"\r\n\r\n")[2])
        assert told["code"] == "too_slow"
        assert f"X-Request-Id: {told['request_id']}".encode() in answered


def test_a_client_that_leaves_its_end_open_stops_nobody(both):
    """Thirty say Connection: close and do not; each is answered, and so are all others."""
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            connection = stack.enter_context(connect(both.logic.url))
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert status(everything(connection)) == 200
        assert slowest_of(both, 20, read(both)) < 3


def test_what_is_on_its_way_at_sigterm_is_served(tmp_path):
    """A long body, a short one and half a head come to their end; the tier then exits with 0."""
    with pair(tmp_path) as both, contextlib.ExitStack() as stack:
        half = b"POST /api/v1/payloads HTTP/1.1\r\nHost: x\r\nContent-Length: "
        begun = {
            half + b"200000\r\n\r\n" + b"u" * 100_000: b"u" * 100_000,
            half + b"2000\r\n\r\n" + b"u" * 1000: b"u" * 1000,
            b"GET /livez HTTP/1.1\r\nHost": b": x\r\n\r\n",
        }
        clients = [stack.enter_context(connect(both.logic.url)) for _ in begun]
        for client, sent in zip(clients, begun, strict=True):
            client.sendall(sent)
        assert both.ask("GET", "/livez").status == 200  # they have been heard by then
        both.logic.process.terminate()
        for client, rest in zip(clients, begun.values(), strict=True):
            client.sendall(rest)
        assert [status(everything(client)) for client in clients] == [201, 201, 200]
        assert both.logic.ended(15) == 0
