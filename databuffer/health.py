"""Whether the databuffer can write, and has room to: it tries, at most once a second."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from databuffer.errors import StorageFailed
from databuffer.store import atomic
from databuffer.store.room import Measured

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from databuffer.buffer.service import StreamingBuffer
    from databuffer.store.disk import Disk
    from databuffer.store.room import Room
    from databuffer.store.volume_ledger import VolumeLedger

_FRESH = 1.0
_UNKNOWN = Measured(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Report:
    """What was found: each check is `ok` or says what is wrong."""

    checks: dict[str, str]
    volumes: dict[str, Measured]

    @property
    def ready(self) -> bool:
        """Whether a write would succeed; files that are behind the ledger stop nobody."""
        return self.checks["volume"] == self.checks["ledger"] == "ok"

    def volume(self) -> Measured:
        """The one that has least left above its reserve."""
        return min(self.volumes.values(), key=lambda one: one.free - one.reserve, default=_UNKNOWN)


class Health:
    """Tries a small write and looks at the parts."""

    def __init__(
        self,
        directory: Path,
        disk: Disk,
        ledger: VolumeLedger,
        buffer: StreamingBuffer,
        rooms: Mapping[str, Room],
    ) -> None:
        self._probe, self._disk = directory / "probe", disk
        self._ledger, self._buffer, self._rooms = ledger, buffer, rooms
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
        volumes: dict[str, Measured] = {}
        try:
            volumes = await self._measured()
            await self._disk.run(atomic.replace, self._probe, b"ok")
        except StorageFailed as error:
            checks["volume"] = str(error)
        if short := [name for name, volume in volumes.items() if volume.short]:
            least = volumes[short[0]].reserve
            checks["volume"] = f"less than {least} bytes free for {' and '.join(short)}"
        return Report(checks, volumes)

    async def _measured(self) -> dict[str, Measured]:
        return {name: await self._disk.run(room.measure) for name, room in self._rooms.items()}
