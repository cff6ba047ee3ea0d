"""A backup taken from a running databuffer, in the order that docs/operations.md gives, starts."""

from __future__ import annotations

import shutil

from load import ask
from servers import databuffer


def append(url, count):
    """Append notes to the ledger."""
    for _ in range(count):
        entry = {"type": "test.note", "actor": "test", "data": {"pad": "x" * 200}, "keys": ["a/b"]}
        assert ask("POST", f"{url}/ledger", entry).status == 201


def test_a_copy_of_a_growing_ledger_is_the_ledger_of_some_moment(tmp_path):
    """Manifest first, then the newest segment first; meanwhile segments are sealed and begun."""
    copy = tmp_path / "restored" / "volume" / "ledger"
    copy.mkdir(parents=True)
    with databuffer(tmp_path, LEDGER_SEGMENT_BYTES="4096") as running:
        ledger = tmp_path / "volume" / "ledger"
        append(running.url, 30)
        shutil.copy(ledger / "ledger.json", copy)
        append(running.url, 30)
        for segment in sorted(ledger.glob("*.jsonl"), reverse=True):
            shutil.copy(segment, copy)
            append(running.url, 20)
        head = ask("GET", f"{running.url}/ledger/head").json
    with databuffer(tmp_path / "restored") as restored:
        found = ask("GET", f"{restored.url}/ledger/head").json
        assert found["ledger"] == head["ledger"]
        assert 60 <= found["lsn"] < head["lsn"]
