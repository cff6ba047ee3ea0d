"""Where a blob's file stands: `ab/cd/<hex>`, in directories made when they are first needed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from databuffer.store import atomic

if TYPE_CHECKING:
    from databuffer.names import Digest


class Shelves:
    """The directories under `base`. Calls may come from several threads."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._durable: set[str] = set()

    def path(self, digest: Digest) -> Path:
        """Say where the blob's file stands, if it does."""
        return Path(self._file(digest.hex))

    def size(self, digest: Digest) -> int | None:
        """Say how long the file is, None if there is none; cheaper than through a `Path`."""
        try:
            return os.stat(self._file(digest.hex)).st_size  # noqa: PTH116
        except FileNotFoundError:
            return None

    def open(self, digest: Digest) -> atomic.Folder:
        """Open the folder for the blob's file, making it if need be."""
        folder = self._folder(digest.hex)
        if digest.hex[:4] not in self._durable:
            Path(folder).mkdir(parents=True, exist_ok=True)
        return atomic.Folder(folder)

    def settle(self, digest: Digest, folder: atomic.Folder) -> None:
        """Make the blob's name durable, and the directories above it, those once a process.

        Last, because on a journaled file system the sync of the file has then done most of it.
        Also when the name existed: who made it may not have come this far yet.
        """
        folder.sync()
        shelf, bay = digest.hex[:4], digest.hex[:2]
        if shelf not in self._durable:
            atomic.sync_directory(self._base / bay)
            self._durable.add(shelf)
        if bay not in self._durable:
            atomic.sync_directory(self._base)
            self._durable.add(bay)

    def _file(self, name: str) -> str:
        return f"{self._folder(name)}/{name}"

    def _folder(self, name: str) -> str:
        return f"{self._base}/{name[:2]}/{name[2:4]}"
