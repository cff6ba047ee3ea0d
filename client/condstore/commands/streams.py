"""`condstore stream`: strain files as segments, or any file as a payload."""
# ruff: noqa: PLC0415, PLR0913, PLR0917, D301
# as in tags.py

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from condstore.commands import completing
from condstore.commands.options import (
    AsJson,
    DryRun,
    PayloadType,
    Url,
    User,
    answer,
    client,
    settings,
    terminal,
    urls,
)
from condstore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from condstore.results import Validity
    from condstore.terminal import Terminal


def stream(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Strain files, or a payload.")
    ],
    payload_type: PayloadType = None,
    channel: Annotated[
        list[str] | None,
        typer.Option("--channel", metavar="NAME", help="Only this channel (may be repeated)."),
    ] = None,
    major: Annotated[int | None, typer.Option(help="IOV start: run, or GPS seconds.")] = None,
    minor: Annotated[int, typer.Option(help="IOV start: lumi section, or nanoseconds.")] = 0,
    end: Annotated[
        str | None, typer.Option(metavar="MOMENT", help="IOV end, excluded; without: open.")
    ] = None,
    tag: Annotated[
        str | None,
        typer.Option(
            metavar="TAG",
            help="The global tag (default: the stream's).",
            autocompletion=completing.tags,
        ),
    ] = None,
    in_flight: Annotated[
        int, typer.Option("--in-flight", min=1, max=256, help="Requests at once.")
    ] = 16,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="FILE", help="Note what is acknowledged; go on there."),
    ] = None,
    dry_run: DryRun = False,
    user: User = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Stream strain files as segments, or any file as a payload.

    \b
      condstore stream L1.hdf5 --dry-run
      condstore stream L1.hdf5
      condstore stream HLV.gwf --channel H1:LDAS-STRAIN
      condstore stream noise.txt --type L1:NOISE
      condstore stream segment.json --type L1:LDAS-STRAIN
      condstore stream beam.json --type Beam --major 1200 --tag 2026-prompt

    HDF5 (gwpy's and open data's), GWF and two-column text files are cut into segments of 300
    samples, each channel its own payload type; a JSON file {"h":[...],"t":[t0,dt]} is one segment.
    With --major any file is one payload, which holds from that moment on. The same again is
    harmless: nothing is stored twice; --resume sends only what an earlier run did not. --json: an
    array, one report a file.
    """
    from condstore import streaming

    to = terminal()
    if major is not None:
        where = streaming.validity(major, minor, end, tag)
        _payloads(to, files, payload_type, where, url, user, dry_run=dry_run, as_json=as_json)
        return
    if tag or end or minor:
        raise UsageError("--minor, --end and --tag say where a payload holds: they need --major")
    channels = tuple(channel or ())
    if dry_run:
        _would_stream(to, files, payload_type, channels, as_json=as_json)
        return
    _segments(to, files, payload_type, channels, url, in_flight, resume, as_json=as_json)


def _segments(
    to: Terminal,
    files: Sequence[Path],
    payload_type: str | None,
    channels: tuple[str, ...],
    url: str | None,
    in_flight: int,
    resume: Path | None,
    *,
    as_json: bool,
) -> None:
    from condstore import show, streaming

    period, reports = client(url).period(settings().stream_tag), []
    for path in files:
        todo = streaming.work(path, payload_type, channels)
        with to.progress(path.name, todo.segments, "segments") as advance:
            report = streaming.run(
                todo,
                urls(url),
                period=period,
                in_flight=in_flight,
                advance=advance,
                resume=resume,
            )
        reports.append(report)
        if not as_json:
            to.say(f"{path.name}: {show.streamed(report)}")
    if as_json:
        answer(to, reports, [], as_json=True)


def _would_stream(
    to: Terminal,
    files: Sequence[Path],
    payload_type: str | None,
    channels: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    from condstore import streaming
    from condstore.terminal import plural

    told = [
        {"file": path, "segments": streaming.work(path, payload_type, channels).segments}
        for path in files
    ]
    lines = [
        f"would stream {one['file']}: {plural(int(str(one['segments'])), 'segment')}"
        for one in told
    ]
    answer(to, told, lines, as_json=as_json)


def _payloads(
    to: Terminal,
    files: Sequence[Path],
    payload_type: str | None,
    where: Validity,
    url: str | None,
    user: str | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    from condstore import streaming
    from condstore.moments import interval, style

    if dry_run:
        if payload_type is None:
            raise UsageError("a payload with --major needs its --type too")
        span = interval(where.start, where.end, style((where.start, where.end)))
        tag = where.tag or settings().stream_tag
        lines = [f"would store {path} as {payload_type} {span} in {tag}" for path in files]
        answer(to, {"would": "store", "files": files, "at": where}, lines, as_json=as_json)
        return
    asked, done = client(url, user=user), []
    for path in files:
        done.append(streaming.payload(asked, path, payload_type, where))
        if not as_json:
            to.say(f"{path.name}: stored as {payload_type}, ledger at LSN {done[-1].lsn}")
    if as_json:
        answer(to, done, [], as_json=True)
