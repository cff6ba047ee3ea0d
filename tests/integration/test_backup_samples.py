"""Backups that older versions took are read for ever: verified, restored, gone on from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from backup_store import Store, databuffer_here, sound
from load import ledger_lines
from volume_oracle import LedgerReader

from condstore import backup
from condstore.backup import Until

SAMPLES = Path(__file__).parents[1] / "samples"
VOLUME = SAMPLES / "ledger-format-1" / "volume"
CUT = 40
"""An LSN in the midst of a segment."""


@pytest.fixture(params=sorted(SAMPLES.glob("backup-format-*")), ids=lambda sample: sample.name)
def kept(request, tmp_path):
    """A copy of a kept backup."""
    return shutil.copytree(request.param / "backup", tmp_path / "backup")


def test_a_kept_backup_is_whole_and_restored_to_any_entry(kept, tmp_path):
    """Line for line what the store had whose volume is kept too, up to the entry asked for."""
    lines = LedgerReader(VOLUME / "ledger").lines()
    assert sound(kept).lsn == len(lines)
    for wanted in (CUT, len(lines)):
        made = backup.restore(kept, tmp_path / f"{wanted}" / "volume", until=Until(wanted))
        with databuffer_here(tmp_path / f"{wanted}") as running:
            assert list(ledger_lines(running.url)) == lines[:wanted]
        assert (made.was, made.missing) == (sound(kept).ledger, ())
    assert made.payloads == len(list((VOLUME / "blobs").rglob("sha256/*/*/*")))


def test_the_next_backup_into_a_kept_one_goes_on(kept, tmp_path):
    """It adds what is new, and no older file is written again."""
    before = {path: path.read_bytes() for path in kept.rglob("*.zst")}
    shutil.copytree(VOLUME, tmp_path / "store" / "volume")
    with databuffer_here(tmp_path / "store") as running:
        store = Store(running)
        store.put(b"later")
        taken = backup.backup(store.url, kept)
        store.http.clear()
    assert (taken.entries, taken.blobs) == (1, 1)
    assert {path: path.read_bytes() for path in before} == before
    assert sound(kept).lsn == taken.record.lsn
