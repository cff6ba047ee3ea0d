"""Reading a variable of the environment: its value in the form it must have, or its default.

Everything here raises `BadConfiguration` with the variable's name. Secrets are read elsewhere
(access/secret.py), for what is wrong is shown here.
"""

from __future__ import annotations

import ssl
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from datastore_logic.domain.errors import BadName
from datastore_logic.domain.tags import TagName
from datastore_logic.errors import BadConfiguration

if TYPE_CHECKING:
    from collections.abc import Mapping

Network = IPv4Network | IPv6Network


def integer(
    environ: Mapping[str, str], name: str, default: int, *, least: int = 1, most: int = 2**63 - 1
) -> int:
    """Return a whole number from `least` to `most`."""
    text = environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise BadConfiguration(f"{name}={text!r} is not an integer from {least} to {most}")
    return int(text)


def seconds(
    environ: Mapping[str, str], name: str, default: float, *, zero: bool = False, most: float = 1e6
) -> float:
    """Return a number of seconds up to `most`, above 0 unless it may be `zero`."""
    text = environ.get(name) or str(default)
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not (0 < found <= most or (zero and found == 0)):
        least = "from" if zero else "above"
        raise BadConfiguration(f"{name}={text!r} is no number of seconds {least} 0 to {most:.0f}")
    return found


def url(environ: Mapping[str, str], name: str, default: str) -> str:
    """Return a URL without its last slash; "" only where that is the default."""
    text = environ.get(name) or default
    if not text:
        return ""
    words = f"{name}={text!r} is not an http:// or https:// URL"
    try:
        parts = urlsplit(text)
        fits = parts.scheme in {"http", "https"} and parts.hostname and not parts.query
        _ = parts.port
    except ValueError as reason:  # no address in the brackets, or no port
        raise BadConfiguration(words) from reason
    if not fits:
        raise BadConfiguration(words)
    return text.rstrip("/")


def url_path(environ: Mapping[str, str], name: str, default: str) -> str:
    """Return the path of a URL, with its first slash."""
    text = environ.get(name) or default
    if any(letter.isspace() or letter in "?#" for letter in text):
        raise BadConfiguration(f"{name}={text!r} is not a path")
    return "/" + text.lstrip("/")


def tag(environ: Mapping[str, str], name: str, default: str) -> TagName:
    """Return the name of a global tag."""
    try:
        return TagName.parse(environ.get(name) or default)
    except BadName as reason:
        raise BadConfiguration(f"{name} is not the name of a global tag: {reason}") from reason


def one_of(environ: Mapping[str, str], name: str, default: str, *known: str) -> str:
    """Return one of the words that are known."""
    text = environ.get(name) or default
    if text not in known:
        words = ", ".join(word for word in known if word)
        raise BadConfiguration(f"{name}={text!r} is none of {words}")
    return text


def networks(environ: Mapping[str, str], name: str) -> tuple[Network, ...]:
    """Return the networks (or single addresses) between commas; none by default."""
    text = environ.get(name) or ""
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as reason:
        raise BadConfiguration(f"{name}={text!r}: {reason}") from reason


def readable_file(environ: Mapping[str, str], name: str) -> Path | None:
    """Return a file that can be read, None where none is named."""
    text = environ.get(name)
    if not text:
        return None
    try:
        with Path(text).open("rb"):
            return Path(text)
    except OSError as reason:
        raise BadConfiguration(f"{name}={text}: {reason.strerror}") from reason


def certificates(environ: Mapping[str, str], name: str) -> Path | None:
    """Return a file with certificates to trust, None where none is named."""
    found = readable_file(environ, name)
    if found is not None:
        try:
            ssl.create_default_context(cafile=found)
        except ssl.SSLError as reason:
            raise BadConfiguration(f"{name}={found} holds no certificates (PEM)") from reason
    return found
