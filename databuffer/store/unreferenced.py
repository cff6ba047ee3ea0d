"""Blobs that nothing names: finding them, and removing those that nobody asked for of late.

A blob is named if its digest occurs anywhere in the ledger or in a state document; what that means
is not for the databuffer to know. First both are read to their ends, then the blobs are listed a
part at a time. `BlobUpkeep` says in which order one is removed, and why nobody loses one that they
were told is there.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from databuffer.errors import InProgress, Stopping
from databuffer.store.mentions import Mentions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from databuffer.names import Digest
    from databuffer.store.disk import Disk
    from databuffer.store.documents import Documents
    from databuffer.store.protocols import BlobUpkeep, Ledger, Unasked

_log = logging.getLogger(__name__)
_PARTS = 256
_LINES = 1000
_TOGETHER = 1000
_SAMPLE = 20


@dataclass(slots=True)
class Swept:
    """What was found; `younger` blobs are not named either, but were asked for of late."""

    unreferenced: int = 0
    bytes: int = 0
    removed: int = 0
    removed_bytes: int = 0
    younger: int = 0
    sample: list[Digest] = field(default_factory=list)

    def count(self, found: Sequence[Unasked], older_than: float) -> list[Digest]:
        """Count one part of the store; give what is old enough to be removed."""
        old = [one for one in found if one.seconds > older_than]
        self.unreferenced += len(old)
        self.bytes += sum(one.size for one in old)
        self.younger += len(found) - len(old)
        digests = [one.digest for one in old]
        self.sample += digests[: _SAMPLE - len(self.sample)]
        return digests


class Unreferenced:
    """Looks for unnamed blobs, once at a time; goes no further once `stopping` says so."""

    def __init__(
        self,
        ledger: Ledger,
        documents: Documents,
        blobs: BlobUpkeep,
        disk: Disk,
        stopping: Callable[[], bool],
    ) -> None:
        self._ledger, self._documents, self._blobs = ledger, documents, blobs
        self._disk, self._stopping = disk, stopping
        self._sweeping = False

    async def sweep(self, older_than: float, *, remove: bool) -> Swept:
        """Count what nothing names, and remove it if told to; raise `InProgress`, `Stopping`."""
        if self._sweeping:
            raise InProgress("unreferenced blobs are being looked for already")
        self._sweeping = True
        try:
            return await self._sweep(older_than, remove=remove)
        finally:
            self._sweeping = False

    async def _sweep(self, older_than: float, *, remove: bool) -> Swept:
        names, swept = _Names(self._ledger, self._documents, self._disk, self._go_on), Swept()
        await names.catch_up()
        for part in range(_PARTS):
            self._go_on()
            found = await self._blobs.unnamed(part, names.mentions.__contains__)
            old = swept.count(found, older_than)
            for start in range(0, len(old) if remove else 0, _TOGETHER):
                gone = await self._remove(old[start : start + _TOGETHER], older_than, names)
                swept.removed += len(gone)
                swept.removed_bytes += sum(one.size for one in gone)
        if swept.removed:
            _log.info(
                "removed %d blobs that nothing names, %d bytes", swept.removed, swept.removed_bytes
            )
        return swept

    async def _remove(
        self, digests: Sequence[Digest], older_than: float, names: _Names
    ) -> list[Unasked]:
        """Remove those of these that are not named after all; say which."""
        try:
            aside = await self._blobs.put_aside(digests, older_than)
            await names.catch_up()
            gone = [one for one in aside if one.digest not in names.mentions]
            await self._blobs.drop([one.digest for one in gone])
        finally:
            await self._blobs.put_back(digests)
        return gone

    def _go_on(self) -> None:
        if self._stopping():
            raise Stopping("the databuffer is stopping")


class _Names:
    """What ledger and documents name, as far as they were read."""

    def __init__(
        self, ledger: Ledger, documents: Documents, disk: Disk, go_on: Callable[[], None]
    ) -> None:
        self._ledger, self._documents, self._disk, self._go_on = ledger, documents, disk, go_on
        self._after = 0
        self.mentions = Mentions()

    async def catch_up(self) -> None:
        """Take in what was written since the last time; documents anew."""
        while self._after < self._ledger.head().lsn:
            self._go_on()
            page = await self._ledger.read(self._after, _LINES)
            await self._disk.run(self.mentions.add, page.lines)
            self._after = page.last
        for name in await self._documents.names():
            await self._disk.run(self.mentions.add, await self._documents.get(name))
