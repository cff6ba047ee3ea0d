"""`condstore iov insert|list|delete`: which payload holds when."""
# ruff: noqa: PLC0415, PLR0913, PLR0917, D301
# as in tags.py

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
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
    Ref,
    Tag,
    TypeArgument,
    Url,
    User,
    Yes,
    answer,
    client,
    foretold,
    group,
    reader,
    span,
    terminal,
)
from condstore.errors import CondstoreError, NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from condstore.client import Client
    from condstore.moments import Moment
    from condstore.results import PayloadIOV
    from condstore.rows import Entry
    from condstore.terminal import Terminal

app = group(
    "iov",
    """Payload IOVs: insert, list, delete.

    \b
      condstore iov list 2026-prompt Beam
      condstore iov insert 2026-prompt Beam 1200 --file beam.json
    """,
)


@app.command("list")
def list_iovs(
    tag: Ref,
    payload_type: TypeArgument,
    begin: Begin = None,
    end: End = None,
    plot: Annotated[
        bool, typer.Option("--plot", help="Draw the timeline, gaps and all, in the terminal.")
    ] = False,
    whole: Annotated[
        bool,
        typer.Option(
            "--long", "-l", help="With whole names and digests, checksums, and since which LSN."
        ),
    ] = False,
    offline: Offline = None,
    cache: CacheFolder = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List the payload IOVs of one type, by their start; gaps between them are said.

    \b
      condstore iov list 2026-prompt Beam
      condstore iov list 2026-prompt Beam --begin 1200 --end 1300 --json
      condstore iov list 2026-prompt Beam --plot
      condstore iov list 2026-prompt Beam --long

    With --begin and --end: those that overlap [begin, end).
    """
    from condstore import show

    to, (first, last) = terminal(), span(begin, end)
    found = tuple(reader(url, offline, cache).iovs(tag, payload_type, first, last))
    if plot and not as_json:
        lines = _drawn(found, first, last, to)
    elif found:
        lines = show.iov_table(found, to, whole=whole)
    else:
        here = " here" if begin or end else ""
        lines = [
            f"no payload IOVs{here}: condstore iov insert TAG {payload_type} START --file FILE"
        ]
    answer(to, found, lines, as_json=as_json)


def _drawn(
    found: Sequence[PayloadIOV], begin: Moment | None, end: Moment | None, to: Terminal
) -> list[str]:
    from condstore.moments import style
    from condstore.plot import terminal as drawing

    how = style(moment for iov in found for moment in (iov.start, iov.end))
    return drawing.timeline(
        found,
        width=to.width,
        written=how,
        begin=begin,
        end=end,
        colour=to.colourful,
        encoding=to.encoding,
    )


@app.command()
def insert(
    tag: Tag,
    payload_type: Annotated[
        str | None,
        typer.Argument(metavar="[TYPE]", help="The payload type.", autocompletion=completing.types),
    ] = None,
    start: Annotated[
        str | None,
        typer.Argument(metavar="[START]", help="From when on: 1200, 1200:17 or 968654552.25."),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(
            "--end", metavar="MOMENT", help="Until when, excluded; without: the next start."
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Store this file as the payload.")
    ] = None,
    digest: Annotated[
        str | None, typer.Option("--digest", metavar="DIGEST", help="A payload of the store.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The payload's logical name.")
    ] = None,
    checksum: Annotated[
        str | None, typer.Option("--checksum", metavar="TEXT", help="Your own checksum of it.")
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option("--from", metavar="ROWS", help="Many: a JSON, NDJSON or CSV file; - a pipe."),
    ] = None,
    dry_run: DryRun = False,
    user: User = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Insert one payload IOV, or many: all of them or none.

    \b
      condstore iov insert 2026-prompt Beam 1200 --file beam.json
      condstore iov insert 2026-prompt Beam 1200:17 --end 1250 --name beam-7 -n
      condstore iov insert 2026-prompt --from rows.csv --dry-run
      condstore iov insert 2026-prompt --from rows.csv

    \b
    rows.csv:     payload_type,start,end,name
                  Beam,1300,1400,beam-1300
                  Field,1200:17,,field-7
    rows.ndjson:  {"payload_type":"Beam","start":"1300","name":"beam-1300"}

    Columns: payload_type, start, end, name, digest, file, checksum, size, revision. --dry-run says
    which stored IOVs would be trimmed, split or detached, and where nothing would hold. A TYPE that
    is new is made; what was mistyped goes away with `condstore tag detach TAG TYPE`.
    """
    from condstore.commands import inserting

    if rows is not None:
        if start or end or file or digest or name or checksum:
            raise UsageError("--from has the intervals and payloads: give no START, --file … too")
        entries = inserting.many(rows, payload_type)
    else:
        entries = inserting.one(payload_type, start, end, file, digest, name, checksum)
    to, asked = terminal(), client(url, user=user)
    if dry_run:
        _foresee(to, asked, tag, entries, as_json=as_json)
        return
    new = inserting.new_types(asked, entries)
    done = inserting.insert(asked, tag, entries, to)
    said = f"inserted {done.inserted} into {tag}, ledger at LSN {done.lsn}"
    same = f"nothing to do: {tag} has it all already (LSN {done.lsn})"
    answer(to, done, [said if done.inserted else same, *_new(new, to)], as_json=as_json)


def _new(payload_types: Sequence[str], to: Terminal) -> list[str]:
    """Say which payload types an insert makes: whoever mistyped one sees it here."""
    many = "type" if len(payload_types) == 1 else "types"
    told = to.warn(f"new payload {many}: {', '.join(payload_types)}")
    return [told] if payload_types else []


def _foresee(
    to: Terminal, asked: Client, tag: str, entries: Sequence[Entry], *, as_json: bool
) -> None:
    from condstore import show
    from condstore.commands import inserting

    foreseen = inserting.foresee(asked, tag, entries)
    lines = [line for plan in foreseen.plans for line in show.plan(plan, to)]
    lines += [to.bad(f"the store lacks {digest}") for digest in sorted(foreseen.lacking)]
    lines += _new(foreseen.new_types, to)
    refused = foreseen.refused
    would = to.bad("this would be refused") if refused else "nothing was changed"
    answer(to, foreseen, [*lines, would], as_json=as_json)
    raise typer.Exit(1 if refused else 0)


@app.command()
def delete(
    tag: Tag,
    payload_type: TypeArgument,
    start: Annotated[str, typer.Argument(metavar="START", help="Where the IOV starts.")],
    end: Annotated[
        str | None,
        typer.Option(
            "--end", metavar="MOMENT", help="Where it ends (default: it need not be said)."
        ),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    user: User = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Delete the payload IOV that starts at a moment: afterwards nothing holds there.

    \b
      condstore iov delete 2026-prompt Beam 1300 --dry-run
      condstore iov delete 2026-prompt Beam 1300 --end 1400 --yes

    Asks to type the tag's name. To correct a payload insert the right one over it: no gap then.
    """
    from condstore.commands.confirm import confirm
    from condstore.commands.refusals import refusal
    from condstore.moments import Moment, interval, style
    from condstore.show.written import named

    to, asked = terminal(), client(url, user=user)
    last = Moment.parse(end) if end else None
    iov = _starting(asked, tag, payload_type, Moment.parse(start), last)
    how = style((iov.start, iov.end))
    written = interval(iov.start, iov.end, how)
    about = f"{payload_type} {written} {named(iov.name)}"
    if dry_run:
        refused = refusal(asked.tag(tag).tag, "unlocked")
        lines = [f"would delete {about}", to.warn(f"gap {written}: nothing would hold")]
        planned = {"would": "delete", "tag": tag, "iov": iov, "refusal": refused}
        foretold(to, planned, lines, refused, as_json=as_json)
    act = f"{about} is about to be deleted from {tag}; nothing will hold there"
    confirm(to, act, tag, yes=yes)
    lsn = asked.delete_iov(tag, payload_type, iov.start, iov.end)
    said = f"{about} is deleted from {tag}, ledger at LSN {lsn}"
    answer(to, {"tag": tag, "deleted": iov, "lsn": lsn}, [said], as_json=as_json)


def _starting(
    asked: Client, tag: str, payload_type: str, start: Moment, end: Moment | None
) -> PayloadIOV:
    """Return the IOV that starts exactly there; say which one lies there instead."""
    from condstore.moments import LIMIT, Moment, interval, style

    after = Moment(start.major, start.minor + 1) if start.minor < LIMIT else None
    there = next(iter(asked.iovs(tag, payload_type, start, after)), None)
    how = style((start, there.end if there else None))
    if there is None:
        raise NotFound(
            f"no {payload_type} holds in {tag} at {how(start)}", status=404, code="iov_not_found"
        )
    if there.start != start or (end is not None and there.end != end):
        there_is = interval(there.start, there.end, how)
        raise CondstoreError(f"the {payload_type} of {tag} that holds there is {there_is}")
    return there
