"""The buffer's files: `data/`, `log/LogStream.json`, `adm/StatDesc.json` and `Dsstat.json`.

Other pods mount `data/` and read it, so a file appears whole or not at all. Nothing here is synced
segment by segment: the ledger and the blobs are, and `agree` repairs these files from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from databuffer.names import Digest
from databuffer.store import atomic

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from databuffer.buffer.state import Archive, BufferState, StoredFile
    from databuffer.config import Config


class BufferFiles:
    """Writes the buffer's files. Every call blocks; one at a time."""

    def __init__(self, config: Config) -> None:
        self._data, self._archives = config.dataroot, config.dtvolroot
        self._log = config.logroot / config.logstream
        self._stat = config.admroot / config.admfnm
        self._description = config.admroot / config.dsst

    def prepare(self) -> None:
        """Make the directories and sweep temporary files."""
        for directory in (self._data, self._log.parent, self._stat.parent):
            atomic.prepare_directory(directory)

    def add(self, files: Sequence[tuple[StoredFile, bytes]]) -> None:
        """Put stored segments into `data/` and the log."""
        for file, content in files:
            atomic.replace(self._data / file.name, content, durable=False)
        atomic.append_line(self._log, b"".join(file.log_line() for file, _ in files))

    def count(self, stat: dict[str, int]) -> None:
        """Write the counters."""
        atomic.replace(self._stat, orjson.dumps(stat), durable=False)

    def describe(self, state: BufferState) -> None:
        """Write the counters and the status, durably."""
        atomic.replace(self._stat, orjson.dumps(state.stat()))
        atomic.replace(self._description, orjson.dumps(state.description()))

    def free_archive_name(self, wanted: str) -> str:
        """Give the name, or the name with `-2`, `-3`, … when a directory has it already."""
        name, number = wanted, 1
        while (self._archives / name).exists():
            number += 1
            name = f"{wanted}-{number}"
        return name

    def settle(self, names: Iterable[str]) -> None:
        """Make `data/` durable: a start repairs the buffer's files, but not those in an archive."""
        for name in names:
            atomic.sync_file(self._data / name)
        atomic.sync_directory(self._data)

    def put_away(self, archive: Archive, current: Collection[str]) -> None:
        """Make `data/` the archive, its log inside; harmless when that is done already.

        `current` names what belongs to the buffer now: after a clean that failed half-way there may
        be both.
        """
        left = [file.name for file in archive.files if (self._data / file.name).exists()]
        target = self._archives / archive.name
        if not left and (target.exists() or archive.files):
            self._complete(target, archive)
            return
        whole = not target.exists() and not any((self._data / name).exists() for name in current)
        directory = self._data if whole else target
        atomic.make_directory(directory)
        atomic.replace(directory / self._log.name, _log_of(archive.files))
        if whole:
            self._data.rename(target)
            atomic.sync_directory(self._archives)
            atomic.make_directory(self._data)
        else:
            self._move(left, target)

    def _complete(self, target: Path, archive: Archive) -> None:
        log = target / self._log.name
        if archive.files and target.is_dir() and not log.exists():
            atomic.replace(log, _log_of(archive.files))

    def _move(self, names: Iterable[str], target: Path) -> None:
        for name in names:
            (self._data / name).rename(target / name)
        atomic.sync_directory(target)
        atomic.sync_directory(self._data)

    def missing(self, state: BufferState) -> list[StoredFile]:
        """Find the buffer's files that are not in `data/` as they were stored."""
        return [file for file in state.files.values() if not self._intact(file)]

    def put_back(self, file: StoredFile, content: bytes) -> None:
        """Write one file anew."""
        atomic.replace(self._data / file.name, content)

    def agree(self, state: BufferState) -> None:
        """Make log, counters and status say what the state says."""
        log = _log_of(state.files.values())
        if _content(self._log) != log:
            atomic.replace(self._log, log)
        stat, description = orjson.dumps(state.stat()), orjson.dumps(state.description())
        if _content(self._stat) != stat or _content(self._description) != description:
            self.describe(state)

    def _intact(self, file: StoredFile) -> bool:
        path = self._data / file.name
        try:
            same_size = path.stat().st_size == file.size
        except FileNotFoundError:
            return False
        return same_size and Digest.of(path.read_bytes()) == file.digest


def _log_of(files: Iterable[StoredFile]) -> bytes:
    return b"".join(file.log_line() for file in files)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
