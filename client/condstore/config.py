"""What the environment may say to the client; nothing else here reads it.

Refuses a URL that is not http(s), naming the variable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from condstore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_URL = "http://localhost:5000"
DEFAULT_BUFFER_URL = "http://localhost:8080/"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the servers are, without a last slash (`urls`: replicas of one tier); who asks."""

    urls: tuple[str, ...]
    buffer_url: str
    stream_tag: str
    user: str

    @staticmethod
    def allows_colour(environ: Mapping[str, str]) -> bool:
        """Say whether NO_COLOR and TERM leave room for colour."""
        return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read CONDSTORE_URL (several separated by commas), DB_BURL, STREAM_TAG, USER.

        >>> Settings.from_environ({"CONDSTORE_URL": "http://a:5000/, http://b:5000"}).urls
        ('http://a:5000', 'http://b:5000')
        """
        return cls(
            urls=parse_urls(environ.get("CONDSTORE_URL") or DEFAULT_URL, "CONDSTORE_URL"),
            buffer_url=parse_urls(environ.get("DB_BURL") or DEFAULT_BUFFER_URL, "DB_BURL")[0],
            stream_tag=environ.get("STREAM_TAG") or "stream",
            user=environ.get("USER") or "condstore",
        )


def parse_urls(text: str, variable: str) -> tuple[str, ...]:
    """Return the base URLs in `text`; raise `UsageError` naming `variable`."""
    urls = tuple(part.strip().rstrip("/") for part in text.split(",") if part.strip())
    if not urls or not all(url.startswith(("http://", "https://")) for url in urls):
        raise UsageError(
            f"{variable}={text!r} is not an http:// or https:// URL, for example {DEFAULT_URL}"
        )
    return urls
