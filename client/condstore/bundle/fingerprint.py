"""The fingerprint of a tag, computed here from what a server told: docs/conditions-model.md."""

from __future__ import annotations

import hashlib

# The encoder that json.dumps(…, ensure_ascii=False) itself uses for a string.
from json.encoder import encode_basestring as _quoted
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Exact: TypeAlias = tuple[int, int, int | None, int | None, str, str | None, str | None]
"""start_major, start_minor, end_major, end_minor, name, checksum, digest."""


class TimelineFingerprint:
    """The SHA-256 over a timeline's rows, which must be added in their order."""

    def __init__(self) -> None:
        self._total = hashlib.sha256()

    def add(self, row: Exact) -> None:
        """Add the next row."""
        major, minor, end_major, end_minor, name, checksum, digest = row
        self._total.update(
            f"[{major},{minor},{_number(end_major)},{_number(end_minor)},"
            f"{_quoted(name)},{_text(checksum)},{_text(digest)}]\n".encode()
        )

    def hexdigest(self) -> str:
        """Return the fingerprint of what was added, 64 hexadecimal digits."""
        return self._total.hexdigest()


def timeline_fingerprint(rows: Iterable[Exact]) -> str:
    """Return the fingerprint of rows given in any order."""
    total = TimelineFingerprint()
    for row in sorted(rows, key=_order):
        total.add(row)
    return total.hexdigest()


def tag_fingerprint(timelines: Mapping[str, str]) -> str:
    """Return the fingerprint of a tag from `{payload type: timeline fingerprint}`.

    >>> tag_fingerprint({}) == hashlib.sha256().hexdigest()
    True
    """
    total = hashlib.sha256()
    for payload_type, fingerprint in sorted(timelines.items()):
        total.update(f"[{_quoted(payload_type)},{_quoted(fingerprint)}]\n".encode())
    return total.hexdigest()


def _order(row: Exact) -> tuple[object, ...]:
    """Order by start, end, name, checksum, digest; what is absent comes last."""
    numbers = ((part is None, part or 0) for part in row[2:4])
    texts = ((part is None, part or "") for part in row[4:])
    return (*row[:2], *numbers, *texts)


def _number(value: int | None) -> str:
    return "null" if value is None else str(value)


def _text(value: str | None) -> str:
    return "null" if value is None else _quoted(value)
