"""One HTTP exchange with whichever replica answers; every failure comes out as our own error.

Knows URLs, time-outs, connections, `X-Min-LSN` and nothing of tags. Constructing opens no socket;
each thread has its own connections. Proxies come from the environment as requests reads them.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

import requests

from condstore.errors import ServerAway, UnexpectedAnswer, from_answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from condstore.results import Json

CONNECT_WITHIN = 5.0  # seconds
SILENT_FOR = 60.0  # seconds without a byte from the server
AGENT = "condstore-client/0.1"
_SUCCESS = frozenset({200, 201})
_LSN = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Call:
    """A request that may be sent again as it is; `body` is bytes, or a file to read whole."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Path | None = None
    json: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    accept: frozenset[int] = frozenset()
    stream: bool = False


class Transport:
    """Send calls to `urls`, the one that answered last first, and remember the newest LSN seen."""

    def __init__(self, urls: tuple[str, ...]) -> None:
        self._urls = urls
        self._local = threading.local()
        self._lock = threading.Lock()
        self._lsn = 0
        self._first = 0

    @property
    def url(self) -> str:
        """The base URL that answered last."""
        return self._urls[self._first]

    @property
    def lsn(self) -> int:
        """The newest ledger position seen in any answer."""
        return self._lsn

    def send(self, call: Call) -> requests.Response:
        """Return the successful answer to `call`, from the first replica that gives one.

        Raises `ServerAway` when none does, and what the status means otherwise: a refusal is final,
        no other replica is asked to overrule it.
        """
        away: ServerAway | None = None
        whys: list[str] = []
        for turn in range(len(self._urls)):
            place = (self._first + turn) % len(self._urls)
            try:
                response = self._exchange(self._urls[place], call)
            except requests.exceptions.InvalidURL as error:
                raise UnexpectedAnswer(f"{self._urls[place]}: {error}") from error
            except requests.RequestException as error:
                whys.append(reason(error))
                continue
            except ServerAway as error:
                away = error
                continue
            self._first = place
            return response
        raise away or ServerAway.nobody_at(self._urls, ", ".join(dict.fromkeys(whys)))

    def _exchange(self, base: str, call: Call) -> requests.Response:
        headers = {"User-Agent": AGENT, **call.headers}
        if self._lsn:
            headers["X-Min-LSN"] = str(self._lsn)
        with _opened(call.body) as data:
            response = self._session().request(
                call.method,
                base + call.path,
                params=dict(call.params),
                data=data,
                json=call.json,
                headers=headers,
                timeout=(CONNECT_WITHIN, SILENT_FOR),
                stream=call.stream,
                allow_redirects=False,
            )
        status = response.status_code
        if status in _SUCCESS or status in call.accept:
            self._note(lsn_of(response.headers))
            return response
        with response:
            if status < 400:  # a redirect to a login page is no success either
                raise UnexpectedAnswer(
                    f"{base} answered {status}; is another service on that port?"
                )
            raise from_answer(status, response.headers, response.content, base)

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
        session: requests.Session = self._local.session
        return session

    def _note(self, lsn: int) -> None:
        with self._lock:
            self._lsn = max(self._lsn, lsn)


def lsn_of(headers: Mapping[str, str]) -> int:
    """Return the ledger position an answer carries, 0 if none."""
    text = headers.get("X-Ledger-LSN", "")
    return int(text) if _LSN.fullmatch(text) else 0


def reason(error: BaseException) -> str:
    """Return the few words at the bottom of a connection error: `Connection refused`."""
    if isinstance(error, requests.Timeout | TimeoutError):
        return "no answer in time"
    causes: list[object] = [error]
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror:
            number = cause.errno or 0
            return os.strerror(number) if number > 0 else cause.strerror
        if isinstance(cause, BaseException):
            causes += [cause.__cause__, getattr(cause, "reason", None), *cause.args]
    return type(error).__name__


@contextlib.contextmanager
def _opened(body: bytes | Path | None) -> Iterator[bytes | IO[bytes] | None]:
    """Give the body anew for each attempt, a file from its first byte."""
    if isinstance(body, Path):
        with body.open("rb") as file:
            yield file
    else:
        yield body


def json_of(response: requests.Response) -> Json:
    """Return the answer's JSON; raise `UnexpectedAnswer` if it is something else."""
    try:
        return response.json()
    except (requests.JSONDecodeError, RecursionError) as error:
        raise UnexpectedAnswer(
            f"{response.url} did not answer with JSON; is another service on that port?"
        ) from error
