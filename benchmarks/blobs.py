"""Blobs up and down: against the disk's own rate, and against nginx serving the same file."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import json
import os
import time
import urllib.request
from typing import TYPE_CHECKING

from benchmarks import disk, floor
from benchmarks.bench import Sample, typical
from benchmarks.load import Job, Request, get, post
from benchmarks.report import MIB, Aim, Table, mebibytes, milliseconds, number, percent, size
from benchmarks.servers import CannotStart, databuffer, nginx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.bench import Bench
    from benchmarks.servers import Server

_MANY = 8
_STAMP = 24
_BODY = "application/octet-stream"


def uploads(count: int, client: int) -> Iterator[Request]:
    """Upload blobs of that size, no two alike, one after the other."""
    head, rest = post("/blobs", count, _BODY), _filler(count)[_STAMP:]
    begin = b"%016x" % time.time_ns()
    stamps = (begin + b"%02x%06x" % (client, serial) for serial in itertools.count())
    if count <= MIB:
        tail = bytes(rest)
        return ((head + stamp + tail,) for stamp in stamps)
    return ((head + stamp, rest) for stamp in stamps)


@functools.lru_cache(maxsize=1)
def _filler(count: int) -> memoryview:
    return memoryview(os.urandom(min(count, MIB)) * max(1, count // MIB))


def downloads(path: str, client: int) -> Iterator[Request]:
    """Fetch one path again and again."""
    del client
    return itertools.repeat((get(path),))


def upload(bench: Bench) -> list[Table]:
    """Upload from one client and from several, between bare writes of new files."""
    folder = bench.subfolder("upload")
    bare = bench.subfolder("upload-floor")
    sizes = disk.sizes(bench)
    with databuffer(folder) as server:
        floors = {
            (count, 0): functools.partial(_bare, bare, count, bench.seconds / 2) for count in sizes
        }
        cases = {
            (count, clients): functools.partial(_upload, bench, server, count, clients)
            for count in sizes
            for clients in _clients(count)
        }
        cases_by_size = dict(sorted({**floors, **cases}.items()))
        found = bench.interleave("upload", cases_by_size)
        bench.note_memory("upload", server)
    rates = {key: typical(samples) for key, samples in found.items()}
    aims = tuple(
        Aim(
            f"upload of {size(count)} against the disk",
            max(rates[count, clients].rate for clients in _clients(count)) / rates[count, 0].rate,
            0.7,
        ).line()
        for count in sizes
        if count >= MIB
    )
    return [
        Table(
            "Blob upload: POST /blobs, answered when durable",
            *_upload_rows(rates),
            notes=(
                *aims,
                f"SHA-256 on one core, part of every upload: {mebibytes(floor.sha256(0.3))} MiB/s.",
            ),
        )
    ]


def _clients(count: int) -> tuple[int, ...]:
    return (1, _MANY) if count <= 16 * MIB else (1,)


def _bare(folder: Path, count: int, seconds: float) -> Sample:
    rate = floor.new_files(folder, count, seconds, disk.limit(count))
    return Sample(rate, 1 / rate, 1 / rate, 0.0, ())


def _upload(bench: Bench, server: Server, count: int, clients: int) -> Sample:
    job = Job(
        server.port,
        functools.partial(uploads, count),
        clients,
        bench.seconds,
        max(clients, disk.limit(count)),
    )
    return bench.measure(job, server)


_Columns = tuple[str, ...]


def _upload_rows(
    rates: dict[tuple[int, int], Sample],
) -> tuple[_Columns, tuple[_Columns, ...]]:
    columns = ("Size", "clients", "disk MiB/s", "upload MiB/s", "of the disk", "uploads/s")
    rows = []
    for (count, clients), sample in rates.items():
        bare = rates[count, 0].rate
        if clients:
            rows.append(
                (
                    size(count),
                    str(clients),
                    mebibytes(bare * count),
                    mebibytes(sample.rate * count),
                    percent(sample.rate, bare),
                    number(sample.rate),
                    milliseconds(sample.p50),
                    milliseconds(sample.p99),
                    percent(sample.servers[0], 1),
                    percent(sample.load, 1),
                )
            )
    return (*columns, "p50 ms", "p99 ms", "CPU buffer", "CPU load"), tuple(rows)


def download(bench: Bench) -> list[Table]:
    """Download from the databuffer and from nginx in turn, warm; and cold against the disk."""
    folder = bench.subfolder("download")
    with databuffer(folder) as server, contextlib.ExitStack() as stack:
        stored = {count: _store(server, count) for count in disk.sizes(bench)}
        root = folder / "volume" / "blobs"
        notes: list[str] = []
        other: Server | None = None
        try:
            other = stack.enter_context(nginx(bench.subfolder("nginx"), root))
        except CannotStart as reason:
            notes.append(f"Without nginx: {reason}.")
        cases: dict[tuple[int, int, str], Callable[[], Sample]] = {}
        for count, digest in stored.items():
            file = _file(root, digest)
            for clients in _clients(count):
                ours = functools.partial(
                    _download, bench, server, f"/blobs/sha256/{digest}", count, clients
                )
                cases[count, clients, "ours"] = ours
                if other is not None:
                    cases[count, clients, "nginx"] = functools.partial(
                        _download, bench, other, f"/{file.relative_to(root)}", count, clients
                    )
            if count >= MIB:
                cases[count, 1, "disk"] = functools.partial(_cold_floor, file, count)
                cases[count, 1, "cold"] = functools.partial(
                    _cold, bench, server, f"/blobs/sha256/{digest}", file
                )
        found = bench.interleave("download", cases)
        bench.note_memory("download", server)
    rates = {key: typical(samples) for key, samples in found.items()}
    return [_warm_table(rates, notes), _cold_table(rates)]


def _store(server: Server, count: int) -> str:
    """Upload one blob of that size and return the hex part of its digest."""
    body = os.urandom(count)
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/blobs", body, {"Content-Type": _BODY}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        digest = str(json.load(answer)["digest"]).removeprefix("sha256:")
    assert digest == hashlib.sha256(body).hexdigest()
    return digest


def _file(root: Path, digest: str) -> Path:
    return next(root.rglob(digest))


def _download(bench: Bench, server: Server, path: str, count: int, clients: int) -> Sample:
    enough = max(clients, 16 * disk.limit(count))
    job = Job(server.port, functools.partial(downloads, path), clients, bench.seconds / 2, enough)
    return bench.measure(job, server)


def _cold_floor(file: Path, count: int) -> Sample:
    rate = floor.cold_reads([file]) / count
    return Sample(rate, 1 / rate, 1 / rate, 0.0, ())


def _cold(bench: Bench, server: Server, path: str, file: Path) -> Sample:
    floor.evict([file])
    return bench.measure(Job(server.port, functools.partial(downloads, path), count=1), server)


def _warm_table(rates: dict[tuple[int, int, str], Sample], notes: list[str]) -> Table:
    rows, worst = [], []
    for (count, clients, who), sample in rates.items():
        if who != "ours":
            continue
        nginx_rate = (
            rates[count, clients, "nginx"].rate if (count, clients, "nginx") in rates else 0
        )
        if nginx_rate:
            worst.append((sample.rate / nginx_rate, count, clients))
        rows.append(
            (
                size(count),
                str(clients),
                mebibytes(nginx_rate * count) if nginx_rate else "",
                mebibytes(sample.rate * count),
                percent(sample.rate, nginx_rate) if nginx_rate else "",
                number(sample.rate),
                milliseconds(sample.p50),
                milliseconds(sample.p99),
                percent(sample.servers[0], 1),
                percent(sample.load, 1),
            )
        )
    aims = [
        Aim(f"download of {size(count)} by {clients} against nginx", ratio, 0.5).line()
        for ratio, count, clients in worst
    ]
    return Table(
        "Blob download: GET /blobs/sha256/…, the file in the page cache",
        (
            *("Size", "clients", "nginx MiB/s", "ours MiB/s", "of nginx", "downloads/s"),
            *("p50 ms", "p99 ms", "CPU buffer", "CPU load"),
        ),
        tuple(rows),
        (*aims, *notes),
    )


def _cold_table(rates: dict[tuple[int, int, str], Sample]) -> Table:
    cold = {count: sample for (count, _, who), sample in rates.items() if who == "cold"}
    rows = tuple(
        (
            size(count),
            mebibytes(rates[count, 1, "disk"].rate * count),
            mebibytes(sample.rate * count),
            percent(sample.rate, rates[count, 1, "disk"].rate),
        )
        for count, sample in cold.items()
    )
    aims = tuple(
        Aim(
            f"cold download of {size(count)} against the disk",
            sample.rate / rates[count, 1, "disk"].rate,
            0.7,
        ).line()
        for count, sample in cold.items()
    )
    columns = ("Size", "disk MiB/s", "ours MiB/s", "of the disk")
    return Table("Blob download: the file not in the page cache", columns, rows, aims)
