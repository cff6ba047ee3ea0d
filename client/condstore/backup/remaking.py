"""Making again what says what belongs to a backup, `backup.json`, where it is damaged or lost.

It is made of the segments of the ledger that are there, and of the store: that has to be the very
ledger, for the hash of the last line that is here must be the one of that line there, and by the
chain so is every line before. A segment that is damaged, or lost between two others, is in the
record as what it should be, for `repair` to fetch; after the last that is whole nothing is, and the
next backup takes it. Nothing is written before all that is known, and then the record alone.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import re
from typing import TYPE_CHECKING, Final

import orjson

from condstore import interrupts, ledger
from condstore.access import NOBODY, Access
from condstore.backup import directory as directories
from condstore.backup import documents, unfinished
from condstore.backup import record as records
from condstore.backup.layout import NAME, Layout, content, segment_name
from condstore.backup.links import Broken, Links
from condstore.backup.record import Record, Segment
from condstore.backup.segments import in_file, lines_of
from condstore.backup.shelf import Shelf
from condstore.errors import DamagedBackup, WrongBackup
from condstore.producer.exchange import connected
from condstore.retry import HASTY
from condstore.transport import Timeouts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from condstore.ledger import Head
    from condstore.producer.exchange import Exchange

_ID: Final = re.compile(rb'"ledger": *"([0-9a-f]{32})"')


def remake(url: str, directory: Path, *, access: Access = NOBODY) -> tuple[str, ...]:
    """Make `backup.json` and `unfinished.json` again where they are damaged; return which were.

    Raises `WrongBackup` if the databuffer at `url` does not serve the ledger whose segments are in
    the directory.
    """
    if not _damaged(directory):
        return ()
    return interrupts.run(_remake(url, directory, access))


def _damaged(directory: Path) -> tuple[str, ...]:
    return tuple(
        name
        for name, read in ((records.RECORD, records.read), (unfinished.NAME, unfinished.begun))
        if _is_damaged(directory, read)
    )


def _is_damaged(directory: Path, read: Callable[[Path], object]) -> bool:
    try:
        read(directory)
    except DamagedBackup:
        return True
    except (WrongBackup, OSError):
        return False  # there is none, or no directory, which others say
    return False


async def _remake(url: str, directory: Path, access: Access) -> tuple[str, ...]:
    async with connected((url,), 1, HASTY, Timeouts(), access, "DB_BURL") as exchange:
        with directories.locked(directory):
            head = await ledger.head(exchange, url)
            damaged, at = _damaged(directory), Layout.at(directory)
            directories.refuse_unless_of(head, directory, _told(at) or head.ledger)
            if records.RECORD in damaged:
                record = await _made(exchange, url, at, head)
                await asyncio.to_thread(at.sync)
                records.write(directory, record)
            if unfinished.NAME in damaged:
                unfinished.begin(directory, head.ledger)
    return damaged


async def _made(exchange: Exchange, url: str, at: Layout, head: Head) -> Record:
    """Return the record of what is there, once the store has shown that it is of its ledger."""
    segments, end = await asyncio.to_thread(_there, at)
    blobs, size = await asyncio.to_thread(Shelf(at.blobs).count)
    record = Record(
        ledger=head.ledger,
        lsn=end.lsn,
        hash=end.hash,
        last=end.time,
        blobs=blobs,
        size=size,
        segments=segments,
        state=await documents.of_store(exchange),
    )
    directories.refuse_unless_past_of(head, at.root, record)
    if end.lsn:
        line = b"".join(await ledger.page(exchange, url, end.lsn - 1, 1))
        if hashlib.sha256(line).hexdigest() != end.hash:
            raise WrongBackup(
                f"{at.root} has a ledger up to LSN {end.lsn}, and the databuffer another entry "
                f"there: bring {records.RECORD} from a copy of the directory, and keep this one"
            )
    return record


def _there(at: Layout) -> tuple[tuple[Segment, ...], Links]:
    """Return the segments up to the last one that is whole, and where that ends."""
    found, whole, end, links = list[Segment](), 0, Links(), Links()
    names = [name for name in content(at.ledger) if NAME.fullmatch(name)]
    firsts = [int(name.partition(".")[0]) for name in names]
    for name, first, following in zip(names, firsts, [*firsts, 0][1:], strict=True):
        if first <= links.lsn:
            continue  # what it has is in the one before
        if first > links.lsn + 1:
            found.append(Segment(segment_name(links.lsn + 1), first - 1, 0, ""))
            links = Links(first - 1, "")
        try:
            raw, digest = in_file(at.ledger / name)
            for line in lines_of(raw):
                links.follow(line)
        except (OSError, ValueError, Broken):
            digest = ""
        if digest and links.lsn >= first:
            found.append(Segment(name, links.lsn, len(raw), digest))
            whole, end = len(found), dataclasses.replace(links)
        else:
            found.append(Segment(name, following - 1, 0, ""))
            links = Links(following - 1, "")
    return tuple(found[:whole]), end


def _told(at: Layout) -> str:
    """Return of which ledger the directory says that it is, "" if nothing there says it any more.

    A digit that is damaged makes another ledger of it, so what is whole is asked first.
    """
    for path in (at.manifest, at.root / unfinished.NAME):
        try:
            return str(orjson.loads(path.read_bytes())["ledger"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    try:
        found = _ID.search((at.root / records.RECORD).read_bytes())
    except OSError:
        return ""
    return found[1].decode() if found else ""
