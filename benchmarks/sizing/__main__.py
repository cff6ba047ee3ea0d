"""`python -m benchmarks.sizing [IOVs …]`: measure sizes, and print the tables of operations.md."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks import machine
from benchmarks.bench import Bench
from benchmarks.load import Generator, Refused
from benchmarks.report import percent
from benchmarks.servers import CannotStart
from benchmarks.sizing.measuring import measure, measure_blobs, shape_of
from benchmarks.sizing.tables import tables

USUAL = (10_000, 100_000, 1_000_000)
_BYTES_AN_IOV = 1500  # of all that is made of it on the way, bodies and second views too


def main() -> int:
    """Measure each size; 0 when all could be measured."""
    options = _options()
    options.folder.mkdir(parents=True, exist_ok=True)
    needed = (1 << 30) + _BYTES_AN_IOV * max(options.sizes)
    if shutil.disk_usage(options.folder).free < needed:
        print(f"sizing: {needed / 2**30:.0f} GiB of free disk are needed", file=sys.stderr)
        return 1
    print(f"Measured on: {machine.describe(options.folder)}.\n", flush=True)
    try:
        _measure(options)
    except (CannotStart, Refused) as error:
        print(f"sizing: {error}", file=sys.stderr)
        return 1
    return 0


def _measure(options: argparse.Namespace) -> None:
    found, begin = [], machine.work()
    with (
        tempfile.TemporaryDirectory(prefix="sizing-", dir=options.folder) as folder,
        Generator() as generator,
    ):
        bench = Bench(Path(folder).resolve(), generator, rounds=1, seconds=2.0, quick=False)
        blobs = measure_blobs(bench)
        for iovs in options.sizes:
            print(f"sizing: {iovs} IOVs", file=sys.stderr, flush=True)
            found.append(measure(bench, shape_of(iovs)))
    for table in tables(found, blobs):
        print(*table.lines(markdown=options.markdown), sep="\n", flush=True)
    print(f"Meanwhile {percent(machine.work().others(begin), 1)} of the CPU went elsewhere.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizing", description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=USUAL, metavar="IOVs")
    parser.add_argument("--markdown", action="store_true", help="tables for docs/operations.md")
    parser.add_argument(
        "--folder", type=Path, default=Path("var"), help="where on the disk under test (var)"
    )
    options = parser.parse_args()
    if min(options.sizes) < 1000:
        parser.error("sizes are 1000 IOVs and more")
    return options


if __name__ == "__main__":
    sys.exit(main())
