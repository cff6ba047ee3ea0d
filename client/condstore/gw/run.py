"""One run of the producer: find the recording, find the position, send three blocks at a time.

The position moves on when a block is stored and all before it are. A block that was stored but is
not counted (killed in between, or frozen beside it) is sent again under the same key.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from condstore import interrupts
from condstore.client import Client
from condstore.errors import (
    CondstoreError,
    Frozen,
    Refused,
    ServerAway,
    UnexpectedAnswer,
    UsageError,
)
from condstore.gw import opendata, recording
from condstore.gw.position import Data, Position, load, save
from condstore.gw.sending import AT_ONCE, sending
from condstore.segments import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal
    from pathlib import Path

    from condstore.gw.config import Config
    from condstore.gw.opendata import Event
    from condstore.gw.recording import Block, Recording
    from condstore.gw.sending import Sender

FOLDER: Final = "open-data"
MOST_BATCHES: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Job:
    """What one run is asked for: files (none: open data), a channel, where to keep the position."""

    files: tuple[Path, ...]
    channel: str | None
    position: Path
    batches: int = MOST_BATCHES


def find(config: Config, job: Job, tell: Callable[[str], object]) -> Recording:
    """Return what is to be streamed, cut to the window; `tell` hears of what may take long."""
    if job.files:
        found = recording.read(job.files, config.detector, job.channel)
        if config.window is None:
            return found
        gps = _gps_of(config, tell)
        return found.cropped(gps + config.window.inf, gps + config.window.sup)
    return _from_open_data(config, job, tell)


def _from_open_data(config: Config, job: Job, tell: Callable[[str], object]) -> Recording:
    if not config.event or config.gps is not None or not config.detector or config.window is None:
        raise UsageError(
            "to take open data set GWID (an event's name), DTCID, INF and SUP, for example "
            f"GWID=GW150914 DTCID=L1 INF=-15 SUP=16; or {opendata.INSTEAD}"
        )
    event = _event(config, tell)
    window = (event.gps + config.window.inf, event.gps + config.window.sup)
    folder = job.position.parent / FOLDER
    paths = opendata.fetch(event, config.detector, window, folder, tell)
    return recording.read(paths, config.detector, job.channel).cropped(*window)


def _event(config: Config, tell: Callable[[str], object]) -> Event:
    tell(f"asking the open data archive for {config.event}")
    return opendata.event(config.event)


def _gps_of(config: Config, tell: Callable[[str], object]) -> Decimal:
    if config.gps is not None:
        return config.gps
    if not config.event:
        raise UsageError(
            "INF and SUP are seconds around GWID, which is not set; without all three the files "
            "are streamed whole"
        )
    return _event(config, tell).gps


def begin(config: Config, job: Job, found: Recording) -> Position:
    """Return where to go on, and make sure that the next run would go on there too."""
    first = found.first
    data = Data(config.event, config.detector, first.payload_type, plain(first.t0), plain(first.dt))
    at = load(job.position, data) or Position(0, found.samples, _period(config), data)
    if at.bound > found.samples:
        raise UsageError(
            f"{job.position}: there were {at.bound} samples when reading began, now there are "
            f"{found.samples}; give the same files, INF and SUP, or remove {job.position}"
        )
    save(job.position, at)
    return at


def stream(
    config: Config, job: Job, found: Recording, at: Position, tell: Callable[[Position], object]
) -> Position:
    """Send what follows the position and return the new one; `tell` hears of each step.

    Raises what says why it stopped: `Frozen`, `ServerAway`, …; the position is kept.
    """
    return interrupts.run(_stream(config, job, found, at, tell))


async def _stream(
    config: Config, job: Job, found: Recording, at: Position, tell: Callable[[Position], object]
) -> Position:
    async with sending(config.url, at.period, config.access) as sender:
        for _ in range(job.batches):
            at = _grown(at, found, job)
            batch = tuple(islice(found.blocks(at.read, at.bound), AT_ONCE))
            if not batch:
                break
            end, failure = await _send(sender, batch, at.read)
            if end != at.read:
                at = replace(at, read=end)
                save(job.position, at)
                tell(at)
            if failure is not None:
                raise failure
    return at


def _grown(at: Position, found: Recording, job: Job) -> Position:
    """Take in what has come since reading began, once all before it is stored."""
    if at.read == at.bound < found.samples:
        at = replace(at, bound=found.samples)
        save(job.position, at)
    return at


async def _send(
    sender: Sender, batch: Sequence[Block], end: int
) -> tuple[int, CondstoreError | None]:
    """Send some blocks; return where the stored ones end, and why not all are."""
    said = iter(await sender.send([each for block in batch for each in block.segments]))
    for block in batch:
        failures = [error for error in islice(said, len(block.segments)) if error is not None]
        if failures:
            return end, _most_telling([*failures, *(error for error in said if error)])
        end = block.end
    return end, None


def _most_telling(failures: list[CondstoreError]) -> CondstoreError:
    return next((error for error in failures if isinstance(error, Frozen)), failures[0])


def _period(config: Config) -> str:
    """Name the buffer's present filling: what is streamed again after a flush is stored again.

    A service that cannot tell is the twin's original, which knows no keys either.
    """
    if not config.base:
        return ""
    try:
        return Client((config.base,)).period(config.stream_tag)
    except (Refused, UnexpectedAnswer):
        return ""
    except ServerAway as away:
        raise ServerAway(str(away).replace("CONDSTORE_URL", "SRV")) from away
