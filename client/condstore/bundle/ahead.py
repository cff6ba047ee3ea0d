"""Reading several things at once while one after the other is used, a bounded way ahead."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from queue import Queue
from threading import Event
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

T = TypeVar("T")
LANES: Final = 4
_BATCH: Final = 2_000
_BATCHES: Final = 8


@dataclass(frozen=True, slots=True)
class _Failed:
    error: BaseException


class _Lane(Generic[T]):
    """What one thread reads, in batches; None is the end."""

    def __init__(self) -> None:
        self.queue: Queue[list[T] | _Failed | None] = Queue(_BATCHES)
        self.ended = False

    def fill(self, make: Callable[[], Iterable[T]], stop: Event) -> None:
        """Read until the end, an error, or nobody wants more."""
        try:
            items = iter(make())
            while not stop.is_set() and (batch := list(islice(items, _BATCH))):
                self.queue.put(batch)
        except BaseException as error:  # noqa: BLE001 - raised again by whoever uses what was read
            self.queue.put(_Failed(error))
        self.queue.put(None)

    def items(self) -> Iterator[T]:
        """Yield what was read, and raise what stopped it."""
        while (batch := self._next()) is not None:
            if isinstance(batch, _Failed):
                raise batch.error
            yield from batch

    def abandon(self) -> None:
        """Let the thread come to its end."""
        while not self.ended:
            self._next()

    def _next(self) -> list[T] | _Failed | None:
        batch = self.queue.get()
        self.ended = batch is None
        return batch


def ahead(
    makes: Iterable[Callable[[], Iterable[T]]], lanes: int = LANES
) -> Generator[Iterator[T], None, None]:
    """Yield what each of `makes` gives, in order; up to `lanes` of them are being read.

    Each must be used up before the next is taken. Close the iterator if you stop early.

    >>> [list(each) for each in ahead([lambda: "ab", lambda: "", lambda: "c"], lanes=2)]
    [['a', 'b'], [], ['c']]
    """
    stop, begun, rest = Event(), deque[_Lane[T]](), iter(makes)
    with ThreadPoolExecutor(lanes, "pull") as pool:

        def begin(make: Callable[[], Iterable[T]]) -> None:
            begun.append(_Lane[T]())
            pool.submit(begun[-1].fill, make, stop)

        try:
            for make in islice(rest, lanes):
                begin(make)
            while begun:
                items = begun[0].items()
                yield items
                for _ in items:  # whoever left something does not want it
                    pass
                begun.popleft()
                for make in islice(rest, 1):
                    begin(make)
        finally:
            stop.set()
            for lane in begun:
                lane.abandon()
