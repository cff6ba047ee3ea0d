"""`backup.json`: what belongs to a backup. It is written last; what it names is never changed.

It is parsed only from the very bytes that its content is written as, which end in a digest of the
rest: of each byte that is not as it was, somebody hears. Documents are kept in it whole, for they
do change; the files in `state/` are copies of them, for a databuffer that is started on a backup.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from condstore import landing
from condstore.backup import unfinished
from condstore.backup.layout import DOCUMENT, LOCK, NAME, Layout
from condstore.chain import START
from condstore.errors import DamagedBackup, WrongBackup

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RECORD: Final = "backup.json"
_FORMAT: Final = 1
_HEX: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment's file, with the last LSN in it, its size and its SHA-256 as a file."""

    name: str
    last: int
    size: int
    sha256: str

    @property
    def first(self) -> int:
        """The LSN of its first line."""
        found = NAME.fullmatch(self.name)
        if found is None:
            raise ValueError(f"{self.name!r} is no segment")
        return int(found[1])


@dataclass(frozen=True, slots=True)
class Record:
    """A whole backup: which ledger, up to where, and what there is of it.

    `hash` and `last` are the hash and the time of the last entry. `time` is up to when it has all
    entries, by the databuffer's clock ("": not known beyond `last`); the first versions wrote when
    the ledger's head was asked for, by the clock of who asked. `missing` are digests (hex) of
    payloads that the store itself had lost.
    """

    ledger: str
    lsn: int = 0
    hash: str = START
    last: str = ""
    time: str = ""
    blobs: int = 0
    size: int = 0
    segments: tuple[Segment, ...] = ()
    missing: tuple[str, ...] = ()
    state: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def encode(self) -> bytes:
        """Return what `backup.json` holds."""
        told = {"format": _FORMAT, **dataclasses.asdict(self)}
        seal = hashlib.sha256(orjson.dumps(told)).hexdigest()
        return orjson.dumps({**told, "sha256": seal}, option=orjson.OPT_INDENT_2)

    @classmethod
    def parse(cls, raw: bytes) -> Record:
        """Read it back; raise `ValueError` for anything but what `encode` returns."""
        told = orjson.loads(raw)
        if told.pop("format") != _FORMAT:
            raise ValueError("a newer version wrote it")
        told.pop("sha256")
        record = _record(told)
        names_fit = all(map(DOCUMENT.fullmatch, record.state))
        if record.encode() != raw or not (names_fit and all(map(_HEX.fullmatch, record.missing))):
            raise ValueError("it is not what was written")
        return record


def _record(told: dict[str, Any]) -> Record:
    segments = tuple(Segment(**one) for one in told.pop("segments"))
    first = 1
    for one in segments:
        if one.first != first or one.last < first:
            raise ValueError(f"no segment has LSN {first}")
        first = one.last + 1
    return Record(**told | {"segments": segments, "missing": tuple(told["missing"])})


def read(directory: Path) -> Record:
    """Return the record of the backup in a directory.

    Raises:
        WrongBackup: there is none, or a first one that was never finished.
        DamagedBackup: it is not what was written.
    """
    path = directory / RECORD
    try:
        return Record.parse(path.read_bytes())
    except FileNotFoundError:
        if is_lost(directory):
            raise DamagedBackup(f"{path} is missing: {_mend(directory)}") from None
        if unfinished.is_in(directory):
            what = "the first backup here was never finished; run it again"
        else:
            what = f"there is no backup here: no {RECORD}"
        raise WrongBackup(f"{directory}: {what}") from None
    except NotADirectoryError:
        raise WrongBackup(f"{directory} is not a directory") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedBackup(f"{path} is damaged ({error}): {_mend(directory)}") from error


def is_lost(directory: Path) -> bool:
    """Say whether backups were taken into a directory and their record is there no more."""
    there = (directory / RECORD).exists() or unfinished.is_in(directory)
    return not there and (directory / LOCK).exists() and Layout.at(directory).ledger.exists()


def _mend(directory: Path) -> str:
    return (
        f"`condstore admin backup {directory} --repair` makes it again, of the ledger that is "
        "there and the store; or bring it from a copy of the directory"
    )


def write(directory: Path, record: Record) -> None:
    """Put a record into a directory, durably, in the place of the one before it."""
    with landing.published(directory / RECORD) as file:
        file.write(record.encode())
