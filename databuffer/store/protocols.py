"""The two ports behind which bytes and truth are kept: `BlobStore` and `Ledger`.

Both are async and know no paths, so that an object store or a replicated log can stand behind them.
One conformance suite runs over every implementation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import orjson

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from databuffer.names import Digest


LATELY = 600.0
"""Seconds within which it is not noted again that somebody asked for a blob."""


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
    the stream raises, nothing is visible. A reader sees a blob whole or not at all. `open` raises
    `Unknown` for a blob that is not there. Any method raises `StorageFailed`, or `VolumeFull`, when
    the storage refuses.

    Whoever put a blob, or was told by `sizes` that it is there, may name it from then on: it is not
    removed for as long as `BlobUpkeep` says.
    """

    async def put(self, content: bytes, expected: Digest | None = None) -> Stored:
        """Keep these bytes."""

    async def put_stream(
        self, chunks: AsyncIterator[bytes], expected: Digest | None = None, announced: int = 0
    ) -> Stored:
        """Keep what the chunks make together, holding no more than a few of them in memory.

        Where it is known that the `announced` bytes find no room, the first is not waited for.
        """

    async def sizes(self, digests: Sequence[Digest]) -> list[int | None]:
        """Say how long each blob is, in one go however many; None for one that is not there."""

    async def contents(
        self, digests: Sequence[Digest], most: int, largest: int
    ) -> list[bytes | int | None]:
        """Read the first of these blobs in one go: one, and more up to `most` bytes together.

        In the place of one that is larger than `largest` stands its size, and None for one that is
        not there. What is behind the last that is given was not looked at.
        """

    async def open(self, digest: Digest) -> OpenBlob:
        """Open the blob for reading."""


@dataclass(frozen=True, slots=True)
class Unasked:
    """A blob, and for how many seconds nobody has put it or asked whether it is there."""

    digest: Digest
    size: int
    seconds: float


class BlobUpkeep(Protocol):
    """Removing blobs that nothing names, while others put blobs and ask for them.

    Apart from `BlobStore`, for who stores and reads must not be able to remove. It does not know
    what names a blob; whoever does removes in this order, and looks for names in the middle:

    1. `put_aside`: from now on the blob is not there. It does nothing to a blob that was put or
       asked for within `older_than` seconds (ten minutes at least), and each of these is wholly
       before that or after. So whoever was told "it is there" has that long to name it; whoever
       comes later is told that it is missing, and puts it again, which makes another file.
    2. Names that were written until now are looked for once more. This finds who knew the digest
       from elsewhere and asked nobody; only who does so later still, names what is gone.
    3. `put_back` what was named after all, which changes nothing if somebody has put it meanwhile;
       `drop` the rest.

    Who has a blob open reads it to its end. After a kill in the middle all that is aside is put
    back by the next start. A blob that was not settled yet may come back after a crash, to be
    removed the next time.
    """

    async def unnamed(self, part: int, named: Callable[[Digest], bool]) -> list[Unasked]:
        """List what is not named of one of the store's 256 parts: that of the first byte.

        `named` is called in any thread.
        """

    async def put_aside(self, digests: Sequence[Digest], older_than: float) -> list[Unasked]:
        """Make those of these blobs invisible that may go; say which."""

    async def put_back(self, digests: Sequence[Digest]) -> None:
        """Make visible again those of these that are aside."""

    async def drop(self, digests: Sequence[Digest]) -> None:
        """Remove those of these that are aside."""


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
