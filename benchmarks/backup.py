"""`python -m benchmarks.backup`: backup, verify, restore of a store, beside `tar` of its volume.

The store is made by bulk inserts through both tiers: so many payload types of so many IOVs, each
IOV naming one of so many payloads of 1 to 8 KiB. Right before each act `tar` writes the same volume
into one file on the same disk, and `cp -a` into as many; all are timed until it is durable.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson
import urllib3

from benchmarks import machine
from benchmarks.conditions.shape import Shape, payload, start, type_name
from benchmarks.report import TIMES, Table, mebibytes, number, percent
from benchmarks.servers import CannotStart, Memory, databuffer, logic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.servers import Server

_CLIENTS: Final = 4
_PER_REQUEST: Final = 5000
_TAG: Final = "bench"
_BYTES_AN_IOV: Final = 2000  # of the volume, its backup, a restore, a tar and a view
_BYTES_A_BLOB: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class Timed:
    """One act: seconds, those of `tar` and `cp -a` right before it, and the most memory it had."""

    act: str
    seconds: float
    tar: float
    copy: float
    memory: int

    def row(self) -> tuple[str, ...]:
        """Return its line of the table."""
        floors = (self.tar, self.copy)
        beside = (f"{number(self.seconds / floor)} {TIMES}" for floor in floors)
        return self.act, *map(number, (self.seconds, *floors)), *beside, mebibytes(self.memory)


class Building:
    """A store that is filled through its servers."""

    def __init__(self, buffer: Server, tier: Server, seed: int = 1) -> None:
        self._buffer = f"http://127.0.0.1:{buffer.port}"
        self._tier = f"http://127.0.0.1:{tier.port}/api/v1"
        self._http = urllib3.PoolManager(maxsize=_CLIENTS, retries=False, timeout=300)
        self._draw = random.Random(seed)  # noqa: S311 - not a secret
        self._post(f"{self._tier}/global-tags", orjson.dumps({"name": _TAG}))

    def blobs(self, count: int) -> list[tuple[str, int]]:
        """Store so many payloads; return digest and size of each."""
        contents = (
            self._draw.randbytes(self._draw.randrange(1 << 10, 8 << 10)) for _ in range(count)
        )
        with ThreadPoolExecutor(_CLIENTS) as pool:
            answers = pool.map(
                lambda content: self._post(f"{self._buffer}/blobs", content), contents
            )
            return [(told["digest"], told["size"]) for told in map(orjson.loads, answers)]

    def iovs(self, shape: Shape, blobs: list[tuple[str, int]], first: int = 0) -> None:
        """Insert the IOVs of a shape, from the type with this number on, in bulk."""
        path = f"{self._tier}/global-tags/{_TAG}/iovs"
        with ThreadPoolExecutor(_CLIENTS) as pool:
            bodies = self._bodies(shape, blobs, first)
            for _ in pool.map(lambda body: self._post(path, body), bodies):
                pass

    def _bodies(self, shape: Shape, blobs: list[tuple[str, int]], first: int) -> Iterator[bytes]:
        for kind in range(first, first + shape.types):
            for begin in range(0, shape.iovs, _PER_REQUEST):
                ats = range(begin, min(begin + _PER_REQUEST, shape.iovs))
                rows = [self._row(shape, kind, at, self._draw.choice(blobs)) for at in ats]
                yield orjson.dumps({"iovs": rows})

    def _row(self, shape: Shape, kind: int, at: int, blob: tuple[str, int]) -> dict[str, object]:
        name, _, _ = payload(kind, at)
        row = {
            "payload_type": type_name(kind),
            "start": start(kind, at),
            "end": shape.end(kind, at),
        }
        return row | {"name": name, "digest": blob[0], "size": blob[1]}

    def _post(self, url: str, body: bytes) -> bytes:
        answer = self._http.request("POST", url, body=body)
        if answer.status not in {200, 201}:
            raise CannotStart(f"{url} answered {answer.status}: {answer.data[:200]!r}")
        return bytes(answer.data)


def main() -> int:
    """Measure; 0 when all could be measured."""
    options = _options()
    options.folder.mkdir(parents=True, exist_ok=True)
    shape = Shape(options.types, options.iovs)
    needed = (1 << 30) + _BYTES_AN_IOV * shape.total + _BYTES_A_BLOB * options.blobs
    if shutil.disk_usage(options.folder).free < needed:
        print(f"backup: {needed / 2**30:.0f} GiB of free disk are needed", file=sys.stderr)
        return 1
    print(f"Measured on: {machine.describe(options.folder)}.\n", flush=True)
    begin = machine.work()
    try:
        with tempfile.TemporaryDirectory(prefix="backup-", dir=options.folder) as folder:
            table = _measured(Path(folder).resolve(), shape, options.blobs)
    except CannotStart as error:
        print(f"backup: {error}", file=sys.stderr)
        return 1
    print(*table.lines(markdown=options.markdown), sep="\n")
    print(f"Meanwhile {percent(machine.work().others(begin), 1)} of the CPU went elsewhere.")
    return 0


def _measured(folder: Path, shape: Shape, blobs: int) -> Table:
    found: list[Timed] = []

    def time_of(act: str, *words: str) -> None:
        print(f"backup: {act}", file=sys.stderr, flush=True)
        volume, tar, copy = (str(folder / name) for name in ("volume", "volume.tar", "copy"))
        by_tar = _durably(folder, lambda: _run("tar", "cf", tar, volume))
        by_copy = _durably(folder, lambda: _run("cp", "-a", "--reflink=never", volume, copy))
        (folder / "volume.tar").unlink()
        shutil.rmtree(copy)
        command = str(Path(sys.executable).with_name("condstore"))
        seconds = _durably(folder, lambda: _run(command, "admin", *words))
        found.append(Timed(act, seconds, by_tar, by_copy, _run.memory))

    with databuffer(folder) as buffer:
        os.environ["DB_BURL"] = f"http://127.0.0.1:{buffer.port}/"
        with logic(folder, buffer) as tier:
            print("backup: making the store", file=sys.stderr, flush=True)
            building = Building(buffer, tier)
            building.iovs(shape, building.blobs(blobs))
        directory = str(folder / "backup")
        time_of("backup, the first", "backup", directory)
        time_of("backup, nothing new", "backup", directory)
        with logic(folder, buffer, within=600) as tier:
            print("backup: a hundredth more", file=sys.stderr, flush=True)
            building = Building(buffer, tier, seed=2)
            few = Shape(max(1, shape.types // 100), max(1, shape.iovs))
            building.iovs(few, building.blobs(max(1, blobs // 100)), first=shape.types)
        time_of("backup, 1 % new", "backup", directory)
        memory = Memory.of(buffer.pid)
    time_of("verify", "verify", directory)
    time_of("restore", "restore", directory, str(folder / "restored"))
    volume, kept = _size(folder / "volume"), _size(folder / "backup")
    return Table(
        f"Backups: {shape.label} IOVs, {number(blobs)} payloads",
        ("", "s", "tar, s", "cp, s", "of tar", "of cp", "memory, MiB"),
        tuple(one.row() for one in found),
        (
            f"The volume has {mebibytes(volume)} MiB, its backup {mebibytes(kept)} MiB.",
            "tar, cp -a: the whole volume into one file, or as many, of the same disk, unchecked.",
            f"All until durable. The databuffer had {mebibytes(memory.highest)} MiB at most.",
        ),
    )


def _told(command: tuple[str, ...]) -> int | None:
    return subprocess.DEVNULL if command[0] == "tar" else None  # it says that it drops the first /


class _Run:
    """Runs a command that must succeed; `memory` is the most that the last one had, in bytes."""

    memory = 0

    def __call__(self, *command: str) -> None:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=_told(command)) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        self.memory = usage.ru_maxrss << 10
        if process.returncode:
            raise CannotStart(f"{' '.join(command)} ended with {process.returncode}")


_run = _Run()


def _durably(folder: Path, act: Callable[[], None]) -> float:
    """Return how long an act took until the disk had all of it; before it the disk is at rest."""
    _run("sync", "-f", str(folder))
    begin = time.perf_counter()
    act()
    memory = _run.memory
    _run("sync", "-f", str(folder))
    _run.memory = memory
    return time.perf_counter() - begin


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backup", description=__doc__)
    parser.add_argument("--types", type=int, default=200, help="payload types (200)")
    parser.add_argument("--iovs", type=int, default=26_000, help="IOVs of each (26 000)")
    parser.add_argument("--blobs", type=int, default=100_000, help="payloads (100 000)")
    parser.add_argument("--markdown", action="store_true", help="a table for docs/benchmarks.md")
    parser.add_argument(
        "--folder", type=Path, default=Path("var"), help="where on the disk under test (var)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
