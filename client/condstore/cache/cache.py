"""One cache directory: its folder, payloads and answers, and what they may take together."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from condstore.cache.answers import Answers
from condstore.cache.counts import Counts, Statistics
from condstore.cache.folder import Folder
from condstore.cache.payloads import Payloads
from condstore.cache.room import Room
from condstore.cache.troubles import Troubles
from condstore.config import CACHE_BYTES, SMALLEST_CACHE
from condstore.errors import UsageError

if TYPE_CHECKING:
    from condstore.cache.counts import Done
    from condstore.config import Settings

_FOR_ANSWERS = 8  # an eighth of the limit


class Cache:
    """The cache in the directory `path`, of at most `limit` bytes for this user.

    Constructing touches nothing. Threads and any number of processes of one machine may share it,
    and it may be deleted at any time.
    """

    def __init__(self, path: Path | str, *, limit: int = CACHE_BYTES) -> None:
        if limit < SMALLEST_CACHE:
            raise UsageError(
                f"a cache of {limit} bytes is too small to be of use: {SMALLEST_CACHE} is the least"
            )
        self.path = Path(path)
        self.limit = limit
        self.counts = Counts()
        self.folder = Folder(self.path)
        troubles = Troubles(self.path, self.counts)
        answers = limit // _FOR_ANSWERS
        self._room = Room(self.folder, limit - answers, self.counts)
        self.payloads = Payloads(self.folder, self._room, self.counts, troubles)
        self.answers = Answers(self.folder, answers, self.counts, troubles)
        self._troubles = troubles
        weakref.finalize(self, _close, self.folder, self.answers)

    @classmethod
    def of(cls, settings: Settings) -> Cache | None:
        """Return the cache that the environment names, or None if it names none."""
        return cls(settings.cache, limit=settings.cache_bytes) if settings.cache else None

    def __repr__(self) -> str:
        return f"Cache({str(self.path)!r}, limit={self.limit})"

    def statistics(self) -> Statistics:
        """Return what the directory holds and what this process did with it.

        Looks through the directory, and removes what killed processes left. Raises `OSError` if
        the directory cannot be used: a good question for `condstore doctor`.
        """
        payloads, payload_bytes = self._room.holds()
        answers, answer_bytes = self.answers.holds()
        return Statistics(
            self.path, self.limit, payloads, payload_bytes, answers, answer_bytes, self.done()
        )

    def done(self) -> Done:
        """Return what this process did with the cache, without a look at the directory."""
        return self.counts.done()

    def close(self) -> None:
        """Close its files; it opens them again if it is used again."""
        _close(self.folder, self.answers)


def _close(folder: Folder, answers: Answers) -> None:
    answers.close()
    folder.close()
