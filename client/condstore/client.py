"""`Client`: one typed method for each thing to do, online or from a bundle.

Several base URLs are replicas of one logic tier. The newest ledger position seen is sent along, so
that a client reads its own writes on any of them. Every write carries an Idempotency-Key and every
payload is checked against its digest. Constructing opens no socket; threads may share a client.
"""
# ruff: noqa: PLC0415 - a client of a bundle needs the standard library only, so requests is not
# imported before there is a server to ask

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from condstore.buffering import Buffering
from condstore.config import Settings, access_of, urls_of
from condstore.granting import Granting
from condstore.keeping import Keeping
from condstore.reading import Reading
from condstore.retry import HASTY, Policy
from condstore.writing import Writing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from condstore.access import Credential
    from condstore.cache import Cache, Cached
    from condstore.online import Online
    from condstore.transport import Timeouts


class Client(Reading, Writing, Buffering, Granting, Keeping):
    """Talk to the logic tier at `urls`, as patiently as `policy` says.

    What is not given the environment says: CONDSTORE_URL where the servers are, CONDSTORE_TOKEN or
    CONDSTORE_TOKEN_FILE the token that says who asks, CONDSTORE_CACHE in which directory payloads,
    and answers that cannot change, are kept for all jobs of the node (without it in none). `user`
    is who acts, for the history, where servers take everybody's word.
    """

    def __init__(
        self,
        urls: str | Sequence[str] | None = None,
        *,
        cache: Cache | Path | str | None = None,
        policy: Policy = HASTY,
        timeouts: Timeouts | None = None,
        user: str | None = None,
        token: str | Credential | None = None,
    ) -> None:
        from condstore.online import Online
        from condstore.server import Server
        from condstore.transport import Timeouts

        access = access_of(os.environ, token)
        server = Server(urls_of(urls), policy, timeouts or Timeouts(), user, access)
        online = Online(server)
        cached = _cached(online, cache)
        super().__init__(cached or online, server, cached, policy, server.close)

    @classmethod
    def offline(cls, path: Path | str, *, payloads: Path | str | None = None) -> Client:
        """Answer from a bundle, with neither server nor network; see `Reading.pull`.

        `payloads` is the directory of those that lie beside the bundle. Raises `DamagedBundle`.
        """
        from condstore.bundle import Bundle

        bundle, client = Bundle(path, payloads=payloads), cls.__new__(cls)
        Reading.__init__(client, bundle, None, None, HASTY, bundle.close)
        return client

    @property
    def url(self) -> str:
        """The base URL that answered last."""
        return self._server("its URL").url

    @property
    def lsn(self) -> int:
        """The newest ledger position seen; what is read next is at least as new."""
        return self._server("the ledger").lsn


def _cached(online: Online, cache: Cache | Path | str | None) -> Cached | None:
    """Return the source with the cache before it that is asked for, here or by the environment."""
    if cache is None and not os.environ.get("CONDSTORE_CACHE"):
        return None
    from condstore.cache import Cache, Cached

    if not isinstance(cache, Cache):
        known = Settings.from_environ(os.environ)
        cache = Cache(cache, limit=known.cache_bytes) if cache else Cache.of(known)
    return None if cache is None else Cached(online, cache)
