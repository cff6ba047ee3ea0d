"""`condstore stream|put|get|pull`: bytes into the store and out of it."""
# ruff: noqa: PLC0415, PLR0913, PLR0917, D301
# as in tags.py

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from condstore.commands import completing
from condstore.commands.options import (
    AsJson,
    Begin,
    CacheFolder,
    DryRun,
    End,
    Offline,
    PayloadType,
    Ref,
    Url,
    User,
    answer,
    client,
    reader,
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
    from condstore.show.written import interval, style

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


def put(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Any files.")],
    dry_run: DryRun = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Store files as payloads and print their digests.

    \b
      condstore put beam.json
      condstore put beam.json field.json --dry-run

    Printed as sha256sum does. What the store has already is not sent again. A payload is in no
    tag until an IOV names it:
    `condstore iov insert TAG TYPE START --digest DIGEST`. --json: an array, one object a file.
    """
    from condstore import show

    to, asked = terminal(), client(url)
    if dry_run:
        _would_put(to, files, url, as_json=as_json)
        return
    blobs = []
    with to.progress("put", len(files), "files") as advance:
        for path in files:
            blobs.append(asked.put_payload(path))
            advance(1)
            if not as_json:
                to.say(show.put(blobs[-1], str(path)))
    if as_json:
        answer(to, blobs, [], as_json=True)


def _would_put(to: Terminal, files: Sequence[Path], url: str | None, *, as_json: bool) -> None:
    from condstore.landing import digest_of
    from condstore.terminal import size

    digests = {path: digest_of(path) for path in files}
    lacking = client(url).lacks(digests.values())
    told = [
        {"file": path, "digest": digest, "new": digest in lacking, "size": path.stat().st_size}
        for path, digest in digests.items()
    ]
    lines = [
        f"{digest}  {path}: "
        + (f"would send {size(path.stat().st_size)}" if digest in lacking else "there already")
        for path, digest in digests.items()
    ]
    answer(to, told, lines, as_json=as_json)


def get(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="sha256:<digest>, or a global tag.",
            autocompletion=completing.tags,
        ),
    ],
    moment: Annotated[
        str | None, typer.Argument(metavar="[MOMENT]", help="With a tag: the moment.")
    ] = None,
    payload_type: PayloadType = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The file to write; - for a pipe."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace another file.")] = False,
    offline: Offline = None,
    cache: CacheFolder = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Download a payload and check it against its digest.

    \b
      condstore get sha256:<64 digits>
      condstore get stream 968654552.25 --type H1:LDAS-STRAIN -o h1.json
      condstore get 2026-prompt 1200:17 --type Beam -o - | head -c 100
      condstore get 2026-prompt 1200 --offline 2026-prompt.cdb -o beam-1200.json

    The file gets its name only when every byte has come and the digest agrees. A file that is
    there already with the same content is left alone; another is replaced with --force only.
    """
    from condstore import fetching, show

    to, asked = terminal(), reader(url, offline, cache)
    wanted = fetching.find(asked, what, moment, payload_type)
    if output == Path("-"):
        sys.stdout.buffer.write(asked.payload(wanted.digest))
        return
    target = output or Path(wanted.name)
    with to.progress(f"{target}", wanted.size or 0, "bytes") as advance:
        fetched = fetching.fetch(asked, wanted, target, force=force, tell=advance)
    answer(to, fetched, [show.fetched(fetched)], as_json=as_json)


def pull(
    tag: Ref,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The bundle (default: TAG.cdb)."),
    ] = None,
    begin: Begin = None,
    end: End = None,
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="Only this payload type (may be repeated).",
            autocompletion=completing.types,
        ),
    ] = None,
    payloads: Annotated[
        bool, typer.Option("--payloads/--no-payloads", help="With the payloads' bytes, or without.")
    ] = True,
    beside: Annotated[
        Path | None,
        typer.Option("--payloads-beside", metavar="DIR", help="Payloads into this directory."),
    ] = None,
    prove: Annotated[
        bool, typer.Option("--prove", help="Read the whole tag, to prove its fingerprint.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace another file.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Write a frozen tag into a file that answers without server.

    \b
      condstore pull 2026-prompt -o 2026-prompt.cdb
      condstore pull 2026-prompt --begin 1200 --end 1300 --type Beam -o part.cdb
      condstore resolve 2026-prompt 1200 --offline 2026-prompt.cdb

    In a job: condstore.Client.offline("2026-prompt.cdb"). `condstore verify FILE` checks it. The
    same again changes nothing; another file of that name is replaced with --force only.
    """
    from condstore import bundle, show

    to, target = terminal(), output or Path(f"{tag.partition('@')[0]}.cdb")
    with to.stages() as tell:
        pulled = bundle.pull(
            client(url),
            tag,
            target,
            begin=begin,
            end=end,
            payload_types=tuple(types or ()),
            payloads=payloads if beside is None else beside,
            prove=prove,
            force=force,
            tell=lambda now: tell(now.what, now.done, now.total or 0),
        )
    answer(to, pulled, show.pulled(pulled), as_json=as_json)
