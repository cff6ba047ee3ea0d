"""Backups with damage in them: repaired from the store, or restored without what is damaged."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest
from backup_kills import full_after, killer
from backup_store import LARGE, Store, databuffer_here, files, sound
from long import at_length
from servers import databuffer

from condstore import backup
from condstore.backup import Until
from condstore.backup import record as records
from condstore.errors import DamagedBackup, NotWritten, WrongBackup


@pytest.fixture
def store(tmp_path):
    """Run a databuffer whose backup has three segments, six payloads and a document."""
    with databuffer_here(tmp_path) as running:
        made = Store(running)
        made.ask("PUT", "/state/runs", b'{"last":1200}', If_None_Match="*")
        for turn in range(3):
            made.put(b"payload of run %d" % turn)
            made.put(b"another of run %d" % turn)
            backup.backup(made.url, tmp_path / "backup")
        yield made
        made.http.clear()


@pytest.fixture
def directory(store, tmp_path):
    """Give the directory of the backup."""
    return tmp_path / "backup"


def add_large(store, directory):
    """Back up a payload too that a databuffer does not send together with others."""
    store.put(os.urandom(LARGE))
    backup.backup(store.url, directory)


def segments(directory):
    """Return the files of the ledger in a backup."""
    return sorted((directory / "ledger").glob("*.zst"))


def payload(directory, content):
    """Return the file of a payload in a backup."""
    return next(
        path
        for path in (directory / "blobs").rglob("*")
        if path.is_file() and path.read_bytes() == content
    )


def flip(path):
    """Make one bit of a file another."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_each_damaged_and_each_lost_file_is_healed(store, directory):
    """The next backup heals nothing, the repair each file to the very bytes, and no other."""
    before = files(directory)
    names = {name for name in before if name not in {"backup.json", "backup.lock"}}
    assert len(names) == 3 + 6 + 2
    for number, name in enumerate(sorted(names)):
        (flip if number % 2 else Path.unlink)(directory / name)
        assert backup.verify(directory).problems, name
        done = backup.repair(store.url, directory)
        assert (done.segments, done.payloads, done.copies, done.problems) == (
            name.endswith(".zst"),
            name.startswith("blobs"),
            name.endswith(".json"),
            (),
        ), name
        assert files(directory) == before
    sound(directory)


def test_all_that_is_damaged_at_once_is_healed(store, directory):
    """Segments one after the other, and the payloads that only they name; then nothing is."""
    add_large(store, directory)
    before = files(directory)
    for name in before.keys() - {"backup.json", "backup.lock"}:
        flip(directory / name)
    done = backup.repair(store.url, directory)
    assert (done.segments, done.payloads, done.copies, done.problems) == (4, 7, 2, ())
    assert files(directory) == before
    shutil.rmtree(directory / "ledger")
    shutil.rmtree(directory / "blobs")
    assert backup.repair(store.url, directory).problems == ()
    assert files(directory) == before
    done = backup.repair(store.url, directory)
    assert (done.segments, done.payloads, done.size, done.copies) == (0, 0, 0, 0)


def test_lines_that_are_packed_otherwise_now_are_recorded(store, directory, monkeypatch):
    """Another version of zstd makes other bytes of the same lines, which are the backup then."""
    was = records.read(directory)
    flip(segments(directory)[1])
    monkeypatch.setattr("condstore.backup.segments._LEVEL", -5)
    assert backup.repair(store.url, directory).segments == 1
    now = sound(directory)
    assert [one == two for one, two in zip(was.segments, now.segments, strict=True)] == [
        True,
        False,
        True,
    ]
    store.put(b"later")
    backup.backup(store.url, directory)
    sound(directory)


def test_what_the_store_lost_too_is_named_and_healed_once_it_is_there_again(tmp_path):
    """All else is repaired."""
    with databuffer(tmp_path) as running:
        store = Store(running)
        for content in (b"lost", b"damaged", b"kept"):
            store.put(content)
        directory = tmp_path / "backup"
        backup.backup(store.url, directory)
        assert running.stop() == 0
        payload(tmp_path / "volume", b"lost").unlink()
        payload(tmp_path / "volume", b"damaged").write_bytes(b"dAmaged")
        running.restart()
        paths = [payload(directory, content) for content in (b"lost", b"damaged", b"kept")]
        paths[0].unlink()
        flip(paths[1])
        flip(paths[2])
        done = backup.repair(store.url, directory)
        assert done.payloads == 1
        assert [path.name in " ".join(done.problems) for path in paths] == [True, True, False]
        for content in (b"lost", b"damaged"):
            store.ask("POST", "/blobs", content)
        done = backup.repair(store.url, directory)
        assert (done.payloads, done.problems) == (2, ())
        store.expect(directory, sound(directory).lsn)
        store.http.clear()


def test_another_store_repairs_nothing(store, directory, tmp_path):
    """Nor one that says that it has this ledger, and other entries and other bytes in it."""
    flip(segments(directory)[0])
    flip(payload(directory, b"payload of run 1"))
    (tmp_path / "other").mkdir()
    with databuffer_here(tmp_path / "other") as running:
        with pytest.raises(WrongBackup, match="is a backup of ledger"):
            backup.repair(running.url, directory)
        other = Store(running)
        for number in range(12):
            other.put(b"other %d" % number)
        other.http.clear()
    ledger = Path("volume", "ledger", "ledger.json")
    shutil.copy(tmp_path / ledger, tmp_path / "other" / ledger)
    lying = payload(directory, b"payload of run 2").name
    flip(payload(directory, b"payload of run 2"))
    before = files(directory)
    target = tmp_path / "other" / "volume" / "blobs" / "sha256" / lying[:2] / lying[2:4] / lying
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b"other bytes")
    with databuffer_here(tmp_path / "other") as running:
        done = backup.repair(running.url, directory)
    assert (done.segments, done.payloads) == (0, 0)
    assert "the store has other entries" in done.problems[0]
    assert lying in " ".join(done.problems)
    assert files(directory) == before


def test_a_repair_that_is_killed_leaves_no_file_worse(store, directory):
    """At any file that it makes; the next one goes through."""
    before = files(directory)
    harmed = [
        segments(directory)[1],
        payload(directory, b"payload of run 0"),
        payload(directory, b"another of run 1"),
        directory / "state" / "runs.json",
    ]
    ended, left = set(), set()
    with killer(store.url, directory, "repair") as kill_at:
        for number in range(0, 90, at_length(4, 1)):
            for path in harmed:
                flip(path)
            worse = files(directory)
            ended.add(kill_at(number))
            now = {name: digest for name, digest in files(directory).items() if name in before}
            assert now.keys() == before.keys()
            assert all(digest in (before[name], worse[name]) for name, digest in now.items())
            left.add(len(backup.verify(directory).problems))
            backup.repair(store.url, directory)
            assert files(directory) == before
    assert ended == {0, 9}
    assert {0, 3} < left, "no kill was in the middle"


@pytest.mark.parametrize("room", [0, 40, LARGE // 2])
def test_no_room_for_a_repair_leaves_each_file_as_it_is(store, directory, monkeypatch, room):
    """Nothing is cut off or removed before what is to stand there is whole."""
    add_large(store, directory)
    before = files(directory)
    for name in before.keys() - {"backup.json", "backup.lock"}:
        flip(directory / name)
    worse = files(directory)
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full_after(room, str(directory)))
        with pytest.raises(NotWritten, match=f"{directory}.*No space left"):
            backup.repair(store.url, directory)
    now = files(directory)
    assert {name: now[name] for name in worse} == worse
    assert backup.repair(store.url, directory).problems == ()
    assert files(directory) == before


def cut(path):
    """Take the second half of a file away."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("harm", [flip, cut, Path.unlink])
@pytest.mark.parametrize("lost", [(), (0,), (1,), (0, 1)])
def test_a_record_is_made_again_of_the_ledger_that_is_there(store, directory, harm, lost):
    """Of the same ledger and up to the same entry, whatever else is damaged before that."""
    was, before = records.read(directory), files(directory)
    harm(directory / "backup.json")
    for number, path in enumerate(segments(directory)):
        if number not in lost:
            continue
        (flip if number else Path.unlink)(path)
        flip(payload(directory, b"payload of run %d" % number))
    if lost:
        (directory / "ledger" / "ledger.json").unlink()
    assert "--repair` makes it again" in refused(backup.verify, directory)
    assert "--repair` makes it again" in refused(backup.backup, store.url, directory)
    done = backup.repair(store.url, directory)
    assert done.remade == ("backup.json",)
    assert (done.segments, done.payloads, done.problems) == (len(lost), len(lost), ())
    now = sound(directory)
    assert (now.ledger, now.lsn, now.hash, now.last) == (was.ledger, was.lsn, was.hash, was.last)
    assert (now.segments, now.state, now.blobs) == (was.segments, was.state, was.blobs)
    after = files(directory)
    assert [name for name in after if after[name] != before[name]] == ["backup.json"]
    assert backup.backup(store.url, directory).entries == 0


def refused(act, *words):
    """Return the one line with which something is refused."""
    with pytest.raises((DamagedBackup, WrongBackup)) as caught:
        act(*words)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_last_segment_is_taken_anew_where_nothing_says_how_long_it_was(store, directory):
    """As new entries are, and those that came since; what is before it is kept as it is."""
    store.put(b"later")
    before = files(directory)
    flip(directory / "backup.json")
    flip(segments(directory)[-1])
    assert backup.remake(store.url, directory) == ("backup.json",)
    assert records.read(directory).lsn == 4
    assert backup.backup(store.url, directory).record.lsn == 7
    store.expect(directory, sound(directory).lsn)
    after = files(directory)
    assert {name for name in before if after[name] != before[name]} == {
        "backup.json",
        f"ledger/{segments(directory)[-1].name}",
    }


def test_no_record_is_made_of_what_another_store_has(store, directory, tmp_path):
    """Nor of one that says that it is this ledger; nothing is written."""
    flip(directory / "backup.json")
    before = files(directory)
    (tmp_path / "other").mkdir()
    with databuffer_here(tmp_path / "other") as running:
        assert "is a backup of ledger" in refused(backup.repair, running.url, directory)
        other = Store(running)
        for number in range(7):
            other.put(b"other %d" % number)
        other.http.clear()
    ledger = Path("volume", "ledger", "ledger.json")
    shutil.copy(tmp_path / ledger, tmp_path / "other" / ledger)
    with databuffer_here(tmp_path / "other") as running:
        assert "another entry there" in refused(backup.repair, running.url, directory)
    assert files(directory) == before
    assert backup.repair(store.url, directory).remade == ("backup.json",)


def test_a_record_is_made_again_with_a_databuffer_on_a_copy(store, directory, tmp_path):
    """Where the store is gone: the copy is laid out as a volume, and of the same ledger."""
    was = records.read(directory)
    flip(directory / "backup.json")
    shutil.copytree(directory, tmp_path / "alone" / "volume")
    store.http.clear()
    with databuffer_here(tmp_path / "alone") as running:
        assert backup.repair(running.url, directory).problems == ()
    assert sound(directory).segments == was.segments


def test_what_says_that_a_run_was_killed_is_named_and_made_again(store, directory):
    """It hides nothing else that is wrong, and keeps nobody from the last whole backup."""
    good = records.read(directory)
    store.put(b"later")
    (directory / "unfinished.json").write_bytes(b"{")
    flip(payload(directory, b"payload of run 1"))
    one, two = backup.verify(directory).problems
    assert payload_name(b"payload of run 1") in one
    assert "unfinished.json is damaged" in two
    assert "--repair` makes it again" in refused(backup.backup, store.url, directory)
    assert backup.repair(store.url, directory).remade == ("unfinished.json",)
    assert sound(directory) == good
    assert backup.backup(store.url, directory).record.lsn == 7
    assert not (directory / "unfinished.json").exists()
    store.expect(directory, sound(directory).lsn)


def payload_name(content):
    """Return the digits of a payload's digest."""
    return hashlib.sha256(content).hexdigest()


def test_a_record_is_made_again_where_no_segment_is_left(store, directory):
    """It is that of nothing, so the next backup takes all."""
    flip(directory / "backup.json")
    for path in segments(directory):
        path.unlink()
    done = backup.repair(store.url, directory)
    assert (done.remade, done.problems) == (("backup.json",), ())
    assert sound(directory).lsn == 0
    assert backup.backup(store.url, directory).entries == 6
    store.expect(directory, 6)


def test_a_record_is_made_again_whenever_that_is_killed(store, directory):
    """It is the damaged one or the new one; the next repair goes through."""
    ended = set()
    with killer(store.url, directory, "repair") as kill_at:
        for number in range(0, 130, at_length(13, 1)):
            flip(directory / "backup.json")
            flip(segments(directory)[0])
            ended.add(kill_at(number))
            backup.repair(store.url, directory)
            assert sound(directory).lsn == 6
    assert ended == {0, 9}


def test_a_restore_leaves_damaged_payloads_out_if_told_to(store, directory, tmp_path):
    """All else is there, and each is named; without being told it refuses, and says both ways."""
    add_large(store, directory)
    harmed = [payload(directory, content) for content in (b"payload of run 0", b"another of run 2")]
    large = max(
        (path for path in (directory / "blobs").rglob("*")), key=lambda path: path.stat().st_size
    )
    flip(harmed[0])
    flip(large)
    harmed[1].unlink()
    with pytest.raises(DamagedBackup, match=r"--repair.*--leave-damaged restores all else"):
        backup.restore(directory, tmp_path / "no")
    done = backup.restore(directory, tmp_path / "restored" / "volume", leave_damaged=True)
    names = sorted(path.name for path in (*harmed, large))
    assert [one.split()[1] for one in done.left_out] == [f"sha256:{name}" for name in names]
    for lsn, content in [*store.payloads.items()]:
        if content in (b"payload of run 0", b"another of run 2") or len(content) == LARGE:
            del store.payloads[lsn]
    store.expect(tmp_path / "restored" / "volume", 7)
    assert done.payloads == 4
    with databuffer_here(tmp_path / "restored") as restored:
        assert Store(restored).ask("GET", "/ledger/head")["lsn"] == done.lsn == 7


def test_a_restore_goes_up_to_a_damaged_segment_and_not_over_it(store, directory, tmp_path):
    """Only by an LSN before it, and only if told to."""
    second = segments(directory)[1]
    flip(second)
    for number, (until, leave) in enumerate(
        [(Until(), True), (Until(3), True), (Until(2), False), (Until(None, "2000-01-01"), True)]
    ):
        with pytest.raises((DamagedBackup, WrongBackup), match=r"leave-damaged --lsn 2|is as old"):
            backup.restore(directory, tmp_path / f"no-{number}", until=until, leave_damaged=leave)
    for lsn in (2, 1):
        target = tmp_path / f"restored-{lsn}" / "volume"
        done = backup.restore(directory, target, until=Until(lsn), leave_damaged=True)
        assert done.lsn == lsn
        assert second.name in done.left_out[0]
        store.expect(target, lsn)
        with databuffer_here(target.parent) as restored:
            assert Store(restored).ask("GET", "/ledger/head")["lsn"] == lsn
