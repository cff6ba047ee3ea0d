"""The payloads of a volume or a backup as files, each under its digest.

A file here may be a half one, of a backup that was killed, or whose last bytes a power cut took: it
counts for nothing until a record names it, after all was made durable, and until then who finds it
hashes it. So a payload whose bytes are known is written under its name at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from condstore.backup.writing import into, write_all
from condstore.errors import DamagedPayload

if TYPE_CHECKING:
    from collections.abc import Iterator

_WHOLE: Final = 1 << 20
_PIECE: Final = 1 << 20
MISSING: Final = "is missing"


@dataclass(frozen=True, slots=True)
class Shelf:
    """The directory `blobs/sha256` of a volume. Threads may share it."""

    base: Path
    _folders: set[str] = field(default_factory=set)

    def path(self, name: str) -> str:
        """Return where the payload with these 64 digits stands, if it does."""
        return f"{self.base}/{name[:2]}/{name[2:4]}/{name}"

    def size(self, name: str) -> int | None:
        """Return the size of its file, None if there is none."""
        try:
            return os.stat(self.path(name)).st_size  # noqa: PTH116 - a `Path` takes twice as long
        except FileNotFoundError:
            return None

    def keep(self, name: str, content: bytes) -> None:
        """Write a payload whose bytes hash to this name."""
        with into(self.path(name)):
            number = self._create(name)
            try:
                write_all(number, content)
            except OSError:
                self._drop(name)
                raise
            finally:
                os.close(number)

    @contextlib.contextmanager
    def large(self, name: str) -> Iterator[Pouring]:
        """Give what takes a payload piece by piece; at the end it must hash to this name.

        Raises `DamagedPayload`, and keeps nothing, if it does not.
        """
        with into(self.path(name)):
            pouring = Pouring(self.path(name), self._create(name))
        try:
            yield pouring
            pouring.expect(name)
        except BaseException:
            self._drop(name)
            raise
        finally:
            os.close(pouring.number)

    def sound(self, name: str) -> bool:
        """Read a payload that is there, and say whether its bytes are the ones of its name."""
        with Path(self.path(name)).open("rb", buffering=0) as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == name

    def wrong(self, name: str) -> str:
        """Say what is wrong with a payload that should be there, "" if nothing is."""
        try:
            return "" if self.sound(name) else "is damaged"
        except FileNotFoundError:
            return MISSING
        except OSError as error:
            return f"cannot be read: {error.strerror}"

    def copy(self, name: str, to: Shelf) -> int:
        """Copy a payload to another shelf and return its size.

        Raises `FileNotFoundError`, and `DamagedPayload` if its bytes are not those of its name.
        """
        with Path(self.path(name)).open("rb", buffering=0) as file:
            content = file.read(_WHOLE)
            if len(content) < _WHOLE:
                if hashlib.sha256(content).hexdigest() != name:
                    raise DamagedPayload(f"sha256:{name} is damaged")
                to.keep(name, content)
                return len(content)
            with to.large(name) as pouring:
                while content:
                    pouring.write(content)
                    content = file.read(_PIECE)
            return pouring.size

    def count(self) -> tuple[int, int]:
        """Return how many payloads there are, and their bytes in all, by looking at each."""
        count = size = 0
        for folder, _, names in os.walk(self.base):
            count += len(names)
            size += sum(os.stat(f"{folder}/{name}").st_size for name in names)  # noqa: PTH116
        return count, size

    def _create(self, name: str) -> int:
        if name[:4] not in self._folders:
            Path(self.path(name)).parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(name[:4])
        return os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)

    def _drop(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self.path(name))  # noqa: PTH108 - as above


class Pouring:
    """A payload that comes piece by piece."""

    def __init__(self, path: str, number: int) -> None:
        self._path, self.number, self.size = path, number, 0
        self._hash = hashlib.sha256()

    def write(self, piece: bytes) -> None:
        """Take a piece."""
        self._hash.update(piece)
        self.size += len(piece)
        with into(self._path):
            write_all(self.number, piece)

    def expect(self, name: str) -> None:
        """Raise `DamagedPayload` unless what has come hashes to this name."""
        found = self._hash.hexdigest()
        if found != name:
            raise DamagedPayload(f"sha256:{name}: {self.size} bytes came that hash to {found[:12]}")


class Seen:
    """Names that were met lately: a bounded set, so that most are looked at once, some again."""

    def __init__(self, most: int = 1_000_000) -> None:
        self._most, self._names = most, set[str]()

    def new(self, names: set[str]) -> set[str]:
        """Return those that were not met, and remember them."""
        fresh = names - self._names
        if len(self._names) + len(fresh) > self._most:
            self._names.clear()
        self._names |= fresh
        return fresh
