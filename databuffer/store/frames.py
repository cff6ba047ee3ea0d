"""Whole lines in compressed frames: made here, read here, nowhere else.

A file is frames one after the other, each of about a MiB of lines, each readable without those
before it. A frame is zstd's, with its checksum of the content. Before it stands a skippable frame,
which every zstd tool passes over: how long the frame is, and the CRC-32 of its bytes, for there are
bits in a frame that change nothing when they flip. So every flipped byte is found, in its frame.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING
from zlib import crc32

import zstandard

from databuffer.errors import BadFrame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

_CONTENT = 1 << 20
_LEVEL = 3  # 6 takes half as long again, 12 thrice, for a hundredth less
_HEAD = struct.Struct("<IIII")
_SKIPPABLE, _TOLD = 0x184D2A50, 8
_MOST_TIMES = 1 << 15
"""A block of zstd's, 128 KiB of content, has four bytes at least."""


def bundled(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Group lines by what one frame holds; a line longer than that has a frame to itself."""
    taken: list[bytes] = []
    size = 0
    for line in lines:
        if taken and size + len(line) > _CONTENT:
            yield taken
            taken, size = [], 0
        taken.append(line)
        size += len(line)
    if taken:
        yield taken


def pack(lines: Iterable[bytes]) -> bytes:
    """Make the frame of these lines, with what stands before it."""
    frame = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(b"".join(lines))
    return _HEAD.pack(_SKIPPABLE, _TOLD, len(frame), crc32(frame)) + frame


def unpack(file: BinaryIO) -> bytes | None:
    """Read the lines of the frame that starts where the file stands; None: the file ends there.

    Raises:
        BadFrame: it is not what was written.
    """
    head = file.read(_HEAD.size)
    if not head:
        return None
    if len(head) < _HEAD.size:
        raise BadFrame("the frame is cut off")
    magic, told, size, crc = _HEAD.unpack(head)
    if (magic, told) != (_SKIPPABLE, _TOLD):
        raise BadFrame("no frame begins there")
    if size > os.fstat(file.fileno()).st_size - file.tell():
        raise BadFrame("the frame is cut off, or its length is wrong")
    frame = file.read(size)
    if crc32(frame) != crc:
        raise BadFrame("the frame's checksum does not fit its bytes")
    return _content(frame)


def contents(file: BinaryIO) -> Iterator[bytes]:
    """Read the lines of frame after frame, from where the file stands to its end."""
    while (content := unpack(file)) is not None:
        yield content


def _content(frame: bytes) -> bytes:
    try:
        if zstandard.frame_content_size(frame) > len(frame) * _MOST_TIMES:
            raise BadFrame("the frame says that it holds more than it can")
        content = zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise BadFrame(f"the frame does not unpack ({error})") from error
    if not content.endswith(b"\n"):
        raise BadFrame("the frame does not end with a line")
    return content
