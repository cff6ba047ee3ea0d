"""How many requests one caller may send: one limit a pod, never forgotten for a flood of others."""

import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from datastore_logic.config import Config
from datastore_logic.errors import TooManyRequests
from datastore_logic.web.counters import Counters
from datastore_logic.web.rates import Kind, Rates, by_place, by_subject


def rates(folder, **limits):
    """Return limits that are counted in this folder."""
    return Rates(Config(**limits), folder / "view.rates")


def allowed(limit, kind, who, tries):
    """Return how many of so many requests pass."""
    passed = 0
    for _ in range(tries):
        try:
            limit.refuse_if_over(kind, who)
        except TooManyRequests:
            continue
        passed += 1
    return passed


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that is set by hand."""
    now = [1_000_000.25]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


def test_whoever_sends_more_is_told_when_to_come_again(tmp_path, clock):
    """So many pass; the others learn the seconds until the window ends, and that is true."""
    limit = rates(tmp_path, rate_reads="5/minute")
    assert allowed(limit, Kind.READS, "a", 9) == 5
    with pytest.raises(TooManyRequests) as refused:
        limit.refuse_if_over(Kind.READS, "a")
    assert refused.value.retry_after == 20
    clock[0] += refused.value.retry_after - 0.5
    assert allowed(limit, Kind.READS, "a", 9) == 0
    clock[0] += 0.5
    assert allowed(limit, Kind.READS, "a", 9) == 5


def test_callers_and_kinds_are_counted_apart(tmp_path):
    """One caller's reads leave his writes and everybody else alone."""
    limit = rates(tmp_path, rate_reads="3/hour", rate_writes="3/hour", rate_failures="3/hour")
    for kind in Kind:
        for who in (by_subject("a"), by_subject("192.0.2.1"), by_place("192.0.2.1")):
            assert allowed(limit, kind, who, 5) == 3


def test_an_ipv6_network_has_one_limit(tmp_path):
    """Another address out of the same /64 is no other caller."""
    limit = rates(tmp_path, rate_reads="3/hour")
    addresses = [f"2001:db8::{number:x}" for number in range(20)]
    assert sum(allowed(limit, Kind.READS, by_place(one), 1) for one in addresses) == 3


def test_each_of_several_limits_holds(tmp_path):
    """A rate may be told by several."""
    limit = rates(tmp_path, rate_reads="100/hour; 4/day")
    assert allowed(limit, Kind.READS, "a", 10) == 4


def test_no_limit_is_none(tmp_path):
    """Nothing is counted where no rate is told, and no file is made."""
    limit = rates(tmp_path, rate_reads="", rate_writes="", rate_failures="")
    assert allowed(limit, Kind.READS, "a", 10_000) == 10_000
    assert not list(tmp_path.iterdir())


def in_a_process(folder, tries):
    """Return how many pass in one process of a pod."""
    limit = rates(folder, rate_reads="500/hour")
    with ThreadPoolExecutor(4) as threads:
        return sum(threads.map(lambda _: allowed(limit, Kind.READS, "a", tries // 4), range(4)))


def test_the_processes_of_a_pod_share_one_limit(tmp_path):
    """Three processes of four threads each let through exactly as many as one would."""
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        passed = pool.starmap(in_a_process, [(tmp_path, 400)] * 3)
    limit = rates(tmp_path, rate_reads="500/hour")
    assert sum(passed) <= 500
    assert sum(passed) >= 500 - 3 * 4  # who asks for the last at one time may all be refused
    assert allowed(limit, Kind.READS, "a", 1) == 0  # and what they counted outlives them


def test_a_flood_of_callers_frees_nobody_and_takes_no_room(tmp_path):
    """Fifty thousand others leave one who is over his limit there, and the file as large."""
    limit = rates(tmp_path, rate_failures="60/hour")
    assert allowed(limit, Kind.FAILURES, "guesser", 100) == 60
    (file,) = tmp_path.iterdir()
    size = file.stat().st_size
    passed = sum(allowed(limit, Kind.FAILURES, f"other {n}", 1) for n in range(50_000))
    assert passed == 50_000
    assert allowed(limit, Kind.FAILURES, "guesser", 1) == 0
    assert file.stat().st_size == size
    assert allowed(limit, Kind.FAILURES, "late", 100) >= 30  # counted too high, not shut out


def test_a_new_window_begins_with_nothing(tmp_path, clock):
    """What is of another window, a later one too if the clock was set back, counts as nothing."""
    counted = Counters(tmp_path / "c", 60)
    assert [counted.incr("a", 60) for _ in range(3)] == [1, 2, 3]
    assert counted.get_expiry("a") == 1_000_020
    for later in (60.0, -600.0):
        clock[0] += later
        assert counted.get("a") == 0
        assert counted.incr("a", 60, amount=2) == 2


def test_counts_are_known_again_by_the_next_process_and_end_at_the_most(tmp_path):
    """The file has the secret by which names are hashed; a number never runs over."""
    assert Counters(tmp_path / "c", 3600).incr("a", 3600, amount=2**40) == 2**28 - 1
    again = Counters(tmp_path / "c", 3600)
    assert again.check()
    assert again.get("a") >= 2**28 - 1
    again.reset()
    assert again.get("a") == 0


def test_a_count_is_cheap(tmp_path):
    """It is paid by every request: a few microseconds, here with room for a busy machine."""
    limit = rates(tmp_path)
    limit.refuse_if_over(Kind.READS, "a")
    began = time.process_time()
    allowed(limit, Kind.READS, by_subject("alice"), 2000)
    assert (time.process_time() - began) / 2000 < 50e-6


def test_the_file_is_its_owners_alone(tmp_path):
    """It has the secret that keeps others from finding names that meet."""
    rates(tmp_path).refuse_if_over(Kind.READS, "a")
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o077 == 0
