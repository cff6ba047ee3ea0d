"""`ledger.json`: which ledger this is and which segments it has; and how segments are called.

Format 1 lists segments by their first LSN, all of them plain. Format 2 lists file names, because a
segment may be compressed; it is written once one is, so that an older version can start on a volume
as long as it can read it. Both are read for ever.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from databuffer.errors import DamagedLedger

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = "ledger.json"
PLAIN = ".jsonl"
COMPRESSED = ".jsonl.zst"
_NAME = re.compile(r"([0-9]{20})(\.jsonl|\.jsonl\.zst)")
_ID = re.compile(r"[0-9a-fA-F]{32}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """The ledger's random id, and the names of its segments in order."""

    ledger: str
    segments: tuple[str, ...]

    def encode(self) -> bytes:
        """Serialise for `ledger.json`."""
        plain = all(name.endswith(PLAIN) for name in self.segments)
        names = [name.removesuffix(PLAIN) if plain else name for name in self.segments]
        told = {"format": 1 if plain else 2, "ledger": self.ledger, "segments": names}
        return orjson.dumps(told)


def segment_name(first: int, suffix: str = PLAIN) -> str:
    """Name the segment that starts with this LSN."""
    return f"{first:020d}{suffix}"


def first_lsn(name: str) -> int | None:
    """Say which LSN a segment of this name starts with; None: no segment is called so."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else None


def read_manifest(root: Path) -> Manifest | None:
    """Read what is listed; None where nothing is yet. Raise `DamagedLedger`."""
    try:
        raw = orjson.loads((root / MANIFEST).read_bytes())
        return Manifest(_ledger(raw), tuple(_names(raw)))
    except FileNotFoundError:
        return None
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise DamagedLedger(MANIFEST, 0, "it does not parse") from error


def _ledger(raw: dict[str, Any]) -> str:
    ledger = raw["ledger"]
    if not isinstance(ledger, str) or not _ID.fullmatch(ledger):
        raise DamagedLedger(MANIFEST, 0, "the ledger's id is not 32 hexadecimal digits")
    return ledger


def _names(raw: dict[str, Any]) -> list[str]:
    match raw["format"]:
        case 1:
            names = [name + PLAIN for name in raw["segments"]]
        case 2:
            names = list(raw["segments"])
        case other:
            raise DamagedLedger(MANIFEST, 0, f"format {other} is not known here")
    for name in names:
        if first_lsn(name) is None:
            raise DamagedLedger(MANIFEST, 0, f"{name!r} is no segment's name")
    return names
