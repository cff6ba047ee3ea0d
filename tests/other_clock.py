"""A databuffer whose clock a test sets: the file that OTHER_CLOCK names holds seconds to add."""

from __future__ import annotations

import importlib
import os
import runpy
import sys
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from servers import databuffer_at

if TYPE_CHECKING:
    from servers import Running


def databuffer_with_clock(folder: Path, seconds: int, **environ: str) -> Running:
    """Return a databuffer with the volume `folder/volume`, not yet started, and set its clock."""
    running = databuffer_at(folder, OTHER_CLOCK=str(folder / "clock"), **environ)
    running.command = [sys.executable, __file__]
    set_clock(folder, seconds)
    return running


def set_clock(folder: Path, seconds: int) -> None:
    """Set the clock so many seconds before or behind the true one."""
    new = folder / "clock.new"
    new.write_text(str(seconds))
    new.replace(folder / "clock")


class _Shifted(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # another class
        shift = int(Path(os.environ["OTHER_CLOCK"]).read_text())
        return datetime.now(tz) + timedelta(seconds=shift)


if __name__ == "__main__":
    sys.path[0] = str(Path.cwd())
    importlib.import_module("databuffer.store.clock").datetime = _Shifted  # type: ignore[attr-defined]
    runpy.run_module("databuffer", run_name="__main__", alter_sys=True)
