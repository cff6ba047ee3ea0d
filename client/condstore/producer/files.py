"""A payload to put, and its bytes: digested and sent piece by piece, never whole in memory.

Files are read in threads, so that a slow disk does not hold up the requests under way. Refuses a
file that became shorter or longer between the reading and the sending.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from condstore.digests import Digest
from condstore.errors import DamagedPayload, UnreadableFile, UsageError
from condstore.moments import Moment, When

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path
    from typing import IO

PIECE: Final = 1 << 18


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
        if self.until is not None and self.until <= self.since:
            raise UsageError(
                f"{self}: its end {self.until.pair()} does not come after its start "
                f"{self.since.pair()}"
            )

    def __str__(self) -> str:
        source = "bytes" if isinstance(self.source, bytes) else str(self.source)
        return f"{self.payload_type} from {self.since.pair()} ({source})"

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
            found = self.source.stat()
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
    return await asyncio.to_thread(_measured, file, file.source)


def _measured(file: PayloadFile, path: Path) -> Measured:
    try:
        with path.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
            return Measured(file, Digest(f"sha256:{found}"), opened.tell())
    except OSError as error:
        raise _unreadable(path, error) from error


async def pieces(measured: Measured, tell: Callable[[int], object]) -> AsyncIterator[bytes]:
    """Yield the bytes, as many as were measured; `tell` hears of each piece that was taken."""
    source = measured.file.source
    if isinstance(source, bytes):
        for begin in range(0, len(source), PIECE):
            piece = source[begin : begin + PIECE]
            yield piece
            tell(len(piece))
        return
    try:
        opened = await asyncio.to_thread(source.open, "rb")
        with opened:
            async for piece in _read(opened, measured):
                yield piece
                tell(len(piece))
    except OSError as error:
        raise _unreadable(source, error) from error


async def _read(opened: IO[bytes], measured: Measured) -> AsyncIterator[bytes]:
    left = measured.size
    while left:
        piece = await asyncio.to_thread(opened.read, min(PIECE, left))
        if not piece:
            raise changed(measured)
        left -= len(piece)
        yield piece


def changed(measured: Measured) -> DamagedPayload:
    """Say that a file is not what it was when its digest was taken."""
    return DamagedPayload(
        f"{measured.file} changed while it was being sent; nothing refers to what was sent. "
        "Put it again when it is complete"
    )


def _unreadable(path: Path, error: OSError) -> UnreadableFile:
    return UnreadableFile(f"{path}: {error.strerror or error}")
