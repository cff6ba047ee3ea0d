"""`condstore tag list|show|create|clone|delete`: global tags and what they hold."""
# ruff: noqa: PLC0415, PLR0913, PLR0917, D301
# imports inside the commands keep `--help` quick; a command's parameters are its options; click
# wants a real backspace before the lines of an example

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

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
    settings,
    span,
    terminal,
)
from condstore.errors import UsageError

if TYPE_CHECKING:
    from condstore.client import Client
    from condstore.moments import Moment
    from condstore.results import PreflightReport, TagContent
    from condstore.terminal import Terminal

app = group(
    "tag",
    """Global tags: make, clone, freeze, compare, delete.

    \b
      condstore tag list
      condstore tag show 2026-prompt
    """,
)


@app.command("list")
def list_tags(
    search: Annotated[
        str, typer.Option("--search", metavar="TEXT", help="A part of the name or the author.")
    ] = "",
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="STATE", help="Only unlocked, locked or frozen ones."),
    ] = None,
    offline: Offline = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List the global tags.

    \b
      condstore tag list
      condstore tag list --state frozen --search prompt
      condstore tag list --offline 2026-prompt.cdb
    """
    from condstore import show

    found = reader(url, offline).tags(search=search, state=state)
    none = [] if not (search or state) else ["no global tag is like that"]
    lines = show.tag_table(found) if found or not none else none
    answer(terminal(), found, lines, as_json=as_json)


@app.command("show")
def show_tag(
    tag: Ref,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw the timelines into this SVG file."),
    ] = None,
    begin: Begin = None,
    end: End = None,
    offline: Offline = None,
    cache: CacheFolder = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Say what a global tag is and holds.

    \b
      condstore tag show 2026-prompt
      condstore tag show 2026-prompt@12 --json
      condstore tag show 2026-prompt --plot prompt.svg --begin 1200 --end 1400
      condstore tag show 2026-prompt --offline 2026-prompt.cdb

    TAG@<LSN> is the tag as it was at that ledger position, TAG@<fingerprint> what was frozen.
    --begin and --end are for --plot.
    """
    from condstore import show

    if (begin or end) and plot is None:
        raise UsageError("--begin and --end say what --plot FILE draws: give it too")
    drawn = span(begin, end)
    to, asked = terminal(), reader(url, offline, cache)
    found = asked.tag(tag)
    answer(to, found, show.content(found, to), as_json=as_json)
    if plot is not None:
        _draw(asked, tag, found, plot, to, drawn)


def _draw(
    asked: Client,
    ref: str,
    found: TagContent,
    target: Path,
    to: Terminal,
    drawn: tuple[Moment | None, Moment | None],
) -> None:
    from condstore.moments import style
    from condstore.plot import picture

    pinned = ref if "@" in ref else found.tag.reference
    kinds = [held.payload_type for held in found.payload_lists]
    with to.waiting(f"drawing {target}"):
        timelines = {kind: tuple(asked.iovs(pinned, kind, *drawn)) for kind in kinds}
        how = style(iov.start for iovs in timelines.values() for iov in iovs)
        report, (first, last) = _report(asked, pinned), drawn
        made = picture.svg(found, timelines, report=report, begin=first, end=last, written=how)
    target.write_text(made, encoding="utf-8")
    to.complain(f"{target}: the timelines of {found.tag.name}")


def _report(asked: Client, ref: str) -> PreflightReport | None:
    """Return what a check tells of trims; a bundle knows of none."""
    from condstore.errors import NotOffline

    try:
        return asked.check(ref)
    except NotOffline:
        return None


@app.command()
def create(
    tag: Annotated[str, typer.Argument(metavar="NAME", help="The new global tag.")],
    description: Annotated[
        str, typer.Option("--description", "-d", metavar="TEXT", help="What it is for.")
    ] = "",
    author: Annotated[
        str | None, typer.Option("--author", metavar="NAME", help="Whose it is (default: --user).")
    ] = None,
    locked: Annotated[
        bool, typer.Option("--locked", help="Locked from the start: it is appended to only.")
    ] = False,
    dry_run: DryRun = False,
    user: User = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Make a global tag.

    \b
      condstore tag create 2026-prompt --description "prompt reconstruction"
      condstore tag create 2026-online --locked --dry-run

    One that exists already is left as it is.
    """
    to, asked, state = terminal(), client(url, user=user), "locked" if locked else "unlocked"
    there = existing(asked, tag)
    if there is not None:
        said = f"{tag} exists already ({there.tag.state}) and is left as it is"
        answer(to, there.tag, [said], as_json=as_json)
        return
    if dry_run:
        planned = {"would": "create", "tag": tag, "state": state}
        answer(to, planned, [f"would create {tag}, {state}, empty"], as_json=as_json)
        return
    author = author or user or settings().user
    made = asked.create_tag(tag, description=description, author=author, state=state)
    said = f"{made.name} is there, {made.state}, ledger at LSN {made.lsn}"
    answer(to, made, [said], as_json=as_json)


@app.command()
def clone(
    tag: Ref,
    name: Annotated[str, typer.Argument(metavar="NEW", help="The clone's name.")],
    description: Annotated[
        str | None, typer.Option("--description", "-d", metavar="TEXT", help="What it is for.")
    ] = None,
    dry_run: DryRun = False,
    user: User = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Make an unlocked tag with the content of another.

    \b
      condstore tag clone 2026-prompt 2026-reprocessing
      condstore tag clone 2026-prompt@12 2026-as-it-was --dry-run

    It takes no time, however large the tag is.
    """
    from condstore.errors import Conflict
    from condstore.show.tags import held

    to, asked = terminal(), client(url, user=user)
    if dry_run:
        found, taken = asked.tag(tag), existing(asked, name)
        if taken is not None:
            raise Conflict(f"a global tag {name} exists already", status=409, code="tag_exists")
        planned = {"would": "clone", "tag": name, "of": tag, "content": found}
        said = f"would make {name}, unlocked, with what {tag} holds: {held(found)}"
        answer(to, planned, [said], as_json=as_json)
        return
    made = asked.clone_tag(tag, name, description=description)
    said = f"{made.name} is a clone of {tag}, {made.state}, ledger at LSN {made.lsn}"
    answer(to, made, [said], as_json=as_json)


@app.command()
def delete(
    tag: Tag,
    dry_run: DryRun = False,
    yes: Yes = False,
    user: User = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Delete an unlocked tag and its payload lists.

    \b
      condstore tag delete 2026-scratch --dry-run
      condstore tag delete 2026-scratch --yes

    Asks to type the tag's name. The payloads stay, and TAG@<LSN> answers as the
    tag was, for ever.
    """
    from condstore.commands.confirm import confirm
    from condstore.commands.refusals import refusal
    from condstore.show.tags import held

    to, asked = terminal(), client(url, user=user)
    found = asked.tag(tag)
    if dry_run:
        refused = refusal(found.tag, "unlocked")
        planned = {"would": "delete", "content": found, "refusal": refused}
        lines = [f"would delete {tag}: {held(found)}"]
        foretold(to, planned, lines, refused, as_json=as_json)
    confirm(to, f"{tag} ({held(found)}) is about to be deleted", tag, yes=yes)
    lsn = asked.delete_tag(tag)
    said = f"{tag} is deleted, ledger at LSN {lsn}; as it was: {tag}@{lsn - 1}"
    answer(to, {"tag": tag, "deleted": True, "lsn": lsn}, [said], as_json=as_json)


@app.command()
def detach(
    tag: Tag,
    payload_type: TypeArgument,
    dry_run: DryRun = False,
    yes: Yes = False,
    user: User = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Take a payload type, with all its IOVs, out of an unlocked tag.

    \b
      condstore tag detach 2026-scratch Baem --dry-run
      condstore tag detach 2026-scratch Baem --yes

    Asks to type the tag's name. The list and its payloads stay in the store, and
    TAG@<LSN> answers as the tag was, for ever.
    """
    from condstore.commands.confirm import confirm
    from condstore.commands.refusals import refusal
    from condstore.errors import UsageError
    from condstore.terminal import plural

    to, asked = terminal(), client(url, user=user)
    found = asked.tag(tag)
    lists = [one for one in found.payload_lists if one.payload_type == payload_type]
    if not lists:
        has = ", ".join(one.payload_type for one in found.payload_lists) or "none"
        raise UsageError(f"{tag} has no payload type {payload_type}; it has {has}")
    about = f"{payload_type} ({plural(lists[0].payload_iovs or 0, 'IOV')})"
    if dry_run:
        refused = refusal(found.tag, "unlocked")
        planned = {"would": "detach", "tag": tag, "list": lists[0], "refusal": refused}
        lines = [f"would take {about} out of {tag}"]
        foretold(to, planned, lines, refused, as_json=as_json)
    confirm(to, f"{about} is about to be taken out of {tag}", tag, yes=yes)
    lsn = asked.detach_list(tag, payload_type)
    said = f"{about} is out of {tag}, ledger at LSN {lsn}; as it was: {tag}@{lsn - 1}"
    answer(to, {"tag": tag, "detached": lists[0], "lsn": lsn}, [said], as_json=as_json)


def existing(asked: Client, tag: str) -> TagContent | None:
    """Return a tag if there is one of this name."""
    from condstore.errors import NotFound

    try:
        return asked.tag(tag)
    except NotFound:
        return None
