"""What an insert would do to a payload list: worked out here, changing nothing.

The rules are those of docs/conditions-model.md, which the server keeps: an entry without an end
stops at the next start in its list, of two with an equal start the later sent counts, and in an
unlocked tag the newest wins over its range. Pure; who asks brings the stored IOVs.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import attrgetter
from typing import TYPE_CHECKING

from condstore.commands.refusals import STREAMED
from condstore.results import NewIOV, PayloadIOV, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from condstore.moments import Moment

_START = attrgetter("start")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the timeline and the IOV, stored or new, whose payload holds there."""

    start: Moment
    end: Moment | None
    iov: PayloadIOV | NewIOV

    @property
    def name(self) -> str:
        """The payload's logical name; without one it is called by its digest."""
        return self.iov.name or self.iov.digest or ""


@dataclass(frozen=True, slots=True)
class Affected:
    """A stored IOV that gives way, and over which intervals it would still hold."""

    iov: PayloadIOV
    kept: tuple[Span, ...]

    @property
    def what(self) -> str:
        """What becomes of it, in the words of the conditions model."""
        return ("detached", "trimmed", "split")[min(len(self.kept), 2)]


@dataclass(frozen=True, slots=True)
class Plan:
    """What an insert into one payload list would come to.

    `unseen`: entries that others sent with them replace; `gaps`: where nothing would hold, next to
    or between what is inserted; `ends`: behind that nothing holds at all, because what is inserted
    comes last and has an end; `refusal`: why the server would refuse all of it, or None.
    """

    payload_type: str
    inserted: tuple[Piece, ...]
    unchanged: int
    unseen: tuple[NewIOV, ...]
    affected: tuple[Affected, ...]
    gaps: tuple[Span, ...]
    ends: Moment | None
    refusal: str | None


def plan(
    payload_type: str,
    wanted: Sequence[NewIOV],
    stored: Sequence[PayloadIOV],
    *,
    state: str,
    before: Moment | None = None,
) -> Plan:
    """Return what putting `wanted` into the list of one payload type would change.

    `stored` are its IOVs from the first one `wanted` touches to the first one behind them all;
    `before` is where the one before these ends, None if there is none; `state` is the tag's,
    or "streamed".
    """
    laid = _ended(wanted, stored)
    timeline = _Timeline(Piece(iov.start, iov.end, iov) for iov in stored)
    came = [timeline.lay(piece) for piece in laid]
    pieces = tuple(timeline)
    there = {id(piece.iov) for piece in pieces}
    return Plan(
        payload_type=payload_type,
        inserted=tuple(piece for piece in pieces if isinstance(piece.iov, NewIOV)),
        unchanged=came.count(False),
        unseen=_unseen(wanted, laid, came, there),
        affected=tuple(_affected(stored, pieces)),
        gaps=tuple(_gaps(pieces, before)),
        ends=pieces[-1].end if pieces and isinstance(pieces[-1].iov, NewIOV) else None,
        refusal=_refusal(laid, stored, state),
    )


def _ended(wanted: Sequence[NewIOV], stored: Sequence[PayloadIOV]) -> list[Piece]:
    """Return the entries in the order sent, each with the end it gets."""
    newest = {iov.start: iov for iov in wanted}
    starts = sorted({*newest, *map(_START, stored)})
    return [
        Piece(iov.start, iov.end or _next(starts, iov.start), iov)
        for iov in wanted
        if newest[iov.start] is iov
    ]


def _next(starts: list[Moment], start: Moment) -> Moment | None:
    place = bisect_right(starts, start)
    return starts[place] if place < len(starts) else None


class _Timeline:
    """Disjoint pieces in order, while one entry after the other is laid over them."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._pieces = list(pieces)

    def __iter__(self) -> Iterator[Piece]:
        return iter(self._pieces)

    def lay(self, new: Piece) -> bool:
        """Let `new` take its range; say whether that changed anything."""
        first, last = self._range(new)
        touched = self._pieces[first:last]
        if len(touched) == 1 and _is_same(touched[0], new):
            return False
        left = [replace(piece, end=new.start) for piece in touched[:1] if piece.start < new.start]
        right = [
            replace(piece, start=new.end)
            for piece in touched[-1:]
            if new.end is not None and (piece.end is None or new.end < piece.end)
        ]
        self._pieces[first:last] = [*left, new, *right]
        return True

    def overlapping(self, new: Piece) -> list[Piece]:
        """Return the pieces that `new` would touch."""
        first, last = self._range(new)
        return self._pieces[first:last]

    def _range(self, new: Piece) -> tuple[int, int]:
        pieces = self._pieces
        first = bisect_right(pieces, new.start, key=_START)
        if first and _reaches(pieces[first - 1], new.start):
            first -= 1
        last = len(pieces) if new.end is None else bisect_left(pieces, new.end, key=_START)
        return first, last


def _reaches(piece: Piece, moment: Moment) -> bool:
    return piece.end is None or moment < piece.end


def _is_same(one: Piece, other: Piece) -> bool:
    return (one.start, one.end, _payload(one.iov)) == (other.start, other.end, _payload(other.iov))


def _payload(iov: PayloadIOV | NewIOV) -> tuple[object, ...]:
    return (iov.name or iov.digest, iov.checksum, iov.digest, iov.size, iov.revision)


def _unseen(
    wanted: Sequence[NewIOV], laid: list[Piece], came: list[bool], there: set[int]
) -> tuple[NewIOV, ...]:
    """Return the entries that stand nowhere in the end, because others sent with them do."""
    stood = {id(piece.iov) for piece, new in zip(laid, came, strict=True) if not new}
    return tuple(iov for iov in wanted if id(iov) not in there | stood)


def _affected(stored: Sequence[PayloadIOV], pieces: tuple[Piece, ...]) -> Iterator[Affected]:
    kept: dict[Moment, list[Span]] = {iov.start: [] for iov in stored}
    for piece in pieces:
        if isinstance(piece.iov, PayloadIOV):
            kept[piece.iov.start].append(Span(piece.start, piece.end))
    for iov in stored:
        if kept[iov.start] != [Span(iov.start, iov.end)]:
            yield Affected(iov, tuple(kept[iov.start]))


def _gaps(pieces: tuple[Piece, ...], before: Moment | None) -> Iterator[Span]:
    if pieces and before is not None and before < pieces[0].start:
        yield Span(before, pieces[0].start)
    for one, other in pairwise(pieces):
        if one.end is not None and one.end < other.start:
            yield Span(one.end, other.start)


def _refusal(laid: list[Piece], stored: Sequence[PayloadIOV], state: str) -> str | None:
    """Say why the tag's state forbids it: the table of states in docs/conditions-model.md."""
    if state == "unlocked":
        return None
    if state == "streamed":
        return STREAMED
    if state == "frozen":
        return "the tag is frozen and takes no payload IOV; clone it to correct the clone"
    held = _Timeline(Piece(iov.start, iov.end, iov) for iov in stored)
    for one, other in pairwise(sorted(laid, key=_START)):
        if _reaches(one, other.start):
            return "the tag is locked, and two of the new intervals overlap"
    for new in laid:
        for there in held.overlapping(new):
            follows = there.end is None and new.iov.end is None and there.start < new.start
            if not (follows or _is_same(there, new)):
                return "the tag is locked: a new interval may fill a gap or follow, never overlap"
    return None
