"""`Bundle`: the `Source` that answers from a bundle, field by field as the servers would.

What was not pulled is an error (`NotInBundle`), never a gap.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from condstore.bundle import about, beside
from condstore.bundle.file import SMALL
from condstore.bundle.rows import Rows
from condstore.errors import NotFound, NotInBundle
from condstore.moments import Moment
from condstore.results import Payload, PayloadIOV, Resolution

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from condstore.bundle.rows import Row
    from condstore.digests import Digest
    from condstore.results import Tag, TagContent


class Bundle:
    """Answer from the bundle at `path`; with payloads from `payloads` if they were put beside it.

    Opening it checks what is read then. Threads and forked processes may share it.

    Raises:
        DamagedBundle: here and in every method, if the file is not what was written.
        UsageError: there is no such file, or it is no bundle.
    """

    def __init__(
        self, path: Path | str, *, payloads: Path | str | None = None, small: int = SMALL
    ) -> None:
        self.path = Path(path)
        self._beside = None if payloads is None else Path(payloads)
        self._rows = Rows(self.path, small)
        self.about = about.read(self.path, self._rows.connection)
        lists = enumerate(self.about.content.payload_lists, 1)
        self._types = {
            number: held.payload_type
            for number, held in lists
            if held.payload_type in self.about.pulled
        }
        self._numbers = {kind: number for number, kind in self._types.items()}
        self._last: dict[str | None, Resolution] = {}

    def close(self) -> None:
        """Let go of the file."""
        self._rows.close()

    def tags(self, search: str, state: str | None) -> tuple[Tag, ...]:
        """Return the bundle's tag, if it is one of those."""
        tag = self.about.content.tag
        words = f"{tag.name}\n{tag.author or ''}".lower()
        return (tag,) if search.lower() in words and state in {None, tag.state} else ()

    def tag(self, ref: str) -> TagContent:
        """Return the bundle's tag and its payload lists, also those that were not pulled."""
        self._known(ref)
        return self.about.content

    def resolve(self, ref: str, moment: Moment, payload_type: str | None) -> Resolution:
        """Return what holds at a moment, of the types that were pulled."""
        self._known(ref)
        self.about.cover(moment)
        last = self._last.get(payload_type)
        if last is not None and last.holds_at(moment):
            return replace(last, moment=moment)
        lists = self._types if payload_type is None else (self._number(payload_type),)
        found = self._resolution(moment, self._rows.standing(moment, lists) if lists else [])
        self._last[payload_type] = found
        return found

    def resolve_many(
        self, ref: str, moments: Sequence[Moment], payload_types: Sequence[str]
    ) -> tuple[Resolution, ...]:
        """Return what holds at each moment; as online, of several types while all of the tag do."""
        kinds = frozenset(payload_types)
        for kind in sorted(kinds):
            self._number(kind)
        if len(kinds) == 1:
            return tuple(self.resolve(ref, moment, payload_types[0]) for moment in moments)
        found = (self.resolve(ref, moment, None) for moment in moments)
        return tuple(_of_kinds(each, kinds) if kinds else each for each in found)

    def iovs(
        self, ref: str, payload_type: str, begin: Moment | None, end: Moment | None
    ) -> Iterator[PayloadIOV]:
        """Yield the payload IOVs of a type that overlap [begin, end), by their start."""
        self._known(ref)
        self.about.cover_span(begin, end)
        number, first = self._number(payload_type), begin or self.about.begin
        for row in self._rows.following(number, first, end or self.about.end):
            iov = _iov(payload_type, row)
            if iov is not None and (iov.end is None or iov.end > first):
                yield iov

    @contextmanager
    def pieces(self, digest: Digest) -> Iterator[Iterator[bytes]]:
        """Give a payload's bytes piece by piece; `DamagedBundle` in place of the last wrong one."""
        if self._beside is not None:
            yield beside.pieces(self._beside, digest)
        elif self.about.payloads == "inside":
            yield self._rows.payload(digest)
        else:
            raise NotInBundle(
                f"{self.path} was pulled without payloads: say in which directory they are "
                "(Client.offline(path, payloads=DIRECTORY)), or pull it again with them"
            )

    def _known(self, ref: str) -> None:
        """Raise `NotFound` for what is another tag, or another state of it."""
        if ref not in {self.about.content.tag.name, self.about.reference}:
            raise NotFound(f"{self.path} has no {ref}, but {self.about.reference}", status=404)

    def _number(self, payload_type: str) -> int:
        """Return the number of a list that was pulled."""
        if payload_type in self._numbers:
            return self._numbers[payload_type]
        if any(held.payload_type == payload_type for held in self.about.content.payload_lists):
            raise NotInBundle(
                f"{payload_type} is not in {self.path}, which was pulled for "
                f"{', '.join(self.about.pulled)} only"
            )
        raise NotFound(
            f"there is no payload type {payload_type} in global tag {self.about.reference}",
            status=404,
        )

    def _resolution(self, moment: Moment, rows: list[Row]) -> Resolution:
        payloads: list[Payload] = []
        gaps: list[str] = []
        since: tuple[int, int] = (0, 0)
        until: tuple[int, int] | None = None
        for row in rows:
            _, number, start_major, start_minor, end_major, end_minor, next_major, *told = row
            end = None if end_major is None else (end_major, end_minor)
            if end is None or moment < end:
                payloads.append(_payload(self._types[number], row))
                begins = (start_major, start_minor)
            else:
                gaps.append(self._types[number])
                begins, end = end, None if next_major is None else (next_major, told[0])
            since = max(since, begins)
            until = end if until is None else until if end is None else min(until, end)
        return self._answer(moment, (since, until), tuple(payloads), tuple(gaps))

    def _answer(
        self,
        moment: Moment,
        holds: tuple[tuple[int, int], tuple[int, int] | None],
        payloads: tuple[Payload, ...],
        gaps: tuple[str, ...],
    ) -> Resolution:
        tag, (since, until) = self.about.content.tag, holds
        return Resolution(
            tag=tag.name,
            state=tag.state,
            fingerprint=tag.fingerprint,
            lsn=self.about.lsn,
            moment=moment,
            since=Moment(*since),
            until=None if until is None else Moment(*until),
            payloads=payloads,
            gaps=gaps,
        )


def _payload(payload_type: str, row: Row) -> Payload:
    (
        _,
        _,
        major,
        minor,
        end_major,
        end_minor,
        _,
        _,
        name,
        checksum,
        digest,
        size,
        revision,
        _,
        _,
    ) = row
    end = None if end_major is None else Moment(end_major, end_minor)
    start = Moment(major, minor)
    return Payload(payload_type, name, checksum, digest, size, revision, start, end)


def _iov(payload_type: str, row: Row) -> PayloadIOV | None:
    """Return the payload IOV of a row; None for one that only says where the first one starts."""
    (_, _, major, minor, end_major, end_minor, _, _, name, *told) = row
    if name is None:
        return None
    end = None if end_major is None else Moment(end_major, end_minor)
    return PayloadIOV(payload_type, Moment(major, minor), end, name, *told)


def _of_kinds(found: Resolution, kinds: frozenset[str]) -> Resolution:
    payloads = tuple(each for each in found.payloads if each.payload_type in kinds)
    return replace(found, payloads=payloads, gaps=tuple(k for k in found.gaps if k in kinds))
