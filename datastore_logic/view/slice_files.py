"""The files of slices that a pod keeps beside its view: one an edition, whole or not there.

They may be deleted at any time. Room for a new one is made by deleting those used longest ago.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from datastore_logic.view.slices import Damaged, Slices

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

STRIDE: Final = 16 << 20
"""Bytes that are written before it is seen again whether there is room."""

log = logging.getLogger(__name__)


class NoRoom(Exception):
    """These slices would take more of the disk than they may."""


class SliceFiles:
    """The files of one folder, `most` bytes together. Constructing it touches no disk."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder = folder
        self._most = most

    def open(self, edition: str) -> Slices | None:
        """Return an edition's slices, None if there are none; damaged ones are deleted."""
        try:
            return _opened(self._path(edition))
        except FileNotFoundError:
            return None
        except (Damaged, OSError) as reason:
            log.warning("the slices %s are of no use and deleted: %s", edition, reason)
            self.delete(edition)
            return None

    def note_use(self, edition: str) -> None:
        """Note that an edition is in use, so that others are deleted before it."""
        with suppress(OSError):
            os.utime(self._path(edition))

    def delete(self, edition: str) -> None:
        """Delete an edition if it is there; who has it open may go on reading."""
        with suppress(OSError):
            self._path(edition).unlink()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the only right of the pod to write here; what a killed writer left is swept."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield
            finally:
                for left in self._folder.glob("*.new"):
                    left.unlink()

    def write(self, edition: str, pieces: Iterable[bytes]) -> Slices:
        """Write an edition's slices and return them; others find them once they are published.

        Raises:
            NoRoom: they are larger than they may be.
        """
        made, written, seen = self._path(edition, ".new"), 0, 0
        with made.open("wb", buffering=1 << 20) as file:
            for piece in pieces:
                written += file.write(piece)
                if written >= seen + STRIDE:
                    self._make_room(seen := written)
        self._make_room(written)
        return _opened(made)

    def publish(self, edition: str, about: str) -> None:
        """Let others find what was written; older slices about the same are deleted."""
        for path in self._by_use():
            with suppress(Damaged, OSError):
                if _opened(path).about == about:
                    path.unlink()
        self._path(edition, ".new").replace(self._path(edition))

    def _make_room(self, written: int) -> None:
        """Delete what was used longest ago until all is within bounds.

        As much as is written must still be free: the view is on the same disk.
        """
        sizes = {path: path.stat().st_size for path in self._by_use()}
        while sizes and sum(sizes.values()) + written > self._most:
            path = next(iter(sizes))
            path.unlink()
            del sizes[path]
        if written > self._most or shutil.disk_usage(self._folder).free < written:
            raise NoRoom(f"{written} bytes of slices and more are too many")

    def _by_use(self) -> list[Path]:
        return sorted(self._folder.glob("*.slices"), key=lambda path: path.stat().st_mtime)

    def _path(self, edition: str, suffix: str = ".slices") -> Path:
        return self._folder / f"{edition}{suffix}"


class _File:
    """A file, open for as long as somebody may read from it."""

    __slots__ = ("_descriptor", "size")

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        self.size = os.fstat(self._descriptor).st_size

    def read(self, at: int, length: int) -> bytes:
        """Return so many bytes from an offset on; any number of threads may."""
        return os.pread(self._descriptor, length, at)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)


def _opened(path: Path) -> Slices:
    file = _File(path)
    return Slices(file.read, file.size)
