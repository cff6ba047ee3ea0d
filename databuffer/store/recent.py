"""Small blobs that were read lately, kept in memory.

A blob never changes, so what is kept is never stale. Thousands of jobs ask for the same payloads at
once; each then costs a look-up instead of a call into the pool.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from databuffer.names import Digest


class Recent:
    """Contents of up to `largest` bytes each, `capacity` together; the oldest goes first."""

    def __init__(self, capacity: int, largest: int) -> None:
        self._room, self._largest = capacity, largest
        self._contents: OrderedDict[Digest, bytes] = OrderedDict()
        self.forgotten = 0

    def get(self, digest: Digest) -> bytes | None:
        """Return the content, which is then the newest."""
        content = self._contents.get(digest)
        if content is not None:
            self._contents.move_to_end(digest)
        return content

    def add(self, digest: Digest, content: bytes) -> None:
        """Keep the content unless it is large; let go of what was not asked for longest."""
        if len(content) > self._largest or digest in self._contents:
            return
        self._contents[digest] = content
        self._room -= len(content)
        while self._room < 0:
            _, oldest = self._contents.popitem(last=False)
            self._room += len(oldest)

    def forget(self, digests: Iterable[Digest]) -> None:
        """Let go of these, and count it: who read one before must not add it now."""
        self.forgotten += 1
        for digest in digests:
            self._room += len(self._contents.pop(digest, b""))
