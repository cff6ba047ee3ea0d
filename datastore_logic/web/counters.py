"""How often each of any number of names came in the present window of time, for a whole pod.

A count-min sketch in a file that the workers of a pod map: a name falls into one cell of each row
and came at most as often as the least of its cells says. So the file never grows, and no flood of
names frees anybody from their count: names that meet in a cell add up, and one is only ever counted
too high. The hash is keyed by a secret of the pod, so nobody finds names that meet another's.

A cell has a number for each process, and each process writes only its own: no lock between them,
and nothing lost of what a killed one had counted. A number says of which window it is; that of
another window counts as nothing, so nothing needs to be forgotten.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
import struct
import threading
import time
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from limits.storage import Storage

from datastore_logic.slots import claim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

ROWS: Final = 2
CELLS: Final = 8192
PROCESSES: Final = 16
"""More of them would share the last number, and miss a count where two write it at once."""

_KEY: Final = 16
_BITS: Final = 28
_MOST: Final = (1 << _BITS) - 1
_TWO: Final = struct.Struct("<II")
_NUMBER: Final = struct.Struct("Q")  # native: written in one piece
_CELL: Final = struct.Struct(f"{PROCESSES}Q")
_SIZE: Final = _KEY + ROWS * CELLS * _CELL.size


class Counters(Storage):
    """Counts in windows of so many seconds by the clock. Constructing it opens nothing."""

    STORAGE_SCHEME = None

    def __init__(self, path: Path, seconds: int) -> None:
        super().__init__()
        self._path, self._seconds = path, seconds
        self._lock = threading.Lock()
        self._numbers: mmap.mmap | None = None
        self._cells: Callable[[str], tuple[int, ...]] = lambda _: ()
        self._mine = 0

    @property
    def base_exceptions(self) -> type[Exception]:
        """What may go wrong underneath."""
        return OSError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count a name once more, or `amount` times; return how often it came in this window."""
        window = self._window(expiry)
        with self._lock:
            numbers = self._opened()
            cells = self._cells(key)
            for cell in cells:
                mine = cell + self._mine
                (had,) = _NUMBER.unpack_from(numbers, mine)
                count = (had & _MOST if had >> _BITS == window else 0) + amount
                _NUMBER.pack_into(numbers, mine, window << _BITS | min(count, _MOST))
            return _least(numbers, cells, window)

    def get(self, key: str) -> int:
        """Return how often a name came in this window, or somewhat more."""
        with self._lock:
            return _least(self._opened(), self._cells(key), self._window(self._seconds))

    def get_expiry(self, key: str) -> float:
        """Return when this window ends, in seconds of the clock: it is the same for all names."""
        return (self._window(self._seconds) + 1) * self._seconds

    def check(self) -> bool:
        """Tell whether the file can be had."""
        with self._lock:
            return self._opened() is not None

    def reset(self) -> int | None:
        """Forget all names."""
        with self._lock:
            numbers = self._opened()
            numbers[_KEY:] = bytes(_SIZE - _KEY)
        return None

    def clear(self, key: str) -> None:
        """Refuse: to forget one name would lower the counts of those that it meets."""
        raise NotImplementedError

    def _window(self, expiry: int) -> int:
        if expiry != self._seconds:
            raise ValueError(f"this counts in windows of {self._seconds} s, not {expiry}")
        return int(time.time()) // expiry

    def _opened(self) -> mmap.mmap:
        if self._numbers is None:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)  # held while we live
            self._cells = _cells_by(_prepared(descriptor))
            self._mine = claim(descriptor, PROCESSES) * _NUMBER.size
            self._numbers = mmap.mmap(descriptor, _SIZE)
        return self._numbers


def _least(numbers: mmap.mmap, cells: Iterable[int], window: int) -> int:
    return min(_counted(_CELL.unpack_from(numbers, cell), window) for cell in cells)


def _counted(cell: tuple[int, ...], window: int) -> int:
    return sum([number & _MOST for number in cell if number >> _BITS == window])


def _cells_by(key: bytes) -> Callable[[str], tuple[int, ...]]:
    """Return the function that says where a name's cell of each row begins."""

    @lru_cache(4096)
    def cells(name: str) -> tuple[int, ...]:
        first, second = _TWO.unpack(blake2b(name.encode(), digest_size=8, key=key).digest())
        places = (first % CELLS, CELLS + second % CELLS)
        return tuple(_KEY + place * _CELL.size for place in places)

    return cells


def _prepared(descriptor: int) -> bytes:
    """Make the file what it must be, if nobody has, and return the pod's secret in it."""
    fcntl.lockf(descriptor, fcntl.LOCK_EX, 1, PROCESSES)
    try:
        if os.fstat(descriptor).st_size != _SIZE:
            os.ftruncate(descriptor, 0)
            # Real blocks: to write through a map into a hole of a full disk would kill the process.
            os.posix_fallocate(descriptor, 0, _SIZE)
            os.pwrite(descriptor, secrets.token_bytes(_KEY), 0)
        return os.pread(descriptor, _KEY, 0)
    finally:
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, PROCESSES)
