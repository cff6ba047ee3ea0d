"""A large blob on its way in: written and hashed a chunk a call, then published whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from databuffer.errors import StorageFailed
from databuffer.names import Digest
from databuffer.store import atomic
from databuffer.store.protocols import Stored

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from databuffer.store.room import Room
    from databuffer.store.shelves import Shelves

_WRITEBACK = 64 << 20


class LargePut:
    """One upload: `write` each chunk, `finish` it, and `close` it whatever happened. All block."""

    def __init__(
        self,
        scratch: Path,
        shelves: Shelves,
        room: Room,
        synced: Callable[[float], None],
        announced: int,
    ) -> None:
        """Begin if `announced` bytes find room; `synced` is told how long the last sync took."""
        room.require(announced)
        self._shelves, self._room, self._synced = shelves, room, synced
        self._upload = atomic.Upload(scratch)

    def write(self, chunk: bytes) -> None:
        """Add a chunk."""
        before = self._upload.size // _WRITEBACK
        with self._room.taking(len(chunk)):
            self._upload.write(chunk)
        if self._upload.size // _WRITEBACK != before:
            self._upload.sync()  # the last sync of a large blob then has less to write

    def finish(self, expected: Digest | None) -> Stored:
        """Make it durable and visible under its digest."""
        digest = Digest("sha256:" + self._upload.hexdigest()).required(expected)
        self._synced(self._upload.sync())
        folder = self._shelves.open(digest)
        try:
            created = self._shelves.place(self._upload, folder, digest)
            self._shelves.settle(digest, folder)
        finally:
            folder.close()
        if not created and self._shelves.path(digest).stat().st_size != self._upload.size:
            raise StorageFailed(f"blob {digest} is damaged on disk")
        return Stored(digest, self._upload.size, created)

    def close(self) -> None:
        """Let go of the temporary file; closing twice is harmless."""
        self._upload.close()
