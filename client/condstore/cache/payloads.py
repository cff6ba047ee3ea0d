"""Payloads on a local disk, each a file named by its digest, verified whenever it is opened.

**Verified.** Up to `HASHED` bytes a file is hashed each time, which costs less than what its reader
does next. A larger one is hashed unless its *seal* holds: when a payload is landed, flushed to the
disk and found right, its modification time is set to a second between 1973 and 1990 that follows
from its digest and size. Whatever changes a file through the file system moves that time to now,
truncation included; so the seal of a changed file is broken, in every process, across restarts,
without a record of who has hashed what that could be wrong itself. Then it is hashed, and sealed
again or dropped. What a seal cannot see is a disk that gives other bytes than were written to it
and no error, and somebody who sets the time back on purpose in a folder that is his own.

**Shared.** `coming/<hex>` is three things in one: the file that a download fills, its reservation
of room, and, locked, the word that somebody is at it. Others wait while it grows, and find the
payload; the lock of a process that was killed is gone with it, and the next one takes over. Who
has waited `PATIENCE` seconds without seeing a byte come downloads for himself. Waiting saves
requests; nothing depends on it.

**Removed** is the name only: who has a payload open reads on. A file that vanishes between the
look and the opening is fetched again. What is larger than half the limit passes through without
being kept. What a full, read-only or broken directory cannot do is done without it, with one
warning (`Troubles`): a job never fails for its cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import stat
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias, cast

from condstore import landing
from condstore.cache.folder import locks, pauses, release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from io import BufferedReader

    from condstore.cache.counts import Counts
    from condstore.cache.folder import Folder
    from condstore.cache.room import Room
    from condstore.cache.troubles import Troubles
    from condstore.digests import Digest

HASHED: Final = 4 << 20
"""Bytes up to which a payload is hashed at each opening, whatever its seal says."""
PATIENCE: Final = 30.0
"""Seconds without a further byte after which another's download is not waited for any longer."""

_STEP = 1 << 20  # bytes for which room is taken at a time
_TOUCH = 1_000_000_000  # ns: an opening is noted at most once a second

Fetch: TypeAlias = "Callable[[], AbstractContextManager[Iterator[bytes]]]"
"""Begins a download and gives its pieces."""


class Payloads:
    """The payloads in a folder."""

    def __init__(self, folder: Folder, room: Room, counts: Counts, troubles: Troubles) -> None:
        self._folder = folder
        self._room = room
        self._counts = counts
        self._troubles = troubles

    def open(self, digest: Digest, fetch: Fetch) -> BinaryIO:
        """Open a payload at its first byte, all of it verified; `fetch` it if it is not here.

        Raises what `fetch` raises, and `DamagedPayload`; never for the directory's own sake.
        """
        try:
            found = self._kept(digest)
            if found is not None:
                self._counts.add("payload_hits")
                return found
            self._counts.add("payload_misses")
            return self._brought(digest, fetch)
        except OSError as error:
            self._troubles.tell(error)
        with fetch() as chunks:
            return landing.spool(chunks, digest)

    # -- what is here ----------------------------------------------------------------------------

    def _kept(self, digest: Digest) -> BinaryIO | None:
        """Open the payload if it is here and whole; drop it if it is not what it was."""
        try:
            file = self._folder.open("payloads", digest.hex, os.O_RDONLY)
        except FileNotFoundError:
            return None
        except OSError:  # a link, or a name for nothing that can be read
            self._drop(digest)
            return None
        reader = os.fdopen(file, "rb")
        try:
            whole = _whole(reader, digest)
        except OSError:  # the disk cannot give it back
            whole = False
        if whole:
            _touch(file)
            return reader
        reader.close()
        self._drop(digest)
        return None

    def _drop(self, digest: Digest) -> None:
        self._counts.add("damaged")
        self._folder.unlink("payloads", digest.hex)

    # -- what is not -----------------------------------------------------------------------------

    def _brought(self, digest: Digest, fetch: Fetch) -> BinaryIO:
        for claim in self._claims(digest):
            if claim is None:
                break
            found = self._kept(digest)  # landed by the one we waited for
            if found is None:
                return self._download(digest, fetch, claim)
            self._abandon(digest, claim)
            return found
        with fetch() as chunks:
            return landing.spool(chunks, digest)

    def _claims(self, digest: Digest) -> Iterator[int | None]:
        """Yield the download's file once it is ours alone, or None if its owner is stuck."""
        seen, since = (-1, -1), time.monotonic()
        for pause, turn in zip(pauses(), itertools.count(), strict=False):
            file = self._folder.open("coming", digest.hex, os.O_RDWR | os.O_CREAT)
            ours = locks(file)
            if ours and self._folder.same("coming", digest.hex, file):
                yield file
                return
            facts = os.fstat(file)
            release(file)
            if ours:
                continue
            if turn == 0:
                self._counts.add("waited")
            if (progress := (facts.st_ino, facts.st_size)) != seen:
                seen, since = progress, time.monotonic()
            if time.monotonic() - since > PATIENCE:
                yield None
                return
            time.sleep(pause)

    def _abandon(self, digest: Digest, claim: int) -> None:
        """Give up a claim, with the bytes that came."""
        with contextlib.suppress(OSError):
            if self._folder.same("coming", digest.hex, claim):
                self._folder.unlink("coming", digest.hex)
        release(claim)

    def _download(self, digest: Digest, fetch: Fetch, claim: int) -> BinaryIO:
        """Fill the claimed file, name it, and return it open for reading only."""
        reader: BinaryIO | None = None
        try:
            os.truncate(claim, 0)  # what a killed one left
            reader = os.fdopen(self._folder.open("coming", digest.hex, os.O_RDONLY), "rb")
            size = self._fill(claim, digest, fetch)
            if self._folder.same("coming", digest.hex, claim):
                _seal(claim, digest, size)
                self._room.name(digest.hex)
        except BaseException:
            if reader is not None:
                reader.close()
            raise
        finally:
            self._abandon(digest, claim)
        self._counts.add("bytes_brought", size)
        return reader

    def _fill(self, claim: int, digest: Digest, fetch: Fetch) -> int:
        with fetch() as chunks, os.fdopen(claim, "r+b", closefd=False) as file:
            return landing.pour(self._with_room(claim, digest, chunks), digest, file)

    def _with_room(self, claim: int, digest: Digest, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Take room for each piece before it is written; without room it goes on nameless."""
        size, fits = 0, True
        for piece in _gathered(chunks):
            size += len(piece)
            if fits:
                fits = 2 * size <= self._room.limit and self._room.take(claim, len(piece))
                if not fits:
                    self._counts.add("uncached")
                    self._folder.unlink("coming", digest.hex)
            yield piece


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


def _whole(file: BinaryIO, digest: Digest) -> bool:
    """Say whether a file is the payload, by its seal if it is large, and leave it at its start."""
    facts = os.fstat(file.fileno())
    if not stat.S_ISREG(facts.st_mode):
        return False
    if facts.st_size > HASHED and facts.st_mtime_ns == _sealed(digest, facts.st_size):
        return True
    if hashlib.file_digest(cast("BufferedReader", file), "sha256").hexdigest() != digest.hex:
        return False
    file.seek(0)
    if facts.st_size > HASHED:
        with contextlib.suppress(OSError):
            _seal(file.fileno(), digest, facts.st_size)
    return True


def _seal(file: int, digest: Digest, size: int) -> None:
    """Set the modification time that says: these bytes were on the disk, and right."""
    if size > HASHED:
        os.fsync(file)
    os.utime(file, ns=(time.time_ns(), _sealed(digest, size)))


def _sealed(digest: Digest, size: int) -> int:
    """Return that time, in ns: whole seconds, which every file system keeps, long before now."""
    mixed = hashlib.blake2b(f"{digest} {size}".encode(), digest_size=8).digest()
    return (100_000_000 + int.from_bytes(mixed) % (1 << 29)) * 1_000_000_000


def _touch(file: int) -> None:
    """Note that it was opened now: in the access time, which nothing else keeps for us."""
    facts, now = os.fstat(file), time.time_ns()
    if now - facts.st_atime_ns > _TOUCH:
        with contextlib.suppress(OSError):  # a read-only directory gives payloads all the same
            os.utime(file, ns=(now, facts.st_mtime_ns))
