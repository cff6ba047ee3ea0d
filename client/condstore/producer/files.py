"""A payload to put, and its bytes: digested and sent piece by piece, never whole in memory.

Files are read in threads, so that a slow disk does not hold up the requests under way. Refuses a
file that became shorter or longer between the reading and the sending.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from condstore.digests import Digest
from condstore.errors import DamagedPayload, UnreadableFile, UsageError
from condstore.moments import Moment, When, written

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path
    from typing import IO

PIECE: Final = 1 << 18
"""Bytes that are read, hashed and sent at a time."""

STRETCH: Final = 1 << 26
"""Bytes that one thread hashes before it looks whether anybody still wants to know."""


@dataclass(frozen=True, slots=True)
class PayloadFile:
    """A payload and where it is to hold: over [start, end) of its type, its bytes in `source`.

    Without an `end` it holds until the next start, sent or stored. Without a `name` it is called by
    its digest. `checksum` is the experiment's own, kept beside it and not looked at.

    >>> PayloadFile(b"x", "Beam", 1200, "1300:5").until
    Moment(major=1300, minor=5)
    """

    source: Path | bytes
    payload_type: str
    start: When
    end: When | None = None
    name: str | None = None
    checksum: str | None = None

    def __post_init__(self) -> None:
        since, until = self.since, self.until
        if until is not None and until <= since:
            raise UsageError(f"{self}: its end {written(until)} does not come after its start")

    def __str__(self) -> str:
        source = "bytes" if isinstance(self.source, bytes) else str(self.source)
        return f"{self.payload_type} from {written(self.since)} ({source})"

    @property
    def since(self) -> Moment:
        """The first moment at which it holds."""
        return Moment.of(self.start)

    @property
    def until(self) -> Moment | None:
        """The first moment at which it does not, None if it is open."""
        return None if self.end is None else Moment.of(self.end)

    def mark(self) -> str:
        """Return what tells this file and its place from any other, without reading the file.

        A file that was written again since has another time or size, and so another mark.
        """
        if isinstance(self.source, bytes):
            content = Digest.of(self.source).hex
        else:
            found = _stat(self.source)
            content = f"{self.source.absolute()}\n{found.st_size}\n{found.st_mtime_ns}"
        place = (self.payload_type, self.since, self.until, self.name, self.checksum)
        return hashlib.sha256(f"{place}\n{content}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Measured:
    """A file that was read: its digest and size."""

    file: PayloadFile
    digest: Digest
    size: int


async def measure(file: PayloadFile) -> Measured:
    """Read a file once and return its digest; raise `UnreadableFile`."""
    if isinstance(file.source, bytes):
        return Measured(file, Digest.of(file.source), len(file.source))
    hasher = hashlib.sha256()
    with _reading(file.source) as reading:
        while await asyncio.to_thread(reading.digest, hasher):
            pass
        return Measured(file, Digest(f"sha256:{hasher.hexdigest()}"), reading.done)


class Body:
    """The bytes of a measured file as a request sends them, anew for each attempt.

    `tell` hears of bytes that leave for the first time, not of those that are sent again.
    """

    def __init__(self, measured: Measured, tell: Callable[[int], object]) -> None:
        self._measured = measured
        self._tell = tell
        self._told = 0

    async def __call__(self) -> AsyncIterator[bytes]:
        """Yield them piece by piece; raise `DamagedPayload` if there are fewer than measured."""
        sent = 0
        async for piece in self._pieces():
            yield piece
            sent += len(piece)
            if sent > self._told:
                self._tell(sent - self._told)
                self._told = sent
        if sent != self._measured.size:
            raise changed(self._measured)

    async def _pieces(self) -> AsyncIterator[bytes]:
        source, size = self._measured.file.source, self._measured.size
        if isinstance(source, bytes):
            for begin in range(0, size, PIECE):
                yield source[begin : begin + PIECE]
            return
        with _reading(source) as reading:
            while left := size - reading.done:
                if not (piece := await asyncio.to_thread(reading.read, min(PIECE, left))):
                    return
                yield piece


def changed(measured: Measured) -> DamagedPayload:
    """Say that a file is not what it was when its digest was taken."""
    return DamagedPayload(
        f"{measured.file} changed while it was being sent; nothing refers to what was sent. "
        "Put it again when it is complete"
    )


class _Reading:
    """A file that is opened and read in other threads, one call at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self.done = 0

    def read(self, most: int) -> bytes:
        """Return the next bytes, none at the end."""
        if self._file is None:
            self._file = self._path.open("rb")
        piece = self._file.read(most)
        self.done += len(piece)
        return piece

    def digest(self, hasher: hashlib._Hash) -> bool:
        """Take the next stretch into a digest; return whether more may follow."""
        for _ in range(STRETCH // PIECE):
            piece = self.read(PIECE)
            hasher.update(piece)
            if len(piece) < PIECE:
                return False
        return True

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[_Reading]:
    with _readable(path), contextlib.closing(_Reading(path)) as reading:
        yield reading


def _stat(path: Path) -> os.stat_result:
    with _readable(path):
        return path.stat()


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Let what the system says of a file come out as our own error."""
    try:
        yield
    except OSError as error:
        raise UnreadableFile(f"{path}: {error.strerror or error}") from error
