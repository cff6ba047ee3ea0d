"""The two ports behind which bytes and truth are kept: `BlobStore` and `Ledger`.

Both are async and know no paths, so that an object store or a replicated log can stand behind them.
One conformance suite runs over every implementation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import orjson

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from databuffer.names import Digest


@dataclass(frozen=True, slots=True)
class Stored:
    """A blob that is durable now; `created` is false when it already was there."""

    digest: Digest
    size: int
    created: bool


class OpenBlob(Protocol):
    """A blob held open for reading; whoever opened it closes it."""

    @property
    def size(self) -> int:
        """The size in bytes."""

    @property
    def content(self) -> bytes | None:
        """The whole content where it was small enough to be read while opening."""

    def fileno(self) -> int | None:
        """A file descriptor to send from, where there is one."""

    async def read(self, offset: int, length: int) -> bytes:
        """Read exactly this range, which lies inside the blob."""

    def close(self) -> None:
        """Let go; closing twice is harmless."""


class BlobStore(Protocol):
    """Immutable bytes named by their SHA-256.

    What `put` and `put_stream` return is durable, directory included. The same content twice, even
    at once, is one blob, and exactly one of the callers is told `created`. When `expected` is given
    and the bytes do not hash to it they raise `DigestMismatch`. If they raise, or are cancelled, or
    the stream raises, nothing is visible. A reader sees a blob whole or not at all. `size` and
    `open` raise `Unknown` for a blob that is not there; for the same blobs `sizes` says None. Any
    method raises `StorageFailed`, or `VolumeFull`, when the storage refuses.
    """

    async def put(self, content: bytes, expected: Digest | None = None) -> Stored:
        """Keep these bytes."""

    async def put_stream(
        self, chunks: AsyncIterator[bytes], expected: Digest | None = None, announced: int = 0
    ) -> Stored:
        """Keep what the chunks make together, holding no more than a few of them in memory.

        Where it is known that the `announced` bytes find no room, the first is not waited for.
        """

    async def size(self, digest: Digest) -> int:
        """Say how long the blob is."""

    async def sizes(self, digests: Sequence[Digest]) -> list[int | None]:
        """Say how long each blob is, in one go however many; None for one that is not there."""

    async def open(self, digest: Digest) -> OpenBlob:
        """Open the blob for reading."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where a ledger ends: its id, the last LSN (0: empty) and the hash of the last line."""

    ledger: str
    lsn: int
    hash: str


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry without a place yet: `data` is JSON, `expect` what must not have moved."""

    type: str
    actor: str
    data: bytes
    keys: tuple[str, ...] = ()
    expect: Mapping[str, int] = field(default_factory=dict)
    idempotency_key: str | None = None
    body: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Serialise what does not depend on the place, outside the one writer."""
        parts = [
            b'"actor":' + orjson.dumps(self.actor),
            b'"type":' + orjson.dumps(self.type),
            b'"data":' + self.data,
            b'"keys":' + orjson.dumps(self.keys),
        ]
        if self.idempotency_key is not None:
            parts.append(b'"idempotency_key":' + orjson.dumps(self.idempotency_key))
        object.__setattr__(self, "body", b",".join(parts))


@dataclass(frozen=True, slots=True)
class Appended:
    """Where an entry stands; `repeated`: an earlier request put it there (`time` is empty)."""

    lsn: int
    time: str
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Whole lines as stored, and the last LSN among them (`after` itself when empty)."""

    lines: bytes
    last: int


class Ledger(Protocol):
    """An append-only sequence of JSON lines, numbered densely, each naming the one before.

    Entries appended at once are ordered by arrival. What `append` returns is durable; what it
    raises for is not in the ledger: `KeysMoved` when an expected key was last touched by another
    LSN than expected, `VolumeFull` when there is no room (later appends may succeed),
    `LedgerFailed` when only a restart can tell what is on disk (then every later append raises it
    too). An idempotency key is looked up before any condition; a repeat, even while the first is in
    flight, returns the first one's place. Cancelling an append leaves it undecided: it may or may
    not be in the ledger. Readers see durable entries only.
    """

    async def append(self, entry: NewEntry) -> Appended:
        """Give the entry the next place, unless a condition fails."""

    async def read(self, after: int, limit: int) -> Page:
        """Take up to `limit` lines, few megabytes, after this LSN; `BeyondHead` past the end."""

    async def wait(self, after: int, seconds: float) -> None:
        """Return once there is an entry after this LSN, the time is up, or the ledger closes."""

    async def find(self, idempotency_key: str) -> int | None:
        """Say which LSN carries this idempotency key."""

    def head(self) -> Head:
        """Say where the durable ledger ends."""


@dataclass(frozen=True, slots=True)
class Compressed:
    """What was compressed: how many segments, and their bytes before and after."""

    segments: int
    bytes_before: int
    bytes_after: int


class Compressible(Protocol):
    """A ledger whose older parts can be kept in less room; what it answers stays the same.

    Appends and reads go on meanwhile. What is replaced goes only once its replacement is durable,
    read back, equal and listed; so whatever `compress` raises, and wherever it is killed, nothing
    is lost, and what was done before stays done. It raises `InProgress` for a second call
    meanwhile, `VolumeFull` when there is no room for old and new at once, and `Stopping`.
    """

    async def compress(self) -> Compressed:
        """Compress everything that is not going to change and is not compressed yet."""
