"""The fingerprint of a global tag: one digest over all it would ever answer.

A *timeline's* fingerprint is the SHA-256 over its rows in order of (start, end, name,
checksum, digest), open ends and absent values last. Each row is one line of UTF-8, ended by a
newline, a JSON array without spaces::

    [start_major,start_minor,end_major|null,end_minor|null,name,checksum|null,digest|null]

The *tag's* is the SHA-256 over one such line a payload type, in order of the type's name::

    [payload_type,timeline_fingerprint]

Strings are escaped as JSON demands and no further (letters beyond ASCII stand as they are). So
equal content has an equal fingerprint however it was built, and anybody can check it.
"""

from __future__ import annotations

import hashlib

# The encoder that json.dumps(…, ensure_ascii=False) itself uses for a string.
from json.encoder import encode_basestring as _quoted
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from datastore_logic.domain.timeline import Row


def timeline_fingerprint(rows: Iterable[Row]) -> str:
    """Return the fingerprint, 64 hexadecimal digits, of rows given in any order."""
    total = hashlib.sha256()
    for row in sorted(rows, key=_order):
        total.update(_line(row).encode())
    return total.hexdigest()


def tag_fingerprint(timelines: Mapping[str, str]) -> str:
    """Return the fingerprint of a tag from `{payload type: timeline fingerprint}`."""
    total = hashlib.sha256()
    for payload_type, fingerprint in sorted(timelines.items()):
        total.update(f"[{_quoted(payload_type)},{_quoted(fingerprint)}]\n".encode())
    return total.hexdigest()


def _order(row: Row) -> tuple[object, ...]:
    interval, payload = row.interval, row.payload
    end = (1,) if interval.end is None else (0, interval.end.major, interval.end.minor)
    return (
        interval.start,
        end,
        payload.name,
        _none_last(payload.checksum),
        _none_last(payload.digest),
    )


def _none_last(text: str | None) -> tuple[bool, str]:
    return (text is None, text or "")


def _line(row: Row) -> str:
    start, end, payload = row.interval.start, row.interval.end, row.payload
    until = "null,null" if end is None else f"{end.major},{end.minor}"
    return (
        f"[{start.major},{start.minor},{until},{_quoted(payload.name)},"
        f"{_or_null(payload.checksum)},{_or_null(payload.digest)}]\n"
    )


def _or_null(text: str | None) -> str:
    return "null" if text is None else _quoted(text)
