"""Who comes where every connection is taken: told so, but for probes."""

import pytest
from one_connection import ends

from datastore_logic.serving.connection import Stage
from datastore_logic.serving.guests import GUEST_SPEAKS, GUESTS, Guests, is_refused
from datastore_logic.serving.incoming import Outlook
from datastore_logic.serving.pace import Limits


@pytest.fixture
def make():
    """Make connections that are closed at the end."""
    with ends() as made:
        yield made.make


class Guest:
    """As much of a connection as is looked at."""

    is_guest = False

    def __init__(self, stage=Stage.HEAD):
        self.stage, self.limits = stage, Limits()


@pytest.mark.parametrize(("patience", "has"), [(10.0, GUEST_SPEAKS), (0.5, 0.5)])
def test_a_guest_has_a_second_to_speak(make, patience, has):
    """Or less, where everybody has; the time for all else is as for others."""
    conn, _peer = make(Limits(head=patience, body=7))
    Guests().welcome(conn)
    assert conn.is_guest
    assert (conn.limits.head, conn.limits.body) == (has, 7)
    assert conn.is_late(conn.since + has + 0.1, stopping=False)
    assert not conn.is_late(conn.since + has - 0.1, stopping=False)


def test_the_newest_have_the_places():
    """Who came first leaves, but not whom a thread serves."""
    guests = Guests()
    served = [Guest(Stage.SERVED) for _ in range(5)]
    silent = [Guest() for _ in range(GUESTS - 5)]
    for guest in (*served, *silent):
        guests.welcome(guest)
    assert guests.surplus() == []
    assert guests.room == GUESTS - 5
    later = [Guest() for _ in range(3)]
    for guest in later:
        guests.welcome(guest)
    assert guests.surplus() == silent[:3]
    for guest in silent[:3]:
        guests.leave(guest)
    assert guests.surplus() == []


def test_no_more_leave_than_can():
    """Where threads serve nearly all of them there is room for few."""
    guests = Guests()
    for _ in range(GUESTS):
        guests.welcome(Guest(Stage.SERVED))
    assert guests.room == 0
    guests.welcome(last := Guest())
    guests.welcome(served := Guest(Stage.SERVED))
    assert guests.surplus() == [last]
    guests.leave(served)


ASKED = [
    (b"GET /livez HTTP/1.1\r\n\r\n", Outlook.WHOLE, False),
    (b"HEAD /readyz?x HTTP/1.0\r\n\r\n", Outlook.WHOLE, False),
    (b"GET /metrics HTTP/1.1\r\n\r\n", Outlook.WHOLE, False),
    (b"GET /livez HTTP/1.1\r\nContent-Length: 9\r\n\r\n", Outlook.BODY, True),
    (b"GET /livez HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Outlook.PART, True),
    (b"GET /livezz HTTP/1.1\r\n\r\n", Outlook.WHOLE, True),
    (b"POST /livez HTTP/1.1\r\n\r\n", Outlook.WHOLE, True),
    (b"GET / HTTP/1.1\r\n\r\n", Outlook.WHOLE, True),
]


@pytest.mark.parametrize(("sent", "outlook", "refused"), ASKED, ids=range(len(ASKED)))
def test_a_guest_may_ask_as_a_probe_asks(make, sent, outlook, refused):
    """Nothing else, and nothing with a body; who has a place may ask all of it."""
    conn, peer = make()
    peer.send(sent)
    assert conn.gather() is outlook
    assert not is_refused(conn, outlook)
    conn.is_guest = True
    assert is_refused(conn, outlook) is refused
