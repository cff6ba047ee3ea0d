"""The files of a ledger: what is listed, the one that grows, and pages out of all of them.

What changes them runs in the ledger's own thread, so that nothing else changes `ledger.json`
meanwhile; readers come from any thread, and go on reading while a segment is begun or exchanged.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from databuffer.store import atomic
from databuffer.store.manifest import MANIFEST, Manifest, segment_name
from databuffer.store.protocols import Page
from databuffer.store.segments import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from databuffer.store.scan import Scan

_PAGE = 8 << 20


class SegmentFiles:
    """The segments in a directory: `recover` them before, `close` after."""

    def __init__(self, root: Path, segment_bytes: int, synced: Callable[[float], None]) -> None:
        """Keep them in a directory; `synced` is told the seconds that each sync took."""
        self._root, self._segment_bytes, self._synced = root, segment_bytes, synced
        self._manifest: Manifest
        self._file: atomic.AppendFile
        self._segments: list[Segment] = []

    @property
    def ledger(self) -> str:
        """The ledger's id."""
        return self._manifest.ledger

    def sealed(self) -> Segment | None:
        """Return the oldest sealed segment that is plain, if there is one."""
        return next((each for each in self._segments[:-1] if not each.compressed), None)

    def recover(self, found: Scan, following: int) -> None:
        """Make the disk what was found; `following` is the next LSN."""
        atomic.sweep(self._root)
        for name in found.superfluous:
            (self._root / name).unlink()
        self._segments = found.segments
        self._manifest = found.manifest or Manifest(secrets.token_hex(16), ())
        if not found.segments or found.segments[-1].compressed:
            self._segments = [*found.segments, self._segment(following)]
        last = self._segments[-1]
        self._file = self._open(last)
        if found.torn:
            self._file.cut(last.size)
        self._file.sync()
        atomic.sync_directory(self._root)
        if not found.listed or self._segments is not found.segments:
            self._list(self._segments)

    def append(self, first: int, lines: Sequence[bytes]) -> None:
        """Add lines, without newlines, from LSN `first` on; they are durable when this returns."""
        if self._segments[-1].size >= self._segment_bytes:
            self._begin(first)
        self._file.append(b"\n".join([*lines, b""]))
        segment = self._segments[-1]
        for lsn, line in enumerate(lines, first):
            segment.grow(lsn, len(line) + 1)

    def exchange(self, old: Segment, new: Segment) -> None:
        """List another file of a segment, durable and equal to the one it had, in its place."""
        segments = [new if each is old else each for each in self._segments]
        self._list(segments)
        self._segments = segments

    def read(self, after: int, limit: int, head: int) -> Page:
        """Take up to `limit` lines, about 8 MiB, after an LSN, none beyond `head`."""
        taken: list[bytes] = []
        most = _PAGE
        for place, segment in enumerate(self._segments):
            last = min(segment.last, head)
            if after < last:
                lines, count = self._read(place, after + 1, min(limit, last - after), most)
                taken.append(lines)
                after, limit, most = after + count, limit - count, most - len(lines)
                if after < last or not limit or most <= 0:
                    break  # the next line was too much: one from the next segment would leave a gap
        return Page(b"".join(taken), after)

    def close(self) -> None:
        """Let go of the file that grows."""
        self._file.close()

    def _read(self, place: int, lsn: int, limit: int, most: int) -> tuple[bytes, int]:
        segment = self._segments[place]
        try:
            return segment.read(lsn, limit, most)
        except FileNotFoundError:
            if self._segments[place] is segment:
                raise
            return self._segments[place].read(lsn, limit, most)  # it was exchanged just now

    def _begin(self, first: int) -> None:
        segment = self._segment(first)
        file = self._open(segment)
        try:
            atomic.sync_directory(self._root)
            self._list([*self._segments, segment])
        except BaseException:
            file.close()
            raise
        self._file.close()
        self._file = file
        self._segments = [*self._segments, segment]

    def _open(self, segment: Segment) -> atomic.AppendFile:
        return atomic.AppendFile(segment.path, create=True, synced=self._synced)

    def _segment(self, first: int) -> Segment:
        return Segment(self._root / segment_name(first), first)

    def _list(self, segments: list[Segment]) -> None:
        names = tuple(segment.path.name for segment in segments)
        manifest = Manifest(self._manifest.ledger, names)
        atomic.replace(self._root / MANIFEST, manifest.encode())
        self._manifest = manifest
