"""How a run into a backup begins: the lock, where the ledger ends, the backup before it.

A databuffer that is not there is told at once; one that goes away later is waited for.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from condstore import bulk, ledger
from condstore.backup import directory as directories
from condstore.producer.exchange import connected
from condstore.retry import HASTY, PATIENT
from condstore.transport import Timeouts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from condstore.access import Access
    from condstore.backup.record import Record
    from condstore.ledger import Head
    from condstore.producer.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Opened:
    """The last backup in a directory, the way to its databuffer, and where the ledger ends now."""

    exchange: Exchange
    head: Head
    last: Record


@contextlib.asynccontextmanager
async def opened(url: str, directory: Path, access: Access) -> AsyncIterator[Opened]:
    """Give the backup in a directory, of nothing if there is none, and keep other runs out of it.

    Raises `WrongBackup` if another is under way, or if it is not of the databuffer's ledger.
    """
    reach = ((url,), bulk.AT_ONCE + 2)
    async with connected(*reach, HASTY, Timeouts(), access, "DB_BURL") as exchange:
        await ledger.head(exchange, url)
    async with connected(*reach, PATIENT, Timeouts(), access, "DB_BURL") as exchange:
        with directories.locked(directory):
            head = await ledger.head(exchange, url)  # by now: another run may just have gone on
            last = directories.last(directory, head)
            yield Opened(exchange, head, last)
