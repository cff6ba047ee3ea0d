"""Blobs as files: `sha256/ab/cd/<hex>`, published by link, never written in place.

A small blob is one call into the pool. A large one is written and hashed a chunk a call while the next chunk is
being received, and appears only when it is complete and durable.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from databuffer.errors import DigestMismatch, Unknown
from databuffer.names import Digest
from databuffer.store import atomic
from databuffer.store.protocols import Stored

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from databuffer.store.disk import Disk

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
        atomic.make_directory(self._base)
        atomic.sweep(self._root)

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
        target = self._directory(digest)
        if self._present(target, len(content)):
            atomic.sync_directory(target.parent)
            return Stored(digest, len(content), created=False)
        upload = atomic.Upload(self._root)
        try:
            upload.write(content, hashed=False)
            return Stored(digest, len(content), created=upload.publish(target))
        finally:
            upload.close()

    def _finish(self, upload: atomic.Upload, expected: Digest | None) -> Stored:
        digest = _checked(Digest("sha256:" + upload.hexdigest()), expected)
        created = upload.publish(self._directory(digest))
        return Stored(digest, upload.size, created)

    def _directory(self, digest: Digest) -> Path:
        """Make the blob's directory durable in its parents, once a process, and give the blob's path."""
        target = self._path(digest)
        for directory in (target.parent.parent, target.parent):
            if directory not in self._durable:
                directory.mkdir(exist_ok=True)
                atomic.sync_directory(directory.parent)
                self._durable.add(directory)
        return target

    @staticmethod
    def _present(target: Path, size: int) -> bool:
        try:
            return target.stat().st_size == size
        except FileNotFoundError:
            return False

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
        upload.sync()  # so that the last sync of a large blob need not write all of it


def _checked(digest: Digest, expected: Digest | None) -> Digest:
    if expected is not None and digest != expected:
        raise DigestMismatch(f"the body hashes to {digest}")
    return digest
