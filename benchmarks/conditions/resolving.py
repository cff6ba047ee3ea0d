"""Which payloads hold at this moment? By both APIs and all kinds of names, at 1 to 64 clients.

Every case is asked in turn with `/livez` of the same two workers, which is what the server
itself costs. Moments are random, or always the first or the last. Large tags are asked until the
pod has made slices of them; what SQLite answers before that is measured, too.
"""

from __future__ import annotations

import functools
import itertools
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.bench import Sample, typical
from benchmarks.conditions.caller import Caller
from benchmarks.conditions.standing import check, draw_moment, legacy_query, v1_query
from benchmarks.ledger import idle
from benchmarks.load import Job, Refused, Request, get
from benchmarks.report import MIB, Aim, Table, mebibytes, milliseconds, number, percent, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.bench import Bench
    from benchmarks.conditions.shape import Moment, Shape
    from benchmarks.conditions.standing import Standing
    from benchmarks.load import Script
    from benchmarks.servers import Memory

    Query = Callable[[str, Moment], str]

CLIENTS = (1, 8, 32, 64)
MANY = 32
FLOOR = "floor: GET /livez"
LEGACY, OURS, FROZEN = "legacy, random", "v1, random", "v1, TAG@fingerprint"
BEFORE = "v1, random, without slices"
_COLUMNS = (
    *("", "clients", "per second", "of the floor", "p50 ms", "p99 ms"),
    *("CPU buffer", "CPU logic", "CPU load"),
)
_BIG = 5_000_000
_IN_MEMORY = 4096
_GENTLE = 8  # clients who ask meanwhile: the process that slices gives way to requests
_SLICED_WITHIN, _SEEN_WITHIN = 600.0, 3.0
_ACCEPT = frozenset({200, 304})

Case = tuple[str, int]
"""What is asked, and by how many clients."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What was found for one shape; the sizes of an answer in bytes, and workers' memory."""

    shape: Shape
    samples: dict[Case, Sample]
    sliced_after: float
    legacy_bytes: int
    v1_bytes: int
    workers: tuple[Memory, ...]

    def rate(self, what: str, clients: int = MANY) -> float:
        """Return requests a second."""
        return self.samples[what, clients].rate

    def of_floor(self, what: str, clients: int = MANY) -> float:
        """Return them as a part of what the same workers do with an empty request."""
        return self.rate(what, clients) / self.rate(FLOOR, clients)


def anywhere(query: Query, tag: str, shape: Shape, client: int) -> Iterator[Request]:
    """Ask for moments anywhere in the tag, in no order, hardly ever the same twice."""
    draw = random.Random(client)  # noqa: S311 - moments, not secrets
    while True:
        yield (get(query(tag, draw_moment(draw, shape))),)


def always(path: str, headers: tuple[str, ...], client: int) -> Iterator[Request]:
    """Ask for one moment again and again."""
    del client
    return itertools.repeat((get(path, *headers),))


def resolve(bench: Bench, at: Standing, tag: str, pinned: str) -> Resolved:
    """Check the answers, then measure every case in turn; the largest shape in more ways."""
    first = {
        (name, MANY): _ask(bench, at, script, MANY)
        for name, script in _before(at, tag).items()
        if at.shape.total > _IN_MEMORY
    }
    sliced_after = until_sliced(bench, at, tag, pinned)
    check(at, tag)
    check(at, pinned)
    cases = {
        (name, clients): functools.partial(_ask, bench, at, script, clients)
        for clients in CLIENTS
        for name, script in _scripts(at, tag, pinned, clients).items()
    }
    what = f"resolve {at.shape.label}"
    found = {key: typical(rounds) for key, rounds in bench.interleave(what, cases).items()}
    bench.note_memory(what, *at.servers)
    with Caller(at.tier) as caller:
        sizes = [
            len(caller.ask("GET", query(tag, at.shape.last), b""))
            for query in (legacy_query, v1_query)
        ]
    return Resolved(
        at.shape, first | found, sliced_after, sizes[0], sizes[1], tuple(at.tier.memory()[1:])
    )


def _before(at: Standing, tag: str) -> dict[str, Script]:
    return {BEFORE: functools.partial(anywhere, v1_query, tag, at.shape)}


def until_sliced(bench: Bench, at: Standing, *tags: str) -> float:
    """Ask until there are slices, which each worker has seen; return after how many seconds.

    The first tag is the one to be sliced; the others share its content.

    Raises:
        Refused: there are none within minutes.
    """
    begin = time.monotonic()
    while not _is_sliced(at):
        if time.monotonic() > begin + _SLICED_WITHIN:
            raise Refused(f"no slices of {at.shape.label} within {_SLICED_WITHIN:.0f} s")
        _ask(bench, at, functools.partial(anywhere, v1_query, tags[0], at.shape), _GENTLE)
    after = time.monotonic() - begin
    seen = time.monotonic() + _SEEN_WITHIN
    while time.monotonic() < seen:
        for name in tags:
            _ask(bench, at, functools.partial(anywhere, v1_query, name, at.shape), MANY)
    return after


def _is_sliced(at: Standing) -> bool:
    return at.shape.total <= _IN_MEMORY or any(at.folder.glob("*.slices/*.slices"))


def _scripts(at: Standing, tag: str, pinned: str, clients: int) -> dict[str, Script]:
    shape = at.shape
    scripts: dict[str, Script] = {
        FLOOR: functools.partial(idle, "/livez"),
        LEGACY: functools.partial(anywhere, legacy_query, tag, shape),
        OURS: functools.partial(anywhere, v1_query, tag, shape),
    }
    if shape.types >= 100:
        scripts[FROZEN] = functools.partial(anywhere, v1_query, pinned, shape)
    if clients == MANY:
        scripts |= {
            "legacy, first": functools.partial(always, legacy_query(tag, shape.first), ()),
            "legacy, last": functools.partial(always, legacy_query(tag, shape.last), ()),
            "v1, first": functools.partial(always, v1_query(tag, shape.first), ()),
            "v1, last": functools.partial(always, v1_query(tag, shape.last), ()),
            "v1, last, had already (304)": functools.partial(
                always, v1_query(tag, shape.last), (_condition(at, tag),)
            ),
            "v1, one type": functools.partial(anywhere, _one_type, tag, shape),
        }
    return scripts


def _one_type(tag: str, moment: Moment) -> str:
    return f"{v1_query(tag, moment)}&type=CALIB_{moment[0] % 10:03}"


def _condition(at: Standing, tag: str) -> str:
    """Return the header by which a client says that it has the answer to the last moment."""
    with Caller(at.tier) as caller:
        return f"If-None-Match: {caller.etag(v1_query(tag, at.shape.last))}"


def _ask(bench: Bench, at: Standing, script: Script, clients: int) -> Sample:
    job = Job(at.tier.port, script, clients, bench.seconds, accept=_ACCEPT)
    return bench.measure(job, *at.servers)


def table(found: Resolved) -> Table:
    """Return the rates of one shape."""
    one, other = (f"{size / 1024:.1f} KiB" for size in (found.legacy_bytes, found.v1_bytes))
    memory = ", ".join(
        f"{mebibytes(worker.resident)} MiB ({mebibytes(worker.anonymous)} anonymous,"
        f" {mebibytes(worker.mapped)} of mapped files)"
        for worker in found.workers
    )
    return Table(
        f"Resolving {found.shape.label}: {number(found.shape.total)} IOVs, 2 workers",
        _COLUMNS,
        tuple(
            _row(name, clients, sample, found.rate(FLOOR, clients))
            for (name, clients), sample in found.samples.items()
        ),
        (
            *_when_sliced(found),
            f"An answer has {one} (legacy), {other} (v1).",
            f"Resident in each worker: {memory}.",
        ),
    )


def _when_sliced(found: Resolved) -> list[str]:
    if found.shape.total <= _IN_MEMORY:
        return []
    after = seconds(found.sliced_after)
    return [f"The pod had its slices after {after}, {_GENTLE} clients asking meanwhile."]


def _row(name: str, clients: int, sample: Sample, floor: float) -> tuple[str, ...]:
    return (
        name,
        str(clients),
        number(sample.rate),
        percent(sample.rate, floor),
        milliseconds(sample.p50),
        milliseconds(sample.p99),
        *sample.cpu(servers=2),
    )


def aims(found: list[Resolved]) -> list[Aim]:
    """Return what was aimed at, as far as these shapes are among it."""
    return [aim for one in found for aim in _aims(one)] + _growth(found)


def _aims(one: Resolved) -> list[Aim]:
    label = one.shape.label
    if one.shape.name == "10x200":
        return [
            Aim(f"{label} {what}, {MANY} clients / floor", one.of_floor(what), 1 / 1.5)
            for what in (LEGACY, OURS)
        ]
    if one.shape.total < _BIG:
        return []
    return [
        aim for what in (LEGACY, OURS, FROZEN) for aim in _large(one, f"{label} {what}", what)
    ] + [
        Aim(f"{label}: RSS of a worker", worker.resident / MIB, 300, "MiB", at_most=True)
        for worker in one.workers
    ]


def _large(one: Resolved, label: str, what: str) -> list[Aim]:
    p99 = 1000 * one.samples[what, MANY].p99
    return [
        Aim(f"{label}, {MANY} clients / floor", one.of_floor(what), 1 / 3),
        Aim(f"{label}, {MANY} clients", one.rate(what), 1500, "requests/s"),
        Aim(f"{label}, {MANY} clients: p99", p99, 60, "ms", at_most=True),
    ]


def _growth(found: list[Resolved]) -> list[Aim]:
    """Return how much slower ten times as many intervals are answered."""
    by_total = {one.shape.total: one for one in found}
    if not {500_000, 5_200_000} <= by_total.keys():
        return []
    small, large = by_total[500_000], by_total[5_200_000]
    return [
        Aim(
            f"{what}: {small.shape.label} / {large.shape.label}, {MANY} clients",
            *(small.rate(what) / large.rate(what), 2),
            at_most=True,
        )
        for what in (LEGACY, OURS)
    ]
