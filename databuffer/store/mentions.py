"""Which digests occur in a text of any length, in memory of a fixed size.

A Bloom filter: four bits a digest, of 2^28 (32 MiB). It may take a digest for one that occurs (of
ten million, every 2500th; of a million, nearly none), never the reverse; so what goes by it keeps a
little too much and removes nothing that is named. Which bits stand for a digest is another choice
each time, so that what was kept once goes the next time. Exact sets would take tens of bytes a
digest, or a file on a volume that may be full, or many passes over the text.
"""

from __future__ import annotations

import re
import secrets
import struct
from typing import TYPE_CHECKING

from databuffer.store.turns import Turns

if TYPE_CHECKING:
    from databuffer.names import Digest

_DIGEST = re.compile(rb"sha256(?::|/|%3[Aa])([0-9a-f]{64})")  # or as in a URL
_LENGTH = 73
_BITS = 28
_MASK = (1 << _BITS) - 1
_SLICE = 1 << 14
_FOUR = struct.Struct(">4I")


class Mentions:
    """The digests that occur in what was added. One thread adds, any may look."""

    def __init__(self) -> None:
        self._bits = bytearray(1 << (_BITS - 3))
        self._at = secrets.randbelow(32 - _FOUR.size + 1)

    def add(self, text: bytes) -> None:
        """Note every `sha256:<64 hex>`, also as URLs have it; for a thread of its own."""
        turns = Turns()
        for start in range(0, len(text), _SLICE):
            for digits in _DIGEST.findall(text, start, start + _SLICE + _LENGTH - 1):
                self._note(bytes.fromhex(digits.decode()))
            turns.end()

    def __contains__(self, digest: Digest) -> bool:
        places = _FOUR.unpack_from(bytes.fromhex(digest.hex), self._at)
        return all(self._bits[(place & _MASK) >> 3] >> (place & 7) & 1 for place in places)

    def _note(self, digest: bytes) -> None:
        for place in _FOUR.unpack_from(digest, self._at):
            self._bits[(place & _MASK) >> 3] |= 1 << (place & 7)
