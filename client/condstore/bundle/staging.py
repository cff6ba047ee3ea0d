"""The rows of a pull: read several lists at once, prove them, stage them."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Final

from condstore.bundle.about import PROVEN
from condstore.bundle.ahead import ahead
from condstore.bundle.fingerprint import (
    TimelineFingerprint,
    tag_fingerprint,
    timeline_fingerprint,
)
from condstore.bundle.linked import linked
from condstore.bundle.streamed import Held
from condstore.bundle.told import Progress
from condstore.errors import NotProven, UnexpectedAnswer
from condstore.moments import written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from condstore.bundle.about import About
    from condstore.bundle.fingerprint import Exact
    from condstore.bundle.linked import Gap
    from condstore.bundle.told import Tell, Told
    from condstore.bundle.writing import Writer
    from condstore.moments import Moment
    from condstore.results import PayloadIOV

_TELL_EVERY: Final = 10_000


def keep_rows(client: Told, about: About, writer: Writer, tell: Tell) -> None:
    """Stage the rows that are wanted; raise `NotProven` if all do not give the fingerprint."""
    if about.proof == PROVEN:
        _keep_proven(client, about, writer, tell)
    else:
        _keep_range(client, about, writer, tell)


def _keep_range(client: Told, about: About, writer: Writer, tell: Tell) -> None:
    """Stage what the server tells of the range; what lies beside it is asked for."""
    ref = about.reference
    asked = partial(client.iovs, begin=about.begin, end=about.end)
    lists = (partial(asked, ref, kind) for kind in about.pulled)
    counted = _Counted(tell, None)
    with closing(ahead(lists)) as found:
        for kind, rows in zip(about.pulled, found, strict=True):
            gap_at = partial(_gap, client, ref, kind)
            _stage(writer, about, kind, counted.of(rows), gap_at)
    counted.say()


def _keep_proven(client: Told, about: About, writer: Writer, tell: Tell) -> None:
    """Read all of the tag and stage what is wanted of it, if it gives the fingerprint."""
    kinds = [held.payload_type for held in about.content.payload_lists]
    counted = _Counted(tell, about.content.tag.payload_iov_count)
    timelines: dict[str, str] = {}
    with closing(ahead(partial(client.iovs, about.reference, kind) for kind in kinds)) as found:
        for kind, rows in zip(kinds, found, strict=True):
            total = TimelineFingerprint()
            of_kind = _added(total, counted.of(rows))
            if kind in about.pulled:
                _stage(writer, about, kind, of_kind)
            else:
                _exhaust(of_kind)
            timelines[kind] = total.hexdigest()
    counted.say()
    fingerprint = about.content.tag.fingerprint
    if tag_fingerprint(timelines) != fingerprint:
        _read_segments(client, about, writer, timelines)
    if tag_fingerprint(timelines) != fingerprint:
        raise NotProven(
            f"what the server tells of {about.reference} gives another fingerprint, "
            f"{tag_fingerprint(timelines)}; nothing was written. Is a proxy between that alters "
            "answers? Tell whoever runs the server: `condstore verify` looks for damage there"
        )


def _read_segments(client: Told, about: About, writer: Writer, timelines: dict[str, str]) -> None:
    """Put in what a streamed list's fingerprint is over: all segments, with their exact bounds."""
    for number, held in enumerate(about.content.payload_lists, 1):
        told = client.segments(about.reference, held.payload_type)
        if told is None:
            continue
        segments = [_exact(row) for row in told]
        timelines[held.payload_type] = timeline_fingerprint(segments)
        writer.keep_segments(number, segments)
        answered = Held(segments)
        for row in writer.staged(number):
            if not answered.belongs(row):
                raise NotProven(f"the server answers with {row[4]}, which is no segment there")
        if about.whole and not answered.all_answered():
            raise NotProven(f"the server leaves out a segment of {held.payload_type}")


def _stage(
    writer: Writer,
    about: About,
    kind: str,
    rows: Iterable[PayloadIOV],
    gap_at: Callable[[Moment], Gap] | None = None,
) -> None:
    held = [each.payload_type for each in about.content.payload_lists]
    writer.stage(linked(held.index(kind) + 1, rows, about.begin, about.end, gap_at))


def _gap(client: Told, ref: str, kind: str, moment: Moment) -> Gap:
    """Return the gap at a moment, as the server tells it."""
    (found,) = client.resolve_many(ref, [moment], [kind])
    if found.payloads:
        raise UnexpectedAnswer(
            f"the server tells of {kind} that it has a payload at {written(moment)}, and lists none"
        )
    return found.since, found.until


def _added(total: TimelineFingerprint, rows: Iterable[PayloadIOV]) -> Iterator[PayloadIOV]:
    for row in rows:
        total.add(_exact(row))
        yield row


def _exact(row: PayloadIOV) -> Exact:
    end = (None, None) if row.end is None else row.end
    return (*row.start, *end, row.name, row.checksum, row.digest)


def _exhaust(rows: Iterable[PayloadIOV]) -> None:
    for _ in rows:
        pass


class _Counted:
    """Counts rows and tells of every so many."""

    def __init__(self, tell: Tell, total: int | None) -> None:
        self._tell, self._total, self._done = tell, total, 0

    def of(self, rows: Iterable[PayloadIOV]) -> Iterator[PayloadIOV]:
        """Yield the rows."""
        for row in rows:
            yield row
            self._done += 1
            if self._done % _TELL_EVERY == 0:
                self.say()

    def say(self) -> None:
        """Tell how many there were."""
        self._tell(Progress("payload IOVs", self._done, self._total))
