"""Files that may be replaced while the process runs: a secret, a certificate with its key.

They are read together, twice a second, off the event loop. Changed ones are heeded; where they
cannot be read or make no sense, what they held before goes on, and the log says so, once.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NoReturn

from databuffer.errors import BadConfiguration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

_EVERY = 0.5
_MOST_BYTES = 1 << 20
_log = logging.getLogger(__name__)


class Watched:
    """The files of some variables. `take` gets their contents and raises `BadConfiguration`."""

    def __init__(
        self, paths: Mapping[str, Path], take: Callable[[Mapping[str, bytes]], None]
    ) -> None:
        self._paths, self._take = paths, take
        self._names = " and ".join(paths)
        self._seen: dict[str, bytes] | str | None = None

    def read(self) -> None:
        """Take the files as they are; raise `BadConfiguration` naming what is wrong with them."""
        self._seen = self._contents()
        self._take(self._seen)

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Read the files, and look at them again and again until the end."""
        self.read()
        following = asyncio.create_task(self._follow(), name="watched files")
        try:
            yield
        finally:
            following.cancel()

    async def _follow(self) -> NoReturn:
        while True:
            await asyncio.sleep(_EVERY)
            found = await asyncio.to_thread(self._look)
            if found != self._seen:
                self._seen = found
                self._heed(found)

    def _heed(self, found: dict[str, bytes] | str) -> None:
        if isinstance(found, str):
            self._complain(found)
            return
        try:
            self._take(found)
        except BadConfiguration as error:
            self._complain(str(error))
        else:
            _log.info("%s: took over what it holds now", self._names)

    def _complain(self, why: str) -> None:
        _log.error("%s; what %s held before goes on", why, self._names)

    def _look(self) -> dict[str, bytes] | str:
        try:
            return self._contents()
        except BadConfiguration as error:
            return str(error)

    def _contents(self) -> dict[str, bytes]:
        return {name: _content(name, path) for name, path in self._paths.items()}


def _content(name: str, path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():  # a pipe can be read but once
            raise BadConfiguration(f"{name}={path} is not a file")
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError as error:
        raise BadConfiguration(f"{name}={path} cannot be read: {error.strerror}") from error
