"""The view's SQLite file: a connection a thread for reading, one a process for applying.

Readers never wait: the file is in WAL mode and each request reads one snapshot. Appliers wait
for each other on a lock file beside it, which the kernel wakes promptly, never in SQLite's
busy loop. The file may be deleted or replaced under a running pod: each use compares what the
path names with what the connection has open.
"""

from __future__ import annotations

import fcntl
import logging
import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from datastore_logic.access.caller import sight
from datastore_logic.errors import LedgerTooNew, ViewBuilding
from datastore_logic.view.generation import Generation
from datastore_logic.view.origin import Origin
from datastore_logic.view.sight import limit
from datastore_logic.view.soundness import Unsound, refuse_damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from datastore_logic.access.sight import Sight
    from datastore_logic.view.checkpoint import Checkpoint
    from datastore_logic.view.prepared import Prepared
    from datastore_logic.view.sight import Sees

SCHEMA_VERSION: Final = 9
DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
NO_SCHEMA: Final = "malformed database schema"
OF_THE_MACHINE: Final = frozenset(
    {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM}
)
NO_HASH: Final = "0" * 64

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Position:
    """Which ledger a view reflects and how far.

    `tokens` is the hash of the last entry about API tokens: what is remembered of them under it
    still holds. `started_lsn` is where the checkpoint stood that the view began with, None without
    one; `checkpoint_lsn` the newest that this pod has to do with, 0 for none.
    """

    ledger: str
    applied_lsn: int
    hash: str
    head_lsn: int
    target_lsn: int
    complete: bool
    halted: str | None
    stream_tag: str
    tokens: str
    reachable: bool
    started_lsn: int | None
    checkpoint_lsn: int

    @property
    def caught_up(self) -> bool:
        """Whether it has reached the head that was seen when the pod started."""
        return self.complete and self.applied_lsn >= self.target_lsn

    def refuse_if_halted(self) -> None:
        """Raise LedgerTooNew if entries exist that this version cannot take in."""
        if self.halted is not None:
            raise LedgerTooNew(f"Nothing is written until this replica is upgraded: {self.halted}")


class Snapshot:
    """One consistent state: a connection in a read transaction, and where it stands.

    The transaction begins when the connection is asked for. Until then `position` is of the
    `generation`, under which the process may know other things as well; without one, nothing
    that is read here is to be taken for what holds later. `prepared` is what the process keeps to
    answer faster, whoever asks. `sight` is what the caller may see, None for everything: the
    connection shows nothing else (view/sight.py).
    """

    __slots__ = ("_begin", "_connection", "generation", "position", "prepared", "sight")

    def __init__(
        self,
        begin: Callable[[], tuple[sqlite3.Connection, _Seen]],
        known: _Seen | None = None,
        prepared: Prepared | None = None,
        sight: Sight | None = None,
    ) -> None:
        self._begin = begin
        self._connection: sqlite3.Connection | None = None
        self.prepared = prepared
        self.sight = sight
        if known is None:
            self._connection, known = begin()
        self.generation, self.position = known

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, in the transaction of this state."""
        if self._connection is None:
            self._connection, (self.generation, self.position) = self._begin()
        return self._connection

    @property
    def lsn(self) -> int:
        """The LSN this state reflects."""
        return self.position.applied_lsn

    def sees(self, name: str) -> bool:
        """Return whether the caller may see a tag of this name, whether there is one or not."""
        return self.sight is None or self.sight(name)

    def touched(self, *keys: str) -> dict[str, int]:
        """Return the LSN that last touched each key, 0 for never: what an append expects."""
        marks = ",".join("?" * len(keys))
        rows = self.connection.execute(
            f"SELECT key, lsn FROM touched WHERE key IN ({marks})",  # noqa: S608 - only marks
            keys,
        )
        return dict.fromkeys(keys, 0) | dict(rows.fetchall())


class Database:
    """The view at one path. Constructing it touches no disk."""

    def __init__(self, path: Path, stream_tag: str, prepared: Prepared | None = None) -> None:
        self._path = path
        self._prepared = prepared
        self._stream_tag = stream_tag
        self._local = threading.local()
        self._apply_lock = threading.Lock()
        self._writer: _Open | None = None
        self._generation = Generation(path.with_name(f"{path.name}.generation"))
        self._origin = Origin(path)
        self._seen: _Seen | None = None

    @contextmanager
    def snapshot(self, *, lazily: bool = False) -> Iterator[Snapshot]:
        """Read one consistent state; `lazily`, from the file only if that is needed.

        Raises:
            ViewBuilding: the view is not yet complete; it would answer too little.
        """
        known = self._still() if lazily else None
        with self._reading(known, refuse=_refuse_incomplete) as snapshot:
            yield snapshot

    def known_position(self) -> Position | None:
        """Return where the complete view stands, if that is known without a look at the file."""
        known = self._still()
        return None if known is None else known.position

    @contextmanager
    def any_snapshot(self) -> Iterator[Snapshot]:
        """Read one state, complete or not: for /readyz and the status page."""
        with self._reading(None) as snapshot:
            yield snapshot

    @contextmanager
    def _reading(
        self, known: _Seen | None, refuse: Callable[[Position], None] | None = None
    ) -> Iterator[Snapshot]:
        begun: list[_Open] = []
        seen_by = sight()

        def begin() -> tuple[sqlite3.Connection, _Seen]:
            begun.append(self._reader(seen_by))
            connection, before = begun[0].connection, self._generation.seen()
            connection.execute("BEGIN")
            position = read_position(connection)
            if refuse is not None:
                refuse(position)
            seen = _Seen(before, position)  # if it moved meanwhile, it never is `before` again
            if before is not None:
                self._seen = seen
            return connection, seen

        try:
            yield Snapshot(begin, known, self._prepared, seen_by)
        except sqlite3.DatabaseError as reason:
            for opened in begun:
                self._forsake_if_damaged(opened, reason)
            raise
        finally:
            for opened in begun:
                if opened.connection.in_transaction:
                    opened.connection.execute("ROLLBACK")
                if opened.sees is not None:
                    opened.sees.forget()

    def position(self) -> Position:
        """Return which ledger the view reflects, and how far."""
        opened = self._reader()
        try:
            return read_position(opened.connection)
        except sqlite3.DatabaseError as reason:
            self._forsake_if_damaged(opened, reason)
            raise

    @contextmanager
    def applying(self) -> Iterator[sqlite3.Connection]:
        """Hold the only write transaction of the pod; what the block raises undoes it."""
        with self._exclusive():
            try:
                connection = self._open_writer()
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except sqlite3.DatabaseError as reason:
                if _is_damage(reason):
                    self._origin.distrust()
                    self._create()
                raise
            finally:
                if self._writer is not None and self._writer.connection.in_transaction:
                    self._writer.connection.execute("ROLLBACK")

    def prepare(self) -> None:
        """Make the view if there is none, or if the one there is of another schema or damaged."""
        with self._exclusive():
            if not self._usable():
                self._create()

    def discard(self, seen: Position, *, misled: bool = False) -> None:
        """Begin again with an empty view, unless it has moved on from what was `seen`.

        Another process of the pod may have seen the same mismatch a moment earlier. Was it `misled`
        by the checkpoint that it began with, that one is not taken again.
        """
        with self._exclusive():
            if not self._usable() or _same(read_position(self._open_writer()), seen):
                if misled:
                    self._origin.distrust()
                self._create()

    def copy(self, to: Path) -> None:
        """Write the view, as it stands at one moment, to a file that is not there yet.

        No lock is held: requests are answered and entries applied meanwhile. What was deleted from
        the view is not in the copy, and a view that is damaged has none.

        Raises:
            ViewBuilding: there is no view, or a damaged one.
            sqlite3.Error: it cannot be written.
        """
        opened = self._connect(reading=True)
        try:
            opened.connection.execute("PRAGMA query_only = 0")  # it means the copy, too
            opened.connection.execute("PRAGMA synchronous = OFF")  # as it is not to last
            opened.connection.execute("VACUUM INTO ?", (str(to.absolute()),))
        except sqlite3.DatabaseError as reason:
            self._forsake_if_damaged(opened, reason)
            raise
        finally:
            opened.connection.close()

    def refuse_damaged(self) -> None:
        """Have SQLite look at the whole file; begin again with an empty view if it is damaged.

        Raises:
            ViewBuilding: there is no view, or it was damaged.
        """
        opened = self._connect(reading=True)
        try:
            refuse_damaged(opened.connection)
        except Unsound as reason:
            self._forsake(opened, reason)
        except sqlite3.DatabaseError as reason:
            self._forsake_if_damaged(opened, reason)
            raise
        finally:
            opened.connection.close()

    def put(self, made: Path, of: Checkpoint) -> bool:
        """Have a view that a checkpoint was unpacked to take the place of this one.

        Return False if there is one that is complete, as far already, or of another ledger: it
        stays.
        """
        with self._exclusive():
            if self._usable():
                now = read_position(self._open_writer())
                if now.complete or now.applied_lsn >= of.lsn or now.ledger != of.ledger:
                    return False
            self._origin.begin(of)
            self._put(made)
            return True

    def refuse(self, checkpoint: Checkpoint) -> None:
        """Remember that a checkpoint is not what it should be, for every process of the pod."""
        self._origin.refuse(checkpoint)

    def distrusts(self, checkpoint: Checkpoint) -> bool:
        """Return whether it was found so before, or a view that began with it damaged."""
        return self._origin.distrusts(checkpoint)

    def close(self) -> None:
        """Close what this thread and the applying connection have open."""
        with self._apply_lock:
            for opened in (*vars(self._local).values(), self._writer):
                if opened is not None:
                    opened.connection.close()
            vars(self._local).clear()
            self._writer = None

    # ----------------------------------------------------------------------------------------

    def _still(self) -> _Seen | None:
        """Return where the view stood, if it still does and is complete."""
        known = self._seen
        if known is None or known.generation != self._generation.seen():
            return None
        return known if known.position.complete else None

    def _reader(self, seen_by: Sight | None = None) -> _Open:
        """Return this thread's connection; for who may not see everything there is another."""
        name = "open" if seen_by is None else "limited"
        mine: _Open | None = getattr(self._local, name, None)
        if mine is None or not mine.is_at(self._path):
            if mine is not None:
                setattr(self._local, name, None)
                mine.connection.close()
            mine = self._connect(reading=True, limited=seen_by is not None)
            setattr(self._local, name, mine)
        if mine.sees is not None and seen_by is not None:
            mine.sees.by = seen_by
        return mine

    def _open_writer(self) -> sqlite3.Connection:
        if self._writer is None or not self._writer.is_at(self._path):
            self._close_writer()
            self._writer = self._connect(reading=False)
        return self._writer.connection

    def _forsake_if_damaged(self, opened: _Open, reason: sqlite3.DatabaseError) -> None:
        """Begin again with an empty view if SQLite finds the file damaged.

        Raises:
            ViewBuilding: it is; so nothing can be answered until it is rebuilt. Or the file was
                deleted or replaced just now, and SQLite stumbled over that.
        """
        if not _is_damage(reason):
            if not opened.is_at(self._path):
                raise ViewBuilding("The view is being replaced; ask again shortly.") from reason
            return
        self._forsake(opened, reason)

    def _forsake(self, opened: _Open, reason: Exception) -> NoReturn:
        log.error("the view %s is damaged and is rebuilt: %s", self._path, reason)
        with self._exclusive():
            if opened.is_at(self._path):
                self._origin.distrust()
                self._create()
        raise ViewBuilding("The view was damaged and is rebuilt; ask again shortly.") from reason

    def _close_writer(self) -> None:
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.connection.close()

    def _connect(self, *, reading: bool, limited: bool = False) -> _Open:
        try:
            # Before it is opened: a file replaced in between is then opened once more at the next
            # use; the other way round this thread would read the old one for ever.
            stat = self._path.stat()
            connection = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode=rw",
                uri=True,
                isolation_level=None,
                check_same_thread=False,  # the writer is handed on under its lock
                cached_statements=64,
            )
        except (sqlite3.OperationalError, FileNotFoundError) as reason:
            raise ViewBuilding("The view is not there yet; ask again shortly.") from reason
        file = (stat.st_dev, stat.st_ino)
        opened = _Open(connection, file)
        try:
            # Durability is the ledger's: a view lost to a power cut is rebuilt.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA temp_store = MEMORY")
            if limited:
                opened = _Open(connection, file, limit(connection))
            connection.execute(f"PRAGMA query_only = {reading:d}")
        except (sqlite3.DatabaseError, UnicodeDecodeError) as told:
            connection.close()
            failure = told if isinstance(told, sqlite3.DatabaseError) else _in_other_words(told)
            if reading:
                self._forsake_if_damaged(opened, failure)
            if failure is told:
                raise
            raise failure from told
        return opened

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._apply_lock, self._path.with_name(f"{self._path.name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with self._generation.changing():
                yield

    def _usable(self) -> bool:
        """Whether the file is there, sound, and of this schema and stream tag."""
        try:
            connection = self._open_writer()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            return bool(
                version == SCHEMA_VERSION
                and read_position(connection).stream_tag == self._stream_tag
            )
        except ViewBuilding:
            return False
        except sqlite3.DatabaseError as reason:
            log.warning("the view %s is damaged and will be rebuilt: %s", self._path, reason)
            if not is_of_the_machine(reason):
                self._origin.distrust()
            return False

    def _create(self) -> None:
        """Replace whatever is at the path by an empty view."""
        made = self._path.with_name(f"{self._path.name}.new")
        remove(made)
        connection = sqlite3.connect(made, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(f"BEGIN; {schema()}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("INSERT INTO link VALUES (1, 0, '', NULL, 0)")
        connection.execute(
            "INSERT INTO buffer VALUES (1, 0, 0, 'OPERATIONAL', 'databuf', 'databuf')"
        )
        connection.execute(
            "INSERT INTO position VALUES (1, '', 0, ?, 0, 0, 0, NULL, ?, '')",
            (NO_HASH, self._stream_tag),
        )
        connection.execute("COMMIT")
        connection.close()  # which leaves no journal beside it
        self._origin.forget()
        self._put(made)

    def _put(self, made: Path) -> None:
        """Have the path name another file: whole, and without a journal of its own."""
        self._close_writer()
        # Nobody may see the new file beside the old one's journal, nor half of it.
        remove(self._path)
        made.replace(self._path)


class _Seen(NamedTuple):
    """Where the view stood; under that generation, if it was not being changed, it still does."""

    generation: int | None
    position: Position


@dataclass(frozen=True, slots=True)
class _Open:
    """A connection, the identity of the file it has open, and whom it lets see what, if not all."""

    connection: sqlite3.Connection
    file: tuple[int, int]
    sees: Sees | None = None

    def is_at(self, path: Path) -> bool:
        try:
            stat = path.stat()
        except FileNotFoundError:
            return False
        return (stat.st_dev, stat.st_ino) == self.file


def _refuse_incomplete(position: Position) -> None:
    if not position.complete:
        raise ViewBuilding("The view is being built from the ledger; ask again shortly.")


def _is_damage(reason: sqlite3.DatabaseError) -> bool:
    """Whether SQLite says that the file is damaged, or none of its own."""
    code = getattr(reason, "sqlite_errorcode", 0) & 0xFF
    return code in DAMAGE or str(reason).startswith(NO_SCHEMA)


def _in_other_words(told: UnicodeDecodeError) -> sqlite3.DatabaseError:
    """Return what SQLite means that says of a damaged file what is no text."""
    return sqlite3.DatabaseError(f"{NO_SCHEMA}: {told}")


def is_of_the_machine(reason: Exception) -> bool:
    """Whether SQLite failed for want of room, memory or a disk: that says nothing of the file."""
    return getattr(reason, "sqlite_errorcode", 0) & 0xFF in OF_THE_MACHINE


def schema() -> str:
    """Return the tables of a view, in SQL."""
    return (resources.files(__package__) / "schema.sql").read_text()


def remove(path: Path) -> None:
    """Remove a database, itself first: SQLite leaves the journal of a file that is gone alone."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def read_position(connection: sqlite3.Connection) -> Position:
    """Return where the view stands, in the connection's transaction if it has one."""
    row = connection.execute(
        "SELECT ledger, applied_lsn, hash, head_lsn, target_lsn, complete, halted, stream_tag,"
        " tokens, reachable, started_lsn, checkpoint_lsn FROM position, link"
    ).fetchone()
    if row is None:
        raise ViewBuilding("The view is being made; ask again shortly.")
    ledger, applied, last_hash, head, target, complete, halted, stream_tag, tokens, *link = row
    reachable, started, checkpoint = link
    return Position(
        ledger,
        applied,
        last_hash,
        head,
        target,
        bool(complete),
        halted,
        stream_tag,
        tokens,
        bool(reachable),
        started,
        checkpoint,
    )


def _same(one: Position, other: Position) -> bool:
    return (one.ledger, one.applied_lsn, one.hash) == (other.ledger, other.applied_lsn, other.hash)
