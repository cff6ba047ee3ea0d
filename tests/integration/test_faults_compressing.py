"""The real databuffer while it compresses its ledger: killed, on a full volume, asked twice."""

from __future__ import annotations

import contextlib

import pytest
from killed_at import databuffer_killed_at
from load import AWAY, ask, ledger_lines
from long import at_length
from servers import databuffer, databuffer_at, eventually
from small_disk import file_system, injected
from volume_oracle import VolumeOracle, snapshot

SMALL = {"LEDGER_SEGMENT_BYTES": "8192"}
STEPS = at_length((5, 10, 12), range(1, 40))
RESERVE = 2 << 20


def append(url, count=60, pad=200):
    """Append so many entries."""
    for number in range(count):
        data = {"n": number, "pad": "x" * pad}
        entry = {"type": "test.note", "actor": "test", "data": data, "keys": ["a/b"]}
        assert ask("POST", f"{url}/ledger", entry).status == 201


def compress(url):
    """Ask for it; return how many segments were compressed."""
    answer = ask("POST", f"{url}/ledger/compress")
    assert answer.status == 200, answer
    assert answer.json["bytes_after"] <= answer.json["bytes_before"]
    return answer.json["segments"]


def test_killed_before_any_step_it_goes_on_with_what_it_has(tmp_path):
    """Again and again on one volume: by itself, every line there, nothing left over."""
    running = databuffer_killed_at(tmp_path, **SMALL)
    oracle = VolumeOracle(tmp_path / "volume")
    for step in STEPS:
        running.environ["KILL_AT"] = str(step)
        running.start()
        oracle.check()
        append(running.url, 40)
        with contextlib.suppress(*AWAY):
            ask("POST", f"{running.url}/ledger/compress")
        assert running.ended(20) == -9, f"it had no step {step}"
    with databuffer(tmp_path, **SMALL) as again:
        oracle.check()
        assert list(ledger_lines(again.url)) == oracle.ledger.lines()
        assert len(oracle.ledger.entries) == 40 * len(STEPS)
        assert compress(again.url) > 0
        oracle.check_again()
        assert again.stop() == 0


def test_without_room_it_says_507_and_changes_nothing(tmp_path):
    """Reads go on meanwhile; with room again it is done."""
    with injected(tmp_path) as disk:
        disk.running.environ |= SMALL
        disk.running.start()
        url, ledger = disk.running.url, disk.volume / "ledger"
        append(url)
        before, lines = snapshot(ledger), list(ledger_lines(url))
        disk.fill()
        answer = ask("POST", f"{url}/ledger/compress")
        assert (answer.status, answer.json["code"]) == (507, "volume_full")
        assert snapshot(ledger) == before
        disk.free()
        assert compress(url) > 0
        assert compress(url) == 0
        assert list(ledger_lines(url)) == lines
        assert disk.running.stop() == 0
    VolumeOracle(disk.volume).check()


def test_it_works_below_the_reserve_and_makes_room(tmp_path):
    """Where no other write is taken any more."""
    with file_system(tmp_path, size=20 * RESERVE) as small:
        if small is None:
            pytest.skip("mounting is not permitted here")
        environ = {"LEDGER_SEGMENT_BYTES": str(1 << 18)}
        running = databuffer_at(tmp_path, VOLUME_ROOT=str(small.point / "volume"), **environ)
        running.start()
        append(running.url, 100, 10_000)
        small.fill(leaving=RESERVE - (1 << 19))
        eventually(lambda: ask("GET", f"{running.url}/readyz").status == 503)
        entry = {"type": "test.note", "actor": "test", "data": {}, "keys": []}
        assert ask("POST", f"{running.url}/ledger", entry).status == 507
        left = small.left
        assert compress(running.url) == 3
        assert small.left > left + (3 << 17)
        eventually(lambda: ask("POST", f"{running.url}/ledger", entry).status == 201)
        assert running.stop() == 0
