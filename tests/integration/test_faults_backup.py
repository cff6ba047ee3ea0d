"""Backups that are killed, damaged, without room, without a server: the last good one stands."""

from __future__ import annotations

import fcntl
import os
import shutil
import threading

import pytest
from backup_kills import cut_power, full_after, killer
from backup_store import LARGE, Store, databuffer_here, files, sound
from load import seeded
from long import at_length
from servers import databuffer

from condstore import backup
from condstore.backup import record
from condstore.errors import DamagedBackup, NotWritten, WrongBackup

KILLS = at_length(12, 120)
FLIPS = at_length(3, 50)


@pytest.fixture
def store(tmp_path):
    """Run a databuffer with a few payloads in it."""
    with databuffer_here(tmp_path) as running:
        made = Store(running)
        for number in range(6):
            made.put(b"payload %d" % number)
        yield made
        made.http.clear()


def test_a_backup_that_is_killed_leaves_the_last_one_and_the_next_goes_on(store, tmp_path):
    """At any file it makes, also when the power goes and nothing unsynced is left whole."""
    directory, chance = tmp_path / "backup", seeded(20261121)
    good, known, ended = None, set(), set()
    with killer(store.url, directory) as kill_at:
        for turn in range(KILLS):
            status = kill_at(chance.randrange(90))
            ended.add(status)
            if good is not None and record.read(directory) == good:
                cut_power(directory, known, chance)
            elif (directory / record.RECORD).exists():  # killed or not: all was synced before it
                good, known = sound(directory), set(files(directory))
                store.expect(directory, good.lsn)
            assert good is None or sound(directory) == good
            if status == 0:
                for number in range(12):
                    store.put(b"payload %d of %d" % (number, turn))
                store.put(os.urandom(LARGE if turn % 8 == 0 else 2000))
    assert ended == {0, 9}
    backup.backup(store.url, directory)
    store.expect(directory, sound(directory).lsn)
    assert not list(directory.rglob(".*"))
    assert not backup.verify(directory).unfinished
    done = backup.restore(directory, tmp_path / "restored")
    store.expect(tmp_path / "restored", done.lsn)


def test_a_first_backup_that_was_killed_is_none_yet(store, tmp_path):
    """It is not restored, and said to be unfinished; the next one is whole."""
    directory = tmp_path / "backup"
    with killer(store.url, directory) as kill_at:
        assert kill_at(20) == 9
    for act in (backup.verify, lambda path: backup.restore(path, tmp_path / "no")):
        with pytest.raises(WrongBackup, match="never finished; run it again"):
            act(directory)
    assert backup.backup(store.url, directory).record.lsn == 6
    store.expect(directory, sound(directory).lsn)


def test_every_damaged_byte_and_every_missing_file_is_found(store, tmp_path):
    """Verify names the file; restore refuses it, or does not need it, and is right."""
    store.ask("PUT", "/state/runs", b'{"last":1200}', If_None_Match="*")
    directory, chance = tmp_path / "backup", seeded(6)
    backup.backup(store.url, directory)
    store.put(b"payload of another segment")
    backup.backup(store.url, directory)
    copies = {"ledger/ledger.json", "state/runs.json"}
    names = set(files(directory)) - {"backup.lock"}
    assert names > copies
    for name in sorted(names):
        path = directory / name
        content = path.read_bytes()
        for harm in [None, *(chance.randrange(8 * len(content)) for _ in range(FLIPS))]:
            path.unlink() if harm is None else path.write_bytes(flipped(content, harm))
            assert path.name.split(".")[0] in said_of(directory), (name, harm)
            target = tmp_path / "restored"
            if name in copies:
                backup.restore(directory, target)
                store.expect(target, 7)
            else:
                with pytest.raises((DamagedBackup, WrongBackup)):
                    backup.restore(directory, target)
                assert not (target / "ledger" / "ledger.json").exists()
            shutil.rmtree(target, ignore_errors=True)
        path.write_bytes(content)
    sound(directory)


def said_of(directory):
    """Return what verify says is wrong."""
    try:
        return " ".join(backup.verify(directory).problems)
    except (DamagedBackup, WrongBackup) as error:
        return str(error)


def flipped(content, bit):
    """Return the bytes with one bit another."""
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_all_that_is_damaged_is_named_at_once(store, tmp_path):
    """A damaged segment does not hide a damaged payload of another."""
    directory = tmp_path / "backup"
    backup.backup(store.url, directory)
    lsn = store.put(b"payload of another segment")
    backup.backup(store.url, directory)
    first, second = sorted((directory / "ledger").glob("*.zst"))
    first.write_bytes(first.read_bytes()[:-1])
    (path,) = [
        path for path in directory.rglob("*")
        if path.is_file() and path.read_bytes() == store.payloads[lsn]
    ]  # fmt: skip
    path.write_bytes(b"another")
    one, two = backup.verify(directory).problems
    assert first.name in one
    assert path.name in two
    assert f"LSN {lsn} to {lsn}" in two
    assert second.exists()


def test_a_restore_that_failed_leaves_what_no_databuffer_starts_on(store, tmp_path):
    """Nor is it restored over: who comes next is told what that is."""
    directory, target = tmp_path / "backup", tmp_path / "restored" / "volume"
    backup.backup(store.url, directory)
    lost = next(path for path in (directory / "blobs").rglob("*") if path.is_file())
    lost.rename(tmp_path / "lost")
    with pytest.raises(DamagedBackup, match=f"{lost.name} is missing in the backup"):
        backup.restore(directory, target)
    with pytest.raises(RuntimeError, match=r"ledger\.json"), databuffer(target.parent):
        pass
    (tmp_path / "lost").rename(lost)
    with pytest.raises(WrongBackup, match="a restore that was not finished: empty it"):
        backup.restore(directory, target)
    shutil.rmtree(target)
    assert backup.restore(directory, target).lsn == 6


def test_two_backups_into_one_directory_at_once(store, tmp_path):
    """The second is refused; the directory may be verified and restored meanwhile."""
    directory = tmp_path / "backup"
    backup.backup(store.url, directory)
    with (directory / "backup.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(WrongBackup, match=r"another backup into .* is under way"):
            backup.backup(store.url, directory)
        sound(directory)
        backup.restore(directory, tmp_path / "restored")
    backup.backup(store.url, directory)


@pytest.mark.parametrize("room", [0, 40, 3000, LARGE // 2])
def test_no_room_for_the_backup_leaves_the_last_one(store, tmp_path, monkeypatch, room):
    """It says so at once, with the file; with room again it goes on."""
    directory = tmp_path / "backup"
    good = backup.backup(store.url, directory).record
    store.put(os.urandom(LARGE))
    store.put(os.urandom(2000))
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full_after(room, str(directory)))
        with pytest.raises(NotWritten, match=f"{directory}.*No space left"):
            backup.backup(store.url, directory)
    assert sound(directory) == good
    assert backup.backup(store.url, directory).record.lsn == 8
    store.expect(directory, sound(directory).lsn)


def test_a_databuffer_that_is_killed_and_comes_back_is_waited_for(tmp_path):
    """The backup goes on where it was; nobody has to look."""
    with databuffer(tmp_path) as running:
        store = Store(running)
        for number in range(6):
            store.put(b"payload %d" % number)
        back = threading.Thread(target=running.restart)

        def kill_once(_what, _done, _of):
            if back.ident is None:
                running.kill()
                back.start()

        taken = backup.backup(store.url, tmp_path / "backup", tell=kill_once)
        back.join(30)
        assert taken.record.lsn == 6
        store.expect(tmp_path / "backup", sound(tmp_path / "backup").lsn)
        store.http.clear()
