"""What readers feel while a replica makes a checkpoint: asked in turn with and without one.

Meanwhile checkpoints are made one after the other, each of a view that is one entry further, so
that every moment of the making is in the figures as often as it is in a making.
"""

from __future__ import annotations

import functools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.bench import typical
from benchmarks.conditions import standing
from benchmarks.conditions.caller import Caller
from benchmarks.conditions.resolving import anywhere, until_sliced
from benchmarks.conditions.shape import Shape
from benchmarks.conditions.standing import TAG, Standing
from benchmarks.ledger import idle
from benchmarks.load import Job
from benchmarks.report import Table, milliseconds, number, percent, seconds
from benchmarks.servers import databuffer, logic
from benchmarks.sizing.measuring import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.bench import Bench, Sample
    from benchmarks.load import Script

SHAPES = (Shape(100, 2_000), Shape(100, 10_000))
CLIENTS = (1, 8)
FLOOR, RESOLVE = "floor: GET /livez", "resolve, all types"
_WINDOW = 4.0
_PATIENCE = 600.0

Case = tuple[str, int, bool]
"""What is asked, by how many clients, and whether a checkpoint is being made."""


def run(bench: Bench) -> Iterator[Table]:
    """Measure views of 200 000 IOVs and, unless it is to be quick, of a million."""
    for shape in SHAPES[: 1 if bench.quick else None]:
        folder = bench.subfolder(f"checkpointing-{shape.name}")
        with databuffer(folder) as buffer, logic(folder, buffer) as tier:
            at = Standing(shape, folder, buffer, tier)
            load(bench, at, _PATIENCE)
            until_sliced(bench, at, TAG)
            alone = _Making(at)
            alone.one()
            samples, took = _measure(bench, at)
            yield _table(shape, samples, alone.took, took)


def _measure(bench: Bench, at: Standing) -> tuple[dict[Case, Sample], list[float]]:
    scripts: dict[str, Script] = {
        FLOOR: functools.partial(idle, "/livez"),
        RESOLVE: functools.partial(anywhere, standing.v1_query, TAG, at.shape),
    }
    took: list[float] = []

    def ask(what: str, clients: int, *, is_made: bool) -> Sample:
        job = Job(at.tier.port, scripts[what], clients, _WINDOW)
        if not is_made:
            return bench.measure(job)
        with _Making(at).all_along() as making:
            sample = bench.measure(job)
        took.extend(making.took)
        return sample

    cases = {
        (what, clients, is_made): functools.partial(ask, what, clients, is_made=is_made)
        for what in scripts
        for clients in CLIENTS
        for is_made in (False, True)
    }
    found = bench.interleave(f"checkpoint of {at.shape.label}", cases)
    return {case: typical(samples) for case, samples in found.items()}, took


class _Making:
    """Makes checkpoints by a client of its own; `took` is how many seconds each took."""

    def __init__(self, at: Standing) -> None:
        self._at, self._ends = at, threading.Event()
        self.took: list[float] = []

    def one(self) -> None:
        """Make one that none is as new as."""
        with Caller(self._at.tier) as caller:
            standing.make_tag(caller, f"at-{time.time_ns()}")
            self.took.append(caller.timed("POST", "/api/v1/checkpoint")[0])

    @contextmanager
    def all_along(self) -> Iterator[_Making]:
        """Make one after the other; the last is waited for. Raises what one of them failed with."""
        with ThreadPoolExecutor(1) as pool:
            making = pool.submit(self._on_and_on)
            try:
                yield self
            finally:
                self._ends.set()
            making.result()

    def _on_and_on(self) -> None:
        while not self._ends.is_set():
            self.one()


def _table(
    shape: Shape, samples: dict[Case, Sample], alone: list[float], beside: list[float]
) -> Table:
    rows = []
    for (what, clients, is_made), sample in samples.items():
        quiet = samples[what, clients, False]
        rows.append(
            (
                *(what, str(clients), "a checkpoint is made" if is_made else ""),
                *(number(sample.rate), percent(sample.rate, quiet.rate)),
                *(milliseconds(sample.p50), milliseconds(sample.p99)),
                f"{sample.p99 / quiet.p99:.2f}",
            )
        )
    taken = f"{seconds(median(alone))} alone, {seconds(median(beside))} beside the readers"
    return Table(
        f"Reads while a checkpoint is made: {shape.label}, {number(shape.total)} IOVs, 2 workers",
        *(
            ("", "clients", "meanwhile", "per second", "of without", "p50 ms", "p99 ms", "times"),
            tuple(rows),
            (f"A checkpoint took {taken}; {len(beside)} were made.",),
        ),
    )
