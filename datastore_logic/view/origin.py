"""Which checkpoint a view began with, and which one is not taken again: two small files beside it.

A view that is damaged is begun again, and would begin with the same checkpoint, which may be what
the damage came with. So whoever finds it damaged renames the file that says what it began with:
that takes no room on a full disk, and holds for every process of the pod and after a restart. Only
one is remembered: the databuffer's document never goes back to an older one.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from pathlib import Path

    from datastore_logic.view.checkpoint import Checkpoint

log = logging.getLogger(__name__)


class Origin:
    """Where the view at one path comes from. Constructing it touches no disk."""

    def __init__(self, view: Path) -> None:
        self._began = view.with_name(f"{view.name}.began")
        self._distrusted = view.with_name(f"{view.name}.distrusted")

    def begin(self, checkpoint: Checkpoint) -> None:
        """Note which checkpoint the view begins with."""
        _write(self._began, checkpoint)

    def forget(self) -> None:
        """Note that the view begins with nothing."""
        self._began.unlink(missing_ok=True)

    def distrust(self) -> None:
        """Never take the checkpoint again that the view began with, if it did with any."""
        with suppress(FileNotFoundError):
            self._began.replace(self._distrusted)
            log.warning("the checkpoint that the view began with is not taken again")

    def refuse(self, checkpoint: Checkpoint) -> None:
        """Never take this checkpoint."""
        _write(self._distrusted, checkpoint)

    def distrusts(self, checkpoint: Checkpoint) -> bool:
        """Return whether this checkpoint is not to be taken."""
        try:
            return self._distrusted.read_bytes() == _told(checkpoint)
        except FileNotFoundError:
            return False


def _write(path: Path, checkpoint: Checkpoint) -> None:
    made = path.with_name(f"{path.name}.new")
    made.write_bytes(_told(checkpoint))
    made.replace(path)


def _told(checkpoint: Checkpoint) -> bytes:
    """Return what tells a checkpoint from others, also from a sound one of the same LSN."""
    which = {"ledger": checkpoint.ledger, "lsn": checkpoint.lsn, "digest": checkpoint.digest}
    return orjson.dumps(which)
