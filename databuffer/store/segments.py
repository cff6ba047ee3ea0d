"""One file of a ledger, plain or compressed: any of its lines, without reading those before it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING

from databuffer.errors import BadFrame
from databuffer.store.frames import contents
from databuffer.store.manifest import COMPRESSED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

_MARK_EVERY = 1 << 16
_BLOCK = 1 << 20


@dataclass(slots=True)
class Segment:
    """A file's first and last LSN, how much of it is durable, and offsets to begin reading at.

    There is a mark, the LSN of a line and where it is, for about every 64 KiB of a plain file, and
    for every frame of a compressed one.
    """

    path: Path
    first: int
    size: int = 0
    last: int = 0
    marks: list[tuple[int, int]] = field(default_factory=list)

    @property
    def compressed(self) -> bool:
        """Whether the lines are in frames."""
        return self.path.name.endswith(COMPRESSED)

    def grow(self, lsn: int, size: int) -> None:
        """Note a durable line of a plain file: its LSN and its size with the newline."""
        if not self.marks or self.size - self.marks[-1][1] >= _MARK_EVERY:
            self.marks.append((lsn, self.size))
        self.size += size
        self.last = lsn

    def note_frame(self, lines: int, size: int) -> None:
        """Note a durable frame of a compressed file: how many lines it holds, and its size."""
        first = self.last + 1 if self.last else self.first
        self.marks.append((first, self.size))
        self.size += size
        self.last = first + lines - 1

    def read(self, lsn: int, limit: int, most: int) -> tuple[bytes, int]:
        """Take up to `limit` lines from `lsn` on, about `most` bytes; and how many they are."""
        marked, offset = self.marks[bisect_right(self.marks, (lsn, self.size)) - 1]
        taken: list[bytes] = []
        with self.path.open("rb") as file:
            for number, line in enumerate(self._lines(file, offset), marked):
                if number < lsn:
                    continue
                most -= len(line)
                if taken and most < 0:
                    break
                taken.append(line)
                if len(taken) == limit:
                    break
        return b"".join(taken), len(taken)

    def _lines(self, file: BinaryIO, offset: int) -> Iterator[bytes]:
        file.seek(offset)
        if not self.compressed:
            yield from lines_of(file.read, self.size - offset)
            return
        try:
            for content in contents(file):
                yield from lines_of(BytesIO(content).read, len(content))
        except BadFrame as error:
            raise BadFrame(f"{self.path.name}: {error}") from error


def lines_of(read: Callable[[int], bytes], size: int) -> Iterator[bytes]:
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
