"""What a job waits for conditions without a network: a bundle beside the bare query of its rows.

The bundle is as large as the largest tags are (200 types of 26 000 IOVs, 5.2 million rows), made
of a tag that exists in memory only; moments are random, so that nothing lies ready. And how long it
takes to pull one from servers, beside fetching the same pages and looking at none.
"""

from __future__ import annotations

import functools
import hashlib
import random
import time
from dataclasses import dataclass
from io import BytesIO
from statistics import median, quantiles
from typing import TYPE_CHECKING, BinaryIO, Final

from benchmarks.report import MIB, Aim, Table, milliseconds, number, seconds
from benchmarks.servers import databuffer, logic
from condstore import bundle
from condstore.bundle import Bundle, file, rows
from condstore.client import Client
from condstore.moments import Moment
from condstore.results import HeldList, NewIOV, PayloadIOV, Resolution, Tag, TagContent, TagFrozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from benchmarks.bench import Bench
    from condstore.digests import Digest
    from condstore.moments import When

_AIM: Final = 2.0  # ms
_STEP: Final = 10  # runs from one start to the next
_NAME, _MARK = "bench", "0" * 64


@dataclass(frozen=True, slots=True)
class Made:
    """A tag of so many types and IOVs that nobody stored; what is asked of it is made up."""

    types: int
    iovs_each: int

    def tag(self, _ref: str) -> TagContent:
        """Return the tag and its lists."""
        count = self.types * self.iovs_each
        tag = Tag(_NAME, "frozen", _MARK, "", None, False, "", "", self.types, count, 1)
        lists = (
            HeldList(f"Type{at:03}", f"Type{at:03}_{at}", self.iovs_each, Moment(0), None)
            for at in range(self.types)
        )
        return TagContent(tag, tuple(lists))

    def iovs(
        self, _ref: str, payload_type: str, begin: When | None = None, end: When | None = None
    ) -> Iterator[PayloadIOV]:
        """Yield rows side by side, of each type beginning at other runs."""
        del begin, end
        shift = int(payload_type[4:]) % _STEP
        for at in range(self.iovs_each):
            name = f"{payload_type}_{at}"
            start = Moment(_STEP * at + shift)
            until = None if at == self.iovs_each - 1 else Moment(start.major + _STEP)
            digest = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
            yield PayloadIOV(payload_type, start, until, name, None, digest, 5000, None, at, 1)

    def segments(self, _ref: str, _payload_type: str) -> None:
        """Nothing was streamed."""

    def resolve_many(
        self, _ref: str, moments: Iterable[When], payload_types: Sequence[str] = ()
    ) -> tuple[Resolution, ...]:
        """Answer with a gap: nothing but the LSN is wanted."""
        del payload_types
        return tuple(
            Resolution(_NAME, "frozen", _MARK, 1, Moment.of(when), Moment(0), None, (), ())
            for when in moments
        )

    def open(self, which: Digest) -> BinaryIO:
        """Open a payload; there are none."""
        return BytesIO(which.encode())


def run(bench: Bench) -> list[Table]:
    """Open and resolve from small and large bundles; pull one from servers."""
    folder = bench.subfolder("offline")
    shapes = ((10, 200), (200, 2_000)) if bench.quick else ((10, 200), (200, 26_000))
    cases: dict[tuple[str, Made], Callable[[], list[float]]] = {}
    sizes = {}
    for made in (Made(*shape) for shape in shapes):
        path = folder / f"{made.types}.bundle"
        pulled = bundle.pull(made, _NAME, path, begin=_STEP, payloads=False)
        sizes[made] = pulled.size
        cases |= _cases(bench, made, path)
    found = bench.interleave("offline", cases)
    times = {key: [took for each in found[key] for took in each] for key in found}
    return [_table(times, sizes), _pulled(bench, folder)]


def _cases(
    bench: Bench, made: Made, path: Path
) -> dict[tuple[str, Made], Callable[[], list[float]]]:
    offline, connection = Bundle(path), file.open_bundle(path, small=0)
    draw = random.Random(1)  # noqa: S311 - not a secret
    last = _STEP * made.iovs_each

    def moment() -> Moment:
        return Moment(draw.randrange(_STEP, last), draw.randrange(100))

    def floor() -> None:
        at = moment()
        asked = {"major": at.major, "minor": at.minor}
        assert len(connection.execute(rows.STANDING, asked).fetchall()) == made.types

    def resolve() -> None:
        assert len(offline.resolve(offline.about.reference, moment(), None).payloads) == made.types

    def one() -> None:
        offline.resolve(offline.about.reference, moment(), "Type003")

    def opened() -> None:
        Bundle(path).close()

    acts = {"floor: the bare query": floor, "resolve all types": resolve, "resolve one type": one,
            "open": opened}  # fmt: skip
    return {
        (name, made): functools.partial(_timed, act, bench.seconds / 4)
        for name, act in acts.items()
    }


def _timed(act: Callable[[], None], limit: float) -> list[float]:
    """Return how long an act took each time, repeated for `limit` seconds."""
    took: list[float] = []
    end = time.perf_counter() + limit
    while len(took) < 2 or time.perf_counter() < end:
        begin = time.perf_counter()
        act()
        took.append(time.perf_counter() - begin)
    return took


def _table(times: dict[tuple[str, Made], list[float]], sizes: dict[Made, int]) -> Table:
    columns = [
        f"{made.types} x {made.iovs_each} ({sizes[made] // MIB} MiB), {what}"
        for made in sizes
        for what in ("median, ms", "p99, ms")
    ]
    lines = [
        (name, *(cell for made in sizes for cell in _cells(times[name, made])))
        for name in dict.fromkeys(name for name, _ in times)
    ]
    large = max(sizes, key=sizes.__getitem__)
    reached = 1000 * median(times["resolve all types", large])
    aim = Aim(f"offline resolve of {large.types} types", reached, _AIM, "ms", at_most=True)
    title = "Offline bundles: resolve at random moments"
    return Table(title, ("", *columns), tuple(lines), (aim.line(),))


def _cells(took: list[float]) -> tuple[str, str]:
    return milliseconds(median(took)), milliseconds(quantiles(took, n=100)[98])


def _pulled(bench: Bench, folder: Path) -> Table:
    """Pull a tag from servers, all of it, proven."""
    types, each = (20, 500) if bench.quick else (100, 5_000)
    with databuffer(folder) as buffer, logic(folder, buffer) as tier:
        client = Client(f"http://127.0.0.1:{tier.port}")
        client.create_tag(_NAME)
        for kind in range(types):
            starts = range(each)
            client.insert_iovs(
                _NAME, [NewIOV(f"Type{kind:03}", Moment(at), name=f"p{at}") for at in starts]
            )
        frozen = client.freeze_tag(_NAME, report=False)
        assert isinstance(frozen, TagFrozen)
        ref = frozen.reference

        def floor() -> float:
            begin = time.perf_counter()
            for kind in range(types):
                path = f"/api/v1/global-tags/{ref}/payload-lists/Type{kind:03}/iovs"
                list(client._server("a page").pages(path, "iovs"))  # noqa: SLF001
            return time.perf_counter() - begin

        def pull() -> float:
            begin = time.perf_counter()
            client.pull(ref, folder / "pulled", force=True)
            return time.perf_counter() - begin

        found = bench.interleave("offline, pull", {"floor": floor, "pull": pull})
    times = {name: median(took) for name, took in found.items()}
    size = (folder / "pulled").stat().st_size
    count = types * each
    return Table(
        f"Offline bundles: pull {types} types of {each} IOVs, {size // MIB} MiB, proven",
        ("", "time", "IOVs a second"),
        (
            ("floor: the same pages, parsed as JSON", seconds(times["floor"]),
             number(count / times["floor"])),
            ("pull", seconds(times["pull"]), number(count / times["pull"])),
        ),
    )  # fmt: skip
