"""A view begins with a checkpoint, and is then what it would be without; or it does not take it."""

import errno
import hashlib
import io
import logging
import sqlite3
from contextlib import closing, contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from types import SimpleNamespace

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_view import STREAM, told
from logic_fakes import FakeBuffer
from long import at_length
from urllib3.exceptions import ProtocolError
from view_oracle import NAMES, Oracle

from datastore_logic.domain.events import TagCloned
from datastore_logic.domain.tags import Digest, TagName, TagRef
from datastore_logic.errors import BufferAway, ViewBuilding
from datastore_logic.view import database as database_module
from datastore_logic.view import starting as starting_module
from datastore_logic.view.acknowledged import Acknowledged
from datastore_logic.view.checkpoint import DOCUMENT, Checkpoint
from datastore_logic.view.copier import copied
from datastore_logic.view.database import SCHEMA_VERSION, Database
from datastore_logic.view.packing import packed
from datastore_logic.view.replica import Replica
from datastore_logic.view.starting import Starting

STEPS = 30
VOLATILE = {"link"}
OTHER = "f" * 64


@dataclass
class Pod:
    """A view, what follows the ledger for it, and what has it begin with a checkpoint."""

    database: Database
    replica: Replica
    starting: Starting
    folder: Path

    def catch_up(self):
        """Follow the ledger up to its head."""
        while not self.database.position().caught_up:
            self.replica.pull()

    def beside(self):
        """Return the names of the view's files that hold views."""
        return {path.name for path in self.folder.glob("view.sqlite*")} - {
            f"view.sqlite{what}"
            for what in (
                ".lock",
                ".generation",
                ".acknowledged",
                ".began",
                ".distrusted",
                "-wal",
                "-shm",
            )
        }


@contextmanager
def pod(folder, buffer, *, wanted=True):
    """Make a pod whose view is new and says of which ledger it is."""
    folder.mkdir(exist_ok=True, parents=True)
    path = folder / "view.sqlite"
    database = Database(path, STREAM)
    acknowledged = Acknowledged(folder / "view.sqlite.acknowledged")
    replica = Replica(database, buffer, STREAM, acknowledged)
    replica.greet()
    yield Pod(database, replica, Starting(database, buffer, STREAM, path, wanted=wanted), folder)
    database.close()


def lived(buffer, seed, steps=STEPS):
    """Write what an oracle went through to a ledger, with some streaming; return the oracle."""
    oracle = Oracle(Random(seed))  # noqa: S311 - chance that can be repeated
    for step in range(steps):
        event = oracle.step()
        buffer.write(event.type, event.data(), f"some/{step % 7}")
    return oracle


def checkpoint(folder, buffer):
    """Have a checkpoint made of the ledger as it is, in this process; return it."""
    with pod(folder, buffer) as maker:
        maker.catch_up()
        of = copied(maker.database, folder / "copy")
    blob = buffer.store_blob(packed(folder / "copy"), None)
    at = (of.ledger, of.lsn, of.hash, SCHEMA_VERSION, of.stream_tag)
    found = Checkpoint(*at, Digest(blob.digest), blob.size, of.bytes, "then")
    buffer.documents[DOCUMENT] = found.content()
    return found


def rows(database):
    """Return all that a view holds, but for what is of the pod alone."""
    with database.snapshot() as snapshot:
        query = snapshot.connection.execute
        names = {name for (name,) in query("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        assert len(names) > 20
        found = {name: query(f"SELECT * FROM {name}").fetchall() for name in names - VOLATILE}  # noqa: S608 - the view's own
        return {name: sorted(map(repr, told)) for name, told in found.items()}


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """Return a databuffer in memory, and a checkpoint of all but its last ten entries."""
    buffer = FakeBuffer()
    lived(buffer, 1)
    later, buffer.lines = buffer.lines[-10:], buffer.lines[:-10]
    found = checkpoint(tmp_path_factory.mktemp("maker"), buffer)
    buffer.lines += later
    return buffer, found


@pytest.fixture
def buffer(history):
    """Return a databuffer in memory with a history."""
    return deepcopy(history[0])


@pytest.fixture
def made(history):
    """Return the checkpoint that its document names."""
    return history[1]


def point(buffer, checkpoint, **changes):
    """Have the document name a checkpoint, some of which is other than it was."""
    buffer.documents[DOCUMENT] = replace(checkpoint, **changes).content()


# it is taken ------------------------------------------------------------------------------------


@settings(max_examples=at_length(6, 200), suppress_health_check=list(HealthCheck), derandomize=True)
@given(seed=st.integers(0, 10_000), cut=st.integers(1, STEPS), streamed=st.integers(0, 5))
def test_a_view_from_a_checkpoint_is_the_one_from_the_ledger(tmp_path_factory, seed, cut, streamed):
    """Every row of every table, and every answer the oracle knows, for every LSN there ever was."""
    folder, buffer = tmp_path_factory.mktemp("life"), FakeBuffer()
    oracle = lived(buffer, seed)
    for second in range(streamed):
        buffer.stored([second, 0], [second + 1, 0])
    later, buffer.lines = buffer.lines[cut:], buffer.lines[:cut]
    checkpoint(folder / "maker", buffer)
    buffer.lines += later
    with pod(folder / "old", buffer) as old, pod(folder / "new", buffer) as new:
        assert new.starting.take()
        assert new.database.position().applied_lsn == cut
        for each in (old, new):
            each.catch_up()
        assert rows(new.database) == rows(old.database)
        assert new.database.position().started_lsn == cut
        assert old.database.position().started_lsn is None
        with new.database.snapshot() as snapshot:
            for lsn, state in enumerate(oracle.past):
                for name in NAMES:
                    assert told(snapshot, TagRef(TagName(name), lsn=lsn)) == state.get(name)


def test_it_answers_nothing_before_it_has_caught_up(buffer, made, tmp_path):
    """A token that was revoked since the checkpoint is good for no moment."""
    with pod(tmp_path / "new", buffer) as new:
        assert new.starting.take()
        position = new.database.position()
        assert (position.complete, position.target_lsn) == (False, len(buffer.lines))
        assert (position.reachable, position.checkpoint_lsn) == (False, made.lsn)
        new.catch_up()
        assert new.database.position().complete


def test_at_the_head_it_answers_at_once(buffer, tmp_path):
    """There is nothing to catch up with."""
    checkpoint(tmp_path / "maker", buffer)
    with pod(tmp_path / "new", buffer) as new:
        assert new.starting.take()
        assert new.database.position().caught_up


def test_a_view_that_was_begun_takes_it_as_well(buffer, made, tmp_path):
    """Whoever was killed while building does not go on from there."""
    with pod(tmp_path / "new", buffer) as new:
        entries = buffer.entries
        buffer.entries = lambda after, **told: entries(after, limit=3)
        new.replica.pull()
        buffer.entries = entries
        assert new.database.position().applied_lsn == 3
        assert new.starting.take()
        assert new.database.position().applied_lsn == made.lsn


# it is not taken --------------------------------------------------------------------------------


def other_tables(path):
    """Change the tables of a packed view."""
    with closing(sqlite3.connect(path)) as view:
        view.execute("CREATE TRIGGER bad AFTER INSERT ON iov BEGIN SELECT 1; END")


def other_hash(path):
    """Change what a packed view says of where it stands."""
    with closing(sqlite3.connect(path)) as view:
        view.execute("UPDATE position SET hash = ?", (OTHER,))
        view.commit()


def other_version(path):
    """Change which version's a packed view is."""
    with closing(sqlite3.connect(path)) as view:
        view.execute(f"PRAGMA user_version = {SCHEMA_VERSION - 1}")


def no_database(path):
    """Replace a packed view by no database at all."""
    path.write_bytes(b"SQLite format 3\0" + b"x" * 5000)


def no_position(path):
    """Have a packed view say nothing of where it stands."""
    with closing(sqlite3.connect(path)) as view:
        view.execute("DELETE FROM position")
        view.commit()


def flipped(path):
    """Flip a bit of a packed view so that SQLite complains of it in words that are no text."""
    path.write_bytes(path.read_bytes().replace(b"NOT NULL", b"NOT N\x88LL", 1))


def repacked(buffer, made, folder, change):
    """Have the document name a checkpoint with sound sums whose view was changed."""
    from datastore_logic.view.packing import unpack  # noqa: PLC0415

    path = folder / "changed"
    with path.open("wb") as file:
        unpack(io.BytesIO(buffer.blobs[made.digest]), file, made)
    change(path)
    stored = buffer.store_blob(packed(path), None)
    point(buffer, made, digest=stored.digest, size=stored.size, unpacked=path.stat().st_size)


def torn(buffer, made):
    """Have the blob's last byte be another."""
    content = buffer.blobs[made.digest]
    buffer.blobs[made.digest] = content[:-1] + bytes([content[-1] ^ 1])


REFUSED = {
    "another ledger": lambda b, m: point(b, m, ledger="ledger-two"),
    "an older schema": lambda b, m: point(b, m, schema=SCHEMA_VERSION - 1),
    "a newer schema": lambda b, m: point(b, m, schema=SCHEMA_VERSION + 1),
    "another stream tag": lambda b, m: point(b, m, stream_tag="live"),
    "beyond the head": lambda b, m: point(b, m, lsn=len(b.lines) + 1),
    "another hash": lambda b, m: point(b, m, hash=OTHER),
    "another hash at the head": lambda b, m: point(b, m, lsn=len(b.lines), hash=OTHER),
    "another LSN": lambda b, m: point(b, m, lsn=m.lsn + 1),
    "nothing": lambda b, m: point(b, m, lsn=0, hash="0" * 64),
    "no document": lambda b, m: b.documents.clear(),
    "no JSON": lambda b, m: b.documents.update({DOCUMENT: b"{"}),
    "another format": lambda b, m: b.documents.update({DOCUMENT: b'{"format":2}'}),
    "no blob": lambda b, m: b.blobs.clear(),
    "another blob": lambda b, m: b.blobs.update({m.digest: b"x" * m.size}),
    "a torn blob": torn,
    "a shorter blob": lambda b, m: point(b, m, size=m.size + 1),
    "a longer blob": lambda b, m: point(b, m, size=m.size - 1),
    "a larger view": lambda b, m: point(b, m, unpacked=m.unpacked - 1),
    "a smaller view": lambda b, m: point(b, m, unpacked=m.unpacked + 1),
    "no room for it": lambda b, m: point(b, m, unpacked=2**62),
}
CHANGED = [other_tables, other_hash, other_version, no_database, no_position, flipped]


def refused(new, buffer, caplog):
    """Assert that the ledger is what the view is built from, and that one line says why."""
    with caplog.at_level(logging.INFO, starting_module.__name__):
        assert not new.starting.take()
        new.catch_up()
        assert not new.starting.take()
    (line,) = [one for one in caplog.records if one.name == starting_module.__name__]
    assert line.getMessage().startswith("the view is built from the ledger: ")
    assert "sha256:" not in line.getMessage()
    assert new.database.position().started_lsn is None
    assert new.database.position().applied_lsn == len(buffer.lines)
    assert new.beside() == {"view.sqlite"}


@pytest.mark.parametrize("why", REFUSED)
def test_what_does_not_fit_is_not_taken(buffer, made, tmp_path, caplog, why):
    """The view is built from the ledger, one line says why, and nothing is left beside it."""
    REFUSED[why](buffer, made)
    with pod(tmp_path / "new", buffer) as new:
        refused(new, buffer, caplog)


@pytest.mark.parametrize("later", [0, 10])
def test_one_of_another_past_is_not_even_fetched(buffer, made, tmp_path, caplog, later):
    """The ledger was written anew under the same id: its entry there has another hash."""
    lines, buffer.lines = buffer.lines, []
    for line in lines[: made.lsn + later]:
        told = orjson.loads(line)
        buffer.write(told["type"], told["data"], *told["keys"], actor="somebody else")
    buffer.open_blob = None
    with pod(tmp_path / "new", buffer) as new:
        refused(new, buffer, caplog)
        assert f"not of this ledger's LSN {made.lsn}" in caplog.text


@pytest.mark.parametrize("change", CHANGED)
def test_a_view_that_is_not_what_was_said_is_not_taken(buffer, made, tmp_path, caplog, change):
    """However sound the sums over its bytes are."""
    repacked(buffer, made, tmp_path, change)
    with pod(tmp_path / "new", buffer) as new:
        refused(new, buffer, caplog)


class BreaksOff:
    """An answer whose bytes end in a failure."""

    status = 200

    def __init__(self, content, failure):
        self._rest, self._failure = io.BytesIO(content), failure

    def read(self, size):
        """Return the bytes; where they end, fail."""
        if piece := self._rest.read(size):
            return piece
        raise self._failure

    def close(self):
        """Do nothing."""


@pytest.mark.parametrize(
    "failure",
    [ProtocolError("broken"), OSError(errno.ENOSPC, "full"), BufferAway("gone")],
    ids=lambda failure: type(failure).__name__,
)
@pytest.mark.parametrize("share", [0, 0.5])
def test_a_copy_that_breaks_off_is_not_taken(buffer, made, tmp_path, caplog, failure, share):
    """The databuffer goes away in the middle, or the disk is full."""
    part = buffer.blobs[made.digest][: int(share * made.size)]
    buffer.open_blob = lambda *_: BreaksOff(part, failure)
    with pod(tmp_path / "new", buffer) as new:
        refused(new, buffer, caplog)


def test_where_none_is_wanted_none_is_asked_for(buffer, made, tmp_path):
    """CHECKPOINTS=off."""
    buffer.get_state = None
    with pod(tmp_path / "new", buffer, wanted=False) as new:
        assert not new.starting.take()
        new.catch_up()


def test_a_complete_view_is_never_replaced(buffer, tmp_path):
    """However far behind it is: what it said is not taken back."""
    with pod(tmp_path / "new", buffer) as new:
        new.catch_up()
        before = new.database.position()
        lived_on = FakeBuffer(lines=buffer.lines)
        lived_on.stored([1, 0], [2, 0])
        checkpoint(tmp_path / "maker", lived_on)
        buffer.documents, buffer.blobs = lived_on.documents, lived_on.blobs
        assert not new.starting.take()
        assert new.database.position() == before


def test_a_view_that_got_further_meanwhile_stays(buffer, made, tmp_path):
    """Another thread may have pulled while the copy came."""
    with pod(tmp_path / "new", buffer) as new:
        open_blob = buffer.open_blob

        def meanwhile(*asked):
            new.replica.pull()
            return open_blob(*asked)

        buffer.open_blob = meanwhile
        assert not new.starting.take()
        assert new.database.position().applied_lsn == len(buffer.lines)
        assert new.beside() == {"view.sqlite"}


def test_a_checkpoint_that_leads_nowhere_is_taken_once(buffer, made, tmp_path):
    """What follows it is of another past after all: then the ledger, and no circles."""
    with pod(tmp_path / "new", buffer) as new:
        assert new.starting.take()
        lines, buffer.lines = buffer.lines, list(buffer.lines)
        for at in range(made.lsn - 1, len(lines)):
            told = orjson.loads(lines[at])
            told["prev"] = hashlib.sha256(buffer.lines[at - 1]).hexdigest()
            buffer.lines[at] = orjson.dumps({**told, "actor": "somebody else"})
        new.replica.pull()
        assert new.database.position().applied_lsn == 0
        assert not new.starting.take()
        new.catch_up()
        position = new.database.position()
        assert (position.started_lsn, position.halted) == (None, None)
        assert position.applied_lsn == len(buffer.lines)


def once_more(new, buffer):
    """Have the pod's process be started again."""
    new.starting = Starting(new.database, buffer, STREAM, new.folder / "view.sqlite", wanted=True)
    new.replica.greet()


def is_of_the_ledger(new, buffer, caplog):
    """Assert that the pod takes no checkpoint any more, and is what the ledger makes of it."""
    buffer.open_blob = None
    once_more(new, buffer)
    assert not new.starting.take()
    assert "was found bad before" in caplog.text
    new.catch_up()
    assert new.database.position().started_lsn is None
    with pod(new.folder / "other", buffer, wanted=False) as other:
        other.catch_up()
        assert rows(new.database) == rows(other.database)


@pytest.mark.parametrize("spoilt", ["blob", "sums", *CHANGED])
def test_one_that_was_found_spoilt_is_not_fetched_again(buffer, made, tmp_path, caplog, spoilt):
    """Neither by this process nor by the next one, whatever becomes of the view."""
    if spoilt == "blob":
        torn(buffer, made)
    elif spoilt == "sums":
        buffer.blobs[made.digest] = b"x" * made.size
    else:
        repacked(buffer, made, tmp_path, spoilt)
    with pod(tmp_path / "new", buffer) as new:
        assert not new.starting.take()
        is_of_the_ledger(new, buffer, caplog)


def test_what_says_nothing_of_the_checkpoint_is_forgotten(buffer, tmp_path, monkeypatch):
    """The disk was full, or the databuffer away: the next process takes it."""
    free = SimpleNamespace(free=0)
    monkeypatch.setattr(starting_module.shutil, "disk_usage", lambda _: free)
    with pod(tmp_path / "new", buffer) as new:
        assert not new.starting.take()
        free.free = 2**62
        open_blob, buffer.open_blob = (
            buffer.open_blob,
            lambda *_: BreaksOff(b"", BufferAway("gone")),
        )
        once_more(new, buffer)
        assert not new.starting.take()
        buffer.open_blob = open_blob
        monkeypatch.setattr(starting_module, "_prepare", full)
        once_more(new, buffer)
        assert not new.starting.take()
        monkeypatch.undo()
        once_more(new, buffer)
        assert new.starting.take()


def full(*_):
    """Have the disk be full by now."""
    reason = sqlite3.OperationalError("full")
    reason.sqlite_errorcode = sqlite3.SQLITE_FULL
    raise reason


def test_a_disk_that_fails_is_not_its_fault(buffer, made, tmp_path, monkeypatch):
    """The view is made anew, and begins with it again."""
    with pod(tmp_path / "new", buffer) as new:
        assert new.starting.take()
        monkeypatch.setattr(database_module, "read_position", full)
        new.database.prepare()
        monkeypatch.undo()
        assert new.database.position().applied_lsn == 0
        once_more(new, buffer)
        assert new.starting.take()


def overwritten(table):
    """Return what writes over the first page of a table, of which nothing is read at the start."""

    def change(path):
        with closing(sqlite3.connect(path)) as view:
            (page,) = view.execute(
                "SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)
            ).fetchone()
            (size,) = view.execute("PRAGMA page_size").fetchone()
        with path.open("r+b") as file:
            file.seek((page - 1) * size)
            file.write(b"\xa5" * 64)

    return change


def test_a_view_that_is_found_damaged_does_not_begin_with_it_again(buffer, tmp_path, caplog):
    """It was complete and answered; without this it would be taken and found out for ever."""
    repacked(buffer, checkpoint(tmp_path / "maker", buffer), tmp_path, overwritten("iov"))
    with pod(tmp_path / "new", buffer) as new:
        assert new.starting.take()
        assert new.database.position().complete
        with pytest.raises(ViewBuilding):
            rows(new.database)
        is_of_the_ledger(new, buffer, caplog)


def test_damage_that_is_met_while_applying_ends_it(buffer, made, tmp_path, caplog):
    """Before the view has ever been complete."""
    repacked(buffer, made, tmp_path, overwritten("touched"))
    with pod(tmp_path / "new", buffer) as new:
        assert new.starting.take()
        with pytest.raises(sqlite3.DatabaseError, match="malformed"):
            new.replica.pull()
        is_of_the_ledger(new, buffer, caplog)


def without_tags(path):
    """Have a packed view lack its tags."""
    with closing(sqlite3.connect(path)) as view:
        view.execute("DELETE FROM global_tag")
        view.commit()


def without_types(path):
    """Have the names of a packed view's payload types be no text."""
    with closing(sqlite3.connect(path)) as view:
        view.execute("UPDATE payload_type SET name = CAST(x'ff' || name AS TEXT)")
        view.commit()


@pytest.mark.parametrize("lacks", [without_tags, without_types])
def test_what_cannot_be_applied_on_top_of_it_ends_it(buffer, tmp_path, caplog, lacks):
    """An entry speaks of what the checkpoint lacks: the view is begun again, not stopped there."""
    with pod(tmp_path / "maker", buffer) as maker:
        maker.catch_up()
        with maker.database.snapshot() as snapshot:
            query = "SELECT name FROM global_tag ORDER BY list_count DESC"
            (name,) = snapshot.connection.execute(query).fetchone()
    repacked(buffer, checkpoint(tmp_path / "other", buffer), tmp_path, lacks)
    buffer.write("tag.cloned", TagCloned(TagName(name), TagName("other")).data())
    with pod(tmp_path / "new", buffer) as new:
        assert new.starting.take()
        new.replica.pull()
        assert new.database.position().halted is None
        is_of_the_ledger(new, buffer, caplog)


def test_an_entry_of_the_future_is_not_its_fault(buffer, tmp_path):
    """The view stops there, as it would without: begun again it would stop there, too."""
    found = checkpoint(tmp_path / "maker", buffer)
    buffer.write("tag.of.the.future", {})
    with pod(tmp_path / "new", buffer) as new:
        assert new.starting.take()
        new.replica.pull()
        position = new.database.position()
        assert (position.applied_lsn, position.started_lsn) == (found.lsn, found.lsn)
        assert "of.the.future" in position.halted
        assert not new.database.distrusts(found)


def test_a_sound_one_of_the_same_moment_is_taken(buffer, made, tmp_path):
    """Another replica made it meanwhile."""
    sound = buffer.blobs[made.digest]
    torn(buffer, made)
    with pod(tmp_path / "new", buffer) as new:
        assert not new.starting.take()
        buffer.blobs[made.digest] = sound
        repacked(buffer, made, tmp_path, lambda _: None)
        once_more(new, buffer)
        assert new.starting.take()


FLIPS = range(at_length(12, 400))


@pytest.mark.parametrize("seed", FLIPS)
def test_whatever_is_wrong_inside_it_is_taken_once_at_most(buffer, made, tmp_path, seed):
    """Bytes of the unpacked file are others: it ends with a view, and in no circles."""
    repacked(buffer, made, tmp_path, garbled(seed))
    with pod(tmp_path / "new", buffer) as new:
        taken = [followed(new, buffer) for _ in range(3)]
        assert taken.count(True) <= 1
        assert new.database.position().caught_up


def garbled(seed):
    """Return what writes noise over a part of some page of a file."""

    def change(path):
        draw, content = Random(seed), bytearray(path.read_bytes())  # noqa: S311 - to be repeated
        at = draw.randrange(len(content) // 512) * 512
        content[at : at + 512] = draw.randbytes(512)
        path.write_bytes(content)

    return change


def followed(new, buffer):
    """Follow the ledger as a process does that was just started, and read all; was one taken."""
    once_more(new, buffer)
    is_taken = new.starting.take()
    with suppress(ViewBuilding, sqlite3.DatabaseError):
        new.catch_up()
        rows(new.database)
    return is_taken


def test_after_a_complete_view_it_is_tried_again(buffer, made, tmp_path):
    """A view that is lost a year later begins with the checkpoint of that day."""
    with pod(tmp_path / "new", buffer) as new:
        for _ in range(2):
            assert new.starting.take()
            new.catch_up()
            assert not new.starting.take()
            new.database.discard(new.database.position())
            new.replica.greet()


def test_what_a_killed_process_left_is_swept(buffer, tmp_path):
    """Half a copy, and the journal beside it."""
    with pod(tmp_path / "new", buffer) as new:
        for suffix in ("", "-wal", "-shm"):
            (tmp_path / "new" / f"view.sqlite.taken{suffix}").write_bytes(b"half")
        new.starting.sweep()
        assert new.beside() == {"view.sqlite"}


def test_room_is_twice_what_comes_out(buffer, made, tmp_path, monkeypatch, caplog):
    """Slices and the view's journal are on the same disk."""
    free = SimpleNamespace(free=2 * made.unpacked - 1)
    monkeypatch.setattr(starting_module.shutil, "disk_usage", lambda _: free)
    with pod(tmp_path / "new", buffer) as new:
        refused(new, buffer, caplog)
    free.free += 1
    with pod(tmp_path / "newer", buffer) as newer:
        assert newer.starting.take()


def test_a_document_of_this_version_is_understood(made):
    """What the maker writes is what the taker reads."""
    assert Checkpoint.parse(made.content()) == made
