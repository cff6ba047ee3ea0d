"""One question over HTTP, asked as the library asks, but step by step: the broken one is named."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.utils import get_environ_proxies

from condstore.access import NOBODY, Access
from condstore.transport import AGENT, bearer, distrust, reason

if TYPE_CHECKING:
    from collections.abc import Mapping

WITHIN = 5.0  # seconds for each step
_LONGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Unreached:
    """No answer: which step failed, why, and through which proxy it went ("": none)."""

    step: str
    why: str
    proxy: str = ""


@dataclass(frozen=True, slots=True)
class Reached:
    """An answer; `body` is its JSON object, empty if it is none; `skew` in s, None if unknown."""

    status: int
    body: Mapping[str, Any]
    server: str
    seconds: float
    skew: float | None
    proxy: str = ""


def ask(base: str, path: str, access: Access = NOBODY) -> Reached | Unreached:
    """Return what `GET base + path` answers to who shows the token of `access`, whatever it is.

    Raises `UsageError` if a file of the token or of the CAs is none.
    """
    proxy = proxy_of(base)
    if not proxy and (broken := _connection(base)):
        return broken
    try:
        return _answer(base, path, proxy, access)
    except (requests.RequestException, ValueError) as error:
        if why := distrust(error):
            return Unreached("trust", why, proxy)
        return Unreached("answer", reason(error), proxy)


def proxy_of(base: str) -> str:
    """Return the proxy that the environment puts before a URL, "" if none."""
    parts = urlsplit(base)
    proxies = get_environ_proxies(base, no_proxy=None)
    return str(proxies.get(parts.scheme) or proxies.get("all") or "")


def _connection(base: str) -> Unreached | None:
    """Return the step before HTTP that fails: the name, the connection; it is a URL already."""
    parts = urlsplit(base)
    host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return Unreached("name", getattr(error, "strerror", None) or str(error))
    try:
        socket.create_connection((host, port), timeout=WITHIN).close()
    except OSError as error:
        return Unreached("connection", reason(error))
    return None


def _answer(base: str, path: str, proxy: str, access: Access) -> Reached:
    """Ask; once more where a token is refused and there is another to show."""
    credential = access.credential
    shown = credential.header()
    found = _shown(base, path, proxy, access, shown)
    if found.status in credential.refusals and credential.renewed(shown):
        found = _shown(base, path, proxy, access, credential.header())
    return found


def _shown(base: str, path: str, proxy: str, access: Access, header: str | None) -> Reached:
    begin = time.time()
    with requests.get(
        base + path,
        auth=bearer(header),
        verify=access.ca_file(base),
        timeout=WITHIN,
        allow_redirects=False,
        stream=True,
        headers={"User-Agent": AGENT, "Cache-Control": "no-cache"},
    ) as response:
        seconds = time.time() - begin
        body = _object(response)
        return Reached(
            *(response.status_code, body, response.headers.get("Server", ""), seconds),
            skew=_skew(response.headers.get("Date", ""), begin, seconds),
            proxy=proxy,
        )


def _object(response: requests.Response) -> Mapping[str, Any]:
    """Return the JSON object that the answer's first megabyte is, or an empty one."""
    content = next(response.iter_content(_LONGEST), b"")
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _skew(date: str, begin: float, seconds: float) -> float | None:
    """Return how far this clock is ahead of the server's; its header says whole seconds only."""
    try:
        told = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
    return _outside(begin, told, told + 1 + seconds)


def _outside(value: float, low: float, high: float) -> float:
    """Return how far a value is outside of an interval, negative below it.

    >>> _outside(5, 1, 3), _outside(2, 1, 3), _outside(0, 1, 3)
    (2, 0.0, -1)
    """
    return value - high if value > high else value - low if value < low else 0.0
