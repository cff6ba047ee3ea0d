"""Compressing what is sealed of a ledger that goes on meanwhile, one segment after the other.

The work is done in a thread of the pool; only the exchange in `ledger.json` is done in the ledger's
own, where nothing else writes that file. The original goes once the compressed file is listed. Who
was about to read it finds the other one; who has it open reads on.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from databuffer.errors import DatabufferError, InProgress, Stopping, StorageFailed, VolumeFull
from databuffer.store.compressing import compress, discard
from databuffer.store.protocols import Compressed

if TYPE_CHECKING:
    from databuffer.store.disk import Disk
    from databuffer.store.segment_files import SegmentFiles
    from databuffer.store.segments import Segment

_log = logging.getLogger(__name__)


class Compression:
    """What `Compressible` promises, for the files of a ledger; `thread` is the ledger's own."""

    def __init__(self, files: SegmentFiles, disk: Disk, thread: Disk) -> None:
        self._files, self._disk, self._thread = files, disk, thread
        self._task: asyncio.Task[Compressed] | None = None
        self._stopping = False

    async def run(self) -> Compressed:
        """Compress every sealed segment that is not; who called may leave."""
        if self._task is not None and not self._task.done():
            raise InProgress("the ledger is being compressed")
        self._task = asyncio.create_task(self._all(), name="compressing the ledger")
        return await asyncio.shield(self._task)

    def stop(self) -> None:
        """Have it end soon: what is compressed stays so."""
        self._stopping = True

    async def ended(self) -> None:
        """Wait until nothing is done here any more."""
        if self._task is not None:
            with suppress(DatabufferError):
                await self._task

    async def _all(self) -> Compressed:
        segments = before = after = 0
        while (segment := self._files.sealed()) is not None:
            made = await self._one(segment)
            segments, before, after = segments + 1, before + segment.size, after + made.size
        return Compressed(segments, before, after)

    async def _one(self, segment: Segment) -> Segment:
        made = await self._disk.run(compress, segment, self._go_on)
        try:
            await self._thread.run(self._files.exchange, segment, made)
        except VolumeFull:
            await self._disk.run(discard, made)
            raise
        try:
            await self._disk.run(discard, segment)
        except StorageFailed as error:
            _log.warning("%s is superfluous, a restart removes it: %s", segment.path, error)
        return made

    def _go_on(self) -> None:
        if self._stopping:
            raise Stopping("the databuffer is stopping; what is not compressed yet stays as it is")
