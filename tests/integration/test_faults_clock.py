"""The clock set back: in the ledger time stands still, and never decreases."""

from __future__ import annotations

import pytest
from load import ask, at_once, ledger_entries
from other_clock import databuffer_with_clock, set_clock

HOUR = 3600
ENTRY = {"type": "t.x", "actor": "a", "data": {}, "keys": []}


@pytest.fixture
def running(tmp_path):
    """A databuffer with a clock to set, two hours ahead."""
    databuffer = databuffer_with_clock(tmp_path, 2 * HOUR)
    yield databuffer.start()
    assert databuffer.stop() == 0


def append(running, count=3):
    """Append entries one after the other and at once; return the times of all there are."""
    for _ in range(count):
        assert ask("POST", f"{running.url}/ledger", ENTRY).status == 201
    answers = at_once(count, lambda _: ask("POST", f"{running.url}/ledger", ENTRY))
    assert {answer.status for answer in answers} == {201}
    times = [entry["time"] for entry in ledger_entries(running.url)]
    assert times == sorted(times), "time has decreased"
    return times


def warnings(running):
    """Count the times that the log speaks of the clock."""
    return running.log.read_text().count("time waits")


def test_set_back_between_writes_time_stands_still_until_it_is_caught_up(running, tmp_path):
    """All that comes meanwhile has the time of the last entry before; the log warns once.

    Not of seconds, by which a clock is set that is kept right.
    """
    last = append(running)[-1]
    for behind, warned in ((30, 0), (HOUR, 1), (HOUR, 1)):
        set_clock(tmp_path, 2 * HOUR - behind)
        assert set(append(running)[6:]) == {last}
        assert warnings(running) == warned
    set_clock(tmp_path, 3 * HOUR)
    assert append(running)[-1] > last
    set_clock(tmp_path, 0)
    append(running)
    assert warnings(running) == 2


def test_a_volume_whose_last_entry_lies_in_the_future_goes_on_from_there(running, tmp_path):
    """Restarted where the clock is behind it, it says so at the start, and no time is earlier."""
    last = append(running)[-1]
    assert running.stop() == 0
    set_clock(tmp_path, 0)
    running.restart()
    assert warnings(running) == 1
    assert set(append(running)[6:]) == {last}
    assert warnings(running) == 1
    assert running.stop() == 0
    set_clock(tmp_path, 3 * HOUR)
    running.restart()
    assert append(running)[-1] > last
    assert warnings(running) == 1
