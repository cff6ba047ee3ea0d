"""What the library's Producer costs beside a bare aiohttp loop that posts the same bytes.

Both run in the load's own process against both tiers, with as many requests in flight, in turn. The
loop is the least that streams at all: no retries, no counting, no resume file, its keys ready-made.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

import aiohttp

from benchmarks.report import Aim, Table, number, percent
from benchmarks.servers import databuffer, logic
from condstore.client import Client
from condstore.producer import PayloadFile, Producer
from condstore.segments import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from benchmarks.bench import Bench

IN_FLIGHT: Final = 16
_SAMPLES: Final = 300
_DT: Final = "0.00006103515625"  # 16384 Hz
_PICO: Final = 10**12
_LENGTH: Final = 18_310_546_875  # 300 / 16384 s, exactly, in picoseconds
_APART: Final = 1000  # GPS seconds from one round to the next, so that no two segments are alike
_PAYLOAD: Final = 4096
_WANTED: Final = 0.85
_TAG: Final = "producing"


@dataclass(frozen=True, slots=True)
class Made:
    """What came of one round: segments or files a second, and the client's CPU seconds for one."""

    rate: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Work:
    """So many segments or files for a port; `begin` makes those of a round its own."""

    port: int
    begin: int
    count: int

    @property
    def url(self) -> str:
        """Where they go."""
        return f"http://127.0.0.1:{self.port}"

    def segments(self) -> list[Segment]:
        """Return contiguous segments of one channel."""
        draw = random.Random(self.begin)  # noqa: S311 - samples, not secrets
        samples = ",".join(repr(draw.gauss(0, 1e-19)) for _ in range(_SAMPLES))
        times = (self.begin * _PICO + place * _LENGTH for place in range(self.count))
        return [
            Segment("X:STRAIN", _body(samples, at // _PICO, at % _PICO), _SAMPLES) for at in times
        ]

    def files(self) -> list[PayloadFile]:
        """Return payloads, each from the next run on."""
        draw = random.Random(self.begin)  # noqa: S311
        return [
            PayloadFile(draw.randbytes(_PAYLOAD), "Beam", self.begin + place)
            for place in range(self.count)
        ]


def run(bench: Bench) -> list[Table]:
    """Stream with the loop and with the Producer, and put payloads, in turn."""
    folder = bench.subfolder("producing")
    begin = itertools.count(1_000_000_000, _APART)
    count = 200 if bench.quick else 500
    with databuffer(folder) as buffer, logic(folder, buffer) as tier:
        bench.generator.call(make_tag, tier.port)

        def act(how: Callable[[Work], Made]) -> Made:
            return bench.generator.call(how, Work(tier.port, next(begin), count))

        cases = {name: functools.partial(act, how) for name, (how, _) in _CASES.items()}
        rounds = bench.interleave("producing", cases)
        bench.note_memory("producing", buffer, tier)
    return [_table({name: _typical(made) for name, made in rounds.items()})]


def loop(work: Work) -> Made:
    """Post with nothing but aiohttp."""
    segments = work.segments()
    keys = [segment.key() for segment in segments]

    async def post() -> None:
        async with aiohttp.ClientSession() as session:
            todo = iter(zip(segments, keys, strict=True))

            async def worker() -> None:
                for segment, key in todo:
                    async with session.post(
                        f"{work.url}/stream?type=X:STRAIN",
                        data=segment.body,
                        headers={"Content-Type": "application/json", "Idempotency-Key": key},
                    ) as answer:
                        await answer.read()
                        answer.raise_for_status()

            await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))

    return _timed(post, work.count)


def stream(work: Work) -> Made:
    """Stream with the Producer."""
    segments = work.segments()
    return _timed(lambda: Producer(work.url, in_flight=IN_FLIGHT).stream(segments), work.count)


def stream_resumable(work: Work) -> Made:
    """Stream with the Producer, which keeps a resume file."""
    segments = work.segments()
    with tempfile.TemporaryDirectory() as folder:
        resume = Path(folder) / "resume"
        producer = Producer(work.url, in_flight=IN_FLIGHT)
        return _timed(lambda: producer.stream(segments, resume=resume), work.count)


def put(work: Work) -> Made:
    """Put payloads that the store lacks."""
    files = work.files()
    return _timed(lambda: Producer(work.url, in_flight=IN_FLIGHT).put(_TAG, files), work.count)


def put_again(work: Work) -> Made:
    """Put payloads that stand there already, not timed the first time."""
    put(work)
    return put(work)


def make_tag(port: int) -> None:
    """Make the tag that payloads are put into."""
    Client(f"http://127.0.0.1:{port}").create_tag(_TAG)


_CASES: Final[dict[str, tuple[Callable[[Work], Made], str]]] = {
    "loop": (loop, "segments: a bare aiohttp loop"),
    "stream": (stream, "segments: Producer.stream"),
    "resume": (stream_resumable, "segments: Producer.stream with a resume file"),
    "put": (put, "payloads of 4 KiB: Producer.put, all new"),
    "again": (put_again, "payloads of 4 KiB: Producer.put, all there already"),
}


# ------------------------------------------------------------------------------------------------


def _body(samples: str, seconds: int, fraction: int) -> bytes:
    return f'{{"h":[{samples}],"t":[{seconds}.{fraction:012},{_DT}]}}'.encode()


def _timed(act: Callable[[], Coroutine[None, None, object]], count: int) -> Made:
    begin, cpu = time.perf_counter(), time.process_time()
    asyncio.run(act())
    took = time.perf_counter() - begin
    return Made(count / took, (time.process_time() - cpu) / count)


def _typical(rounds: list[Made]) -> Made:
    return Made(median(made.rate for made in rounds), median(made.cpu for made in rounds))


def _table(found: dict[str, Made]) -> Table:
    rows = tuple(
        (_CASES[name][1], number(made.rate), number(1e6 * made.cpu)) for name, made in found.items()
    )
    part = found["stream"].rate / found["loop"].rate
    cost = found["stream"].cpu / found["loop"].cpu
    return Table(
        f"Producing: {IN_FLIGHT} requests in flight, both tiers on the same machine",
        ("", "per second", "client CPU us each"),
        rows,
        (
            Aim("Producer.stream", 100 * part, 100 * _WANTED, "% of the bare loop's rate").line(),
            f"Its CPU a segment is {percent(cost, 1)} of the loop's.",
        ),
    )
