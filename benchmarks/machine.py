"""The machine, as a reader of the figures needs to know it; nothing that names or places it."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path


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
