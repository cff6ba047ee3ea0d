"""Blobs as files: `sha256/ab/cd/<hex>`, published by link, never written in place.

A small blob is one call into the pool. A large one is written and hashed a chunk a call while the
next chunk is being received, and appears only when it is complete and durable.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

from databuffer.errors import DigestMismatch, StorageFailed, Unknown
from databuffer.names import Digest
from databuffer.store import atomic
from databuffer.store.protocols import Stored

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from databuffer.store.disk import Disk

_log = logging.getLogger(__name__)
SMALL = 1 << 20
_WRITEBACK = 64 << 20


class VolumeBlob:
    """A blob's open file, or its bytes when it is small."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self._disk = disk
        self._descriptor = os.open(path, os.O_RDONLY)
        try:
            self.size = os.fstat(self._descriptor).st_size
            self.content = self._read(0, self.size) if self.size <= SMALL else None
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
        pieces = []
        while length and (piece := os.pread(self._descriptor, length, offset)):
            pieces.append(piece)
            offset, length = offset + len(piece), length - len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class VolumeBlobs:
    """A `BlobStore` in a directory. `prepare` first; it sweeps what a killed process left."""

    def __init__(self, root: Path, disk: Disk) -> None:
        self._root, self._disk = root, disk
        self._base = root / "sha256"
        self._durable: set[Path] = set()

    def prepare(self) -> None:
        """Make the directories and sweep temporary files."""
        atomic.prepare_directory(self._root)
        atomic.make_directory(self._base)

    async def put(self, content: bytes, expected: Digest | None = None) -> Stored:
        """Keep these bytes: one call into the pool."""
        return await self._disk.run(self._put, content, expected)

    async def put_stream(
        self, chunks: AsyncIterator[bytes], expected: Digest | None = None
    ) -> Stored:
        """Keep what the chunks make together; writing overlaps with receiving."""
        upload = await self._disk.run(atomic.Upload, self._root)
        writing: asyncio.Future[None] | None = None
        try:
            async for chunk in chunks:
                if writing is not None:
                    await writing
                writing = asyncio.ensure_future(self._disk.run(_write, upload, chunk))
            if writing is not None:
                await writing
            return await self._disk.run(self._finish, upload, expected)
        finally:
            if writing is not None and not writing.done():
                await asyncio.wait([writing])
            await self._disk.run(upload.close)

    async def size(self, digest: Digest) -> int:
        """Say how long the blob is."""
        return await self._disk.run(self._size, digest)

    async def open(self, digest: Digest) -> VolumeBlob:
        """Open the blob; a small one is read in the same call."""
        return await self._disk.run(self._open, digest)

    def _path(self, digest: Digest) -> Path:
        name = digest.hex
        return self._base / name[:2] / name[2:4] / name

    def _put(self, content: bytes, expected: Digest | None) -> Stored:
        digest = _checked(Digest.of(content), expected)
        target = self._path(digest)
        if (there := _content(target, len(content))) is not None:
            if there != content:
                atomic.replace(target, content)
                _log.error("blob %s was damaged on disk and is mended", digest)
            self._settle(target)
            return Stored(digest, len(content), created=False)
        upload = atomic.Upload(self._root)
        try:
            upload.write(content, hashed=False)
            return Stored(digest, len(content), created=self._publish(upload, target))
        finally:
            upload.close()

    def _finish(self, upload: atomic.Upload, expected: Digest | None) -> Stored:
        digest = _checked(Digest("sha256:" + upload.hexdigest()), expected)
        target = self._path(digest)
        created = self._publish(upload, target)
        if not created and target.stat().st_size != upload.size:
            raise StorageFailed(f"blob {digest} is damaged on disk")
        return Stored(digest, upload.size, created)

    def _publish(self, upload: atomic.Upload, target: Path) -> bool:
        if target.parent not in self._durable:
            target.parent.mkdir(parents=True, exist_ok=True)
        created = upload.publish(target)
        self._settle(target)
        return created

    def _settle(self, target: Path) -> None:
        """Make the blob's name durable, and the directories above it, those once a process.

        Last, because on a journaled file system the sync of the file has then done most of it.
        Also when the name existed: who made it may not have come this far yet.
        """
        atomic.sync_directory(target.parent)
        if target.parent not in self._durable:
            atomic.sync_directory(target.parent.parent)
            atomic.sync_directory(self._base)
            self._durable.add(target.parent)

    def _size(self, digest: Digest) -> int:
        try:
            return self._path(digest).stat().st_size
        except FileNotFoundError:
            raise Unknown(f"no blob {digest}") from None

    def _open(self, digest: Digest) -> VolumeBlob:
        try:
            return VolumeBlob(self._disk, self._path(digest))
        except FileNotFoundError:
            raise Unknown(f"no blob {digest}") from None


def _write(upload: atomic.Upload, chunk: bytes) -> None:
    before = upload.size // _WRITEBACK
    upload.write(chunk)
    if upload.size // _WRITEBACK != before:
        upload.sync()  # the last sync of a large blob then has less to write


def _content(path: Path, size: int) -> bytes | None:
    """Read what should have this size; a byte more if it is longer. None: it is not there."""
    try:
        with path.open("rb") as file:
            return file.read(size + 1)
    except FileNotFoundError:
        return None


def _checked(digest: Digest, expected: Digest | None) -> Digest:
    if expected is not None and digest != expected:
        raise DigestMismatch(f"the body hashes to {digest}")
    return digest
