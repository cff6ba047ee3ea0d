"""Where a restore ends: what was asked for, parsed, and what of a backup is kept then."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from condstore.backup.links import time_of, written
from condstore.errors import UsageError, WrongBackup

if TYPE_CHECKING:
    from condstore.backup.record import Record, Segment


@dataclass(frozen=True, slots=True)
class Until:
    """The last entry to keep: by LSN, by time (as the ledger writes it), or all."""

    lsn: int | None = None
    time: str = ""

    @classmethod
    def parse(cls, lsn: int | None, time: str | None) -> Until:
        """Read what was asked for; raise `UsageError`. A time without a zone is UTC.

        >>> Until.parse(None, "2026-11-20T23:17:00+01:00").time
        '2026-11-20T22:17:00.000000Z'
        """
        if lsn is not None and time is not None:
            raise UsageError("--lsn and --time both say where to end: give one of them")
        if lsn is not None and lsn < 1:
            raise UsageError(f"--lsn {lsn}: the first entry is LSN 1")
        if time is None:
            return cls(lsn)
        try:
            moment = datetime.fromisoformat(time)
            return cls(None, written(moment if moment.tzinfo else moment.replace(tzinfo=UTC)))
        except (ValueError, OverflowError):
            raise UsageError(
                f"--time {time!r}: write it as 2026-11-20T23:17:00Z (ISO 8601; UTC without a zone)"
            ) from None

    def refuse_beyond(self, record: Record) -> None:
        """Raise `WrongBackup` if a backup does not know what there was then."""
        if self.lsn is not None and self.lsn > record.lsn:
            raise WrongBackup(f"the backup ends at LSN {record.lsn} ({record.last})")
        known = max(record.time, record.last)
        if self.time > known:
            raise WrongBackup(
                f"the backup knows of nothing after {known}, when it was taken by the databuffer's "
                "clock: without --time all of it is restored"
            )

    def before(self, segment: Segment) -> bool:
        """Say whether a segment is known, unread, to come after the end."""
        return self.lsn is not None and segment.first > self.lsn

    def kept(self, segment: Segment, lines: list[bytes]) -> int:
        """Return how many of a segment's lines to keep; times never go back in a ledger."""
        if self.lsn is not None:
            return max(0, min(len(lines), self.lsn - segment.first + 1))
        return bisect_right(lines, self.time, key=time_of) if self.time else len(lines)
