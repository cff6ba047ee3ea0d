"""The one module that writes files.

The pattern is always the same: a temporary file on the target's file system, hash while copying,
fsync, publish by link (create only) or rename (replace), fsync the directory. Files that grow
(`AppendFile`) are written and fsynced at the end, and cut back when that fails. Temporary files
start with `.tmp-`; `sweep` removes them.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, BinaryIO

from databuffer.errors import LedgerFailed, is_full

if TYPE_CHECKING:
    from collections.abc import Callable

TEMPORARY = ".tmp-"
UNNAMED = os.O_TMPFILE
_LIBC = ctypes.CDLL(None, use_errno=True)  # the standard library has no syncfs
_NO_UNNAMED = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL})


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    folder = Folder(path)
    try:
        folder.sync()
    finally:
        folder.close()


def sync_file(path: Path) -> None:
    """Make the bytes of a file durable that was written without; one that is gone is no loss."""
    with suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_file_system(path: Path) -> None:
    """Make all that was written to the path's file system durable: one call for many files."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _LIBC.syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)


def make_directory(path: Path, *, private: bool = False) -> None:
    """Make a directory and its missing parents, each durable in its own parent.

    A `private` one is for its owner alone; its parents are for whomever the umask allows.
    """
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(0o700 if private else 0o777, exist_ok=True)
    sync_directory(path.parent)


def require_writable(path: Path) -> None:
    """Raise `PermissionError` for a directory that nothing can be written into."""
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "not writable", str(path))


def prepare_directory(path: Path, *, private: bool = False) -> None:
    """Make a directory ready: there, writable, without what a killed process left."""
    make_directory(path, private=private)
    require_writable(path)
    sweep(path)


def take_directory(path: Path) -> int | None:
    """Keep others from taking a directory while the descriptor is open; None: one has taken it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def sweep(directory: Path) -> int:
    """Remove the temporary files a killed process left; say how many."""
    strays = [path for path in directory.iterdir() if path.name.startswith(TEMPORARY)]
    for path in strays:
        path.unlink(missing_ok=True)
    return len(strays)


def write_all(descriptor: int, content: bytes) -> None:
    """Write every byte, however many calls that takes."""
    written = os.write(descriptor, content)
    if written < len(content):
        rest = memoryview(content)
        while written < len(content):
            written += os.write(descriptor, rest[written:])


def replace(
    path: Path, content: bytes, *, durable: bool = True, scratch: Path | None = None
) -> None:
    """Put new content under a name, whole or not at all; not `durable`: a start repairs it.

    `scratch` is a directory of the same file system that a start sweeps, if the name's is not.
    """
    temporary = (scratch or path.parent) / (TEMPORARY + secrets.token_hex(8))
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        try:
            write_all(descriptor, content)
            if durable:
                os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_directory(path.parent)


def append_line(path: Path, content: bytes) -> None:
    """Add to a log that a start repairs; not durable."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        write_all(descriptor, content)
    finally:
        os.close(descriptor)


class Folder:
    """An open directory, to give files names in it and to make those durable."""

    def __init__(self, path: Path | str) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)

    def link(self, source: Path | str, name: str) -> None:
        """Give a file a name here too; raise `FileExistsError` if it is taken."""
        # Only given a directory descriptor does os.link follow a symbolic link in /proc.
        os.link(source, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def sync(self) -> None:
        """Make the names durable."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Let go; closing twice is harmless."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Upload:
    """A file being written, visible nowhere until `publish`; one call at a time."""

    def __init__(self, scratch: Path) -> None:
        self._descriptor, self._temporary = _open_unnamed(scratch)
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, content: bytes, *, hashed: bool = True) -> None:
        """Add bytes, hashed while they are cached unless the caller knows the digest."""
        write_all(self._descriptor, content)
        if hashed:
            self._hash.update(content)
        self.size += len(content)

    def hexdigest(self) -> str:
        """The SHA-256 of what was written so far."""
        return self._hash.hexdigest()

    def sync(self) -> float:
        """Make the bytes durable, still under no name; say how many seconds that took."""
        began = perf_counter()
        os.fdatasync(self._descriptor)
        return perf_counter() - began

    def read_back(self) -> BinaryIO:
        """Open what is synced, from the disk where it may be had from there."""
        os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        return self._source().open("rb")

    def publish(self, folder: Folder, name: str) -> bool:
        """Make the bytes visible under a name if it is free; say whether it was.

        They must be synced before; the name is durable only when its folder is.
        """
        try:
            folder.link(self._source(), name)
        except FileExistsError:
            return False
        return True

    def _source(self) -> Path:
        return self._temporary or Path(f"/proc/self/fd/{self._descriptor}")

    def close(self) -> None:
        """Let go of the temporary file; closing twice is harmless."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)
            self._temporary = None


def _open_unnamed(scratch: Path) -> tuple[int, Path | None]:
    try:
        return os.open(scratch, os.O_WRONLY | UNNAMED, 0o644), None
    except OSError as error:
        if error.errno not in _NO_UNNAMED:
            raise
    path = scratch.absolute() / (TEMPORARY + secrets.token_hex(8))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), path


class AppendFile:
    """A file that grows by whole durable pieces. One writer."""

    def __init__(
        self,
        path: Path,
        *,
        create: bool = False,
        synced: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Open the file; `synced` is told the seconds that each sync of a piece took."""
        self._synced = synced
        flags = os.O_WRONLY | os.O_APPEND | (os.O_CREAT if create else 0)
        self._descriptor = os.open(path, flags, 0o644)
        self.size = os.fstat(self._descriptor).st_size

    def sync(self) -> None:
        """Make what is there durable."""
        os.fsync(self._descriptor)

    def append(self, content: bytes) -> None:
        """Add a piece and make it durable.

        When the volume is full, take it back and raise the `OSError`. Raise `LedgerFailed` when
        it cannot be known what is on disk.
        """
        try:
            write_all(self._descriptor, content)
            began = perf_counter()
            os.fdatasync(self._descriptor)
            self._synced(perf_counter() - began)
        except OSError as error:
            if not is_full(error):
                raise LedgerFailed(f"writing failed: {error.strerror}") from error
            self.cut(self.size)
            raise
        self.size += len(content)

    def cut(self, size: int) -> None:
        """Shorten the file durably; raise `LedgerFailed` if that fails."""
        try:
            os.ftruncate(self._descriptor, size)
            os.fsync(self._descriptor)
        except OSError as error:
            raise LedgerFailed(f"cutting back failed: {error.strerror}") from error
        self.size = size

    def close(self) -> None:
        """Let go; closing twice is harmless."""
        if self._descriptor >= 0:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = -1
