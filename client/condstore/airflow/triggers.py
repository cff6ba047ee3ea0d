"""The trigger of all sensors: looks now and then from the triggerer, without a worker's slot.

Looks run in a few threads for each store, each bounded in time, so that one which hangs delays its
own sensors and nothing else in the triggerer. A store that is away is looked at again: a wait
lasts as long as the sensor's timeout says. What no waiting cures ends it with the store's words.
"""

from __future__ import annotations

import asyncio
import functools
import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from airflow.triggers.base import BaseTrigger, TriggerEvent

from condstore import retry
from condstore.airflow import watches
from condstore.airflow.failures import FINAL
from condstore.airflow.hook import CondstoreHook
from condstore.errors import CondstoreError
from condstore.transport import Timeouts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from condstore.results import Json

ONCE: Final = watches.Look(retry.ONCE, Timeouts(3, 20))
_THREADS: Final = 8
_SPREAD: Final = 0.25


class WatchTrigger(BaseTrigger):
    """Look every `poll` seconds, a quarter more or less, until `watch` is over."""

    def __init__(self, condstore_conn_id: str, watch: Mapping[str, Json], poll: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # Airflow has no types here
        self.condstore_conn_id = condstore_conn_id
        self.watch = dict(watch)
        self.poll = poll

    def serialize(self) -> tuple[str, dict[str, Json]]:
        """Return what makes the same trigger in another process."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "condstore_conn_id": self.condstore_conn_id,
                "watch": self.watch,
                "poll": self.poll,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: {"value": …}, or {"error": …}.

        The sensor has just looked itself, and an event that comes before the scheduler knows of the
        deferral fails the try: so it waits before its first look.
        """
        event = None
        while event is None:
            await asyncio.sleep(jittered(self.poll, random.random()))  # noqa: S311 - no secret
            event = await self._event()
        yield TriggerEvent(event)  # type: ignore[no-untyped-call] # nor here

    async def _event(self) -> dict[str, Json] | None:
        """Look once; None is to look again."""
        try:
            seen = await self._look()
        except FINAL as error:
            return {"error": str(error)}
        except CondstoreError as error:
            self.log.warning("not seen: %s", error)
            return None
        self.log.info("%s", seen.words)
        return {"value": seen.value} if seen.done else None

    async def _look(self) -> watches.Seen:
        store = await CondstoreHook(self.condstore_conn_id).astore()
        look = functools.partial(watches.read(self.watch).look, store, ONCE)
        return await asyncio.get_running_loop().run_in_executor(_threads(store.urls), look)


def jittered(poll: float, chance: float) -> float:
    """Return the next pause: sensors that began in one moment do not ask in one moment for ever.

    >>> jittered(60, 0), jittered(60, 0.5)
    (45.0, 60.0)
    """
    return poll * (1 - _SPREAD + 2 * _SPREAD * chance)


@functools.cache
def _threads(urls: tuple[str, ...]) -> ThreadPoolExecutor:
    """Return the threads that look at one store: one that hangs delays its own sensors only."""
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="condstore-look")
