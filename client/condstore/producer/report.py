"""What a producer's work came to: what the server acknowledged, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamReport:
    """What a stream came to: acknowledged segments and bytes, seconds, and the newest LSN.

    `resumed` of the segments were acknowledged to an earlier run and not sent again.
    """

    segments: int
    size: int
    seconds: float
    lsn: int
    resumed: int = 0

    @property
    def rate(self) -> float:
        """Acknowledged segments a second."""
        return self.segments / self.seconds if self.seconds > 0 else 0.0

    def __str__(self) -> str:
        return f"{self.segments} segments were acknowledged, the ledger at LSN {self.lsn}"


@dataclass(frozen=True, slots=True)
class PutReport:
    """What a put came to: files whose place in the tag the server acknowledged.

    Of these files, `inserted` have a new IOV, `identical` needed none, and `resumed` were
    acknowledged to an earlier run. `uploaded` payloads of `uploaded_size` bytes were sent, the
    others the store had. `size` is that of all the files but the resumed ones, which are not read.
    """

    tag: str
    files: int
    size: int
    uploaded: int
    uploaded_size: int
    inserted: int
    identical: int
    resumed: int
    seconds: float
    lsn: int

    @property
    def rate(self) -> float:
        """Acknowledged files a second."""
        return self.files / self.seconds if self.seconds > 0 else 0.0

    def __str__(self) -> str:
        return (
            f"{self.files} files were acknowledged in {self.tag}, "
            f"{self.uploaded} payloads uploaded, the ledger at LSN {self.lsn}"
        )
