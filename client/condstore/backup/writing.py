"""Writing bytes where a full disk or a broken one is told apart from a server that is away."""

from __future__ import annotations

import contextlib
import ctypes
import os
from typing import TYPE_CHECKING

from condstore.errors import NotWritten

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)  # the standard library has no syncfs


@contextlib.contextmanager
def into(path: Path | str) -> Iterator[None]:
    """Let the block write a file; raise `NotWritten` naming it where the system refuses."""
    try:
        yield
    except OSError as error:
        raise NotWritten(f"{path}: {error.strerror or error}") from error


def write_all(number: int, content: bytes) -> None:
    """Write every byte to an open file, however many calls that takes."""
    written = os.write(number, content)
    if written < len(content):
        rest = memoryview(content)[written:]
        while rest:
            rest = rest[os.write(number, rest) :]


def sync_file_system(path: Path) -> None:
    """Make durable all that was written to a file system: one call, not one for each file."""
    with into(path):
        number = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if _LIBC.syncfs(number):
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code))
        finally:
            os.close(number)
