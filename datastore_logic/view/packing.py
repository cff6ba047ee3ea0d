"""How a view travels: compressed piece by piece, and unpacked no further than was said.

In front stands a frame that decoders skip, with random bytes in it: so nobody can work out the
digest of a copy from what they know of the view, and who is not told it cannot ask for the blob.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
from typing import TYPE_CHECKING, Final, cast

from zstandard import ZstdCompressor, ZstdDecompressor, ZstdError

from datastore_logic.view.checkpoint import Spoilt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO, Protocol

    from datastore_logic.view.checkpoint import Checkpoint

    class Source(Protocol):
        """Where packed bytes come from."""

        def read(self, size: int, /) -> bytes:
            """Return up to so many bytes, none at the end."""


CHUNK: Final = 1 << 20
LEVEL: Final = 1
"""Most of a view is digests; a higher level takes five times as long and makes it no smaller."""

WINDOW: Final = 1 << 23
_SKIPPED: Final = 0x184D2A5C
_SALT: Final = 32


def packed(path: Path) -> Iterator[bytes]:
    """Yield a file, compressed; each time as other bytes."""
    yield struct.pack("<II", _SKIPPED, _SALT) + secrets.token_bytes(_SALT)
    packer = ZstdCompressor(level=LEVEL, write_checksum=True)
    with path.open("rb") as file:
        yield from packer.read_to_iter(file, read_size=CHUNK, write_size=CHUNK)


def unpack(source: Source, file: BinaryIO, told: Checkpoint) -> None:
    """Write what a checkpoint's bytes unpack to; stop as soon as they are not what was `told`.

    Raises:
        Spoilt: they are more, or fewer, or others.
    """
    counted = _Counted(source, told.size)
    reader = ZstdDecompressor(max_window_size=WINDOW).stream_reader(
        cast("BinaryIO", counted), read_size=CHUNK, read_across_frames=True
    )
    written = 0
    try:
        while piece := reader.read(CHUNK):
            written += len(piece)
            if written > told.unpacked:
                raise Spoilt(f"the checkpoint unpacks to more than {told.unpacked} bytes")
            file.write(piece)
    except ZstdError as reason:
        raise Spoilt(f"the checkpoint does not unpack: {reason}") from reason
    if written != told.unpacked or counted.taken != told.size:
        raise Spoilt("the checkpoint ends early")
    if counted.digest != told.digest:
        raise Spoilt("the checkpoint's bytes are not those of its digest")


class _Counted:
    """A source whose bytes are hashed as they pass, `most` of them at most."""

    def __init__(self, source: Source, most: int) -> None:
        self._source, self._most = source, most
        self._hash = hashlib.sha256()
        self.taken = 0

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def read(self, size: int, /) -> bytes:
        piece = self._source.read(size)
        self.taken += len(piece)
        if self.taken > self._most:
            raise Spoilt(f"the checkpoint has more than {self._most} bytes")
        self._hash.update(piece)
        return piece
