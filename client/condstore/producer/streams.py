"""Segments into the streaming buffer: many at once, each under a key made of its content.

So a retry, or the whole file streamed again into the same filling of the buffer, stores nothing
twice. The first refusal ends the stream; what was acknowledged stays.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from condstore.producer.crowd import each
from condstore.producer.exchange import Asked

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable

    from condstore.producer.exchange import Exchange
    from condstore.producer.journal import Journal
    from condstore.producer.tally import Streamed
    from condstore.segments import Segment

_CREATED: Final = frozenset({201})


async def stream_all(
    exchange: Exchange,
    segments: Iterable[Segment] | AsyncIterable[Segment],
    period: str,
    journal: Journal,
    tally: Streamed,
) -> None:
    """Post every segment; `tally` counts what was acknowledged, now or to an earlier run."""

    async def post(segment: Segment) -> None:
        key = segment.key(period)
        if key in journal:
            tally.add(segment, journal.lsn, resumed=True)
            return
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        path = _path(segment.payload_type)
        answer = await exchange.send(Asked("POST", path, segment.body, headers, _CREATED))
        journal.note(key, answer.lsn)
        tally.add(segment, answer.lsn)

    await each(segments, post, exchange.in_flight)


@functools.lru_cache
def _path(payload_type: str) -> str:
    return f"/stream?type={quote(payload_type, safe=':')}"
