"""What the environment may say to the client; nothing else here reads it.

Refuses a URL that is not http(s), a size that is no number and a token that is none, naming the
variable and never showing the token.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from condstore.access import NOBODY, Access, Credential
from condstore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_URL = "http://localhost:5000"
DEFAULT_BUFFER_URL = "http://localhost:8080/"
CACHE_BYTES = 10 << 30
SMALLEST_CACHE = 1 << 20


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the servers are, without a last slash (`urls`: replicas of one tier); who asks.

    `cache` is the directory of the local cache, None for none, and `cache_bytes` what it may take.
    `access` is for the logic tier, `buffer_access` for who asks the databuffer itself.
    """

    urls: tuple[str, ...]
    buffer_url: str
    stream_tag: str
    user: str
    cache: Path | None = None
    cache_bytes: int = CACHE_BYTES
    access: Access = NOBODY
    buffer_access: Access = NOBODY

    @staticmethod
    def allows_colour(environ: Mapping[str, str]) -> bool:
        """Say whether NO_COLOR and TERM leave room for colour."""
        return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read CONDSTORE_URL (commas between several), CONDSTORE_TOKEN, and the others.

        >>> Settings.from_environ({"CONDSTORE_URL": "http://a:5000/, http://b:5000"}).urls
        ('http://a:5000', 'http://b:5000')
        """
        access = access_of(environ)
        secret = Credential.from_environ(environ, "BUFFER_TOKEN")
        return cls(
            urls=parse_urls(environ.get("CONDSTORE_URL") or DEFAULT_URL, "CONDSTORE_URL"),
            buffer_url=parse_urls(environ.get("DB_BURL") or DEFAULT_BUFFER_URL, "DB_BURL")[0],
            stream_tag=environ.get("STREAM_TAG") or "stream",
            user=environ.get("USER") or "condstore",
            cache=Path(environ["CONDSTORE_CACHE"]) if environ.get("CONDSTORE_CACHE") else None,
            cache_bytes=_bytes(environ.get("CONDSTORE_CACHE_BYTES") or str(CACHE_BYTES)),
            access=access,
            buffer_access=replace(access, credential=secret),
        )


def access_of(environ: Mapping[str, str], token: str | Credential | None = None) -> Access:
    """Return how the logic tier is entered: with a `token`, or CONDSTORE_TOKEN or its _FILE.

    CONDSTORE_CA names the PEM file of the CAs that a server's certificate may be of.
    """
    ca = environ.get("CONDSTORE_CA")
    if token is None:
        token = Credential.from_environ(environ, "CONDSTORE_TOKEN")
    elif not isinstance(token, Credential):
        token = Credential("token=", token)
    return Access(token, Path(ca) if ca else None)


def parse_urls(text: str, variable: str) -> tuple[str, ...]:
    """Return the base URLs in `text`; raise `UsageError` naming `variable`."""
    urls = tuple(part.strip().rstrip("/") for part in text.split(",") if part.strip())
    if not urls or not all(map(_is_url, urls)):
        raise UsageError(
            f"{variable}={text!r} is not an http:// or https:// URL, for example {DEFAULT_URL}"
        )
    return urls


def urls_of(urls: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the base URLs that a caller gives, or the environment's; raise `UsageError`."""
    if urls is None:
        return Settings.from_environ(os.environ).urls
    text = urls if isinstance(urls, str) else ",".join(urls)
    return parse_urls(text or DEFAULT_URL, "urls")


def _is_url(text: str) -> bool:
    """Say whether it is an http(s) URL with a host that can be looked up, and a port that can be.

    >>> _is_url("http://[::1]:5000"), _is_url("http://[::1"), _is_url("http://a:99999")
    (True, False, False)
    """
    try:
        url = urlsplit(text)
        host = (url.hostname or "").encode("idna")
        return url.scheme in {"http", "https"} and bool(host) and url.port != 0
    except ValueError:
        return False


def _bytes(text: str) -> int:
    """Return the size in `text`; raise `UsageError`."""
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) < SMALLEST_CACHE:
        raise UsageError(
            f"CONDSTORE_CACHE_BYTES={text!r} is not a size in bytes of at least {SMALLEST_CACHE}, "
            f"for example {CACHE_BYTES}"
        )
    return int(text)
