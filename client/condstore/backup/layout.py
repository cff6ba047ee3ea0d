"""Where the files of a volume stand, which is where those of a backup stand too.

`ledger/ledger.json` lists the segments, `ledger/<first LSN, 20 digits>.jsonl[.zst]`; payloads are
`blobs/sha256/ab/cd/<64 hex>`, documents `state/<name>.json`. Names that are read are matched
whole, so that no path is made of anything else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from condstore.backup.writing import into, sync_file_system

if TYPE_CHECKING:
    from pathlib import Path

COMPRESSED: Final = ".jsonl.zst"
PLAIN: Final = ".jsonl"
NAME: Final = re.compile(r"([0-9]{20})\.jsonl\.zst")
DOCUMENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
FORMAT: Final = 2
LOCK: Final = "backup.lock"
"""What keeps a second backup out of the directory of a first."""
_NOT_OURS: Final = frozenset({"lost+found"})  # what a new file system has in it


@dataclass(frozen=True, slots=True)
class Layout:
    """A volume at `root`; `data` is where its blobs are, the same unless it has two parts."""

    root: Path
    data: Path

    @classmethod
    def at(cls, root: Path, data: Path | None = None) -> Layout:
        """Return the layout of a volume, of one or of two parts."""
        return cls(root, data or root)

    @property
    def ledger(self) -> Path:
        """Where the segments are."""
        return self.root / "ledger"

    @property
    def manifest(self) -> Path:
        """What lists them."""
        return self.ledger / "ledger.json"

    @property
    def state(self) -> Path:
        """Where documents are."""
        return self.root / "state"

    @property
    def blobs(self) -> Path:
        """Where payloads are."""
        return self.data / "blobs" / "sha256"

    def document(self, name: str) -> Path:
        """Return the path of a document."""
        return self.state / f"{name}.json"

    def make(self) -> None:
        """Make the directories, open to their owner alone: not everybody may read all of a store.

        One that is there keeps its mode.
        """
        for path in (self.ledger, self.state, self.blobs.parent, self.blobs):
            with into(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.mkdir(mode=0o700, exist_ok=True)

    def sync(self) -> None:
        """Make all that was written durable, on each file system that a directory may be on."""
        synced = set()
        for path in (self.root, self.data, self.ledger, self.state, self.blobs.parent, self.blobs):
            if path.exists() and (device := path.stat().st_dev) not in synced:
                sync_file_system(path)
                synced.add(device)


def segment_name(first: int, suffix: str = COMPRESSED) -> str:
    """Name the segment that begins with this LSN."""
    return f"{first:020d}{suffix}"


def manifest(ledger: str, names: list[str]) -> bytes:
    """Return what `ledger.json` says of a ledger with these segments."""
    return orjson.dumps({"format": FORMAT, "ledger": ledger, "segments": names})


def content(directory: Path) -> list[str]:
    """Return the names in a directory, none if there is none; without what a file system put."""
    if not directory.exists():
        return []
    return sorted(path.name for path in directory.iterdir() if path.name not in _NOT_OURS)
