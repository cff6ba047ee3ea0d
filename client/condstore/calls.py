"""A request as a value, and how paths are spelled; nothing here opens a connection."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from condstore.moments import Moment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from condstore.results import Json

V1: Final = "/api/v1"
_LSN: Final = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Call:
    """A request that may be sent again as it is; `body` is bytes, or a file to read whole.

    For `silent` seconds the server may say nothing, None for as long as it usually may.
    """

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Path | None = None
    json: Json = None
    headers: Mapping[str, str] = field(default_factory=dict)
    accept: frozenset[int] = frozenset()
    stream: bool = False
    silent: float | None = None


def tag_path(ref: str, *rest: str) -> str:
    """Return the URL path of a tag, or below it; `TAG@<fingerprint>` stays readable.

    >>> tag_path("O4@17", "payload-lists", "H1:STRAIN", "iovs")
    '/api/v1/global-tags/O4@17/payload-lists/H1:STRAIN/iovs'
    >>> tag_path("../etc")
    '/api/v1/global-tags/..%2Fetc'
    """
    return "/".join((f"{V1}/global-tags", *(step(part) for part in (ref, *rest))))


def step(name: str) -> str:
    """Return a name as one step of a URL path, which it cannot leave.

    >>> step(".."), step("a b")
    ('%2E%2E', 'a%20b')
    """
    return name.replace(".", "%2E") if name in {".", ".."} else quote(name, safe="@:+~") or "%00"


def between(begin: Moment | None, end: Moment | None) -> dict[str, str]:
    """Return the query of [begin, end): none for all moments.

    >>> between(None, Moment(7))
    {'major': '0', 'minor': '0', 'major_end': '7', 'minor_end': '0'}
    """
    if begin is None and end is None:
        return {}
    first = begin or Moment(0)
    told = {"major": str(first.major), "minor": str(first.minor)}
    if end is not None:
        told |= {"major_end": str(end.major), "minor_end": str(end.minor)}
    return told


class Seen:
    """The newest ledger position in any answer, of the ledger that answered last.

    A restored store has another ledger id, and other entries under the LSNs that were seen before:
    what is asked for then begins anew. Threads may share it.
    """

    def __init__(self) -> None:
        self.lsn = 0
        self._ledger = ""
        self._lock = threading.Lock()

    def note(self, headers: Mapping[str, str]) -> int:
        """Take the position that an answer carries, and return its LSN, 0 if it has none."""
        lsn, ledger = lsn_of(headers), headers.get("X-Ledger-Id", "")
        with self._lock:
            if ledger and self._ledger not in {"", ledger}:
                self.lsn = 0
            self._ledger = ledger or self._ledger
            self.lsn = max(self.lsn, lsn)
        return lsn


def lsn_of(headers: Mapping[str, str]) -> int:
    """Return the ledger position an answer carries, 0 if none."""
    text = headers.get("X-Ledger-LSN", "")
    return int(text) if _LSN.fullmatch(text) else 0
