"""A checkpoint: a view that the databuffer keeps, for new replicas to begin with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from condstore.results.parsing import Json


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The view of ledger `ledger` after entry `lsn`, whose hash is `hash`.

    It is of use to replicas of this `schema` and `stream_tag`. It takes `size` bytes at the
    databuffer and `unpacked` beside a replica; `time` is when it was made, by the replica's clock.
    """

    ledger: str
    lsn: int
    hash: str
    schema: int
    stream_tag: str
    size: int
    unpacked: int
    time: str

    @classmethod
    def read(cls, answer: Json) -> Checkpoint:
        """Read what the servers say of one."""
        return cls(
            ledger=str(answer["ledger"]),
            lsn=int(answer["lsn"]),
            hash=str(answer["hash"]),
            schema=int(answer["schema"]),
            stream_tag=str(answer["stream_tag"]),
            size=int(answer["size"]),
            unpacked=int(answer["bytes"]),
            time=str(answer["time"]),
        )
