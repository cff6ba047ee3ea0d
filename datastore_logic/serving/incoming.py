"""What has come of a request, and whether a thread should have it now.

Seen on the raw bytes, by those few header fields that frame a message. gunicorn's parser decides
what a request *is*; if it should ever see a body where this sees none, it gets an error, not time.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

MOST_HEAD: Final = 1 << 16
"""Bytes of request line and header fields together."""

GATHERED: Final = 1 << 16
"""Bytes of a request that are waited for without a thread; most requests have fewer."""

_FRAMING: Final = re.compile(
    rb"\r\n(content-length|transfer-encoding|expect):[ \t]*([^\r]*)", re.IGNORECASE
)
_END: Final = b"\r\n\r\n"


class Outlook(Enum):
    """What is to be done with a request as far as it has come."""

    HEAD = auto()
    """Wait: its head is not complete."""
    BODY = auto()
    """Wait: of its body more is to come."""
    WHOLE = auto()
    """Serve it: it is all there, or it is none, and the parser says why."""
    PART = auto()
    """Serve it; a thread waits for the rest of its body, which is long or wants to be asked for."""
    TOO_LONG = auto()
    """Refuse it: such a head is not read."""


class Incoming:
    """The bytes of the next request (and of those behind it), as they come."""

    __slots__ = ("_head", "_needs", "_seen", "_wants_asking", "held")

    def __init__(self, held: bytes = b"") -> None:
        self.held = bytearray(held)
        self._seen = 0
        self._head = 0
        self._needs: int | None = 0
        self._wants_asking = False

    @property
    def room(self) -> int:
        """How many more bytes are wanted at most."""
        return max(GATHERED, MOST_HEAD) - len(self.held)

    @property
    def missing(self) -> int | None:
        """How many bytes of the body have not come; None where only its end will tell."""
        return None if self._needs is None else self._head + self._needs - len(self.held)

    def add(self, piece: bytes) -> None:
        """Note what came."""
        self.held += piece

    def outlook(self) -> Outlook:
        """Return what is to be done."""
        return self._body() if self._head or self._found_head() else self._unfinished_head()

    def _found_head(self) -> bool:
        at = self.held.find(_END, self._seen)
        if at < 0:
            self._seen = max(0, len(self.held) - len(_END) + 1)
            return False
        self._head = at + len(_END)
        self._frame(bytes(self.held[:at]))
        return True

    def _unfinished_head(self) -> Outlook:
        if len(self.held) >= MOST_HEAD:
            return Outlook.TOO_LONG
        # A bare LF ends no line: the parser refuses it at once, and need not wait for the end.
        is_wrong = self.held.count(b"\n") != self.held.count(b"\r\n")
        return Outlook.WHOLE if is_wrong else Outlook.HEAD

    def _frame(self, head: bytes) -> None:
        told = [(name.lower(), value.strip()) for name, value in _FRAMING.findall(head)]
        self._wants_asking = any(name == b"expect" for name, _ in told)
        framed = [(name, value) for name, value in told if name != b"expect"]
        match framed:
            case [(b"content-length", length)] if length.isdigit() and len(length) < 20:
                self._needs = int(length)
            case [(b"transfer-encoding", coding)] if coding.lower() == b"chunked":
                self._needs = None
            case _:
                self._needs = 0  # none, or in doubt: the parser refuses it unread

    def _body(self) -> Outlook:
        missing = self.missing
        if missing is None:  # chunked: this marks its end, or is somewhere in its midst
            is_there = self.held.find(_END, self._head) >= 0
            return Outlook.PART if is_there or self._goes_on() else Outlook.BODY
        if missing <= 0:
            return Outlook.WHOLE
        return Outlook.PART if self._goes_on() else Outlook.BODY

    def _goes_on(self) -> bool:
        return self._wants_asking or len(self.held) >= GATHERED
