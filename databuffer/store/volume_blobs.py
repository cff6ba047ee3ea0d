"""Blobs as files: `sha256/ab/cd/<hex>`, published by link, never written in place.

Small blobs that come at once share a call into the pool, and tiny ones a sync: see `journal`. A
large one is written and hashed a chunk a call while the next chunk is being received. Each appears
only when it is complete and durable.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter, time
from typing import TYPE_CHECKING

from databuffer.errors import (
    CannotStart,
    DatabufferError,
    DigestMismatch,
    StorageFailed,
    Unknown,
    VolumeInUse,
    from_os_error,
    is_full,
)
from databuffer.names import Digest
from databuffer.store import atomic
from databuffer.store.journal import Journal
from databuffer.store.memory import MemoryBlob
from databuffer.store.protocols import Stored
from databuffer.store.recent import Recent
from databuffer.store.room import Room
from databuffer.store.shelves import Shelves, read_range
from databuffer.store.together import Together
from databuffer.store.watch import UNWATCHED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from pathlib import Path

    from databuffer.store.disk import Disk
    from databuffer.store.protocols import OpenBlob, Unasked
    from databuffer.store.watch import Watch

_log = logging.getLogger(__name__)
_SMALL = 128 << 10  # above, sending from the file costs less than reading it
_KEPT = 16 << 20
_WRITEBACK = 64 << 20
_LANES = 4
_TOGETHER = 1 << 18
_TINY = 64 << 10  # above, writing a blob twice costs more than syncing it
_TINY_TOGETHER = 1 << 20


class VolumeBlob:
    """A blob's open file, or its bytes when it is small."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self._disk = disk
        self._descriptor = os.open(path, os.O_RDONLY)
        try:
            self.size = os.fstat(self._descriptor).st_size
            self.content = self._read(0, self.size) if self.size <= _SMALL else None
        except BaseException:
            self.close()
            raise
        if self.content is not None:
            self.close()

    def fileno(self) -> int | None:
        """Give the descriptor of a large blob."""
        return self._descriptor if self._descriptor >= 0 else None

    async def read(self, offset: int, length: int) -> bytes:
        """Read exactly this range."""
        if self.content is not None:
            return self.content[offset : offset + length]
        return await self._disk.run(self._read, offset, length)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _read(self, offset: int, length: int) -> bytes:
        return read_range(self._descriptor, offset, length)


@dataclass(slots=True)
class _Put:
    """A small blob on its way: each stage adds to it, unless an earlier one failed."""

    content: bytes
    expected: Digest | None
    digest: Digest = field(init=False)
    folder: atomic.Folder = field(init=False)
    upload: atomic.Upload = field(init=False)
    created: bool = False
    failure: DatabufferError | None = None

    def outcome(self) -> Stored | DatabufferError:
        return self.failure or Stored(self.digest, len(self.content), self.created)


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
        self._recent = Recent(_KEPT, _SMALL)
        self._mended: deque[Digest] = deque()
        self._small = Together(disk, self._put_synced, _LANES, _TOGETHER)
        self._tiny = Together(disk, self._put_journalled, 1, _TINY_TOGETHER)
        self._journal = Journal(root / "journal", journal_bytes, partial(watch.synced, "blobs"))
        self._settling: asyncio.Task[None] | None = None
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
            self._journal.replay(self._restore)
            if back := self._shelves.put_all_back():
                _log.info("%d blobs were being removed and are put back", len(back))
        except OSError as error:
            if not is_full(error):
                raise
            _log.error("the volume is full: not all journalled blobs are put back yet")

    async def close(self) -> None:
        """Make everything durable under its own name."""
        if self._settling is not None:
            await self._settling
        try:
            await self._disk.run(self._journal.close)
        except StorageFailed:
            _log.exception("journalled blobs could not be settled; the next start puts them back")
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def put(self, content: bytes, expected: Digest | None = None) -> Stored:
        """Keep these bytes, together with others that come at the same time."""
        lane = self._small if len(content) > _TINY else self._tiny
        stored = await lane.do(_Put(content, expected), len(content))
        while self._mended:  # what was read of it may be kept in memory
            self._recent.forget([self._mended.popleft()])
        if self._journal.sealed and self._settling is None:
            self._settling = asyncio.create_task(self._settle_journal())
        return stored

    async def put_stream(
        self, chunks: AsyncIterator[bytes], expected: Digest | None = None, announced: int = 0
    ) -> Stored:
        """Keep what the chunks make together; writing overlaps with receiving."""
        upload = await self._disk.run(self._begin, announced)
        writing: asyncio.Future[None] | None = None
        try:
            async for chunk in chunks:
                if writing is not None:
                    await writing
                writing = asyncio.ensure_future(self._disk.run(self._write_chunk, upload, chunk))
            if writing is not None:
                await writing
            return await self._disk.run(self._finish, upload, expected)
        finally:
            if writing is not None and not writing.done():
                await asyncio.wait([writing])
            await self._disk.run(upload.close)

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

    def _put_synced(self, puts: Sequence[_Put]) -> list[Stored | DatabufferError]:
        """Take all through one stage before the next: the first sync then does most for them."""
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

    async def _settle_journal(self) -> None:
        try:
            await self._disk.run(self._journal.settle)
        except StorageFailed:
            _log.exception("journalled blobs could not be settled; they stay in the journal")
        finally:
            self._settling = None

    def _restore(self, digest: Digest, content: bytes) -> None:
        path = self._shelves.path(digest)
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic.replace(path, content, durable=False, scratch=self._root)
            _log.info("blob %s is put back from the journal", digest)

    def _write(self, opened: ExitStack, put: _Put) -> None:
        put.digest = _checked(Digest.of(put.content), put.expected)
        put.folder = self._shelves.open(put.digest)
        opened.callback(put.folder.close)
        put.upload = atomic.Upload(self._root)
        opened.callback(put.upload.close)
        with self._room.taking(len(put.content)):
            put.upload.write(put.content, hashed=False)

    def _sync(self, put: _Put) -> None:
        self._synced(put.upload)

    def _synced(self, upload: atomic.Upload) -> None:
        began = perf_counter()
        upload.sync()
        self._watch.synced("blobs", perf_counter() - began)

    def _publish(self, put: _Put) -> None:
        put.created = self._placed(put.upload, put.folder, put.digest)
        if not put.created:
            self._mend(put.digest, put.content)

    def _placed(self, upload: atomic.Upload, folder: atomic.Folder, digest: Digest) -> bool:
        """Publish; say false if it is there already, and is not removed for long from now on."""
        while not upload.publish(folder, digest.hex):
            if self._shelves.ask(digest) is not None:
                return False
        return True

    def _settle(self, put: _Put) -> None:
        self._shelves.settle(put.digest, put.folder)

    def _mend(self, digest: Digest, content: bytes) -> None:
        path = self._shelves.path(digest)
        if path.read_bytes() != content:
            atomic.replace(path, content, scratch=self._root)
            self._mended.append(digest)
            _log.error("blob %s was damaged on disk and is mended", digest)

    def _begin(self, announced: int) -> atomic.Upload:
        self._room.require(announced)
        return atomic.Upload(self._root)

    def _write_chunk(self, upload: atomic.Upload, chunk: bytes) -> None:
        before = upload.size // _WRITEBACK
        with self._room.taking(len(chunk)):
            upload.write(chunk)
        if upload.size // _WRITEBACK != before:
            upload.sync()  # the last sync of a large blob then has less to write

    def _finish(self, upload: atomic.Upload, expected: Digest | None) -> Stored:
        digest = _checked(Digest("sha256:" + upload.hexdigest()), expected)
        self._synced(upload)
        folder = self._shelves.open(digest)
        try:
            created = self._placed(upload, folder, digest)
            self._shelves.settle(digest, folder)
        finally:
            folder.close()
        if not created and self._shelves.path(digest).stat().st_size != upload.size:
            raise StorageFailed(f"blob {digest} is damaged on disk")
        return Stored(digest, upload.size, created)

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

    def _open(self, digest: Digest) -> VolumeBlob:
        try:
            return VolumeBlob(self._disk, self._shelves.path(digest))
        except FileNotFoundError:
            self._shelves.refuse_if_gone()
            raise Unknown(f"no blob {digest}") from None


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


def _checked(digest: Digest, expected: Digest | None) -> Digest:
    if expected is not None and digest != expected:
        raise DigestMismatch(f"the body hashes to {digest}")
    return digest
