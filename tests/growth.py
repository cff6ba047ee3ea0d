"""Whether a process grows: what it holds, sampled, and the slope of that when it has warmed up.

The slope is the median of the slopes between any two samples (Theil and Sen), so neither a spike
nor a step that does not repeat decides; what is compared is the growth over all that was watched.
"""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MIB = 1 << 20
WARM_UP = 0.4
"""The part of the time in which caches fill and pools open."""

MOST = 400
"""Samples that are compared with each other; of more, every second, third, … is taken."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """By how much a figure may grow in the time it is judged by: the larger of the two."""

    by: float
    part: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one figure."""

    name: str
    first: float
    last: float
    growth: float
    allowed: float

    @property
    def grew(self) -> bool:
        """Whether it grew by more than it may."""
        return self.growth > self.allowed

    def __str__(self) -> str:
        said = "GREW" if self.grew else "ok"
        figures = (
            f"{self.first:>10.1f} {self.last:>10.1f} {self.growth:>+9.2f} {self.allowed:>9.2f}"
        )
        return f"{self.name:<34} {figures}  {said}"


HEADER = f"{'':<34} {'warm':>10} {'end':>10} {'growth':>9} {'allowed':>9}"


def judged(name: str, series: list[tuple[float, float]], allowance: Allowance) -> Verdict:
    """Judge a figure by its samples (seconds, value)."""
    begin = series[0][0] + WARM_UP * (series[-1][0] - series[0][0])
    warm = [sample for sample in series if sample[0] >= begin]
    warm = warm[:: len(warm) // MOST + 1]
    slopes = [(b - a) / (t - s) for (s, a), (t, b) in combinations(warm, 2) if t > s]
    growth = statistics.median(slopes) * (warm[-1][0] - warm[0][0]) if slopes else 0.0
    middle = statistics.median(value for _, value in warm)
    allowed = max(allowance.by, allowance.part * middle)
    return Verdict(name, warm[0][1], warm[-1][1], growth, allowed)


@dataclass
class Watch:
    """Samples what `look` tells, a figure a name, every so many seconds."""

    look: Callable[[], Mapping[str, float]]
    every: float
    series: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def sample(self) -> None:
        """Look once."""
        now = time.monotonic()
        for name, value in self.look().items():
            self.series.setdefault(name, []).append((now, value))

    @contextlib.contextmanager
    def watching(self) -> Iterator[Watch]:
        """Sample until the block ends."""
        over = threading.Event()

        def run() -> None:
            while not over.wait(self.every):
                self.sample()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield self
        finally:
            over.set()
            thread.join(30)

    def verdicts(self, allowed: Callable[[str], Allowance]) -> list[Verdict]:
        """Judge every figure, each as it is `allowed`."""
        return [judged(name, series, allowed(name)) for name, series in self.series.items()]


def held(name: str, pid: int) -> dict[str, float]:
    """Return what a process holds: memory in MiB, descriptors, threads."""
    status = Path(f"/proc/{pid}/status").read_text()
    told = dict(line.split(":", 1) for line in status.splitlines())
    return {
        f"{name} memory MiB": int(told["VmRSS"].split()[0]) / 1024,
        f"{name} descriptors": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        f"{name} threads": int(told["Threads"]),
    }


def family(pid: int) -> list[int]:
    """Return a process and its children, oldest first."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [pid, *sorted(map(int, children.split()))]


def size(*paths: Path) -> float:
    """Return the MiB in files, or in all files below folders; 0 for what is not there."""
    files = (file for path in paths for file in (path, *path.rglob("*")))
    return sum(_bytes(file) for file in files) / MIB


def _bytes(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size if path.is_file() else 0
    return 0
