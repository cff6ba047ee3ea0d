"""What the machine itself gives: the disk and SHA-256, with nothing of ours between.

Single-threaded loops in this process. Files are new each time and none is deleted: file systems
make a benchmark that deletes and recreates files look ten times slower than it is.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import time
from typing import TYPE_CHECKING

from benchmarks.report import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

_serial = itertools.count(1)


def appends(folder: Path, count: int, seconds: float, limit: int = 2**63) -> float:
    """Return how often a second `count` bytes are appended to one file and made durable."""
    block = memoryview(os.urandom(count))
    file = os.open(_fresh(folder), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        return _rate(lambda: _written(file, block), seconds, limit)
    finally:
        os.close(file)


def new_files(folder: Path, count: int, seconds: float, limit: int = 2**63) -> float:
    """Return how many new files of `count` bytes a second are written and made durable."""
    block = memoryview(os.urandom(count))

    def store() -> None:
        file = os.open(_fresh(folder), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            _written(file, block)
        finally:
            os.close(file)

    return _rate(store, seconds, limit)


def cold_reads(files: Iterable[Path]) -> float:
    """Return the bytes a second read from these files once they left the page cache."""
    files = list(files)
    evict(files)
    into = memoryview(bytearray(MIB))
    total, begin = 0, time.perf_counter()
    for path in files:
        file = os.open(path, os.O_RDONLY)
        while got := os.readv(file, [into]):
            total += got
        os.close(file)
    return total / (time.perf_counter() - begin)


def evict(files: Iterable[Path]) -> None:
    """Drop the files' pages from the page cache, as far as the kernel follows the advice."""
    for path in files:
        file = os.open(path, os.O_RDONLY)
        os.fdatasync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def sha256(seconds: float) -> float:
    """Return the bytes a second that one core hashes."""
    block = os.urandom(MIB)
    digest = hashlib.sha256()
    return _rate(lambda: digest.update(block), seconds, 2**63) * MIB


def _fresh(folder: Path) -> Path:
    return folder / f"floor-{os.getpid()}-{next(_serial)}"


def _written(file: int, block: memoryview) -> None:
    for at in range(0, len(block), MIB):
        os.write(file, block[at : at + MIB])
    os.fdatasync(file)


def _rate(act: Callable[[], None], seconds: float, limit: int) -> float:
    done, begin = 0, time.perf_counter()
    while done < limit and (done == 0 or time.perf_counter() - begin < seconds):
        act()
        done += 1
    return done / (time.perf_counter() - begin)
