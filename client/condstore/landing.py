"""The one place that writes files: beside the target, synced, named only when whole.

`published` does that for any content, `land` for a payload, which must be the right one too;
`poured` is the part that a cache does under names of its own; `spool` is for who wants the verified
bytes and no name for them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import tempfile
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, cast

from condstore.digests import Digest
from condstore.errors import DamagedPayload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path


IN_MEMORY: Final = 8 << 20
"""Bytes of a spooled payload before it goes to a temporary file."""


class Writable(Protocol):
    """What bytes are poured into."""

    def write(self, piece: bytes, /) -> object:
        """Take all of a piece."""
        ...

    def flush(self) -> object:
        """Hold nothing back."""
        ...


def land(
    chunks: Iterable[bytes], digest: Digest, target: Path, tell: Callable[[int], object]
) -> int:
    """Write `chunks` to `target` if they hash to `digest`, and return how many bytes that was.

    There is never half a payload, nor a wrong one, under that name. Raises `DamagedPayload`.
    """
    with published(target) as file:
        try:
            return _told(poured(chunks, digest, file), tell)
        except DamagedPayload as damaged:
            raise DamagedPayload(f"{damaged}; {target} was not written") from None


@contextlib.contextmanager
def published(target: Path) -> Iterator[BinaryIO]:
    """Give a new file that becomes `target` when the block ends well, durably, and else is gone."""
    number, beside = made_beside(target, "new")
    try:
        with os.fdopen(number, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
        sync_directory(target.parent)
    finally:
        beside.unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def made_beside(target: Path, ending: str) -> tuple[int, Path]:
    """Make a new file `.<target>.<random>.<ending>`, and return its descriptor and its path.

    The system takes the process's mask off its mode, as for any file. Who read the mask, to give
    the mode of a private file later, had to set it for a moment, and for all threads.
    """
    path = target.with_name(f".{target.name}.{secrets.token_hex(4)}.{ending}")
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), path


def poured(chunks: Iterable[bytes], digest: Digest, file: Writable) -> Iterator[bytes]:
    """Write each chunk into an open file and pass it on; raise `DamagedPayload` after the last.

    Who drops the iterator before its end has written a part and verified nothing.
    """
    hasher, size = hashlib.sha256(), 0
    for chunk in chunks:
        file.write(chunk)
        hasher.update(chunk)
        size += len(chunk)
        yield chunk
    file.flush()
    if hasher.hexdigest() != digest.hex:
        raise DamagedPayload(
            f"{digest.short}: {size} bytes came that hash to {hasher.hexdigest()[:12]}"
        )


def spool(chunks: Iterable[bytes], digest: Digest) -> BinaryIO:
    """Return a nameless file with the payload, in memory while it is small, at its first byte.

    Raises `DamagedPayload`.
    """
    file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - the caller closes it
    try:
        _told(poured(chunks, digest, file))
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return cast("BinaryIO", file)


def _told(chunks: Iterable[bytes], tell: Callable[[int], object] = bool) -> int:
    """Tell the size of each chunk, and return that of all."""
    size = 0
    for chunk in chunks:
        tell(len(chunk))
        size += len(chunk)
    return size


def digest_of(path: Path) -> Digest:
    """Return the digest of a file's bytes."""
    with path.open("rb") as file:
        return Digest(f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}")
