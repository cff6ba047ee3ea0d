"""Whether a file is still the payload it is named after.

Up to `HASHED` bytes a file is hashed each time, which costs less than what its reader does next. A
larger one is hashed unless its *seal* holds: when a payload is landed, flushed to the disk and
found right, its modification time is set to a second between 1973 and 1990 that follows from its
digest and size. Whatever changes a file through the file system moves that time to now, truncation
included; so the seal of a changed file is broken, in every process, across restarts, without a
record of who has hashed what that could be wrong itself. Then it is hashed, and sealed again or
not. What a seal cannot see is a disk that gives other bytes than were written to it and no error,
and somebody who sets the time back on purpose in a folder that is his own.

When it was last opened is kept in the access time, which the kernel alone would not keep for us.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
from typing import TYPE_CHECKING, BinaryIO, Final, cast

if TYPE_CHECKING:
    from io import BufferedReader

    from condstore.digests import Digest

HASHED: Final = 4 << 20
"""Bytes up to which a payload is hashed at each opening, whatever its seal says."""

_SECOND = 1_000_000_000  # ns
_TOUCH = _SECOND  # an opening is noted at most so often


def holds(file: BinaryIO, digest: Digest) -> bool:
    """Say whether an open file is the payload, and leave it at its start; may raise `OSError`."""
    facts = os.fstat(file.fileno())
    if not stat.S_ISREG(facts.st_mode):
        return False
    large = facts.st_size > HASHED
    if large and facts.st_mtime_ns == _sealed(digest, facts.st_size):
        return True
    if hashlib.file_digest(cast("BufferedReader", file), "sha256").hexdigest() != digest.hex:
        return False
    file.seek(0)
    if large:
        with contextlib.suppress(OSError):  # read-only: it is hashed again next time
            seal(file.fileno(), digest)
    return True


def seal(file: int, digest: Digest) -> None:
    """Set the modification time that says: these bytes are on the disk, and were right."""
    size = os.fstat(file).st_size
    if size > HASHED:
        os.fsync(file)
    os.utime(file, ns=(time.time_ns(), _sealed(digest, size)))


def touch(file: int) -> None:
    """Note that it was opened now."""
    facts, now = os.fstat(file), time.time_ns()
    if abs(now - facts.st_atime_ns) > _TOUCH:
        with contextlib.suppress(OSError):  # a read-only directory gives payloads all the same
            os.utime(file, ns=(now, facts.st_mtime_ns))


def _sealed(digest: Digest, size: int) -> int:
    """Return that time, in ns: whole seconds, which every file system keeps, long before now."""
    mixed = hashlib.blake2b(f"{digest} {size}".encode(), digest_size=8).digest()
    return (100_000_000 + int.from_bytes(mixed) % (1 << 29)) * _SECOND
