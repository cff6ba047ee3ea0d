"""What all parts of `Client` share: what they ask, how patiently, and whether there is a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Protocol, Self, TypeVar

from condstore.errors import NotOffline
from condstore.retry import persist

if TYPE_CHECKING:
    from collections.abc import Callable

    from condstore.digests import Digest
    from condstore.retry import Policy
    from condstore.server import Server
    from condstore.source import Source

T = TypeVar("T")


class Shelf(Protocol):
    """Where payloads lie ready: a cache."""

    def open(self, digest: Digest) -> BinaryIO:
        """Open a payload for reading, every byte verified before the first is given."""
        ...


class Asking:
    """Ask `source`; `server` what only servers know; open payloads through `shelf` if there is one.

    Threads may share it: what it holds is made here and never replaced.
    """

    def __init__(
        self,
        source: Source,
        server: Server | None,
        shelf: Shelf | None,
        policy: Policy,
        close: Callable[[], object],
    ) -> None:
        self._source = source
        self._servers = server
        self._shelf = shelf
        self._policy = policy
        self._close = close

    def close(self) -> None:
        """Let go of connections and files; what was answered stays true."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _server(self, what: str) -> Server:
        """Return the server; raise `NotOffline`, saying what was wanted of it."""
        if self._servers is None:
            raise NotOffline(f"{what} takes a server: this client reads a bundle")
        return self._servers

    def _persist(self, action: Callable[[], T]) -> T:
        return persist(action, self._policy)
