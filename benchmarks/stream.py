"""Segments from producers through both tiers to the disk, and through the databuffer alone."""

from __future__ import annotations

import functools
import itertools
import random
from typing import TYPE_CHECKING

from benchmarks import disk, floor
from benchmarks.bench import Sample, still, typical
from benchmarks.ledger import idle
from benchmarks.load import Job, Request, post
from benchmarks.report import Aim, Table, milliseconds, number
from benchmarks.servers import databuffer, logic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.bench import Bench

_PRODUCERS = 16
_SAMPLES = 300
_DT = "0.00006103515625"  # 16384 Hz
_PICO = 10**12
_LENGTH = 18_310_546_875  # 300 / 16384 s, exactly, in picoseconds
_APART = 100_000  # GPS seconds from one round to the next, so that no two segments are alike
_FSYNCS = 2000.0


def segments(path: str, begin: int, client: int) -> Iterator[Request]:
    """Post contiguous segments of one channel, as a producer of strain does."""
    draw = random.Random(client)  # noqa: S311 - samples, not secrets
    samples = ",".join(repr(draw.gauss(0, 1e-19)) for _ in range(_SAMPLES))
    channel = f"{path}?type=X{client}:STRAIN"
    return (
        _segment(channel, samples, begin * _PICO + serial * _LENGTH) for serial in itertools.count()
    )


def _segment(path: str, samples: str, at: int) -> Request:
    body = f'{{"h":[{samples}],"t":[{at // _PICO}.{at % _PICO:012},{_DT}]}}'.encode()
    return (post(path, len(body)) + body,)


def run(bench: Bench) -> list[Table]:
    """Stream from 16 producers through two gunicorn workers, and straight to /sendF, in turn."""
    folder = bench.subfolder("stream")
    bare = bench.subfolder("stream-floor")
    begin = itertools.count(1_000_000_000, _APART)
    with databuffer(folder) as buffer, logic(folder, buffer) as tier:

        def post_to(port: int, path: str, producers: int) -> Sample:
            script = functools.partial(segments, path, next(begin))
            job = Job(port, script, producers, 2 * bench.seconds)
            return bench.measure(job, buffer, tier)

        cases: dict[str, Callable[[], Sample]] = {
            "fsync": lambda: _bare(floor.appends, bare, disk.LINE, bench),
            "file": lambda: _bare(
                floor.new_files, bare, len(_segment("", "0" * 6900, 0)[0]), bench
            ),
            "idle": lambda: bench.measure(
                Job(tier.port, functools.partial(idle, "/livez"), _PRODUCERS, bench.seconds / 2),
                *(buffer, tier),
            ),
            "sendF": lambda: post_to(buffer.port, "/sendF", _PRODUCERS),
            "stream": lambda: post_to(tier.port, "/stream", _PRODUCERS),
            "sendF, 1": lambda: post_to(buffer.port, "/sendF", 1),
            "stream, 1": lambda: post_to(tier.port, "/stream", 1),
        }
        found = {key: typical(rounds) for key, rounds in bench.interleave("stream", cases).items()}
        bench.note_memory("stream", buffer, tier)
    return [_table(found)]


def _bare(
    act: Callable[[Path, int, float], float], folder: Path, count: int, bench: Bench
) -> Sample:
    rate = act(folder, count, bench.seconds / 2)
    return still(rate)


def _table(found: dict[str, Sample]) -> Table:
    names = {
        "fsync": "floor: bare loop of a ledger line, write + fdatasync",
        "file": "floor: bare loop of new files of a segment's size",
        "idle": f"floor: GET /livez of the logic tier, {_PRODUCERS} clients",
        "sendF": f"/sendF of the databuffer, {_PRODUCERS} producers",
        "stream": f"/stream of the logic tier, {_PRODUCERS} producers",
        "sendF, 1": "/sendF, 1 producer",
        "stream, 1": "/stream, 1 producer",
    }
    rows = tuple(
        (
            names[key],
            number(sample.rate),
            milliseconds(sample.p50),
            milliseconds(sample.p99),
            *sample.cpu(servers=2),
        )
        for key, sample in found.items()
    )
    fsyncs = found["fsync"].rate
    return Table(
        f"Streaming: segments of {_SAMPLES} samples, 2 gunicorn workers, answered when durable",
        ("", "per second", "p50 ms", "p99 ms", "CPU buffer", "CPU logic", "CPU load"),
        rows,
        (
            Aim(
                "/stream", found["stream"].rate, 800 * min(1, fsyncs / _FSYNCS), "segments/s"
            ).line()
            + f" (where the disk does {_FSYNCS:.0f} fsyncs a second or more;"
            f" here it does {number(fsyncs)})",
        ),
    )
