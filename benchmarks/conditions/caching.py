"""`TAG@<fingerprint>` through an nginx that keeps answers, when a thousand jobs start at once."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from benchmarks.bench import Sample, typical
from benchmarks.conditions.caller import Caller
from benchmarks.conditions.standing import draw_moment, v1_query
from benchmarks.downloads import requests
from benchmarks.load import Job, Refused
from benchmarks.report import Aim, Table, milliseconds, number
from benchmarks.servers import CannotStart, cache, nginx

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.bench import Bench
    from benchmarks.conditions.shape import Shape
    from benchmarks.conditions.standing import Standing
    from benchmarks.servers import Server

JOBS, QUESTIONS = 1000, 8
_CLIENTS, _KEPT = 32, 200
_MINUTE = 60.0
_COUNTED = re.compile(rb'condstore_logic_requests_total\{[^}]*route="[^"]*/payloads"[^}]*\} (\S+)')
FILE, HITS = "floor: nginx, files of the same size", "hits"
DIRECT, AWAY = "the same without the cache", "hits, the logic tier away"
ONE = f"{number(JOBS)} jobs at once, one question"
MANY = f"{number(JOBS)} jobs at once, {QUESTIONS} questions each"
BARE = f"{MANY}, without the cache"


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of some requests: how many there were, and how many reached the logic tier."""

    sample: Sample
    sent: int
    reached: int


@dataclass(frozen=True, slots=True)
class Cached:
    """Every case of one shape; none, with the reason, where there is no nginx."""

    shape: Shape
    asked: dict[str, Asked]
    reason: str = ""


def measure(bench: Bench, at: Standing, tag: str, end_tier: Callable[[], None]) -> Cached:
    """Ask `TAG@<fingerprint>` through the cache and past it; at last with the logic tier ended."""
    folder, root = bench.subfolder("cache"), bench.subfolder("cache-files")
    try:
        with cache(folder, at.tier) as front, nginx(root, root) as beside:
            cases = _Cases(bench, at, tag, front, beside)
            found = bench.interleave(f"cache {at.shape.label}", cases.by_name(root))
            end_tier()
            found[AWAY] = [cases.again(front, counted=False) for _ in range(bench.rounds)]
    except CannotStart as reason:
        return Cached(at.shape, {}, str(reason))
    return Cached(at.shape, {name: _typical(rounds) for name, rounds in found.items()})


class _Cases:
    """The cases, with moments never asked before for each round of a stampede."""

    def __init__(self, bench: Bench, at: Standing, tag: str, front: Server, beside: Server) -> None:
        self._bench, self._at, self._tag = bench, at, tag
        self._front, self._beside = front, beside
        self._draw = Random(20_000)  # noqa: S311 - moments, not secrets
        self._kept = self._paths(_KEPT)

    def by_name(self, root: Path) -> dict[str, Callable[[], Asked]]:
        """Return them; the answers they ask for are in the cache, and in files below `root`."""
        with Caller(self._front) as caller:
            for serial, path in enumerate(self._kept):
                (root / str(serial)).write_bytes(caller.ask("GET", path, b""))
        files = tuple(f"/{serial}" for serial in range(_KEPT))
        return {
            FILE: lambda: self._ask(self._beside, files, _CLIENTS),
            HITS: lambda: self.again(self._front),
            DIRECT: lambda: self.again(self._at.tier),
            ONE: lambda: self._stampede(self._front, 1),
            MANY: lambda: self._stampede(self._front, QUESTIONS),
            BARE: lambda: self._stampede(self._at.tier, QUESTIONS),
        }

    def again(self, server: Server, *, counted: bool = True) -> Asked:
        """Ask what is kept."""
        return self._ask(server, self._kept, _CLIENTS, counted=counted)

    def _stampede(self, server: Server, questions: int) -> Asked:
        paths = self._paths(questions)
        return self._ask(server, paths, JOBS, count=JOBS * questions)

    def _paths(self, count: int) -> tuple[str, ...]:
        moments = (draw_moment(self._draw, self._at.shape) for _ in range(count))
        return tuple(v1_query(self._tag, moment) for moment in moments)

    def _ask(
        self,
        server: Server,
        paths: tuple[str, ...],
        clients: int,
        count: int | None = None,
        *,
        counted: bool = True,
    ) -> Asked:
        script = functools.partial(requests, paths)
        limits = (self._bench.seconds,) if count is None else (_MINUTE, count)
        before = self._reached() if counted else 0
        result = self._bench.generator.run(Job(server.port, script, clients, *limits))
        reached = self._reached() - before if counted else 0
        sample = Sample(result.rate, result.p50, result.p99, result.cpu / result.elapsed, ())
        sent = round(result.rate * result.elapsed)
        if server == self._at.tier and reached != sent:
            raise Refused(f"the logic tier counted {reached} of {sent} requests")
        return Asked(sample, sent, reached)

    def _reached(self) -> int:
        """Return how many resolutions the logic tier has answered so far."""
        with Caller(self._at.tier) as caller:
            told = caller.ask("GET", "/metrics", b"")
        return round(sum(float(value) for value in _COUNTED.findall(told)))


def _typical(rounds: list[Asked]) -> Asked:
    return Asked(
        typical([one.sample for one in rounds]),
        sum(one.sent for one in rounds),
        sum(one.reached for one in rounds),
    )


def table(found: Cached) -> Table:
    """Return the rates, and what reached the logic tier."""
    return Table(
        f"TAG@fingerprint of {found.shape.label} through nginx with a cache",
        ("", "per second", "p50 ms", "p99 ms", "reached the logic tier"),
        tuple(
            (
                *(name, number(one.sample.rate)),
                *(milliseconds(one.sample.p50), milliseconds(one.sample.p99)),
                "" if name in {FILE, AWAY} else _share(one),
            )
            for name, one in found.asked.items()
        ),
        (f"Without nginx: {found.reason}.",) if found.reason else (),
    )


def _share(one: Asked) -> str:
    return f"{100 * one.reached / one.sent:.2f} %"


def aims(found: Cached) -> list[Aim]:
    """Return what was aimed at."""
    return [
        Aim(
            f"{name}: share that reaches the logic tier",
            *(100 * found.asked[name].reached / found.asked[name].sent, 1, "%"),
            at_most=True,
        )
        for name in (ONE, MANY)
        if name in found.asked
    ]
