"""Small blobs made durable together: one file that grows, one sync for all that come at once.

Syncing a small file costs far more than writing it, and its directory's name costs another sync.
So the bytes of small blobs are appended here first and synced together; their files are then
published without a sync of their own. When a journal has grown enough, one sync of the whole file
system makes all those files durable, and the journal is removed. At a start, what a journal holds
is put back wherever its file is not as it was.

A record is `cblb`, the SHA-256, the length in 8 bytes (big-endian), the content. The digest checks
the record: the first that does not fit ends the journal, for what follows was never acknowledged.
"""

from __future__ import annotations

import hashlib
import logging
import re
import struct
from typing import TYPE_CHECKING

from databuffer.errors import LedgerFailed, StorageFailed
from databuffer.names import Digest
from databuffer.store import atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_log = logging.getLogger(__name__)
_NAME = re.compile(r"[0-9]{20}\.blobs")
_HEAD = struct.Struct(">4s32sQ")
_MAGIC = b"cblb"


class Journal:
    """The journals in a folder. One thread appends; another may settle meanwhile."""

    def __init__(
        self, folder: Path, most: int, synced: Callable[[float], None] = lambda _: None
    ) -> None:
        self._folder, self._most, self._synced = folder, most, synced
        self._file: atomic.AppendFile | None = None
        self._open: Path | None = None
        self._next = 1
        self._sealed: list[Path] = []
        self._owed: list[Path] = []

    @property
    def sealed(self) -> bool:
        """Whether there are journals to settle."""
        return bool(self._sealed or self._owed)

    def replay(self, restore: Callable[[Digest, bytes], None]) -> None:
        """Give what a killed process journalled to `restore`, then settle; before any append.

        While `restore` fails for want of space, `settle` will try again.
        """
        self._restore = restore
        atomic.prepare_directory(self._folder)
        self._owed = sorted(path for path in self._folder.iterdir() if _NAME.fullmatch(path.name))
        if self._owed:
            self._next = int(self._owed[-1].stem) + 1
            self.settle()

    def append(self, contents: Mapping[Digest, bytes]) -> None:
        """Make these blobs durable, whatever becomes of their files; raise `OSError` when full."""
        if self._file is None or self._file.size >= self._most:
            self._begin()
        assert self._file is not None  # noqa: S101 - just begun
        try:
            self._file.append(b"".join(_parts(contents)))
        except LedgerFailed as error:
            self._seal()  # what was durable in it stays; what comes next goes to another
            raise StorageFailed(f"the journal of blobs failed: {error}") from error

    def settle(self) -> None:
        """Make every file of the sealed journals durable, and remove these.

        Whoever appends publishes a batch's files before it appends the next, so all files of a
        sealed journal are there. Those that a killed process left go when all is put back.
        """
        self._remove_sealed()
        for path in list(self._owed):
            for digest, content in _records(path):
                self._restore(digest, content)
            self._sealed.append(path)
            self._owed.remove(path)
        self._remove_sealed()

    def close(self) -> None:
        """Settle everything, so that the next start has nothing to put back."""
        self._seal()
        self.settle()

    def _remove_sealed(self) -> None:
        settled = list(self._sealed)
        if settled:
            atomic.sync_file_system(self._folder)
        for path in settled:
            path.unlink(missing_ok=True)
            self._sealed.remove(path)

    def _begin(self) -> None:
        self._seal()
        path = self._folder / f"{self._next:020d}.blobs"
        self._file = atomic.AppendFile(path, create=True, synced=self._synced)
        self._open, self._next = path, self._next + 1
        atomic.sync_directory(self._folder)

    def _seal(self) -> None:
        if self._file is not None and self._open is not None:
            self._file.close()
            self._sealed.append(self._open)
        self._file = self._open = None


def _parts(contents: Mapping[Digest, bytes]) -> Iterator[bytes]:
    for digest, content in contents.items():
        yield _HEAD.pack(_MAGIC, bytes.fromhex(digest.hex), len(content))
        yield content


def _records(path: Path) -> Iterator[tuple[Digest, bytes]]:
    """Read what was durable of a journal; it is a few times the memory of a large request."""
    raw, at = path.read_bytes(), 0
    while at < len(raw):
        head = raw[at : at + _HEAD.size]
        at += len(head)
        if len(head) < _HEAD.size:
            break
        magic, digest, length = _HEAD.unpack(head)
        content = raw[at : at + length]
        if magic != _MAGIC or hashlib.sha256(content).digest() != digest:
            break
        at += length
        yield Digest(f"sha256:{digest.hex()}"), content
    else:
        return
    _log.warning("%s ends in an unfinished record, which was never acknowledged", path.name)
