"""Sources for tests of the cache: one that makes its answers, one that notes what it is asked."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from load import seeded

from condstore.digests import Digest
from condstore.errors import Answered, NotFound
from condstore.moments import Moment
from condstore.results import HeldList, Payload, PayloadIOV, Resolution, Tag, TagContent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from condstore.source import Source

FINGERPRINT = "f" * 64
FROZEN = f"T@{FINGERPRINT}"
BEGIN = Moment(0, 0)


def content(number: int, size: int) -> bytes:
    """Return the bytes of a payload made up by its number."""
    return seeded(number).randbytes(size)


def tag() -> Tag:
    """Return a frozen tag as lists show it."""
    times = ("2026-11-20T00:00:00Z", "2026-11-20T00:00:01Z")
    return Tag("T", "frozen", FINGERPRINT, "of a test", None, False, *times, 2, 3, 17)


@dataclass
class Made:
    """A `Source` of one frozen tag: intervals by type, [start, end) by major; payloads by digest.

    `tell` hears of each piece before it is given.
    """

    intervals: dict[str, list[tuple[int, int | None]]] = field(default_factory=dict)
    payloads: dict[Digest, bytes] = field(default_factory=dict)
    piece: int = 1 << 16
    tell: Callable[[], object] = bool

    def store(self, *contents: bytes) -> list[Digest]:
        """Take payloads and return their digests."""
        digests = [Digest.of(one) for one in contents]
        self.payloads |= dict(zip(digests, contents, strict=True))
        return digests

    def tags(self, search: str, state: str | None) -> tuple[Tag, ...]:
        """Return the tag."""
        return (tag(),)

    def tag(self, ref: str) -> TagContent:
        """Return the tag and its lists."""
        lists = tuple(
            HeldList(kind, f"list-{kind}", len(found), BEGIN, None)
            for kind, found in sorted(self.intervals.items())
        )
        return TagContent(tag(), lists)

    def resolve(self, ref: str, moment: Moment, payload_type: str | None) -> Resolution:
        """Return what holds, by looking at every interval."""
        kinds = sorted(self.intervals) if payload_type is None else [payload_type]
        if unknown := set(kinds) - set(self.intervals):
            raise NotFound(f"no {unknown}", status=404)
        bounds = {
            Moment(bound)
            for kind in kinds
            for interval in self.intervals[kind]
            for bound in interval
            if bound is not None
        }
        held = [payload for kind in kinds for payload in self._held(kind, moment)]
        return Resolution(
            *("T", "frozen", FINGERPRINT, 17, moment),
            since=max((bound for bound in bounds if bound <= moment), default=BEGIN),
            until=min((bound for bound in bounds if bound > moment), default=None),
            payloads=tuple(held),
            gaps=tuple(kind for kind in kinds if kind not in {one.payload_type for one in held}),
        )

    def _held(self, kind: str, moment: Moment) -> Iterator[Payload]:
        for start, end in self.intervals[kind]:
            if Moment(start) <= moment and (end is None or moment < Moment(end)):
                name = f"{kind}-{start}"
                digest = Digest.of(name.encode())
                ends = None if end is None else Moment(end)
                yield Payload(kind, name, None, digest, 5400, None, Moment(start), ends)

    def resolve_many(
        self, ref: str, moments: Sequence[Moment], payload_types: Sequence[str]
    ) -> tuple[Resolution, ...]:
        """Return what holds at each, of types in their own order."""
        some = Made({kind: self.intervals[kind] for kind in payload_types or self.intervals})
        return tuple(some.resolve(ref, moment, None) for moment in moments)

    def iovs(
        self, ref: str, payload_type: str, begin: Moment | None, end: Moment | None
    ) -> Iterator[PayloadIOV]:
        """Yield nothing."""
        return iter(())

    @contextlib.contextmanager
    def pieces(self, digest: Digest) -> Iterator[Iterator[bytes]]:
        """Give the payload, piece by piece."""
        if digest not in self.payloads:
            raise NotFound(f"no {digest}", status=404)
        yield self._pieces(self.payloads[digest])

    def _pieces(self, whole: bytes) -> Iterator[bytes]:
        for at in range(0, len(whole), self.piece):
            self.tell()
            yield whole[at : at + self.piece]


class Noted:
    """A `Source` before another that writes a byte into a file for each call: processes share it.

    `P` a payload, `r` a resolution, `m` many of them, `t` a tag.
    """

    def __init__(self, source: Source, notes: Path) -> None:
        self._source = source
        self._notes = notes
        notes.touch()
        self.tags = source.tags
        self.iovs = source.iovs

    def count(self, kind: str) -> int:
        """Return how many calls of a kind there were, of all processes."""
        return self._notes.read_text().count(kind)

    def tag(self, ref: str) -> TagContent:
        """Note and pass on."""
        self._note("t")
        return self._source.tag(ref)

    def resolve(self, ref: str, moment: Moment, payload_type: str | None) -> Resolution:
        """Note and pass on."""
        self._note("r")
        return self._source.resolve(ref, moment, payload_type)

    def resolve_many(
        self, ref: str, moments: Sequence[Moment], payload_types: Sequence[str]
    ) -> tuple[Resolution, ...]:
        """Note and pass on."""
        self._note("m")
        return self._source.resolve_many(ref, moments, payload_types)

    def pieces(self, digest: Digest) -> contextlib.AbstractContextManager[Iterator[bytes]]:
        """Note and pass on."""
        self._note("P")
        return self._source.pieces(digest)

    def _note(self, kind: str) -> None:
        file = os.open(self._notes, os.O_WRONLY | os.O_APPEND)
        os.write(file, kind.encode())
        os.close(file)


def crowd(many: int, work: Callable[[int], object]) -> list[int]:
    """Fork so many processes, let each do its work, and return their exit statuses: 0 is good."""
    children = [_forked(lambda number=number: work(number)) for number in range(many)]  # type: ignore[misc]
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def _forked(work: Callable[[], object]) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    except (AssertionError, Answered, OSError) as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(status)
