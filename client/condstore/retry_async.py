"""Trying again without holding the event loop; apart, for asyncio is slow to import."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, TypeVar

from condstore.errors import Contended, ServerAway

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from condstore.retry import Policy

T = TypeVar("T")


async def persist_async(
    action: Callable[[], Awaitable[T]],
    policy: Policy,
    *,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    chance: Callable[[], float] = random.random,
) -> T:
    """Do as `persist` does, without holding the loop."""
    failed, waited = 0, 0.0
    while True:
        try:
            return await action()
        except (ServerAway, Contended) as away:
            failed += 1
            pause = policy.after(away, failed, waited, chance())
            if pause is None:
                raise
        await sleep(pause)
        waited += pause
