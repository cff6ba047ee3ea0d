"""A list of payload files, as a script writes it, read as `condstore iov insert --from` reads it.

Rows with `file`, `payload_type` and `start`, and `end`, `name`, `checksum` if they are known, in
CSV, JSON or NDJSON. Files are found beside the list. Refuses wrong rows before anything is put.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from condstore import rows
from condstore.errors import UnreadableFile
from condstore.producer.files import PayloadFile

if TYPE_CHECKING:
    from pathlib import Path


def read_list(path: Path) -> tuple[PayloadFile, ...]:
    """Return what the list names; raise `UsageError` naming each row that is wrong."""
    try:
        return tuple(map(_file, rows.read_file(path)))
    except OSError as error:
        raise UnreadableFile(f"{path}: {error.strerror or error}") from error


def _file(entry: rows.Entry) -> PayloadFile:
    iov = entry.iov
    if entry.file is None:
        raise rows.BadRows(f"{entry.where}: file: is missing")
    if iov.size is not None or iov.revision is not None:
        raise rows.BadRows(f"{entry.where}: size and revision: are not for a list of files")
    return PayloadFile(entry.file, iov.payload_type, iov.start, iov.end, iov.name, iov.checksum)
