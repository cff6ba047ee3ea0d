"""What a job waits for conditions that its node has already: the cache beside bare files.

One process, one thing at a time: resolve all types of a frozen tag at a moment of another
interval each time, open one payload of the answer, read it. The floor is what no cache can do
without: open the same file, read it, hash it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import os
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.report import MIB, Aim, Table, milliseconds, number, seconds
from benchmarks.servers import databuffer, logic
from condstore.cache import Cache, Cached
from condstore.client import Client
from condstore.digests import Digest
from condstore.moments import Moment
from condstore.results import NewIOV, TagFrozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.bench import Bench
    from condstore.source import Source

TYPES = (10, 200)
_IOVS = 50
_PAYLOAD = 4096
_LARGE = 256 * MIB
_AIM = 1.0  # ms
_FIRST = 60_000  # the first run


@dataclass(frozen=True, slots=True)
class Frozen:
    """A frozen tag of so many types, what answers about it, and a cache that has it all."""

    types: int
    tag: str
    source: Source
    cache: Cache

    def runs(self) -> Iterator[Moment]:
        """Yield a moment of each interval, again and again."""
        return itertools.cycle([Moment(_FIRST + 10 * at + 3) for at in range(_IOVS)])


def run(bench: Bench) -> list[Table]:
    """Resolve and open from memory, from the directory, in a new process, and from the servers."""
    folder = bench.subfolder("warm-cache")
    with databuffer(folder) as buffer, logic(folder, buffer) as tier:
        client = Client(f"http://127.0.0.1:{tier.port}")
        digests = [client.put_payload(os.urandom(_PAYLOAD)).digest for _ in range(_IOVS)]
        tags = [_frozen(client, digests, types, folder) for types in TYPES]
        cases = {key: case for tag in tags for key, case in _cases(bench, tag).items()}
        found = bench.interleave("warm-cache", cases)
    times = {key: median(rounds) for key, rounds in found.items()}
    return [_table(times), _large_table(bench, folder)]


def _frozen(client: Client, digests: list[str], types: int, folder: Path) -> Frozen:
    name = f"bench-{types}"
    client.create_tag(name)
    client.insert_iovs(
        name,
        [
            NewIOV(f"Type{kind:03}", Moment(_FIRST + 10 * at), None, None, digests[at])
            for kind in range(types)
            for at in range(_IOVS)
        ],
    )
    frozen_tag = client.freeze_tag(name, report=False)
    assert isinstance(frozen_tag, TagFrozen)
    reference = frozen_tag.reference
    cache = Cache(folder / f"cache-{types}")
    frozen = Frozen(types, reference, client._source, cache)  # noqa: SLF001 - what it asks
    cached = Cached(frozen.source, cache)
    for moment in itertools.islice(frozen.runs(), _IOVS):
        _ask(cached, frozen.tag, moment)
    return frozen


def _ask(cached: Cached, tag: str, moment: Moment) -> int:
    """Do what a job does: resolve, take a payload, read it."""
    payload = cached.resolve(tag, moment, None).payloads[-1]
    assert payload.digest is not None
    with cached.open(Digest.parse(payload.digest)) as file:
        return len(file.read())


def _cases(bench: Bench, tag: Frozen) -> dict[tuple[str, int], Callable[[], float]]:
    files = sorted((tag.cache.folder.path / "payloads").iterdir())
    turn, path = tag.runs(), itertools.cycle(files)
    serial = itertools.count()
    remembered = Cached(tag.source, tag.cache)

    def floor() -> None:
        with next(path).open("rb") as file:
            hashlib.sha256(file.read()).digest()

    def same() -> None:
        _ask(remembered, tag.tag, Moment(_FIRST + 5))

    def kept() -> None:
        _ask(Cached(tag.source, tag.cache), tag.tag, next(turn))

    def new() -> None:
        cache = Cache(tag.cache.path)
        _ask(Cached(tag.source, cache), tag.tag, next(turn))
        cache.close()

    def cold() -> None:
        cache = Cache(bench.folder / f"cold-{tag.types}-{next(serial)}-{time.time_ns()}")
        _ask(Cached(tag.source, cache), tag.tag, next(turn))
        cache.close()

    acts = {
        "floor: open, read, SHA-256": floor,
        "same interval as before": same,
        "warm, another interval": kept,
        "warm, first in a process": new,
        "cold: from the servers": cold,
    }
    return {
        (name, tag.types): functools.partial(_typical, act, bench.seconds / 2)
        for name, act in acts.items()
    }


def _typical(act: Callable[[], None], limit: float) -> float:
    """Return the median duration of an act that is repeated for `limit` seconds."""
    took: list[float] = []
    end = time.perf_counter() + limit
    while not took or time.perf_counter() < end:
        begin = time.perf_counter()
        act()
        took.append(time.perf_counter() - begin)
    return median(took)


def _table(times: dict[tuple[str, int], float]) -> Table:
    names = dict.fromkeys(name for name, _ in times)
    aims = [
        Aim(
            f"warm resolve and open, {types} types",
            1000 * times["warm, another interval", types],
            _AIM,
            "ms",
            at_most=True,
        ).line()
        for types in TYPES
    ]
    return Table(
        f"The local cache: resolve all types and open one payload of {_PAYLOAD // 1024} KiB",
        ("", *(f"{types} types, ms" for types in TYPES)),
        tuple((name, *(milliseconds(times[name, types]) for types in TYPES)) for name in names),
        tuple(aims),
    )


def _large_table(bench: Bench, folder: Path) -> Table:
    """Open a large payload: hashed once, then known by its seal."""
    size = _LARGE // 8 if bench.quick else _LARGE
    body = os.urandom(size)
    digest = Digest.of(body)
    cache = Cache(folder / "large")
    cache.payloads.open(digest, lambda: _given(body)).close()
    path = cache.folder.path / "payloads" / digest.hex

    def hashed() -> None:
        path.touch()  # the seal is broken
        cache.payloads.open(digest, lambda: _given(body)).close()

    def sealed() -> None:
        cache.payloads.open(digest, lambda: _given(body)).close()

    cases = {"hashed again": hashed, "sealed": sealed}
    found = bench.interleave(
        "warm-cache, large",
        {name: functools.partial(_typical, act, bench.seconds / 4) for name, act in cases.items()},
    )
    return Table(
        f"The local cache: open a payload of {size // MIB} MiB, not read",
        ("", "time"),
        tuple(
            (name, seconds(took) if took > 1 else f"{number(1000 * took)} ms")
            for name, took in ((name, median(rounds)) for name, rounds in found.items())
        ),
    )


def _given(body: bytes) -> contextlib.nullcontext[Iterator[bytes]]:
    """Give the bytes as a download would."""
    return contextlib.nullcontext(body[at : at + MIB] for at in range(0, len(body), MIB))
