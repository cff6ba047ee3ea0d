"""How long `condstore --help` takes, beside the interpreter alone.

Whole processes, from the moment they are started until they have ended; their files are in the page
cache, as they are on a shell that is used.
"""

from __future__ import annotations

import functools
import itertools
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.report import Aim, Table, milliseconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.bench import Bench

_AT_ONCE, _AT_ONCE_QUICK = 4, 2  # starts a round
_AIM = 300.0  # ms
_FLOOR, _HELP = "floor: python -c pass", "condstore --help"
_PROGRAM = str(Path(sys.executable).with_name("condstore"))
_COMMANDS: Mapping[str, tuple[str, ...]] = {
    _FLOOR: (sys.executable, "-c", "pass"),
    "python -c 'import typer'": (sys.executable, "-c", "import typer"),
    _HELP: (_PROGRAM, "--help"),
    "condstore resolve --help": (_PROGRAM, "resolve", "--help"),
    "from condstore import Client": (sys.executable, "-c", "from condstore import Client"),
}


def run(bench: Bench) -> list[Table]:
    """Start each command in turn, round after round."""
    times = _AT_ONCE_QUICK if bench.quick else _AT_ONCE
    cases = {name: functools.partial(_starts, words, times) for name, words in _COMMANDS.items()}
    rounds = bench.interleave("starting the command", cases)
    return [_table({name: sorted(itertools.chain(*took)) for name, took in rounds.items()})]


def _starts(words: tuple[str, ...], times: int) -> list[float]:
    """Return how many seconds each of so many starts took."""
    environ = {**os.environ, "TERM": "dumb", "COLUMNS": "80"}
    return [_start(words, environ) for _ in range(times)]


def _start(words: tuple[str, ...], environ: Mapping[str, str]) -> float:
    begin = time.perf_counter()
    subprocess.run(words, env=environ, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def _table(took: dict[str, list[float]]) -> Table:
    count = len(took[_HELP])
    aim = Aim(_HELP, 1000 * median(took[_HELP]), _AIM, "ms", at_most=True)
    floor = median(took[_FLOOR])
    return Table(
        f"Starting the command, {count} starts each, ms",
        ("", "median", "fastest", "slowest", "above the floor"),
        tuple(
            (
                name,
                *(milliseconds(value) for value in (median(times), times[0], times[-1])),
                milliseconds(median(times) - floor),
            )
            for name, times in took.items()
        ),
        (aim.line(),),
    )
