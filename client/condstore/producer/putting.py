"""Payload files into a tag, a window of them at a time: read, ask, upload what lacks, insert.

The IOVs of a window come in one insert, all or none, and only when all its payloads are stored: no
job ever meets half a run. So what a break undoes is at most the present window, whose payloads are
not sent again.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from condstore.producer.crowd import drawn, each
from condstore.producer.files import measure
from condstore.producer.placing import place
from condstore.producer.uploads import upload_lacking

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sequence

    from condstore.producer.exchange import Exchange
    from condstore.producer.files import Measured, PayloadFile
    from condstore.producer.journal import Journal
    from condstore.producer.placing import OnIdentical
    from condstore.producer.tally import PutDown

WINDOW: Final = 5000
"""Files whose IOVs come in one insert."""

_READERS: Final = 4


@dataclass(frozen=True, slots=True)
class How:
    """How to put: what of identical payloads, who acts, and who hears of the bytes that leave."""

    on_identical: OnIdentical
    user: str | None
    tell_bytes: Callable[[int], object]


async def put_all(
    exchange: Exchange,
    files: Iterable[PayloadFile] | AsyncIterable[PayloadFile],
    journal: Journal,
    tally: PutDown,
    how: How,
) -> None:
    """Put every file; `tally` counts those that stand in the tag."""
    async with contextlib.aclosing(_windows(files, journal, tally)) as windows:
        async for window in windows:
            batch = await _measured([file for file, _ in window])
            tally.sent(await upload_lacking(exchange, batch, how.tell_bytes))
            placed = await place(exchange, tally.tag, batch, how.on_identical, how.user)
            for _, mark in window:
                journal.note(mark, placed.lsn)
            tally.stand(batch, placed)


async def _windows(
    files: Iterable[PayloadFile] | AsyncIterable[PayloadFile], journal: Journal, tally: PutDown
) -> AsyncGenerator[list[tuple[PayloadFile, str]], None]:
    """Yield the files that are still to be put, with their marks, so many at a time."""
    window: list[tuple[PayloadFile, str]] = []
    async for file in drawn(files):
        mark = file.mark() if journal.kept else ""
        if mark in journal:
            tally.stood(file, journal.lsn)
            continue
        window.append((file, mark))
        if len(window) == WINDOW:
            yield window
            window = []
    if window:
        yield window


async def _measured(files: Sequence[PayloadFile]) -> list[Measured]:
    """Return the files' digests, in order."""
    found: dict[int, Measured] = {}

    async def read(numbered: tuple[int, PayloadFile]) -> None:
        number, file = numbered
        found[number] = await measure(file)

    await each(enumerate(files), read, _READERS)
    return [found[number] for number in range(len(files))]
