"""Which tags are counted by name: the first so many that anybody resolved, of all workers of a pod.

A label a tag would have no end: whoever makes tags would make time series. So the names are kept in
a file that the workers share, in the order in which they came; what comes later is `other`. Where
reads are closed no name is told at all: who may scrape need not be one who may see every tag.
"""

from __future__ import annotations

import fcntl
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

ALL: Final = "all"
OTHER: Final = "other"


class CountedTags:
    """The label of each tag. Constructing it touches no disk.

    Where the folder of `path` is not there, as in a process without gunicorn, memory serves.
    """

    def __init__(self, path: Path, most: int, *, hidden: bool) -> None:
        self._path, self._most = path, most
        self._silent = hidden or not most
        self._names: frozenset[str] = frozenset()
        self._lock = Lock()

    def label(self, tag: str) -> str:
        """Return the tag's name, if it is one of those that are counted."""
        if self._silent:
            return ALL
        if tag in self._names:
            return tag
        if len(self._names) >= self._most:
            return OTHER
        with self._lock:
            self._names = self._with(tag)
        return tag if tag in self._names else OTHER

    def _with(self, tag: str) -> frozenset[str]:
        """Return the names that all workers know, this one among them if there is room."""
        try:
            file = self._path.open("a+")
        except FileNotFoundError:
            return self._names | {tag}
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            known = frozenset(file.read().splitlines())
            if len(known) < self._most and tag not in known:
                file.write(f"{tag}\n")
                known |= {tag}
            return known
