"""One HTTP exchange with whichever replica answers; every failure comes out as our own error.

Knows URLs, time-outs, connections, tokens, `X-Min-LSN` and nothing of tags. Constructing opens no
socket; each thread and each forked process has its own connections. Proxies come from the
environment as requests reads them, and so does `.netrc` where there is no token. No redirect is
followed, so a token goes to no other host.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import orjson
import requests

from condstore.access import NOBODY, Access
from condstore.calls import Seen
from condstore.errors import (
    CondstoreError,
    NotTrusted,
    ServerAway,
    TooOften,
    UnexpectedAnswer,
    UsageError,
    from_answer,
    public,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from requests import PreparedRequest as Prepared

    from condstore.calls import Call
    from condstore.results import Json

CONNECT_WITHIN = 5.0  # seconds
SILENT_FOR = 60.0  # seconds without a byte from the server
MAX_SILENCE = 3600.0
AGENT = "condstore-client/0.1"
_SUCCESS = frozenset({200, 201})


@dataclass(frozen=True, slots=True)
class Timeouts:
    """For how long to wait, in seconds: for a connection, and for a server that sends nothing."""

    connect: float = CONNECT_WITHIN
    silent: float = SILENT_FOR

    def __post_init__(self) -> None:
        for name, seconds in (("connect", self.connect), ("silent", self.silent)):
            if not 0 < seconds <= MAX_SILENCE:
                raise UsageError(f"{name}={seconds}: a time-out is over 0 to {MAX_SILENCE:.0f} s")


class Transport:
    """Send calls to `urls`, the one that answered last first, and remember the newest LSN seen."""

    def __init__(
        self,
        urls: tuple[str, ...],
        timeouts: Timeouts | None = None,
        access: Access = NOBODY,
    ) -> None:
        self._urls = urls
        self._timeouts = timeouts or Timeouts()
        self._access = access
        self._local = threading.local()
        self._sessions: weakref.WeakSet[requests.Session] = weakref.WeakSet()
        self._seen = Seen()
        self._first = 0

    @property
    def url(self) -> str:
        """The base URL that answered last, as it may be shown: without a password."""
        return public(self._urls[self._first])

    @property
    def lsn(self) -> int:
        """The newest ledger position seen in any answer."""
        return self._seen.lsn

    def send(self, call: Call) -> requests.Response:
        """Return the successful answer to `call`, from the first replica that gives one.

        Raises `ServerAway` when none does, and what the status means otherwise: a refusal is final,
        no other replica is asked to overrule it; nor is who asks too often sent on to the next one.
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
                if why := distrust(error):
                    raise NotTrusted.at(self._urls[place], why) from error
                whys.append(reason(error))
                continue
            except TooOften:
                raise
            except ServerAway as error:
                away = error
                continue
            self._first = place
            return response
        raise away or ServerAway.nobody_at(self._urls, ", ".join(dict.fromkeys(whys)))

    def _exchange(self, base: str, call: Call) -> requests.Response:
        credential = self._access.credential
        shown = self._access.shown_to(base)
        response = self._once(base, call, shown)
        if response.status_code in credential.refusals and credential.renewed(shown):
            response.close()
            response = self._once(base, call, self._access.shown_to(base))
        status = response.status_code
        if status in _SUCCESS or status in call.accept:
            self._seen.note(response.headers)
            return response
        with response:
            if status < 400:  # a redirect to a login page is no success either
                raise UnexpectedAnswer(
                    f"{base} answered {status}; is another service on that port?"
                )
            raise from_answer(status, response.headers, response.content, base, credential)

    def _once(self, base: str, call: Call, shown: str | None) -> requests.Response:
        headers = {"User-Agent": AGENT, **call.headers}
        if self._seen.lsn:
            headers["X-Min-LSN"] = str(self._seen.lsn)
        body = call.body
        if call.json is not None:
            body, headers = orjson.dumps(call.json), {**headers, "Content-Type": "application/json"}
        with _opened(body) as data:
            return self._session().request(
                call.method,
                base + call.path,
                params=dict(call.params),
                data=data,
                headers=headers,
                auth=bearer(shown),
                verify=self._access.ca_file(base),
                timeout=(self._timeouts.connect, call.silent or self._timeouts.silent),
                stream=call.stream,
                allow_redirects=False,
            )

    def close(self) -> None:
        """Close every thread's idle connections; who calls again opens new ones."""
        for session in tuple(self._sessions):
            session.close()

    def _session(self) -> requests.Session:
        """Return this thread's session; a forked process begins its own, on sockets of its own."""
        if getattr(self._local, "process", None) != os.getpid():
            self._local.process, self._local.session = os.getpid(), requests.Session()
            self._sessions.add(self._local.session)
        session: requests.Session = self._local.session
        return session


def bearer(shown: str | None) -> Callable[[Prepared], Prepared] | None:
    """Return what puts a token into a request, where neither URL nor `.netrc` overrides it."""
    if shown is None:
        return None

    def show(request: Prepared) -> Prepared:
        request.headers["Authorization"] = shown
        return request

    return show


def failed(error: BaseException, url: str, variable: str = "CONDSTORE_URL") -> CondstoreError:
    """Return what it means that there was no answer: nobody is there, or not who was meant."""
    if why := distrust(error):
        return NotTrusted.at(url, why)
    return ServerAway.nobody_at((url,), reason(error), variable)


def distrust(error: BaseException) -> str:
    """Return what is wrong with the certificate of who answered, "" if something else is."""
    whys = (getattr(cause, "verify_message", "") for cause in _causes(error))
    return next((str(why) for why in whys if why), "")  # ssl.SSLCertVerificationError's own words


def reason(error: BaseException) -> str:
    """Return the few words at the bottom of a connection error: `Connection refused`."""
    if isinstance(error, requests.Timeout | TimeoutError):
        return "no answer in time"
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            if not hasattr(cause, "reason"):
                continue  # aiohttp's own; ssl's is below it
            return f"no TLS: {str(cause.reason or cause.args[-1]).lower().replace('_', ' ')}"
        if isinstance(cause, OSError) and cause.strerror:
            number = cause.errno or 0
            return os.strerror(number) if number > 0 else cause.strerror
    return type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that lies below it, in the words of three libraries."""
    causes: list[object] = [error]
    for cause in causes:
        if isinstance(cause, BaseException):
            yield cause
            causes += [cause.__cause__, getattr(cause, "reason", None), *cause.args]


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
        return orjson.loads(response.content)
    except orjson.JSONDecodeError as error:
        raise UnexpectedAnswer(
            f"{response.url} did not answer with JSON; is another service on that port?"
        ) from error
