"""What processes have in common that a worker starts for long work: second to requests, and its."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from datastore_logic.logs import LogFormat, begin

if TYPE_CHECKING:
    from collections.abc import Sequence


def command(module: str, log_format: LogFormat, *arguments: object) -> Sequence[str]:
    """Return what starts a module of ours so; its standard input must be a pipe of the worker's."""
    return (sys.executable, "-m", module, log_format, *map(str, arguments))


def give_way(niceness: int, log_format: str) -> None:
    """Have this process be second to others, and end when the worker that started it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal; the worker ends, so we do
    threading.Thread(target=_end_with_the_worker, daemon=True).start()
    os.nice(niceness)
    begin(LogFormat(log_format), "warning")


def put_last(process: int) -> None:
    """Have a process run, and read and write, when no other of the machine wants to.

    From its start on, for its imports alone take a tenth of a second. Where the system does not
    let it, the process is second by its niceness.
    """
    with suppress(OSError):
        os.sched_setscheduler(process, os.SCHED_IDLE, os.sched_param(0))


def _end_with_the_worker() -> None:
    os.read(0, 1)
    os._exit(1)
