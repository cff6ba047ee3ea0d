"""Making the compressed file of a sealed segment. The original is only read.

The order: frames into a file without a name, synced, read back and compared with the original, and
only then given its name. Killed before that, nothing is left; after it, a file that is not listed,
which a start removes.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from databuffer.errors import StorageFailed
from databuffer.store import atomic, frames
from databuffer.store.manifest import COMPRESSED, segment_name
from databuffer.store.segments import Segment, lines_of

if TYPE_CHECKING:
    from collections.abc import Callable


def compress(segment: Segment, go_on: Callable[[], None]) -> Segment:
    """Put a compressed file beside a sealed segment, durable and equal to it, and return it.

    `go_on` is called before each frame, and stops the work by raising. Whatever is raised, there is
    no such file. Memory: a few frames.

    Raises:
        StorageFailed: what was read back is not the original.
    """
    folder = segment.path.parent
    made = Segment(folder / segment_name(segment.first, COMPRESSED), segment.first)
    upload = atomic.Upload(folder)
    try:
        _write(segment, made, upload, go_on)
        upload.sync()
        _compare(segment, upload, go_on)
        _publish(upload, made)
    finally:
        upload.close()
    return made


def discard(segment: Segment) -> None:
    """Remove the file of a segment that is not listed, durably."""
    segment.path.unlink(missing_ok=True)
    atomic.sync_directory(segment.path.parent)


def _write(
    segment: Segment, made: Segment, upload: atomic.Upload, go_on: Callable[[], None]
) -> None:
    with segment.path.open("rb") as file:
        for lines in frames.bundled(lines_of(file.read, segment.size)):
            go_on()
            frame = frames.pack(lines)
            upload.write(frame, hashed=False)
            made.note_frame(len(lines), len(frame))


def _compare(segment: Segment, upload: atomic.Upload, go_on: Callable[[], None]) -> None:
    with segment.path.open("rb") as original, upload.read_back() as file:
        for content in frames.contents(file):
            go_on()
            if original.read(len(content)) != content:
                raise StorageFailed(f"{segment.path.name}: compressed, it reads differently")
        if original.read(1):
            raise StorageFailed(f"{segment.path.name}: compressed, it is shorter")


def _publish(upload: atomic.Upload, made: Segment) -> None:
    """Give the file its name; one that is there was left by a try whose manifest failed."""
    folder = atomic.Folder(made.path.parent)
    try:
        if not upload.publish(folder, made.path.name):
            made.path.unlink()
            upload.publish(folder, made.path.name)
        folder.sync()
    except BaseException:
        with suppress(OSError):
            made.path.unlink(missing_ok=True)
        raise
    finally:
        folder.close()
