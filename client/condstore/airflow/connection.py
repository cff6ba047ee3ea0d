"""What a connection of type `condstore` says, read once into a value.

    host     conditions.example.org, or with its scheme: https://conditions.example.org
    port     5000 where it is left out and the host has no scheme
    schema   http (default) or https
    login    who acts, for the history, where the store takes everybody's word
    password the token that says who asks; CONDSTORE_TOKEN or CONDSTORE_TOKEN_FILE where it is empty
    extra    {"urls": "http://b:5000,http://c:5000", "cache": "/var/cache/condstore"}

Refuses, naming connection and field, what makes no URL.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from condstore.access import Credential
from condstore.client import Client
from condstore.config import access_of, parse_urls
from condstore.errors import UsageError
from condstore.retry import HASTY
from condstore.server import Server
from condstore.transport import Timeouts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Connection

    from condstore.producer import Producer
    from condstore.results import Json
    from condstore.retry import Policy

PORT: Final = 5000
_SCHEMES: Final = ("http", "https")


@dataclass(frozen=True, slots=True)
class Store:
    """Where a store is and who asks: the base URLs of its replicas, a cache, a user, a token."""

    urls: tuple[str, ...]
    cache: Path | None = None
    user: str | None = None
    token: str | None = dataclasses.field(default=None, repr=False)

    @classmethod
    def of(cls, connection: Connection) -> Store:
        """Read a connection; raise `UsageError` naming what is wrong with it."""
        extra = connection.extra_dejson
        further = _listed(extra.get("urls"))
        return cls(
            urls=parse_urls(
                ",".join((_base(connection), *further)), f"connection {connection.conn_id!r}: urls"
            ),
            cache=_folder(extra, connection.conn_id),
            user=connection.login or None,
            token=connection.password or None,
        )

    def at(self, url: str | None) -> Store:
        """Return the same but for where: at `url`, if one is given."""
        return self if not url else dataclasses.replace(self, urls=parse_urls(url, "url"))

    def client(self, policy: Policy = HASTY, timeouts: Timeouts | None = None) -> Client:
        """Return a client; it opens no socket yet."""
        return Client(
            self.urls,
            cache=self.cache,
            policy=policy,
            timeouts=timeouts,
            user=self.user,
            token=self._credential(),
        )

    def producer(self, in_flight: int) -> Producer:
        """Return what streams and puts; it opens no socket yet."""
        from condstore.producer import Producer  # noqa: PLC0415 - aiohttp is slow to import, and DAGs are parsed often

        return Producer(self.urls, in_flight=in_flight, user=self.user, token=self._credential())

    def server(self, policy: Policy = HASTY, timeouts: Timeouts | None = None) -> Server:
        """Return the servers themselves, for calls that are not the library's own."""
        access = access_of(os.environ, self._credential())
        return Server(self.urls, policy, timeouts or Timeouts(), self.user, access)

    def _credential(self) -> Credential | None:
        return Credential("the connection's password", self.token) if self.token else None


def _base(connection: Connection) -> str:
    host = (connection.host or "").rstrip("/")
    if not host:
        raise UsageError(
            f"connection {connection.conn_id!r} has no host: give the logic tier's, for example "
            "condstore://conditions.example.org:5000"
        )
    if "://" in host:
        return f"{host}:{connection.port}" if connection.port else host
    scheme = connection.schema or _SCHEMES[0]
    if scheme not in _SCHEMES:
        raise UsageError(
            f"connection {connection.conn_id!r}: schema is {scheme!r}, not http or https"
        )
    return f"{scheme}://{host}:{connection.port or PORT}"


def _listed(value: Json) -> tuple[str, ...]:
    if not value:
        return ()
    return tuple(value.split(",")) if isinstance(value, str) else tuple(map(str, value))


def _folder(extra: Mapping[str, Any], conn_id: str) -> Path | None:
    cache = extra.get("cache")
    if not cache:
        return None
    if not isinstance(cache, str) or not Path(cache).is_absolute():
        raise UsageError(f"connection {conn_id!r}: cache is {cache!r}, not an absolute path")
    return Path(cache)
