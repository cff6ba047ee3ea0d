"""The reading half of `Client`: what a job asks, and what a tag librarian looks at.

The first part is answered by servers, from a cache before them, or from a bundle, by the same code.
The rest takes a server, and says so where there is none.
"""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from condstore import landing
from condstore.asking import Asking
from condstore.calls import V1, Call, step, tag_path
from condstore.digests import Digest
from condstore.errors import UsageError
from condstore.moments import Moment
from condstore.results import (
    Act,
    Difference,
    Json,
    PayloadIOV,
    PayloadListInfo,
    PayloadType,
    PreflightReport,
    Readiness,
    parse,
)
from condstore.results.parsing import optional, several

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from condstore.bundle import Progress, Pulled
    from condstore.moments import When
    from condstore.results import Payload, Resolution, Tag, TagContent
    from condstore.server import Server

_LACKS_AT_ONCE = 10_000


class Reading(Asking):
    """Ask what holds, what a tag is, and how it came to be so."""

    # -- answered online, from a cache and offline alike -----------------------------------------

    def tags(self, *, search: str = "", state: str | None = None) -> tuple[Tag, ...]:
        """Return all global tags by name; `search` is a part of the name or the author."""
        return self._source.tags(search, state)

    def tag(self, ref: str) -> TagContent:
        """Return one global tag and its payload lists; raise `NotFound`."""
        return self._source.tag(ref)

    def pin(self, ref: str) -> str:
        """Return a reference whose answers never change: for a job, before its first question.

        `TAG@<fingerprint>` of a frozen tag, else `TAG@<lsn>`; one that is pinned stays as it is.
        """
        return ref if "@" in ref else self._source.tag(ref).tag.reference

    def resolve(self, ref: str, moment: When, payload_type: str | None = None) -> Resolution:
        """Return the payloads that hold at `moment`; where there is a gap there is none."""
        return self._source.resolve(ref, Moment.of(moment), payload_type)

    def resolve_many(
        self, ref: str, moments: Iterable[When], payload_types: Sequence[str] = ()
    ) -> tuple[Resolution, ...]:
        """Return what holds at each moment, in their order, all of one state of the tag."""
        asked = [Moment.of(moment) for moment in moments]
        return self._source.resolve_many(ref, asked, payload_types) if asked else ()

    def iovs(
        self, ref: str, payload_type: str, begin: When | None = None, end: When | None = None
    ) -> Iterator[PayloadIOV]:
        """Yield the payload IOVs of a type that overlap [begin, end), by their start."""
        first, last = (None if when is None else Moment.of(when) for when in (begin, end))
        return self._source.iovs(ref, payload_type, first, last)

    def payload(self, which: Digest | str | Payload | PayloadIOV | None) -> bytes:
        """Return a payload's bytes, whole in memory, verified; raise `DamagedPayload`."""
        with self.open(which) as file:
            return bytes(file.read())

    def open(self, which: Digest | str | Payload | PayloadIOV | None) -> BinaryIO:
        """Open a payload for reading, every byte verified before the first is given."""
        digest = _digest(which)
        open_once = self._spooled if self._shelf is None else self._shelf.open
        return self._persist(lambda: open_once(digest))

    def download(
        self,
        which: Digest | str | Payload | PayloadIOV | None,
        target: Path,
        tell: Callable[[int], object] = bool,
    ) -> int:
        """Write a payload to `target`, verified, and return its size; `tell` hears of each piece.

        `target` never holds half a payload, nor a wrong one (`landing.land`).
        """
        digest = _digest(which)

        def once() -> int:
            with self._source.pieces(digest) as pieces:
                return landing.land(pieces, digest, target, tell)

        return self._persist(once)

    # -- answered by servers only ----------------------------------------------------------------

    def diff(
        self, old: str, new: str, payload_type: str | None = None, *, limit: int = 10_000
    ) -> Difference:
        """Return what changes from one tag, or one state of it, to another."""
        params = {"to": new, "limit": str(limit)}
        params |= {"type": payload_type} if payload_type else {}
        server = self._server("a difference of two tags")
        return server.read(Difference.read, tag_path(old, "diff"), params)

    def history(self, ref: str, *, limit: int | None = None) -> Iterator[Act]:
        """Yield who did what to a tag, newest first; at most `limit` acts."""
        server, path = self._server("a tag's history"), tag_path(ref, "history")
        return itertools.islice(_acts(server, path), limit)

    def segments(self, ref: str, payload_type: str) -> tuple[PayloadIOV, ...] | None:
        """Return what the fingerprint of a streamed list is over; None if it is not streamed."""
        path = tag_path(ref, "payload-lists", payload_type, "segments")
        return _segments(self._server("a list's segments"), path, payload_type)

    def check(
        self, ref: str, *, template: str | None = None, read_bytes: bool = False
    ) -> PreflightReport:
        """Return what a freeze would report; with `read_bytes` every payload is hashed too."""
        params = {"template": template} if template else {}
        params |= {"read_bytes": "1"} if read_bytes else {}
        return self._server("a look over a tag").read(
            PreflightReport.read, tag_path(ref, "check"), params
        )

    def payload_types(self, *, search: str = "") -> tuple[PayloadType, ...]:
        """Return all payload types by name, in tags or not."""
        asked = {"search": search} if search else {}
        rows = self._server("the list of types").pages(
            f"{V1}/payload-types", "payload_types", asked
        )
        return tuple(parse(PayloadType.read, row, "the server") for row in rows)

    def payload_list(self, name: str) -> PayloadListInfo:
        """Return a payload list by its name, in a tag or not."""
        path = f"{V1}/payload-lists/{step(name)}"
        return self._server("a payload list").read(PayloadListInfo.read, path)

    def lacks(self, digests: Iterable[Digest | str]) -> frozenset[str]:
        """Return those of the payloads that the store has not."""
        server, rest = self._server("what the store has"), iter(map(Digest.parse, digests))
        missing: set[str] = set()
        while some := list(itertools.islice(rest, _LACKS_AT_ONCE)):
            missing |= server.ask(
                lambda answer: set(several(str, answer["missing"])),
                f"{V1}/payloads/missing",
                {"digests": some},
            )
        return frozenset(missing)

    def readiness(self) -> Readiness:
        """Return what the replica says of itself; "not ready" is an answer too."""
        call = Call("GET", "/readyz", accept=frozenset({503}))
        return self._server("how the servers are").get(Readiness.read, call)

    def pull(  # noqa: PLR0913 - each is said by its name
        self,
        ref: str,
        path: Path | str,
        *,
        begin: When | None = None,
        end: When | None = None,
        payload_types: Sequence[str] = (),
        payloads: bool | Path | str = True,
        prove: bool = False,
        force: bool = False,
        tell: Callable[[Progress], object] = bool,
    ) -> Pulled:
        """Write a bundle of frozen content, which `Client.offline` answers from (`bundle.pull`).

        Of [begin, end) and these types, or of all; payload bytes inside, in a directory beside it,
        or (`payloads=False`) not at all. The same again changes nothing.
        """
        from condstore.bundle import pull  # noqa: PLC0415 - who pulls nothing needs no SQLite

        return pull(
            self,
            ref,
            path,
            begin=begin,
            end=end,
            payload_types=payload_types,
            payloads=payloads,
            prove=prove,
            force=force,
            tell=tell,
        )

    # -- plumbing --------------------------------------------------------------------------------

    def _spooled(self, digest: Digest) -> BinaryIO:
        with self._source.pieces(digest) as pieces:
            return landing.spool(pieces, digest)


def _acts(server: Server, path: str) -> Iterator[Act]:
    for acts in server.paged(_history_page, path, by="before"):
        yield from acts


def _history_page(answer: Json) -> tuple[tuple[Act, ...], int | None]:
    return several(Act.read, answer["entries"]), optional(int, answer["next"])


def _segments(server: Server, path: str, payload_type: str) -> tuple[PayloadIOV, ...] | None:
    found: list[PayloadIOV] = []
    for rows in server.paged(partial(_segment_page, payload_type), path):
        if rows is None:
            return None
        found += rows
    return tuple(found)


def _segment_page(
    payload_type: str, answer: Json
) -> tuple[tuple[PayloadIOV, ...] | None, str | None]:
    read = partial(several, partial(PayloadIOV.read, payload_type))
    return optional(read, answer["segments"]), optional(str, answer["next"])


def _digest(which: Digest | str | Payload | PayloadIOV | None) -> Digest:
    """Return the digest that is meant; raise `UsageError` for a gap, and for what is elsewhere."""
    if which is None:
        raise UsageError("there is no payload to read: nothing holds at that moment (a gap)")
    if isinstance(which, str):
        return Digest.parse(which)
    if which.digest is None:
        raise UsageError(
            f"{which.name} ({which.payload_type}) is kept elsewhere, not in this store"
        )
    return Digest.parse(which.digest)
