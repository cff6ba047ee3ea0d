"""The ledger as files, with group commit.

One task writes: it takes everything that is queued and makes one call into its own thread, which
decides the entries in order, writes their lines and syncs once; then every caller is answered.
Sixty-four writers share one sync.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from databuffer.errors import BeyondHead, DatabufferError, LedgerFailed, VolumeInUse
from databuffer.store import atomic
from databuffer.store.clock import Clock
from databuffer.store.compression import Compression
from databuffer.store.disk import Disk
from databuffer.store.key_index import KeyIndex
from databuffer.store.protocols import Appended, Compressed, Head, NewEntry, Page
from databuffer.store.room import Room
from databuffer.store.scan import Scan, scan
from databuffer.store.segment_files import SegmentFiles
from databuffer.store.sequencer import Draft, Sequencer
from databuffer.store.tail import Tail
from databuffer.store.together import resolve
from databuffer.store.watch import UNWATCHED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from databuffer.store.lines import Entry
    from databuffer.store.watch import Watch

_log = logging.getLogger(__name__)
_TAIL = 1 << 20
_BATCH_ENTRIES = 4096
_BATCH_BYTES = 16 << 20

Waiting = tuple[NewEntry, "asyncio.Future[Appended]"]


class VolumeLedger:
    """A `Ledger` in a directory: `open` it before, `close` it after."""

    def __init__(
        self,
        root: Path,
        disk: Disk,
        segment_bytes: int,
        room: Room | None = None,
        watch: Watch = UNWATCHED,
    ) -> None:
        self._root, self._disk = root, disk
        self._watch = watch
        self._room = room or Room(root, 0)
        self._thread = Disk(1, "ledger")
        self._sequencer, self._clock = Sequencer(), Clock()
        self._index = KeyIndex(root / "index.sqlite")
        self._files = SegmentFiles(root, segment_bytes, partial(watch.synced, "ledger"))
        self._compression = Compression(self._files, disk, self._thread)
        self._head: Head
        self._tail = Tail(_TAIL)
        self._queue: deque[Waiting] = deque()
        self._lock = -1
        self._released = self._closing = False
        self._failure: LedgerFailed | None = None
        self._wake, self._moved = asyncio.Event(), asyncio.Event()
        self.failed = asyncio.Event()

    async def open(self) -> None:
        """Take the volume, check every line, start the writer; raise `CannotStart`."""
        await self._thread.run(self._open)
        self._head = Head(self._files.ledger, self._sequencer.lsn, self._sequencer.hash)
        self._writer = asyncio.create_task(self._write(), name="ledger writer")
        self._writer.add_done_callback(lambda _: self.failed.set())

    async def close(self) -> None:
        """Write what is queued, then let the volume go."""
        self.release()
        if self._lock < 0:
            return
        await self._compression.ended()
        self._closing = True
        self._wake.set()
        await self._writer
        await self._thread.run(self._close)
        self._thread.close()

    def release(self) -> None:
        """Let waiting readers go, compress no more; appends are still taken until `close`."""
        self._released = True
        self._compression.stop()
        self._moved.set()

    async def append(self, entry: NewEntry) -> Appended:
        """Give the entry the next place."""
        if self._failure is not None:
            raise self._failure
        future: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        came = perf_counter()
        self._queue.append((entry, future))
        self._wake.set()
        appended = await future
        self._watch.appended(perf_counter() - came)
        return appended

    async def read(self, after: int, limit: int) -> Page:
        """Take up to `limit` lines after this LSN."""
        head = self._head.lsn
        if after > head:
            raise BeyondHead(f"the ledger ends at LSN {head}")
        if after == head:
            return Page(b"", after)
        if (page := self._tail.page(after, limit)) is not None:
            return page
        return await self._disk.run(self._files.read, after, limit, head)

    async def wait(self, after: int, seconds: float) -> None:
        """Return once there is an entry after this LSN, the time is up, or it closes."""
        try:
            async with asyncio.timeout(seconds):
                while self._head.lsn <= after and not self._released:
                    await self._moved.wait()
        except TimeoutError:
            return

    async def find(self, idempotency_key: str) -> int | None:
        """Say which LSN carries this idempotency key."""
        return await self._thread.run(self._index.find, idempotency_key)

    def head(self) -> Head:
        """Say where the durable ledger ends."""
        return self._head

    async def compress(self) -> Compressed:
        """Compress every sealed segment that is not; also into the volume's reserve."""
        return await self._compression.run()

    @property
    def there(self) -> bool:
        """Whether there is anything of a ledger in the directory."""
        return any(self._root.glob("*.json*"))

    @property
    def waiting(self) -> int:
        """How many entries wait to be decided."""
        return len(self._queue)

    # --- the writer task -------------------------------------------------------------------

    async def _write(self) -> None:
        batch: list[Waiting] = []
        try:
            while not self._closing or self._queue:
                await self._wake.wait()
                self._wake.clear()
                while self._queue:
                    await asyncio.sleep(0)  # callers answered just now may join this batch
                    batch = self._take()
                    await self._commit(batch)
        finally:
            if not self._closing:  # a defect: nobody may wait for a writer that is gone
                self._refuse(batch, LedgerFailed("the ledger's writer ended"))

    def _take(self) -> list[Waiting]:
        batch: list[Waiting] = []
        size = 0
        while self._queue and size < _BATCH_BYTES and len(batch) < _BATCH_ENTRIES:
            waiting = self._queue.popleft()
            size += len(waiting[0].body)
            batch.append(waiting)
        return batch

    async def _commit(self, batch: list[Waiting]) -> None:
        try:
            draft = await self._thread.run(self._decide, [entry for entry, _ in batch])
        except DatabufferError as error:
            self._refuse(batch, error)
            return
        self._watch.batched(len(batch))
        if draft.lines:
            self._tail.add(self._head.lsn + 1, draft.lines[::2])
            self._head = Head(self._head.ledger, draft.lsn, draft.hash)
            moved, self._moved = self._moved, asyncio.Event()
            moved.set()
        for (_, future), outcome in zip(batch, draft.outcomes, strict=True):
            resolve(future, outcome)

    def _refuse(self, batch: list[Waiting], error: DatabufferError) -> None:
        if isinstance(error, LedgerFailed):
            _log.critical("the ledger failed, a restart must recover it: %s", error)
            self._failure = error
            batch = batch + list(self._queue)
            self._queue.clear()
            self.failed.set()
        for _, future in batch:
            resolve(future, error)

    # --- in the ledger's thread ------------------------------------------------------------

    def _decide(self, entries: Sequence[NewEntry]) -> Draft:
        now = self._clock.now(self._sequencer.time)
        draft = self._sequencer.draft(entries, now, self._index.find)
        if draft.lines:
            with self._room.taking(sum(map(len, draft.lines))):
                self._files.append(self._sequencer.lsn + 1, draft.lines[::2])
            self._note(draft)
        return draft

    def _note(self, draft: Draft) -> None:
        """Take over what is durable now."""
        self._sequencer.accept(draft)
        for key, lsn in draft.named.items():
            self._index.note(key, lsn)

    # --- opening and closing ---------------------------------------------------------------

    def _open(self) -> None:
        atomic.make_directory(self._root, private=True)
        atomic.require_writable(self._root)
        lock = atomic.take_directory(self._root)
        if lock is None:
            raise VolumeInUse(f"another databuffer serves the ledger in {self._root}")
        try:
            self._index.rebuild()
            try:
                self._recover(scan(self._root, self._sequencer, self._see))
            except BaseException:
                self._index.close()
                raise
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock

    def _see(self, entry: Entry) -> None:
        if entry.idempotency_key is not None:
            self._index.note(entry.idempotency_key, entry.lsn)

    def _recover(self, found: Scan) -> None:
        """Everything was readable: now the disk may be changed."""
        if found.torn:
            _log.warning(
                "cut %d bytes of an unfinished line after LSN %d", found.torn, self._sequencer.lsn
            )
        self._files.recover(found, self._sequencer.lsn + 1)
        self._clock.now(self._sequencer.time)  # a clock that is behind is told of at the start

    def _close(self) -> None:
        self._files.close()
        self._index.close()
        os.close(self._lock)
        self._lock = -1
