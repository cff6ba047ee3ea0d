"""One interval at a time, as a calibrator inserts after each run, beside the disk's fsync.

The intervals go to the end of a list that is as long as the shape's; the tag is a clone, so that
the one which is resolved stays as it was loaded.
"""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

from benchmarks import disk, floor
from benchmarks.bench import Sample, still, typical
from benchmarks.conditions.caller import Caller
from benchmarks.conditions.shape import STEP, payload, type_name
from benchmarks.conditions.standing import CDB, V1
from benchmarks.report import Aim, Table, milliseconds, number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.bench import Bench
    from benchmarks.conditions.standing import Standing
    from benchmarks.servers import Server

FSYNC, PAIR, OURS = "floor: a ledger line, write + fdatasync", "POST piov + PUT piov_attach", "v1"
EMPTY = "floor: two requests to /livez, 1 client"
_KIND = 3


def measure(bench: Bench, at: Standing, tag: str) -> dict[str, Sample]:
    """Insert one by one into the clone `tag`, by both APIs, between bare loops of the disk."""
    bare = bench.subfolder(f"single-floor-{at.shape.name}")
    majors = itertools.count(at.shape.iovs * STEP + 1)
    with Caller(at.tier) as caller:
        lists = caller.get(f"{CDB}/gtPayloadLists/{tag}")
        kind = type_name(_KIND)
        insert_pair(caller, str(lists[kind]), next(majors))  # the clone's first write copies

        def repeat(act: Callable[[int], None]) -> Sample:
            return _repeated(bench, act, majors, at.servers)

        cases: dict[str, Callable[[], Sample]] = {
            FSYNC: lambda: still(floor.appends(bare, disk.LINE, bench.seconds / 2)),
            EMPTY: lambda: repeat(lambda _: _nothing_twice(caller)),
            PAIR: lambda: repeat(lambda major: insert_pair(caller, str(lists[kind]), major)),
            OURS: lambda: repeat(lambda major: insert_v1(caller, tag, major)),
        }
        what = f"single inserts {at.shape.label}"
        return {key: typical(rounds) for key, rounds in bench.interleave(what, cases).items()}


def insert_pair(caller: Caller, into: str, major: int) -> None:
    """Make an interval and attach it, as nopayloaddb's clients do."""
    name, checksum, size = payload(_KIND, major)
    row = {"payload_url": name, "checksum": checksum, "size": size}
    made = caller.send("POST", f"{CDB}/piov", {**row, "major_iov": major, "minor_iov": 0})
    caller.send("PUT", f"{CDB}/piov_attach", {"payload_list": into, "piov_id": made["id"]})


def insert_v1(caller: Caller, tag: str, major: int) -> None:
    """Insert an interval in one request."""
    name, checksum, size = payload(_KIND, major)
    row = {"payload_type": type_name(_KIND), "start": [major, 0], "name": name}
    told = {"iovs": [{**row, "checksum": checksum, "size": size}]}
    caller.send("POST", f"{V1}/{tag}/iovs", told)


def _nothing_twice(caller: Caller) -> None:
    caller.get("/livez")
    caller.get("/livez")


def _repeated(
    bench: Bench, act: Callable[[int], None], majors: Iterator[int], servers: tuple[Server, ...]
) -> Sample:
    took: list[float] = []
    before = [server.cpu() for server in servers]
    load, begin = time.process_time(), time.perf_counter()
    while (begun := time.perf_counter()) - begin < bench.seconds:
        act(next(majors))
        took.append(time.perf_counter() - begun)
    elapsed = time.perf_counter() - begin
    used = tuple((s.cpu() - b) / elapsed for s, b in zip(servers, before, strict=True))
    took.sort()
    return Sample(
        len(took) / elapsed,
        took[len(took) // 2],
        took[len(took) * 99 // 100],
        (time.process_time() - load) / elapsed,
        used,
    )


def table(label: str, found: dict[str, Sample]) -> Table:
    """Return the latencies beside the floors."""
    fsync = found[FSYNC].p50
    return Table(
        f"Single inserts at the end of a list, one client, {label}",
        (
            "",
            "per second",
            "p50 ms",
            "p99 ms",
            "of an fsync",
            "CPU buffer",
            "CPU logic",
            "CPU load",
        ),
        tuple(
            (
                *(name, number(sample.rate), milliseconds(sample.p50), milliseconds(sample.p99)),
                *(f"{number(sample.p50 / fsync)} \N{MULTIPLICATION SIGN}", *sample.cpu(servers=2)),
            )
            for name, sample in found.items()
        ),
    )


def aims(label: str, found: dict[str, Sample]) -> list[Aim]:
    """Return what was aimed at."""
    fsync = found[FSYNC].p50
    return [
        Aim(
            f"single insert, {what}, {label}: p50 / fsync", found[what].p50 / fsync, 3, at_most=True
        )
        for what in (PAIR, OURS)
    ]
