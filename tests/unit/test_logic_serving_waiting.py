"""Who waits for the peer: told of by the poller, late in time, closed when places are scarce."""

from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector

import pytest
from one_connection import ends

from datastore_logic.serving.connection import Stage
from datastore_logic.serving.pace import Limits
from datastore_logic.serving.waiting import TOGETHER, Waiting


@pytest.fixture
def poller():
    """A real one."""
    with DefaultSelector() as made:
        yield made


@pytest.fixture
def make():
    """Make connections that are closed at the end."""
    with ends() as made:
        yield made.make


def told(poller):
    """Dispatch as gunicorn does."""
    for key, _ in poller.select(0):
        key.data(key.fileobj)


def test_who_is_added_goes_on_when_the_peer_sends(poller, make):
    """And not before, nor after it was taken out."""
    went_on = []
    waiting = Waiting(poller, lambda conn, _: went_on.append(conn))
    conn, peer = make()
    waiting.add(conn, EVENT_READ)
    told(poller)
    assert went_on == []
    peer.send(b"x")
    told(poller)
    assert went_on == [conn]
    waiting.discard(conn)
    waiting.discard(conn)
    told(poller)
    assert went_on == [conn]
    assert conn not in waiting


def test_what_is_waited_for_may_change(poller, make):
    """TLS waits for one, then for the other; the same again changes nothing."""
    went_on = []
    waiting = Waiting(poller, lambda conn, _: went_on.append(conn))
    conn, _peer = make()
    for event in (EVENT_READ, EVENT_READ, EVENT_WRITE):
        waiting.add(conn, event)
    told(poller)
    assert went_on == [conn]
    assert [*waiting] == [conn]


def test_they_may_leave_while_one_goes_through_them(poller, make):
    """As all do at the very end."""
    waiting = Waiting(poller, lambda *_: None)
    for _ in range(3):
        waiting.add(make()[0], EVENT_READ)
    for conn in waiting:
        waiting.discard(conn)
    assert [*waiting] == []
    assert not poller.get_map()


def test_late_is_who_waits_for_longer_than_its_stage_allows(poller, make):
    """A head for ten seconds, the idle for longer; who stops gives the idle a moment only."""
    waiting = Waiting(poller, lambda *_: None)
    head, idle = (make(Limits(head=10, idle=75, linger=2))[0] for _ in range(2))
    idle.enter(Stage.IDLE)
    for conn in (head, idle):
        waiting.add(conn, EVENT_READ)
        conn.since = 100.0
    assert waiting.late(109, stopping=False) == []
    assert waiting.late(111, stopping=False) == [head]
    assert waiting.late(176, stopping=False) == [head, idle]
    assert waiting.late(103, stopping=True) == [head, idle]


def test_who_is_silent_when_the_worker_stops_has_its_time_once_more(poller, make):
    """Not who has been told all."""
    waiting = Waiting(poller, lambda *_: None)
    for stage in (Stage.HEAD, Stage.IDLE, Stage.PARTING):
        conn, _peer = make()
        conn.enter(stage)
        conn.since = 0.0
        waiting.add(conn, EVENT_READ)
    waiting.begin_anew()
    assert [conn.since > 0 for conn in waiting] == [True, True, False]


@pytest.mark.parametrize(("idle", "leave"), [(0, 0), (1, 1), (7, 2), (8, 3), (4 * TOGETHER, 256)])
def test_a_quarter_of_the_idle_gives_way_longest_first(poller, make, idle, leave):
    """At least one, never all of a crowd at once; who has begun a request stays."""
    waiting = Waiting(_Deaf(), lambda *_: None)
    one, _peer = make()
    one.since = 0.0
    waiting.add(one, EVENT_READ)
    for number in range(idle):
        conn = _Idle(since=idle - number)
        waiting.add(conn, EVENT_READ)
    assert [conn.since for conn in waiting.longest_idle()] == list(range(1, leave + 1))


class _Deaf:
    """A poller that is told of more connections than there are descriptors."""

    def register(self, *_):
        """Forget it."""


class _Idle:
    """As much of an idle connection as is looked at."""

    sock, stage = None, Stage.IDLE

    def __init__(self, since):
        self.since = since
