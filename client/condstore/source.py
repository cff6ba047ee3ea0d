"""What answers the reading half of the library: servers, a cache before them, or a bundle.

One protocol, so that a job runs the same code with and without a network. Answers are values that
nobody changes. A reference is `TAG`, `TAG@<fingerprint>` (frozen content) or `TAG@<lsn>` (the tag
as the ledger told it then).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from condstore.digests import Digest
    from condstore.moments import Moment
    from condstore.results import PayloadIOV, Resolution, Tag, TagContent


class Source(Protocol):
    """Reads, each on its own: none depends on another having been made before.

    Every method raises `NotFound` for what is not there, and whatever keeps the source from
    answering (`ServerAway`, `DamagedBundle`); none ever answers with less than it was asked for.
    """

    def tags(self, search: str, state: str | None) -> tuple[Tag, ...]:
        """Return the global tags by name; those with `search` in them, those in `state`."""
        ...

    def tag(self, ref: str) -> TagContent:
        """Return a global tag and its payload lists."""
        ...

    def resolve(self, ref: str, moment: Moment, payload_type: str | None) -> Resolution:
        """Return what holds at a moment; a payload type that the tag has not is `NotFound`."""
        ...

    def resolve_many(
        self, ref: str, moments: Sequence[Moment], payload_types: Sequence[str]
    ) -> tuple[Resolution, ...]:
        """Return what holds at each moment, in their order, of these types or of all."""
        ...

    def iovs(
        self, ref: str, payload_type: str, begin: Moment | None, end: Moment | None
    ) -> Iterator[PayloadIOV]:
        """Yield the payload IOVs of a type that overlap [begin, end), by their start."""
        ...

    def pieces(self, digest: Digest) -> AbstractContextManager[Iterator[bytes]]:
        """Give a payload's bytes piece by piece as they come: the reader checks the digest."""
        ...
