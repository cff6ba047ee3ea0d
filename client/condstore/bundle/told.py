"""What a pull asks for, and what it tells while it goes on and at its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import TypeAlias

    from condstore.digests import Digest
    from condstore.moments import When
    from condstore.results import PayloadIOV, Resolution, TagContent

    Tell: TypeAlias = "Callable[[Progress], object]"


class Told(Protocol):
    """What is asked for a bundle; `condstore.Client` answers it."""

    def tag(self, ref: str) -> TagContent:
        """Return a tag and its payload lists."""
        ...

    def iovs(
        self, ref: str, payload_type: str, begin: When | None = None, end: When | None = None
    ) -> Iterator[PayloadIOV]:
        """Yield the payload IOVs of a type that overlap [begin, end), by their start."""
        ...

    def segments(self, ref: str, payload_type: str) -> tuple[PayloadIOV, ...] | None:
        """Return what a streamed list's fingerprint is over; None if the list is not streamed."""
        ...

    def resolve_many(
        self, ref: str, moments: Iterable[When], payload_types: Sequence[str] = ()
    ) -> tuple[Resolution, ...]:
        """Return what holds at each moment."""
        ...

    def open(self, which: Digest) -> BinaryIO:
        """Open a payload, verified."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pull is with `what`, "payload IOVs" or "payloads": `done` of `total`, if known.

    `size` is how many bytes of payloads have come.
    """

    what: str
    done: int
    total: int | None
    size: int = 0


@dataclass(frozen=True, slots=True)
class Pulled:
    """The bundle that there is now; `new` is False if it was there before.

    `proof` is "fingerprint" if the tag's fingerprint was computed anew from all its rows, "told" if
    only a part was read.
    """

    path: Path
    reference: str
    proof: str
    payload_iovs: int
    payloads: int
    payload_bytes: int
    size: int
    new: bool
