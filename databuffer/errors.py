"""Every way the databuffer says no. `web/errors.py` maps these classes to statuses, in one table.

DatabufferError
├── CannotStart               one clear line, exit 1
│   ├── BadConfiguration      a variable that makes no sense
│   ├── VolumeInUse           another databuffer holds this volume
│   └── DamagedLedger         segment and LSN; nothing on disk was changed
├── Refused                   the caller can mend it
│   ├── Malformed             names the field
│   ├── TooLarge
│   ├── TooSlow               no byte for too long, or too few
│   ├── UnsupportedEncoding   nothing is unpacked here
│   ├── Unauthenticated       who asks has not shown the tiers' secret
│   ├── CrossSite             a browser asks on behalf of another site's page
│   ├── LinkInvalid           a link that nobody here signed
│   ├── LinkExpired
│   ├── Unknown               no such blob or document
│   ├── DigestMismatch
│   ├── KeysMoved             an expected ledger key was touched meanwhile
│   ├── BeyondHead            asked for what the ledger does not hold yet
│   ├── KeyReused             an idempotency key of another request
│   ├── InProgress            the same is being done already
│   ├── PreconditionFailed
│   └── PreconditionMissing
├── Unavailable               try again later
│   ├── Busy                  no free place in time
│   ├── Stopping
│   ├── Frozen                the streaming buffer takes no segment
│   └── LedgerFailed          the disk lied; only a restart helps
└── StorageFailed             the file system refused
    ├── VolumeFull
    ├── BadLine               a ledger line is not what was written
    └── BadFrame              compressed ledger lines are not what was written
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class DatabufferError(Exception):
    """The root: catching it catches what this package raises on purpose."""


class CannotStart(DatabufferError):
    """The process must end before it serves."""


class BadConfiguration(CannotStart):
    """An environment variable makes no sense."""


class VolumeInUse(CannotStart):
    """Another process holds the volume."""


class DamagedLedger(CannotStart):
    """The ledger on disk is not what was written."""

    def __init__(self, segment: str, lsn: int, why: str) -> None:
        super().__init__(f"ledger segment {segment} is damaged at LSN {lsn}: {why}")
        self.segment, self.lsn, self.why = segment, lsn, why


class Refused(DatabufferError):
    """The request cannot be granted as it is."""


class Malformed(Refused):
    """The request does not parse; `field` names the place."""

    def __init__(self, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.field = field


class TooLarge(Refused):
    """The body is larger than allowed."""


class TooSlow(Refused):
    """The sender stopped sending, or as good as that."""


class UnsupportedEncoding(Refused):
    """The body is packed: what it would become cannot be told from its size."""


class Unauthenticated(Refused):
    """Who asks has not shown the tiers' secret."""


class CrossSite(Refused):
    """A page of another site wants to change something."""


class LinkInvalid(Refused):
    """The link is not one that was signed here, or not for this."""


class LinkExpired(Refused):
    """The link was good until a while ago."""


class Unknown(Refused):
    """There is nothing of that name."""


class DigestMismatch(Refused):
    """The body does not hash to the digest it was sent under."""


class KeysMoved(Refused):
    """Expected keys were touched by other entries; `moved` says by which."""

    def __init__(self, moved: Mapping[str, int], lsn: int) -> None:
        super().__init__("changed meanwhile: " + ", ".join(sorted(moved)))
        self.moved, self.lsn = dict(moved), lsn


class BeyondHead(Refused):
    """The ledger ends before the LSN asked for."""


class KeyReused(Refused):
    """An idempotency key came back with another request."""


class InProgress(Refused):
    """The same is being done already, and one at a time is enough."""


class PreconditionFailed(Refused):
    """If-Match or If-None-Match does not hold."""


class PreconditionMissing(Refused):
    """Overwriting needs If-Match."""


class Unavailable(DatabufferError):
    """Not now; the same request may succeed later."""


class Busy(Unavailable):
    """Too many writes in flight."""


class Stopping(Unavailable):
    """The process is shutting down."""


class Frozen(Unavailable):
    """The streaming buffer is frozen."""


class LedgerFailed(Unavailable):
    """A ledger write failed in a way that leaves the disk unknown; the process must restart."""


class StorageFailed(DatabufferError):
    """The file system refused."""


class VolumeFull(StorageFailed):
    """No space, or no quota."""


class BadLine(StorageFailed):
    """A line is not what was written; the message says how that shows."""


class BadFrame(StorageFailed):
    """Compressed lines are not what was written; the message says how that shows."""


def from_os_error(error: OSError) -> StorageFailed:
    """Tell a full volume from every other failure of the file system."""
    kind = VolumeFull if error.errno in _FULL else StorageFailed
    return kind(error.strerror or str(error))


def is_full(error: OSError) -> bool:
    """Whether the volume ran out of space or quota."""
    return error.errno in _FULL
