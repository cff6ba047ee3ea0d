"""A databuffer that kills itself (SIGKILL) just before a step of compressing its ledger.

KILL_AT says before which of the calls that change the disk, counted from 1.
"""

from __future__ import annotations

import importlib
import itertools
import os
import runpy
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from servers import databuffer_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Running

CALLS = ("open", "write", "fsync", "fdatasync", "link", "replace", "unlink")


def databuffer_killed_at(folder: Path, **environ: str) -> Running:
    """Return a databuffer with the volume `folder/volume`, not yet started; set its KILL_AT."""
    running = databuffer_at(folder, **environ)
    running.command = [sys.executable, __file__]
    return running


def _watch(at: int) -> None:
    """Count the calls from the beginning of the first segment on."""
    compression = importlib.import_module("databuffer.store.compression").Compression
    compress_one, begun, counted = compression._one, [], itertools.count(1)

    async def watched_one(self: Any, segment: Any) -> Any:
        begun.append(segment)
        return await compress_one(self, segment)

    def watched(call: Callable[..., Any], *, opens: bool) -> Callable[..., Any]:
        def step(*args: Any, **told: Any) -> Any:
            changes = not opens or args[1] & (os.O_WRONLY | os.O_RDWR)
            if begun and changes and next(counted) == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **told)

        return step

    compression._one = watched_one
    for name in CALLS:
        setattr(os, name, watched(getattr(os, name), opens=name == "open"))


if __name__ == "__main__":
    sys.path[0] = str(Path.cwd())
    _watch(int(os.environ["KILL_AT"]))
    runpy.run_module("databuffer", run_name="__main__", alter_sys=True)
