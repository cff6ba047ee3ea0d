"""Payloads on their way in: downloaded by one for all who want them.

`coming/<hex>` is three things in one: the file that a download fills, its reservation of room, and,
locked, the word that somebody is at it. Others wait while it grows, and find the payload. The lock
of a process that was killed is gone with it; the next one takes the file over. Who has waited
`PATIENCE` seconds without seeing a byte come helps himself. Waiting saves requests; nothing depends
on it.

What is larger than half the room passes through without being kept, and so does what the disk
does not take: the bytes go on to who asked for them.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, BinaryIO, Final

from condstore import landing
from condstore.cache import seals
from condstore.cache.folder import locks, pauses, release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from condstore.cache.counts import Counts
    from condstore.cache.folder import Folder
    from condstore.cache.room import Room
    from condstore.cache.troubles import Troubles
    from condstore.digests import Digest

PATIENCE: Final = 30.0
"""Seconds without a further byte after which another's download is not waited for any longer."""

_STEP = 1 << 20  # bytes for which room is taken at a time


class Download:
    """A file of the part `coming` that is this one's alone, until it is left.

    `reader` reads the same file; `complete` says whether all that came is in it.
    """

    def __init__(self, inbox: Inbox, digest: Digest, file: int) -> None:
        self._inbox = inbox
        self._digest = digest
        self._file = file
        self._size = 0
        self._counted = True
        self.complete = True
        reader = inbox.folder.open("coming", digest.hex, os.O_RDONLY)
        self.reader: BinaryIO = os.fdopen(reader, "rb")

    def passed(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the bytes and keep them; name them as the payload when the last one was right.

        Raises `DamagedPayload` after the last, and what `chunks` raises; never for the directory.
        """
        yield from landing.poured(_gathered(chunks), self._digest, self)
        if self.complete:
            self._inbox.counts.add("bytes_brought", self._size)
            self._tried(self._name)

    def write(self, piece: bytes) -> None:
        """Keep a piece, as long as all before it were kept."""
        if self.complete:
            self._tried(lambda: self._keep(piece))

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def leave(self) -> None:
        """Give the file up, with the bytes that came unless they have their name."""
        with contextlib.suppress(OSError):
            if self._inbox.folder.same("coming", self._digest.hex, self._file):
                self._inbox.folder.unlink("coming", self._digest.hex)
        release(self._file)

    def _keep(self, piece: bytes) -> None:
        """Take room for a piece and write it; without room it goes on nameless."""
        room = self._inbox.room
        self._size += len(piece)
        if self._counted and (2 * self._size > room.limit or not room.take(self._file, len(piece))):
            self._counted = False
            self._inbox.counts.add("uncached")
            self._inbox.folder.unlink("coming", self._digest.hex)
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def _name(self) -> None:
        if self._inbox.folder.same("coming", self._digest.hex, self._file):
            seals.seal(self._file, self._digest)
            self._inbox.room.name(self._digest.hex)

    def _tried(self, act: Callable[[], None]) -> None:
        try:
            act()
        except OSError as error:
            self.complete = False
            self._inbox.troubles.tell(error)


class Inbox:
    """Where downloads are begun."""

    def __init__(self, folder: Folder, room: Room, counts: Counts, troubles: Troubles) -> None:
        self.folder = folder
        self.room = room
        self.counts = counts
        self.troubles = troubles

    def begun(self, digest: Digest) -> Download | None:
        """Return a download that is ours alone, once it can be had; None if its owner is stuck.

        By then another one may have brought the payload: look again. May raise `OSError`.
        """
        seen, since, waits = (-1, -1), time.monotonic(), pauses()
        while True:
            file = self.folder.open("coming", digest.hex, os.O_RDWR | os.O_CREAT)
            try:
                ours = locks(file)
                if ours and self.folder.same("coming", digest.hex, file):
                    os.truncate(file, 0)  # what a killed one left
                    return Download(self, digest, file)
                facts = os.fstat(file)
            except BaseException:
                release(file)
                raise
            release(file)
            if ours:  # the name is another file's by now
                continue
            if seen == (-1, -1):
                self.counts.add("waited")
            if (progress := (facts.st_ino, facts.st_size)) != seen:
                seen, since = progress, time.monotonic()
            if time.monotonic() - since > PATIENCE:
                return None
            time.sleep(next(waits))


def _gathered(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Join small pieces, so that room is not taken for each."""
    some: list[bytes] = []
    size = 0
    for chunk in chunks:
        some.append(chunk)
        size += len(chunk)
        if size >= _STEP:
            yield b"".join(some)
            some, size = [], 0
    if some:
        yield b"".join(some)
