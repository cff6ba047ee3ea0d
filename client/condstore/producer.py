"""The asynchronous producer: many segments at once, bounded, each stored once.

At most `in_flight` requests are open, and as many segments in memory. Each carries a key made of
its content and place, so that a retry, or the whole file streamed again, stores nothing twice. The
first refusal ends the stream; what was acknowledged stays.
"""

from __future__ import annotations

import asyncio
import functools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp

from condstore.calls import lsn_of
from condstore.errors import CondstoreError, ServerAway, from_answer
from condstore.retry import PATIENT, Policy, persist_async
from condstore.transport import AGENT, CONNECT_WITHIN, SILENT_FOR, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from condstore.segments import Segment


@dataclass(frozen=True, slots=True)
class Report:
    """What a stream came to: acknowledged segments and bytes, seconds, and the newest LSN."""

    segments: int
    size: int
    seconds: float
    lsn: int

    @property
    def rate(self) -> float:
        """Acknowledged segments a second."""
        return self.segments / self.seconds if self.seconds > 0 else 0.0


class Producer:
    """Stream segments to the logic tier at `urls`; `tell` hears of each acknowledged segment."""

    def __init__(
        self,
        urls: tuple[str, ...],
        *,
        in_flight: int = 16,
        period: str = "",
        policy: Policy = PATIENT,
        tell: Callable[[Segment], object] = bool,
    ) -> None:
        self._urls = urls
        self._in_flight = in_flight
        self._period = period
        self._policy = policy
        self._tell = tell

    async def stream(self, segments: Iterable[Segment]) -> Report:
        """Stream all `segments` and return what was acknowledged; raise the first refusal."""
        begun = time.monotonic()
        tally = _Tally()
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_WITHIN, sock_read=SILENT_FOR
        )
        connector = aiohttp.TCPConnector(limit=self._in_flight)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, trust_env=True, headers={"User-Agent": AGENT}
        ) as session:
            await self._work(session, iter(segments), tally)
        return Report(tally.segments, tally.size, time.monotonic() - begun, tally.lsn)

    async def _work(
        self, session: aiohttp.ClientSession, segments: Iterator[Segment], tally: _Tally
    ) -> None:
        """Let `in_flight` workers draw from one iterator."""

        async def worker() -> None:
            for segment in segments:
                post = functools.partial(self._post, session, segment)
                tally.add(segment, await persist_async(post, self._policy))
                self._tell(segment)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._in_flight):
                    group.create_task(worker())
        except BaseExceptionGroup as several:
            ours, others = several.split(CondstoreError)
            if others is not None or ours is None:
                raise
            raise _first(ours) from None

    async def _post(self, session: aiohttp.ClientSession, segment: Segment) -> int:
        """Post one segment to the first replica that takes it; return its LSN."""
        away: ServerAway | None = None
        for base in self._urls:
            try:
                return await self._post_to(base, session, segment)
            except ServerAway as error:
                away = error
        raise away or ServerAway.nobody_at(self._urls, "no URL")

    async def _post_to(self, base: str, session: aiohttp.ClientSession, segment: Segment) -> int:
        try:
            async with session.post(
                f"{base}/stream",
                params={"type": segment.payload_type},
                data=segment.body,
                headers={
                    "Content-Type": "application/json",
                    "Idempotency-Key": segment.key(self._period),
                },
                allow_redirects=False,
            ) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ServerAway.nobody_at((base,), reason(error)) from error
        if response.status != 201:
            raise from_answer(response.status, response.headers, body, base)
        return lsn_of(response.headers)


@dataclass(slots=True)
class _Tally:
    segments: int = 0
    size: int = 0
    lsn: int = 0

    def add(self, segment: Segment, lsn: int) -> None:
        self.segments += 1
        self.size += len(segment.body)
        self.lsn = max(self.lsn, lsn)


def _first(group: BaseExceptionGroup[CondstoreError]) -> CondstoreError:
    found = group.exceptions[0]
    return found if isinstance(found, CondstoreError) else _first(found)
