"""The stores' twins in memory: the same promises as long as the process lives."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from databuffer.errors import BeyondHead, DigestMismatch, Unknown
from databuffer.names import Digest
from databuffer.store.protocols import Appended, Head, NewEntry, Page, Stored
from databuffer.store.sequencer import Sequencer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


@dataclass(frozen=True, slots=True)
class MemoryBlob:
    """Bytes that look like an open file."""

    content: bytes

    @property
    def size(self) -> int:
        """The size in bytes."""
        return len(self.content)

    def fileno(self) -> int | None:
        """There is no descriptor."""
        return None

    async def read(self, offset: int, length: int) -> bytes:
        """Take a slice."""
        return self.content[offset : offset + length]

    def close(self) -> None:
        """Nothing to let go of."""


class MemoryBlobs:
    """A `BlobStore` in a dictionary."""

    def __init__(self) -> None:
        self._blobs: dict[Digest, bytes] = {}

    async def put(self, content: bytes, expected: Digest | None = None) -> Stored:
        """Keep these bytes."""
        digest = Digest.of(content)
        if expected is not None and digest != expected:
            raise DigestMismatch(f"the body hashes to {digest}")
        created = digest not in self._blobs
        self._blobs[digest] = bytes(content)
        return Stored(digest, len(content), created)

    async def put_stream(
        self, chunks: AsyncIterator[bytes], expected: Digest | None = None, announced: int = 0
    ) -> Stored:
        """Keep what the chunks make together."""
        return await self.put(b"".join([chunk async for chunk in chunks]), expected)

    async def size(self, digest: Digest) -> int:
        """Say how long the blob is."""
        return (await self.open(digest)).size

    async def sizes(self, digests: Sequence[Digest]) -> list[int | None]:
        """Say how long each blob is; None for one that is not there."""
        found = map(self._blobs.get, digests)
        return [None if content is None else len(content) for content in found]

    async def open(self, digest: Digest) -> MemoryBlob:
        """Open the blob."""
        if digest not in self._blobs:
            raise Unknown(f"no blob {digest}")
        return MemoryBlob(self._blobs[digest])


class MemoryLedger:
    """A `Ledger` in a list."""

    def __init__(self) -> None:
        self._id = secrets.token_hex(16)
        self._sequencer = Sequencer()
        self._lines: list[bytes] = []
        self._named: dict[str, int] = {}
        self._moved = asyncio.Event()

    async def append(self, entry: NewEntry) -> Appended:
        """Give the entry the next place."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        draft = self._sequencer.draft([entry], now, self._named.get)
        self._sequencer.accept(draft)
        self._named.update(draft.named)
        self._lines += draft.lines[::2]
        self._moved.set()
        self._moved = asyncio.Event()
        outcome = draft.outcomes[0]
        if isinstance(outcome, Appended):
            return outcome
        raise outcome

    async def read(self, after: int, limit: int) -> Page:
        """Take up to `limit` lines after this LSN."""
        if after > len(self._lines):
            raise BeyondHead(f"the ledger ends at LSN {len(self._lines)}")
        lines = self._lines[after : after + limit]
        return Page(b"".join(line + b"\n" for line in lines), after + len(lines))

    async def wait(self, after: int, seconds: float) -> None:
        """Return when there is an entry after this LSN, or when the time is up."""
        try:
            async with asyncio.timeout(seconds):
                while len(self._lines) <= after:
                    await self._moved.wait()
        except TimeoutError:
            return

    async def find(self, idempotency_key: str) -> int | None:
        """Say which LSN carries this idempotency key."""
        return self._named.get(idempotency_key)

    def head(self) -> Head:
        """Say where the ledger ends."""
        return Head(self._id, self._sequencer.lsn, self._sequencer.hash)
