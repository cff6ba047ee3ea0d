"""Acknowledged is durable: with every unsynced byte and name gone, what was promised is there."""

from __future__ import annotations

import asyncio

import pytest
from load import BufferLoad, ask, seeded
from power_cut import after_the_cut, databuffer_on_mains
from servers import databuffer, eventually
from volume_oracle import VolumeOracle, sha256


@pytest.mark.parametrize("seed", range(6))
def test_after_a_power_cut_all_that_was_acknowledged_is_there(tmp_path, seed):
    """Files and directories are synced before any 2xx, the parents of new directories included."""
    choose = seeded(seed)
    mains = databuffer_on_mains(tmp_path, LEDGER_SEGMENT_BYTES="4096", BLOB_JOURNAL_BYTES="65536")
    mains.start()
    load = BufferLoad(mains.url, seeded(seed))

    async def cut():
        await asyncio.sleep(choose.uniform(0.2, 1.0))
        some = (load.entries, load.blobs, load.segments)
        await asyncio.to_thread(eventually, lambda: all(some) and load.compressed, 60)
        mains.kill()

    asyncio.run(load.run(cut))
    assert load.surprises == []
    after_the_cut(tmp_path, choose)
    with databuffer(tmp_path) as running:
        oracle = VolumeOracle(tmp_path / "volume")
        entries = oracle.check()
        for lsn, data in load.entries.items():
            assert entries[lsn - 1]["data"] == data
        for sent, answer in load.keyed.items():
            assert entries[answer.lsn - 1]["idempotency_key"] == sent.key
        for stored in load.segments:
            assert entries[stored.lsn - 1]["data"]["name"] == stored.name
            assert sha256(stored.body) in oracle.blobs
        for lsn in (*load.freezes, *load.cleanings):
            assert entries[lsn - 1]["type"] in {"buffer.frozen", "buffer.cleaned"}
        assert {digest: oracle.blobs.get(digest) for digest in load.blobs} == load.blobs
        state = ask("GET", f"{running.url}/state/checkpoint")
        assert (state.json["count"] if state.status == 200 else 0) in load.state
        assert running.stop() == 0
