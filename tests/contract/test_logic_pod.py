"""One pod as it is run: workers that die, a view that goes, replicas that wait for each other."""

import os
import signal
from pathlib import Path

import pytest
from logic_pair import pair
from servers import eventually, logic

SEGMENT = '{"h":[1.0,2.5],"t":[%d,0.25]}'


@pytest.fixture
def both(tmp_path):
    """Run both tiers."""
    with pair(tmp_path) as running:
        yield running


def workers(both):
    """Return the process ids of the pod's workers."""
    master = both.logic.process.pid
    return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


def shown(both):
    """Return how many segments the pod shows, -1 for none or no answer."""
    answer = both.ask("GET", "/api/v1/global-tags/stream")
    if answer.status in {404, 503}:
        return -1
    assert answer.status == 200, answer.data
    return answer.json()["payload_lists"][0]["payload_iovs"]


def test_a_killed_worker_is_replaced_and_the_pod_follows_on(both):
    """Whichever worker polled the ledger, another takes over."""
    for number, pid in enumerate(workers(both), start=1):
        os.kill(pid, signal.SIGKILL)
        eventually(lambda dead=pid: dead not in workers(both) and len(workers(both)) == 2)
        stored = both.http.request("POST", f"{both.buffer.url}/sendF", body=SEGMENT % number)
        assert stored.status == 201
        both.http.clear()
        eventually(lambda many=number: shown(both) == many)


def test_a_view_deleted_or_damaged_while_it_serves_comes_back(both, tmp_path):
    """Never a wrong answer: what it said, or 503 until it says it again."""
    both.post("/stream", SEGMENT % 1)
    view = tmp_path / "logic.sqlite"
    view.unlink()
    eventually(lambda: shown(both) == 1, within=20)
    assert both.post("/stream", SEGMENT % 2).status == 201
    eventually(lambda: shown(both) == 2, within=20)
    assert both.ask("GET", "/readyz").status == 200
    with view.open("r+b") as damaged:
        damaged.write(b"\xff" * view.stat().st_size)
    for _ in range(20):
        assert shown(both) in {-1, 2}
    eventually(lambda: shown(both) == 2, within=20)
    assert both.post("/stream", SEGMENT % 3).status == 201
    eventually(lambda: shown(both) == 3)


def test_a_replica_waits_for_what_another_wrote(both, tmp_path):
    """X-Min-LSN makes a write of one replica visible at the next."""
    with logic(both.buffer.url, tmp_path, name="second") as second:
        for number in range(1, 20):
            lsn = both.post("/stream", SEGMENT % number).headers["X-Ledger-LSN"]
            read = both.http.request(
                "GET", f"{second.url}/api/v1/global-tags/stream", headers={"X-Min-LSN": lsn}
            )
            assert read.json()["payload_lists"][0]["payload_iovs"] == number


def test_a_replica_that_starts_without_a_databuffer_waits_for_it(both, tmp_path):
    """It has nothing to answer with, says so, and begins by itself."""
    both.buffer.kill()
    with logic(both.buffer.url, tmp_path, name="early") as early:
        told = both.http.request("GET", f"{early.url}/api/v1/global-tags")
        assert (told.status, told.json()["code"]) == (503, "view_building")
        assert "Retry-After" in told.headers
        assert both.http.request("GET", f"{early.url}/").status == 503
        both.buffer.restart()
        eventually(lambda: both.http.request("GET", f"{early.url}/readyz").status == 200)


@pytest.mark.parametrize(("name", "value"), [("PORT", "http"), ("VIEW_PATH", "/proc/nope/view")])
def test_a_wrong_setting_is_one_line(both, name, value):
    """It names the variable, and the status is not 0."""
    both.logic.environ |= {"PORT": "0", name: value}
    status, lines = both.logic.refusal()
    assert status != 0
    (line,) = lines
    assert name in line
