"""A replica starts on a ledger that is already long: with nothing, and with the view it had."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import orjson

from benchmarks.conditions.caller import Caller
from benchmarks.conditions.standing import Standing, check, legacy_query
from benchmarks.report import Aim, Table, mebibytes, seconds
from benchmarks.servers import databuffer, logic

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.bench import Bench
    from benchmarks.conditions.shape import Shape
    from benchmarks.servers import Server

_PATIENCE = 600.0
_PAGE = 10_000
EMPTY, KEPT = "a replica, its view empty", "a replica, its view kept"
TAKEN = "a replica, its view from a checkpoint"
_READ, _NOTHING = (
    "floor: the whole ledger fetched and parsed",
    "floor: a replica of an empty ledger",
)


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds until ready, and from then to the first answer; the memory of its processes."""

    ready: float
    first: float | None = None
    resident: tuple[int, ...] = ()
    highest: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """Every kind of start of one shape, and how many bytes its ledger and its view have.

    A checkpoint was made in `making` seconds and has `packed` bytes.
    """

    shape: Shape
    starts: dict[str, Start]
    ledger: int
    view: int
    making: float
    packed: int


def start(bench: Bench, shape: Shape, folder: Path, tag: str) -> Started:
    """Start both tiers again on the folder of servers that have ended."""
    fresh = bench.subfolder(f"start-{shape.name}")
    with databuffer(folder) as buffer:
        found = {
            "the databuffer, on its ledger": Start(buffer.took),
            _NOTHING: _nothing(bench, shape),
            _READ: Start(bench.generator.call(fetch, buffer)),
            EMPTY: _replica(Standing(shape, fresh, buffer, buffer), tag),
        }
        old = Standing(shape, folder, buffer, buffer)
        kept = [_replica(old, tag) for _ in range(bench.rounds)]
        found[KEPT] = sorted(kept, key=lambda one: one.ready)[len(kept) // 2]
        making, packed = _make_checkpoint(old)
        taken = bench.subfolder(f"start-{shape.name}-taken")
        found[TAKEN] = _replica(Standing(shape, taken, buffer, buffer), tag)
    sizes = (
        sum(path.stat().st_size for path in files)
        for files in ((folder / "volume" / "ledger").glob("*.jsonl"), fresh.glob("view.sqlite*"))
    )
    return Started(shape, found, next(sizes), next(sizes), making, packed)


def fetch(buffer: Server) -> float:
    """Return how many seconds a client takes to fetch and parse all entries of the ledger."""
    begin, after = time.perf_counter(), 0
    with Caller(buffer) as caller:
        while lines := caller.ask("GET", f"/ledger?after={after}&limit={_PAGE}", b"").splitlines():
            for line in lines:
                orjson.loads(line)
            after += len(lines)
    return time.perf_counter() - begin


def _make_checkpoint(at: Standing) -> tuple[float, int]:
    """Have a replica make a checkpoint; return how many seconds that takes and its bytes."""
    with logic(at.folder, at.buffer, within=_PATIENCE) as tier, Caller(tier) as caller:
        took, told = caller.timed("POST", "/api/v1/checkpoint")
        return took, told["size"]


def _nothing(bench: Bench, shape: Shape) -> Start:
    folder = bench.subfolder(f"start-{shape.name}-nothing")
    with databuffer(folder) as buffer:
        return Start(median(_ready(folder, buffer) for _ in range(3)))


def _ready(folder: Path, buffer: Server) -> float:
    with logic(folder, buffer) as tier:
        return tier.took


def _replica(at: Standing, tag: str) -> Start:
    with logic(at.folder, at.buffer, within=_PATIENCE) as tier:
        begin = time.perf_counter()
        with Caller(tier) as caller:
            caller.get(legacy_query(tag, at.shape.last))
        first = time.perf_counter() - begin
        check(Standing(at.shape, at.folder, at.buffer, tier), tag)
        workers = tier.memory()[1:]
        return Start(
            tier.took,
            first,
            tuple(worker.resident for worker in workers),
            tuple(worker.highest for worker in workers),
        )


def table(found: Started) -> Table:
    """Return how long each start took."""
    return Table(
        f"Starts with {found.shape.label} in the ledger",
        ("", "ready after", "first answer after that", "RSS of the workers MiB", "highest"),
        tuple(
            (
                *(name, seconds(one.ready), "" if one.first is None else seconds(one.first)),
                *(", ".join(map(mebibytes, told)) for told in (one.resident, one.highest)),
            )
            for name, one in found.starts.items()
        ),
        (
            f"The ledger has {mebibytes(found.ledger)} MiB, the view {mebibytes(found.view)} MiB.",
            f"A checkpoint took {seconds(found.making)}; it has {mebibytes(found.packed)} MiB.",
        ),
    )


def aims(found: Started) -> list[Aim]:
    """Return what was aimed at."""
    empty, kept, taken = (found.starts[name] for name in (EMPTY, KEPT, TAKEN))
    label = found.shape.label
    return [
        Aim(f"cold start with {label}, view empty", empty.ready, 60, "s", at_most=True),
        Aim(f"cold start with {label}, view kept", kept.ready, 1, "s", at_most=True),
        Aim(f"cold start with {label}, from a checkpoint", taken.ready, 10, "s", at_most=True),
        Aim(
            f"cold start with {label}, view empty: highest RSS of a worker",
            *(max(empty.highest) / 2**20, 300, "MiB"),
            at_most=True,
        ),
    ]
