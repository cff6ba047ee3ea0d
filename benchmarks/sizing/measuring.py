"""One size: load it in bulk, resolve, compress, and start again on what is there."""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.conditions import bodies, standing
from benchmarks.conditions.caller import Caller
from benchmarks.conditions.resolving import anywhere, until_sliced
from benchmarks.conditions.shape import Shape
from benchmarks.conditions.standing import TAG, Standing
from benchmarks.load import Job, Refused
from benchmarks.servers import databuffer, logic
from benchmarks.sizing.usage import Taken, Watch, allocated, size
from benchmarks.uploads import blobs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.bench import Bench
    from benchmarks.servers import Server

IDLE, LOADING, SLICING, RESOLVING, AFTER = "idle, empty", "loading", "slicing", "resolving", "idle"
BLOB = 4096
BLOBS = 20_000
_LOADERS, _ASKERS = 4, 32
_PATIENCE = 3600.0
_STILL = 5.0


@dataclass(slots=True)
class Sized:
    """What was found for one shape; bytes, seconds. What the servers cannot do yet is None."""

    shape: Shape
    taken: dict[tuple[str, str], Taken] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    ledger: int = 0
    compressed: int | None = None
    view: int = 0
    slices: int = 0
    checkpoint: int | None = None
    starts: dict[str, float | None] = field(default_factory=dict)


def shape_of(iovs: int) -> Shape:
    """Spread so many IOVs over payload types as the field does: few over ten, many over 200."""
    types = 10 if iovs < 50_000 else 100 if iovs < 5_000_000 else 200
    return Shape(types, iovs // types)


def measure(bench: Bench, shape: Shape) -> Sized:
    """Measure one shape from an empty volume on."""
    found, folder = Sized(shape), bench.subfolder(f"sizing-{shape.name}")
    _load_and_resolve(bench, found, folder)
    _measure_files(found, folder)
    _start_again(bench, found, folder)
    return found


@dataclass(frozen=True, slots=True)
class Blobs:
    """What many blobs of 4 KiB take of the disk: bytes a blob, and bytes of all their folders."""

    count: int
    each: float
    folders: int


def measure_blobs(bench: Bench) -> Blobs:
    """Upload many blobs, start once more so that the journal is settled, and look."""
    folder = bench.subfolder("sizing-blobs")
    with databuffer(folder) as buffer:
        before, _ = allocated(folder / "volume")
        job = Job(buffer.port, functools.partial(blobs, BLOB), 8, _PATIENCE, BLOBS)
        bench.generator.run(job)
    with databuffer(folder):
        after, folders = allocated(folder / "volume")
    return Blobs(BLOBS, (after - before) / BLOBS, folders)


def _load_and_resolve(bench: Bench, found: Sized, folder: Path) -> None:
    with databuffer(folder) as buffer, logic(folder, buffer) as tier:
        at = Standing(found.shape, folder, buffer, tier)
        with _watched(found, IDLE, at):
            time.sleep(_STILL)
        with _watched(found, LOADING, at):
            found.rates[LOADING] = load(bench, at, _PATIENCE)
        with _watched(found, SLICING, at):
            until_sliced(bench, at, TAG)
        standing.check(at, TAG)
        with _watched(found, RESOLVING, at):
            script = functools.partial(anywhere, standing.v1_query, TAG, at.shape)
            job = Job(tier.port, script, _ASKERS, 3 * bench.seconds)
            found.rates[RESOLVING] = bench.generator.run(job).rate
        with _watched(found, AFTER, at):
            time.sleep(_STILL)


@contextlib.contextmanager
def _watched(found: Sized, phase: str, at: Standing) -> Iterator[None]:
    with Watch(at.buffer) as buffer, Watch(at.tier) as tier:
        yield
    found.taken[phase, "databuffer"] = buffer.taken
    found.taken[phase, "logic"] = tier.taken


def load(bench: Bench, at: Standing, patience: float) -> float:
    """Load the tag in bulk and wait until all of it is shown; return IOVs a second."""
    with Caller(at.tier) as caller:
        standing.make_types(caller, at.shape)
        standing.make_tag(caller, TAG)
        standing.make_lists(caller, at.shape, TAG)
    sent = bench.generator.call(bodies.v1, at.folder / "bodies", at.shape, TAG)
    begin = time.monotonic()
    script = functools.partial(bodies.requests, sent, _LOADERS)
    bench.generator.run(Job(at.tier.port, script, _LOADERS, patience))
    standing.seen(at)
    sent.file.unlink()
    return at.shape.total / (time.monotonic() - begin)


def _measure_files(found: Sized, folder: Path) -> None:
    found.ledger = size((folder / "volume" / "ledger").iterdir())
    found.view = size(folder.glob("view.sqlite*"))
    found.slices = size(folder.glob("*.slices/*"))


def _start_again(bench: Bench, found: Sized, folder: Path) -> None:
    with databuffer(folder) as buffer:
        found.starts["databuffer"] = buffer.took
        found.starts["replica, view kept"] = _started(folder, buffer)
        fresh = bench.subfolder(f"sizing-{found.shape.name}-fresh")
        with logic(fresh, buffer, within=_PATIENCE) as tier:
            found.starts["replica, from the ledger"] = tier.took
            made = _post(tier, "/api/v1/checkpoint")
        if made is not None:
            found.checkpoint = made["size"]
            other = bench.subfolder(f"sizing-{found.shape.name}-checkpoint")
            found.starts["replica, from the checkpoint"] = _started(other, buffer)
        if _post(buffer, "/ledger/compress") is not None:
            found.compressed = size((folder / "volume" / "ledger").iterdir())
    if found.compressed is not None:
        with databuffer(folder) as buffer:
            found.starts["databuffer, ledger compressed"] = buffer.took
            last = bench.subfolder(f"sizing-{found.shape.name}-compressed")
            found.starts["replica, from the compressed ledger"] = _started(
                last, buffer, CHECKPOINTS="off"
            )


def _started(folder: Path, buffer: Server, **environ: str) -> float:
    with logic(folder, buffer, within=_PATIENCE, environ=environ) as tier:
        return tier.took


def _post(server: Server, path: str) -> dict[str, int] | None:
    """Ask for something that takes its time; None where the server does not know of it.

    Raises:
        Refused: it knows, and does not do it.
    """
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_PATIENCE)
    connection.request("POST", path, headers={"Content-Length": "0"})
    with connection.getresponse() as answer:
        body = answer.read()
    connection.close()
    if answer.status in {404, 405}:
        return None
    if answer.status not in {200, 201}:
        raise Refused(f"POST {path}: {answer.status} {body[:300]!r}")
    return dict(json.loads(body))
