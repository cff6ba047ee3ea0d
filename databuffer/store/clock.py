"""The time of ledger entries: this machine's, and never before that of the last entry.

While the clock is behind (it was set back, or the volume was written where another went ahead) time
stands still in the ledger: every entry has that of the last. The log says so, once each time.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

_log = logging.getLogger(__name__)
_FORM = "%Y-%m-%dT%H:%M:%S.%fZ"
_MUCH = timedelta(minutes=1)


class Clock:
    """Tells the time for the next entries."""

    def __init__(self) -> None:
        self._told = False

    def now(self, last: str) -> str:
        """Give the time, or that of the last entry if it is not past yet."""
        now = datetime.now(UTC)
        told = now.strftime(_FORM)
        if told >= last:
            self._told = False
            return told
        if not self._told and (now + _MUCH).strftime(_FORM) < last:
            self._told = True
            _log.warning("the clock says %s, the last ledger entry %s: time waits", told, last)
        return last
