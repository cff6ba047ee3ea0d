"""What to do when the cache directory itself fails: say so once, and go on without it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from condstore.cache.counts import Counts

_LOG = logging.getLogger(__name__)


class Troubles:
    """The failures of one cache, each counted, the first one told.

    A line of log and not `warnings.warn`: under `-W error` that would fail the job after all.
    """

    def __init__(self, path: Path, counts: Counts) -> None:
        self._path = path
        self._counts = counts
        self._told = False

    def tell(self, error: OSError | sqlite3.Error) -> None:
        """Count a failure; log the first."""
        self._counts.add("uncached")
        if not self._told:
            self._told = True
            _LOG.warning(
                "the cache %s cannot be used as it should (%s): going on without; "
                "name a local directory that you may write to, with space, in CONDSTORE_CACHE",
                self._path,
                _why(error),
            )


def _why(error: OSError | sqlite3.Error) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
