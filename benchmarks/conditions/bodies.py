"""Bodies of bulk inserts, written to a file beforehand so that no load generator makes them.

Rows lie in the order of their starts, type after type, as the field's scripts send them.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.conditions.shape import payload, start, type_name
from benchmarks.load import post

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from benchmarks.conditions.shape import Shape
    from benchmarks.load import Request

PER_REQUEST = 5000
"""Intervals in one request, at most."""

LEGACY = "/api/cdb_rest/bulk_piov"

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Bodies:
    """A file of bodies for one path: where each lies, by payload type."""

    file: Path
    path: str
    spans: tuple[tuple[Span, ...], ...]

    @property
    def count(self) -> int:
        """How many requests they make."""
        return sum(map(len, self.spans))

    def all(self, limit: int = 2**63) -> list[memoryview]:
        """Return the bodies one after the other, up to so many bytes altogether."""
        view, taken = _mapped(self.file), 0
        found: list[memoryview] = []
        for begin, end in (span for spans in self.spans for span in spans):
            taken += end - begin
            if taken > limit and found:
                break
            found.append(view[begin:end])
        return found


def legacy(file: Path, shape: Shape, lists: Sequence[str]) -> Bodies:
    """Write what nopayloaddb's clients send: rows without an end, for lists by name."""

    def row(kind: int, at: int) -> str:
        (major, minor), (name, checksum, size) = start(kind, at), payload(kind, at)
        return (
            f'{{"payload_url":"{name}","checksum":"{checksum}","size":{size},'
            f'"major_iov":{major},"minor_iov":{minor},"payload_list":"{lists[kind]}"}}'
        )

    return Bodies(file, LEGACY, _written(file, shape, b"[%b]", row))


def v1(file: Path, shape: Shape, tag: str) -> Bodies:
    """Write what our own API takes: rows with their ends, for the payload types of one tag."""

    def row(kind: int, at: int) -> str:
        (major, minor), (name, checksum, size) = start(kind, at), payload(kind, at)
        end = shape.end(kind, at)
        until = "null" if end is None else f"[{end[0]},{end[1]}]"
        return (
            f'{{"payload_type":"{type_name(kind)}","start":[{major},{minor}],"end":{until},'
            f'"name":"{name}","checksum":"{checksum}","size":{size}}}'
        )

    path = f"/api/v1/global-tags/{tag}/iovs"
    return Bodies(file, path, _written(file, shape, b'{"iovs":[%b]}', row))


def requests(bodies: Bodies, clients: int, client: int) -> Iterator[Request]:
    """Post the bodies of every `clients`-th payload type, each once."""
    view = _mapped(bodies.file)
    for spans in bodies.spans[client::clients]:
        for begin, end in spans:
            yield post(bodies.path, end - begin), view[begin:end]


def _written(
    file: Path, shape: Shape, frame: bytes, row: Callable[[int, int], str]
) -> tuple[tuple[Span, ...], ...]:
    with file.open("wb") as out:

        def put(kind: int, first: int) -> Span:
            begin, past = out.tell(), min(first + PER_REQUEST, shape.iovs)
            rows = ",".join(row(kind, at) for at in range(first, past))
            out.write(frame % rows.encode())
            return begin, out.tell()

        spans = tuple(
            tuple(put(kind, first) for first in range(0, shape.iovs, PER_REQUEST))
            for kind in range(shape.types)
        )
        out.flush()
        os.fsync(out.fileno())  # or the disk would be busy with it while others are measured
        return spans


def _mapped(file: Path) -> memoryview:
    with file.open("rb") as opened:
        return memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
