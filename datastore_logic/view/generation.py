"""A number that every change of the view moves on, in a file that the pod's processes map.

What was read from the view is still so while the number is the same; to know that takes no system
call and no lock. It is odd while somebody may be writing, and stays so if that somebody is killed,
until the next one has written.
"""

from __future__ import annotations

import mmap
import os
import secrets
import sys
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOK_AGAIN: Final = 1.0
"""Seconds until it is seen whether the file was replaced: somebody may delete it by hand."""

_SIZE: Final = 8


class Generation:
    """The number at one path. Constructing it touches no disk.

    Who changes the view holds a lock on it, so there is one writer at a time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._number: memoryview | None = None
        self._file = (0, 0)
        self._look_at = 0.0

    def seen(self) -> int | None:
        """Return the number; None while it is being changed, or where there is none."""
        now = monotonic()
        if now >= self._look_at:
            self._look()
            self._look_at = now + LOOK_AGAIN
        mapped = self._number
        number = 1 if mapped is None else mapped[0]
        return None if number % 2 else number

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Move the number on, before and after: what was read until now may be so no more."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            kept = os.pread(descriptor, _SIZE, 0)
            # A new file begins anywhere, so that its numbers are none that an earlier one had.
            number = int.from_bytes(kept, sys.byteorder) if kept else secrets.randbits(62)
            os.pwrite(descriptor, (number | 1).to_bytes(_SIZE, sys.byteorder), 0)
            try:
                yield
            finally:
                os.pwrite(descriptor, ((number | 1) + 1).to_bytes(_SIZE, sys.byteorder), 0)
        finally:
            os.close(descriptor)

    def _look(self) -> None:
        """Map the file, if it is another one than was mapped before."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY)
        except FileNotFoundError:
            self._number = None
            return
        try:
            stat = os.fstat(descriptor)
            if stat.st_size < _SIZE:
                self._number = None
            elif self._number is None or self._file != (stat.st_dev, stat.st_ino):
                mapped = mmap.mmap(descriptor, _SIZE, access=mmap.ACCESS_READ)
                self._file = (stat.st_dev, stat.st_ino)
                self._number = memoryview(mapped).cast("Q")
        finally:
            os.close(descriptor)
