"""Where a backup and a restored volume stand: on several file systems, and for whose eyes."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from backup_store import Store, databuffer_here, sound

from condstore import backup
from condstore.backup import layout


@pytest.fixture
def store(tmp_path):
    """Run a databuffer with a few payloads in it."""
    with databuffer_here(tmp_path) as running:
        made = Store(running)
        made.ask("PUT", "/state/runs", b'{"last":1200}', If_None_Match="*")
        for number in range(3):
            made.put(b"payload %d" % number)
        yield made
        made.http.clear()


@pytest.fixture
def elsewhere(tmp_path):
    """Give a directory on another file system."""
    memory = Path("/dev/shm")  # noqa: S108 - another file system is what it is for
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.mark.parametrize("name", ["blobs", "ledger", "state"])
def test_a_part_on_another_file_system_is_durable_before_it_counts(
    store, tmp_path, elsewhere, monkeypatch, name
):
    """Both file systems are synced before `backup.json` says what belongs to the backup."""
    directory = tmp_path / "backup"
    backup.backup(store.url, directory)
    shutil.move(directory / name, elsewhere / name)
    (directory / name).symlink_to(elsewhere / name)
    store.put(b"later")
    before, synced = (directory / "backup.json").read_bytes(), []

    def sync(path):
        assert (directory / "backup.json").read_bytes() == before
        synced.append(path.stat().st_dev)

    monkeypatch.setattr(layout, "sync_file_system", sync)
    backup.backup(store.url, directory)
    assert sorted(synced) == sorted({directory.stat().st_dev, elsewhere.stat().st_dev})
    store.expect(elsewhere if name == "blobs" else directory, sound(directory).lsn)


@pytest.mark.parametrize("name", ["blobs", "ledger"])
def test_a_part_on_another_file_system_is_repaired(store, tmp_path, elsewhere, name):
    """What was fetched does not come there by a new name alone."""
    directory = tmp_path / "backup"
    backup.backup(store.url, directory)
    shutil.move(directory / name, elsewhere / name)
    (directory / name).symlink_to(elsewhere / name)
    harmed = sorted(path for path in (elsewhere / name).rglob("*") if path.is_file())
    whole = [path.read_bytes() for path in harmed]
    for path in harmed:
        path.write_bytes(b"damaged")
    assert backup.repair(store.url, directory).problems == ()
    assert [path.read_bytes() for path in harmed] == whole
    sound(directory)
    assert not list((elsewhere / name).rglob(".*"))


def test_what_is_made_is_open_to_its_owner_alone(store, tmp_path):
    """In a directory that was there and lets others in, too, and in a volume that is restored."""
    directory, volume, data = (tmp_path / name for name in ("backup", "adml", "gwdataln"))
    for path in (directory, volume, data):
        path.mkdir(mode=0o755)
    backup.backup(store.url, directory)
    backup.restore(directory, volume, data=data)
    for path in (
        *(directory / name for name in ("ledger", "state", "blobs")),
        *(volume / name for name in ("ledger", "state")),
        data / "blobs",
    ):
        assert path.stat().st_mode & 0o077 == 0, f"others may look into {path}"
