"""Payloads into the store: only those that it lacks, each once, each answered with its digest."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from condstore.calls import V1
from condstore.producer.crowd import each
from condstore.producer.exchange import Asked
from condstore.producer.files import Body, changed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from condstore.producer.exchange import Exchange
    from condstore.producer.files import Measured

ASK_ABOUT: Final = 10_000
"""Digests that one question may name."""

_BYTES: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What had to be sent: payloads and bytes."""

    payloads: int = 0
    size: int = 0


async def upload_lacking(
    exchange: Exchange, measured: Iterable[Measured], tell: Callable[[int], object]
) -> Uploaded:
    """Send the payloads that the store has not; `tell` hears of the bytes that leave."""
    distinct = {one.digest: one for one in measured}
    lacking = await _lacking(exchange, list(distinct))
    todo = [distinct[digest] for digest in distinct if digest in lacking]
    await each(todo, functools.partial(_upload, exchange, tell), exchange.in_flight)
    return Uploaded(len(todo), sum(one.size for one in todo))


async def _lacking(exchange: Exchange, digests: list[str]) -> set[str]:
    """Return those of the digests under which the store has nothing."""
    found: set[str] = set()
    for begin in range(0, len(digests), ASK_ABOUT):
        told = {"digests": digests[begin : begin + ASK_ABOUT]}
        answer = await exchange.send(Asked.telling(f"{V1}/payloads/missing", told))
        found |= answer.read(lambda page: set(map(str, page["missing"])))
    return found


async def _upload(exchange: Exchange, tell: Callable[[int], object], one: Measured) -> None:
    """Send one payload; raise `DamagedPayload` if what arrived is not what was measured."""
    body = Body(one, tell)
    headers = {"Content-Type": _BYTES, "Content-Length": str(one.size)}
    answer = await exchange.send(Asked("POST", f"{V1}/payloads", body, headers))
    if answer.read(lambda told: str(told["digest"])) != one.digest:
        raise changed(one)
