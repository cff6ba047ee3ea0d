"""Which payloads of a tag hold at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from datastore_logic.view.contents import find_content
from datastore_logic.view.slices import Written
from datastore_logic.view.standing import look_up

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datastore_logic.domain.moment import Interval, Moment
    from datastore_logic.domain.tags import PayloadTypeName, TagRef
    from datastore_logic.view.database import Snapshot
    from datastore_logic.view.tags import TagRow


class Held(NamedTuple):
    """A payload that holds, of one type, and its interval; an end of None is open."""

    payload_type: str
    name: str
    checksum: str | None
    size: int | None
    start_major: int
    start_minor: int
    end_major: int | None
    end_minor: int | None
    revision: int | None
    digest: str | None


@dataclass(frozen=True, slots=True)
class Resolution:
    """The payloads that hold at `moment`, by type, and the types that have a gap there.

    The same answer holds for every moment of `holds`. `lsn` is what it reflects: all of the
    view, or just what was frozen where `ref` names a fingerprint; that answer never changes.
    `rows` are the columns of `payloads`; who needs no more than JSON of them asks `written`.
    """

    ref: TagRef
    tag: TagRow
    lsn: int
    moment: Moment
    holds: Interval
    rows: Iterable[Sequence[Any]]
    gaps: tuple[str, ...]

    @property
    def payloads(self) -> tuple[Held, ...]:
        """The payloads by type; they are made anew each time."""
        return tuple(map(Held._make, self.rows))

    @property
    def written(self) -> bytes | None:
        """The payloads as JSON rows up to `revision`, an open end as 2^63-1 twice.

        None where these do not lie ready.
        """
        return self.rows.json() if isinstance(self.rows, Written) else None


def resolve(
    snapshot: Snapshot, ref: TagRef, moment: Moment, only: PayloadTypeName | None = None
) -> Resolution:
    """Return what holds at `moment` in the tag, of one payload type or of all.

    Raises:
        NotFound: no such tag, or it has no list of the type `only`.
    """
    if snapshot.prepared is not None and only is None and ref.lsn is None:
        content, found = snapshot.prepared.standing(snapshot, ref, moment)
    else:
        content = find_content(snapshot, ref, only)
        found = look_up(snapshot.connection, content, moment)
    lsn = snapshot.lsn if ref.fingerprint is None and ref.lsn is None else content.lsn
    return Resolution(ref, content.tag, lsn, moment, found.holds, found.rows, found.gaps)
