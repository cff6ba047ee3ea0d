"""How connections are taken, and what is done where there is no descriptor for them."""

import errno
import socket

import pytest
from gunicorn.config import Config

from datastore_logic.serving.door import NO_DESCRIPTOR, Door
from datastore_logic.serving.pace import Limits


@pytest.fixture
def listener():
    """One that nobody is waited for at."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.setblocking(False)
        yield made


def knock(listener, many):
    """Have so many connect."""
    return [socket.create_connection(listener.getsockname()) for _ in range(many)]


class Failing:
    """A listener at which somebody waits who cannot be accepted."""

    def __init__(self, number):
        self._number = number

    def accept(self):
        """Fail as the system does."""
        raise OSError(self._number, errno.errorcode[self._number])


class Forgetful:
    """A listener whose connections are gone before anything is known of them."""

    def __init__(self, client):
        self._client = client

    def accept(self):
        """Return the one there is."""
        return self._client, "peer"

    def getsockname(self):
        """Know nothing."""
        raise OSError(errno.EINVAL, "gone")


def test_those_who_wait_come_in_as_they_came(listener):
    """As many as are wanted; where nobody waits that is no reason to shut."""
    shut = []
    door = Door(Config(), Limits(), lambda: shut.append(1))
    assert [*door.arrivals(listener, 5)] == []
    peers = knock(listener, 3)
    came = [*door.arrivals(listener, 2), *door.arrivals(listener, 5), *door.arrivals(listener, 5)]
    assert [conn.client for conn in came] == [peer.getsockname() for peer in peers]
    assert (shut, door.may_open) == ([], True)
    for one in (*came, *peers):
        one.close()


@pytest.mark.parametrize("number", sorted(NO_DESCRIPTOR))
def test_without_a_descriptor_the_door_is_shut_for_a_second(monkeypatch, caplog, number):
    """And it is logged; then it may be opened again."""
    now = [100.0]
    monkeypatch.setattr("datastore_logic.serving.door.monotonic", lambda: now[0])
    shut = []
    door = Door(Config(), Limits(), lambda: shut.append(door.may_open))
    assert [*door.arrivals(Failing(number), 5)] == []
    assert shut == [False], "by then it must not be opened again"
    assert "for a second no connection is accepted" in caplog.text
    now[0] += 0.9
    assert not door.may_open
    now[0] += 0.2
    assert door.may_open


def test_who_broke_off_before_it_was_accepted_shuts_no_door(caplog):
    """Neither is it logged: it is the caller's affair."""
    door = Door(Config(), Limits(), pytest.fail)
    assert [*door.arrivals(Failing(errno.ECONNABORTED), 5)] == []
    assert door.may_open
    assert not caplog.records


def test_who_is_gone_already_is_none_and_leaves_no_descriptor():
    """The others come in all the same."""
    ours, theirs = socket.socketpair()
    with theirs:
        assert [*Door(Config(), Limits(), pytest.fail).arrivals(Forgetful(ours), 1)] == [None]
        assert ours.fileno() < 0
