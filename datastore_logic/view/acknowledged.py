"""The newest LSN that this pod has told a caller of, shared by its workers.

Segments come by the hundred a second, and nothing is decided about them here, so `/stream` answers
as soon as the databuffer has and leaves applying to the follower, which takes many at a time. Who
reads the streamed tag then waits until the view has come this far: what the pod acknowledged, the
pod shows.
"""

from __future__ import annotations

import mmap
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from datastore_logic.slots import claim

if TYPE_CHECKING:
    from pathlib import Path

SLOTS: Final = 512
_WIDTH: Final = 8


class Acknowledged:
    """One number a process, in a file they all map. Constructing it opens nothing.

    Each process writes only its own number, so none overwrites another's with an older one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._numbers: memoryview | None = None
        self._mine = 0

    def note(self, lsn: int) -> None:
        """Note that a caller was told of this LSN."""
        with self._lock, suppress(OSError):  # no room for the file: it is shown a little later
            numbers = self._opened()
            numbers[self._mine] = max(numbers[self._mine], lsn)

    def newest(self) -> int:
        """Return the newest LSN that any process of the pod noted."""
        with self._lock:
            try:
                return max(self._opened())
            except OSError:  # no room for the file, on a disk that filled up before anybody noted
                return 0

    def forget(self) -> None:
        """Forget every number: they were of a ledger that is no more."""
        with self._lock, suppress(OSError):
            numbers = self._opened()
            for slot in range(SLOTS):
                numbers[slot] = 0

    def _opened(self) -> memoryview:
        if self._numbers is None:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)  # held while we live
            try:
                # Real blocks: to write through a map into a hole of a full disk kills the process.
                if os.fstat(descriptor).st_size < SLOTS * _WIDTH:
                    os.posix_fallocate(descriptor, 0, SLOTS * _WIDTH)
                self._mine = claim(descriptor, SLOTS)
            except OSError:
                os.close(descriptor)
                raise
            self._numbers = memoryview(mmap.mmap(descriptor, SLOTS * _WIDTH)).cast("Q")
        return self._numbers
