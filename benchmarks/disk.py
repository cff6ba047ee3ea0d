"""The floors alone: what the disk and one core give before any of our code runs."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from benchmarks import floor
from benchmarks.report import MIB, Table, mebibytes, number, size

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.bench import Bench

LINE = 320  # bytes of a typical ledger line
SIZES = (4096, 65536, MIB, 16 * MIB, 256 * MIB)
_ROUND_BYTES = 128 * MIB


def sizes(bench: Bench) -> tuple[int, ...]:
    """Return the sizes to measure: all, or in a quick run those up to 16 MiB."""
    return SIZES[:-1] if bench.quick else SIZES


def limit(count: int) -> int:
    """Return how many writes of that size one round may make, for the sake of small disks."""
    return max(1, _ROUND_BYTES // count)


def run(bench: Bench) -> list[Table]:
    """Measure appends and new files of each size, each durable before the next; cold reads."""
    folder = bench.subfolder("disk")
    seconds = bench.seconds / 2
    cases = {
        (kind, count): lambda act=act, count=count: act(folder, count, seconds, limit(count))
        for kind, act in (("append", floor.appends), ("file", floor.new_files))
        for count in (LINE, *sizes(bench))
    }
    found = {key: median(rates) for key, rates in bench.interleave("disk", cases).items()}
    rows = [
        (
            f"{LINE} B (a ledger line)" if count == LINE else size(count),
            number(found["append", count]),
            mebibytes(found["append", count] * count),
            number(found["file", count]),
            mebibytes(found["file", count] * count),
            mebibytes(_cold(folder, count)) if count >= MIB else "",
        )
        for count in (LINE, *sizes(bench))
    ]
    return [
        Table(
            "The floor: one thread, each write made durable (write + fdatasync) before the next",
            ("Size", "appends/s", "MiB/s", "new files/s", "MiB/s", "cold read MiB/s"),
            tuple(rows),
            (f"SHA-256 on one core: {mebibytes(floor.sha256(seconds))} MiB/s.",),
        )
    ]


def _cold(folder: Path, count: int) -> float:
    """Return the rate of reading, out of the page cache, files of that size written here."""
    written = [path for path in folder.iterdir() if path.stat().st_size == count]
    return floor.cold_reads(written[: limit(count)])
