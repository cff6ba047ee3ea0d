"""The databuffer killed at any instruction: nothing that it acknowledged is lost.

KILL_ROUNDS asks for more rounds, KILL_SEED for those of an earlier run, which printed it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import secrets
import subprocess

import pytest
from load import BufferLoad, ask, ledger_lines, seeded
from long import at_length
from servers import databuffer
from volume_oracle import VolumeOracle, sha256

ROUNDS = int(os.environ.get("KILL_ROUNDS") or at_length(20, 200))
SEED = int(os.environ.get("KILL_SEED") or secrets.randbelow(2**32))


@pytest.mark.timeout(60 + 15 * ROUNDS)
def test_killed_at_random_moments_it_keeps_all_it_acknowledged(tmp_path):
    """Killed again and again on one volume, it restarts by itself with every acknowledged item."""
    print(f"to choose the same again: KILL_SEED={SEED} KILL_ROUNDS={ROUNDS}")
    choose = seeded(SEED)
    with databuffer(tmp_path, LEDGER_SEGMENT_BYTES="16384") as running:
        load = BufferLoad(running.url, seeded(choose.random()))
        oracle = VolumeOracle(tmp_path / "volume")
        for number in itertools.count():
            if number >= ROUNDS and (number >= 3 * ROUNDS or enough(load)):
                break  # a busy machine needs more rounds for something of each kind
            asyncio.run(load.run(lambda: killed(running, choose.uniform(0.05, 0.5))))
            if choose.random() < 0.2:
                killed_while_starting(running, choose.uniform(0.1, 0.7))
            running.restart()
            print(f"round {number}: {len(load.entries)} entries, {len(load.segments)} segments")
            check(load, oracle)
            asyncio.run(load.settle(keys_of(oracle)))
            assert load.surprises == []
        oracle.check_again()
        assert running.stop() == 0
        oracle.check()
    assert enough(load)


def enough(load):
    """Say whether something of each kind was acknowledged before a kill."""
    return min(len(load.segments), len(load.blobs)) > ROUNDS and load.cleanings and load.compressed


async def killed(running, after):
    """Kill the server after so many seconds of load."""
    await asyncio.sleep(after)
    running.kill()


def killed_while_starting(running, after):
    """Start the server and kill it before, or just when, it is ready."""
    running.spawn()
    with contextlib.suppress(subprocess.TimeoutExpired):
        running.process.wait(after)
    running.kill()


def keys_of(oracle):
    """Return the LSN of every idempotency key in the ledger; none may be there twice."""
    keyed = [e for e in oracle.ledger.entries if "idempotency_key" in e]
    keys = {entry["idempotency_key"]: entry["lsn"] for entry in keyed}
    assert len(keys) == len(keyed), "one idempotency key, two entries"
    return keys


def check(load, oracle):
    """Compare what was acknowledged, what the files say and what the server answers."""
    oracle.check()
    by_lsn = oracle.ledger.entries
    for lsn, data in load.entries.items():
        assert by_lsn[lsn - 1]["data"] == data
    notes = [e["data"]["id"] for e in by_lsn if e["type"] == "test.note"]
    assert len(notes) == len(set(notes)), "an entry is there twice"
    keys = keys_of(oracle)
    for sent, answer in load.keyed.items():
        assert keys[sent.key] == answer.lsn
    assert {digest: oracle.blobs.get(digest) for digest in load.blobs} == load.blobs
    for stored in load.segments:
        entry = by_lsn[stored.lsn - 1]
        assert entry["type"] == "buffer.stored"
        assert entry["data"]["name"] == stored.name
        assert entry["data"]["digest"] == f"sha256:{sha256(stored.body)}"
        assert oracle.blobs[sha256(stored.body)] == len(stored.body)
    for lsn in load.cleanings:
        assert by_lsn[lsn - 1]["type"] == "buffer.cleaned"
    for lsn in load.freezes:
        assert by_lsn[lsn - 1]["type"] == "buffer.frozen"
    load.touched = {key: entry["lsn"] for entry in by_lsn for key in entry["keys"]}
    check_served(load, oracle)


def check_served(load, oracle):
    """Check that the server answers what its files say."""
    url, buffer = load.url, oracle.buffer
    head = ask("GET", f"{url}/ledger/head").json
    assert (head["lsn"], head["hash"]) == (len(oracle.ledger.entries), oracle.ledger.head)
    assert list(ledger_lines(url)) == oracle.ledger.lines()
    assert ask("GET", f"{url}/stat").json == {
        "n_itm": len(buffer.segments),
        "buff_size": buffer.size,
    }
    assert ask("GET", f"{url}/dumpF").json == {"nmlist": buffer.names}
    log = ask("GET", f"{url}/dumpLogF")
    assert log.status == (200 if buffer.segments else 204)
    told = json.loads(log.body) if log.body else []
    assert [line["name"] for line in told] == buffer.names
    for digest in load.random.sample(sorted(load.blobs), min(10, len(load.blobs))):
        assert sha256(ask("GET", f"{url}/blobs/sha256/{digest}").body) == digest
