"""The drill: random acts, backups while they go on, restores at random entries, compare everything.

Somebody does anything to tags, and what each tag answers is written down after each act. A restored
volume must answer the same, about what was and about what is; so must a replica that ran before.
"""

from __future__ import annotations

import shutil
import threading

import pytest
from backup_store import entries, sound
from librarian import Librarian, asked
from load import seeded
from logic_pair import Pair, pair
from long import at_length
from servers import databuffer, eventually, logic

from condstore import backup
from condstore.backup import Until
from condstore.client import Client

ACTS = at_length(40, 300)
RESTORES = at_length(1, 12)
BACKUPS = 5


@pytest.fixture(scope="module")
def librarian(tmp_path_factory):
    """Somebody who has done a lot, while backups were taken into `backup`."""
    folder = tmp_path_factory.mktemp("drill")
    with pair(folder, MAX_SIZE="1") as both:
        made = Librarian(both, seeded(20261121))
        for _ in range(BACKUPS):
            taking = threading.Thread(
                target=backup.backup, args=(both.buffer.url, folder / "backup")
            )
            taking.start()
            for _ in range(ACTS // BACKUPS):
                made.act()
                made.keep()
            taking.join(60)
        backup.backup(both.buffer.url, folder / "backup")
        yield made
        assert "Traceback" not in both.buffer.log.read_text() + both.logic.log.read_text()


def test_a_restored_store_answers_what_was_answered_then(librarian, tmp_path):
    """At the last entry and at random ones: each tag, by name and by every earlier LSN."""
    both, chance = librarian.both, librarian.chance
    directory = both.buffer.log.parent / "backup"
    record = sound(directory)
    (tmp_path / "live").mkdir()
    live = entries(both.buffer, tmp_path / "live")
    assert record.lsn == len(live)
    known = sorted({lsn for lsn, _ in librarian.kept})
    for turn, lsn in enumerate([known[-1], *chance.sample(known[len(known) // 3 :], RESTORES)]):
        folder = tmp_path / str(turn)
        folder.mkdir()
        until = Until(lsn) if turn % 2 else Until(None, live[lsn - 1]["time"])
        assert backup.restore(directory, folder / "volume", until=until).lsn == lsn
        with databuffer(folder) as buffer, logic(buffer.url, folder, workers=1) as tier:
            restored = Pair(buffer, tier)
            restored.settle()
            assert entries(buffer, folder) == live[:lsn]
            compare(librarian, restored, lsn)
            assert tier.stop() == 0
            assert "Traceback" not in buffer.log.read_text() + tier.log.read_text()
            restored.http.clear()
        shutil.rmtree(folder)


def compare(librarian, restored, last):
    """Ask a restored store all that was asked up to its last entry, and for the bytes."""
    kept = {ref: answers for ref, answers in librarian.kept.items() if ref[0] <= last}
    digests = set()
    for (lsn, name), answers in kept.items():
        assert asked(restored.logic.url, restored, f"{name}@{lsn}", lsn) == answers, (lsn, name)
        if lsn == last:
            assert asked(restored.logic.url, restored, name, last) == answers, name
        for resolution in answers[1]["resolutions"] if answers else ():
            digests |= {payload["digest"] for payload in resolution["payloads"]} - {None}
    for digest in digests:
        path = f"/api/v1/payloads/sha256/{digest.removeprefix('sha256:')}"
        theirs, ours = restored.ask("GET", path), librarian.both.ask("GET", path)
        assert (theirs.status, theirs.data) == (ours.status, ours.data)
        assert ours.status == 200


def test_a_replica_that_ran_before_the_restore_answers_for_the_restored_store(librarian, tmp_path):
    """It notices the new ledger id, and gives nothing of the history that was left out."""
    directory = librarian.both.buffer.log.parent / "backup"
    lsn = sorted({lsn for lsn, _ in librarian.kept})[-5]
    backup.restore(directory, tmp_path / "old" / "volume")
    with databuffer(tmp_path / "old") as buffer, logic(buffer.url, tmp_path, workers=1) as tier:
        restored = Pair(buffer, tier)
        restored.settle()
        client = Client(tier.url)
        client.tags()
        assert client.lsn > lsn
        assert buffer.stop() == 0
        shutil.rmtree(tmp_path / "old" / "volume")
        done = backup.restore(directory, tmp_path / "old" / "volume", until=Until(lsn))
        buffer.restart()
        eventually(lambda: restored.ask("GET", "/readyz").json()["ledger"] == done.ledger)
        restored.settle()
        compare(librarian, restored, lsn)
        client.create_tag("NEW")
        assert client.lsn == lsn + 1
        client.close()
        restored.http.clear()
