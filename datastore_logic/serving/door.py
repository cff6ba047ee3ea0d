"""Taking connections; where the system has no descriptor left, none for a second.

A listener whose next connection cannot be accepted stays readable: whoever kept asking the poller
would spin.
"""

from __future__ import annotations

import errno
import logging
from time import monotonic
from typing import TYPE_CHECKING, Final

from gunicorn import sock as gunicorn_sock

from datastore_logic.serving.connection import Connection

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from gunicorn.config import Config as Settings

    from datastore_logic.serving.pace import Limits

NO_DESCRIPTOR: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

log = logging.getLogger(__name__)


class Door:
    """Lets in who waits at a listener; `shut` is called where there is no descriptor for them."""

    def __init__(self, settings: Settings, limits: Limits, shut: Callable[[], None]) -> None:
        self._settings, self._limits, self._shut = settings, limits, shut
        self._shut_until = 0.0

    @property
    def may_open(self) -> bool:
        """Whether there was a descriptor, or that was a second ago."""
        return monotonic() >= self._shut_until

    def arrivals(self, listener: socket.socket, most: int) -> Iterator[Connection | None]:
        """Accept those who wait, one by one, so many at most; None stands for who broke off."""
        for _ in range(most):
            try:
                client, address = listener.accept()
            except OSError as reason:
                self._nobody_came(reason)
                return
            yield self._begin(listener, client, address)

    def _begin(
        self, listener: socket.socket, client: socket.socket, address: object
    ) -> Connection | None:
        try:
            if self._settings.is_ssl:
                client = gunicorn_sock.ssl_context(self._settings).wrap_socket(
                    client, server_side=True, do_handshake_on_connect=False
                )
            server = listener.getsockname()
            return Connection(self._settings, client, address, server, self._limits)
        except OSError as reason:  # gone already
            log.debug("a connection broke: %s", reason)
            client.close()
            return None

    def _nobody_came(self, reason: OSError) -> None:
        if reason.errno in NO_DESCRIPTOR:
            log.warning("for a second no connection is accepted: %s", reason.strerror)
            self._shut_until = monotonic() + 1.0
            self._shut()
