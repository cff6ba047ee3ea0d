"""Where a blob's file stands: `ab/cd/<hex>`, in directories made when they are first needed.

A file's time of modification says when its blob was last put or asked for, give or take `LATELY`.
Noting that, and putting a file aside because nobody asked for long, exclude each other: `_lock`.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from databuffer.errors import StorageFailed
from databuffer.names import Digest
from databuffer.store import atomic
from databuffer.store.protocols import LATELY, Unasked
from databuffer.store.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


class Shelves:
    """The directories under `base`; `aside` holds what is being removed. From several threads."""

    def __init__(self, base: Path, aside: Path, clock: Callable[[], float] = time.time) -> None:
        self._base, self._aside, self._clock = base, aside, clock
        self._durable: set[str] = set()
        self._lock = threading.Lock()

    def path(self, digest: Digest) -> Path:
        """Say where the blob's file stands, if it does."""
        return Path(self._file(digest.hex))

    def ask(self, digest: Digest) -> int | None:
        """Say how long the file is, None if there is none; it is not put aside for long."""
        file = self._file(digest.hex)
        try:
            found = os.stat(file)  # noqa: PTH116 - cheaper than through a `Path`
            if self._clock() - found.st_mtime > LATELY:
                self._note(file)
        except FileNotFoundError:
            return None
        return found.st_size

    def read(self, digest: Digest, most: int) -> bytes | int | None:
        """Read the file; give its size if it has more than `most` bytes, None if there is none."""
        try:
            descriptor = os.open(self._file(digest.hex), os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            size = os.fstat(descriptor).st_size
            return size if size > most else read_range(descriptor, 0, size)
        finally:
            os.close(descriptor)

    def open(self, digest: Digest) -> atomic.Folder:
        """Open the folder for the blob's file, making it if need be."""
        folder = Path(self._folder(digest.hex))
        if digest.hex[:4] not in self._durable:
            for path in (folder.parent, folder):  # not `base`, lest it be made beside its volume
                path.mkdir(exist_ok=True)
        return atomic.Folder(folder)

    def refuse_if_gone(self) -> None:
        """Raise `StorageFailed` if not one file but all of them are gone."""
        if not self._base.is_dir():
            raise StorageFailed(f"{self._base} is gone: is its volume mounted?")

    def place(self, upload: atomic.Upload, folder: atomic.Folder, digest: Digest) -> bool:
        """Publish; say false if it is there already, and is not removed for long from now on."""
        while not upload.publish(folder, digest.hex):
            if self.ask(digest) is not None:
                return False
        return True

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

    def unnamed(self, bay: int, named: Callable[[Digest], bool]) -> list[Unasked]:
        """List the files of one bay that are not named."""
        found: list[Unasked] = []
        turns = Turns()
        for shelf in _names(self._base / f"{bay:02x}"):
            digests = map(Digest.found, _names(self._base / f"{bay:02x}" / shelf))
            unnamed = (digest for digest in digests if digest is not None and not named(digest))
            found += filter(None, map(self._unasked, unnamed))
            turns.end()
        return found

    def put_aside(self, digests: Iterable[Digest], older_than: float) -> list[Unasked]:
        """Move away the files that nobody asked for within so many seconds, `LATELY` at least."""
        self._aside.mkdir(exist_ok=True)
        moved = []
        for digest in digests:
            with self._lock:
                found = self._unasked(digest)
                if found is None or not self._can_be_noted(digest):
                    continue
                if found.seconds > max(older_than, LATELY):
                    self.path(digest).rename(self._aside / digest.hex)
                    moved.append(found)
        return moved

    def put_back(self, digests: Iterable[Digest]) -> None:
        """Move back those of these files that are aside; a newer one under its name stays."""
        for digest in digests:
            if (self._aside / digest.hex).exists():
                self._link_back(digest)

    def put_all_back(self) -> list[Digest]:
        """Move back all files that are aside, and say which."""
        digests = [digest for digest in map(Digest.found, _names(self._aside)) if digest]
        self.put_back(digests)
        return digests

    def drop(self, digests: Sequence[Digest]) -> None:
        """Remove those of these files that are aside."""
        for digest in digests:
            (self._aside / digest.hex).unlink(missing_ok=True)

    def _link_back(self, digest: Digest) -> None:
        folder = self.open(digest)
        try:
            folder.link(self._aside / digest.hex, digest.hex)
            self.settle(digest, folder)
        except FileExistsError:
            pass  # somebody has put the same content meanwhile
        finally:
            folder.close()
        (self._aside / digest.hex).unlink()

    def _note(self, file: str) -> None:
        """Note that the blob is asked for; raise `FileNotFoundError` if it was just removed."""
        now = self._clock()
        with self._lock:
            try:
                os.utime(file, (now, now))
            except FileNotFoundError:
                raise
            except PermissionError:  # somebody else's: who may write it may say that it is now
                with suppress(PermissionError):
                    os.utime(file)
            except OSError:
                return  # a volume that refuses that refuses to remove, too

    def _can_be_noted(self, digest: Digest) -> bool:
        return os.access(self._file(digest.hex), os.W_OK, effective_ids=True)

    def _unasked(self, digest: Digest) -> Unasked | None:
        try:
            found = os.stat(self._file(digest.hex))  # noqa: PTH116 - as above
        except FileNotFoundError:
            return None
        return Unasked(digest, found.st_size, self._clock() - found.st_mtime)

    def _file(self, name: str) -> str:
        return f"{self._folder(name)}/{name}"

    def _folder(self, name: str) -> str:
        return f"{self._base}/{name[:2]}/{name[2:4]}"


def read_range(descriptor: int, offset: int, length: int) -> bytes:
    """Read this range of a file, less only where the file ends."""
    pieces = []
    while length and (piece := os.pread(descriptor, length, offset)):
        pieces.append(piece)
        offset, length = offset + len(piece), length - len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _names(folder: Path) -> Iterator[str]:
    try:
        yield from os.listdir(folder)  # noqa: PTH208 - millions of `Path`s cost too much
    except FileNotFoundError:
        return
