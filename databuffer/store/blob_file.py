"""A blob that is held open for reading."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from databuffer.store.shelves import read_range

if TYPE_CHECKING:
    from pathlib import Path

    from databuffer.store.disk import Disk

SMALL = 128 << 10
"""Bytes: above, sending from the file costs less than reading it."""


class BlobFile:
    """A blob's open file, or its bytes when it is small."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self._disk = disk
        self._descriptor = os.open(path, os.O_RDONLY)
        try:
            self.size = os.fstat(self._descriptor).st_size
            self.content = self._read(0, self.size) if self.size <= SMALL else None
        except BaseException:
            self.close()
            raise
        if self.content is not None:
            self.close()

    def fileno(self) -> int | None:
        """Give the descriptor of a large blob."""
        return self._descriptor if self._descriptor >= 0 else None

    async def read(self, offset: int, length: int) -> bytes:
        """Read exactly this range."""
        if self.content is not None:
            return self.content[offset : offset + length]
        return await self._disk.run(self._read, offset, length)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _read(self, offset: int, length: int) -> bytes:
        return read_range(self._descriptor, offset, length)
