"""Lines of the log to stderr, for which nobody waits long.

Who collects them may stop reading: then the pipe fills, and whoever writes to it waits for ever, an
event loop or a thread that holds the lock of the log. So a pipe that is not nearly empty is waited
for once in a while, and for a second; what has no room is lost, and how much was is said as soon as
there is room again.
"""

from __future__ import annotations

import fcntl
import logging
import os
import select
import stat
import struct
import termios
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import TextIO

    Stream = logging.StreamHandler[TextIO]
else:
    Stream = logging.StreamHandler

WAIT: Final = 1.0
WAIT_AGAIN: Final = 60.0
"""Seconds after a line was lost until one is waited for again."""

_STEP: Final = 0.01
_PART: Final = 4  # the rest is for other processes that write to the same pipe


class Lines(Stream):
    """Writes a line if there is room for it."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self._lost = 0
        self._impatient_until = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Write it, or count it as lost."""
        if not self._has_room():
            self._lost += 1
            return
        if self._lost:
            lost, self._lost = self._lost, 0
            super().emit(_told(lost))
        super().emit(record)

    def _has_room(self) -> bool:
        now = monotonic()
        until = now if now < self._impatient_until else now + WAIT
        while _is_full(self.stream):
            if monotonic() >= until:
                self._impatient_until = monotonic() + WAIT_AGAIN
                return False
            sleep(_STEP)
        return True


def _is_full(stream: TextIO) -> bool:
    try:
        number = stream.fileno()
        kind = os.fstat(number).st_mode
        if stat.S_ISFIFO(kind):
            return _unread(number) > fcntl.fcntl(number, fcntl.F_GETPIPE_SZ) // _PART
        return not stat.S_ISREG(kind) and not _takes(number)
    except (OSError, ValueError):
        return False  # no file, or closed: writing to it says so, and waits for nobody


def _unread(pipe: int) -> int:
    found: int = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]
    return found


def _takes(number: int) -> bool:
    poll = select.poll()
    poll.register(number, select.POLLOUT)
    return bool(poll.poll(0))


def _told(lost: int) -> logging.LogRecord:
    words = "%d lines of the log are missing here: nobody read what came before"
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, words, (lost,), None)
