"""What files take on the disk, and what the processes of a tier take of memory and cores."""

from __future__ import annotations

import contextlib
import stat
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.servers import Server

_BLOCK = 512
_LOOK_EVERY = 0.5


def size(paths: Iterable[Path]) -> int:
    """Return how many bytes are in these files."""
    return sum(path.stat().st_size for path in paths if path.is_file())


def allocated(folder: Path) -> tuple[int, int]:
    """Return how many bytes of the disk the files below a folder take, and the folders."""
    found = [path.lstat() for path in folder.rglob("*")]
    folders = sum(one.st_blocks for one in found if stat.S_ISDIR(one.st_mode))
    return (sum(one.st_blocks for one in found) - folders) * _BLOCK, folders * _BLOCK


@dataclass(frozen=True, slots=True)
class Taken:
    """A tier's cores, and its memory at the end and at most, in bytes.

    `resident` is of each process but gunicorn's own: what several share counts in each.
    `shared_out` counts that once, so it is what the tier takes of the machine; `highest` is the
    most of it that was seen.
    """

    cores: float
    resident: tuple[int, ...]
    shared_out: int
    highest: int


class Watch:
    """Looks at one tier twice a second, in a thread, while a block runs."""

    def __init__(self, server: Server) -> None:
        self._server, self._ended = server, threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._highest = 0
        self.taken = Taken(0.0, (), 0, 0)

    def __enter__(self) -> Self:
        self._begun, self._cpu = time.monotonic(), self._server.cpu()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        cores = (self._server.cpu() - self._cpu) / (time.monotonic() - self._begun)
        self._ended.set()
        self._thread.join()
        now = _shared_out(self._server)
        pids = self._server.processes()
        workers = pids[1:] or pids
        resident = tuple(_told(pid, "Rss") for pid in workers)
        self.taken = Taken(cores, resident, now, max(now, self._highest))

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_EVERY):
            self._highest = max(self._highest, _shared_out(self._server))


def _shared_out(server: Server) -> int:
    return sum(_told(pid, "Pss") for pid in server.processes())


def _told(pid: int, name: str) -> int:
    """Return a figure of a process, in bytes; 0 if it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return 1024 * int(line.split()[1])
    return 0
