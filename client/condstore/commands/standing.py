"""`condstore tag lock|unlock|freeze|withdraw|unfreeze`: what a tag still takes."""
# ruff: noqa: PLC0415, PLR0913, PLR0917, D301
# as in tags.py

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from condstore.commands.options import (
    AsJson,
    DryRun,
    Ref,
    Tag,
    Url,
    User,
    Yes,
    answer,
    client,
    foretold,
    terminal,
)
from condstore.commands.tags import app
from condstore.errors import Conflict

if TYPE_CHECKING:
    from condstore.client import Client
    from condstore.results import TagContent, TagStanding
    from condstore.terminal import Terminal

Reason = Annotated[
    str | None, typer.Option("--reason", "-m", metavar="TEXT", help="Why, for the history.")
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Refuse where there is a gap, or a payload is missing.")
]
Template = Annotated[
    str | None,
    typer.Option("--template", metavar="TAG", help="It must have every type that this one has."),
]
ReadBytes = Annotated[
    bool, typer.Option("--read-bytes", help="Read and hash every payload in the store.")
]


_NOT_YET = 4
"""Exit status: neither done nor refused, so that no script goes on as if it were either."""


@app.command()
def lock(
    tag: Tag,
    reason: Reason = None,
    dry_run: DryRun = False,
    user: User = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Lock a tag: nothing in it is overlapped any more.

    \b
      condstore tag lock 2026-prompt --reason "run 1200 is out"
      condstore tag lock 2026-prompt --dry-run

    From now on it is appended to, and its gaps are filled.
    """
    to, asked = terminal(), client(url, user=user)
    if dry_run:
        _would_stand(to, asked.tag(tag), "locked", as_json=as_json)
        return
    _stands(to, asked.lock_tag(tag, reason=reason), as_json=as_json)


@app.command()
def unlock(
    tag: Tag,
    reason: Reason = None,
    dry_run: DryRun = False,
    user: User = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Unlock a locked tag: the newest payload wins again.

    \b
      condstore tag unlock 2026-prompt --reason "beam spot of run 1100 was wrong"
      condstore tag unlock 2026-prompt --dry-run

    A frozen tag is not unlocked by this: see `condstore tag unfreeze`.
    """
    to, asked = terminal(), client(url, user=user)
    if dry_run:
        _would_stand(to, asked.tag(tag), "unlocked", as_json=as_json)
        return
    _stands(to, asked.unlock_tag(tag, reason=reason), as_json=as_json)


def _would_stand(to: Terminal, found: TagContent, state: str, *, as_json: bool) -> None:
    from condstore.commands.refusals import refusal

    tag = found.tag
    same = tag.state == state
    refused = None if same else refusal(tag, "unlocked", "locked")
    planned = {"would": state, "tag": tag, "refusal": refused}
    said = f"{tag.name} is {state} already" if same else f"would change {tag.name}: {tag.state}"
    lines = [said if same or refused else f"{said} to {state}"]
    foretold(to, planned, lines, refused, as_json=as_json)


def _stands(to: Terminal, standing: TagStanding, *, as_json: bool) -> None:
    said = f"{standing.tag} is {standing.state}, ledger at LSN {standing.lsn}"
    answer(to, standing, [said], as_json=as_json)


@app.command()
def freeze(
    tag: Tag,
    reason: Reason = None,
    strict: Strict = False,
    template: Template = None,
    read_bytes: ReadBytes = False,
    report: Annotated[
        bool,
        typer.Option(
            "--report/--no-report", help="Look over the tag first (large ones take a minute)."
        ),
    ] = True,
    fingerprint: Annotated[
        str | None,
        typer.Option("--fingerprint", metavar="DIGITS", help="Refuse any other content than this."),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    user: User = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Freeze a tag for good, after a look over it.

    \b
      condstore tag freeze 2026-prompt --dry-run
      condstore tag freeze 2026-prompt --strict --reason "summer talks" --yes

    It gets a fingerprint and never changes. Asks to type its name. --dry-run shows what the look
    finds: gaps, payloads that the store lacks, what newer intervals trimmed. Again is harmless.
    Where two admins must want it, the first proposes and the second confirms by the same command.
    Exit status 1 if it is refused, 4 if it is proposed and not frozen.
    """
    from condstore import show
    from condstore.commands.confirm import confirm
    from condstore.results import FreezeProposed
    from condstore.show.tags import held

    to, asked = terminal(), client(url, user=user)
    found = asked.tag(tag)
    if dry_run:
        _look(to, asked, found, template, read_bytes=read_bytes, strict=strict, as_json=as_json)
        return
    if found.tag.state != "frozen":
        look = partial(_findings, to, asked, tag, template) if report else tuple
        act = f"{tag} ({held(found)}) is about to be frozen, for good{_wanted(found)}"
        confirm(to, act, tag, yes=yes, to_know=look)
    if found.freeze is not None:  # what was shown is what is confirmed
        fingerprint = fingerprint or found.freeze.fingerprint
    try:
        with to.waiting(f"freezing {tag}"):
            frozen = asked.freeze_tag(
                tag,
                reason=reason,
                strict=strict,
                template=template,
                read_bytes=read_bytes,
                report=report,
                fingerprint=fingerprint,
            )
    except Conflict as refused:
        if refused.code == "preflight_failed" and not as_json:
            for line in _findings(to, asked, tag, template, read_bytes=read_bytes):
                to.complain(line)
        raise _told(refused, tag) from refused
    findings = show.findings(frozen.report, to) if frozen.report else []
    if isinstance(frozen, FreezeProposed):
        said = show.proposed(frozen.tag, frozen.freeze)
        answer(to, frozen, [*findings, *said], as_json=as_json)
        raise typer.Exit(_NOT_YET)
    said = [f"{frozen.tag} is frozen, for ever:", f"  {frozen.reference}"]
    answer(to, frozen, [*findings, *said], as_json=as_json)


def _wanted(found: TagContent) -> str:
    """Say who else wants a tag frozen, and with which content."""
    if found.freeze is None:
        return ""
    return f", as {found.freeze.proposed_by} proposed ({found.freeze.fingerprint[:12]})"


def _findings(
    to: Terminal, asked: Client, tag: str, template: str | None, *, read_bytes: bool = False
) -> list[str]:
    from condstore import show

    with to.waiting(f"looking over {tag}"):
        return show.findings(asked.check(tag, template=template, read_bytes=read_bytes), to)


def _told(refused: Conflict, tag: str) -> Conflict:
    """Return a refusal that names, if it is for what a look found, the command that shows it."""
    if refused.code != "preflight_failed":
        return refused
    return Conflict(
        f"{tag} is not frozen, for what this finds: condstore tag check {tag}",
        status=refused.status,
        code=refused.code,
    )


def _look(
    to: Terminal,
    asked: Client,
    found: TagContent,
    template: str | None,
    *,
    read_bytes: bool,
    strict: bool,
    as_json: bool,
) -> None:
    from condstore import show

    tag = found.tag.name
    with to.waiting(f"looking over {tag}"):
        report = asked.check(tag, template=template, read_bytes=read_bytes)
    refused = strict and not report.ok
    would = f"would {'refuse to freeze' if refused else 'freeze'} {tag}{_wanted(found)}"
    answer(to, report, [*show.report(report, to), would], as_json=as_json)
    raise typer.Exit(1 if refused else 0)


@app.command()
def withdraw(
    tag: Tag,
    reason: Reason = None,
    dry_run: DryRun = False,
    user: User = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Withdraw a proposal to freeze a tag, whosever it is.

    \b
      condstore tag withdraw 2026-prompt --reason "run 17 is missing"
      condstore tag withdraw 2026-prompt --dry-run

    There is one where two admins must want a freeze and one does: `condstore tag show`.
    """
    to, asked = terminal(), client(url, user=user)
    found = asked.tag(tag)
    if found.freeze is None:
        answer(to, found, [f"nobody has proposed to freeze {tag}"], as_json=as_json)
        return
    by = f"{found.freeze.proposed_by}'s proposal to freeze {tag}"
    if dry_run:
        planned = {"would": "withdraw", "tag": tag, "freeze": found.freeze}
        answer(to, planned, [f"would withdraw {by}"], as_json=as_json)
        return
    standing = asked.withdraw_freeze(tag, reason=reason)
    said = f"{by} is withdrawn, ledger at LSN {standing.lsn}"
    answer(to, standing, [said], as_json=as_json)


@app.command()
def check(
    tag: Ref,
    template: Template = None,
    read_bytes: ReadBytes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Look over a tag: gaps, missing payloads, what was trimmed.

    \b
      condstore tag check 2026-prompt
      condstore tag check 2026-prompt --template 2025-prompt --read-bytes

    Exit status 1 if a strict freeze would refuse it.
    """
    from condstore import show

    to = terminal()
    with to.waiting(f"looking over {tag}"):
        report = client(url).check(tag, template=template, read_bytes=read_bytes)
    answer(to, report, show.report(report, to), as_json=as_json)
    raise typer.Exit(0 if report.ok else 1)


@app.command()
def unfreeze(
    tag: Tag,
    reason: Annotated[
        str, typer.Option("--reason", "-m", metavar="TEXT", help="Why: the history keeps it.")
    ],
    dry_run: DryRun = False,
    yes: Yes = False,
    user: User = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Open a frozen tag again. Better: clone it, and correct the clone.

    \b
      condstore tag unfreeze 2026-prompt --reason "wrong field map" --dry-run
      condstore tag unfreeze 2026-prompt --reason "wrong field map" --yes

    Asks to type the tag's name. TAG@<fingerprint> goes on answering with what was frozen.
    """
    from condstore.commands.confirm import confirm
    from condstore.commands.refusals import refusal

    to, asked = terminal(), client(url, user=user)
    found = asked.tag(tag).tag
    if found.state != "frozen":
        answer(to, found, [f"{tag} is not frozen but {found.state}"], as_json=as_json)
        raise typer.Exit(0 if found.state == "unlocked" else 1)
    if dry_run:
        refused = refusal(found, "frozen")
        lines = [f"would open {tag} again; as it was, for ever:", f"  {found.reference}"]
        planned = {"would": "unfreeze", "tag": found, "refusal": refused}
        foretold(to, planned, lines, refused, as_json=as_json)
    confirm(to, f"frozen {tag} is about to be opened again", tag, yes=yes)
    _stands(to, asked.unfreeze_tag(tag, reason=reason), as_json=as_json)
