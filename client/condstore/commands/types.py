"""`condstore type list|create|delete`: the kinds of payload there are."""
# ruff: noqa: PLC0415, D301
# as in tags.py

from __future__ import annotations

from typing import Annotated

import typer

from condstore.commands.options import (
    AsJson,
    DryRun,
    TypeArgument,
    Url,
    User,
    Yes,
    answer,
    client,
    group,
    terminal,
)

app = group(
    "type",
    """Payload types: list, make, delete.

    \b
      condstore type list
      condstore type create Beam
    """,
)


@app.command("list")
def list_types(
    search: Annotated[
        str, typer.Option("--search", metavar="TEXT", help="A part of the name.")
    ] = "",
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List the payload types, in tags or not.

    \b
      condstore type list
      condstore type list --search STRAIN --json
    """
    from condstore.terminal import table

    found = client(url).payload_types(search=search)
    rows = [(kind.name, kind.created[:19].replace("T", " ")) for kind in found]
    none = "no payload type is like that" if search else "no payload types yet"
    hint = "" if search else ": condstore type create NAME"
    lines = table(("type", "created (UTC)"), rows) if rows else [none + hint]
    answer(terminal(), found, lines, as_json=as_json)


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="TYPE", help="The new payload type.")],
    dry_run: DryRun = False,
    user: User = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Make a payload type; one that exists already is left as it is.

    \b
      condstore type create Beam
      condstore type create Beam --dry-run

    The first insert of a new type makes it too: this is for who wants it to be there before.
    """
    to, asked = terminal(), client(url, user=user)
    if dry_run:
        there = name in {kind.name for kind in asked.payload_types(search=name)}
        said = f"{name} exists already" if there else f"would create payload type {name}"
        answer(to, {"would": "create", "type": name, "exists": there}, [said], as_json=as_json)
        return
    made = asked.create_type(name)
    answer(to, made, [f"payload type {made.name} is there"], as_json=as_json)


@app.command()
def delete(
    name: TypeArgument,
    dry_run: DryRun = False,
    yes: Yes = False,
    user: User = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Delete a payload type that no payload list is of.

    \b
      condstore type delete Scratch --dry-run
      condstore type delete Scratch --yes

    Asks to type the name.
    """
    from condstore.commands.confirm import confirm
    from condstore.errors import NotFound

    to, asked = terminal(), client(url, user=user)
    if name not in {kind.name for kind in asked.payload_types(search=name)}:
        raise NotFound(f"there is no payload type {name}", status=404, code="type_not_found")
    if dry_run:
        said = f"would delete payload type {name}, unless a payload list is of it"
        answer(to, {"would": "delete", "type": name}, [said], as_json=as_json)
        return
    confirm(to, f"payload type {name} is about to be deleted", name, yes=yes)
    lsn = asked.delete_type(name)
    said = f"payload type {name} is deleted, ledger at LSN {lsn}"
    answer(to, {"type": name, "deleted": True, "lsn": lsn}, [said], as_json=as_json)
