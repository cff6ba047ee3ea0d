"""The asynchronous requests of a producer: one session, whichever replica answers, patience.

The replica that answered last is asked first. Proxies and `.netrc` are read as `requests` reads
them for the `Client`, once a session: aiohttp's own `trust_env` does it for every request, in
threads, which costs more than a segment.
"""

from __future__ import annotations

import contextlib
import functools
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

import aiohttp
import orjson
from requests.utils import get_environ_proxies, get_netrc_auth, select_proxy
from yarl import URL

from condstore.calls import lsn_of
from condstore.errors import CondstoreError, ServerAway, UnexpectedAnswer, from_answer
from condstore.results import parse
from condstore.retry_async import persist_async
from condstore.transport import AGENT, reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from typing import TypeVar

    from condstore.results import Json
    from condstore.retry import Policy
    from condstore.transport import Timeouts

    T = TypeVar("T")

Body: TypeAlias = "bytes | Callable[[], AsyncIterator[bytes]] | None"
"""What to send: bytes, or what makes the pieces anew for each attempt."""

_JSON: Final[Mapping[str, str]] = {"Content-Type": "application/json"}
_NOTHING: Final[Mapping[str, str]] = {}
_SUCCESS: Final = frozenset({200, 201})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that may be sent again as it is; `path` is written as it goes into the URL."""

    method: str
    path: str
    body: Body = None
    headers: Mapping[str, str] = field(default_factory=dict)
    accept: frozenset[int] = _SUCCESS

    @classmethod
    def telling(cls, path: str, told: Json, key: str = "") -> Asked:
        """Return a POST of JSON, under an idempotency key if it changes something."""
        headers = {**_JSON, "Idempotency-Key": key} if key else _JSON
        return cls("POST", path, orjson.dumps(told), headers)


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer, and who gave it."""

    status: int
    lsn: int
    body: bytes
    url: str

    def read(self, make: Callable[[Json], T]) -> T:
        """Return the value of its JSON; raise `UnexpectedAnswer` if it is something else."""
        return parse(lambda body: make(orjson.loads(body)), self.body, self.url)


@dataclass(frozen=True, slots=True)
class _Base:
    url: str
    proxy: str | None
    headers: Mapping[str, str]


@dataclass(slots=True)
class Exchange:
    """Requests to the replicas of one logic tier; `lsn` is the newest ledger position seen."""

    in_flight: int
    _session: aiohttp.ClientSession
    _policy: Policy
    _bases: list[_Base]
    lsn: int = 0

    async def send(self, asked: Asked) -> Answer:
        """Return the successful answer, asking again while nobody is there; raise a refusal."""
        return await persist_async(functools.partial(self._once, asked), self._policy)

    async def read(self, make: Callable[[Json], T], path: str) -> T:
        """Return the value of what stands at `path`, at least as new as all that was answered."""
        headers = {"X-Min-LSN": str(self.lsn)} if self.lsn else _NOTHING
        return (await self.send(Asked("GET", path, headers=headers))).read(make)

    async def _once(self, asked: Asked) -> Answer:
        """Ask each replica once, the one that answered last first."""
        bases = tuple(self._bases)
        for base in bases[:-1]:
            with contextlib.suppress(ServerAway):
                return await self._ask(base, asked)
            self._put_last(base)
        try:
            return await self._ask(bases[-1], asked)
        except ServerAway as away:
            if len(bases) == 1:
                raise
            words = f"no replica takes it ({len(bases)} were asked), the last one: {away}"
            raise ServerAway(words, retry_after=away.retry_after) from away

    def _put_last(self, base: _Base) -> None:
        """Ask the others first, next time; another request may have done it meanwhile."""
        if self._bases[0] is base:
            self._bases.append(self._bases.pop(0))

    async def _ask(self, base: _Base, asked: Asked) -> Answer:
        body = asked.body
        try:
            async with self._session.request(
                asked.method,
                URL(base.url + asked.path, encoded=True),
                data=body() if callable(body) else body,
                headers={**asked.headers, **base.headers} if base.headers else asked.headers,
                proxy=base.proxy,
                allow_redirects=False,
            ) as response:
                content = await response.read()
        except aiohttp.InvalidURL as error:
            raise UnexpectedAnswer(f"{base.url}: {error}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if isinstance(ours := error.__cause__, CondstoreError):
                raise ours from None  # the body could not be read: no fault of the server
            raise ServerAway.nobody_at((base.url,), reason(error)) from error
        if response.status not in asked.accept:
            raise _failure(response, content, base.url)
        lsn = lsn_of(response.headers)
        self.lsn = max(self.lsn, lsn)
        return Answer(response.status, lsn, content, base.url)


@contextlib.asynccontextmanager
async def connected(
    urls: tuple[str, ...], in_flight: int, policy: Policy, timeouts: Timeouts
) -> AsyncIterator[Exchange]:
    """Give the means to make at most `in_flight` requests at a time; no connection outlives it."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=in_flight),
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=timeouts.connect, sock_read=timeouts.silent
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": AGENT},
    )
    async with session:
        yield Exchange(in_flight, session, policy, [_base(url) for url in urls])


def _failure(response: aiohttp.ClientResponse, content: bytes, url: str) -> CondstoreError:
    if response.status < 400:  # a redirect to a login page is no success either
        return UnexpectedAnswer(f"{url} answered {response.status}; is another service there?")
    return from_answer(response.status, response.headers, content, url)


def _base(url: str) -> _Base:
    """Return a base URL with what the environment says about the way to it."""
    proxy = select_proxy(url, get_environ_proxies(url))
    known = get_netrc_auth(url)
    if known is None or URL(url).user is not None:
        return _Base(url, proxy, _NOTHING)
    basic = b64encode(":".join(known).encode()).decode()
    return _Base(url, proxy, {"Authorization": f"Basic {basic}"})
