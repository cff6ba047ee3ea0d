"""An independent reading of a databuffer's volume, from its files alone.

It shares no code with the databuffer, on purpose: what the documents promise about the files
is checked here as a stranger would check it, with the standard library and plain zstd only.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import zstandard
from servers import eventually

if TYPE_CHECKING:
    from pathlib import Path

Entry = dict[str, Any]

_SEGMENT = re.compile(r"[0-9]{20}\.jsonl(\.zst)?")
_BLOB = re.compile(r"sha256/([0-9a-f]{2})/([0-9a-f]{2})/([0-9a-f]{64})")
_JOURNAL = re.compile(r"journal/[0-9]{20}\.blobs")
_FIELDS = ["lsn", "time", "actor", "type", "data", "keys", "prev", "crc"]
_KEYED_FIELDS = [*_FIELDS[:6], "idempotency_key", *_FIELDS[6:]]
_ARCHIVE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
    r" [1-9][0-9]? [0-9]{2}:[0-9]{2}(-[1-9][0-9]*)?"
)


def sha256(raw: bytes) -> str:
    """Return the SHA-256 in hexadecimal digits."""
    return hashlib.sha256(raw).hexdigest()


@dataclass
class LedgerReader:
    """Reads a ledger's segments and checks every line; what it has checked may never change."""

    folder: Path
    entries: list[Entry] = field(default_factory=list)
    head: str = "0" * 64
    _checked: dict[str, tuple[int, str]] = field(default_factory=dict)

    def catch_up(self) -> list[Entry]:
        """Check the lines that are new, and that the old ones stand; return the new entries."""
        known = len(self.entries)
        segments = self.segments()
        assert self._checked.keys() <= segments.keys(), "a segment has gone"
        for name, path in segments.items():
            raw = segment_lines(path)
            size, digest = self._checked.get(name, (0, sha256(b"")))
            assert sha256(raw[:size]) == digest, f"{name}: lines once durable have changed"
            assert size or int(name[:20]) == len(self.entries) + 1, f"{name}: not the next LSN"
            assert raw[size:] == b"" or name == max(segments) or raw.endswith(b"\n")
            self._read(name, raw[size:])
            self._checked[name] = (len(raw), sha256(raw))
        return self.entries[known:]

    def _read(self, name: str, raw: bytes) -> None:
        assert raw == b"" or raw.endswith(b"\n"), f"{name}: a torn line was left"
        for line in raw.splitlines():
            where = f"{name}, LSN {len(self.entries) + 1}"
            entry = json.loads(line)
            expected = _KEYED_FIELDS if "idempotency_key" in entry else _FIELDS
            assert list(entry) == expected, f"{where}: fields {list(entry)}"
            assert entry["lsn"] == len(self.entries) + 1, f"{where}: LSN {entry['lsn']}"
            assert entry["prev"] == self.head, f"{where}: the chain is broken"
            checked = line[: line.rindex(b',"crc":')]
            assert entry["crc"] == f"{zlib.crc32(checked):08x}", f"{where}: wrong crc"
            assert not self.entries or self.entries[-1]["time"] <= entry["time"], where
            self.head = sha256(line)
            self.entries.append(entry)

    def segments(self) -> dict[str, Path]:
        """Return the segments' files in order, by their first LSN; each has one, the last plain."""
        paths = sorted(path for path in self.folder.iterdir() if _SEGMENT.fullmatch(path.name))
        found = {path.name[:20]: path for path in paths}
        assert len(found) == len(paths), f"a segment has two files: {paths}"
        assert not paths or paths[-1].suffix == ".jsonl", paths
        return found

    def lines(self) -> list[bytes]:
        """Return every line as it stands in the files, without its newline."""
        paths = self.segments().values()
        return [line for path in paths for line in segment_lines(path).splitlines()]


@dataclass
class BufferOracle:
    """What the streaming buffer must hold, according to the ledger."""

    segments: list[Entry] = field(default_factory=list)
    frozen: Entry | None = None
    archives: dict[str, list[Entry]] = field(default_factory=dict)

    def apply(self, entries: list[Entry]) -> None:
        """Take in entries, refusing a sequence that may not be."""
        for entry in entries:
            data = entry["data"]
            match entry["type"]:
                case "buffer.stored":
                    assert self.frozen is None, f"LSN {entry['lsn']}: stored while frozen"
                    names = [segment["name"] for segment in self.segments]
                    assert not names or names[-1] < data["name"], "names do not ascend"
                    self.segments.append(data)
                case "buffer.frozen":
                    assert self.frozen is None, f"LSN {entry['lsn']}: frozen twice"
                    self.frozen = data
                case "buffer.cleaned":
                    assert data["archive"] not in self.archives
                    assert data["n_itm"] == len(self.segments)
                    assert data["buff_size"] == self.size
                    self.archives[data["archive"]] = self.segments
                    self.segments, self.frozen = [], None

    @property
    def size(self) -> int:
        """The bytes of the files now in the buffer."""
        return sum(segment["size"] for segment in self.segments)

    @property
    def names(self) -> list[str]:
        """The files now in the buffer."""
        return [segment["name"] for segment in self.segments]


@dataclass
class VolumeOracle:
    """A whole volume: ledger, blobs, streaming buffer, and nothing beside them."""

    volume: Path
    ledger: LedgerReader = field(init=False)
    buffer: BufferOracle = field(default_factory=BufferOracle)
    blobs: dict[str, int] = field(default_factory=dict)
    """Digest (hexadecimal) and size of each blob whose bytes have been checked."""
    _archives: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Read the ledger from where it lies."""
        self.ledger = LedgerReader(self.volume / "ledger")

    def check(self) -> list[Entry]:
        """Check all of it; return the ledger entries that are new since the last time.

        Files that were checked before are only looked at for their size: call `check_again`
        at the end.
        """
        new = self.ledger.catch_up()
        self.buffer.apply(new)
        self._check_blobs()
        self._check_buffer()
        self._check_archives()
        self.check_nothing_else()
        return new

    def check_again(self) -> None:
        """Read every byte once more."""
        self.blobs.clear()
        self._archives.clear()
        self.check()

    def _check_blobs(self) -> None:
        root = self.volume / "blobs"
        found = set()
        for path in root.rglob("*"):
            if path.is_dir() or _JOURNAL.fullmatch(str(path.relative_to(root))):
                continue
            name = _BLOB.fullmatch(str(path.relative_to(root)))
            assert name, f"{path} is no blob"
            assert name[3].startswith(name[1] + name[2]), f"{path} lies in the wrong place"
            found.add(name[3])
            if name[3] not in self.blobs:
                raw = path.read_bytes()
                assert sha256(raw) == name[3], f"{path} is half-written"
                self.blobs[name[3]] = len(raw)
            assert path.stat().st_size == self.blobs[name[3]], f"{path} has changed"
        assert set(self.blobs) <= found, "a blob has gone"

    def _check_buffer(self) -> None:
        stat = {"n_itm": len(self.buffer.segments), "buff_size": self.buffer.size}
        # While segments stream the file is rewritten once a second.
        eventually(lambda: read_json(self.volume / "adm/StatDesc.json") == stat)
        description = read_json(self.volume / "adm/Dsstat.json")
        frozen = self.buffer.frozen
        assert description == {
            "dstatus": "FROZEN" if frozen else "OPERATIONAL",
            "user": frozen["user"] if frozen else "databuf",
            "token": frozen["token"] if frozen else "databuf",
        }
        check_files(self.volume / "data", self.buffer.segments)
        check_log(self.volume / "log/LogStream.json", self.buffer.segments)
        for segment in self.buffer.segments:
            assert self.blobs[segment["digest"].removeprefix("sha256:")] == segment["size"]

    def _check_archives(self) -> None:
        for name, segments in self.buffer.archives.items():
            assert _ARCHIVE.fullmatch(name), name
            assert (self.volume / name).is_dir(), f"the archive {name} is missing"
            if name in self._archives:
                continue
            check_files(self.volume / name, segments)
            logs = [p for p in (self.volume / name).iterdir() if not p.name.startswith("gwb")]
            assert len(logs) <= 1, f"{name}: {logs}"
            if segments:
                check_log(logs[0], segments)
            self._archives.add(name)

    def check_nothing_else(self) -> None:
        """Refuse any file which is not one that the documents name."""
        known = {"blobs", "data", "adm", "log", "ledger", "state", *self.buffer.archives}
        assert {path.name for path in self.volume.iterdir()} <= known
        assert {p.name for p in (self.volume / "adm").iterdir()} == {"StatDesc.json", "Dsstat.json"}
        assert {p.name for p in (self.volume / "log").iterdir()} <= {"LogStream.json"}
        for path in (self.volume / "ledger").iterdir():
            assert _SEGMENT.fullmatch(path.name) or path.name in {
                "ledger.json",
                "index.sqlite",
                "probe",
            }, path
        if (self.volume / "state").exists():
            for path in (self.volume / "state").iterdir():
                assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*\.json", path.name), path
                read_json(path)


def segment_lines(path: Path) -> bytes:
    """Return what a segment's file holds, unpacked as any tool would where it is compressed."""
    with zstandard.open(path, "rb") if path.suffix == ".zst" else path.open("rb") as file:
        return bytes(file.read())


def check_files(folder: Path, segments: list[Entry]) -> None:
    """Check that a folder holds these segments' files, byte for byte, and no other segment."""
    found = sorted(p.name for p in folder.iterdir() if p.name.startswith("gwb"))
    assert found == [segment["name"] for segment in segments], folder
    for segment in segments:
        raw = (folder / segment["name"]).read_bytes()
        assert len(raw) == segment["size"], segment["name"]
        assert f"sha256:{sha256(raw)}" == segment["digest"], segment["name"]


def check_log(log: Path, segments: list[Entry]) -> None:
    """Check that the log has one line a segment, in order."""
    raw = log.read_bytes() if log.exists() else b""
    assert raw == b"" or raw.endswith(b"\n"), f"{log} ends in half a line"
    lines = [json.loads(line) for line in raw.splitlines()]
    assert [(line["name"], line["size"]) for line in lines] == [
        (segment["name"], segment["size"]) for segment in segments
    ]


def read_json(path: Path) -> Any:
    """Return what a JSON file says."""
    return json.loads(path.read_bytes())


def snapshot(folder: Path) -> dict[str, str | None]:
    """Return every path under the folder with its digest (None for a directory)."""
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()) if path.is_file() else None
        for path in folder.rglob("*")
    }
