"""What a look over a global tag finds before it is frozen, and which of it forbids the freeze.

A gap, a type without payloads, a payload that is not in the store: whoever processes with the
tag would notice. An interval that lost a part to another, neighbours with the same payload, a list
that ends before the others: somebody may have meant that, so it is only told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from datastore_logic.domain.bare import interval_of
from datastore_logic.domain.moment import Interval, Moment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from datastore_logic.domain.bare import Bare

SHOWN: Final = 10
"""How many of a kind are shown; all are counted."""


class Finding(StrEnum):
    """What may be found in the payload list of one type."""

    GAPS = "gaps"
    MISSING = "missing_payloads"
    WRONG = "wrong_payloads"
    TRIMMED = "trimmed"
    IDENTICAL = "identical_neighbours"
    ENDS_EARLY = "ends_early"
    EMPTY = "empty"
    ELSEWHERE = "kept_elsewhere"


class Weight(StrEnum):
    """What a finding means for a freeze."""

    REFUSED = "a strict freeze refuses it"
    WARNING = "it is told"
    NOTE = "it is counted"


WEIGHT: Final[Mapping[Finding, Weight]] = MappingProxyType(
    {
        Finding.GAPS: Weight.REFUSED,
        Finding.MISSING: Weight.REFUSED,
        Finding.WRONG: Weight.REFUSED,
        Finding.TRIMMED: Weight.WARNING,
        Finding.IDENTICAL: Weight.WARNING,
        Finding.ENDS_EARLY: Weight.WARNING,
        Finding.EMPTY: Weight.WARNING,
        Finding.ELSEWHERE: Weight.NOTE,
    }
)
"""Refused as well: a type that the template has, and the tag has not or only an empty list of."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was found, with what is known of it there."""

    interval: Interval
    name: str | None = None
    digest: str | None = None
    lsn: int | None = None

    def wire(self) -> dict[str, Any]:
        """Return the JSON form, without what is not known."""
        start, end = self.interval.start.wire(), self.interval.end
        known = {"name": self.name, "digest": self.digest, "lsn": self.lsn}
        told = {name: value for name, value in known.items() if value is not None}
        return {"start": start, "end": end and end.wire(), **told}


@dataclass(slots=True)
class Tally:
    """How many there are, and the first few."""

    count: int = 0
    first: list[Place] = field(default_factory=list)

    def add(self, row: Bare, interval: Interval | None = None) -> None:
        """Count what was found at a row, or at another interval because of it."""
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(Place(interval or interval_of(row), row[4], row[6]))

    def add_place(self, place: Place) -> None:
        """Count what was found somewhere."""
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(place)

    def wire(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"count": self.count, "first": [place.wire() for place in self.first]}


@dataclass(slots=True)
class TypeFindings:
    """What was found in the payload list of one type; `begin` and `end` are None if it is empty."""

    payload_type: str
    payload_iovs: int = 0
    begin: Moment | None = None
    end: Moment | None = None
    ends_early: bool = False
    elsewhere: int = 0
    tallies: dict[Finding, Tally] = field(default_factory=dict)

    def tally(self, finding: Finding) -> Tally:
        """Return where such findings are counted."""
        return self.tallies.setdefault(finding, Tally())

    def count(self, finding: Finding) -> int:
        """Return how often something was found."""
        match finding:
            case Finding.EMPTY:
                return not self.payload_iovs
            case Finding.ENDS_EARLY:
                return self.ends_early
            case Finding.ELSEWHERE:
                return self.elsewhere
            case _:
                return self.tallies[finding].count if finding in self.tallies else 0

    def wire(self) -> dict[str, Any]:
        """Return the JSON form."""
        counted = (finding for finding in Finding if finding not in _TOLD_APART)
        return {
            "payload_type": self.payload_type,
            "payload_iovs": self.payload_iovs,
            "begin": self.begin and self.begin.wire(),
            "end": self.end and self.end.wire(),
            Finding.EMPTY.value: not self.payload_iovs,
            Finding.ENDS_EARLY.value: self.ends_early,
            Finding.ELSEWHERE.value: self.elsewhere,
            **{finding.value: self.tallies.get(finding, Tally()).wire() for finding in counted},
        }


def look_over(payload_type: str, rows: Iterable[Bare]) -> TypeFindings:
    """Return what shows in the rows of a timeline, which are read once, in order.

    >>> a, b = ("a", None, None, None, None), ("b", None, "sha256:…", 7, None)
    >>> rows = [(1, 0, 3, 0, *a), (3, 0, 5, 0, *a), (8, 0, None, None, *b)]
    >>> found = look_over("Beam", rows)
    >>> [found.count(finding) for finding in (Finding.GAPS, Finding.IDENTICAL, Finding.ELSEWHERE)]
    [1, 1, 2]
    >>> str(found.tally(Finding.GAPS).first[0].interval)
    '[5:0, 8:0)'
    """
    found = TypeFindings(payload_type)
    first = last = None
    for row in rows:
        found.payload_iovs += 1
        if last is None:
            first = row
        elif row[:2] != last[2:4]:
            gap = Interval(Moment(*last[2:4]), Moment(*row[:2]))
            found.tally(Finding.GAPS).add(_NOTHING, gap)
        elif row[4:7] == last[4:7]:
            joined = Interval(Moment(*last[:2]), interval_of(row).end)
            found.tally(Finding.IDENTICAL).add(row, joined)
        if row[6] is None:
            found.elsewhere += 1
        last = row
    if first is not None and last is not None:
        found.begin, found.end = Moment(*first[:2]), interval_of(last).end
    return found


def refuses(found: TypeFindings) -> bool:
    """Whether something was found that a strict freeze refuses.

    >>> refuses(TypeFindings("Beam", elsewhere=3))
    False
    """
    return any(
        found.count(finding) for finding, weight in WEIGHT.items() if weight is Weight.REFUSED
    )


def note_early_ends(types: Sequence[TypeFindings]) -> None:
    """Mark the lists that end while others go on.

    >>> short, long = TypeFindings("A", 1, Moment(1), Moment(5)), TypeFindings("B", 1, Moment(1))
    >>> note_early_ends([short, long])
    >>> short.ends_early, long.ends_early
    (True, False)
    """
    ends = [one.end for one in types if one.payload_iovs]
    latest = None if None in ends else max((end for end in ends if end is not None), default=None)
    for one in types:
        one.ends_early = one.payload_iovs > 0 and one.end != latest


def missing_types(types: Iterable[TypeFindings], required: Collection[str]) -> tuple[str, ...]:
    """Return which of the required types have no payload at all.

    >>> missing_types([TypeFindings("A", 1), TypeFindings("B")], {"A", "B", "C"})
    ('B', 'C')
    """
    return tuple(sorted(set(required) - {one.payload_type for one in types if one.payload_iovs}))


_NOTHING: Final = (None,) * 9
_TOLD_APART: Final = frozenset({Finding.EMPTY, Finding.ENDS_EARLY, Finding.ELSEWHERE})
