"""What the streaming buffer is, as the ledger tells it: a pure fold over its `buffer.*` entries.

Everything the buffer shows (counters, list, log, status) is computed from this; the files under
`adm/`, `log/` and `data/` are copies of it that a start makes agree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from databuffer.names import Digest

STORED, FROZEN, CLEANED = "buffer.stored", "buffer.frozen", "buffer.cleaned"
PREFIX = "buffer."
OWN_KEYS = "buffer/"
STATE_KEY, SEGMENTS_KEY = OWN_KEYS + "state", OWN_KEYS + "segments"
NOBODY = "databuf"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One segment in the buffer."""

    name: str
    digest: Digest
    size: int
    time: str

    def log_line(self) -> bytes:
        """The line the log has for this file."""
        return orjson.dumps(self.logged()) + b"\n"

    def logged(self) -> dict[str, Any]:
        """The same as an object, with the members in the order the original wrote them."""
        return {
            "level": "info",
            "Id": 0,
            "size": self.size,
            "name": self.name,
            "time": self.time,
            "message": "Write file",
        }


@dataclass(frozen=True, slots=True)
class Archive:
    """What a clean put away: the directory's name and the files that belong in it."""

    name: str
    files: tuple[StoredFile, ...]


@dataclass(slots=True)
class BufferState:
    """The buffer now: `applied` is its last LSN, `moved` the one that last changed its status."""

    files: dict[str, StoredFile] = field(default_factory=dict)
    size: int = 0
    frozen: bool = False
    user: str = NOBODY
    token: str = NOBODY
    applied: int = 0
    moved: int = 0
    last_name_ns: int = 0
    archive: Archive | None = None

    def apply(self, lsn: int, time: str, kind: str, data: dict[str, Any]) -> None:
        """Take over one entry, in the order of the ledger."""
        self.applied = lsn
        if kind == STORED:
            self._store(StoredFile(data["name"], Digest(data["digest"]), data["size"], time))
        elif kind == FROZEN:
            self.moved, self.frozen = lsn, True
            self.user, self.token = data["user"], data["token"]
        elif kind == CLEANED:
            self.moved, self.frozen = lsn, False
            self.user = self.token = NOBODY
            self.archive = Archive(data["archive"], tuple(self.files.values()))
            self.files, self.size = {}, 0

    def stat(self) -> dict[str, int]:
        """What `/stat` answers and StatDesc.json holds."""
        return {"n_itm": len(self.files), "buff_size": self.size}

    def description(self) -> dict[str, str]:
        """What `/dstat` answers and Dsstat.json holds."""
        status = "FROZEN" if self.frozen else "OPERATIONAL"
        return {"dstatus": status, "user": self.user, "token": self.token}

    def _store(self, file: StoredFile) -> None:
        self.files[file.name] = file
        self.size += file.size
        self.last_name_ns = max(self.last_name_ns, nanoseconds_of(file.name))


def nanoseconds_of(name: str) -> int:
    """Read the number of a file such as `gwb1790000000000000000.json`, whatever its prefix."""
    digits = name.removesuffix(".json")[-19:]
    return int(digits) if digits.isdigit() else 0
