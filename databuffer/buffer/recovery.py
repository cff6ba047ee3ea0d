"""Making the buffer's files agree with the ledger: at a start, and after a failure."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from databuffer.buffer.state import PREFIX, BufferState
from databuffer.errors import Unknown
from databuffer.store.lines import parse

if TYPE_CHECKING:
    from databuffer.buffer.files import BufferFiles
    from databuffer.buffer.state import StoredFile
    from databuffer.store.disk import Disk
    from databuffer.store.protocols import BlobStore, Ledger

_log = logging.getLogger(__name__)
_MARK = f'"type":"{PREFIX}'.encode()
_LINES = 10_000

Repair = Callable[[BufferState], Awaitable[None]]


async def read_state(ledger: Ledger) -> BufferState:
    """Fold the whole ledger; most lines are other people's and are not even parsed."""
    state, after = BufferState(), 0
    while (page := await ledger.read(after, _LINES)).last > after:
        for line in page.lines.splitlines():
            if _MARK in line:
                entry = parse(line)
                if entry.type.startswith(PREFIX):
                    state.apply(entry.lsn, entry.time, entry.type, entry.data)
        after = page.last
    return state


def repairing(files: BufferFiles, blobs: BlobStore, disk: Disk) -> Repair:
    """Give the function that makes the files agree with a state."""

    async def repair(state: BufferState) -> None:
        await disk.run(files.prepare)
        if state.archive is not None:
            await disk.run(files.put_away, state.archive, list(state.files))
        written = []
        for file in await disk.run(files.missing, state):
            if (content := await _content(blobs, file)) is not None:
                await disk.run(files.put_back, file, content)
                written.append(file.name)
        if written:  # one line: after a restore it is every file of the buffer
            _log.warning("files made anew from blobs: %d, such as %s", len(written), written[0])
        await disk.run(files.agree, state)

    return repair


async def _content(blobs: BlobStore, file: StoredFile) -> bytes | None:
    try:
        blob = await blobs.open(file.digest)
    except Unknown:
        _log.error("the blob %s of %s is missing", file.digest, file.name)
        return None
    try:
        return await blob.read(0, blob.size)
    finally:
        blob.close()
