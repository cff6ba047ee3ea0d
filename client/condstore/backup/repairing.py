"""Repairing a backup from the store it is of: what is damaged or lost in it is fetched again.

Nothing is believed that is not proven: a payload by its name, a line of the ledger by the chain,
whose hash at the end is known of the sound segment that comes next, or of `backup.json`. What comes
is laid down in `repairing/` first, and takes the place of what was damaged when all of it is whole
and durable. So a repair that is killed leaves each file as it was or repaired.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from condstore import interrupts, landing, ledger
from condstore.access import NOBODY, Access
from condstore.backup import reading
from condstore.backup import record as records
from condstore.backup.fetching import Fetching
from condstore.backup.layout import Layout, manifest
from condstore.backup.links import Broken, Links, kept_here, named
from condstore.backup.opening import opened
from condstore.backup.remaking import remake
from condstore.backup.segments import SegmentFile
from condstore.backup.shelf import MISSING, Seen, Shelf
from condstore.backup.writing import into
from condstore.chain import START
from condstore.errors import DamagedBackup
from condstore.stages import ENTRIES, PAYLOADS, nobody

if TYPE_CHECKING:
    from collections.abc import Iterator

    from condstore.backup.record import Record, Segment
    from condstore.producer.exchange import Exchange
    from condstore.stages import Tell

_BESIDE: Final = "repairing"
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Repaired:
    """What of a backup was made whole again, and what could not be.

    `copies` are `ledger.json` and files in `state/`, which are made of `backup.json`; `remade` are
    `backup.json` and `unfinished.json`, where these were made again.
    """

    directory: Path
    segments: int
    payloads: int
    size: int
    copies: int
    problems: tuple[str, ...]
    remade: tuple[str, ...] = ()


def repair(url: str, directory: Path, *, tell: Tell = nobody, access: Access = NOBODY) -> Repaired:
    """Read a whole backup, and fetch what is damaged or lost from the databuffer at `url`.

    Raises:
        WrongBackup: the directory is of another ledger, or holds no backup; another run into it is
            under way.
    """
    remade = remake(url, directory, access=access)
    done = interrupts.run(_repair(url, directory, tell, access))
    return dataclasses.replace(done, remade=remade)


async def _repair(url: str, directory: Path, tell: Tell, access: Access) -> Repaired:
    records.read(directory)
    async with opened(url, directory, access) as this:
        return await _Repair(url, this.exchange, Layout.at(directory), this.last, tell).all()


@dataclass(slots=True)
class _Repair:
    """One repair. `wrong` says of payloads what is wrong, `owed` which of them must be there."""

    url: str
    exchange: Exchange
    at: Layout
    record: Record
    tell: Tell
    beside: Layout = field(init=False)
    shelf: Shelf = field(init=False)
    seen: Seen = field(default_factory=Seen)
    ends: dict[int, str] = field(default_factory=dict)
    mended: dict[str, Segment] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    owed: set[str] = field(default_factory=set)
    looked: int = 0
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.beside = Layout.at(self.at.root / _BESIDE)
        self.shelf = Shelf(self.at.blobs)

    async def all(self) -> Repaired:
        await asyncio.to_thread(self._begin)
        damaged = await asyncio.to_thread(self._damaged)
        for run in _runs(damaged):
            await self._fetch(run)
        async with Fetching(self.exchange, Shelf(self.beside.blobs)) as fetching:
            await fetching.want(list(self.wrong))
            await fetching.finish(
                lambda: self.tell(PAYLOADS, fetching.got, max(1, fetching.wanted))
            )
        return await asyncio.to_thread(self._end, fetching)

    def _begin(self) -> None:
        """Make room, after what a repair that was killed had fetched."""
        shutil.rmtree(self.beside.root, ignore_errors=True)
        self.at.make()
        self.beside.make()

    # --- the ledger ------------------------------------------------------------------------

    def _damaged(self) -> list[Segment]:
        """Return the segments that are damaged or lost; look at what all others name."""
        self.ends = {0: START, self.record.lsn: self.record.hash}
        self._look([text.encode() for text in self.record.state.values()])
        return [one for one in self.record.segments if not self._sound(self.at, one)]

    def _sound(self, at: Layout, segment: Segment) -> bool:
        """Say whether a segment is as it was written; then note its ends and what it names."""
        links = Links(segment.first - 1, "")
        try:
            _, lines = reading.read(at.ledger, segment, links)
        except DamagedBackup:
            return False
        self.ends[segment.first - 1] = _before(lines[0])
        self.ends[segment.last] = links.hash
        self._look(lines)
        self.tell(ENTRIES, segment.last, self.record.lsn)
        return True

    async def _fetch(self, run: list[Segment]) -> None:
        """Fetch damaged segments that follow each other, up to a hash that is known."""
        before, last = run[0].first - 1, run[-1].last
        try:
            made = await self._lines(run, Links(before, self.ends[before]))
        except Broken as broken:
            where = ", ".join(f"ledger/{one.name}" for one in run)
            self.problems.append(f"{where}: damaged, and the store has other entries: {broken}")
            return
        self.mended |= {one.name: one for one in made}
        for one in made:
            await asyncio.to_thread(self._sound, self.beside, one)
        self.tell(ENTRIES, last, self.record.lsn)

    async def _lines(self, run: list[Segment], links: Links) -> list[Segment]:
        """Write the lines of some segments anew; raise `Broken` unless the chain proves them."""
        made: list[Segment] = []
        left = list(run)
        file: SegmentFile | None = None
        asked = ledger.pages(self.exchange, self.url, links.lsn, run[-1].last)
        try:
            async with contextlib.aclosing(asked) as pages:
                async for lines in pages:
                    for line in lines:
                        links.follow(line)
                        file = file or SegmentFile(self.beside.ledger, links.lsn)
                        file.add(line)
                        if links.lsn == left[0].last:
                            made.append(file.sealed())
                            file = None
                            left.pop(0)
        finally:
            if file is not None:
                file.close()
        if left or links.hash != self.ends[run[-1].last]:
            raise Broken(links.lsn, "the entries do not end with the hash that they had")
        return made

    # --- payloads --------------------------------------------------------------------------

    def _look(self, lines: list[bytes]) -> None:
        """Hash the payloads that lines name, and note what is wrong with which."""
        names = sorted(self.seen.new(named(lines)) - {*self.record.missing})
        absent = set()
        for name, wrong in zip(names, reading.of_each(self.shelf.wrong, names), strict=True):
            self.looked += 1
            self.tell(PAYLOADS, self.looked, max(self.looked, self.record.blobs))
            if wrong:
                self.wrong[name] = wrong
            if wrong == MISSING:
                absent.add(name)
            elif wrong:
                self.owed.add(name)
        self.owed |= kept_here(lines, absent)

    # --- the end ---------------------------------------------------------------------------

    def _end(self, fetching: Fetching) -> Repaired:
        """Make all that came durable, and only then put it into its places."""
        self.beside.sync()
        for name in self.mended:
            _put(self.beside.ledger / name, self.at.ledger / name)
        came = sorted(self.wrong.keys() - {*fetching.missing})
        for name in came:
            _put(Path(Shelf(self.beside.blobs).path(name)), Path(self.shelf.path(name)))
        copies = sum(map(_made_anew, *zip(*self._copies(), strict=True)))
        self.at.sync()
        told = tuple(self.mended.get(one.name, one) for one in self.record.segments)
        if told != self.record.segments:  # another version of zstd packs the same lines otherwise
            records.write(self.at.root, dataclasses.replace(self.record, segments=told))
        shutil.rmtree(self.beside.root)
        for name in sorted(self.owed & {*fetching.missing}):
            self.problems.append(
                f"payload sha256:{name} {self.wrong[name]}, and lost or damaged in the store too"
            )
        return Repaired(
            directory=self.at.root,
            segments=len(self.mended),
            payloads=len(came),
            size=fetching.size,
            copies=copies,
            problems=tuple(self.problems),
        )

    def _copies(self) -> Iterator[tuple[Path, bytes]]:
        """Give the files that are made of `backup.json`, and what must be in them."""
        names = [segment.name for segment in self.record.segments]
        yield self.at.manifest, manifest(self.record.ledger, names)
        for name, text in self.record.state.items():
            yield self.at.document(name), text.encode()


def _runs(damaged: list[Segment]) -> list[list[Segment]]:
    """Put segments together that follow each other without a sound one between them."""
    runs: list[list[Segment]] = []
    for one in damaged:
        if runs and runs[-1][-1].last == one.first - 1:
            runs[-1].append(one)
        else:
            runs.append([one])
    return runs


def _before(line: bytes) -> str:
    """Return the hash of the line before, as a line that was followed tells it."""
    return line.rsplit(b'"', 6)[1].decode()


def _put(fetched: Path, target: Path) -> None:
    """Give a file its place, which may be on another file system."""
    with into(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if fetched.stat().st_dev == target.parent.stat().st_dev:
            fetched.replace(target)
            return
        with fetched.open("rb") as source, landing.published(target) as file:
            shutil.copyfileobj(source, file, _PIECE)


def _made_anew(path: Path, content: bytes) -> bool:
    """Write a file unless it has this content; say whether that was needed."""
    with contextlib.suppress(OSError):
        if path.read_bytes() == content:
            return False
    with landing.published(path) as file:
        file.write(content)
    return True
