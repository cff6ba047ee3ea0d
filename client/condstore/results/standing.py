"""How a tag stands: what most acts answer with, and what a difference is between."""

from __future__ import annotations

from dataclasses import dataclass

from condstore.results.parsing import Json, optional


@dataclass(frozen=True, slots=True)
class TagStanding:
    """How a tag stands after an act, or which state of it an answer is about."""

    tag: str
    state: str
    fingerprint: str | None
    lsn: int

    @classmethod
    def read(cls, answer: Json) -> TagStanding:
        """Read the answer to locking, unlocking or unfreezing."""
        return cls(
            str(answer["tag"]),
            str(answer["state"]),
            optional(str, answer["fingerprint"]),
            int(answer["lsn"]),
        )
