"""Checking every line of a ledger at a start. Writes nothing.

Only the last segment, which is plain, may end in a torn line, which was never acknowledged.
Anything else that is not as it was written is damage, and raises.

Compressing replaces one file of a segment by another, so for a moment there are both: the listed
one holds, the other is superfluous. In a copy that was taken meanwhile there may be only the one
that is not listed. It has the same lines, and is taken.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING

from databuffer.errors import BadFrame, BadLine, DamagedLedger
from databuffer.store import frames
from databuffer.store.lines import Entry, check
from databuffer.store.manifest import (
    COMPRESSED,
    MANIFEST,
    PLAIN,
    Manifest,
    first_lsn,
    read_manifest,
    segment_name,
)
from databuffer.store.segments import Segment, lines_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from databuffer.store.sequencer import Sequencer


@dataclass(slots=True)
class Scan:
    """What a start found: nothing has been changed on disk yet."""

    manifest: Manifest | None
    segments: list[Segment] = field(default_factory=list)
    torn: int = 0
    superfluous: list[str] = field(default_factory=list)

    @property
    def listed(self) -> bool:
        """Whether the manifest lists just these segments."""
        names = tuple(segment.path.name for segment in self.segments)
        return self.manifest is not None and self.manifest.segments == names


def scan(root: Path, sequencer: Sequencer, seen: Callable[[Entry], None]) -> Scan:
    """Read and check the whole ledger; raise `DamagedLedger` for the first wrong line."""
    found = Scan(read_manifest(root))
    there = {path.name for path in root.iterdir() if first_lsn(path.name) is not None}
    names = _chosen(root, found.manifest, there)
    found.superfluous = sorted(there.difference(names))
    for name in names:
        segment = Segment(root / name, sequencer.lsn + 1)
        _expect_next(found, segment)
        found.torn = _replay(segment, sequencer, seen)
        found.segments.append(segment)
    return found


def _chosen(root: Path, manifest: Manifest | None, there: set[str]) -> list[str]:
    """Choose the files to read, in order; what was begun before a crash is not listed yet."""
    if manifest is None:
        for name in sorted(there):
            if (root / name).stat().st_size:
                raise DamagedLedger(MANIFEST, 0, f"it is missing, yet there is {name}")
        return sorted(there)[:1]
    listed = {first_lsn(name) or 0: name for name in manifest.segments}
    begun = {first_lsn(name) or 0 for name in there} - listed.keys()
    names = [_one_of(listed[first], first, there) for first in sorted(listed)]
    return sorted([*names, *(_one_of(segment_name(first), first, there) for first in begun)])


def _one_of(name: str, first: int, there: set[str]) -> str:
    """Take the file of this name, or else the segment's other one."""
    for each in (name, segment_name(first), segment_name(first, COMPRESSED)):
        if each in there:
            return each
    raise DamagedLedger(name, first, "the segment is missing")


def _expect_next(found: Scan, segment: Segment) -> None:
    """Refuse a segment that does not start where the ones before it ended."""
    if not found.torn and first_lsn(segment.path.name) == segment.first:
        return
    if found.segments:
        last = found.segments[-1].path.name
        raise DamagedLedger(last, segment.first, f"it ends before {segment.path.name} starts")
    raise DamagedLedger(segment_name(1, PLAIN), 1, "the segment is missing")


def _replay(segment: Segment, sequencer: Sequencer, seen: Callable[[Entry], None]) -> int:
    """Check a segment's lines into the sequencer; give the size of a torn last one."""
    if segment.compressed:
        _replay_frames(segment, sequencer, seen)
        return 0
    with segment.path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        for line in lines_of(file.read, size):
            if not line.endswith(b"\n"):
                return _torn(segment, line, sequencer)
            seen(_replay_line(segment, line, sequencer))
            segment.grow(sequencer.lsn, len(line))
    return 0


def _replay_frames(segment: Segment, sequencer: Sequencer, seen: Callable[[Entry], None]) -> None:
    with segment.path.open("rb") as file:
        while True:
            begun, before = file.tell(), sequencer.lsn
            try:
                content = frames.unpack(file)
            except BadFrame as error:
                raise DamagedLedger(segment.path.name, before + 1, str(error)) from error
            if content is None:
                return
            for line in lines_of(BytesIO(content).read, len(content)):
                seen(_replay_line(segment, line, sequencer))
            segment.note_frame(sequencer.lsn - before, file.tell() - begun)


def _replay_line(segment: Segment, line: bytes, sequencer: Sequencer) -> Entry:
    content, lsn = line[:-1], sequencer.lsn + 1
    try:
        entry = check(content, lsn, sequencer.hash)
    except BadLine as error:
        raise DamagedLedger(segment.path.name, lsn, str(error)) from error
    sequencer.replay(entry, content)
    return entry


def _torn(segment: Segment, rest: bytes, sequencer: Sequencer) -> int:
    """Tell a torn line, a beginning, from a whole one whose newline is another byte."""
    lsn = sequencer.lsn + 1
    try:
        check(rest[:-1], lsn, sequencer.hash)
    except BadLine:
        return len(rest)
    raise DamagedLedger(segment.path.name, lsn, "its newline is another byte")
