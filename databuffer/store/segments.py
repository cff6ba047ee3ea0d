"""The ledger's files: reading them, and checking every line of them at a start. Writes nothing.

A ledger is a list of segments, `<first LSN, 20 digits>.jsonl`, named in `ledger.json`. Only the
last may end in a torn line, which was never acknowledged. Anything else that is not as it was
written is damage, and raises.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson

from databuffer.errors import BadLine, DamagedLedger
from databuffer.store.lines import Entry, check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from databuffer.store.sequencer import Sequencer

FORMAT = 1
MANIFEST = "ledger.json"
SUFFIX = ".jsonl"
_NAME = re.compile(r"([0-9]{20})\.jsonl")
_MARK_EVERY = 1 << 16
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """Which ledger this is and which segments it has."""

    ledger: str
    segments: tuple[str, ...]

    def encode(self) -> bytes:
        """Serialise for `ledger.json`."""
        return orjson.dumps(
            {
                "format": FORMAT,
                "ledger": self.ledger,
                "segments": [name.removesuffix(SUFFIX) for name in self.segments],
            }
        )


@dataclass(slots=True)
class Segment:
    """One file: its first LSN, how much of it is durable, and an offset for about every 64 KiB."""

    path: Path
    first: int
    size: int = 0
    last: int = 0
    marks: list[tuple[int, int]] = field(default_factory=list)

    def grow(self, lsn: int, size: int) -> None:
        """Note a durable line: its LSN and its size with the newline."""
        if not self.marks or self.size - self.marks[-1][1] >= _MARK_EVERY:
            self.marks.append((lsn, self.size))
        self.size += size
        self.last = lsn

    def read(self, lsn: int, limit: int, most: int) -> tuple[bytes, int]:
        """Take up to `limit` lines from `lsn` on, about `most` bytes; and how many they are."""
        marked, offset = self.marks[bisect_right(self.marks, (lsn, self.size)) - 1]
        taken: list[bytes] = []
        with self.path.open("rb") as file:
            file.seek(offset)
            for number, line in enumerate(_lines(file.read, self.size - offset), marked):
                if number < lsn:
                    continue
                most -= len(line)
                if taken and most < 0:
                    break
                taken.append(line)
                if len(taken) == limit:
                    break
        return b"".join(taken), len(taken)


@dataclass(slots=True)
class Scan:
    """What a start found: nothing has been changed on disk yet."""

    manifest: Manifest | None
    segments: list[Segment]
    torn: int = 0
    unlisted: bool = False


def segment_name(first: int) -> str:
    """Name the segment that starts with this LSN."""
    return f"{first:020d}{SUFFIX}"


def scan(root: Path, sequencer: Sequencer, seen: Callable[[Entry], None]) -> Scan:
    """Read and check the whole ledger; raise `DamagedLedger` for the first wrong line."""
    manifest = _manifest(root)
    found = Scan(manifest, [])
    names, found.unlisted = _names(root, manifest)
    for name in names:
        segment = Segment(root / name, sequencer.lsn + 1)
        _expect_next(found, segment)
        found.torn = _replay(segment, sequencer, seen)
        found.segments.append(segment)
    return found


def _expect_next(found: Scan, segment: Segment) -> None:
    """Refuse a segment that does not start where the ones before it ended."""
    if not found.torn and segment.path.name == segment_name(segment.first):
        return
    if found.segments:
        last = found.segments[-1].path.name
        raise DamagedLedger(last, segment.first, f"it ends before {segment.path.name} starts")
    raise DamagedLedger(segment_name(1), 1, "the segment is missing")


def _manifest(root: Path) -> Manifest | None:
    try:
        raw = orjson.loads((root / MANIFEST).read_bytes())
        if raw["format"] != FORMAT:
            raise DamagedLedger(MANIFEST, 0, f"format {raw['format']} is not known here")
        return Manifest(raw["ledger"], tuple(name + SUFFIX for name in raw["segments"]))
    except FileNotFoundError:
        return None
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise DamagedLedger(MANIFEST, 0, "it does not parse") from error


def _names(root: Path, manifest: Manifest | None) -> tuple[list[str], bool]:
    """List the segments in order; and whether the last was made, but not listed, before a crash."""
    there = sorted(path.name for path in root.iterdir() if _NAME.fullmatch(path.name))
    if manifest is None:
        for name in there:
            if (root / name).stat().st_size:
                raise DamagedLedger(MANIFEST, 0, f"it is missing, yet there is {name}")
        return there[:1], bool(there)
    listed = list(manifest.segments)
    if missing := [name for name in listed if name not in there]:
        raise DamagedLedger(missing[0], _first(missing[0]), "the segment is missing")
    extra = [name for name in there if name not in listed]
    return sorted(listed + extra), bool(extra)


def _first(name: str) -> int:
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else 0


def _replay(segment: Segment, sequencer: Sequencer, seen: Callable[[Entry], None]) -> int:
    """Check a segment's lines into the sequencer; give the size of a torn last one."""
    with segment.path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        for line in _lines(file.read, size):
            if not line.endswith(b"\n"):
                return _torn(segment, line, sequencer)
            content = line[:-1]
            entry = _checked(segment, content, sequencer)
            sequencer.replay(entry, content)
            segment.grow(entry.lsn, len(line))
            seen(entry)
    return 0


def _checked(segment: Segment, content: bytes, sequencer: Sequencer) -> Entry:
    lsn = sequencer.lsn + 1
    try:
        return check(content, lsn, sequencer.hash)
    except BadLine as error:
        raise DamagedLedger(segment.path.name, lsn, str(error)) from error


def _torn(segment: Segment, rest: bytes, sequencer: Sequencer) -> int:
    """Tell a torn line, a beginning, from a whole one whose newline is another byte."""
    lsn = sequencer.lsn + 1
    try:
        check(rest[:-1], lsn, sequencer.hash)
    except BadLine:
        return len(rest)
    raise DamagedLedger(segment.path.name, lsn, "its newline is another byte")


def _lines(read: Callable[[int], bytes], size: int) -> Iterator[bytes]:
    """Cut the next `size` bytes into lines that keep their newline; the last may have none."""
    rest: list[bytes] = []
    while size and (block := read(min(_BLOCK, size))):
        size -= len(block)
        *whole, tail = block.split(b"\n")
        if whole:
            rest.append(whole[0])
            yield b"".join(rest) + b"\n"
            for line in whole[1:]:
                yield line + b"\n"
            rest = []
        if tail:
            rest.append(tail)
    if rest:
        yield b"".join(rest)
