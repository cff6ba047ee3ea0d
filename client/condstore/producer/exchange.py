"""The asynchronous requests of a producer: one session, whichever replica answers, patience.

The replica that answered last is asked first. Proxies, and `.netrc` where there is no token, are
read as `requests` reads them for the `Client`, once a session: aiohttp's own `trust_env` does it
for every request, in threads, which costs more than a segment. No redirect is followed, so a token
goes to no other host.
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

from condstore.calls import Seen
from condstore.errors import CondstoreError, ServerAway, TooOften, UnexpectedAnswer, from_answer
from condstore.results import parse
from condstore.retry_async import persist_async
from condstore.transport import AGENT, failed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager
    from typing import TypeVar

    from condstore.access import Access
    from condstore.results import Json
    from condstore.retry import Policy
    from condstore.transport import Timeouts

    T = TypeVar("T")

Body: TypeAlias = "bytes | Callable[[], AsyncIterator[bytes]] | None"
"""What to send: bytes, or what makes the pieces anew for each attempt."""

MOST: Final = 256 << 20
"""Bytes of one answer; a page of the ledger has 8 MiB, or one entry that is longer."""

_LONGEST_REFUSAL: Final = 1 << 20
_JSON: Final[Mapping[str, str]] = {"Content-Type": "application/json"}
_NOTHING: Final[Mapping[str, str]] = {}
_SUCCESS: Final = frozenset({200, 201})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that may be sent again as it is; `path` is written as it goes into the URL.

    `most` is how many bytes its answer may have, where that is read whole.
    """

    method: str
    path: str
    body: Body = None
    headers: Mapping[str, str] = field(default_factory=dict)
    accept: frozenset[int] = _SUCCESS
    most: int = MOST

    @classmethod
    def telling(cls, path: str, told: Json, key: str = "") -> Asked:
        """Return a POST of JSON, under an idempotency key if it changes something."""
        headers = {**_JSON, "Idempotency-Key": key} if key else _JSON
        return cls("POST", path, orjson.dumps(told), headers)


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer, and who gave it; `date` is when, as that one says ("": it does not)."""

    status: int
    lsn: int
    body: bytes
    url: str
    date: str = ""

    def read(self, make: Callable[[Json], T]) -> T:
        """Return the value of its JSON; raise `UnexpectedAnswer` if it is something else."""
        return parse(lambda body: make(orjson.loads(body)), self.body, self.url)


@dataclass(frozen=True, slots=True, repr=False)
class _Base:
    """Where to ask, and what `.netrc` has for it; both may have a password."""

    url: str
    proxy: str | None
    headers: Mapping[str, str]


@dataclass(slots=True)
class Exchange:
    """Requests to the replicas of one logic tier."""

    in_flight: int
    _session: aiohttp.ClientSession
    _policy: Policy
    _access: Access
    _bases: list[_Base]
    _variable: str
    _seen: Seen = field(default_factory=Seen)

    async def send(self, asked: Asked) -> Answer:
        """Return the successful answer, asking again while nobody is there; raise a refusal."""
        return await persist_async(functools.partial(self._once, asked), self._policy)

    async def read(self, make: Callable[[Json], T], path: str) -> T:
        """Return the value of what stands at `path`, at least as new as all that was answered."""
        headers = {"X-Min-LSN": str(self._seen.lsn)} if self._seen.lsn else _NOTHING
        return (await self.send(Asked("GET", path, headers=headers))).read(make)

    async def _once(self, asked: Asked) -> Answer:
        """Ask each replica once, the one that answered last first."""
        bases = tuple(self._bases)
        for base in bases[:-1]:
            try:
                return await self._ask(base, asked)
            except TooOften:
                raise
            except ServerAway:
                self._put_last(base)
        try:
            return await self._ask(bases[-1], asked)
        except ServerAway as away:
            if len(bases) == 1 or isinstance(away, TooOften):
                raise
            words = f"no replica takes it ({len(bases)} were asked), the last one: {away}"
            raise ServerAway(words, retry_after=away.retry_after) from away

    def _put_last(self, base: _Base) -> None:
        """Ask the others first, next time; another request may have done it meanwhile."""
        if self._bases[0] is base:
            self._bases.append(self._bases.pop(0))

    async def _ask(self, base: _Base, asked: Asked) -> Answer:
        async with self._answered(base, asked) as response:
            if response.status not in asked.accept:
                raise await self._failure(response, base.url)
            content = await _first(response, asked.most + 1)
        if len(content) > asked.most:
            raise UnexpectedAnswer(
                f"{base.url}{asked.path} does not end: more came than the {asked.most >> 20} MiB "
                "that such an answer may have. Is the server broken, or another service?"
            )
        lsn = self._seen.note(response.headers)
        date = response.headers.get("Date", "")
        return Answer(response.status, lsn, content, base.url, date)

    @contextlib.asynccontextmanager
    async def open(self, asked: Asked) -> AsyncIterator[aiohttp.ClientResponse]:
        """Give the answer as it comes, asked for once; raise what another status means."""
        base = self._bases[0]
        async with self._answered(base, asked) as response:
            if response.status not in asked.accept:
                raise await self._failure(response, base.url)
            yield response

    @contextlib.asynccontextmanager
    async def _answered(self, base: _Base, asked: Asked) -> AsyncIterator[aiohttp.ClientResponse]:
        """Give an answer; a token that is refused is read anew, and shown if it is another."""
        credential, shown = self._access.credential, self._access.shown_to(base.url)
        try:
            async with self._request(base, asked, shown) as response:
                if response.status not in credential.refusals or not credential.renewed(shown):
                    yield response
                    return
            async with self._request(base, asked, self._access.shown_to(base.url)) as response:
                yield response
        except aiohttp.InvalidURL as error:
            raise UnexpectedAnswer(f"{base.url}: {error}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if isinstance(ours := error.__cause__, CondstoreError):
                raise ours from None  # the body could not be read: no fault of the server
            # what an answer that is no HTTP raises knows our headers, and its repr shows them
            cause = error.__cause__ if isinstance(error, aiohttp.ClientResponseError) else error
            raise failed(error, base.url, self._variable) from cause

    def _request(
        self, base: _Base, asked: Asked, shown: str | None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        body = asked.body
        named = {"Authorization": shown} if shown else base.headers
        return self._session.request(
            asked.method,
            URL(base.url + asked.path, encoded=True),
            data=body() if callable(body) else body,
            headers={**asked.headers, **named} if named else asked.headers,
            proxy=base.proxy,
            allow_redirects=False,
        )

    async def _failure(self, response: aiohttp.ClientResponse, url: str) -> CondstoreError:
        if response.status < 400:  # a redirect to a login page is no success either
            return UnexpectedAnswer(f"{url} answered {response.status}; is another service there?")
        credential, content = self._access.credential, await _first(response, _LONGEST_REFUSAL)
        return from_answer(response.status, response.headers, content, url, credential)


async def _first(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return the body of an answer, of one that is longer only so many bytes."""
    pieces, size = list[bytes](), 0
    async for piece in response.content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size >= most:
            break
    return b"".join(pieces)[:most]


@contextlib.asynccontextmanager
async def connected(
    urls: tuple[str, ...],
    in_flight: int,
    policy: Policy,
    timeouts: Timeouts,
    access: Access,
    variable: str = "CONDSTORE_URL",
) -> AsyncIterator[Exchange]:
    """Give the means to make at most `in_flight` requests at a time; no connection outlives it.

    `variable` is what says where the servers are.
    """
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=in_flight, ssl=access.context() or True),
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=timeouts.connect, sock_read=timeouts.silent
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": AGENT},
    )
    async with session:
        bases = [_base(url, access) for url in urls]
        yield Exchange(in_flight, session, policy, access, bases, variable)


def _base(url: str, access: Access) -> _Base:
    """Return a base URL with what the environment says about the way to it."""
    proxy = select_proxy(url, get_environ_proxies(url))
    if access.credential.told:  # it is what says who asks: nothing else can beside it
        return _Base(str(URL(url).with_user(None)).rstrip("/"), proxy, _NOTHING)
    known = get_netrc_auth(url)
    if known is None or URL(url).user is not None:
        return _Base(url, proxy, _NOTHING)
    basic = b64encode(":".join(known).encode()).decode()
    return _Base(url, proxy, {"Authorization": f"Basic {basic}"})
