"""Counts in a mapped file of real blocks; where the disk has none, in memory.

prometheus_client maps files with holes in them. To write into a hole of a full disk kills the
process (SIGBUS), and then every next one that counts. What is in memory others do not see: so on a
full disk some counts are missing until the worker is replaced, and every request is answered.
"""

from __future__ import annotations

import logging
import mmap
import os
from pathlib import Path
from typing import Any

from prometheus_client.mmap_dict import MmapedDict

_FIRST = 1 << 16
_OVERHEAD = 4 + 8 + 16  # length, padding, two numbers

log = logging.getLogger(__name__)


class Allocated(MmapedDict):
    """As prometheus_client's own, which knows nothing of full disks."""

    _f: Any
    _m: Any
    _capacity: int
    _used: int

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        kept = filename if read_mode or _has_blocks(Path(filename)) else _in_memory()
        super().__init__(kept, read_mode)  # type: ignore[no-untyped-call]

    def _init_value(self, key: str) -> None:
        while self._used + len(key.encode()) + _OVERHEAD > self._capacity:
            self._double()
        super()._init_value(key)  # type: ignore[no-untyped-call]

    def _double(self) -> None:
        try:
            os.posix_fallocate(self._f.fileno(), self._capacity, self._capacity)
        except OSError as reason:
            log.warning("no room to count more, it is counted in memory: %s", reason)
            self._move(_in_memory())
        self._capacity *= 2
        self._m = mmap.mmap(self._f.fileno(), self._capacity)

    def _move(self, path: str) -> None:
        """Go on in a file at another path, twice as large."""
        moved = Path(path).open("r+b", buffering=0)  # noqa: SIM115 - held as long as this counts
        moved.write(self._m[: self._used])
        moved.truncate(2 * self._capacity)
        self._m.close()
        self._f.close()
        self._f = moved


def _has_blocks(path: Path) -> bool:
    """Give a new file room for its first counts; say whether it has it."""
    try:
        with path.open("ab") as file:
            if not file.tell():
                os.posix_fallocate(file.fileno(), 0, _FIRST)
    except OSError as reason:
        log.warning("no room to count, it is counted in memory: %s", reason)
        path.unlink(missing_ok=True)  # an empty one would be read as a damaged one
        return False
    return True


def _in_memory() -> str:
    """Make a file in memory; give the path by which this process opens it, for as long as it lives.

    The descriptor stays open: the path is that of no other file then.
    """
    return f"/proc/self/fd/{os.memfd_create('counts')}"
