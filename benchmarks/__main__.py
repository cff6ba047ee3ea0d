"""`python -m benchmarks [name …] [--quick] [--markdown]`: measure, and print the tables."""

from __future__ import annotations

import argparse
import functools
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import (
    authenticated,
    checkpointing,
    disk,
    downloads,
    ledger,
    machine,
    offline,
    producing,
    resolve,
    starting_command,
    stream,
    uploads,
    warm_cache,
)
from benchmarks.bench import Bench
from benchmarks.conditions import scenario
from benchmarks.load import Generator, Refused
from benchmarks.report import Table, mebibytes, percent
from benchmarks.servers import CannotStart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SCENARIOS: dict[str, Callable[[Bench], list[Table]]] = {
    "disk": disk.run,
    "upload": uploads.run,
    "download": downloads.run,
    "ledger": ledger.run,
    "stream": stream.run,
    "resolve": resolve.run,
    "authenticated": authenticated.run,
}
CONDITIONS: dict[str, Callable[[Bench], Iterable[Table]]] = {
    "conditions": scenario.run,
    **{
        f"conditions-{part}": functools.partial(scenario.run, parts=(part,))
        for part in scenario.PARTS
    },
    "checkpoint": checkpointing.run,
}
PARTS_OF_CLIENT: dict[str, Callable[[Bench], list[Table]]] = {
    "client-produce": producing.run,
    "client-cache": warm_cache.run,
    "client-offline": offline.run,
    "client-start": starting_command.run,
}


def client(bench: Bench) -> Iterator[Table]:
    """Measure the library and the command, one part after the other."""
    for part in PARTS_OF_CLIENT.values():
        yield from part(bench)


CLIENT: dict[str, Callable[[Bench], Iterable[Table]]] = {"client": client, **PARTS_OF_CLIENT}
KNOWN: dict[str, Callable[[Bench], Iterable[Table]]] = {**SCENARIOS, **CONDITIONS, **CLIENT}
_NEEDED = 24 * 2**30
_NEEDED_QUICK = 6 * 2**30
_NEEDED_CLIENT = 2 * 2**30
_QUIET = 0.15


def main() -> int:
    """Run the chosen scenarios; 0 when all could be measured, whatever they measured."""
    options = _options()
    options.folder = options.folder.resolve()
    options.folder.mkdir(parents=True, exist_ok=True)
    needed = _needed(options.names, quick=options.quick)
    if shutil.disk_usage(options.folder).free < needed:
        print(f"benchmarks: {needed // 2**30} GiB of free disk are needed", file=sys.stderr)
        return 1
    _print([f"Measured on: {machine.describe(options.folder)}.", ""])
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as folder,
        Generator() as generator,
    ):
        rounds, seconds = (3, 0.5) if options.quick else (5, 1.0)
        bench = Bench(Path(folder), generator, rounds, seconds, options.quick)
        try:
            for name in options.names or SCENARIOS:
                before = len(bench.others)
                _show(KNOWN[name](bench), markdown=options.markdown)
                _print([_meanwhile(max(bench.others[before:])), ""])
        except (CannotStart, Refused) as error:
            print(f"benchmarks: {error}", file=sys.stderr)
            return 1
        _show([_memory(bench)] if bench.memory else [], markdown=options.markdown)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"any of {', '.join(KNOWN)}")
    parser.add_argument("--quick", action="store_true", help="fewer, shorter rounds")
    parser.add_argument("--markdown", action="store_true", help="tables for docs/benchmarks.md")
    parser.add_argument(
        "--folder", type=Path, default=Path("var"), help="where on the disk under test (var)"
    )
    options = parser.parse_args()
    if unknown := set(options.names) - set(KNOWN):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(KNOWN)}")
    return options


def _needed(names: list[str], *, quick: bool) -> int:
    """Return how many bytes of disk the chosen scenarios take."""
    if names and not set(names) - set(CLIENT):
        return _NEEDED_CLIENT
    return _NEEDED_QUICK if quick else _NEEDED


def _show(tables: Iterable[Table], *, markdown: bool) -> None:
    for table in tables:
        _print(table.lines(markdown=markdown))


def _print(lines: Iterable[str]) -> None:
    print(*lines, sep="\n", flush=True)


def _meanwhile(others: float) -> str:
    """Say how much of the machine was not ours; a benchmark on a busy machine measures that."""
    verdict = "" if others <= _QUIET else ": too much to believe these figures"
    return f"Meanwhile {percent(others, 1)} of the CPU went elsewhere{verdict}."


def _memory(bench: Bench) -> Table:
    return Table(
        "Memory at the end of each scenario, MiB",
        ("Scenario", "process", "resident", "of it anonymous", "mapped files", "highest"),
        tuple(
            (
                *(scenario, role, mebibytes(memory.resident), mebibytes(memory.anonymous)),
                *(mebibytes(memory.mapped), mebibytes(memory.highest)),
            )
            for scenario, role, memory in bench.memory
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
