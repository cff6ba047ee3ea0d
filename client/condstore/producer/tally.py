"""What has been acknowledged so far: counted when the answer came, told to whoever watches."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from condstore.producer.report import PutReport, StreamReport

if TYPE_CHECKING:
    from collections.abc import Callable

    from condstore.producer.files import Measured, PayloadFile
    from condstore.producer.placing import Placed
    from condstore.producer.uploads import Uploaded
    from condstore.segments import Segment


@dataclass(slots=True, kw_only=True)
class _Timed:
    """How long the work takes, or took."""

    begun: float = field(default_factory=time.monotonic)
    ended: float | None = None

    def end(self) -> None:
        """Take the time no further."""
        self.ended = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds from the beginning to the end, or to now."""
        return (time.monotonic() if self.ended is None else self.ended) - self.begun


@dataclass(slots=True)
class Streamed(_Timed):
    """Counts the segments of one stream."""

    tell: Callable[[Any], object]
    segments: int = 0
    size: int = 0
    resumed: int = 0
    lsn: int = 0

    def add(self, segment: Segment, lsn: int, *, resumed: bool = False) -> None:
        """Count one more segment that was acknowledged, now or earlier."""
        self.segments += 1
        self.size += len(segment.body)
        self.resumed += resumed
        self.lsn = max(self.lsn, lsn)
        self.tell(segment)

    def report(self) -> StreamReport:
        """Return what it comes to by now."""
        return StreamReport(self.segments, self.size, self.seconds, self.lsn, self.resumed)


@dataclass(slots=True)
class PutDown(_Timed):
    """Counts the files of one put."""

    tag: str
    tell: Callable[[Any], object]
    files: int = 0
    size: int = 0
    uploaded: int = 0
    uploaded_size: int = 0
    inserted: int = 0
    identical: int = 0
    resumed: int = 0
    lsn: int = 0

    def sent(self, uploaded: Uploaded) -> None:
        """Count the payloads that the store lacked and now has."""
        self.uploaded += uploaded.payloads
        self.uploaded_size += uploaded.size

    def stand(self, batch: list[Measured], placed: Placed) -> None:
        """Count a batch of files that are in the tag now."""
        self.size += sum(one.size for one in batch)
        self.inserted += placed.inserted
        self.identical += placed.identical
        self.lsn = max(self.lsn, placed.lsn)
        for one in batch:
            self.files += 1
            self.tell(one.file)

    def stood(self, file: PayloadFile, lsn: int) -> None:
        """Count a file that was acknowledged to an earlier run."""
        self.files += 1
        self.resumed += 1
        self.lsn = max(self.lsn, lsn)
        self.tell(file)

    def report(self) -> PutReport:
        """Return what it comes to by now."""
        return PutReport(
            tag=self.tag,
            files=self.files,
            size=self.size,
            uploaded=self.uploaded,
            uploaded_size=self.uploaded_size,
            inserted=self.inserted,
            identical=self.identical,
            resumed=self.resumed,
            seconds=self.seconds,
            lsn=self.lsn,
        )
