"""Payloads beside a bundle: files by digest, laid out as on a databuffer's volume.

`DIRECTORY/sha256/ab/cd/<hex>`: several bundles may share a directory, and a mounted volume's
`blobs/` serves as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from condstore import landing
from condstore.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from condstore.digests import Digest

_PIECE: Final = 1 << 20


def place(directory: Path, digest: Digest) -> Path:
    """Return where a payload is kept."""
    return directory / "sha256" / digest.hex[:2] / digest.hex[2:4] / digest.hex


def is_there(directory: Path, digest: Digest) -> bool:
    """Return whether the payload is there with all its bytes."""
    path = place(directory, digest)
    return path.exists() and landing.digest_of(path) == digest


def keep(directory: Path, digest: Digest, pieces: Iterable[bytes]) -> int:
    """Put a payload there, whole or not at all, and return its size; raise `DamagedPayload`."""
    path = place(directory, digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    return landing.land(pieces, digest, path, bool)


def pieces(directory: Path, digest: Digest) -> Iterator[bytes]:
    """Return a payload's bytes piece by piece; the reader checks them. Raises `NotFound`."""
    path = place(directory, digest)
    if not path.is_file():
        raise NotFound(f"{directory} has no payload {digest}", status=404)
    return _read(path)


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
