"""Small JSON documents by name, replaced whole, on condition: compare-and-swap by ETag."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiofiles

from databuffer.errors import PreconditionFailed, PreconditionMissing, Unknown, from_os_error
from databuffer.store import atomic

if TYPE_CHECKING:
    from pathlib import Path

    from databuffer.names import DocumentName
    from databuffer.store.disk import Disk

ANY = "*"


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold before a document is written: If-Match and If-None-Match, unquoted."""

    match: frozenset[str] | None = None
    none_match: frozenset[str] | None = None

    def check(self, current: str | None) -> None:
        """Raise `PreconditionFailed` or `PreconditionMissing` unless `current` may go."""
        if self.match is not None and not _among(current, self.match):
            raise PreconditionFailed("the document is another one than If-Match says")
        if self.none_match is not None and _among(current, self.none_match):
            raise PreconditionFailed("there is such a document already")
        if current is not None and self.match is None and self.none_match is None:
            raise PreconditionMissing("overwriting a document needs If-Match")


class Documents:
    """Documents in a directory, written one after another."""

    def __init__(self, root: Path, disk: Disk) -> None:
        self._root, self._disk = root, disk
        self._writing = asyncio.Lock()

    def prepare(self) -> None:
        """Make the directory and sweep temporary files."""
        atomic.prepare_directory(self._root)

    async def get(self, name: DocumentName) -> bytes:
        """Read a document; raise `Unknown`."""
        try:
            async with aiofiles.open(self._path(name), "rb") as file:
                return await file.read()
        except FileNotFoundError:
            raise Unknown(f"no document {name}") from None
        except OSError as error:
            raise from_os_error(error) from error

    async def put(self, name: DocumentName, content: bytes, condition: Condition) -> bool:
        """Write a document durably if the condition holds; say whether it is new."""
        async with self._writing:
            current = await self._current(name)
            condition.check(current)
            await self._disk.run(atomic.replace, self._path(name), content)
            return current is None

    async def _current(self, name: DocumentName) -> str | None:
        try:
            return etag(await self.get(name))
        except Unknown:
            return None

    def _path(self, name: DocumentName) -> Path:
        return self._root / f"{name}.json"


def etag(content: bytes) -> str:
    """Name a content, unquoted."""
    return hashlib.sha256(content).hexdigest()


def _among(current: str | None, tags: frozenset[str]) -> bool:
    return current is not None and (ANY in tags or current in tags)
