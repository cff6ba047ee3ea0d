"""Many payload IOVs in a file, JSON, NDJSON or CSV: each bad row is named by line and field.

All wrong rows are found before any is used: nobody mends a file of thousands row by row.
"""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from condstore.digests import Digest
from condstore.errors import UsageError
from condstore.moments import LIMIT, Moment, written
from condstore.results import NewIOV

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from condstore.results import Json

T = TypeVar("T")
FIELDS: Final = (
    *("payload_type", "start", "end", "name"),
    *("digest", "file", "checksum", "size", "revision"),
)
_SHOWN = 20
_DIGITS: Final = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A payload IOV to insert, the file its payload is in, if any, and where it was written."""

    iov: NewIOV
    file: Path | None = None
    where: str = ""


class BadRows(UsageError):
    """Rows that cannot be payload IOVs, each with its line and field."""


def read_file(path: Path, payload_type: str | None = None) -> tuple[Entry, ...]:
    """Return the entries in a file; raise `BadRows` as `read` does, `OSError`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRows(f"{path} is not text in UTF-8 ({error.reason})") from error
    return read(text, str(path), path.parent, payload_type)


def read(text: str, name: str, folder: Path, payload_type: str | None) -> tuple[Entry, ...]:
    """Return the entries in `text`; `folder` is where their files lie.

    `payload_type` is that of the rows that name none.

    Raises:
        BadRows: naming each wrong row by its line and field.
    """
    entries, wrong = [], []
    for where, row in _rows(text, name):
        try:
            entries.append(_entry(row, where, folder, payload_type))
        except UsageError as error:
            wrong.append(f"{where}: {error}")
    if wrong:
        more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise BadRows("; ".join(wrong[:_SHOWN]) + more)
    if not entries:
        raise BadRows(f"{name} has no rows")
    return tuple(entries)


def _rows(text: str, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if text.lstrip()[:1] == "[":
        rows = _parsed(text, name)
        yield from ((f"{name} row {number}", row) for number, row in enumerate(rows, 1))
    elif text.lstrip()[:1] == "{":
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                yield f"{name} line {number}", _parsed(line, f"{name} line {number}")
    else:
        yield from _csv(text, name)


def _parsed(text: str, where: str) -> Json:
    """Read JSON; a number with decimals stays the text that it was, exactly."""
    try:
        return json.loads(text, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise BadRows(f"{where} is not JSON ({error})") from error


def _csv(text: str, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        for row in reader:
            where = f"{name} line {reader.line_num}"
            if None in row:
                raise BadRows(f"{where} has more fields than the first line names")
            yield where, {field: value for field, value in row.items() if value}
    except csv.Error as error:
        raise BadRows(f"{name} line {reader.line_num} is not CSV ({error})") from error


def _entry(row: object, where: str, folder: Path, payload_type: str | None) -> Entry:
    if not isinstance(row, dict):
        raise UsageError('is no object such as {"payload_type":"Beam","start":"1200"}')
    told = {field: value for field, value in row.items() if value is not None}
    if unknown := [str(field) for field in told if field not in FIELDS]:
        raise UsageError(f"{unknown[0]}: is no field; known: {', '.join(FIELDS)}")
    file = _read(told, "file", _text)
    iov = NewIOV(
        payload_type=_read(told, "payload_type", _text) or _needed(payload_type, "payload_type"),
        start=_needed(_read(told, "start", _moment), "start"),
        end=_read(told, "end", _moment),
        name=_read(told, "name", _text),
        digest=_read(told, "digest", lambda value: Digest.parse(_text(value))),
        checksum=_read(told, "checksum", _text),
        size=_read(told, "size", _number),
        revision=_read(told, "revision", _number),
    )
    return checked(Entry(iov, folder / file if file else None, where))


def checked(entry: Entry) -> Entry:
    """Return the entry if it makes sense; raise `UsageError` naming the field if not."""
    iov = entry.iov
    if iov.end is not None and iov.end <= iov.start:
        end, start = written(iov.end), written(iov.start)
        raise UsageError(f"end: {end} does not come after the start {start}")
    if entry.file is None and not (iov.name or iov.digest):
        raise UsageError("name: is needed where there is neither a digest nor a file")
    if entry.file is not None and iov.digest:
        raise UsageError("file: is one payload and digest another; give one of them")
    if entry.file is not None and not entry.file.is_file():
        raise UsageError(f"file: {entry.file} is not there")
    return entry


def _read(told: dict[str, Any], field: str, make: Callable[[Any], T]) -> T | None:
    if field not in told:
        return None
    try:
        return make(told[field])
    except UsageError as error:
        raise UsageError(f"{field}: {error}") from error


def _needed(value: T | None, field: str) -> T:
    if value is None:
        raise UsageError(f"{field}: is missing")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{value!r} is not a text")
    return value


def _number(value: object) -> int:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if type(value) is not int or not 0 <= value <= LIMIT:
        raise UsageError(f"{repr(value)[:60]} is not a whole number from 0 to 2^63-1")
    return value


def _moment(value: object) -> Moment:
    match value:
        case str():
            return Moment.parse(value)
        case int() if not isinstance(value, bool):
            return Moment.of(value)
        case [int() as major, int() as minor]:
            return Moment.of((major, minor))
    raise UsageError(f'{value!r} is not a moment: write "1200:17", 1200 or [1200,17]')
