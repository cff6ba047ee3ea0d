"""Posting segments to `/streamdata`, three at once, each until it is stored or refused.

Each carries its channel in the query and a key made of its content, so that one whose answer was
lost is sent again without harm. A service that knows neither, as the twin's original, ignores both.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import orjson

from condstore.errors import CondstoreError, Frozen, UnexpectedAnswer
from condstore.producer.exchange import Asked, connected
from condstore.retry import PATIENT, Policy
from condstore.transport import Timeouts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from condstore.access import Access
    from condstore.producer.exchange import Answer, Exchange
    from condstore.segments import Segment

AT_ONCE: Final = 3
_ANSWERED: Final = frozenset(range(200, 400))


@contextlib.asynccontextmanager
async def sending(
    url: str, period: str, access: Access, policy: Policy = PATIENT
) -> AsyncIterator[Sender]:
    """Give what posts to one URL."""
    async with connected((url,), AT_ONCE, policy, Timeouts(), access, "SRV") as exchange:
        yield Sender(exchange, url, period)


class Sender:
    """Post to one URL the segments of one filling of the buffer."""

    def __init__(self, exchange: Exchange, url: str, period: str) -> None:
        self._exchange, self._url, self._period = exchange, url, period

    async def send(self, segments: Sequence[Segment]) -> list[CondstoreError | None]:
        """Send all and return, for each, None if it is stored or the error that says why not."""
        return list(await asyncio.gather(*map(self._insist, segments)))

    async def _insist(self, segment: Segment) -> CondstoreError | None:
        headers = {"Content-Type": "application/json", "Idempotency-Key": segment.key(self._period)}
        query = f"{'&' if '?' in self._url else '?'}type={quote(segment.payload_type, safe=':')}"
        asked = Asked("POST", query, segment.body, headers, _ANSWERED)
        try:
            _check(await self._exchange.send(asked))
        except CondstoreError as error:
            return error
        return None


def _check(answer: Answer) -> None:
    """Take CREATED; raise `Frozen`, or `UnexpectedAnswer` for what says neither.

    Who gives the URL of contract B's `/stream` gets its 201.
    """
    try:
        told = orjson.loads(answer.body)
        said = told.get("resp") or told.get("code")
    except (orjson.JSONDecodeError, AttributeError):
        said = None
    if (answer.status, said) in {(200, "CREATED"), (201, "RES_CREATE")}:
        return
    if said == "FROZEN":
        raise Frozen("Datastore frozen.", status=answer.status, code="FROZEN", url=answer.url)
    raise UnexpectedAnswer(
        f"{answer.url} answered {answer.status} and said neither CREATED nor FROZEN: SRV must be "
        "the URL of /streamdata"
    )
