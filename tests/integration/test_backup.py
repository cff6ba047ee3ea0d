"""A backup taken from a running databuffer, in the order that docs/operations.md gives, starts."""

from __future__ import annotations

import shutil

from cdb import Cdb
from load import ask
from logic_pair import Pair
from servers import databuffer, databuffer_at, eventually, logic


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


def test_under_another_id_a_restored_copy_never_answers_what_was_lost(tmp_path):
    """A replica that runs on, and who has an ETag, take nothing of the lost history for the new."""
    buffer = databuffer_at(tmp_path).start()
    moment = "/api/v1/global-tags/T/payloads?major=11"
    try:
        with logic(buffer.url, tmp_path) as pod:
            db = Cdb(Pair(buffer, pod))
            db.both.settle()
            beam = db.tag("T", "Beam")["Beam"]
            copy = shutil.copytree(tmp_path / "volume", tmp_path / "copy")
            number = db.piov("lost", (10, 0))
            db.ok("PUT", "piov_attach", {"payload_list": beam, "piov_id": number})
            lost = [db.both.ask("GET", moment) for _ in range(20)][-1]
            assert lost.json()["payloads"][0]["name"] == "lost"
            assert buffer.stop() == 0
            shutil.rmtree(tmp_path / "volume")
            manifest = copy.rename(tmp_path / "volume") / "ledger" / "ledger.json"
            known = ask("GET", f"{pod.url}/readyz").json["ledger"]
            manifest.write_text(manifest.read_text().replace(known, "0123456789abcdef" * 2))
            buffer.restart()
            eventually(lambda: ask("GET", f"{pod.url}/readyz").json["ledger"] != known)
            db.both.settle()
            number = db.piov("new", (10, 0))
            db.ok("PUT", "piov_attach", {"payload_list": beam, "piov_id": number})
            for _ in range(20):
                found = db.both.ask("GET", moment, If_None_Match=lost.headers["ETag"])
                assert found.headers["X-Ledger-LSN"] == lost.headers["X-Ledger-LSN"]
                assert found.json()["payloads"][0]["name"] == "new"
    finally:
        buffer.kill()
