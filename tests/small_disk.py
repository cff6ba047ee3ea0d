"""A databuffer whose disk can be filled and freed: a real small file system, or injected errors.

Run as a program it is the databuffer with the calls that write to files replaced: as long as the
file named by SMALL_DISK_ERROR exists they fail with the error number in it. That stands in where
a test may not mount, and runs everywhere so that it keeps working.
"""

from __future__ import annotations

import contextlib
import errno
import os
import runpy
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from servers import databuffer_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Running

SIZE = 64 << 20


@dataclass
class SmallDisk:
    """A databuffer on a disk that a test may fill up and free again."""

    running: Running
    volume: Path
    fill: Callable[[], None]
    free: Callable[[], None]


@dataclass
class Mounted:
    """A small file system."""

    point: Path

    @property
    def left(self) -> int:
        """How many bytes are free."""
        found = os.statvfs(self.point)
        return found.f_bavail * found.f_frsize

    def fill(self, leaving: int = 0) -> None:
        """Take all of it but so many bytes."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                with contextlib.suppress(OSError):
                    while self.left >= leaving + size and file.write(bytes(size)):
                        pass

    def free(self) -> None:
        """Give back what was taken."""
        self._ballast.unlink()

    @property
    def _ballast(self) -> Path:
        return self.point / "ballast"


@contextlib.contextmanager
def file_system(folder: Path, name: str = "small", size: int = SIZE) -> Iterator[Mounted | None]:
    """Mount a small file system at `folder/name`; give None where that is not permitted."""
    point = folder / name
    point.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(point)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        yield Mounted(point)
    finally:
        subprocess.run(["umount", "--lazy", str(point)], check=True)


@contextlib.contextmanager
def mounted(folder: Path) -> Iterator[SmallDisk | None]:
    """Mount a file system of 64 MiB for the volume; give None where that is not permitted."""
    with file_system(folder) as small:
        if small is None:
            yield None
            return
        volume = small.point / "volume"
        running = databuffer_at(folder, VOLUME_ROOT=str(volume))
        yield SmallDisk(running, volume, small.fill, small.free)


@contextlib.contextmanager
def injected(folder: Path, error: int = errno.ENOSPC) -> Iterator[SmallDisk]:
    """Let writes fail as on a full volume, or with another error."""
    told = folder / "error"
    running = databuffer_at(folder, SMALL_DISK_ERROR=str(told))
    running.command = [sys.executable, __file__]
    yield SmallDisk(running, folder / "volume", lambda: _put(told, error), told.unlink)


def _put(path: Path, error: int) -> None:
    """Write the number so that nobody sees the file without it."""
    new = path.with_suffix(".new")
    new.write_text(str(error))
    new.replace(path)


def _inject(told: Path) -> None:
    """Replace the calls that take space; and those that sync, unless the disk is merely full."""

    def refuse(descriptor: int, *, full: bool) -> None:
        if descriptor > 2 and stat.S_ISREG(os.fstat(descriptor).st_mode):
            with contextlib.suppress(FileNotFoundError):
                error = int(told.read_text())
                if full or error != errno.ENOSPC:
                    raise OSError(error, os.strerror(error))

    def guarded(call: Callable[..., Any], *, full: bool) -> Callable[..., Any]:
        def write(descriptor: int, *rest: Any) -> Any:
            refuse(descriptor, full=full)
            return call(descriptor, *rest)

        return write

    for name in ("write", "writev", "pwrite", "pwritev", "posix_fallocate"):
        setattr(os, name, guarded(getattr(os, name), full=True))
    for name in ("fsync", "fdatasync"):
        setattr(os, name, guarded(getattr(os, name), full=False))


if __name__ == "__main__":
    _inject(Path(os.environ["SMALL_DISK_ERROR"]))
    sys.path[0] = str(Path.cwd())
    runpy.run_module("databuffer", run_name="__main__", alter_sys=True)
