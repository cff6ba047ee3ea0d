"""Blobs down: warm against nginx serving the same files, cold against the disk."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import json
import os
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import disk, floor
from benchmarks.bench import Sample, still, typical
from benchmarks.load import Job, Request, get
from benchmarks.report import MIB, Aim, Table, mebibytes, milliseconds, number, percent, size
from benchmarks.servers import CannotStart, databuffer, nginx
from benchmarks.uploads import BODY, clients

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.bench import Bench
    from benchmarks.servers import Server

_MOST_FILES = 64
_MOST_BYTES = 64 * MIB
_WARM = (
    *("Size", "clients", "nginx MiB/s", "ours MiB/s", "of nginx", "downloads/s"),
    *("p50 ms", "p99 ms", "CPU buffer", "CPU load"),
)

Key = tuple[int, int, str]
"""A size, a number of clients, and who answers."""


@dataclass(frozen=True, slots=True)
class Blobs:
    """Some blobs of one size: the paths they are asked for by, and their files."""

    size: int
    paths: tuple[str, ...]
    files: tuple[Path, ...]


def requests(paths: tuple[str, ...], client: int) -> Iterator[Request]:
    """Fetch these paths in turn, again and again, each client beginning elsewhere."""
    ready: list[Request] = [(get(path),) for path in paths]
    return itertools.islice(itertools.cycle(ready), client % len(ready), None)


def run(bench: Bench) -> list[Table]:
    """Download from the databuffer and from nginx in turn, warm; and cold against the disk."""
    folder = bench.subfolder("download")
    root = folder / "volume" / "blobs"
    notes: list[str] = []
    cases: dict[Key, Callable[[], Sample]] = {}
    with databuffer(folder) as server, contextlib.ExitStack() as stack:
        stored = [_stored(server, root, count) for count in disk.sizes(bench)]
        for blobs in stored:
            cases |= _warm(bench, server, blobs) | _cold(bench, server, blobs)
        try:
            other = stack.enter_context(nginx(bench.subfolder("nginx"), root))
        except CannotStart as reason:
            notes.append(f"Without nginx: {reason}.")
        else:
            for blobs in stored:
                cases |= _nginx(bench, other, root, blobs)
        found = bench.interleave("download", dict(sorted(cases.items())))
        bench.note_memory("download", server)
    rates = {key: typical(samples) for key, samples in found.items()}
    return [_warm_table(rates, notes), _cold_table(rates)]


def _stored(server: Server, root: Path, count: int) -> Blobs:
    many = max(1, min(_MOST_FILES, _MOST_BYTES // count))
    digests = [_store(server, count) for _ in range(many)]
    paths = tuple(f"/blobs/sha256/{digest}" for digest in digests)
    return Blobs(count, paths, tuple(next(root.rglob(digest)) for digest in digests))


def _store(server: Server, count: int) -> str:
    """Upload one blob of that size and return the hex part of its digest."""
    body = os.urandom(count)
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/blobs", body, {"Content-Type": BODY}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        digest = str(json.load(answer)["digest"]).removeprefix("sha256:")
    assert digest == hashlib.sha256(body).hexdigest()
    return digest


def _warm(bench: Bench, server: Server, blobs: Blobs) -> dict[Key, Callable[[], Sample]]:
    return {
        (blobs.size, many, "ours"): functools.partial(
            _fetch, bench, server, blobs.paths, blobs.size, many
        )
        for many in clients(blobs.size)
    }


def _nginx(
    bench: Bench, server: Server, root: Path, blobs: Blobs
) -> dict[Key, Callable[[], Sample]]:
    paths = tuple(f"/{file.relative_to(root)}" for file in blobs.files)
    return {
        (blobs.size, many, "nginx"): functools.partial(
            _fetch, bench, server, paths, blobs.size, many
        )
        for many in clients(blobs.size)
    }


def _fetch(bench: Bench, server: Server, paths: tuple[str, ...], count: int, many: int) -> Sample:
    enough = max(many, 16 * disk.limit(count))
    script = functools.partial(requests, paths)
    return bench.measure(Job(server.port, script, many, bench.seconds / 2, enough), server)


def _cold(bench: Bench, server: Server, blobs: Blobs) -> dict[Key, Callable[[], Sample]]:
    def bare() -> Sample:
        return still(floor.cold_reads(blobs.files) / blobs.size)

    def ours() -> Sample:
        floor.evict(blobs.files)
        script = functools.partial(requests, blobs.paths)
        job = Job(server.port, script, seconds=60, count=len(blobs.paths))
        return bench.measure(job, server)

    if blobs.size < MIB:
        return {}
    return {(blobs.size, 1, "disk"): bare, (blobs.size, 1, "cold"): ours}


def _warm_table(rates: dict[Key, Sample], notes: list[str]) -> Table:
    ours = [(count, many) for count, many, who in rates if who == "ours"]
    aims = [
        Aim(
            f"download of {size(count)} by {many} / nginx",
            rates[count, many, "ours"].rate / rates[count, many, "nginx"].rate,
            0.5,
        ).line()
        for count, many in ours
        if (count, many, "nginx") in rates
    ]
    return Table(
        "Blob download: GET /blobs/sha256/…, the files in the page cache",
        _WARM,
        tuple(_warm_row(count, many, rates) for count, many in ours),
        (*aims, *notes),
    )


def _warm_row(count: int, many: int, rates: dict[Key, Sample]) -> tuple[str, ...]:
    sample, other = rates[count, many, "ours"], rates.get((count, many, "nginx"))
    return (
        size(count),
        str(many),
        mebibytes(other.rate * count) if other else "",
        mebibytes(sample.rate * count),
        percent(sample.rate, other.rate) if other else "",
        number(sample.rate),
        milliseconds(sample.p50),
        milliseconds(sample.p99),
        *sample.cpu(),
    )


def _cold_table(rates: dict[Key, Sample]) -> Table:
    pairs = {
        count: (rates[count, 1, "disk"].rate, sample.rate)
        for (count, _, who), sample in rates.items()
        if who == "cold"
    }
    return Table(
        "Blob download: the files not in the page cache, one client",
        ("Size", "disk MiB/s", "ours MiB/s", "of the disk"),
        tuple(
            (size(count), mebibytes(bare * count), mebibytes(rate * count), percent(rate, bare))
            for count, (bare, rate) in pairs.items()
        ),
        tuple(
            Aim(f"cold download of {size(count)} / disk", rate / bare, 0.7).line()
            for count, (bare, rate) in pairs.items()
        ),
    )
