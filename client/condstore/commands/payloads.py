"""`condstore put|get|pull`: payloads into the store, out of it, and a tag into a bundle."""
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
    answer,
    client,
    reader,
    say_all,
    span,
    terminal,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from condstore.results import Blob
    from condstore.terminal import Terminal


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
    blobs: list[Blob] = []
    try:
        with to.progress("put", len(files), "files") as advance:
            for path in files:
                blobs.append(asked.put_payload(path))
                advance(1)
    finally:  # not while the bar moves; what was stored before a failure is said too
        if not as_json:
            say_all(to, map(show.put, blobs, map(str, files)))
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

    first, last = span(begin, end)
    to, target = terminal(), output or Path(f"{tag.partition('@')[0]}.cdb")
    with to.stages("pulling") as tell:
        pulled = bundle.pull(
            client(url),
            tag,
            target,
            begin=first,
            end=last,
            payload_types=tuple(types or ()),
            payloads=payloads if beside is None else beside,
            prove=prove,
            force=force,
            tell=lambda now: tell(now.what, now.done, now.total),
        )
    answer(to, pulled, show.pulled(pulled), as_json=as_json)
