"""Directories that their owner alone may look into, also on a volume that an older version made.

Others read the streaming buffer's files where they stand. Of the ledger, the documents and the
blobs they are told over HTTP, and no more than they may know: among the blobs are checkpoints,
with the hashes of all API tokens, and a document says which they are.
"""

from __future__ import annotations

import logging
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_log = logging.getLogger(__name__)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def close_to_others(directories: Iterable[Path]) -> None:
    """Take these directories from group and others, one line for all; warn where that fails."""
    found = [directory for directory in directories if _is_open(directory)]
    for directory in found:
        with suppress(OSError):
            _close(directory)
    left = [directory for directory in found if _is_open(directory)]  # some file systems ignore it
    if closed := [directory for directory in found if directory not in left]:
        _log.info("closed to all but their owner: %s", _names(closed))
    if left:
        _log.warning(
            "others may look into %s, and it cannot be changed from here: make it chmod 700, "
            "owned by user %d",
            _names(left),
            os.geteuid(),
        )


def _is_open(directory: Path) -> bool:
    return bool(directory.stat().st_mode & _OTHERS)


def _close(directory: Path) -> None:
    """Leave only the owner's rights, if the owner is this process: else it needs the others."""
    found = directory.stat()
    if found.st_uid == os.geteuid():
        directory.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)


def _names(directories: Sequence[Path]) -> str:
    return ", ".join(map(str, directories))
