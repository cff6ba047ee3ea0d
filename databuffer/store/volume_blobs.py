"""Blobs as files: `sha256/ab/cd/<hex>`, published by link, never written in place.

Small blobs that come at once share a call into the pool, see `small_puts`. A large one is written
and hashed a chunk a call while the next chunk is being received, see `large_put`. Each appears only
when it is complete and durable.
"""

from __future__ import annotations

import asyncio
import logging
import os
from functools import partial
from time import time
from typing import TYPE_CHECKING

from databuffer.errors import CannotStart, Unknown, VolumeInUse, is_full
from databuffer.store import atomic
from databuffer.store.blob_file import SMALL, BlobFile
from databuffer.store.journal import Journal
from databuffer.store.large_put import LargePut
from databuffer.store.memory import MemoryBlob
from databuffer.store.recent import Recent
from databuffer.store.room import Room
from databuffer.store.shelves import Shelves
from databuffer.store.small_puts import SmallPuts
from databuffer.store.watch import UNWATCHED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from databuffer.names import Digest
    from databuffer.store.disk import Disk
    from databuffer.store.protocols import OpenBlob, Stored, Unasked
    from databuffer.store.watch import Watch

_log = logging.getLogger(__name__)
_KEPT = 16 << 20


class VolumeBlobs:
    """A `BlobStore` in a directory, and its `BlobUpkeep`.

    `take` it and `prepare` it first, which mends what a killed process left. A journal of tiny
    blobs is settled when it has `journal_bytes`. When a blob was asked for is told by the `clock`.
    """

    def __init__(
        self,
        root: Path,
        disk: Disk,
        journal_bytes: int,
        room: Room | None = None,
        watch: Watch = UNWATCHED,
        clock: Callable[[], float] = time,
    ) -> None:
        self._root, self._disk, self._watch = root, disk, watch
        self._room = room or Room(root, 0)
        self._base = root / "sha256"
        self._shelves = Shelves(self._base, root / "aside", clock)
        self._recent = Recent(_KEPT, SMALL)
        self._synced = partial(watch.synced, "blobs")
        journal = Journal(root / "journal", journal_bytes, self._synced)
        self._small = SmallPuts(root, disk, self._shelves, journal, self._room, self._synced)
        self._lock: int | None = None

    @property
    def there(self) -> bool:
        """Whether there is a directory for blobs, with or without any."""
        return self._base.is_dir()

    def take(self, *, begun: bool) -> None:
        """Take the volume; `begun` says that the ledger has entries, so there must be blobs, too.

        Another databuffer would remove what only the entries here name.

        Raises:
            CannotStart: the directory is not there, or taken.
        """
        if begun and not self.there:
            raise CannotStart(f"there is a ledger, yet no {self._base}: is its volume mounted?")
        atomic.make_directory(self._root, private=True)
        self._lock = atomic.take_directory(self._root)
        if self._lock is None:
            raise VolumeInUse(f"another databuffer keeps blobs in {self._root}")

    def prepare(self) -> None:
        """Make the directories, sweep temporary files, put back what was journalled or aside."""
        atomic.prepare_directory(self._root, private=True)
        atomic.make_directory(self._base)
        try:
            self._small.replay()
            if back := self._shelves.put_all_back():
                _log.info("%d blobs were being removed and are put back", len(back))
        except OSError as error:
            if not is_full(error):
                raise
            _log.error("the volume is full: not all journalled blobs are put back yet")

    async def close(self) -> None:
        """Make everything durable under its own name."""
        await self._small.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def put(self, content: bytes, expected: Digest | None = None) -> Stored:
        """Keep these bytes, together with others that come at the same time."""
        stored = await self._small.put(content, expected)
        while self._small.mended:  # what was read of it may be kept in memory
            self._recent.forget([self._small.mended.popleft()])
        return stored

    async def put_stream(
        self, chunks: AsyncIterator[bytes], expected: Digest | None = None, announced: int = 0
    ) -> Stored:
        """Keep what the chunks make together; writing overlaps with receiving."""
        put = await self._disk.run(self._begin, announced)
        writing: asyncio.Future[None] | None = None
        try:
            async for chunk in chunks:
                if writing is not None:
                    await writing
                writing = asyncio.ensure_future(self._disk.run(put.write, chunk))
            if writing is not None:
                await writing
            return await self._disk.run(put.finish, expected)
        finally:
            if writing is not None and not writing.done():
                await asyncio.wait([writing])
            await self._disk.run(put.close)

    async def sizes(self, digests: Sequence[Digest]) -> list[int | None]:
        """Say how long each blob is, in one call into the pool; None for one that is not there."""
        return await self._disk.run(self._sizes, digests)

    async def contents(
        self, digests: Sequence[Digest], most: int, largest: int
    ) -> list[bytes | int | None]:
        """Read the first of these blobs, up to `most` bytes, in one call into the pool."""
        return await self._disk.run(self._contents, digests, most, largest)

    async def open(self, digest: Digest) -> OpenBlob:
        """Open the blob; a small one is read in the same call, and kept for the next."""
        content = self._recent.get(digest)
        self._watch.opened(kept=content is not None)
        if content is not None:
            return MemoryBlob(content)
        forgotten = self._recent.forgotten
        blob = await self._disk.run(self._open, digest)
        if blob.content is not None and self._recent.forgotten == forgotten:
            self._recent.add(digest, blob.content)
        return blob

    # --- upkeep ------------------------------------------------------------------------------

    async def unnamed(self, part: int, named: Callable[[Digest], bool]) -> list[Unasked]:
        """List what is not named of the blobs that begin with this byte."""
        return await self._disk.run(self._shelves.unnamed, part, named)

    async def put_aside(self, digests: Sequence[Digest], older_than: float) -> list[Unasked]:
        """Make those of these blobs invisible that nobody asked for of late."""
        try:
            return await self._disk.run(self._shelves.put_aside, digests, older_than)
        finally:
            self._recent.forget(digests)

    async def put_back(self, digests: Sequence[Digest]) -> None:
        """Make visible again those of these that are aside."""
        await self._disk.run(self._shelves.put_back, digests)

    async def drop(self, digests: Sequence[Digest]) -> None:
        """Remove those of these that are aside."""
        await self._disk.run(self._shelves.drop, digests)

    # --- in the pool -------------------------------------------------------------------------

    def _begin(self, announced: int) -> LargePut:
        return LargePut(self._root, self._shelves, self._room, self._synced, announced)

    def _sizes(self, digests: Sequence[Digest]) -> list[int | None]:
        found = [self._shelves.ask(digest) for digest in digests]
        if None in found:
            self._shelves.refuse_if_gone()
        return found

    def _contents(
        self, digests: Sequence[Digest], most: int, largest: int
    ) -> list[bytes | int | None]:
        taken: list[bytes | int | None] = []
        for digest in digests:
            content = self._shelves.read(digest, largest)
            size = len(content) if isinstance(content, bytes) else 0
            if taken and size > most:
                break
            most -= size
            taken.append(content)
        if None in taken:
            self._shelves.refuse_if_gone()
        return taken

    def _open(self, digest: Digest) -> BlobFile:
        try:
            return BlobFile(self._disk, self._shelves.path(digest))
        except FileNotFoundError:
            self._shelves.refuse_if_gone()
            raise Unknown(f"no blob {digest}") from None
