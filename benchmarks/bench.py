"""What every scenario is given: a folder on the disk under test, the load, the rounds."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, TypeVar

from benchmarks import machine
from benchmarks.report import percent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from benchmarks.load import Generator, Job
    from benchmarks.servers import Memory, Server

Key = TypeVar("Key")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: requests a second, latencies in seconds, CPU in cores."""

    rate: float
    p50: float
    p99: float
    load: float
    servers: tuple[float, ...]

    def cpu(self, servers: int = 1) -> tuple[str, ...]:
        """Return a cell for each server and one for the load; empty where nothing was asked."""
        cores = (*self.servers, self.load) if self.servers else ()
        return tuple(percent(core, 1) for core in cores) or ("",) * (servers + 1)


@dataclass(frozen=True, slots=True)
class Bench:
    """The means of a run; scenarios add their servers' memory and what disturbed them."""

    folder: Path
    generator: Generator
    rounds: int
    seconds: float
    quick: bool
    memory: list[tuple[str, str, Memory]] = field(default_factory=list)
    others: list[float] = field(default_factory=list)

    def subfolder(self, name: str) -> Path:
        """Make and return a folder of a scenario's own."""
        made = self.folder / name
        made.mkdir()
        return made

    def measure(self, job: Job, *servers: Server) -> Sample:
        """Put one job on the servers and note what it cost each."""
        before = [server.cpu() for server in servers]
        result = self.generator.run(job)
        used = [server.cpu() - start for server, start in zip(servers, before, strict=True)]
        return Sample(
            result.rate,
            result.p50,
            result.p99,
            result.cpu / result.elapsed,
            tuple(cpu / result.elapsed for cpu in used),
        )

    def interleave(self, what: str, cases: Mapping[Key, Callable[[], T]]) -> dict[Key, list[T]]:
        """Run each case once a round, all rounds over, so that a slow minute hits every case."""
        found: dict[Key, list[T]] = {key: [] for key in cases}
        begin = machine.work()
        for number in range(self.rounds):
            print(f"{what}: round {number + 1} of {self.rounds}", file=sys.stderr, flush=True)
            for key, case in cases.items():
                found[key].append(case())
        self.others.append(machine.work().others(begin))
        return found

    def note_memory(self, scenario: str, *servers: Server) -> None:
        """Keep the memory that each process of the servers has now."""
        for server in servers:
            for number, memory in enumerate(server.memory()):
                role = server.name if number == 0 else f"{server.name}, child {number}"
                self.memory.append((scenario, role, memory))


def still(rate: float) -> Sample:
    """Return what a bare loop in this process did, one thing at a time."""
    return Sample(rate, 1 / rate, 1 / rate, 0.0, ())


def typical(samples: list[Sample]) -> Sample:
    """Return the medians of the rounds, figure by figure."""
    return Sample(
        median(sample.rate for sample in samples),
        median(sample.p50 for sample in samples),
        median(sample.p99 for sample in samples),
        median(sample.load for sample in samples),
        tuple(median(column) for column in zip(*(s.servers for s in samples), strict=True)),
    )
