"""Taking a backup: what is new since the last one, up to the head that is seen at its start.

Lines come page after page, are followed along the chain, and go into new segments; payloads that
they name and that are not here are fetched meanwhile, several hundred a request. Nothing that
`backup.json` names is written again, and it is replaced last, after one sync of all. So a backup
that is killed leaves the one before it, and the next one takes over what it had: `unfinished.json`
says that there is such a rest, of which each byte is looked at before it counts.

Consistent under load: a payload is durable before the entry that names it, and neither ever
changes, so whatever the lines up to the head name can be had.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from condstore import interrupts, landing, ledger
from condstore.access import NOBODY, Access
from condstore.backup import documents, unfinished
from condstore.backup import record as records
from condstore.backup.fetching import Fetching
from condstore.backup.layout import NAME, Layout, content, manifest, segment_name
from condstore.backup.links import Broken, Links, before, kept_here, named, written
from condstore.backup.opening import opened
from condstore.backup.record import Record, Segment
from condstore.backup.segments import SegmentFile, in_file, lines_of
from condstore.backup.shelf import Seen, Shelf
from condstore.errors import DamagedBackup
from condstore.stages import ENTRIES, PAYLOADS, nobody

if TYPE_CHECKING:
    from pathlib import Path

    from condstore.ledger import Head
    from condstore.producer.exchange import Exchange
    from condstore.stages import Tell

_SEE: Final = "`condstore verify` names all that is wrong there; the last backup stays as it is"


@dataclass(frozen=True, slots=True)
class Taken:
    """A backup as it is now, and what this run added to it."""

    directory: Path
    record: Record
    entries: int
    blobs: int
    size: int


def backup(url: str, directory: Path, *, tell: Tell = nobody, access: Access = NOBODY) -> Taken:
    """Back up the databuffer at `url` into a directory: all of it, or what is new.

    Raises:
        WrongBackup: the directory is of another ledger, or holds something else; another backup
            into it is under way.
        DamagedBackup: what is there, or what came, is not what was written.
    """
    return interrupts.run(_backup(url, directory, tell, access))


async def _backup(url: str, directory: Path, tell: Tell, access: Access) -> Taken:
    async with opened(url, directory, access) as this:
        run = _Run(url, this.exchange, Layout.at(directory), this.last, this.head, tell)
        return await run.all()


@dataclass(slots=True)
class _Run:
    """One backup, from the record before it to its own."""

    url: str
    exchange: Exchange
    to: Layout
    before: Record
    head: Head
    tell: Tell
    links: Links = field(init=False)
    shelf: Shelf = field(init=False)
    seen: Seen = field(default_factory=Seen)
    segments: list[Segment] = field(default_factory=list)
    resumed: bool = False
    file: SegmentFile | None = None

    def __post_init__(self) -> None:
        self.links = Links(self.before.lsn, self.before.hash, self.before.last)
        self.shelf = Shelf(self.to.blobs)

    async def all(self) -> Taken:
        state = await documents.of_store(self.exchange)
        if not self._news(state):
            record = dataclasses.replace(self.before, time=await self._time())
            records.write(self.to.root, record)
            return Taken(self.to.root, record, 0, 0, 0)
        await asyncio.to_thread(self._begin)
        async with Fetching(self.exchange, self.shelf) as fetching:
            await self._payloads(fetching, state)
            await self._lines(fetching)
            await fetching.finish(lambda: self._hear_of(fetching))
        return await asyncio.to_thread(self._end, await self._time(), state, fetching)

    def _news(self, state: dict[str, str]) -> bool:
        self.resumed = bool(unfinished.begun(self.to.root))
        return (
            self.resumed
            or self.head.lsn > self.before.lsn
            or bool(self.before.missing)
            or state != self.before.state
            or not (self.to.root / records.RECORD).exists()
        )

    def _begin(self) -> None:
        """Make room for what comes, after what an earlier run left half done."""
        if not self.resumed:
            unfinished.begin(self.to.root, self.head.ledger)
        self.to.make()
        for folder in (self.to.root, self.to.ledger, self.to.state):
            for stray in folder.glob(".*.new"):
                stray.unlink()

    # --- payloads --------------------------------------------------------------------------

    async def _payloads(self, fetching: Fetching, state: dict[str, str]) -> None:
        """Have the payloads fetched that the store did not have, and those that documents name."""
        texts = [text.encode() for text in state.values()]
        await fetching.want(await asyncio.to_thread(self._lacking, texts))
        await fetching.want(self.seen.new({*self.before.missing}))

    # --- the ledger ------------------------------------------------------------------------

    async def _lines(self, fetching: Fetching) -> None:
        """Take every line up to the head: those of an unfinished run, then those of the store."""
        left = await asyncio.to_thread(self._left)
        while left and (lines := await asyncio.to_thread(self._reuse, left[0])):
            await fetching.want(await asyncio.to_thread(self._lacking, lines))
            left.pop(0)
            self._hear()
        for path in left:
            path.unlink()
        first = self.links.lsn
        asked = ledger.pages(self.exchange, self.url, first, self.head.lsn)
        try:
            async with contextlib.aclosing(asked) as pages:
                async for lines in pages:
                    await fetching.want(await asyncio.to_thread(self._take, lines))
                    self._hear()
            if self.file is not None:
                self.segments.append(self.file.sealed())
        finally:
            if self.file is not None:
                self.file.close()
        if (self.links.lsn, self.links.hash) != (self.head.lsn, self.head.hash) and self.head.lsn:
            raise DamagedBackup(
                f"{self.url}: the ledger ends at LSN {self.links.lsn}, its head says "
                f"{self.head.lsn} with another hash; {_SEE}"
            )

    def _hear(self) -> None:
        done, of = self.links.lsn - self.before.lsn, self.head.lsn - self.before.lsn
        self.tell(ENTRIES, done, of)

    def _take(self, lines: list[bytes]) -> set[str]:
        """Follow lines and write them down; return the payloads to fetch."""
        for line in lines:
            self._follow(self.links, line)
            self._room().add(line)
        return self._lacking(lines)

    def _follow(self, links: Links, line: bytes) -> None:
        try:
            links.follow(line)
        except Broken as broken:
            raise DamagedBackup(f"{self.url}: {broken}; {_SEE}") from broken

    def _room(self) -> SegmentFile:
        """Return the segment that the line just followed belongs into."""
        if self.file is not None and self.file.full:
            self.segments.append(self.file.sealed())
            self.file = None
        if self.file is None:
            self.file = SegmentFile(self.to.ledger, self.links.lsn)
        return self.file

    def _lacking(self, lines: list[bytes]) -> set[str]:
        names = self.seen.new(named(lines))
        return {name for name in names if self.shelf.size(name) is None or self._half(name)}

    def _half(self, name: str) -> bool:
        """Say whether a payload that is there is not what it should be: only after a killed run."""
        return self.resumed and not self.shelf.sound(name)

    def _left(self) -> list[Path]:
        """Return the segments that an unfinished run left, in their order."""
        known = {segment.name for segment in self.before.segments}
        names = {name for name in content(self.to.ledger) if NAME.fullmatch(name)}
        return [self.to.ledger / name for name in sorted(names - known)]

    def _reuse(self, path: Path) -> list[bytes]:
        """Take over a segment of an unfinished run and return its lines.

        None are returned if it does not fit or is not whole: it is fetched anew, with all after it.
        """
        links = dataclasses.replace(self.links)
        try:
            raw, digest = in_file(path)
            lines = list(lines_of(raw))
            for line in lines:
                links.follow(line)
        except (ValueError, Broken):
            return []
        fits = path.name == segment_name(self.links.lsn + 1) and links.lsn <= self.head.lsn
        if not (lines and fits):
            return []
        self.links = links
        self.segments.append(Segment(path.name, links.lsn, len(raw), digest))
        return lines

    # --- the end ---------------------------------------------------------------------------

    async def _time(self) -> str:
        """Return up to when all entries are here, by the databuffer's clock, "" if not known.

        That is when the head was asked for. An entry has its time before it is durable, so one that
        came later may be older than that: then it is the moment before this entry.
        """
        if self.head.time is None:
            return ""
        time, links = written(self.head.time), dataclasses.replace(self.links)
        for line in await ledger.page(self.exchange, self.url, self.head.lsn, 1):
            self._follow(links, line)
            time = min(time, before(links.time))
        return time

    def _hear_of(self, fetching: Fetching) -> None:
        if fetching.wanted:
            self.tell(PAYLOADS, fetching.got, fetching.wanted)

    def _end(self, time: str, state: dict[str, str], fetching: Fetching) -> Taken:
        """Make everything durable, and only then say that it is there."""
        for name, text in state.items():
            if self.before.state.get(name) != text or not self.to.document(name).exists():
                with landing.published(self.to.document(name)) as file:
                    file.write(text.encode())
        came = fetching.got - len(fetching.missing)
        blobs, size = self.before.blobs + came, self.before.size + fetching.size
        if self.resumed:  # who knows which of them a killed run brought
            blobs, size = self.shelf.count()
        record = self._record(time, state, blobs, size, self._lost({*fetching.missing}))
        self.to.sync()
        with landing.published(self.to.manifest) as file:
            file.write(manifest(record.ledger, [one.name for one in record.segments]))
        records.write(self.to.root, record)
        unfinished.end(self.to.root)
        entries = record.lsn - self.before.lsn
        return Taken(self.to.root, record, entries, came, fetching.size)

    def _lost(self, missing: set[str]) -> set[str]:
        """Return those that are lost: a digest may be named in passing, of what never was here."""
        lost = missing & {*self.before.missing}
        for segment in self.segments if missing else []:
            raw, _ = in_file(self.to.ledger / segment.name)
            lost |= kept_here(list(lines_of(raw)), missing)
        return lost

    def _record(
        self, time: str, state: dict[str, str], blobs: int, size: int, missing: set[str]
    ) -> Record:
        return Record(
            ledger=self.head.ledger,
            lsn=self.links.lsn,
            hash=self.links.hash,
            last=self.links.time,
            time=time,
            blobs=blobs,
            size=size,
            segments=(*self.before.segments, *self.segments),
            missing=tuple(sorted(missing)),
            state=state,
        )
