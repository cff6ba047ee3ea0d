"""Whether the databuffer can write: it tries, at most once a second."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from databuffer.errors import StorageFailed
from databuffer.store import atomic

if TYPE_CHECKING:
    from pathlib import Path

    from databuffer.buffer.service import StreamingBuffer
    from databuffer.store.disk import Disk
    from databuffer.store.volume_ledger import VolumeLedger

_FRESH = 1.0


@dataclass(frozen=True, slots=True)
class Report:
    """What was found: each check is `ok` or says what is wrong."""

    checks: dict[str, str]
    bytes_free: int
    bytes_total: int

    @property
    def ready(self) -> bool:
        """Whether a write would succeed; files that are behind the ledger stop nobody."""
        return self.checks["volume"] == self.checks["ledger"] == "ok"

    def volume(self) -> dict[str, float]:
        """How full the volume is."""
        used = 1 - self.bytes_free / self.bytes_total if self.bytes_total else 1.0
        return {
            "bytes_free": self.bytes_free,
            "bytes_total": self.bytes_total,
            "used": round(used, 4),
        }


class Health:
    """Tries a small write and looks at the parts."""

    def __init__(
        self, directory: Path, disk: Disk, ledger: VolumeLedger, buffer: StreamingBuffer
    ) -> None:
        self._probe, self._disk = directory / "probe", disk
        self._ledger, self._buffer = ledger, buffer
        self._asking = asyncio.Lock()
        self._last: tuple[float, Report] | None = None

    async def report(self) -> Report:
        """Give a report not older than a second."""
        async with self._asking:
            if self._last is None or time.monotonic() - self._last[0] > _FRESH:
                self._last = (time.monotonic(), await self._look())
            return self._last[1]

    async def _look(self) -> Report:
        await self._buffer.catch_up()
        checks = {
            "ledger": "failed, restarting" if self._ledger.failed.is_set() else "ok",
            "files": "behind the ledger" if self._buffer.behind else "ok",
            "volume": "ok",
        }
        try:
            await self._disk.run(atomic.replace, self._probe, b"ok")
        except StorageFailed as error:
            checks["volume"] = str(error)
        try:
            volume = await self._disk.run(os.statvfs, self._probe.parent)
        except StorageFailed:
            return Report(checks, 0, 0)
        return Report(checks, volume.f_bavail * volume.f_frsize, volume.f_blocks * volume.f_frsize)
