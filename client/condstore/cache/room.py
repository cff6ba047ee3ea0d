"""How many bytes the payloads may take, kept true among processes that know nothing of each other.

One small file has the number of bytes that are spoken for, and its lock guards the number, the
growing of downloads and the giving of names. A download first makes its file longer (which costs
no disk) under that lock, then fills it: so the lengths of all files are the reservations, and
whoever counts them anew counts right whatever was killed meanwhile. The number is never less than
the truth; where a process died it may be more, and then somebody counts too early, no worse.

Who finds no room removes what was least recently opened, down to nine tenths of the limit, so that
not every download has to look through the directory.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from typing import TYPE_CHECKING, Final

from condstore.cache.folder import locks, release

if TYPE_CHECKING:
    from condstore.cache.counts import Counts
    from condstore.cache.folder import Folder

NAME: Final = re.compile(r"[0-9a-f]{64}")
"""What a payload's file is called; whatever else lies there is not ours and stays."""

_LEDGER = "room"
_PATIENCE = 10.0  # seconds for one who holds the lock, which is for microseconds or one sweep
_BLOCK = 4096
_KEPT = 0.9  # of the limit, after a sweep


class Room:
    """The bytes in `folder` for payloads: at most `limit`."""

    def __init__(self, folder: Folder, limit: int, counts: Counts) -> None:
        self._folder = folder
        self._counts = counts
        self.limit = limit

    def take(self, file: int, size: int) -> bool:
        """Make an open file of the part `coming` longer by `size` bytes; False if there is no room.

        What was least recently opened is removed for it.
        """
        length = os.fstat(file).st_size
        more = on_disk(length + size) - on_disk(length)
        with self._folder.locked(_LEDGER, _PATIENCE) as ledger:
            used = _read(ledger)
            if used is None or used + more > self.limit:
                used = self._sweep(min(int(self.limit * _KEPT), self.limit - more))
            fits = used + more <= self.limit
            if fits:
                os.truncate(file, length + size)
            _write(ledger, used + more if fits else used)
        return fits

    def name(self, name: str) -> None:
        """Give a finished download its name, while nobody counts."""
        with self._folder.locked(_LEDGER, _PATIENCE):
            self._folder.rename(name, "coming", "payloads")

    def holds(self) -> tuple[int, int]:
        """Return how many payloads there are, and how many bytes of disk they and downloads take.

        What processes left that are no more is removed.
        """
        with self._folder.locked(_LEDGER, _PATIENCE) as ledger:
            used = self._sweep(self.limit)
            _write(ledger, used)
            return sum(NAME.fullmatch(name) is not None for name, _ in self._payloads()), used

    def _payloads(self) -> list[tuple[str, os.stat_result]]:
        found = self._folder.files("payloads")
        return [(name, facts) for name, facts in found if NAME.fullmatch(name)]

    def _sweep(self, target: int) -> int:
        """Count everything, remove the least recently opened down to `target`, return what is left.

        Removing a file does not disturb who has it open.
        """
        payloads = self._payloads()
        used = self._coming() + sum(on_disk(facts.st_size) for _, facts in payloads)
        for name, facts in sorted(payloads, key=lambda found: found[1].st_atime_ns):
            if used <= target:
                break
            self._folder.unlink("payloads", name)
            self._counts.add("evicted")
            used -= on_disk(facts.st_size)
        return used

    def _coming(self) -> int:
        """Return the bytes spoken for by downloads; remove those whose process is no more."""
        return sum(
            on_disk(facts.st_size)
            for name, facts in self._folder.files("coming")
            if NAME.fullmatch(name) and not self._left_over(name, facts)
        )

    def _left_over(self, name: str, facts: os.stat_result) -> bool:
        if not stat.S_ISREG(facts.st_mode):
            self._folder.unlink("coming", name)
            return True
        with contextlib.suppress(FileNotFoundError):
            file = self._folder.open("coming", name, os.O_RDWR)
            try:
                if not locks(file):
                    return False
                self._folder.unlink("coming", name)
            finally:
                release(file)
        return True


def on_disk(size: int) -> int:
    """Return what a file of so many bytes takes, in whole blocks.

    >>> on_disk(1), on_disk(4096), on_disk(4097)
    (4096, 4096, 8192)
    """
    return -(-size // _BLOCK) * _BLOCK


def _read(ledger: int) -> int | None:
    """Return the number, or None where there is none: a new folder, or a torn file."""
    text = os.pread(ledger, 32, 0)
    return int(text) if re.fullmatch(rb"[0-9]{20}", text) else None


def _write(ledger: int, used: int) -> None:
    os.pwrite(ledger, b"%020d" % used, 0)
