"""Asking the databuffer itself for its ledger: where it ends, and its lines, page after page.

Not through the logic tier, whose view might hide damage. Whoever answers `/ledger/head` with 404 is
another service than the databuffer, and is said to be.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import orjson

from condstore.errors import CondstoreError, NotFound, UnexpectedAnswer
from condstore.producer.exchange import MOST, Asked
from condstore.results import parse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from condstore.producer.exchange import Answer, Exchange

FOUND: Final = frozenset({200})
_MOST_LINES: Final = 10_000
_MOST_HEAD: Final = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Head:
    """Where the ledger ended when it was asked: its id, its last LSN, the hash of its last line.

    `time` is when that was by the databuffer's clock, to the second; None if it does not say.
    """

    ledger: str
    lsn: int
    hash: str
    time: datetime | None = None


async def head(exchange: Exchange, url: str) -> Head:
    """Ask where the ledger at the databuffer `url` ends; raise `UnexpectedAnswer`."""
    answer = await _answer(exchange, url, "/ledger/head", _MOST_HEAD)
    time = _time(answer.date)
    return parse(lambda text: _head(orjson.loads(text), time), answer.body, f"{url}/ledger/head")


async def pages(
    exchange: Exchange, url: str, after: int, last: int, most: int = _MOST_LINES
) -> AsyncGenerator[list[bytes], None]:
    """Give the lines after an LSN up to `last`, some at a time, the next page on its way meanwhile.

    They end before `last` if the databuffer has no more.
    """
    coming = _asked(exchange, url, after, most) if after < last else None
    try:
        while coming is not None:
            lines = (await coming)[: last - after]
            after += len(lines)
            coming = _asked(exchange, url, after, most) if lines and after < last else None
            if lines:
                yield lines
    finally:
        if coming is not None:
            coming.cancel()
            with contextlib.suppress(asyncio.CancelledError, CondstoreError):
                await coming


def _asked(exchange: Exchange, url: str, after: int, most: int) -> asyncio.Task[list[bytes]]:
    return asyncio.create_task(page(exchange, url, after, most))


async def page(exchange: Exchange, url: str, after: int, most: int) -> list[bytes]:
    """Return at most so many lines after an LSN, none if there are no more."""
    path = f"/ledger?after={after}&limit={most}&wait=0"
    body = (await _answer(exchange, url, path, MOST)).body
    lines = body.split(b"\n", most)[:most]
    return lines if lines[-1] else lines[:-1]


async def _answer(exchange: Exchange, url: str, path: str, most: int) -> Answer:
    """Return what stands at a path of the databuffer; raise `UnexpectedAnswer` if it has none."""
    try:
        return await exchange.send(Asked("GET", path, accept=FOUND, most=most))
    except NotFound as error:
        raise UnexpectedAnswer(
            f"{url}{path} is not there: DB_BURL must name the databuffer, not the logic tier"
        ) from error


def _head(answer: dict[str, object], time: datetime | None) -> Head:
    return Head(str(answer["ledger"]), int(str(answer["lsn"])), str(answer["hash"]), time)


def _time(date: str) -> datetime | None:
    """Read a `Date` header; None if it is none."""
    try:
        return parsedate_to_datetime(date).replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
