"""A secret of this tier: told by a variable, or by a file that may be replaced while it runs.

Of `NAME_FILE` each line is a value, so that during a change an old and a new one hold at once. The
file is looked at once a second at most, when somebody asks. What cannot be a secret (too short,
too many, unreadable) is refused at the start; later it changes nothing: the values of before go
on and the log says so. No value is ever logged or shown.
"""

from __future__ import annotations

import hmac
import logging
import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from datastore_logic.errors import BadConfiguration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LEAST: Final = 32
"""Characters: 128 bits if they are hexadecimal digits, as `openssl rand -hex 16` prints them."""

MOST_VALUES: Final = 2
LOOKED_AT: Final = 1.0
"""Seconds between two looks at a file."""

_VALUE: Final = re.compile(r"[\x21-\x7e]{32,1000}")
_MOST_BYTES: Final = 16_384

log = logging.getLogger(__name__)


class Secret:
    """One or two values that nobody but their owners may know; the first is the newest."""

    def __init__(self, name: str, values: tuple[str, ...]) -> None:
        self._name = name
        self._values = values

    @classmethod
    def from_environ(
        cls, environ: Mapping[str, str], name: str, *, separator: str | None = None
    ) -> Secret | None:
        """Return what NAME or NAME_FILE says, None if neither says anything.

        NAME is one value, or as many as its `separator` tells apart.

        Raises:
            BadConfiguration: naming the variable, never the value.
        """
        text, path = environ.get(name), environ.get(f"{name}_FILE")
        if text and path:
            raise BadConfiguration(f"{name} and {name}_FILE are both set; one is enough")
        if path:
            return SecretFile(f"{name}_FILE", Path(path))
        if not text:
            return None
        try:
            return cls(name, _parsed(text.split(separator) if separator else [text]))
        except ValueError as reason:
            raise BadConfiguration(f"{name} {reason}") from None

    def current(self) -> tuple[str, ...]:
        """Return the values that hold now, at least one."""
        return self._values

    def matches(self, told: str) -> bool:
        """Return whether it is one of the values; how long that takes tells nothing of them."""
        sent = told.encode(errors="surrogateescape")
        found = [hmac.compare_digest(value.encode(), sent) for value in self.current()]
        return any(found)

    def __repr__(self) -> str:
        return f"<{self._name}>"


class SecretFile(Secret):
    """The values that a file has, one a line; it may be replaced at any time."""

    def __init__(self, name: str, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Read it.

        Raises:
            BadConfiguration: it cannot be read, or has no secret in it.
        """
        self._path, self._clock = path, clock
        self._looking = threading.Lock()
        self._look_at = clock() + LOOKED_AT
        try:
            self._seen: bytes | None = _content(path)
            super().__init__(name, _parsed(_lines(self._seen)))
        except (OSError, ValueError) as reason:
            raise BadConfiguration(f"{name}={path} {_told(reason)}") from None

    def current(self) -> tuple[str, ...]:
        """Return the values that hold now, as the file had them a second ago or later."""
        if self._clock() >= self._look_at and self._looking.acquire(blocking=False):
            try:
                self._look()
                self._look_at = self._clock() + LOOKED_AT
            finally:
                self._looking.release()
        return self._values

    def _look(self) -> None:
        """Take over what the file says, if that is new and can be a secret."""
        try:
            content = _content(self._path)
        except (OSError, ValueError) as reason:
            self._complain(None, reason)
            return
        if content == self._seen:
            return
        try:
            self._values = _parsed(_lines(content))
        except ValueError as reason:
            self._complain(content, reason)
            return
        self._seen = content
        log.info("%s=%s: took over its new content", self._name, self._path)

    def _complain(self, content: bytes | None, reason: Exception) -> None:
        """Say once of each bad content that it is not heeded."""
        if content != self._seen:
            log.error(
                "%s=%s %s: what it held before goes on", self._name, self._path, _told(reason)
            )
        self._seen = content


def _content(path: Path) -> bytes:
    """Return a file's bytes; what is no file (a pipe can be read but once) is a ValueError."""
    if path.exists() and not path.is_file():
        raise ValueError("is not a file")
    with path.open("rb") as file:
        return file.read(_MOST_BYTES)


def _lines(content: bytes) -> Sequence[str]:
    try:
        return [line for line in content.decode("ascii").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise ValueError("holds other than printable ASCII characters") from None


def _parsed(values: Sequence[str]) -> tuple[str, ...]:
    """Return the values; the message of its ValueError comes behind a variable's name."""
    found = tuple(value.strip() for value in values)
    if not 1 <= len(found) <= MOST_VALUES:
        raise ValueError(f"holds {len(found)} values, not one or two")
    for value in found:
        if len(value) < LEAST:
            raise ValueError(f"is shorter than {LEAST} characters")
        if not _VALUE.fullmatch(value):
            raise ValueError("must be at most 1000 printable ASCII characters without spaces")
    return found


def _told(reason: Exception) -> str:
    """Return what to say of it; an OSError's own words may name the path, which is said already."""
    if isinstance(reason, OSError):
        return f"cannot be read ({reason.strerror})"
    return str(reason)
