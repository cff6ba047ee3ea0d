"""The databuffer's stores in a test's own process: a ledger for a piece of work, a blob's bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from databuffer.store.disk import Disk
from databuffer.store.volume_ledger import VolumeLedger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from databuffer.names import Digest
    from databuffer.store.protocols import BlobStore

T = TypeVar("T")


async def with_ledger(
    root: Path, work: Callable[[VolumeLedger], Awaitable[T]], segment_bytes: int = 1 << 20
) -> T:
    """Open a ledger, do the work, close it."""
    disk = Disk(4, "test")
    ledger = VolumeLedger(root, disk, segment_bytes)
    try:
        await ledger.open()
        return await work(ledger)
    finally:
        await ledger.close()
        disk.close()


async def content_of(blobs: BlobStore, digest: Digest) -> bytes:
    """Read a blob whole."""
    blob = await blobs.open(digest)
    try:
        return await blob.read(0, blob.size)
    finally:
        blob.close()
