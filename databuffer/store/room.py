"""How much room a volume has, and the reserve of it that no caller's write may take.

On a volume that is full to the last byte even what makes room fails: the ledger's index, the
buffer's files, compressing. So writes are refused while there still is some. Only one process
writes here, but not to a disk of its own, so the file system is asked; as that takes a system call,
what it said holds for a tenth of a second, less all that was taken since. A shortage is never told
from memory: so writes go on the moment there is room again. A file system that does not say how
large it is has room until it refuses.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from databuffer.errors import VolumeFull

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FRESH = 0.1
_LARGEST_SHARE = 20
"""The reserve is at most this part of a volume: of a small disk the rest must remain useful."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A volume in bytes: what is free, what there is, and what is kept in reserve of it."""

    free: int
    total: int
    reserve: int

    @property
    def short(self) -> bool:
        """Whether the reserve is touched, so that nothing can be written."""
        return self.free < self.reserve

    def told(self) -> dict[str, float]:
        """Say it as /readyz does."""
        used = 1 - self.free / self.total if self.total else 1.0
        return {
            "bytes_free": self.free,
            "bytes_total": self.total,
            "reserve": self.reserve,
            "used": round(used, 4),
        }


class Room:
    """The room on the volume that a directory is on. Calls may come from several threads."""

    def __init__(self, path: Path, reserve: int) -> None:
        self._path, self._reserve = path, reserve
        self._lock = threading.Lock()
        self._looked = -math.inf
        self._left = 0
        self._writing = 0

    @property
    def ample(self) -> bool:
        """Whether there was some room a moment ago, without asking; else `require` tells."""
        return not self._reserve or (self._left > 0 and self._is_fresh())

    def measure(self) -> Measured:
        """Ask the file system; raise `OSError`."""
        with self._lock:
            return self._look()

    def require(self, size: int = 0) -> None:
        """Raise `VolumeFull` unless so many bytes can be written now; nothing is kept for them."""
        with self.taking(size):
            pass

    @contextmanager
    def taking(self, size: int) -> Iterator[None]:
        """Write so many bytes inside; raise `VolumeFull` if that would take of the reserve.

        Until they are written others reckon with them too, so that many at once stop where one
        would.
        """
        if not self._reserve:
            yield
            return
        self._take(size)
        try:
            yield
        finally:
            with self._lock:
                self._writing -= size

    def _take(self, size: int) -> None:
        with self._lock:
            if size > self._left or not self._is_fresh():
                self._look()
            if size > self._left:
                raise VolumeFull(_lacking(size, self._left))
            self._left -= size
            self._writing += size

    def _look(self) -> Measured:
        volume = os.statvfs(self._path)
        total = volume.f_blocks * volume.f_frsize
        reserve = min(self._reserve, total // _LARGEST_SHARE)
        found = Measured(volume.f_bavail * volume.f_frsize, total, reserve)
        self._left = found.free - found.reserve - self._writing if total else sys.maxsize
        self._looked = time.monotonic()
        return found

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._looked < _FRESH


def _lacking(size: int, left: int) -> str:
    if left <= 0:
        return "the volume is full up to its reserve (VOLUME_RESERVE_BYTES)"
    return (
        f"{left} bytes are free on the volume beside its reserve (VOLUME_RESERVE_BYTES), "
        f"at least {size} are needed"
    )
