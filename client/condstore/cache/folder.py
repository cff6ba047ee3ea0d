"""The part of a cache directory that is one user's alone, reached by descriptors.

Users may be given one directory for all (`/scratch/condstore`, writable by everybody): each keeps
to `v1-<uid>` in it, mode 0700, which is refused if it is a link or another user's. Everything
below is opened relative to the directory's descriptor, by one name without a slash, and never
through a link; so nobody who can rename things above us can make us read or write elsewhere.

The directories are flat. File systems of today index theirs, a node's cache holds some ten
thousand files, and a fan-out would cost a second look-up an open and 256 directories a sweep.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import stat
import time
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe put there does not hold us
_SHORTEST, _LONGEST = 0.0005, 0.02  # seconds between two looks at a lock

PART: Final = ("", "payloads", "coming")


class _Parts(NamedTuple):
    """Descriptors of the folder and of its two directories, in the order of `PART`."""

    top: int
    payloads: int
    coming: int


class Folder:
    """The private folder in the cache directory `path`; made when something is first asked of it.

    Every method may raise `OSError`: read-only, full, somebody else's, no locks there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path / f"v1-{os.geteuid()}"
        self._above = path
        self._parts: _Parts | None = None
        self._opened: list[int] = []

    def open(self, part: str, name: str, flags: int) -> int:
        """Open a file and return its descriptor; a link or a pipe there is an `OSError`."""
        try:
            return os.open(name, flags | _FILE, 0o600, dir_fd=self._at(part))
        except FileNotFoundError:
            if not flags & os.O_CREAT:
                raise
        self._parts = None  # the folder was deleted while we used it: begin another
        return os.open(name, flags | _FILE, 0o600, dir_fd=self._at(part))

    def same(self, part: str, name: str, file: int) -> bool:
        """Say whether that name is still this open file's."""
        try:
            there = os.stat(name, dir_fd=self._at(part), follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(file))

    def rename(self, name: str, part: str, to: str) -> None:
        """Move a file from one part to another under the same name, in place of what is there."""
        os.rename(name, name, src_dir_fd=self._at(part), dst_dir_fd=self._at(to))

    def unlink(self, part: str, name: str) -> None:
        """Remove a name, if it is there; who has the file open keeps it."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._at(part))

    def files(self, part: str) -> Iterator[tuple[str, os.stat_result]]:
        """Yield every name in a part and what it is; links are not followed."""
        place = os.open(".", _DIRECTORY, dir_fd=self._at(part))  # a position of our own
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):  # gone meanwhile
                        yield entry.name, entry.stat(follow_symlinks=False)
        finally:
            os.close(place)

    def is_at_its_path(self) -> bool:
        """Say whether `path` leads to the folder that is open: for who must go by a path."""
        there = self.path.lstat()
        return os.path.samestat(there, os.fstat(self._at("")))

    @contextlib.contextmanager
    def locked(self, name: str, patience: float) -> Iterator[int]:
        """Hold the lock of that name, among threads and processes; raise `TimeoutError`."""
        file = self.open("", name, os.O_RDWR | os.O_CREAT)
        try:
            wait_until(lambda: locks(file), patience, name)
            yield file
        finally:
            release(file)

    def close(self) -> None:
        """Close the descriptors; the folder opens again if it is used again."""
        self._parts = None
        while self._opened:
            os.close(self._opened.pop())

    def _at(self, part: str) -> int:
        parts = self._parts
        if parts is None:
            parts = self._parts = self._open()
        return parts[PART.index(part)]

    def _open(self) -> _Parts:
        self._above.mkdir(mode=0o700, parents=True, exist_ok=True)
        top = self._directory(str(self.path), None)
        return _Parts(top, *(self._directory(part, top) for part in PART[1:]))

    def _directory(self, name: str, within: int | None) -> int:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=within)
        file = os.open(name, _DIRECTORY, dir_fd=within)
        self._opened.append(file)  # not closed before the end: another thread may be using it
        facts = os.fstat(file)
        if facts.st_uid != os.geteuid():
            raise PermissionError(f"{name} belongs to user {facts.st_uid}")
        if stat.S_IMODE(facts.st_mode) & 0o077:
            os.fchmod(file, 0o700)
        return file


def locks(file: int) -> bool:
    """Lock an open file if nobody else has it locked, and say whether it is ours now."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def release(file: int) -> None:
    """Unlock and close; unlock by word, for a child forked meanwhile shares the descriptor."""
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_UN)
    os.close(file)


def pauses() -> Iterator[float]:
    """Yield how long to wait before each further look, in seconds, longer and longer."""
    pause = _SHORTEST
    while True:
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - to spread, not to hide
        pause = min(2 * pause, _LONGEST)


def wait_until(done: Callable[[], bool], patience: float, what: str) -> None:
    """Look again and again; raise `TimeoutError` when `patience` seconds are over."""
    deadline = time.monotonic() + patience
    for pause in pauses():
        if done():
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} has been locked for {patience:g} s")
        time.sleep(pause)
