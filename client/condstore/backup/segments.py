"""Segments of a ledger as compressed files: `SegmentFile` writes one, `lines_of` reads one.

They are as the databuffer writes them when it compresses a sealed segment: zstd frames of about
1 MiB, each of whole lines, before each a skippable frame with its length and the CRC-32 of its
bytes. `zstdcat` reads them.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from typing import TYPE_CHECKING, Final

import zstandard

from condstore.backup.layout import segment_name
from condstore.backup.record import Segment
from condstore.backup.writing import into, write_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FRAME: Final = 1 << 20
_MOST: Final = 64 << 20  # bytes of lines in a segment, as the databuffer's own
_HEAD: Final = struct.Struct("<IIII")
_SKIPPABLE, _TOLD = 0x184D2A50, 8
_LEVEL: Final = 3


class SegmentFile:
    """A segment being written, under a temporary name until it is `sealed`."""

    def __init__(self, folder: Path, first: int) -> None:
        self._path = folder / segment_name(first)
        self._beside = folder / f".{self._path.name}.new"
        with into(self._path):
            self._number = os.open(self._beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
        self._hash, self._size = hashlib.sha256(), 0
        self._waiting: list[bytes] = []
        self._bytes = self._in_frame = 0
        self._last = first - 1

    @property
    def full(self) -> bool:
        """Whether the next line belongs into another segment."""
        return self._bytes >= _MOST

    def add(self, line: bytes) -> None:
        """Take a line, without its newline."""
        self._waiting.append(line)
        self._last += 1
        self._bytes += len(line) + 1
        self._in_frame += len(line) + 1
        if self._in_frame >= _FRAME:
            self._write_frame()

    def sealed(self) -> Segment:
        """Give the file its name, and say what it is; not durable yet."""
        if self._waiting:
            self._write_frame()
        self.close()
        self._beside.replace(self._path)
        return Segment(self._path.name, self._last, self._size, self._hash.hexdigest())

    def close(self) -> None:
        """Let go of the file; closing twice is harmless."""
        if self._number >= 0:
            os.close(self._number)
            self._number = -1

    def _write_frame(self) -> None:
        frame = self._compressor.compress(b"\n".join((*self._waiting, b"")))
        frame = _HEAD.pack(_SKIPPABLE, _TOLD, len(frame), zlib.crc32(frame)) + frame
        self._waiting, self._in_frame = [], 0
        self._hash.update(frame)
        self._size += len(frame)
        with into(self._path):
            write_all(self._number, frame)


def lines_of(raw: bytes) -> Iterator[bytes]:
    """Yield the lines in a compressed segment's bytes, without their newlines.

    Raises `ValueError` where they are not what a segment is.
    """
    at = 0
    while at < len(raw):
        if len(raw) - at < _HEAD.size:
            raise ValueError("it is cut off")
        magic, told, size, crc = _HEAD.unpack_from(raw, at)
        begin, at = at + _HEAD.size, at + _HEAD.size + size
        frame = memoryview(raw)[begin:at]
        if (magic, told) != (_SKIPPABLE, _TOLD) or len(frame) != size or zlib.crc32(frame) != crc:
            raise ValueError(f"no whole frame begins at byte {begin - _HEAD.size}")
        yield from _unpacked(frame)


def _unpacked(frame: memoryview) -> list[bytes]:
    try:
        *lines, rest = zstandard.ZstdDecompressor().decompress(frame).split(b"\n")
    except zstandard.ZstdError as error:
        raise ValueError(f"a frame cannot be unpacked ({error})") from error
    if rest:
        raise ValueError("a frame ends in half a line")
    return lines


def in_file(path: Path, known: Segment | None = None) -> tuple[bytes, str]:
    """Return the bytes of a segment's file and their SHA-256.

    Raises `FileNotFoundError`, and `ValueError` if they are not those of the segment `known`.
    """
    raw = path.read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    if known is not None and digest != known.sha256:
        raise ValueError(f"its {len(raw)} bytes are not the {known.size} that were written")
    return raw, digest
