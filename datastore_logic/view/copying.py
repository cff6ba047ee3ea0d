"""Copies of the view, packed, one at a time in a pod, each by a process that is started for it.

The copy lies beside the view until it is packed. What a killed process left of one is removed when
the next is made, and when a worker begins to follow the ledger.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

import orjson

from datastore_logic.errors import CopyFailed, CopyUnderWay, ScratchFull, ViewBuilding
from datastore_logic.view.apart import command, put_last
from datastore_logic.view.copier import Copied, refusal
from datastore_logic.view.database import remove
from datastore_logic.view.packing import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from datastore_logic.logs import LogFormat

    Process = subprocess.Popen[bytes]

PROGRAM: Final = "datastore_logic.view.copier"
SPARE: Final = 2
"""As many times the view must fit on the disk: slices and its journal live there, too."""


@dataclass(frozen=True, slots=True)
class Copy:
    """Where a copy stands, and its packed bytes, to be taken once.

    Taking them raises CopyFailed where they end early.
    """

    of: Copied
    pieces: Iterator[bytes]


class Copies:
    """Copies of the view at one path. Constructing it touches no disk."""

    def __init__(self, view: Path, stream_tag: str, log_format: LogFormat) -> None:
        self._view, self._path = view, view.with_name(f"{view.name}.copy")
        self._command = command(PROGRAM, log_format, view, stream_tag, self._path)

    @contextmanager
    def one(self) -> Iterator[Copy]:
        """Make a copy and yield it; afterwards nothing is left of it.

        Raises:
            CopyUnderWay: another is being made.
            ScratchFull: there is no room for it.
            CopyFailed: it cannot be made.
            ViewBuilding: there is no complete view.
        """
        with self._alone() as lock:
            remove(self._path)
            self._refuse_without_room()
            try:
                with self._process(lock) as process:
                    yield Copy(_told(process), _pieces(process))
            finally:
                remove(self._path)

    def sweep(self) -> None:
        """Remove what was left of one when its process was killed; nothing if one is being made."""
        try:
            with self._alone():
                remove(self._path)
        except CopyUnderWay:
            return

    @contextmanager
    def _alone(self) -> Iterator[IO[str]]:
        with self._path.with_name(f"{self._path.name}.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as reason:
                raise CopyUnderWay from reason
            yield lock

    @contextmanager
    def _process(self, lock: IO[str]) -> Iterator[Process]:
        """Start the process; it holds the lock, too, so that nobody comes before it has ended."""
        pipe, kept = subprocess.PIPE, (lock.fileno(),)
        try:
            process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, pass_fds=kept)  # noqa: S603 - ours
        except OSError as reason:
            raise CopyFailed(f"The view cannot be copied: {reason}") from reason
        put_last(process.pid)
        _widen(_output(process))
        with process:
            try:
                yield process
            finally:
                process.kill()

    def _refuse_without_room(self) -> None:
        try:
            needed = SPARE * self._view.stat().st_size
        except FileNotFoundError as reason:
            raise ViewBuilding("The view is not there yet; ask again shortly.") from reason
        if shutil.disk_usage(self._path.parent).free < needed:
            raise ScratchFull


def _output(process: Process) -> IO[bytes]:
    assert process.stdout is not None  # noqa: S101 - it was asked for
    return process.stdout


def _widen(pipe: IO[bytes]) -> None:
    """Have a pipe hold a whole piece: who passes it on takes the interpreter once, not 16 times."""
    with suppress(OSError):  # where the system allows less, it is as it was
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, CHUNK)


def _told(process: Process) -> Copied:
    """Return where the copy stands, as the process says first.

    Raises:
        ScratchFull, CopyFailed, ViewBuilding: there is none.
    """
    line = _output(process).readline()
    if not line.endswith(b"\n"):
        raise CopyFailed("The view cannot be copied: the process that does ended.")
    told = orjson.loads(line)
    if "copied" not in told:
        raise refusal(told["refused"], told["detail"])
    return Copied(**told["copied"])


def _pieces(process: Process) -> Iterator[bytes]:
    while piece := _output(process).read(CHUNK):
        yield piece
    if process.wait() != 0:
        raise CopyFailed("The view cannot be copied: the process that packs it ended.")
