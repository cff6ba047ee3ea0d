"""Making a volume of a backup, as of its end, an LSN or a time. Needs no server.

Everything is verified while it is copied, and only what the kept entries name is. The ledger gets a
new id: other entries will come under LSNs that were answered before, and by the id replicas and
caches know it. `ledger.json` is written last, and its segments first: on what is not whole no
databuffer starts.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import orjson

from condstore import landing
from condstore.backup import reading
from condstore.backup import record as records
from condstore.backup.layout import PLAIN, Layout, content, manifest, segment_name
from condstore.backup.links import Links, kept_here, named, time_of
from condstore.backup.shelf import MISSING, Seen, Shelf
from condstore.backup.until import Until
from condstore.backup.writing import into, write_all
from condstore.errors import DamagedBackup, DamagedPayload, WrongBackup
from condstore.stages import ENTRIES, PAYLOADS, nobody

if TYPE_CHECKING:
    from pathlib import Path

    from condstore.backup.record import Record, Segment
    from condstore.stages import Tell

_REVOKED: Final = re.compile(rb'"type":"token\.revoked"')


@dataclass(frozen=True, slots=True)
class Restored:
    """A volume that was made of a backup, and what of it.

    `revoked` are ids of API tokens that were revoked later than it ends, as far as the backup
    knows: they are good again. `left_out` says what was damaged, and is not in the volume.
    """

    volume: Path
    backup: Path
    ledger: str
    was: str
    lsn: int
    time: str
    payloads: int
    size: int
    dropped: int
    missing: tuple[str, ...]
    revoked: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def restore(
    backup: Path,
    volume: Path,
    *,
    data: Path | None = None,
    until: Until | None = None,
    leave_damaged: bool = False,
    tell: Tell = nobody,
) -> Restored:
    """Make a volume in an empty or absent directory; `data` is where its blobs go, if elsewhere.

    With `leave_damaged` payloads that are damaged are left out and named, and what is damaged of
    the ledger after the LSN to restore to. Before it nothing of the ledger may be.

    Raises:
        WrongBackup: there is no such backup, entry or time in it, or no empty directory.
        DamagedBackup: a byte of what is restored is not as it was stored.
    """
    record = records.read(backup)
    wanted = until or Until()
    wanted.refuse_beyond(record)
    target = Layout.at(volume, data)
    for place in dict.fromkeys((target.root, target.data)):
        _refuse_unless_empty(place)
    return _Restoring(Layout.at(backup), target, record, wanted, tell, leave_damaged).all()


def _refuse_unless_empty(directory: Path) -> None:
    there = content(directory)
    if "ledger" in there and not (directory / "ledger" / "ledger.json").exists():
        raise WrongBackup(f"{directory} holds a restore that was not finished: empty it first")
    if there:
        raise WrongBackup(
            f"{directory} is not empty ({there[0]}): restore into an empty or a new directory"
        )


@dataclass(slots=True)
class _Restoring:
    """One restore."""

    backup: Layout
    to: Layout
    record: Record
    until: Until
    tell: Tell
    leave_damaged: bool
    shelf: Shelf = field(init=False)
    seen: Seen = field(default_factory=Seen)
    names: list[str] = field(default_factory=list)
    payloads: int = 0
    size: int = 0
    missing: list[str] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.shelf = Shelf(self.to.blobs)

    def all(self) -> Restored:
        """Copy, make durable, and only then let it be a ledger."""
        lsn, time = self._copy()
        self.to.make()
        for name, text in self.record.state.items():
            with landing.published(self.to.document(name)) as file:
                file.write(text.encode())
        self.to.sync()
        ledger = secrets.token_hex(16)
        with landing.published(self.to.manifest) as file:
            file.write(manifest(ledger, self.names))
        return Restored(
            volume=self.to.root,
            backup=self.backup.root,
            ledger=ledger,
            was=self.record.ledger,
            lsn=lsn,
            time=time,
            payloads=self.payloads,
            size=self.size,
            dropped=self.record.lsn - lsn,
            missing=tuple(sorted(self.missing)),
            revoked=tuple(dict.fromkeys(self.revoked)),
            left_out=tuple(sorted(self.left_out.values())),
        )

    def _copy(self) -> tuple[int, str]:
        """Copy segments and payloads up to the end that is wanted; return its LSN and time."""
        links, lsn, time, ended = Links(), 0, "", False
        for segment in self.record.segments:
            try:
                raw, lines = reading.read(self.backup.ledger, segment, links)
            except DamagedBackup as damaged:
                self._pass_over(segment, damaged, needed=not (ended or self.until.before(segment)))
                links = Links(segment.last, "")
                continue
            kept = 0 if ended else self.until.kept(segment, lines)
            ended = kept < len(lines)
            if not lsn:
                self._begin(lines[:kept])
            if kept:
                self._write(segment, raw, lines[:kept], whole=not ended)
                self._blobs(lines[:kept])
                lsn, time = segment.first + kept - 1, time_of(lines[kept - 1])
            self.revoked += _revoked(lines[kept:])
            self.tell(ENTRIES, segment.last, self.record.lsn)
        if (links.lsn, links.hash or self.record.hash) != (self.record.lsn, self.record.hash):
            raise DamagedBackup(f"the ledger ends at LSN {links.lsn} with another hash than it had")
        return lsn, time

    def _pass_over(self, segment: Segment, damaged: DamagedBackup, *, needed: bool) -> None:
        """Go on after a damaged segment that is not restored, if that is wanted; else raise."""
        if self.leave_damaged and not needed:
            self.left_out[segment.name] = f"{damaged}; it comes later, and may revoke API tokens"
            return
        earlier = segment.first - 1
        rest = f"; --leave-damaged --lsn {earlier} restores what is before it" if earlier else ""
        raise DamagedBackup(f"{damaged}{self._see()}{rest}") from damaged

    def _begin(self, kept: list[bytes]) -> None:
        """Make the directories, once it is known that there is something to restore."""
        if not kept:
            raise WrongBackup(f"no entry is as old as {self.until.time}: the first one is younger")
        self.to.make()
        self._blobs([text.encode() for text in self.record.state.values()])

    def _write(self, segment: Segment, raw: bytes, kept: list[bytes], *, whole: bool) -> None:
        """Write a segment, as it is or the kept lines of it, under its name at once.

        So what has begun is no empty directory.
        """
        name = segment.name if whole else segment_name(segment.first, PLAIN)
        path = self.to.ledger / name
        with into(path), path.open("wb", buffering=0) as file:
            write_all(file.fileno(), raw if whole else b"\n".join((*kept, b"")))
        self.names.append(name)

    def _blobs(self, lines: list[bytes]) -> None:
        """Copy the payloads that lines name; raise `DamagedBackup` for one that is not there."""
        names = sorted(self.seen.new(named(lines)))
        absent = set()
        for name, size in zip(names, reading.of_each(self._copied, names), strict=True):
            if size is None:
                absent.add(name)
            self.payloads += size is not None
            self.size += size or 0
            self.tell(PAYLOADS, self.payloads, max(self.payloads, self.record.blobs))
        self.missing += absent & {*self.record.missing}
        for name in sorted(kept_here(lines, absent - {*self.record.missing})):
            self._leave_out(name, MISSING)

    def _copied(self, name: str) -> int | None:
        """Copy a payload and return its size, None if there is none."""
        try:
            return Shelf(self.backup.blobs).copy(name, self.shelf)
        except FileNotFoundError:
            return None
        except DamagedPayload:
            if name not in self.record.missing:  # else the half of it that a killed run brought
                self._leave_out(name, "is damaged")
            return None
        except OSError as error:
            self._leave_out(name, f"cannot be read ({error.strerror})")
            return None

    def _leave_out(self, name: str, wrong: str) -> None:
        """Note a payload that is not restored, if that is wanted; else raise `DamagedBackup`."""
        said = f"payload sha256:{name} {wrong} in the backup"
        if not self.leave_damaged:
            raise DamagedBackup(
                f"{said}{self._see()}, --leave-damaged restores all else; {self.to.root} is not "
                "whole, no databuffer starts on it"
            )
        self.left_out.setdefault(name, said)

    def _see(self) -> str:
        root = self.backup.root
        return (
            f": `condstore admin verify {root}` names all that is wrong, `condstore admin backup "
            f"{root} --repair` fetches it from the store"
        )


def _revoked(lines: list[bytes]) -> list[str]:
    """Return the ids of the API tokens that lines revoke."""
    found = (orjson.loads(line) for line in lines if _REVOKED.search(line))
    return [str(entry["data"]["token"]) for entry in found if entry["type"] == "token.revoked"]
