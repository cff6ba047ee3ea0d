"""How much a JSON body may hold, counted on its raw bytes before anything is made of it.

32 MiB of `{},{},{},…` are eleven million objects, a gigabyte of memory; 32 MiB of payload IOVs are
not. So commas and opening brackets are counted first, and objects apart. What stands in strings is
counted too, so the bounds leave room for names with commas; how many IOVs there are is counted
again when they are. Depth is looked at by an RE2 expression, for nesting up to a fixed depth is a
regular language: one pass, a nanosecond a byte.

>>> refuse_beyond(SMALL, b'{"name":"X"}')
>>> refuse_beyond(Bounds(values=2), b"[1,2,3]")
Traceback (most recent call last):
datastore_logic.errors.TooLarge: The body holds more than 2 values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import re2

from datastore_logic.errors import TooLarge

DEPTH: Final = 16
"""Our own bodies have four levels."""

VALUES_AN_IOV: Final = 24
"""A payload IOV is an object of at most eight fields, two of them pairs."""

OBJECTS_AN_IOV: Final = 4

_MARKS: Final = b",[{"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many values a body may hold, and, where it is an array of them, how many payload IOVs."""

    values: int = 100_000
    iovs: int | None = None


SMALL: Final = Bounds()


def of_iovs(most: int) -> Bounds:
    """Return the bounds of a body with so many payload IOVs."""
    return Bounds(VALUES_AN_IOV * most + SMALL.values, most)


def refuse_beyond(bounds: Bounds, sent: bytes) -> None:
    """Refuse a body that holds more.

    Raises:
        TooLarge: naming the limit.
    """
    if bounds.iovs is not None and sent.count(b"{") > OBJECTS_AN_IOV * bounds.iovs:
        raise too_many_iovs(bounds.iovs)
    if len(sent) - len(sent.translate(None, _MARKS)) > bounds.values:
        raise TooLarge(f"The body holds more than {bounds.values} values.")


def too_many_iovs(most: int, field: str | None = None) -> TooLarge:
    """Return the refusal of more payload IOVs than one request may have."""
    where = "" if field is None else f"{field}: "
    words = f"{where}at most {most} payload IOVs in one request (MAX_IOVS)"
    return TooLarge(words, field=field)


def is_shallow(sent: bytes) -> bool:
    """Tell whether brackets match to a depth of at most `DEPTH`.

    >>> is_shallow(b'["]]", [{}]]'), is_shallow(b"[" * 17 + b"]" * 17), is_shallow(b"[1")
    (True, False, False)
    """
    return _SHALLOW.fullmatch(sent) is not None


def _nested(depth: int) -> bytes:
    """Return the expression for text that is nested so deep at most, strings left alone."""
    plain = rb'[^"\[\]{}]|"(?:[^"\\]|\\.)*"'
    inner = rb"(?:%b)*" % plain
    for _ in range(depth):
        inner = rb"(?:%b|[\[{]%b[\]}])*" % (plain, inner)
    return inner


def _options() -> re2.Options:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bytes, whatever they are
    options.dot_nl = True
    options.never_capture = True
    return options


_SHALLOW: Final = re2.compile(_nested(DEPTH), _options())
