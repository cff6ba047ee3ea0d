"""All of it in one pass: each shape is loaded once, and what follows is asked of that.

A part can be left out; loading cannot, for the others need what it loads.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.conditions import caching, cloning, loading, resolving, single, starting
from benchmarks.conditions.caller import Caller
from benchmarks.conditions.shape import Shape
from benchmarks.conditions.standing import TAG, Standing, make_types
from benchmarks.load import Refused
from benchmarks.report import Table
from benchmarks.servers import CannotStart, databuffer, logic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from benchmarks.bench import Bench
    from benchmarks.report import Aim

SMALL = (Shape(10, 10), Shape(10, 200), Shape(100, 200))
LARGE = (Shape(100, 5_000), Shape(200, 26_000))
PARTS = ("load", "resolve", "tags", "single", "cache", "start")


def run(bench: Bench, parts: Iterable[str] = PARTS) -> Iterator[Table]:
    """Measure these parts with the small shapes, and unless it is to be quick the large ones.

    Tables come as they are ready; those of all shapes and the aims come last, also after a failure.
    """
    shapes = SMALL if bench.quick else SMALL + LARGE
    short = replace(bench, rounds=3, seconds=0.6)
    campaign = _Campaign(frozenset(parts))
    try:
        for shape in shapes[:-1]:
            yield from campaign.measure(bench if bench.quick else short, shape, largest=False)
        yield from campaign.measure(bench, shapes[-1], largest=True)
    except (CannotStart, Refused):
        yield from campaign.summary()
        raise
    yield from campaign.summary()


class _Campaign:
    def __init__(self, parts: frozenset[str]) -> None:
        self._parts = parts
        self._loaded: list[loading.Loaded] = []
        self._cloned: list[cloning.Cloned] = []
        self._resolved: list[resolving.Resolved] = []
        self._aims: list[Aim] = []

    def measure(self, bench: Bench, shape: Shape, *, largest: bool) -> Iterator[Table]:
        """Load the shape and ask of it what is to be asked; of the largest all."""
        folder = bench.subfolder(f"conditions-{shape.name}")
        with databuffer(folder) as buffer, contextlib.ExitStack() as stack:
            tier = stack.enter_context(logic(folder, buffer))
            at = Standing(shape, folder, buffer, tier)
            self._load(bench, at)
            cloned = cloning.clone(bench, at, TAG)
            self._cloned.append(cloned)
            if "resolve" in self._parts:
                yield self._resolve(bench, at, cloned.pinned)
            if "single" in self._parts and shape.total >= 1000:
                yield self._single(bench, at)
            if "cache" in self._parts and largest:
                yield self._cache(bench, at, cloned.pinned, stack)
        if "start" in self._parts and largest:
            yield self._start(bench, shape, folder)

    def summary(self) -> Iterator[Table]:
        """Yield the tables that go over all shapes, and what was aimed at."""
        aims = [*loading.aims(self._loaded), *resolving.aims(self._resolved), *self._aims]
        if self._cloned:
            yield cloning.table(self._cloned)
            aims += cloning.aims(self._cloned)
        yield loading.table(self._loaded)
        yield _verdicts(aims)

    def _load(self, bench: Bench, at: Standing) -> None:
        with Caller(at.tier) as caller:
            make_types(caller, at.shape)
        self._loaded.append(loading.legacy(bench, at, TAG))
        if "load" in self._parts and at.shape in {SMALL[-1], LARGE[0]}:
            self._loaded.append(loading.legacy(bench, at, f"{TAG}-one", clients=1))
            self._loaded.append(loading.v1(bench, at, f"{TAG}-v1"))
        bench.note_memory(f"load {at.shape.label}", *at.servers)

    def _resolve(self, bench: Bench, at: Standing, pinned: str) -> Table:
        self._resolved.append(resolving.resolve(bench, at, TAG, pinned))
        return resolving.table(self._resolved[-1])

    def _single(self, bench: Bench, at: Standing) -> Table:
        found = single.measure(bench, at, cloning.SINGLE)
        self._aims += single.aims(at.shape.label, found)
        return single.table(at.shape.label, found)

    def _cache(self, bench: Bench, at: Standing, tag: str, stack: contextlib.ExitStack) -> Table:
        found = caching.measure(bench, at, tag, stack.close)
        self._aims += caching.aims(found)
        return caching.table(found)

    def _start(self, bench: Bench, shape: Shape, folder: Path) -> Table:
        found = starting.start(bench, shape, folder, TAG)
        self._aims += starting.aims(found)
        return starting.table(found)


def _verdicts(aims: list[Aim]) -> Table:
    return Table(
        "The conditions database: what was aimed at, and what came out",
        ("Aim", "wanted", "found", ""),
        tuple(aim.row() for aim in aims),
    )
