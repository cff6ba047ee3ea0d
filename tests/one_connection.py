"""A connection of the logic tier's worker without the worker, and the peer's end of it."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

from gunicorn.config import Config

from datastore_logic.serving.connection import Connection
from datastore_logic.serving.pace import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator


class Ends:
    """Makes connections, and closes what is open of them at the end."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    def make(self, limits: Limits | None = None) -> tuple[Connection, socket.socket]:
        """Return one whose first head is waited for, and the peer's socket."""
        ours, theirs = socket.socketpair()
        theirs.settimeout(5)
        self._sockets += [ours, theirs]
        return Connection(Config(), ours, "peer", "here", limits or Limits()), theirs

    def close(self) -> None:
        """Close them all."""
        for one in self._sockets:
            one.close()


@contextlib.contextmanager
def ends() -> Iterator[Ends]:
    """Give a maker of connections."""
    made = Ends()
    try:
        yield made
    finally:
        made.close()
