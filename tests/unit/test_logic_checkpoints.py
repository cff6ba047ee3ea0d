"""Making a checkpoint: a copy that holds nothing of its pod, a document that never goes back."""

import errno
import fcntl
import io
import os
import sqlite3
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace

import orjson
import pytest
from ledger_view import LedgerView
from logic_fakes import FakeBuffer, small_app
from long import at_length
from view_oracle import Oracle

from datastore_logic.app import TIER
from datastore_logic.errors import BufferRefused, CopyFailed, ScratchFull, ViewBuilding
from datastore_logic.services import checkpoints as checkpoints_module
from datastore_logic.view import copying as copying_module
from datastore_logic.view.checkpoint import DOCUMENT, Checkpoint
from datastore_logic.view.copier import copied, write
from datastore_logic.view.copying import Copies
from datastore_logic.view.database import Database
from datastore_logic.view.packing import CHUNK, unpack
from datastore_logic.view.soundness import Unsound, refuse_damaged, refuse_unsound

PATH = "/api/v1/checkpoint"


@pytest.fixture
def quick(monkeypatch):
    """Copy in this process: starting one takes longer than all the rest."""

    @contextmanager
    def process(self, _lock):
        out = io.BytesIO()
        path = self._path.with_name(self._path.name.removesuffix(".copy"))
        status = write(Database(path, "stream"), self._path, out)
        out.seek(0)
        yield SimpleNamespace(stdout=out, wait=lambda: status)

    monkeypatch.setattr(Copies, "_process", process)


@pytest.fixture
def buffer():
    """Return a databuffer in memory with ten tags."""
    buffer = FakeBuffer()
    for number in range(10):
        buffer.write("tag.created", {"tag": f"X{number}", "description": ""}, f"tag/X{number}")
    return buffer


@pytest.fixture
def app(buffer, tmp_path, quick):
    """Make the application over it, which copies in this process."""
    with small_app(tmp_path, buffer) as app:
        yield app


@pytest.fixture
def really(buffer, tmp_path):
    """Make the application over it as it is."""
    with small_app(tmp_path, buffer) as app:
        yield app


@pytest.fixture
def ask(app):
    """Return a client."""
    return app.test_client()


def named(buffer):
    """Return the checkpoint that the document names."""
    return Checkpoint.parse(buffer.documents[DOCUMENT])


def copies(folder):
    """Return the files of copies beside the view."""
    return [path.name for path in folder.glob("*.copy*") if not path.name.endswith(".lock")]


def test_it_is_made_named_and_told(buffer, really, tmp_path):
    """What the caller is told is what the document says, and nothing is left beside the view."""
    made = really.test_client().post(PATH)
    assert made.status_code == 201
    assert made.headers["X-Ledger-LSN"] == "10"
    found = named(buffer)
    assert made.json == found.told()
    assert (found.ledger, found.lsn, found.hash) == ("ledger-one", 10, buffer.head().hash)
    assert found.size == len(buffer.blobs[found.digest])
    assert found.digest not in made.text
    assert copies(tmp_path) == []


def test_where_one_stands_none_is_made(buffer, ask):
    """Asked again by a caller who lost the answer: nothing new until the ledger has more."""
    first = ask.post(PATH)
    again = ask.post(PATH)
    assert (again.status_code, again.json) == (200, first.json)
    assert len(buffer.blobs) == 1
    ask.post("/api/v1/global-tags", json={"name": "Y"})
    third = ask.post(PATH)
    assert (third.status_code, third.json["lsn"]) == (201, 11)


@pytest.mark.parametrize("other", [{"schema": 1}, {"stream_tag": "live"}, {"hash": "f" * 64}])
def test_one_of_another_kind_is_replaced(buffer, ask, other):
    """It is of no use to replicas like this one."""
    ask.post(PATH)
    found = named(buffer)
    buffer.documents[DOCUMENT] = replace(found, **other).content()
    assert ask.post(PATH).status_code == 201
    assert named(buffer).told() == found.told() | {"time": named(buffer).time}


def test_one_whose_copy_is_gone_is_replaced(buffer, ask):
    """Somebody removed the blob."""
    ask.post(PATH)
    buffer.blobs.clear()
    assert ask.post(PATH).status_code == 201
    assert named(buffer).digest in buffer.blobs


def test_the_copy_holds_nothing_of_its_pod(buffer, app, ask):
    """Whether the databuffer is reached, what the head was, why it halted."""
    with app.extensions[TIER].database.applying() as view:
        view.execute("UPDATE link SET reachable = 1, since = 'then', started_lsn = 3")
        view.execute("UPDATE position SET head_lsn = 99, target_lsn = 99")
    ask.post(PATH)
    found, file = named(buffer), io.BytesIO()
    unpack(io.BytesIO(buffer.blobs[found.digest]), file, found)
    with closing(sqlite3.connect(":memory:")) as view:
        file.getbuffer()[18:20] = b"\1\1"  # as a memory's journal is none
        view.deserialize(file.getvalue())
        assert view.execute("SELECT * FROM link").fetchall() == [(1, 0, "", None, 0)]
        position = "SELECT applied_lsn, head_lsn, target_lsn, complete, halted FROM position"
        assert view.execute(position).fetchall() == [(10, 10, 10, 1, None)]


def test_the_newest_that_a_pod_has_to_do_with_is_known(app, ask):
    """For /readyz and the metrics."""
    assert ask.get("/readyz").json["checkpoint_lsn"] is None
    ask.post(PATH)
    told = ask.get("/readyz").json
    assert (told["checkpoint_lsn"], told["started_from"]) == (10, "ledger")
    assert app.extensions[TIER].database.position().checkpoint_lsn == 10


def test_one_that_was_found_bad_here_is_replaced(buffer, app, ask):
    """However new it is: who asks again has one that others can begin with."""
    ask.post(PATH)
    bad = named(buffer)
    app.extensions[TIER].database.refuse(bad)
    assert ask.post(PATH).status_code == 201
    assert named(buffer).lsn == bad.lsn
    assert named(buffer).digest != bad.digest
    assert ask.post(PATH).status_code == 200


# the document -----------------------------------------------------------------------------------


def meanwhile(buffer, *contents):
    """Have others write the document each time just before it is written."""
    put, left = buffer.put_state, list(contents)

    def slower(name, content, instead_of):
        if left:
            buffer.documents[name] = left.pop(0)
        return put(name, content, instead_of)

    buffer.put_state = slower


def other(**told):
    """Return the document of another replica's checkpoint."""
    about = {"format": 1, "ledger": "ledger-one", "lsn": 10, "hash": "0" * 64, "schema": 9,
             "stream_tag": "stream", "digest": "sha256:" + "0" * 64, "size": 1, "bytes": 1,
             "time": "then"}  # fmt: skip
    return orjson.dumps(about | told)


def test_it_never_goes_back(buffer, ask):
    """Another replica was further, and faster: its checkpoint stays, and is what is told."""
    for _ in range(5):
        buffer.write("tag.created", {"tag": f"Y{len(buffer.lines)}", "description": ""})
    newer = other(lsn=13)
    meanwhile(buffer, newer)
    told = ask.post(PATH)
    assert (told.status_code, told.json["lsn"]) == (200, 13)
    assert buffer.documents[DOCUMENT] == newer


@pytest.mark.parametrize(
    "standing",
    [other(lsn=9), other(), other(ledger="ledger-two", lsn=99), other(lsn=99), b"{", b"[]"],
    ids=["older", "as new", "of another ledger", "beyond the head", "no JSON", "no document"],
)
def test_what_does_not_go_further_is_replaced(buffer, ask, standing):
    """Nor does what cannot be hold the place for ever."""
    meanwhile(buffer, standing)
    assert ask.post(PATH).status_code == 201
    assert named(buffer).lsn == 10
    assert named(buffer).digest in buffer.blobs


def test_who_is_always_slower_gives_up(buffer, ask, monkeypatch):
    """With a conflict, not for ever."""
    monkeypatch.setattr(checkpoints_module, "PAUSE", 0)
    meanwhile(buffer, *(other(lsn=number) for number in range(1, 10)), other(lsn=2))
    refused = ask.post(PATH)
    assert (refused.status_code, refused.json["code"]) == (409, "conflict")


def test_one_of_a_ledger_that_is_no_more_is_not_named(buffer, ask):
    """The volume was restored while the copy was made."""
    store = buffer.store_blob

    def restored(*asked, **told):
        buffer.ledger = "ledger-two"
        return store(*asked, **told)

    buffer.store_blob = restored
    refused = ask.post(PATH)
    assert (refused.status_code, refused.json["code"]) == (503, "view_building")
    assert buffer.documents == {}


# it cannot be made ------------------------------------------------------------------------------


def refuses(ask, folder, status, code):
    """Assert that it is refused, and that neither a copy nor a lock is left."""
    refused = ask.post(PATH)
    assert (refused.status_code, refused.json["code"]) == (status, code)
    assert copies(folder) == []
    return refused


def test_two_at_once_are_one_and_a_busy(buffer, really, tmp_path):
    """The second one does not wait in a thread of its own; the first is not disturbed."""
    ask = really.test_client()
    begun, go_on = threading.Event(), threading.Event()
    store = buffer.store_blob

    def slow(body, length, **told):
        begun.set()
        assert go_on.wait(10)
        return store(body, length, **told)

    buffer.store_blob = slow
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(really.test_client().post, PATH)
        assert begun.wait(10)
        refused = ask.post(PATH)
        assert (refused.status_code, refused.json["code"]) == (409, "busy")
        assert "Retry-After" in refused.headers
        assert ask.post("/api/v1/global-tags", json={"name": "meanwhile"}).status_code == 201
        assert ask.get("/api/v1/global-tags/meanwhile").status_code == 200
        go_on.set()
        assert first.result().json["lsn"] == 10
    assert copies(tmp_path) == []


def test_what_a_killed_one_left_is_no_hindrance(ask, tmp_path):
    """Half a copy and its journal; they go with the next one."""
    for suffix in ("", "-wal", "-journal"):
        (tmp_path / f"view.sqlite.copy{suffix}").write_bytes(b"half")
    assert ask.post(PATH).status_code == 201
    assert copies(tmp_path) == []


def test_it_is_swept_unless_one_is_being_made(app, tmp_path):
    """By whoever begins to follow the ledger."""
    sweep = app.extensions[TIER].copies.sweep
    (tmp_path / "view.sqlite.copy").write_bytes(b"half")
    with (tmp_path / "view.sqlite.copy.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sweep()
        assert copies(tmp_path)
    sweep()
    assert copies(tmp_path) == []


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [(413, "too_large", "MAX_BLOB_BYTES"), (507, "volume_full", "the volume is full")],
)
def test_the_databuffer_may_refuse_it(buffer, ask, tmp_path, status, code, words):
    """Too large, or no room: in the words of what can be done about it."""

    def refused(*_, **__):
        raise BufferRefused(status, "the volume is full", code)

    buffer.store_blob = refused
    assert words in refuses(ask, tmp_path, status, code).json["detail"]
    assert buffer.documents == {}


def test_without_room_beside_the_view_none_is_made(buffer, ask, tmp_path, monkeypatch):
    """Twice the view must be free: slices and its journal are on the same disk."""
    free = SimpleNamespace(free=2 * (tmp_path / "view.sqlite").stat().st_size - 1)
    monkeypatch.setattr(copying_module.shutil, "disk_usage", lambda _: free)
    refuses(ask, tmp_path, 507, "scratch_full")
    free.free += 1
    assert ask.post(PATH).status_code == 201


@pytest.mark.parametrize(
    ("failure", "code"),
    [(sqlite3.SQLITE_FULL, "scratch_full"), (sqlite3.SQLITE_IOERR, "copy_failed")],
)
def test_a_copy_that_cannot_be_written_is_told(app, ask, tmp_path, failure, code, monkeypatch):
    """The disk filled up, or failed."""

    def fail(_, to):
        to.write_bytes(b"half")
        reason = sqlite3.OperationalError("no")
        reason.sqlite_errorcode = failure
        raise reason

    monkeypatch.setattr(type(app.extensions[TIER].database), "copy", fail)
    refuses(ask, tmp_path, 507 if code == "scratch_full" else 503, code)


COPIED = {"copied": {"ledger": "l", "lsn": 1, "hash": "h", "stream_tag": "stream", "bytes": 1}}
HEAD = orjson.dumps(COPIED).decode()
BREAKS_OFF = {
    "at once": "raise SystemExit(0)",
    "while it tells": "print('{', end='')",
    "while it packs": f"print({HEAD!r}); print('x' * 10**6); raise SystemExit(1)",
    "killed while it packs": f"import os; print({HEAD!r}, flush=True); os.kill(os.getpid(), 9)",
}


@pytest.mark.parametrize("when", BREAKS_OFF)
def test_a_process_that_breaks_off_leaves_nothing(buffer, really, tmp_path, monkeypatch, when):
    """The body breaks off with it, so nothing is stored, and no document names it."""
    copies = really.extensions[TIER].copies
    monkeypatch.setattr(copies, "_command", (sys.executable, "-c", BREAKS_OFF[when]))
    refuses(really.test_client(), tmp_path, 503, "copy_failed")
    assert (buffer.documents, buffer.blobs) == ({}, {})


def test_without_a_process_none_is_made(really, tmp_path, monkeypatch):
    """The system gives no more of them."""

    def refused(*_, **__):
        raise OSError(errno.EAGAIN, "no more processes")

    monkeypatch.setattr(copying_module.subprocess, "Popen", refused)
    refuses(really.test_client(), tmp_path, 503, "copy_failed")


def test_the_process_is_last_and_its_pipe_is_wide(really, tmp_path, monkeypatch):
    """Readers go first; and who passes the pieces on takes the interpreter once for each."""
    copies = really.extensions[TIER].copies
    code = "from datastore_logic.view.copier import main; import os, sys; main(sys.argv[1:]);"
    code += " print(os.sched_getscheduler(0))"
    arguments = ("text", tmp_path / "none", "stream", tmp_path / "copy")
    monkeypatch.setattr(copies, "_command", (sys.executable, "-c", code, *map(str, arguments)))
    with (tmp_path / "lock").open("w") as lock, copies._process(lock) as process:
        refused, policy = process.stdout.read().splitlines()
        assert b"view_building" in refused
        assert int(policy) == os.SCHED_IDLE
        widest = int(Path("/proc/sys/fs/pipe-max-size").read_text())
        size = fcntl.fcntl(process.stdout, fcntl.F_GETPIPE_SZ)
        assert size == min(CHUNK, widest)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("complete = 0, target_lsn = 99", "view_building"),
        ("halted = 'LSN 11: of the future'", "ledger_too_new"),
    ],
)
def test_what_does_not_know_all_makes_none(app, ask, tmp_path, change, code):
    """A view that is being built, or that a newer version's entry stopped."""
    with app.extensions[TIER].database.applying() as view:
        view.execute(f"UPDATE position SET {change}")  # noqa: S608 - of the list above
    refuses(ask, tmp_path, 503, code)


def test_with_the_databuffer_away_none_is_made(buffer, ask, tmp_path):
    """Come again."""
    buffer.away = True
    refuses(ask, tmp_path, 503, "databuffer_away")


def test_a_damaged_view_is_rebuilt_and_not_passed_on(really, tmp_path):
    """SQLite cannot walk its pages."""
    really.extensions[TIER].database.close()
    path = tmp_path / "view.sqlite"
    content = bytearray(path.read_bytes())
    for page in range(1, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = b"\xa5" * 64
    path.write_bytes(content)
    refuses(really.test_client(), tmp_path, 503, "view_building")


# what is wrong inside the view -------------------------------------------------------------------


@pytest.fixture
def lived(buffer, ask, tmp_path):
    """Have the view hold rows, a tag of them frozen; return its path."""
    iovs = [{"payload_type": "A", "start": [n, 0], "name": f"a{n}"} for n in range(100)]
    for tag in ("X1", "X2"):
        assert ask.post(f"/api/v1/global-tags/{tag}/iovs", json={"iovs": iovs}).status_code == 201
        cloned = ask.post(f"/api/v1/global-tags/{tag}/clone", json={"name": f"{tag}c"})
        assert cloned.status_code == 201
    assert ask.post("/api/v1/global-tags/X1/freeze").status_code == 200
    assert ask.post(PATH).status_code == 201  # as it is, it is sound
    assert ask.post("/api/v1/global-tags", json={"name": "since"}).status_code == 201
    return tmp_path / "view.sqlite"


def says(path, *statements):
    """Have SQL change a view behind everybody's back."""
    with closing(sqlite3.connect(path)) as view:
        for statement in statements:
            view.execute(statement)
        view.commit()


WRONG = {
    "a count of a list": ["UPDATE payload_list SET iov_count = iov_count + 1"],
    "a count of a tag": ["UPDATE global_tag SET list_count = list_count + 1"],
    "a row that is gone": ["DELETE FROM iov WHERE start_major = 7"],
    "a list without its timeline": ["DELETE FROM timeline"],
    "what was frozen": ["UPDATE iov SET checksum = 'f' WHERE start_major = 7"],
    "a list of what was frozen": ["DELETE FROM frozen_list"],
    "words that are none": ["UPDATE tag_history SET about = CAST(x'ff' AS TEXT)"],
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_hold_together_is_not_passed_on(buffer, ask, tmp_path, lived, what, caplog):
    """SQLite finds nothing wrong with it; the checkpoint before it stays."""
    before = dict(buffer.documents)
    says(lived, *WRONG[what])
    assert "not sound" in refuses(ask, tmp_path, 503, "copy_failed").json["detail"]
    assert buffer.documents == before
    assert "no checkpoint is made" in caplog.text
    assert ask.get("/api/v1/global-tags").status_code == 200  # it is left to who looks after it


def test_a_row_that_lacks_what_each_has_is_not_passed_on(lived):
    """In a table whose key is not its first columns, of which SQLite 3.40 means others."""
    must, may = "id INTEGER NOT NULL", "id INTEGER"
    rewrite = "UPDATE sqlite_schema SET sql = replace(sql, '{}', '{}') WHERE name = 'iov_past'"
    writable = "PRAGMA writable_schema = ON"  # or SQLite would put no NULL there
    says(lived, writable, rewrite.format(must, may))
    columns = "1, 1, 0, NULL, NULL, NULL, 'a', NULL, NULL, NULL, NULL, 1, 2"
    says(lived, f"INSERT INTO iov_past VALUES ({columns})")  # noqa: S608 - of the line above
    says(lived, writable, rewrite.format(may, must))
    with closing(sqlite3.connect(lived)) as view, pytest.raises(Unsound, match="iov_past"):
        refuse_damaged(view)


def index_lacks_rows(path):
    """Have the index of IOVs by their ids be empty, and each of its pages sound."""
    with closing(sqlite3.connect(path)) as view:
        view.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = view.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'iov_by_id'"
        ).fetchone()
        (size,) = view.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\x0a" + bytes(4) + size.to_bytes(2, "big") + bytes(1))


def test_an_index_that_lacks_rows_is_not_passed_on(buffer, really, lived, tmp_path, caplog):
    """Which SQLite copies as it is: the view is damaged and begun again."""
    before = dict(buffer.documents)
    really.extensions[TIER].database.close()
    index_lacks_rows(lived)
    refuses(really.test_client(), tmp_path, 503, "view_building")
    assert buffer.documents == before
    with closing(sqlite3.connect(lived)) as view:
        assert view.execute("SELECT applied_lsn FROM position").fetchone() == (0,)


@pytest.mark.parametrize("seed", range(at_length(10, 300)))
def test_noise_in_a_page_is_not_passed_on(lived, tmp_path, seed):
    """Either it lies where nothing does, or there is no copy."""
    says(lived, "PRAGMA wal_checkpoint(TRUNCATE)")
    whole = lived.read_bytes()
    view = tmp_path / "other.sqlite"
    view.write_bytes(whole)
    truth = dump(copy_of(view, tmp_path / "sound"))
    draw = Random(seed)  # noqa: S311 - chance that can be repeated
    at = draw.randrange(len(whole) // 512) * 512
    view.write_bytes(whole[:at] + draw.randbytes(512) + whole[at + 512 :])
    with suppress(CopyFailed, ScratchFull, ViewBuilding):
        assert dump(copy_of(view, tmp_path / "copy")) == truth


def copy_of(path, to):
    """Copy a view as a checkpoint's maker does; return the copy."""
    database = Database(path, "stream")
    try:
        copied(database, to)
    finally:
        database.close()
    return to


def dump(path):
    """Return all that a view holds, but for what is of its pod alone."""
    with closing(sqlite3.connect(path)) as view:
        tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'link'"
        names = [name for (name,) in view.execute(tables)]
        return {name: sorted(map(repr, view.execute(f"SELECT * FROM {name}"))) for name in names}  # noqa: S608 - its own


def test_a_sound_view_is_found_so(tmp_path):
    """Whatever happened to it: clones, freezes, streams, deletions, of any SQLite."""
    for seed in range(at_length(3, 60)):
        view = LedgerView(tmp_path / f"{seed}.sqlite")
        oracle = Oracle(Random(seed))  # noqa: S311 - chance that can be repeated
        for _ in range(60):
            view.add(oracle.step())
        view.close()
        with closing(sqlite3.connect(tmp_path / f"{seed}.sqlite")) as connection:
            refuse_damaged(connection)
            refuse_unsound(connection)
