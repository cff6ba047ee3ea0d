"""What becomes of what has come: a thread has it, it is waited for, or it is parted with."""

import json
import socket
from selectors import DefaultSelector

import pytest
from dripping import everything, status
from gunicorn.http.errors import (
    ExpectationFailed,
    InvalidRequestLine,
    LimitRequestHeaders,
    LimitRequestLine,
)
from one_connection import ends

from datastore_logic.serving.connection import Stage
from datastore_logic.serving.gathering import Gathering
from datastore_logic.serving.incoming import GATHERED, MOST_HEAD
from datastore_logic.serving.parting import Parting
from datastore_logic.serving.refusal import failure
from datastore_logic.serving.threads import Threads
from datastore_logic.serving.uploads import Uploads
from datastore_logic.serving.waiting import Waiting

ASK = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
LIVE = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: "
LONG = POST + b"999999\r\n\r\n" + b"x" * GATHERED
ASKING = POST + b"9\r\nExpect: 100-continue\r\n\r\n"


class Place:
    """What a worker's main thread has, with two threads that come to no end."""

    def __init__(self, poller, make):
        self._make = make
        self.gone, self.served = [], []
        self.waiting = Waiting(poller, lambda conn, _: self.gathering.go_on(conn))
        self.parting = Parting(self.waiting, self.gone.append)
        self.threads = Threads(2, 1024)
        self.uploads = Uploads(2, 1024, self.serve)
        self.gathering = Gathering(
            self.waiting, self.parting, self.threads, self.uploads, self.serve
        )

    def serve(self, conn):
        """Hand it to a thread, as the worker does."""
        self.waiting.discard(conn)
        self.threads.take(conn)
        conn.hand_over(lambda: None)
        self.served.append(conn)

    def sent(self, data):
        """Return a connection of which so much has come, and the peer's end."""
        conn, peer = self._make()
        self.goes_on(conn, peer, data)
        return conn, peer

    def goes_on(self, conn, peer, data):
        """Have so much more come."""
        peer.sendall(data)
        self.gathering.go_on(conn)


@pytest.fixture
def place():
    """A main thread's."""
    with DefaultSelector() as poller, ends() as made:
        yield Place(poller, made.make)


# gathering ----------------------------------------------------------------------------------------


def test_a_request_is_waited_for_until_it_is_whole(place):
    """Then a thread has it, whole, and the poller tells no more of it."""
    conn, peer = place.sent(ASK[:9])
    assert (conn in place.waiting, place.served) == (True, [])
    place.goes_on(conn, peer, ASK[9:])
    assert (conn in place.waiting, place.served) == (False, [conn])
    assert next(conn.parser).uri == "/x"


@pytest.mark.parametrize("sent", [LONG, ASKING], ids=["long", "asking"])
def test_an_upload_waits_for_a_place(place, sent):
    """The poller tells nothing of it meanwhile; ordinary requests wait for nobody."""
    first, _ = place.sent(sent)
    second, peer = place.sent(sent[:9])
    place.goes_on(second, peer, sent[9:])
    ordinary, _ = place.sent(ASK)
    assert place.served == [first, ordinary]
    assert (second.stage, second in place.waiting) == (Stage.QUEUED, False)
    place.uploads.has_come(first)
    assert place.served == [first, ordinary, second]


def test_alive_is_answered_here_where_all_threads_are_taken(place):
    """And by a thread where one is free; nothing else is answered here."""
    first, _ = place.sent(LIVE)
    second, _ = place.sent(ASK)
    assert place.served == [first, second]
    third, peer = place.sent(LIVE)
    fourth, _ = place.sent(ASK)
    assert place.served == [first, second, fourth]
    assert third.stage is Stage.PARTING
    assert status(everything(peer)) == 200


def test_threads_that_get_nowhere_are_said_to_be_dead(place, monkeypatch):
    """After `stuck` seconds."""
    monkeypatch.setattr("datastore_logic.serving.gathering.monotonic", lambda: 1e12)
    place.sent(ASK)
    place.sent(ASK)
    _, peer = place.sent(LIVE)
    assert status(everything(peer)) == 503


def test_a_guest_is_answered_a_probe_only(place):
    """And told so as soon as it is known what it wants."""
    for sent, code in ((ASK, 503), (POST + b"9\r\n\r\n", 503), (LONG, 503), (LIVE, 0)):
        conn, peer = place.sent(b"")
        conn.is_guest = True
        place.goes_on(conn, peer, sent[:20])
        assert conn in place.waiting
        place.goes_on(conn, peer, sent[20:])
        if code:
            assert status(everything(peer)) == code
            assert conn.stage is Stage.PARTING
        else:
            assert place.served == [conn]


def test_a_head_that_is_too_long_is_refused(place):
    """No thread sees it."""
    conn, peer = place.sent(b"GET /" + b"x" * MOST_HEAD)
    assert status(everything(peer)) == 431
    assert (conn.stage, place.served) == (Stage.PARTING, [])


def test_who_closes_before_the_request_is_whole_is_gone(place):
    """Nobody is told anything."""
    conn, peer = place.sent(ASK[:9])
    peer.shutdown(socket.SHUT_WR)
    place.gathering.go_on(conn)
    assert (place.gone, conn in place.waiting) == ([conn], False)
    assert everything(peer) == b""


def test_a_connection_that_breaks_is_closed(place):
    """Nobody is told anything."""
    conn, peer = place.sent(ASK[:9])
    conn.sock.offer(b"never read, so that the peer's end is a reset")
    peer.close()
    place.gathering.go_on(conn)
    assert (place.gone, conn in place.waiting) == ([conn], False)


def test_the_next_request_is_waited_for_or_is_there_already(place):
    """What came behind the one that was served is the next one's."""
    conn, peer = place.sent(ASK + LIVE)
    for uri, waits in (("/x", False), ("/livez", True)):
        assert next(conn.parser).uri == uri
        place.gathering.begin_next(conn)
        assert (conn in place.waiting) is waits
    assert (conn.stage, place.served) == (Stage.IDLE, [conn, conn])
    place.goes_on(conn, peer, ASK)
    assert place.served == [conn, conn, conn]


# parting ------------------------------------------------------------------------------------------

TOLD = [
    (Stage.HANDSHAKE, b"", False, 0),
    (Stage.IDLE, b"", False, 0),
    (Stage.HEAD, b"", False, 0),
    (Stage.HEAD, b"GET", False, 408),
    (Stage.BODY, POST, False, 408),
    (Stage.PARTING, b"", False, 0),
    (Stage.HEAD, b"", True, 503),
    (Stage.HEAD, b"GET", True, 503),
    (Stage.HANDSHAKE, b"", True, 0),
    (Stage.PARTING, b"", True, 0),
]


@pytest.mark.parametrize(("stage", "held", "is_guest", "code"), TOLD, ids=range(len(TOLD)))
def test_whose_time_is_over_is_told_so_if_there_is_anything_to_answer(
    place, stage, held, is_guest, code
):
    """A guest that is silent, too; else it is closed without a word."""
    conn, peer = place.sent(held)
    conn.is_guest = is_guest
    conn.enter(stage)
    place.parting.end(conn)
    assert (place.gone == [conn]) is (code == 0)
    answered = everything(peer)
    assert status(answered) == code
    assert (b"Retry-After: 1\r\n" in answered) is (code == 503)


def test_who_was_told_all_is_waited_for_until_it_closes(place):
    """What it still sends is thrown away; the connection is gone once."""
    conn, peer = place.sent(ASK)
    place.parting.part(conn)
    assert everything(peer) == b""
    place.goes_on(conn, peer, b"more" * 100)
    assert (place.gone, conn in place.waiting) == ([], True)
    peer.close()
    place.gathering.go_on(conn)
    assert (place.gone, conn in place.waiting, conn.sock.fileno()) == ([conn], False, -1)


def test_who_goes_on_and_on_is_closed(place):
    """After 64 KiB."""
    conn, peer = place.sent(ASK)
    place.parting.part(conn)
    for sent in range(0, MOST_HEAD, MOST_HEAD // 4):
        assert place.gone == [], sent
        place.goes_on(conn, peer, b"x" * (MOST_HEAD // 4))
    place.goes_on(conn, peer, b"x")
    assert place.gone == [conn]


def test_what_a_thread_has_closed_is_only_forgotten(place):
    """There is nobody to be told, and nothing to be waited for."""
    conn, _ = place.sent(ASK)
    conn.sock.close()
    place.parting.part(conn)
    assert (place.gone, conn in place.waiting) == ([conn], False)


@pytest.mark.parametrize(("stage", "code"), [(Stage.HEAD, 503), (Stage.PARTING, 0)])
def test_who_has_to_make_room_is_told_why_if_it_listens(place, stage, code):
    """And is closed at once."""
    conn, peer = place.sent(b"G")
    conn.enter(stage)
    place.parting.turn_out(conn)
    assert (place.gone, conn in place.waiting, conn.sock.fileno()) == ([conn], False, -1)
    assert status(everything(peer)) == code


FAILURES = [
    (InvalidRequestLine("x"), 400),
    (ExpectationFailed("x"), 417),
    (LimitRequestLine(9, 8), 414),
    (LimitRequestHeaders("x"), 431),
    (ZeroDivisionError("of ours"), 500),
]


@pytest.mark.parametrize(("exc", "code"), FAILURES, ids=[code for _, code in FAILURES])
def test_what_the_parser_refuses_is_the_callers_mistake(caplog, exc, code):
    """All else is ours: it is logged, and its words are told to nobody."""
    answer = failure(exc)
    told = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert status(answer) == code
    assert ("failed around the application" in caplog.text) is (code == 500)
    assert "of ours" not in told["detail"]
