"""A list of payload files, as a script writes it: a CSV file, its first line naming the columns.

`file`, `type` and `start` must be there, `end`, `name` and `checksum` may, no other. Files are
found beside the list. Refuses a wrong line before anything is put, naming it.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final

from condstore.errors import UnreadableFile, UsageError
from condstore.producer.files import PayloadFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Set
    from pathlib import Path

_NEEDED: Final = ("file", "type", "start")
_KNOWN: Final = frozenset({*_NEEDED, "end", "name", "checksum"})


def read_list(path: Path) -> tuple[PayloadFile, ...]:
    """Return what the list names; raise `UsageError` naming the line that is wrong."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            _check_columns(path, set(rows.fieldnames or ()))
            return tuple(_file(path, rows.line_num, row) for row in rows)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnreadableFile(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def _check_columns(path: Path, columns: Set[str]) -> None:
    if missing := [name for name in _NEEDED if name not in columns]:
        raise UsageError(
            f"{path}: its first line must name the columns {', '.join(_NEEDED)}; it lacks "
            f"{', '.join(missing)}"
        )
    if strange := sorted(columns - _KNOWN):
        raise UsageError(f"{path}: column {strange[0]!r} is none of {', '.join(sorted(_KNOWN))}")


def _file(path: Path, line: int, row: Mapping[str, str | None]) -> PayloadFile:
    if None in row or any(row[name] in {None, ""} for name in _NEEDED):
        raise UsageError(
            f"{path}, line {line}: needs one value for each column, and a file, type and start"
        )
    told = {name: value for name, value in row.items() if value}
    source = path.parent / told["file"]
    if not source.is_file():
        raise UsageError(f"{path}, line {line}: {source} is not a file")
    try:
        return PayloadFile(
            source,
            told["type"],
            told["start"],
            told.get("end"),
            told.get("name"),
            told.get("checksum"),
        )
    except UsageError as error:
        raise UsageError(f"{path}, line {line}: {error}") from error
