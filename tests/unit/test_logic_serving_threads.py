"""Who has a thread, which uploads have a place, and who is ended first in a crowd."""

import math
from time import monotonic

import pytest

from datastore_logic.serving.connection import Stage
from datastore_logic.serving.relief import CROWDED, SOON, end_slowest
from datastore_logic.serving.threads import Threads
from datastore_logic.serving.uploads import Uploads

RATE = 1000
FAST = CROWDED * RATE


class Peer:
    """As much of a connection, and of its line, as is looked at here."""

    def __init__(self, speed=math.inf, moved=0.0):
        self.sock, self._speed, self.moved = self, speed, moved
        self.since, self.stage, self.is_given_up = 0.0, None, False

    def enter(self, stage):
        """Begin a stage, at the beginning of time."""
        self.stage = stage

    def is_late(self, now, *, stopping):
        """Wait for ten seconds."""
        return now > 10 or stopping

    def speed(self, _now):
        """Be as fast as was said."""
        return self._speed

    def give_up(self):
        """Note it."""
        self.is_given_up = True


def ended(peers):
    """Return the numbers of those that were given up."""
    return [number for number, peer in enumerate(peers) if peer.is_given_up]


# the slowest --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("many", "expected"), [(0, []), (1, [2]), (2, [0, 2]), (9, [0, 2, 3])])
def test_the_slowest_end_first_and_the_fast_never(many, expected):
    """Sixteen times the least rate is fast enough, however many wait."""
    peers = [Peer(5), Peer(math.inf), Peer(0), Peer(FAST - 1), Peer(FAST)]
    end_slowest(peers, many, RATE, now=0)
    assert ended(peers) == expected


# uploads ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("threads", "places"), [(1, 1), (2, 1), (3, 1), (32, 16)])
def test_uploads_have_half_of_the_threads(threads, places):
    """Those that came first are served, the others wait in the order in which they came."""
    served = []
    uploads = Uploads(threads, RATE, served.append)
    peers = [Peer() for _ in range(places + 2)]
    for peer in peers:
        uploads.add(peer)
    assert served == peers[:places]
    assert {peer.stage for peer in peers} == {Stage.QUEUED}
    uploads.has_come(peers[0])
    assert served == peers[: places + 1]


def test_who_had_no_place_leaves_none():
    """Every request says that it has come, uploads say it twice: by its last byte and its end."""
    served = []
    uploads = Uploads(2, RATE, served.append)
    first, second, third = peers = [Peer() for _ in range(3)]
    for peer in peers:
        uploads.add(peer)
    uploads.has_come(Peer())
    assert served == [first]
    for _ in range(2):
        uploads.has_come(first)
    assert served == [first, second]
    uploads.has_come(second)
    assert served == [first, second, third]


def test_an_upload_that_waited_too_long_leaves_the_queue():
    """It is not served later; who came to its place in time stays there."""
    served = []
    uploads = Uploads(2, RATE, served.append)
    first, second = Peer(), Peer()
    uploads.add(first)
    uploads.add(second)
    assert [*uploads.late(10, stopping=False)] == []
    assert [*uploads.late(11, stopping=False)] == [second]
    uploads.has_come(first)
    assert served == [first]


def test_slow_uploads_end_for_those_that_wait():
    """As many as wait, once the first has waited for a while; without others nobody is ended."""
    uploads = Uploads(6, RATE, lambda _: None)
    peers = [Peer(30), Peer(10), Peer(20)]
    for peer in peers:
        uploads.add(peer)
    uploads.relieve(SOON + 1)
    assert ended(peers) == []
    for _ in range(2):
        uploads.add(Peer(0))
    uploads.relieve(SOON)
    assert ended(peers) == []
    uploads.relieve(SOON + 0.1)
    assert ended(peers) == [1, 2]


# threads ------------------------------------------------------------------------------------------


def test_threads_are_crowded_when_each_has_a_request():
    """No more than there are can be busy."""
    threads = Threads(2, RATE)
    seen = []
    for peer in (peers := [Peer() for _ in range(3)]):
        threads.take(peer)
        seen.append((threads.busy, threads.is_crowded))
    assert seen == [(1, False), (2, True), (2, True)]
    for peer in peers:
        threads.release(peer)
    assert (threads.busy, threads.is_crowded) == (0, False)


def test_threads_get_somewhere_while_one_is_free_ends_or_moves_a_byte(monkeypatch):
    """Else the seconds are counted, also where requests go on coming."""
    clock = iter([0.0, 10.0, 40.0])
    monkeypatch.setattr("datastore_logic.serving.threads.monotonic", lambda: next(clock))
    threads = Threads(1, RATE)
    first, second = Peer(), Peer()
    assert threads.nowhere(3.0) == 3.0
    threads.take(first)  # at 10, when one was free
    threads.take(second)  # when none was
    assert threads.nowhere(30.0) == 20.0
    second.moved = 25.0
    assert threads.nowhere(30.0) == 5.0
    threads.release(second)  # at 40
    assert threads.nowhere(41.0) == 1.0


def test_a_crowd_that_lasts_ends_the_slowest():
    """As many as wait for a thread; one that is over in between begins anew."""
    threads = Threads(2, RATE)
    peers = [Peer(3), Peer(FAST), Peer(1), Peer(2)]
    for peer in peers[:3]:
        threads.take(peer)
    threads.relieve(0.0)
    threads.release(peers[2])
    threads.relieve(SOON)
    for peer in peers[2:]:
        threads.take(peer)
    threads.relieve(SOON + 1)
    threads.relieve(2 * SOON + 1)
    assert ended(peers) == []
    threads.relieve(2 * SOON + 1.1)
    assert ended(peers) == [2, 3]


def test_the_clock_is_the_one_that_lines_have():
    """What a line notes as moved can be compared with when a thread was free."""
    threads = Threads(1, RATE)
    threads.take(Peer(moved=monotonic() - 100))
    assert 0 <= threads.nowhere(monotonic()) < 50
