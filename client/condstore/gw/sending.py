"""Posting segments to `/streamdata`, three at once, each until it is stored or refused.

Each carries its channel in the query and a key made of its content, so that one whose answer was
lost is sent again without harm. A service that knows neither, as the twin's original, ignores both.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Final, Self

import aiohttp
import orjson

from condstore.errors import CondstoreError, Frozen, ServerAway, UnexpectedAnswer, from_answer
from condstore.retry import PATIENT, Policy
from condstore.retry_async import persist_async
from condstore.transport import AGENT, CONNECT_WITHIN, SILENT_FOR, reason

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from condstore.segments import Segment

AT_ONCE: Final = 3


class Sender:
    """Post to one URL, inside `async with`."""

    def __init__(self, url: str, period: str, policy: Policy = PATIENT) -> None:
        self._url, self._period, self._policy = url, period, policy

    async def __aenter__(self) -> Self:
        """Open the session."""
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_WITHIN, sock_read=SILENT_FOR
        )
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=AT_ONCE),
            timeout=timeout,
            trust_env=True,
            headers={"User-Agent": AGENT},
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the session."""
        await self._session.close()

    async def send(self, segments: Sequence[Segment]) -> list[CondstoreError | None]:
        """Send all and return, for each, None if it is stored or the error that says why not."""
        return list(await asyncio.gather(*map(self._insist, segments)))

    async def _insist(self, segment: Segment) -> CondstoreError | None:
        try:
            await persist_async(functools.partial(self._post, segment), self._policy)
        except CondstoreError as error:
            return error
        return None

    async def _post(self, segment: Segment) -> None:
        headers = {"Content-Type": "application/json", "Idempotency-Key": segment.key(self._period)}
        try:
            async with self._session.post(
                self._url,
                params={"type": segment.payload_type},
                data=segment.body,
                headers=headers,
                allow_redirects=False,
            ) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ServerAway.nobody_at((self._url,), reason(error), "SRV") from error
        if response.status >= 400:
            raise from_answer(response.status, response.headers, body, self._url)
        _check(response.status, body, self._url)


def _check(status: int, body: bytes, url: str) -> None:
    """Take CREATED; raise `Frozen`, or `UnexpectedAnswer` for what says neither.

    Who gives the URL of contract B's `/stream` gets its 201.
    """
    try:
        answer = orjson.loads(body)
        said = answer.get("resp") or answer.get("code")
    except (orjson.JSONDecodeError, AttributeError):
        said = None
    if (status, said) in {(200, "CREATED"), (201, "RES_CREATE")}:
        return
    if said == "FROZEN":
        raise Frozen("Datastore frozen.", status=status, code="FROZEN", url=url)
    raise UnexpectedAnswer(
        f"{url} answered {status} and said neither CREATED nor FROZEN: SRV must be the URL of "
        "/streamdata"
    )
