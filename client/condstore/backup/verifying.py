"""Verifying a backup: every byte that its record names is read again. Needs no server.

A damaged segment does not end it: what comes after is looked at too, so that all that is wrong is
named at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson

from condstore.backup import reading, unfinished
from condstore.backup import record as records
from condstore.backup.layout import FORMAT, Layout
from condstore.backup.links import Links, kept_here, named
from condstore.backup.shelf import MISSING, Seen, Shelf
from condstore.errors import DamagedBackup
from condstore.stages import ENTRIES, PAYLOADS, nobody

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from condstore.backup.record import Record
    from condstore.stages import Tell


@dataclass(frozen=True, slots=True)
class Checked:
    """What was looked at of a backup, and everything that is wrong with it.

    `unfinished` is whether a later run into it was killed; that is nothing wrong.
    """

    directory: Path
    record: Record
    payloads: int
    unfinished: bool
    problems: tuple[str, ...]


def verify(directory: Path, *, tell: Tell = nobody) -> Checked:
    """Read a whole backup.

    Raises:
        WrongBackup: there is none in the directory.
        DamagedBackup: what says what belongs to it is damaged.
    """
    record = records.read(directory)
    check = _Check(Layout.at(directory), record, tell)
    problems = [*check.ledger(), *check.lost()]
    begun = unfinished.is_in(directory)
    if begun:
        problems += check.begun()
    elif records.read(directory) == record:  # else a later run is changing them
        problems += [*check.manifest(), *check.documents()]
    return Checked(directory, record, check.payloads, begun, tuple(problems))


@dataclass(slots=True)
class _Check:
    """One look at a backup."""

    at: Layout
    record: Record
    tell: Tell
    shelf: Shelf = field(init=False)
    seen: Seen = field(default_factory=Seen)
    payloads: int = 0

    def __post_init__(self) -> None:
        self.shelf = Shelf(self.at.blobs)

    def ledger(self) -> Iterator[str]:
        """Read every segment, and every payload that is named in one, or in a document."""
        texts = [text.encode() for text in self.record.state.values()]
        yield from self._blobs(texts, "a document")
        links = Links()
        for segment in self.record.segments:
            where = f"LSN {segment.first} to {segment.last}"
            try:
                _, lines = reading.read(self.at.ledger, segment, links)
            except DamagedBackup as damaged:
                yield f"{damaged} ({where})"
                links = Links(segment.last, "")
            else:
                yield from self._blobs(lines, where)
            self.tell(ENTRIES, segment.last, self.record.lsn)
        if (links.lsn, links.hash or self.record.hash) != (self.record.lsn, self.record.hash):
            yield f"the ledger ends at LSN {links.lsn} with another hash than it had"

    def _blobs(self, lines: list[bytes], where: str) -> Iterator[str]:
        """Say which of the payloads that lines name are not as they were stored."""
        names = sorted(self.seen.new(named(lines)) - {*self.record.missing})
        absent = set()
        for name, wrong in zip(names, reading.of_each(self.shelf.wrong, names), strict=True):
            self.payloads += wrong != MISSING
            self.tell(PAYLOADS, self.payloads, max(self.payloads, self.record.blobs))
            if wrong == MISSING:
                absent.add(name)
            elif wrong:
                yield f"payload sha256:{name} {wrong} (named by {where})"
        for name in sorted(kept_here(lines, absent)):
            yield f"payload sha256:{name} {MISSING} (named by {where})"

    def lost(self) -> Iterator[str]:
        """Say what the store did not have when the backup was taken."""
        for name in self.record.missing:
            yield f"payload sha256:{name} was missing or damaged in the store itself"

    def begun(self) -> Iterator[str]:
        """Say what is wrong with what says that a run was killed."""
        try:
            unfinished.begun(self.at.root)
        except DamagedBackup as damaged:
            yield str(damaged)

    def manifest(self) -> Iterator[str]:
        """Say what is wrong with what a databuffer would read first."""
        names = [segment.name for segment in self.record.segments]
        told = {"format": FORMAT, "ledger": self.record.ledger, "segments": names}
        try:
            if orjson.loads(self.at.manifest.read_bytes()) != told:
                yield "ledger/ledger.json is damaged: it does not list what was backed up"
        except FileNotFoundError:
            yield "ledger/ledger.json is missing"
        except ValueError:
            yield "ledger/ledger.json is damaged: it does not parse"

    def documents(self) -> Iterator[str]:
        """Say what is wrong with the copies of documents."""
        for name, text in self.record.state.items():
            path = self.at.document(name)
            if not path.is_file():
                yield f"state/{name}.json is missing"
            elif path.read_bytes() != text.encode():
                yield f"state/{name}.json is damaged"
