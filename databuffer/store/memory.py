"""The stores' twins in memory: the same promises as long as the process lives."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from databuffer.errors import BeyondHead, Unknown
from databuffer.names import Digest
from databuffer.store.protocols import LATELY, Appended, Head, NewEntry, Page, Stored, Unasked
from databuffer.store.sequencer import Sequencer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence


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

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._blobs: dict[Digest, bytes] = {}
        self._asked: dict[Digest, float] = {}
        self._aside: dict[Digest, bytes] = {}

    async def put(self, content: bytes, expected: Digest | None = None) -> Stored:
        """Keep these bytes."""
        digest = Digest.of(content).required(expected)
        created = digest not in self._blobs
        self._blobs[digest] = bytes(content)
        self._asked[digest] = self._clock()
        return Stored(digest, len(content), created)

    async def put_stream(
        self, chunks: AsyncIterator[bytes], expected: Digest | None = None, announced: int = 0
    ) -> Stored:
        """Keep what the chunks make together."""
        return await self.put(b"".join([chunk async for chunk in chunks]), expected)

    async def sizes(self, digests: Sequence[Digest]) -> list[int | None]:
        """Say how long each blob is; None for one that is not there."""
        self._asked.update({digest: self._clock() for digest in digests if digest in self._blobs})
        found = map(self._blobs.get, digests)
        return [None if content is None else len(content) for content in found]

    async def contents(
        self, digests: Sequence[Digest], most: int, largest: int
    ) -> list[bytes | int | None]:
        """Take the first of these blobs, up to `most` bytes together."""
        taken: list[bytes | int | None] = []
        for content in map(self._blobs.get, digests):
            size = 0 if content is None or len(content) > largest else len(content)
            if taken and size > most:
                break
            most -= size
            taken.append(content if content is None or len(content) <= largest else len(content))
        return taken

    async def open(self, digest: Digest) -> MemoryBlob:
        """Open the blob."""
        if digest not in self._blobs:
            raise Unknown(f"no blob {digest}")
        return MemoryBlob(self._blobs[digest])

    async def unnamed(self, part: int, named: Callable[[Digest], bool]) -> list[Unasked]:
        """List what is not named and begins with this byte."""
        begin = f"{part:02x}"
        there = [digest for digest in self._blobs if digest.hex.startswith(begin)]
        return [self._unasked(digest) for digest in there if not named(digest)]

    async def put_aside(self, digests: Sequence[Digest], older_than: float) -> list[Unasked]:
        """Hide those that nobody asked for of late."""
        found = [self._unasked(digest) for digest in digests if digest in self._blobs]
        old = [one for one in found if one.seconds > max(older_than, LATELY)]
        self._aside |= {one.digest: self._blobs.pop(one.digest) for one in old}
        return old

    async def put_back(self, digests: Sequence[Digest]) -> None:
        """Show again what is hidden of these."""
        for digest in digests:
            if digest in self._aside:
                self._blobs.setdefault(digest, self._aside.pop(digest))

    async def drop(self, digests: Sequence[Digest]) -> None:
        """Forget what is hidden of these."""
        for digest in digests:
            self._aside.pop(digest, None)

    def _unasked(self, digest: Digest) -> Unasked:
        return Unasked(digest, len(self._blobs[digest]), self._clock() - self._asked[digest])


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
