"""Payload IOVs by the thousand: from an array of objects to columns, a list's entries together.

What clients usually send is checked a column at a time; only where that fails is each value looked
at, to say which one is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from datastore_logic.domain.columns import Columns
from datastore_logic.domain.moment import LIMIT, Moment
from datastore_logic.domain.tags import ListName
from datastore_logic.errors import BadRequest
from datastore_logic.services.iovs import Wanted
from datastore_logic.web import fields
from datastore_logic.web.cdb_rest import asked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from datastore_logic.domain.moment import Pair
    from datastore_logic.web.cdb_rest.ends import Ends

    Value = TypeVar("Value")

Sent = dict[str, Any]

_LAST: Final = asked.optional_number


def wanted(sent: Sequence[Sent], ends: Ends) -> list[Wanted]:
    """Return what an array of payload IOVs asks for, a list at a time, each in the order sent.

    Raises:
        BadRequest: naming the entry and its field.
        BadName: of a payload list.
    """
    by_list: dict[str, list[Sent]] = {}
    for entry in sent:
        by_list.setdefault(str(entry.get("payload_list")), []).append(entry)
    return [Wanted(ListName.parse(name), _columns(held, ends)) for name, held in by_list.items()]


def _columns(sent: Sequence[Sent], ends: Ends) -> Columns:
    names = _texts(sent, "payload_url") or _each(sent, "payload_url", asked.text)
    majors = _numbers(sent, "major_iov") or _each(sent, "major_iov", asked.number)
    minors = _numbers(sent, "minor_iov") or _each(sent, "minor_iov", asked.number)
    until = _ends(sent, names, majors, minors, ends)
    return Columns(
        start_major=majors,
        start_minor=minors,
        name=names,
        end_major=None if until is None else [end and end[0] for end in until],
        end_minor=None if until is None else [end and end[1] for end in until],
        checksum=_texts(sent, "checksum") or _if_any(sent, "checksum", asked.optional_text),
        size=_numbers(sent, "size") or _if_any(sent, "size", asked.optional_number),
        revision=_numbers(sent, "revision") or _if_any(sent, "revision", asked.optional_number),
    )


def _ends(
    sent: Sequence[Sent], names: list[str], majors: list[int], minors: list[int], ends: Ends
) -> list[Pair | None] | None:
    """Return each end, None for one that is not told; None where none is."""
    last_majors = _numbers(sent, "major_iov_end") or _if_any(sent, "major_iov_end", _LAST)
    last_minors = _numbers(sent, "minor_iov_end") or _if_any(sent, "minor_iov_end", _LAST)
    if last_majors is None and last_minors is None:
        return None
    nothing = [None] * len(sent)
    told = [
        (LIMIT if major is None else major, LIMIT if minor is None else minor)
        for major, minor in zip(last_majors or nothing, last_minors or nothing, strict=True)
    ]
    starts = list(zip(majors, minors, strict=True))
    until = [*map(ends.read, told)]
    for name, start, end, last in zip(names, starts, until, told, strict=True):
        if end is not None and end <= start:
            ends.interval(name, Moment(*start), Moment(*last))  # says what is wrong
    return until


def _numbers(sent: Sequence[Sent], field: str) -> list[Any] | None:
    """Return a column that holds nothing but numbers, as they must be; else None."""
    column: list[Any] = [entry.get(field) for entry in sent]
    if set(map(type, column)) == {int} and min(column) >= 0 and max(column) <= LIMIT:
        return column
    return None


def _texts(sent: Sequence[Sent], field: str) -> list[Any] | None:
    """Return a column that holds nothing but texts, as they must be; else None."""
    column: list[Any] = [entry.get(field) for entry in sent]
    if set(map(type, column)) == {str} and all(0 < len(text) <= fields.MAX_NAME for text in column):
        return column
    return None


def _if_any(
    sent: Sequence[Sent], field: str, parse: Callable[[Sent, str], Value]
) -> list[Value] | None:
    return (
        _each(sent, field, parse) if any(entry.get(field) is not None for entry in sent) else None
    )


def _each(sent: Sequence[Sent], field: str, parse: Callable[[Sent, str], Value]) -> list[Value]:
    """Return a column of values, each looked at.

    Raises:
        BadRequest: naming the first that cannot be, by its place among its list's entries.
    """
    found = []
    for place, entry in enumerate(sent):
        try:
            found.append(parse(entry, field))
        except BadRequest as reason:
            where = f"{entry.get('payload_list')}[{place}].{reason}"
            raise BadRequest(where, field=f"[{place}].{field}") from reason
    return found
