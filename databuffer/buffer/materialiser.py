"""Following the ledger with the buffer's files: all that waits is one call into the pool.

The ledger entry is the commit; what fails here (a full volume) is not the caller's loss. It is
noted, and mended by the next batch that can.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from databuffer.errors import StorageFailed

if TYPE_CHECKING:
    from databuffer.buffer.files import BufferFiles
    from databuffer.buffer.recovery import Repair
    from databuffer.buffer.state import BufferState, StoredFile
    from databuffer.store.disk import Disk

_log = logging.getLogger(__name__)
_MOST = 256
_COUNT_EVERY = 1.0

Queued = tuple["StoredFile", bytes, "asyncio.Future[None]"]


class Materialiser:
    """Writes stored segments into `data/`, the log and the counters."""

    def __init__(self, files: BufferFiles, state: BufferState, repair: Repair, disk: Disk) -> None:
        self._files, self._state, self._repair, self._disk = files, state, repair, disk
        self._queue: deque[Queued] = deque()
        self._running: asyncio.Task[None] | None = None
        self._counted = -_COUNT_EVERY
        self._counting: asyncio.Task[None] | None = None
        self.behind = False

    async def add(self, file: StoredFile, content: bytes) -> None:
        """Return when the file is there, or when that failed and is noted as `behind`."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((file, content, done))
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="buffer files")
        await done

    async def follow(self) -> None:
        """Make all files agree with the state, or note that they are `behind`."""
        try:
            # A copy: segments may be stored while the disk is written.
            await self._repair(replace(self._state, files=dict(self._state.files)))
            self.behind = False
        except StorageFailed as error:
            self.fell_behind(error)

    async def close(self) -> None:
        """Write the counters if they still wait to be written."""
        if self._counting is not None:
            self._counting.cancel()
            await self._count()

    async def _run(self) -> None:
        try:
            while self._queue:
                await self._batch()
        finally:
            self._running = None

    async def _batch(self) -> None:
        # A repair writes all the state holds, so it answers for everything queued.
        most = len(self._queue) if self.behind else min(len(self._queue), _MOST)
        batch = [self._queue.popleft() for _ in range(most)]
        try:
            await (self.follow() if self.behind else self._write(batch))
        finally:
            for _, _, done in batch:
                if not done.done():
                    done.set_result(None)

    async def _write(self, batch: list[Queued]) -> None:
        files = [(file, content) for file, content, _ in batch]
        try:
            await self._disk.run(self._files.add, files)
        except StorageFailed as error:
            self.fell_behind(error)
        else:
            await self._count_soon()

    async def _count_soon(self) -> None:
        """Write the counters now if that is long enough ago, else as soon as it is.

        Replacing a file hundreds of times a second fills the file system with inodes just deleted,
        which it steps around one by one whenever it makes another: segments then cost ten times
        as much. Who asks over HTTP is told the counters of this moment all the same.
        """
        wait = self._counted + _COUNT_EVERY - time.monotonic()
        if wait <= 0:
            await self._count()
        elif self._counting is None:
            self._counting = asyncio.create_task(self._count_in(wait), name="buffer counters")

    async def _count_in(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._count()

    async def _count(self) -> None:
        self._counted, self._counting = time.monotonic(), None
        stat = self._state.stat()
        try:
            await self._disk.run(self._files.count, stat)
        except StorageFailed as error:
            self.fell_behind(error)
            return
        if self._state.stat() != stat:  # newer ones may have been written first, by `follow`
            await self._count_soon()

    def fell_behind(self, error: StorageFailed) -> None:
        """Note that the files are not what the ledger says; the next segment tries again."""
        self.behind = True
        _log.error("the buffer's files are behind the ledger: %s", error)
