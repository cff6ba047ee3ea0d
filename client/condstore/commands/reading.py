"""`condstore status|resolve|verify|doctor`: what is, and whether it is sound."""
# ruff: noqa: PLC0415, PLR0913, PLR0917, D301
# as in tags.py

from __future__ import annotations

from functools import partial
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from condstore.commands.options import (
    AsJson,
    BufferUrl,
    CacheFolder,
    Offline,
    PayloadType,
    Ref,
    Url,
    answer,
    client,
    databuffer,
    reader,
    settings,
    terminal,
    urls,
)
from condstore.errors import UsageError

if TYPE_CHECKING:
    from condstore.terminal import Terminal


def status(url: Url = None, as_json: AsJson = False) -> None:
    """Say how the servers, the buffer and the global tags are.

    \b
      condstore status
      condstore status --json

    Exit status 3 if no server answers.
    """
    from condstore import show

    to, asked = terminal(), client(url)
    ready, buffer, tags = asked.readiness(), asked.buffer(), asked.tags()
    told = {"logic": asked.url, "ready": ready, "buffer": buffer, "tags": tags}
    answer(to, told, show.status(asked.url, ready, buffer, tags, to), as_json=as_json)


def resolve(
    tag: Ref,
    moment: Annotated[str, typer.Argument(metavar="MOMENT", help="968654552.25, 1200:17 or 1200.")],
    payload_type: PayloadType = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on, and say it again when it changes.")
    ] = False,
    interval: Annotated[
        float,
        typer.Option("--interval", metavar="SECONDS", min=0.1, help="How often --watch asks."),
    ] = 5.0,
    offline: Offline = None,
    cache: CacheFolder = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Say which payloads hold at a moment, and for how long.

    \b
      condstore resolve stream 968654552.25
      condstore resolve 2026-prompt 1200:17 --type Beam --json
      condstore resolve 2026-prompt 1200 --watch
      condstore resolve 2026-prompt 1200 --offline 2026-prompt.cdb

    A moment is GPS seconds with decimals, or major:minor (run and lumi section). Where nothing
    holds there is a gap and no payload, never an expired one. Exit status 1 if nothing holds.
    With --watch Ctrl-C is the end, exit status 0; with --json each line is a document then.
    """
    from condstore import show
    from condstore.commands import watching
    from condstore.moments import Moment
    from condstore.show.written import style_of

    to, when, asked = terminal(), Moment.parse(moment), reader(url, offline, cache)
    if watch:
        again = partial(asked.resolve, tag, when, payload_type)
        fixed = offline is not None or "@" in tag  # TAG@<fingerprint>, TAG@<LSN>
        watching.watch(again, to, every=interval, fixed=fixed, as_json=as_json)
        return
    found = asked.resolve(tag, when, payload_type)
    how = style_of(moment, found.since, found.until)
    answer(to, found, show.resolution(found, how, to), as_json=as_json)
    raise typer.Exit(0 if found.payloads else 1)


def verify(
    bundle: Annotated[
        Path | None, typer.Argument(metavar="[BUNDLE]", help="A bundle; without: the store.")
    ] = None,
    payloads: Annotated[
        bool, typer.Option("--payloads", help="Download and hash every payload too.")
    ] = False,
    beside: Annotated[
        Path | None,
        typer.Option("--payloads-beside", metavar="DIR", help="Where a bundle's payloads are."),
    ] = None,
    url: BufferUrl = None,
    as_json: AsJson = False,
) -> None:
    """Check the whole ledger and every payload it names, or a bundle.

    \b
      condstore verify
      DB_BURL=http://localhost:8080/ condstore verify --payloads --json
      condstore verify 2026-prompt.cdb

    Every entry must follow the one before it by number and by hash, and carry its own checksum;
    every payload must be there in its size, with --payloads byte for byte. A bundle must have the
    content that its fingerprint says. Exit status 1 and one line a problem otherwise. Reads only.
    A databuffer with a BUFFER_TOKEN wants it here too (BUFFER_TOKEN, BUFFER_TOKEN_FILE).
    """
    to = terminal()
    if bundle is None:
        _verify_store(to, url, payloads=payloads, as_json=as_json)
    elif url or payloads:
        raise UsageError("a bundle is verified whole and without a server: no --url, no --payloads")
    else:
        _verify_bundle(to, bundle, beside, as_json=as_json)


def _verify_store(to: Terminal, url: str | None, *, payloads: bool, as_json: bool) -> None:
    from condstore import show
    from condstore.verify import verify as check

    base, access = databuffer(url)
    with to.stages("checking") as tell:
        report = check(base, payloads=payloads, tell=tell, access=access)
    answer(to, report, show.verified(report, to), as_json=as_json)
    raise typer.Exit(1 if report.problems else 0)


def _verify_bundle(to: Terminal, path: Path, beside: Path | None, *, as_json: bool) -> None:
    from condstore import bundle, show

    with to.waiting(f"reading {path}"):
        found = bundle.verify(path, payloads=beside)
    answer(to, found, show.sound(found), as_json=as_json)


def doctor(url: Url = None, as_json: AsJson = False) -> None:
    """Examine this machine and the servers; say what to do.

    \b
      condstore doctor
      condstore doctor --json

    Exit status 1 if something is wrong.
    """
    import dataclasses

    from condstore import show
    from condstore.doctor import examine

    to = terminal()
    with to.waiting("examining"):
        findings = examine(dataclasses.replace(settings(), urls=urls(url)))
    answer(to, findings, show.examined(findings, to), as_json=as_json)
    raise typer.Exit(1 if any(one.state == "bad" for one in findings) else 0)
