"""Following the ledger: what is applied, when it is rebuilt, where it stops."""

import fcntl
import hashlib
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import orjson
import pytest
from logic_fakes import FakeBuffer, small_app

from datastore_logic.app import TIER
from datastore_logic.config import Config
from datastore_logic.errors import BufferAway, ViewBuilding
from datastore_logic.view import database as database_module
from datastore_logic.view.follower import Follower, caught_up, expect_news

TABLES = [
    *("global_tag", "tag_version", "tag_history", "payload_type", "payload_list", "attachment"),
    *("timeline", "frozen", "frozen_list", "iov", "iov_past", "segment", "buffer", "buffer_file"),
]
NOTHING = {name: [] for name in ("start", "end", "name", "checksum", "digest", "size")}


@pytest.fixture
def buffer():
    """Return a databuffer in memory with a history: segments, a freeze, a clean, a tag."""
    buffer = FakeBuffer()
    buffer.stored([1, 0], [2, 0], name="a")
    buffer.stored([1, 500], [3, 0], name="b")
    buffer.freeze(b'{"user":"alice","token":"x"}', None)
    buffer.clean(None)
    buffer.stored([7, 0], [8, 0], name="c", payload_type="H1")
    buffer.write("tag.created", {"tag": "X", "description": ""}, "tag/X")
    return buffer


def content(app):
    """Return every row of the view that answers depend on."""
    with app.extensions[TIER].reading() as snapshot:
        query = "SELECT * FROM {} ORDER BY 1, 2, 3"
        rows = {
            table: snapshot.connection.execute(query.format(table)).fetchall() for table in TABLES
        }
        return {**rows, "lsn": snapshot.lsn}


def catch_up(app):
    """Follow the ledger as the follower does."""
    replica = app.extensions[TIER].replica
    replica.greet()
    while replica.pull().applied_lsn < app.extensions[TIER].database.position().target_lsn:
        pass


def test_two_views_of_one_ledger_are_equal(buffer, tmp_path):
    """Applied at once or one by one, the same entries give the same rows and ids."""
    lines, buffer.lines = buffer.lines, []
    (tmp_path / "slow").mkdir()
    with small_app(tmp_path / "slow", buffer) as slow:
        for line in lines:
            buffer.lines.append(line)
            catch_up(slow)
        with small_app(tmp_path, buffer) as fast:
            assert content(slow) == content(fast)
            assert content(fast)["lsn"] == len(lines)


def test_the_follower_goes_on_when_it_cannot_even_note_what_failed(tmp_path):
    """The databuffer away and the view's disk full at once: it tries again, and again."""
    tried = threading.Semaphore(0)

    class Away:
        """A replica that reaches nobody, and a view that cannot be written."""

        def greet(self):
            """Reach nobody."""
            tried.release()
            raise BufferAway("The databuffer cannot be reached.")

        def prepare(self):
            """Find the disk full."""
            raise sqlite3.OperationalError("database or disk is full")

        def sweep(self):
            """Find nothing to sweep."""

    follower = Follower(Away(), Away(), tmp_path / "view.sqlite", Away(), Away())
    follower.start()
    assert all(tried.acquire(timeout=30) for _ in range(3))
    follower.stop()


def test_a_view_of_an_earlier_start_is_behind_until_the_databuffer_was_asked(buffer, tmp_path):
    """It may not know yet what was revoked meanwhile, so nobody is sent here before."""
    with small_app(tmp_path, buffer) as app:
        expect_news(tmp_path / "view.sqlite")
        told = app.test_client().get("/readyz")
        assert told.status_code == 503
        assert (told.json["writes"], told.json["databuffer"]) == (False, "away")
        catch_up(app)
        assert app.test_client().get("/readyz").status_code == 200


def test_a_view_of_an_earlier_start_serves_where_the_databuffer_is_away(buffer, tmp_path):
    """Then there is nothing newer to be had."""

    class Away:
        """A replica that reaches nobody, with nothing to sweep."""

        def greet(self):
            """Reach nobody."""
            raise BufferAway("The databuffer cannot be reached.")

        def sweep(self):
            """Find nothing to sweep."""

    view = tmp_path / "view.sqlite"
    with small_app(tmp_path, buffer) as app:
        expect_news(view)
        follower = Follower(Away(), app.extensions[TIER].database, view, Away(), Away())
        follower.start()
        assert caught_up(app.extensions[TIER].database, 30)
        follower.stop()


def test_a_view_that_others_follow_is_not_behind(buffer, tmp_path):
    """A gunicorn may be exchanged in place: who follows now does not ask from the start again."""
    with small_app(tmp_path, buffer) as app, (tmp_path / "view.sqlite.follower").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        expect_news(tmp_path / "view.sqlite")
        assert app.test_client().get("/readyz").status_code == 200


@pytest.mark.parametrize("content", [None, b"", b"not a database at all" * 100])
def test_where_there_is_no_view_there_is_none_to_be_behind(tmp_path, content):
    """Nothing is made, and nothing stops the start: the workers make it anew."""
    path = tmp_path / "view.sqlite"
    if content is not None:
        path.write_bytes(content)
    expect_news(path)
    assert (path.read_bytes() if path.exists() else None) == content


def test_a_damaged_view_does_not_stop_the_start(tmp_path):
    """Not even one of which SQLite says what is no text; the workers find it, and make it anew."""
    path = tmp_path / "view.sqlite"
    database_module.Database(path, "stream").prepare()
    with closing(sqlite3.connect(path)) as view:
        view.execute("PRAGMA writable_schema = ON")
        harm = "UPDATE sqlite_schema SET name = CAST(x'ff' AS TEXT), sql = 'CREATE' WHERE name = ?"
        view.execute(harm, ("iov",))
        view.commit()
    expect_news(path)
    with closing(database_module.Database(path, "stream")) as database:
        with pytest.raises(ViewBuilding):
            database.position()
        assert database.position().applied_lsn == 0


def test_what_is_wrong_with_a_view_is_told_as_it_is(tmp_path):
    """Not as its own cause, of which who goes through causes would find no end."""
    (tmp_path / "view.sqlite").write_bytes(b"not a database at all" * 100)
    with (
        closing(database_module.Database(tmp_path / "view.sqlite", "stream")) as database,
        pytest.raises(sqlite3.DatabaseError, match="not a database") as caught,
        database.applying(),
    ):
        pass
    assert caught.value.__cause__ is None


def test_a_deleted_view_is_rebuilt_under_a_running_replica(buffer, tmp_path):
    """The file may go at any time; the next one says the same."""
    with small_app(tmp_path, buffer) as app:
        before = content(app)
        (tmp_path / "view.sqlite").unlink()
        assert app.test_client().get("/api/v1/global-tags").status_code == 503
        catch_up(app)
        assert content(app) == before


def test_a_view_damaged_at_rest_is_rebuilt(buffer, tmp_path):
    """A file that is no database is replaced at the start."""
    with small_app(tmp_path, buffer) as app:
        before = content(app)
    for path in tmp_path.glob("view.sqlite*"):
        path.write_bytes(b"not a database at all" * 100)
    with small_app(tmp_path, buffer) as app:
        assert content(app) == before


def test_a_view_of_another_schema_is_rebuilt(buffer, tmp_path, monkeypatch):
    """A new version does not read an old version's tables."""
    with small_app(tmp_path, buffer):
        pass
    monkeypatch.setattr(database_module, "SCHEMA_VERSION", database_module.SCHEMA_VERSION + 1)
    with small_app(tmp_path, buffer) as app:
        assert content(app)["lsn"] == len(buffer.lines)


def test_another_stream_tag_rebuilds(buffer, tmp_path):
    """Which tag the stream is decides what entries mean; so the view is made anew."""
    with small_app(tmp_path, buffer):
        pass
    with small_app(tmp_path, buffer, stream_tag="live") as app:
        names = [
            tag["name"] for tag in app.test_client().get("/api/v1/global-tags").json["global_tags"]
        ]
    assert names == ["X", "live", "live-20261120T231700Z"]


@pytest.mark.parametrize("kept", [0, 2, 6])
def test_a_restored_ledger_is_noticed(buffer, tmp_path, kept):
    """Another ledger id rebuilds the view, even where it is as long as the old one."""
    with small_app(tmp_path, buffer) as app:
        restored = FakeBuffer(ledger="ledger-two")
        for number in range(kept):
            restored.write("tag.created", {"tag": f"R{number}"}, f"tag/R{number}")
        buffer.ledger, buffer.lines = restored.ledger, restored.lines
        app.extensions[TIER].replica.pull()
        catch_up(app)
        names = [
            tag["name"] for tag in app.test_client().get("/api/v1/global-tags").json["global_tags"]
        ]
        assert names == [f"R{number}" for number in range(kept)]


def test_a_changed_past_is_noticed(buffer, tmp_path):
    """An entry that does not follow the last applied one rebuilds the view."""
    with small_app(tmp_path, buffer) as app:
        last = orjson.loads(buffer.lines[-1])
        buffer.lines[-1] = orjson.dumps({**last, "data": {"tag": "Y", "description": ""}})
        buffer.write("tag.created", {"tag": "Z", "description": ""}, "tag/Z")
        app.extensions[TIER].replica.pull()
        catch_up(app)
        names = {
            tag["name"] for tag in app.test_client().get("/api/v1/global-tags").json["global_tags"]
        }
        assert {"Y", "Z"} <= names
        assert "X" not in names


def test_an_unknown_type_stops_the_view_but_not_the_reads(buffer, tmp_path):
    """It serves what it has, refuses writes, says so, and goes on when it is upgraded."""
    with small_app(tmp_path, buffer) as app:
        ask = app.test_client()
        before = content(app)
        buffer.write("tag.created", {"tag": "Y", "description": ""}, "tag/Y")
        buffer.write("tag.locked.by.the.future", {}, "tag/X")
        buffer.write("tag.created", {"tag": "Z", "description": ""}, "tag/Z")
        position = app.extensions[TIER].replica.pull()
        assert position.applied_lsn == before["lsn"] + 1
        assert ask.get("/api/v1/global-tags/Y").status_code == 200
        assert ask.get("/api/v1/global-tags/Z").status_code == 404
        for path in ("/stream", "/flushbuf", "/api/v1/global-tags", "/api/v1/global-tags/X/freeze"):
            refused = ask.post(path, json={} if path.endswith("freeze") else {"name": "W"})
            assert (refused.status_code, refused.json["code"]) == (503, "ledger_too_new")
            assert "Retry-After" in refused.headers
        told = ask.get("/readyz").json
        assert "tag.locked.by.the.future" in told["halted"]
        assert told["writes"] is False
        future = orjson.loads(buffer.lines[-2])
        past = orjson.loads(buffer.lines[-1])
        mended = orjson.dumps({**future, "type": "tag.created", "data": {"tag": "V"}})
        after = {**past, "prev": hashlib.sha256(mended).hexdigest()}
        buffer.lines[-2:] = [mended, orjson.dumps(after)]
        catch_up(app)
        assert ask.get("/api/v1/global-tags/Z").status_code == 200


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("tag.frozen", {"tag": "nobody", "fingerprint": "f"}),
        ("tag.created", {}),
        ("iovs.changed", {"tag": "X", "payload_type": "B", "list": None, "detached": [[1, 2]],
                          "trimmed": [], "attached": NOTHING}),
        ("timelines.changed", {"lists": [{"payload_type": "B", "tag": None, "list": 2**63,
                               "detached": [], "deleted": [], "trimmed": [],
                               "attached": {"start_major": [1], "name": ["a"]}}]}),
        ("tag.cloned", {"source": "nobody", "tag": "Y"}),
        ("list.deleted", {"list": 99}),
    ],
)  # fmt: skip
def test_an_entry_that_cannot_be_stops_the_view_before_it(buffer, tmp_path, kind, data):
    """Nothing of it is applied; what came before is."""
    with small_app(tmp_path, buffer) as app:
        before = content(app)
        buffer.write(kind, data, "tag/X")
        position = app.extensions[TIER].replica.pull()
        assert position.halted
        assert content(app) == before


def test_a_ledger_broken_for_good_does_not_rebuild_for_ever(buffer, tmp_path):
    """A chain that is broken in a fresh read as well stops the view."""
    buffer.lines[2] = buffer.lines[2].replace(b'"prev":"', b'"prev":"f')
    with small_app(tmp_path, buffer) as app:
        position = app.extensions[TIER].database.position()
        assert position.halted
        assert not position.complete


def test_an_incomplete_view_answers_nothing(buffer, tmp_path):
    """While it is built it would answer too little, so it says 503 instead."""
    with small_app(tmp_path, buffer) as app:
        with app.extensions[TIER].database.applying() as view:
            view.execute("UPDATE position SET complete = 0, target_lsn = 99")
        ask = app.test_client()
        for path in ("/api/v1/global-tags", "/api/v1/global-tags/X", "/readyz", "/"):
            assert ask.get(path).status_code == 503, path
        assert ask.get("/api/v1/global-tags").json["code"] == "view_building"


def test_an_undone_application_leaves_the_view_as_it_was(buffer, tmp_path):
    """What a block raises rolls its changes back, and the next one goes on."""
    with small_app(tmp_path, buffer) as app:
        before = content(app)
        database = app.extensions[TIER].database

        def spoil():
            with database.applying() as view:
                view.execute("DELETE FROM segment")
                view.execute("INSERT INTO timeline (id, lsn) VALUES (1, 1)")

        with pytest.raises(sqlite3.IntegrityError):
            spoil()
        assert content(app) == before


def test_waiting_threads_share_fetches(buffer, tmp_path):
    """Thirty threads that wait for one LSN do not fetch thirty times, and all see it."""
    with small_app(tmp_path, buffer, threads=32) as app:
        replica = app.extensions[TIER].replica
        fetches = []
        fetch = buffer.entries
        gate = threading.Event()

        def counted(after, **told):
            gate.wait(5)
            fetches.append(after)
            return fetch(after, **told)

        buffer.entries = counted
        lsn = buffer.write("tag.created", {"tag": "Y", "description": ""}, "tag/Y")
        with ThreadPoolExecutor(30) as pool:
            seen = [pool.submit(replica.wait_for, lsn, 5.0) for _ in range(30)]
            gate.set()
            assert all(one.result() for one in seen)
        assert len(fetches) == 1


def test_what_the_ledger_has_not_got_to_is_not_waited_for(buffer, tmp_path):
    """An LSN beyond the head holds no thread, or a few callers with one would hold all."""
    with small_app(tmp_path, buffer) as app:
        began = time.monotonic()
        assert app.extensions[TIER].replica.wait_for(999, 60) is False
        assert time.monotonic() - began < 30
        refused = app.test_client().get("/api/v1/global-tags", headers={"X-Min-LSN": "999"})
        assert (refused.status_code, refused.json["code"]) == (503, "view_behind")


def test_making_the_application_touches_nothing(tmp_path, monkeypatch):
    """No thread, no file, no connection: those come after the fork."""
    monkeypatch.chdir(tmp_path)
    threads = threading.active_count()
    database_module.Database(Config().view_path, "stream")
    from datastore_logic.app import create_app  # noqa: PLC0415

    create_app(Config())
    assert threading.active_count() == threads
    assert not list(tmp_path.iterdir())
