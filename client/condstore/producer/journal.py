"""What was acknowledged, kept in a file, so that a producer killed at any instant can go on.

The first line says of what the journal is; each other line is one acknowledged key. Lines are only
added, after the server's answer: a journal may know too little, never too much, and what it does
not know is sent again under the same key and stored once. A torn last line is dropped. Refuses, as
wrong use, a journal of something else: another ledger, tag or filling of the buffer.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import re
from typing import IO, TYPE_CHECKING, Final, NoReturn

from condstore.errors import UnreadableFile, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self

_LINE: Final = re.compile(rb"([0-9a-f]{32}) ([0-9]{1,19})")


class Journal:
    """The acknowledged keys of one piece of work, `about`; use it as a context.

    Without a path it remembers nothing. One process at a time: a second one is refused.
    """

    def __init__(self, path: Path | None, about: Mapping[str, str]) -> None:
        self._path = path
        self._about = {"condstore": "resume", **about}
        self._header = json.dumps(self._about).encode() + b"\n"
        self._known: set[bytes] = set()
        self._file: IO[bytes] | None = None
        self.lsn = 0

    def __enter__(self) -> Self:
        if self._path is not None:
            try:
                self._file = self._opened(self._path)
            except OSError as error:
                raise UsageError(f"{self._path}: {error.strerror or error}") from error
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # of a full disk: it was told when it happened
                self._file.close()

    @property
    def kept(self) -> bool:
        """Whether anything is remembered at all."""
        return self._path is not None

    def __contains__(self, key: str) -> bool:
        return bool(self._known) and _short(key) in self._known

    def note(self, key: str, lsn: int) -> None:
        """Remember that `key` was acknowledged at `lsn`."""
        if self._file is not None:
            short = _short(key)
            self._known.add(short)
            try:
                self._file.write(b"%s %d\n" % (short.hex().encode(), lsn))
                self._file.flush()
            except OSError as error:
                raise UnreadableFile(f"{self._path}: {error.strerror or error}") from error

    def _opened(self, path: Path) -> IO[bytes]:
        if path.exists() and not path.is_file():  # a device has no end, a pipe no beginning
            raise UsageError(f"{path} is there and is not a resume file; it was left as it is")
        file = path.open("a+b")
        try:
            self._lock(file, path)
            file.seek(0)
            sound = self._read(file, path)
            file.truncate(sound)
            if sound == 0:
                file.write(self._header)
                file.flush()
        except BaseException:
            file.close()
            raise
        return file

    def _lock(self, file: IO[bytes], path: Path) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{path}: another producer is at work with this file") from None

    def _read(self, file: IO[bytes], path: Path) -> int:
        """Learn what stands in the file, and return how many bytes of it are whole lines."""
        sound = 0
        for number, line in enumerate(file):
            if number == 0 and not self._header.startswith(line):
                self._refuse(line, path)
            if not line.endswith(b"\n"):
                break  # torn: the process died in the middle of it
            if number == 0:
                pass
            elif found := _LINE.fullmatch(line[:-1]):
                self._known.add(bytes.fromhex(found[1].decode()))
                self.lsn = max(self.lsn, int(found[2]))
            else:
                raise UsageError(
                    f"{path}, line {number + 1}: not a line of a resume file; give the file that "
                    "the earlier run wrote, or remove it to start anew (nothing is stored twice)"
                )
            sound += len(line)
        return sound

    def _refuse(self, line: bytes, path: Path) -> NoReturn:
        """Say what else the file is; it is left as it is."""
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if not isinstance(found, dict) or found.get("condstore") != "resume":
            raise UsageError(f"{path} is there and is not a resume file; it was left as it is")
        for name, mine in self._about.items():
            if found.get(name) != mine:
                raise UsageError(
                    f"{path} belongs to another work: its {name} is {found.get(name)!r}, now it is "
                    f"{mine!r}; give another file, or remove this one to start anew"
                )
        raise UsageError(f"{path} was written by another version; remove it to start anew")


def _short(key: str) -> bytes:
    return hashlib.blake2b(key.encode(), digest_size=16).digest()
