"""Bulk inserts through HTTP, answered when durable and visible, beside what their bytes cost."""

from __future__ import annotations

import functools
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from benchmarks import machine
from benchmarks.conditions import bodies, standing
from benchmarks.conditions.caller import Caller
from benchmarks.load import Job
from benchmarks.report import Aim, Table, milliseconds, number, percent

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.bench import Bench, Sample
    from benchmarks.conditions.bodies import Bodies
    from benchmarks.conditions.shape import Shape
    from benchmarks.conditions.standing import Standing

CLIENTS = 4
_FLOOR_BYTES = 64 * 2**20
_HOUR = 3600.0
_COLUMNS = (
    *("payload types \N{MULTIPLICATION SIGN} IOVs", "by", "clients", "IOVs/s", "all in s"),
    *("disk IOVs/s", "parse IOVs/s", "of the slower", "p50 ms", "p99 ms"),
    *("CPU buffer", "CPU logic", "CPU load"),
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """How long all of a shape took to be durable and visible, and the floors of its bytes.

    Floors in intervals a second: `disk` writes and syncs each body, `parse` reads its JSON.
    """

    shape: Shape
    by: str
    clients: int
    seconds: float
    sample: Sample
    disk: float
    parse: float

    @property
    def rate(self) -> float:
        """Intervals a second."""
        return self.shape.total / self.seconds


def legacy(bench: Bench, at: Standing, tag: str, clients: int = CLIENTS) -> Loaded:
    """Load a new tag through `bulk_piov`, list by list."""
    file, lists = at.folder / f"{tag}.bodies", _prepared(at, tag)
    sent = bench.generator.call(bodies.legacy, file, at.shape, lists)
    return _load(bench, at, sent, "bulk_piov", clients)


def v1(bench: Bench, at: Standing, tag: str, clients: int = CLIENTS) -> Loaded:
    """Load a new tag through our own API."""
    file, _ = at.folder / f"{tag}.bodies", _prepared(at, tag)
    sent = bench.generator.call(bodies.v1, file, at.shape, tag)
    return _load(bench, at, sent, "/api/v1", clients)


def _prepared(at: Standing, tag: str) -> tuple[str, ...]:
    with Caller(at.tier) as caller:
        standing.make_tag(caller, tag)
        return standing.make_lists(caller, at.shape, tag)


def _load(bench: Bench, at: Standing, sent: Bodies, by: str, clients: int) -> Loaded:
    some, each = sent.all(_FLOOR_BYTES), at.shape.total / sent.file.stat().st_size
    parse = _parse(some) * each
    before = _disk(at.folder, some) * each
    script = functools.partial(bodies.requests, sent, clients)
    work, begin = machine.work(), time.perf_counter()
    sample = bench.measure(Job(at.tier.port, script, clients, _HOUR), *at.servers)
    standing.seen(at)
    seconds = time.perf_counter() - begin
    bench.others.append(machine.work().others(work))
    after = _disk(at.folder, some) * each
    return Loaded(at.shape, by, clients, seconds, sample, (before + after) / 2, parse)


def _disk(folder: Path, some: list[memoryview]) -> float:
    """Return the bytes a second that one file takes, each body durable before the next."""
    path = folder / f"floor-{time.monotonic_ns()}"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    begin = time.perf_counter()
    try:
        for body in some:
            os.write(file, body)
            os.fdatasync(file)
        return sum(map(len, some)) / (time.perf_counter() - begin)
    finally:
        os.close(file)


def _parse(some: list[memoryview]) -> float:
    """Return the bytes a second of JSON that one core makes values of."""
    begin = time.perf_counter()
    for body in some:
        orjson.loads(body)
    return sum(map(len, some)) / (time.perf_counter() - begin)


def table(found: list[Loaded]) -> Table:
    """Return what was loaded how fast."""
    return Table(
        "Loading: bulk inserts, answered when durable and visible",
        _COLUMNS,
        tuple(_row(one) for one in found),
        (
            f"A request has up to {number(bodies.PER_REQUEST)} IOVs of one payload type.",
            "disk: the same bodies written to one file, each with fdatasync before the next.",
            "parse: the JSON of the same bodies made into values on one core.",
        ),
    )


def _row(one: Loaded) -> tuple[str, ...]:
    return (
        one.shape.label,
        one.by,
        str(one.clients),
        number(one.rate),
        number(one.seconds),
        number(one.disk),
        number(one.parse),
        percent(one.rate, min(one.disk, one.parse)),
        milliseconds(one.sample.p50),
        milliseconds(one.sample.p99),
        *one.sample.cpu(servers=2),
    )


def aims(found: list[Loaded]) -> list[Aim]:
    """Return what was aimed at: for the largest loads of each kind."""
    largest = {one.by: one for one in found if one.clients == CLIENTS}
    wanted = [
        Aim(f"bulk insert by {by}, {one.shape.label}", one.rate, 50_000, "IOVs/s")
        for by, one in largest.items()
    ]
    whole = [
        Aim(f"{one.shape.label} loaded by {one.by}", one.seconds, 180, "s", at_most=True)
        for one in found
        if one.shape.total > 5_000_000
    ]
    return wanted + whole
