"""The streaming buffer as the ledger tells it, and whether the databuffer is reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datastore_logic.view.database import Snapshot

FROZEN: Final = "FROZEN"


@dataclass(frozen=True, slots=True)
class BufferRow:
    """The streaming buffer: how much it holds, its state, and who set it."""

    n_itm: int
    buff_size: int
    dstatus: str
    user: str
    token: str

    @property
    def frozen(self) -> bool:
        """Whether it takes nothing until it is cleaned."""
        return self.dstatus == FROZEN


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file now in the streaming buffer."""

    name: str
    size: int
    payload_type: str
    time: str


@dataclass(frozen=True, slots=True)
class LinkRow:
    """Whether this pod's follower reaches the databuffer, and since when (empty: not yet known)."""

    reachable: bool
    since: str


def buffer(snapshot: Snapshot) -> BufferRow:
    """Return the streaming buffer as the ledger tells it."""
    query = "SELECT n_itm, buff_size, dstatus, user, token FROM buffer"
    return BufferRow(*snapshot.connection.execute(query).fetchone())


def buffer_files(snapshot: Snapshot, *, newest: int | None = None) -> list[FileRow]:
    """Return the files in the streaming buffer, oldest first; or the newest ones, newest first."""
    query = "SELECT name, size, payload_type, time FROM buffer_file ORDER BY lsn"
    if newest is not None:
        query = f"{query} DESC LIMIT {newest:d}"
    return [FileRow(*found) for found in snapshot.connection.execute(query)]


def link(snapshot: Snapshot) -> LinkRow:
    """Return whether the databuffer is reached."""
    found = snapshot.connection.execute("SELECT reachable, since FROM link").fetchone()
    return LinkRow(bool(found[0]), found[1])
