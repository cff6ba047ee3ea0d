"""Small JSON documents by name, replaced whole, on condition: compare-and-swap by ETag."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiofiles

from databuffer.errors import PreconditionFailed, PreconditionMissing, Unknown, from_os_error
from databuffer.names import DocumentName
from databuffer.store import atomic

if TYPE_CHECKING:
    from pathlib import Path

    from databuffer.store.disk import Disk
    from databuffer.store.room import Room

ANY = "*"
_SUFFIX = ".json"


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
    """Documents in a directory, as long as there is room; written one after another."""

    def __init__(self, root: Path, disk: Disk, room: Room) -> None:
        self._root, self._disk, self._room = root, disk, room
        self._writing = asyncio.Lock()

    def prepare(self) -> None:
        """Make the directory and sweep temporary files."""
        atomic.prepare_directory(self._root, private=True)

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
            await self._disk.run(self._replace, name, content)
            return current is None

    async def names(self) -> list[DocumentName]:
        """List the documents, sorted."""
        return await self._disk.run(self._names)

    async def _current(self, name: DocumentName) -> str | None:
        try:
            return etag(await self.get(name))
        except Unknown:
            return None

    def _replace(self, name: DocumentName, content: bytes) -> None:
        with self._room.taking(len(content)):
            atomic.replace(self._path(name), content)

    def _names(self) -> list[DocumentName]:
        names = (path.name.removesuffix(_SUFFIX) for path in self._root.glob(f"*{_SUFFIX}"))
        return sorted(DocumentName(name) for name in names if DocumentName.fits(name))

    def _path(self, name: DocumentName) -> Path:
        return self._root / f"{name}{_SUFFIX}"


def etag(content: bytes) -> str:
    """Name a content, unquoted."""
    return hashlib.sha256(content).hexdigest()


def _among(current: str | None, tags: frozenset[str]) -> bool:
    return current is not None and (ANY in tags or current in tags)
