"""Backups that are killed, or have no room: a program that forks them, what is left of files.

As a program it reads numbers from standard input. For each it forks a backup, or a repair of one,
that is killed when it opens, renames or removes its n-th file, and prints how that ended: 0 done,
9 killed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

_WATCHED = {"open", "os.rename", "os.remove", "os.mkdir"}
_SYNCED = {"backup.json", "unfinished.json", "ledger.json"}


@contextlib.contextmanager
def killer(url: str, directory: Path, act: str = "backup") -> Iterator[Callable[[int], int]]:
    """Give a function that takes a backup, to be killed at its n-th file; it returns the status."""
    command = [sys.executable, __file__, url, str(directory), act]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        ask, answer = program.stdin, program.stdout

        def kill_at(number: int) -> int:
            print(number, file=ask, flush=True)
            return int(answer.readline())

        yield kill_at
        ask.close()


def cut_power(directory: Path, durable: set[str], chance: Random) -> None:
    """Do what a power cut does to files that nobody synced: some lose their last bytes, or all."""
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if path.is_file() and name not in durable and path.name not in _SYNCED:
            with path.open("r+b") as file:
                size = path.stat().st_size
                file.truncate(chance.choice((size, size, size // 2, 0)))


def full_after(room: int, directory: str) -> Callable[[int, bytes], int]:
    """Return an `os.write` for which there is only so much room in a directory."""
    write, left = os.write, [room]

    def limited(number: int, content: bytes) -> int:
        if str(Path(f"/proc/self/fd/{number}").readlink()).startswith(directory):
            left[0] -= len(content)
            if left[0] < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(number, content)

    return limited


def _killed_at(number: int, url: str, directory: Path, act: str) -> int:
    child = os.fork()
    if child == 0:
        _count_down(number, str(directory))
        getattr(backup, act)(url, directory)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _count_down(number: int, directory: str) -> None:
    left = [number]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in _WATCHED and str(arguments[0]).startswith(directory):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


if __name__ == "__main__":
    from condstore import backup

    for line in sys.stdin:
        print(abs(_killed_at(int(line), sys.argv[1], Path(sys.argv[2]), sys.argv[3])), flush=True)
