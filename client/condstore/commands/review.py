"""`condstore tag diff|log`: what changed from one tag to another, and who did what."""
# ruff: noqa: PLC0415, D301
# as in tags.py

from __future__ import annotations

from typing import Annotated

import typer

from condstore.commands.options import AsJson, PayloadType, Ref, Url, answer, client, terminal
from condstore.commands.tags import app

_ASKED_FOR = 10_000


@app.command()
def diff(
    old: Ref,
    new: Ref,
    payload_type: PayloadType = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="Show so many intervals and changes.")
    ] = 20,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit status 1 if they differ.")
    ] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Say which runs to process again from one tag to another.

    \b
      condstore tag diff 2026-prompt 2026-reprocessing
      condstore tag diff 2026-prompt@12 2026-prompt --type Beam
      condstore tag diff 2026-prompt 2026-reprocessing --exit-code --json

    Intervals are half-open, [begin, end). Where only names or sizes of equal payloads differ,
    nothing needs to be processed again.
    """
    from condstore import show

    to = terminal()
    found = client(url).diff(old, new, payload_type, limit=max(limit, _ASKED_FOR))
    lines = show.difference(found, to, old=old, new=new, most=limit)
    answer(to, found, lines, as_json=as_json)
    raise typer.Exit(1 if exit_code and found.changes else 0)


@app.command()
def log(
    tag: Ref,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="At most so many acts.")
    ] = 100,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Say who did what to a tag, and when, newest first.

    \b
      condstore tag log 2026-prompt
      condstore tag log 2026-prompt --limit 5 --json

    A deleted tag answers to the name it last had.
    """
    from condstore import show

    acts = tuple(client(url).history(tag, limit=limit))
    answer(terminal(), acts, show.history(acts), as_json=as_json)
