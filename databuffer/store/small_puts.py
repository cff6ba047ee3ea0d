"""Small blobs on their way in: all that come at once go through one stage before the next.

The stages are write, sync, publish, settle: the first sync then does most of the work for all. Of
tiny blobs the journal is synced, once for all of them, in place of each file and of its name. What
goes wrong with one blob ends that one alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from databuffer.errors import DatabufferError, StorageFailed, from_os_error
from databuffer.names import Digest
from databuffer.store import atomic
from databuffer.store.protocols import Stored
from databuffer.store.together import Together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from databuffer.store.disk import Disk
    from databuffer.store.journal import Journal
    from databuffer.store.room import Room
    from databuffer.store.shelves import Shelves

_log = logging.getLogger(__name__)
_LANES = 4
_TOGETHER = 1 << 18
_TINY = 64 << 10  # above, writing a blob twice costs more than syncing it
_TINY_TOGETHER = 1 << 20


@dataclass(slots=True)
class _Put:
    """A blob on its way: each stage adds to it, unless an earlier one failed."""

    content: bytes
    expected: Digest | None
    digest: Digest = field(init=False)
    folder: atomic.Folder = field(init=False)
    upload: atomic.Upload = field(init=False)
    created: bool = False
    failure: DatabufferError | None = None

    def outcome(self) -> Stored | DatabufferError:
        return self.failure or Stored(self.digest, len(self.content), self.created)


class SmallPuts:
    """Puts blobs onto the shelves by way of `scratch`: `replay` before the first, `close` after.

    `mended` are the blobs whose files were found damaged when they were put again, and that nobody
    has been told of.
    """

    def __init__(
        self,
        scratch: Path,
        disk: Disk,
        shelves: Shelves,
        journal: Journal,
        room: Room,
        synced: Callable[[float], None],
    ) -> None:
        """Wire it; `synced` is told the seconds that each sync of a file took."""
        self._scratch, self._disk, self._shelves = scratch, disk, shelves
        self._journal, self._room, self._synced = journal, room, synced
        self._small = Together(disk, self._put_synced, _LANES, _TOGETHER)
        self._tiny = Together(disk, self._put_journalled, 1, _TINY_TOGETHER)
        self._settling: asyncio.Task[None] | None = None
        self.mended: deque[Digest] = deque()

    def replay(self) -> None:
        """Put back what a killed process journalled; raise `OSError` when there is no room."""
        self._journal.replay(self._restore)

    async def close(self) -> None:
        """Make everything durable under its own name."""
        if self._settling is not None:
            await self._settling
        try:
            await self._disk.run(self._journal.close)
        except StorageFailed:
            _log.exception("journalled blobs could not be settled; the next start puts them back")

    async def put(self, content: bytes, expected: Digest | None) -> Stored:
        """Keep these bytes, together with others that come at the same time."""
        lane = self._small if len(content) > _TINY else self._tiny
        stored = await lane.do(_Put(content, expected), len(content))
        if self._journal.sealed and self._settling is None:
            self._settling = asyncio.create_task(self._settle_journal())
        return stored

    async def _settle_journal(self) -> None:
        try:
            await self._disk.run(self._journal.settle)
        except StorageFailed:
            _log.exception("journalled blobs could not be settled; they stay in the journal")
        finally:
            self._settling = None

    # --- in the pool -------------------------------------------------------------------------

    def _put_synced(self, puts: Sequence[_Put]) -> list[Stored | DatabufferError]:
        with ExitStack() as opened:
            write = partial(self._write, opened)
            for stage in (write, self._sync, self._publish, self._settle):
                _attempt(stage, puts)
        return [put.outcome() for put in puts]

    def _put_journalled(self, puts: Sequence[_Put]) -> list[Stored | DatabufferError]:
        """Sync the journal for all of them, once their bytes have found room on the volume."""
        with ExitStack() as opened:
            _attempt(partial(self._write, opened), puts)
            sound = [put for put in puts if put.failure is None]
            contents = {put.digest: put.content for put in sound}
            try:
                if contents:
                    self._journal.append(contents)
            except (DatabufferError, OSError) as error:
                _fail(sound, error)
            _attempt(self._publish, puts)
            _attempt(self._settle, [put for put in sound if not put.created])
        return [put.outcome() for put in puts]

    def _write(self, opened: ExitStack, put: _Put) -> None:
        put.digest = Digest.of(put.content).required(put.expected)
        put.folder = self._shelves.open(put.digest)
        opened.callback(put.folder.close)
        put.upload = atomic.Upload(self._scratch)
        opened.callback(put.upload.close)
        with self._room.taking(len(put.content)):
            put.upload.write(put.content, hashed=False)

    def _sync(self, put: _Put) -> None:
        self._synced(put.upload.sync())

    def _publish(self, put: _Put) -> None:
        put.created = self._shelves.place(put.upload, put.folder, put.digest)
        if not put.created:
            self._mend(put.digest, put.content)

    def _settle(self, put: _Put) -> None:
        self._shelves.settle(put.digest, put.folder)

    def _mend(self, digest: Digest, content: bytes) -> None:
        path = self._shelves.path(digest)
        if path.read_bytes() != content:
            atomic.replace(path, content, scratch=self._scratch)
            self.mended.append(digest)
            _log.error("blob %s was damaged on disk and is mended", digest)

    def _restore(self, digest: Digest, content: bytes) -> None:
        path = self._shelves.path(digest)
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic.replace(path, content, durable=False, scratch=self._scratch)
            _log.info("blob %s is put back from the journal", digest)


def _attempt(stage: Callable[[_Put], None], puts: Iterable[_Put]) -> None:
    """Do one stage of each blob; what fails is that blob's own failure."""
    for put in puts:
        if put.failure is None:
            try:
                stage(put)
            except (DatabufferError, OSError) as error:
                _fail([put], error)


def _fail(puts: Iterable[_Put], error: DatabufferError | OSError) -> None:
    failure = error if isinstance(error, DatabufferError) else from_os_error(error)
    for put in puts:
        put.failure = failure
