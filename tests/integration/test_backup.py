"""Backups of a databuffer that runs: consistent, incremental, restored to any of its moments."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from backup_store import LARGE, Store, databuffer_here, entries, files, sound
from cdb import Cdb
from load import ask, seeded
from logic_pair import Pair
from servers import databuffer, databuffer_at, eventually, logic

from condstore import backup
from condstore.backup import Until
from condstore.backup import directory as directories
from condstore.backup import record as records
from condstore.errors import DamagedBackup, UsageError, WrongBackup


@pytest.fixture
def store(tmp_path):
    """Run a databuffer whose ledger has several segments."""
    with databuffer_here(tmp_path, LEDGER_SEGMENT_BYTES="4096") as running:
        made = Store(running)
        yield made
        made.http.clear()


@pytest.fixture
def process(tmp_path):
    """Run a databuffer that can be stopped and started again."""
    with databuffer(tmp_path) as running:
        made = Store(running)
        yield made
        made.http.clear()


def test_a_backup_under_load_is_the_store_of_one_moment(store, tmp_path):
    """It has every entry up to its LSN and the bytes of every payload they name, no more."""
    for number in range(40):
        store.put(b"payload %d" % number)
    store.put(os.urandom(LARGE))
    with store.under_load():
        taken = backup.backup(store.url, tmp_path / "backup").record
    assert 41 <= taken.lsn < len(store.payloads)
    assert sound(tmp_path / "backup") == taken
    assert taken.blobs == taken.lsn
    store.expect(tmp_path / "backup", taken.lsn)
    assert (tmp_path / "backup").stat().st_mode & 0o077 == 0, "others read what only some may"


def test_the_next_backup_adds_and_rewrites_nothing(store, tmp_path):
    """Not a byte of a segment or a payload changes, so a copy of the directory is cheap."""
    directory = tmp_path / "backup"
    rewritten = {"backup.json", "ledger/ledger.json"}
    for turn in range(3):
        for number in range(10):
            store.put(b"payload %d of %d" % (number, turn))
        before = files(directory) if turn else {}
        taken = backup.backup(store.url, directory)
        assert (taken.entries, taken.blobs) == (10, 10)
        after = files(directory)
        assert [name for name in before if after[name] != before[name]] == (
            sorted(rewritten) if turn else []
        )
    assert sound(directory).lsn == 30
    again = backup.backup(store.url, directory)
    assert (again.entries, again.blobs, again.record.lsn) == (0, 0, 30)
    assert {name for name, digest in files(directory).items() if digest != after[name]} <= {
        "backup.json"
    }


def test_a_databuffer_starts_on_a_backup(store, tmp_path):
    """It is laid out as a volume is, so that whoever has it can ask it."""
    for number in range(20):
        store.put(b"payload %d" % number)
    backup.backup(store.url, tmp_path / "other" / "volume")
    with databuffer_here(tmp_path / "other") as copy:
        assert entries(copy, tmp_path) == entries(store.running, tmp_path / "other")


def test_a_restore_ends_at_any_entry(store, tmp_path):
    """By LSN or by the time of the last entry to keep, with only the payloads kept entries name."""
    for number in range(60):
        store.put(b"payload %d" % number)
        if number % 25 == 0:
            backup.backup(store.url, tmp_path / "backup")
    backup.backup(store.url, tmp_path / "backup")
    (tmp_path / "live").mkdir()
    live = entries(store.running, tmp_path / "live")
    chance = seeded(7)
    for turn, lsn in enumerate([1, 60, *chance.sample(range(2, 60), 4)]):
        folder = tmp_path / f"restored-{turn}"
        folder.mkdir()
        until = Until(lsn) if turn % 2 else Until(None, live[lsn - 1]["time"])
        done = backup.restore(tmp_path / "backup", folder / "volume", until=until)
        assert (done.lsn, done.time, done.payloads) == (lsn, live[lsn - 1]["time"], lsn)
        store.expect(folder / "volume", lsn)
        if turn < 3:
            with databuffer_here(folder) as restored:
                assert entries(restored, folder) == live[:lsn]
                head = ask("GET", f"{restored.url}/ledger/head").json
                assert head["ledger"] == done.ledger != done.was
                note = {"type": "test.note", "actor": "test", "data": {}, "keys": []}
                assert ask("POST", f"{restored.url}/ledger", note).json == {"lsn": lsn + 1}


def test_a_time_between_two_entries_keeps_the_one_before(store, tmp_path):
    """A time without a zone is UTC; one before all entries, or after the backup, is refused."""
    for number in range(3):
        store.put(b"payload %d" % number)
    backup.backup(store.url, tmp_path / "backup")
    second = datetime.fromisoformat(entries(store.running, tmp_path)[1]["time"])
    before = (second - timedelta(microseconds=1)).astimezone(timezone(timedelta(hours=5)))
    for number, time in enumerate((before.isoformat(), f"{before.astimezone(UTC):%F %T.%f}")):
        restored = tmp_path / f"restored-{number}"
        assert backup.restore(tmp_path / "backup", restored, until=Until.parse(None, time)).lsn == 1
    for time, why in (("1999-01-01", "as old as 1999"), ("2999-01-01T00:00:00Z", "nothing after")):
        with pytest.raises(WrongBackup, match=why):
            backup.restore(tmp_path / "backup", tmp_path / "no", until=Until.parse(None, time))
    assert not (tmp_path / "no").exists()


def test_what_cannot_be_restored_is_refused_before_a_byte_is_written(store, tmp_path):
    """An LSN beyond the backup, a directory with something in it, no backup at all."""
    store.put(b"payload")
    directory = tmp_path / "backup"
    backup.backup(store.url, directory)
    with pytest.raises(WrongBackup, match=r"ends at LSN 1 \("):
        backup.restore(directory, tmp_path / "no", until=Until(2))
    with pytest.raises(WrongBackup, match="not empty"):
        backup.restore(directory, tmp_path / "volume")
    with pytest.raises(WrongBackup, match=r"no backup here: no backup\.json"):
        backup.restore(tmp_path / "volume", tmp_path / "no")
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    "time", ["yesterday", "", "0001-01-01T00:00+05:00", "9999-12-31T23:59-05:00"]
)
def test_a_time_that_is_none_is_wrong_use(time):
    """Above all an empty one, of a variable that was not set, is not taken for the end of all."""
    with pytest.raises(UsageError, match="write it as"):
        Until.parse(None, time)
    with pytest.raises(UsageError, match="give one of them"):
        Until.parse(3, time)
    with pytest.raises(UsageError, match="the first entry is LSN 1"):
        Until.parse(0, None)


def test_a_backup_knows_of_the_times_of_its_entries(store, tmp_path):
    """Where the clock of who takes it is behind that of the databuffer, too."""
    for number in range(3):
        store.put(b"payload %d" % number)
    taken = backup.backup(store.url, tmp_path / "backup").record
    records.write(tmp_path / "backup", replace(taken, time="2000-01-01T00:00:00.000000Z"))
    until = Until.parse(None, taken.last)
    assert backup.restore(tmp_path / "backup", tmp_path / "restored", until=until).lsn == 3


@pytest.mark.parametrize("hours", [-1, 1])
def test_when_a_backup_was_taken_is_told_by_the_databuffer_s_clock(tmp_path, hours):
    """It is what entries have their times of; by that of who took it the end would be another."""
    ahead = timedelta(hours=hours)
    with databuffer_here(tmp_path, ahead) as running:
        store = Store(running)
        store.put(b"payload")
        for new in (1, 0):
            asked = datetime.now(UTC) + ahead
            taken = backup.backup(store.url, tmp_path / "backup")
            assert taken.entries == new
            told = datetime.fromisoformat(taken.record.time) - asked
            assert abs(told) < timedelta(minutes=10)
        store.http.clear()


def test_what_comes_while_a_backup_is_taken_is_later_than_all_it_knows(tmp_path):
    """However early it has its time: no moment is restored of which an entry is lacking."""
    with databuffer_here(tmp_path, timedelta(hours=1)) as running:
        store = Store(running)
        store.put(b"first")

        def put_one(*_):
            store.put(b"while it is taken")

        taken = backup.backup(store.url, tmp_path / "backup", tell=put_one).record
        (tmp_path / "live").mkdir()
        first, second, *_ = (one["time"] for one in entries(running, tmp_path / "live"))
        assert (taken.lsn, taken.last) == (1, first)
        assert taken.time < second
        store.http.clear()


def test_a_run_that_ends_as_another_begins_is_no_other_history(store, tmp_path, monkeypatch):
    """The databuffer is asked where the ledger ends when nobody else can take it further here."""
    directory, locked = tmp_path / "backup", directories.locked

    @contextmanager
    def locked_later(place):
        monkeypatch.undo()
        store.put(b"meanwhile")
        with ThreadPoolExecutor(1) as other:
            assert other.submit(backup.backup, store.url, directory).result().record.lsn == 2
        with locked(place):
            yield

    store.put(b"before")
    monkeypatch.setattr(directories, "locked", locked_later)
    assert backup.backup(store.url, directory).record.lsn == 2
    assert sound(directory).lsn == 2


def test_a_volume_of_two_parts_is_restored_into_two(store, tmp_path):
    """Blobs go where DTVOLROOT will be; a new file system's lost+found is no content."""
    store.put(b"payload")
    backup.backup(store.url, tmp_path / "backup")
    parts = [tmp_path / "two" / name for name in ("adml", "gwdataln")]
    for part in parts:
        (part / "lost+found").mkdir(parents=True)
    backup.restore(tmp_path / "backup", parts[0], data=parts[1])
    assert not (parts[0] / "blobs").exists()
    store.expect(parts[1], 1)
    two = {"VOLUME_ROOT": str(parts[0]), "DTVOLROOT": str(parts[1])}
    with databuffer_here(tmp_path / "two", **two) as restored:
        assert Store(restored).ask("GET", "/ledger/head")["lsn"] == 1


def test_documents_are_kept_but_for_the_checkpoint(store, tmp_path):
    """A replica's checkpoint is of one ledger id, and made again; all others come back."""
    for name, text in (("runs", b'{"last":1200}'), ("checkpoint", b"{}")):
        store.ask("PUT", f"/state/{name}", text, If_None_Match="*")
    taken = backup.backup(store.url, tmp_path / "backup")
    assert taken.record.state == {"runs": '{"last":1200}'}
    backup.restore(tmp_path / "backup", tmp_path / "restored" / "volume")
    state = tmp_path / "restored" / "volume" / "state"
    assert files(state) == files(tmp_path / "backup" / "state")
    assert [path.name for path in state.iterdir()] == ["runs.json"]


def test_a_payload_that_is_named_by_its_url_is_backed_up_too(store, tmp_path):
    """As one whose IOV says where it can be had: what removing keeps, a backup takes."""
    for count, separator in enumerate(("/", "%3A"), 1):
        digest = store.ask("POST", "/blobs", b"by its URL, %d" % count)["digest"]
        store.note(f"http://here/api/v1/payloads/{digest.replace(':', separator)}")
        assert backup.backup(store.url, tmp_path / "backup").record.blobs == count
        restored = tmp_path / f"restored-{count}"
        assert backup.restore(tmp_path / "backup", restored).payloads == count


def test_a_digest_said_in_passing_is_no_payload_that_is_missing(store, tmp_path):
    """A comment may name bytes that never were here."""
    store.note(f"as in sha256:{'0' * 64}")
    store.put(b"payload")
    assert backup.backup(store.url, tmp_path / "backup").record.missing == ()
    assert sound(tmp_path / "backup").lsn == 2
    assert backup.restore(tmp_path / "backup", tmp_path / "no").missing == ()


def test_what_the_store_has_lost_does_not_keep_the_rest_from_being_backed_up(process, tmp_path):
    """It is named each time, until it is there again; verify says whose loss it is."""
    process.put(b"kept")
    process.put(b"lost")
    process.put(b"damaged")
    blobs = tmp_path / "volume" / "blobs" / "sha256"
    by_content = {path.read_bytes(): path for path in blobs.rglob("*") if path.is_file()}
    assert process.running.stop() == 0
    by_content[b"lost"].unlink()
    by_content[b"damaged"].write_bytes(b"dAmaged")
    process.running.restart()
    lost = tuple(sorted(by_content[content].name for content in (b"lost", b"damaged")))
    for _ in range(2):
        assert backup.backup(process.url, tmp_path / "backup").record.missing == lost
    found = backup.verify(tmp_path / "backup").problems
    assert [name in problem for name, problem in zip(lost, found, strict=True)] == [True, True]
    assert backup.restore(tmp_path / "backup", tmp_path / "restored").missing == lost
    half = tmp_path / "backup" / by_content[b"lost"].relative_to(tmp_path / "volume")
    half.parent.mkdir(parents=True, exist_ok=True)
    half.write_bytes(b"lo")  # a run that was killed, before the store lost it
    assert backup.restore(tmp_path / "backup", tmp_path / "restored-too").missing == lost
    for content in (b"lost", b"damaged"):
        process.ask("POST", "/blobs", content)
    assert backup.backup(process.url, tmp_path / "backup").record.missing == ()
    assert sound(tmp_path / "backup").blobs == 3


def test_another_ledger_is_refused_and_both_are_named(store, tmp_path):
    """Two histories never end up in one directory."""
    store.put(b"payload")
    was = backup.backup(store.url, tmp_path / "backup").record.ledger
    (tmp_path / "other").mkdir()
    with databuffer_here(tmp_path / "other") as other:
        now = Store(other).ask("GET", "/ledger/head")["ledger"]
        with pytest.raises(WrongBackup, match=f"ledger {was}.* ledger {now}.*another directory"):
            backup.backup(other.url, tmp_path / "backup")
    assert sound(tmp_path / "backup").ledger == was


def test_a_store_that_lost_entries_does_not_become_the_backup(process, tmp_path):
    """Someone put an old copy of the volume back under its old id: the backup is kept as it is."""
    process.put(b"one")
    assert process.running.stop() == 0
    shutil.copytree(tmp_path / "volume", tmp_path / "old")
    process.running.restart()
    process.put(b"two")
    backup.backup(process.url, tmp_path / "backup")
    assert process.running.stop() == 0
    shutil.rmtree(tmp_path / "volume")
    (tmp_path / "old").rename(tmp_path / "volume")
    process.running.restart()
    for act in (str, lambda: process.put(b"another two"), lambda: process.put(b"three")):
        act()
        with pytest.raises((WrongBackup, DamagedBackup), match=r"another history|LSN 3"):
            backup.backup(process.url, tmp_path / "backup")
    assert sound(tmp_path / "backup").lsn == 2


def test_a_directory_of_something_else_is_left_alone(store, tmp_path):
    """Nor is the volume itself taken for a place to back up to."""
    before = set((tmp_path / "volume").iterdir())
    with pytest.raises(WrongBackup, match="holds no backup"):
        backup.backup(store.url, tmp_path / "volume")
    assert set((tmp_path / "volume").iterdir()) == before


def test_under_its_new_id_a_restored_store_never_answers_what_was_lost(tmp_path):
    """A replica that runs on, and who has an ETag, take nothing of the lost history for the new."""
    buffer = databuffer_at(tmp_path).start()
    moment = "/api/v1/global-tags/T/payloads?major=11"
    try:
        with logic(buffer.url, tmp_path) as pod:
            db = Cdb(Pair(buffer, pod))
            db.both.settle()
            beam = db.tag("T", "Beam")["Beam"]
            backup.backup(buffer.url, tmp_path / "backup")
            number = db.piov("lost", (10, 0))
            db.ok("PUT", "piov_attach", {"payload_list": beam, "piov_id": number})
            lost = [db.both.ask("GET", moment) for _ in range(20)][-1]
            assert lost.json()["payloads"][0]["name"] == "lost"
            assert buffer.stop() == 0
            shutil.rmtree(tmp_path / "volume")
            done = backup.restore(tmp_path / "backup", tmp_path / "volume")
            buffer.restart()
            eventually(lambda: ask("GET", f"{pod.url}/readyz").json["ledger"] == done.ledger)
            db.both.settle()
            number = db.piov("new", (10, 0))
            db.ok("PUT", "piov_attach", {"payload_list": beam, "piov_id": number})
            for _ in range(20):
                found = db.both.ask("GET", moment, If_None_Match=lost.headers["ETag"])
                assert found.headers["X-Ledger-LSN"] == lost.headers["X-Ledger-LSN"]
                assert found.json()["payloads"][0]["name"] == "new"
    finally:
        buffer.kill()


def test_no_path_is_made_of_what_a_record_says(store, tmp_path):
    """Whoever may write into a backup does not choose which file the next run writes."""
    store.put(b"payload")
    taken = backup.backup(store.url, tmp_path / "backup").record
    kept = tmp_path / "kept"
    kept.write_bytes(b"kept")
    records.write(tmp_path / "backup", replace(taken, missing=(f"../../{kept}",)))
    with pytest.raises(DamagedBackup, match="not what was written"):
        backup.backup(store.url, tmp_path / "backup")
    assert kept.read_bytes() == b"kept"


def test_tokens_that_were_revoked_later_are_named(store, tmp_path):
    """After a restore they are good again, so who restores is told which."""
    store.put(b"payload")
    entry = {"type": "token.revoked", "actor": "root", "data": {"token": "0123"}, "keys": []}
    store.ask("POST", "/ledger", json.dumps(entry).encode())
    backup.backup(store.url, tmp_path / "backup")
    done = backup.restore(tmp_path / "backup", tmp_path / "earlier", until=Until(1))
    assert done.revoked == ("0123",)
    assert backup.restore(tmp_path / "backup", tmp_path / "all").revoked == ()


def test_nothing_is_backed_up_and_restored_as_nothing(store, tmp_path):
    """An empty store is a store."""
    assert backup.backup(store.url, tmp_path / "backup").record.lsn == 0
    assert sound(tmp_path / "backup").lsn == 0
    done = backup.restore(tmp_path / "backup", tmp_path / "restored" / "volume")
    assert done.lsn == 0
    with databuffer_here(tmp_path / "restored") as restored:
        assert Store(restored).ask("GET", "/ledger/head")["ledger"] == done.ledger
    assert Path(tmp_path / "backup" / "backup.json").exists()
