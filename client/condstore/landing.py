"""The one place that writes downloads: beside the target, hashed, named only when right."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from typing import TYPE_CHECKING

from condstore.errors import DamagedPayload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from condstore.digests import Digest


def land(
    chunks: Iterable[bytes], digest: Digest, target: Path, tell: Callable[[int], object]
) -> int:
    """Write `chunks` to `target` if they hash to `digest`, and return how many bytes that was.

    There is never half a payload, nor a wrong one, under that name. Raises `DamagedPayload`.
    """
    hasher, size = hashlib.sha256(), 0
    number, beside = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(number, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
                hasher.update(chunk)
                size += len(chunk)
                tell(len(chunk))
            file.flush()
            os.fsync(file.fileno())
        if hasher.hexdigest() != digest.hex:
            raise DamagedPayload(
                f"{digest.short}: {size} bytes came that hash to {hasher.hexdigest()[:12]}; "
                f"{target} was not written"
            )
        os.chmod(beside, 0o666 & ~_umask())  # noqa: PTH101 - the name, not a Path, came from mkstemp
        os.replace(beside, target)  # noqa: PTH105
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)  # noqa: PTH108
    return size


def _umask() -> int:
    """Return the process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def digest_of(path: Path) -> str:
    """Return `sha256:<hex>` of a file."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
