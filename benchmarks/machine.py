"""The machine, as a reader of the figures needs to know it; nothing that names or places it."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def describe(folder: Path) -> str:
    """Return one line: processor, cores, memory, kernel, file system of `folder`, Python, date."""
    return "; ".join(
        (
            f"{_processor()}, {os.cpu_count()} cores",
            f"{_memory_gib():.0f} GiB of memory",
            f"Linux {platform.release().split('-')[0]}",
            f"{_file_system(folder)}",
            f"{platform.python_implementation()} {platform.python_version()}",
            f"{datetime.now(UTC):%Y-%m-%d}",
        )
    )


@dataclass(frozen=True, slots=True)
class Work:
    """What has been done so far, in CPU seconds, and the time at which that was seen."""

    all: float
    ours: float
    at: float

    def others(self, since: Work) -> float:
        """Return what part of the machine other processes (and the kernel) took since then."""
        others = (self.all - since.all) - (self.ours - since.ours)
        return max(0.0, others / (self.at - since.at) / (os.cpu_count() or 1))


def work() -> Work:
    """Return what the machine has done, and this process with its descendants."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    idle = int(fields[3]) + int(fields[4])
    total = sum(map(int, fields[:8]))
    ended = os.times()  # what children took that have ended
    ours = sum(cpu_seconds(pid) for pid in family(os.getpid()))
    ours += ended.children_user + ended.children_system
    return Work((total - idle) / _TICK, ours, time.monotonic())


def family(pid: int) -> list[int]:
    """Return a process and its children, grandchildren and so on."""
    found = [pid]
    for one in found:
        for thread in Path(f"/proc/{one}/task").glob("*/children"):
            with contextlib.suppress(OSError):  # it ended meanwhile
                found += map(int, thread.read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, 0 if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return " ".join(line.partition(":")[2].split())
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30


def _file_system(folder: Path) -> str:
    """Return the type of the mount that holds the folder: the longest mount point above it."""
    above = {str(path) for path in (folder.resolve(), *folder.resolve().parents)}
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    return max((mount for mount in mounts if mount[0] in above), key=lambda mount: len(mount[0]))[1]
