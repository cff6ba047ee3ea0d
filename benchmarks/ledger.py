"""Ledger appends: do many writers share the disk's fsyncs?"""

from __future__ import annotations

import asyncio
import functools
import itertools
import time
from typing import TYPE_CHECKING

from benchmarks import disk, floor
from benchmarks.bench import Sample, still, typical
from benchmarks.load import Job, Request, get, post
from benchmarks.report import Aim, Table, milliseconds, number, percent
from benchmarks.servers import databuffer
from databuffer.store.disk import Disk
from databuffer.store.protocols import NewEntry
from databuffer.store.volume_ledger import VolumeLedger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.bench import Bench
    from benchmarks.servers import Server

_WRITERS = (1, 16, 64)
_MANY = max(_WRITERS)
_FSYNCS = 2000.0  # the aims are stated for a disk that does so many a second


def entries(client: int) -> Iterator[Request]:
    """Append plain entries, each client touching a key of its own."""
    body = (
        b'{"type":"bench.noted","actor":"bench","data":{"writer":%d,"serial":%d},'
        b'"keys":["bench/%d"]}'
    )
    return (_request(body % (client, serial, client)) for serial in itertools.count())


def conditional_entries(begin: int, client: int) -> Iterator[Request]:
    """Append entries as the logic tier does: an expected key and an idempotency key each."""
    body = (
        b'{"type":"bench.noted","actor":"bench","data":{"writer":%d},"keys":["bench/%d"],'
        b'"expect":{"bench/untouched":0},"idempotency_key":"bench-%d-%d-%d"}'
    )
    return (
        _request(body % (client, client, begin, client, serial)) for serial in itertools.count()
    )


def _request(body: bytes) -> Request:
    return (post("/ledger", len(body)) + body,)


def idle(path: str, client: int) -> Iterator[Request]:
    """Ask a handler that does nothing, for what the server itself costs."""
    del client
    return itertools.repeat((get(path),))


def alone(root: Path, writers: int, seconds: float) -> Sample:
    """Append in this process, without HTTP: what the ledger itself can do."""
    took: list[float] = []
    cpu, begin = time.process_time(), time.perf_counter()
    asyncio.run(_alone(root, writers, begin + seconds, took))
    elapsed = time.perf_counter() - begin
    took.sort()
    used = (time.process_time() - cpu) / elapsed
    rate = len(took) / elapsed
    return Sample(rate, took[len(took) // 2], took[len(took) * 99 // 100], 0.0, (used,))


def _in_process(bench: Bench, folder: Path, serial: Iterator[int], writers: int) -> Sample:
    return bench.generator.call(alone, folder / str(next(serial)), writers, bench.seconds)


async def _alone(root: Path, writers: int, end: float, took: list[float]) -> None:
    disk = Disk(1, "disk")
    ledger = VolumeLedger(root, disk, 64 << 20)
    await ledger.open()

    async def write(number: int) -> None:
        keys, data = (f"bench/{number}",), b'{"writer":%d,"serial":123456}' % number
        while (begun := time.perf_counter()) < end:
            await ledger.append(NewEntry("bench.noted", "bench", data, keys))
            took.append(time.perf_counter() - begun)

    await asyncio.gather(*map(write, range(writers)))
    await ledger.close()
    disk.close()


def run(bench: Bench) -> list[Table]:
    """Append with 1, 16 and 64 concurrent writers, between bare loops of write + fdatasync."""
    bare = bench.subfolder("ledger-floor")
    begin = itertools.count()
    roots = bench.subfolder("ledger-alone")
    with databuffer(bench.subfolder("ledger")) as server:
        cases: dict[str, Callable[[], Sample]] = {"bare": lambda: _bare(bench, bare)}
        for writers in _WRITERS:
            cases[f"{writers}"] = functools.partial(_appends, bench, server, writers)
        for writers in (1, _MANY):
            cases[f"{writers} alone"] = functools.partial(_in_process, bench, roots, begin, writers)
        cases["conditional"] = lambda: bench.measure(
            Job(
                server.port,
                functools.partial(conditional_entries, next(begin)),
                _MANY,
                bench.seconds,
            ),
            server,
        )
        cases["idle"] = lambda: bench.measure(
            Job(server.port, functools.partial(idle, "/livez"), _MANY, bench.seconds / 2), server
        )
        found = {key: typical(rounds) for key, rounds in bench.interleave("ledger", cases).items()}
        bench.note_memory("ledger", server)
    return [_table(found)]


def _bare(bench: Bench, folder: Path) -> Sample:
    rate = floor.appends(folder, disk.LINE, bench.seconds / 2)
    return still(rate)


def _appends(bench: Bench, server: Server, writers: int) -> Sample:
    return bench.measure(Job(server.port, entries, writers, bench.seconds), server)


def _table(found: dict[str, Sample]) -> Table:
    bare, one, many = found["bare"].rate, found["1"].rate, found[str(_MANY)].rate
    names = {
        "bare": f"floor: bare loop, {disk.LINE} B, write + fdatasync",
        "1": "1 writer",
        "16": "16 writers",
        "64": "64 writers",
        "1 alone": "1 writer in the process, no HTTP",
        "64 alone": "64 writers in the process, no HTTP",
        "conditional": "64 writers, expected key and idempotency key",
        "idle": "floor: 64 clients, GET /livez",
    }
    rows = tuple(
        (
            names[key],
            number(sample.rate),
            percent(sample.rate, bare),
            milliseconds(sample.p50),
            milliseconds(sample.p99),
            *sample.cpu(),
        )
        for key, sample in found.items()
    )
    return Table(
        "Ledger appends: POST /ledger, answered when durable",
        ("", "per second", "of the bare loop", "p50 ms", "p99 ms", "CPU buffer", "CPU load"),
        rows,
        (
            *_aims("over HTTP", bare, one, many),
            *_aims("in the process", bare, found["1 alone"].rate, found["64 alone"].rate),
            f"The aims suppose a disk of {_FSYNCS:.0f} fsyncs a second; this does {number(bare)}.",
        ),
    )


def _aims(where: str, bare: float, one: float, many: float) -> tuple[str, str]:
    wanted = 20_000 * min(1, bare / _FSYNCS)
    return (
        Aim(f"64 writers {where} / one", many / one, 10).line(),
        Aim(f"64 writers {where}", many, wanted, "entries/s").line(),
    )
