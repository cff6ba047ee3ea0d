"""`condstore token create|list|revoke`, `condstore whoami`: who may do what."""
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
    Url,
    Yes,
    answer,
    client,
    group,
    terminal,
)

if TYPE_CHECKING:
    from datetime import timedelta

    from condstore.client import Client
    from condstore.results import ApiToken, Grant, NewToken
    from condstore.terminal import Terminal

app = group(
    "token",
    """API tokens: make, list, revoke.

    \b
      condstore token create nightly --grant 'editor:2026-.*' -o nightly.token
      condstore token list
    """,
)


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who acts by it, in every history.")],
    grants: Annotated[
        list[str],
        typer.Option(
            "--grant",
            "-g",
            metavar="ROLE:TAGS",
            help="A role on the tags whose whole name the pattern TAGS matches; may be repeated.",
        ),
    ],
    expires: Annotated[
        str | None,
        typer.Option(
            "--expires", metavar="TIME", help="For how long: 12h, 30d (default: 90 days)."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write it here, for your eyes only."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace FILE, in one step: jobs read on.")
    ] = False,
    dry_run: DryRun = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Make an API token. Its secret is shown this once.

    \b
      condstore token create nightly --grant 'editor:2026-.*' -o nightly.token
      condstore token create bob -g 'reader:.*' --expires 7d > bob.token
      condstore token create bob -g 'reader:.*' --dry-run

    Roles: reader, producer, editor, admin; each may do what those before it may. TAGS is a regular
    expression (RE2), '.*' is every tag. The token alone goes to standard output, or into FILE,
    which only you may read; all else goes to standard error. Who uses it sets CONDSTORE_TOKEN_FILE.
    """
    from condstore import show
    from condstore.commands.secrets import (
        duration,
        hint,
        keep,
        refuse_if_there,
        refuse_unless_writable,
    )
    from condstore.results import Grant

    to, asked, may = terminal(), client(url), tuple(map(Grant.parse, grants))
    lifetime = duration(expires) if expires else None
    if output is not None and not force:
        refuse_if_there(output)
    if output is not None:
        refuse_unless_writable(output)
    for said in filter(None, (hint(one.tags) for one in may)):
        to.complain(said)
    if dry_run:
        _would_make(to, name, may, lifetime, as_json=as_json)
        return
    made = asked.make_token(name, may, lifetime)
    if output is not None:
        keep(made.token, output)
    for line in show.made(made, output):
        to.complain(line)
    _hand_over(to, made, written=output is not None, as_json=as_json)


def _would_make(
    to: Terminal, name: str, may: tuple[Grant, ...], lifetime: timedelta | None, *, as_json: bool
) -> None:
    seconds = None if lifetime is None else int(lifetime.total_seconds())
    planned = {"would": "make", "name": name, "grants": may, "expires_in": seconds}
    said = f"would make a token {name}: {', '.join(map(str, may))}"
    answer(to, planned, [said], as_json=as_json)


def _hand_over(to: Terminal, made: NewToken, *, written: bool, as_json: bool) -> None:
    """Print the token alone, or with what is known of it; what lies in a file is not shown too."""
    from condstore import show

    if as_json:
        to.say(show.as_json(show.made_wire(made, secret=not written)))
    elif not written:
        to.say(made.token)


@app.command("list")
def list_tokens(
    every: Annotated[
        bool, typer.Option("--all", "-a", help="Those that were revoked or have expired, too.")
    ] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List the API tokens: whose, what they may, until when, when last used.

    \b
      condstore token list
      condstore token list --all --json
    """
    from condstore import show

    found = client(url).tokens()
    if not every:
        found = tuple(one for one in found if one.revoked is None and not one.expired)
    answer(terminal(), found, show.token_table(found), as_json=as_json)


@app.command()
def revoke(
    token: Annotated[
        str,
        typer.Argument(metavar="ID|NAME", help="Which token.", autocompletion=completing.tokens),
    ],
    dry_run: DryRun = False,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Take a token back: within a second no server takes it any more.

    \b
      condstore token revoke nightly --dry-run
      condstore token revoke nightly --yes

    Asks to type it again. What was done with it stays in every history.
    """
    from condstore.commands.confirm import confirm

    to, asked = terminal(), client(url)
    found = _the_one(asked, token)
    about = f"token {found.id} ({found.name}: {', '.join(map(str, found.grants))})"
    if dry_run:
        answer(to, {"would": "revoke", "token": found}, [f"would revoke {about}"], as_json=as_json)
        return
    confirm(to, f"{about} is about to be revoked", token, yes=yes)
    lsn = asked.revoke_token(found.id)
    told = {"id": found.id, "name": found.name, "revoked": True, "lsn": lsn}
    answer(to, told, [f"{about} is revoked, ledger at LSN {lsn}"], as_json=as_json)


def _the_one(asked: Client, token: str) -> ApiToken:
    """Return the token of an id, or the only one of a name that is not revoked."""
    from condstore.errors import NotFound, UsageError

    known = asked.tokens()
    found = [one for one in known if one.id == token] or [
        one for one in known if one.name == token and one.revoked is None
    ]
    if len(found) > 1:
        ids = ", ".join(one.id for one in found)
        raise UsageError(f"{len(found)} tokens are called {token}: say which by its id ({ids})")
    if not found:
        raise NotFound(f"there is no token {token}", status=404, code="token_not_found")
    return found[0]


def whoami(url: Url = None, as_json: AsJson = False) -> None:
    """Say who the servers take you for, and what you may do.

    \b
      condstore whoami
      condstore whoami --json

    Exit status 1 if they do not take the token.
    """
    from condstore import show

    to, asked = terminal(), client(url)
    found = asked.whoami()
    answer(to, found, show.whoami(found, to), as_json=as_json)
