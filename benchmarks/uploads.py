"""Blobs up: against bare writes of new files of the same size, each durable before the next."""

from __future__ import annotations

import functools
import itertools
import os
import time
from typing import TYPE_CHECKING

from benchmarks import disk, floor
from benchmarks.bench import Sample, still, typical
from benchmarks.load import Job, Request, post
from benchmarks.report import MIB, Aim, Table, mebibytes, milliseconds, number, percent, size
from benchmarks.servers import databuffer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.bench import Bench
    from benchmarks.servers import Server

MANY = 8
BODY = "application/octet-stream"
_STAMP = 24
_BARE = 0  # in place of a number of clients: the disk alone
_COLUMNS = (
    *("Size", "clients", "disk MiB/s", "upload MiB/s", "of the disk", "uploads/s"),
    *("p50 ms", "p99 ms", "CPU buffer", "CPU load"),
)

Key = tuple[int, int]
"""A size and a number of clients."""


def blobs(count: int, client: int) -> Iterator[Request]:
    """Upload blobs of that size, no two alike, one after the other."""
    head, rest = post("/blobs", count, BODY), _filler(count)[_STAMP:]
    begin = b"%016x" % time.time_ns()
    stamps = (begin + b"%02x%06x" % (client, serial) for serial in itertools.count())
    if count <= MIB:
        tail = bytes(rest)
        return ((head + stamp + tail,) for stamp in stamps)
    return ((head + stamp, rest) for stamp in stamps)


@functools.lru_cache(maxsize=1)
def _filler(count: int) -> memoryview:
    return memoryview(os.urandom(min(count, MIB)) * max(1, count // MIB))


def clients(count: int) -> tuple[int, ...]:
    """Return how many clients to measure with: memory and disk are bounded for the largest."""
    return (1, MANY) if count <= 16 * MIB else (1,)


def run(bench: Bench) -> list[Table]:
    """Upload from one client and from several, between bare writes of new files."""
    bare = bench.subfolder("upload-floor")
    sizes = disk.sizes(bench)
    with databuffer(bench.subfolder("upload")) as server:
        floors = {(count, _BARE): functools.partial(_bare, bench, bare, count) for count in sizes}
        ours = {
            (count, many): functools.partial(_upload, bench, server, count, many)
            for count in sizes
            for many in clients(count)
        }
        found = bench.interleave("upload", dict(sorted({**floors, **ours}.items())))
        bench.note_memory("upload", server)
    return [_table({key: typical(samples) for key, samples in found.items()})]


def _bare(bench: Bench, folder: Path, count: int) -> Sample:
    return still(floor.new_files(folder, count, bench.seconds / 2, disk.limit(count)))


def _upload(bench: Bench, server: Server, count: int, many: int) -> Sample:
    enough = max(many, disk.limit(count))
    job = Job(server.port, functools.partial(blobs, count), many, bench.seconds, enough)
    return bench.measure(job, server)


def _table(rates: dict[Key, Sample]) -> Table:
    best = {
        count: max(rates[count, many].rate for many in clients(count)) / sample.rate
        for (count, many), sample in rates.items()
        if many == _BARE and count >= MIB
    }
    return Table(
        "Blob upload: POST /blobs, answered when durable",
        _COLUMNS,
        tuple(_row(key, rates) for key in rates if key[1] != _BARE),
        (
            *(
                Aim(f"upload of {size(count)} / disk", ratio, 0.7).line()
                for count, ratio in best.items()
            ),
            f"SHA-256 on one core, part of every upload: {mebibytes(floor.sha256(0.3))} MiB/s.",
        ),
    )


def _row(key: Key, rates: dict[Key, Sample]) -> tuple[str, ...]:
    (count, many), sample = key, rates[key]
    bare = rates[count, _BARE].rate
    return (
        size(count),
        str(many),
        mebibytes(bare * count),
        mebibytes(sample.rate * count),
        percent(sample.rate, bare),
        number(sample.rate),
        milliseconds(sample.p50),
        milliseconds(sample.p99),
        *sample.cpu(),
    )
