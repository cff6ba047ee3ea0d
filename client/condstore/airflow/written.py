"""Payload IOVs and files as a DAG writes them: mappings that fit a template and an XCom."""

from __future__ import annotations

import glob
import json
from pathlib import Path
from typing import TYPE_CHECKING

from condstore.errors import UsageError
from condstore.moments import Moment
from condstore.results import NewIOV

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from condstore.producer import PayloadFile
    from condstore.results import Json


def rows(given: str | Iterable[Json]) -> list[Json]:
    """Return what a DAG lists: a template gives a text, which must then be JSON.

    >>> rows('[{"start": 1}]'), rows(({"start": 1},))
    ([{'start': 1}], [{'start': 1}])
    """
    if not isinstance(given, str):
        return list(given)
    try:
        told = json.loads(given)
    except ValueError:
        told = None
    if not isinstance(told, list):
        raise UsageError(
            f"{given[:80]!r} is no JSON list: give a task's output, or write {{{{ … | tojson }}}}"
        )
    return told


def new_iov(row: NewIOV | Mapping[str, Json]) -> NewIOV:
    """Return a payload IOV as a DAG writes it; raise `UsageError` naming what is not understood.

    >>> new_iov({"payload_type": "Beam", "start": [100, 0], "name": "beam-100"}).start
    Moment(major=100, minor=0)
    """
    if isinstance(row, NewIOV):
        return row
    try:
        start, end = row["start"], row.get("end")
        moments = {"start": Moment.of(start), "end": None if end is None else Moment.of(end)}
        return NewIOV(**{**row, **moments})
    except (TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            f"{row!r} is no payload IOV ({error}): write payload_type, start and, where known, "
            "end, name, digest, checksum, size, revision"
        ) from error


def payload_file(row: str | Path | Mapping[str, Json]) -> PayloadFile:
    """Return a payload file as a DAG writes it; raise `UsageError` naming what is not understood.

    >>> payload_file({"file": "beam.json", "payload_type": "Beam", "start": 1200}).since
    Moment(major=1200, minor=0)
    """
    if isinstance(row, str | Path):
        raise UsageError(
            f"{str(row)!r}: into a tag each file is a mapping of file, payload_type, start and, "
            "where known, end, name, checksum"
        )
    from condstore.producer import PayloadFile  # noqa: PLC0415 - as in Store.producer

    try:
        rest = {name: value for name, value in row.items() if name != "file"}
        return PayloadFile(Path(row["file"]), **rest)
    except (TypeError, KeyError) as error:
        raise UsageError(
            f"{row!r} is no payload file ({error}): write file, payload_type, start and, where "
            "known, end, name, checksum"
        ) from error


def names(given: str | Iterable[str]) -> tuple[str, ...]:
    """Return names as a DAG writes them: a list, or a template's text with commas.

    >>> names("Beam, Field"), names(["Beam"]), names("")
    (('Beam', 'Field'), ('Beam',), ())
    """
    listed = given.split(",") if isinstance(given, str) else given
    return tuple(name for name in map(str.strip, listed) if name)


def found(given: Iterable[str | Path | Mapping[str, Json]]) -> Iterator[Path]:
    """Yield the files of paths and patterns, in order; raise `UsageError` for one that has none."""
    for pattern in given:
        if not isinstance(pattern, str | Path):
            raise UsageError(f"{pattern!r}: say into which tag, or give a path")
        names = sorted(glob.glob(str(pattern), recursive=True))  # noqa: PTH207 - patterns may be absolute
        if not names:
            raise UsageError(f"{pattern}: there is no such file")
        yield from map(Path, names)
