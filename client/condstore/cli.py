"""The `condstore` command put together, and what its failures mean for a script.

Exit status: 0 done; 1 refused or failed; 2 used wrongly; 3 no server answers; 4 another person
must confirm it; 130 interrupted. An expected failure is one line on standard error. The library is
imported inside the commands, so that `--help` is quick.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from condstore.commands import (
    admin,
    buffer,
    iovs,
    payloads,
    reading,
    review,
    serving,
    standing,
    streams,
    tags,
    tokens,
    types,
)
from condstore.commands.options import terminal
from condstore.errors import CondstoreError
from condstore.terminal import warned

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Stream payloads into a conditions datastore, freeze, and ask what holds at a moment.

\b
  condstore up                          start both servers here
  condstore stream L1.hdf5              stream strain, in 300-sample segments
  condstore buffer freeze               freeze the buffer: now a training set
  condstore resolve stream 968654552.5  which payloads hold at this second?
  condstore get stream 968654552.5 --type L1:LDAS-STRAIN

\b
Servers:      CONDSTORE_URL (default http://localhost:5000; several separated
              by commas); the databuffer, for verify and admin: DB_BURL
              (default http://localhost:8080/)
Who asks:     CONDSTORE_TOKEN, or CONDSTORE_TOKEN_FILE
Exit status:  0 done, 1 refused or failed, 2 used wrongly, 3 server away,
              4 waits for another person, 130 interrupted
""",
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - nobody else pays for it

        typer.echo(f"condstore {version('condstore')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Take what belongs to no command."""


app.command()(serving.up)
app.command()(reading.status)
app.command()(streams.stream)
app.command()(reading.resolve)
app.command()(payloads.get)
app.command()(payloads.put)
app.command()(payloads.pull)
app.command()(reading.verify)
app.command()(reading.doctor)
app.command()(serving.demo)
app.command()(tokens.whoami)
for _group in (tags.app, types.app, iovs.app, buffer.app, tokens.app, admin.app):
    app.add_typer(_group)

TAG_COMMANDS = (standing, review)
"""Modules that add commands to `condstore tag` when they are imported."""


def main() -> None:
    """Run the command; say an expected failure, or a warning, in one line."""
    with warned(lambda line: terminal().complain(f"condstore: {line}")):
        _run()


def _run() -> None:
    try:
        app()
    except CondstoreError as error:
        terminal().complain(f"condstore: {error}")
        sys.exit(error.exit_code)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        terminal().complain(f"condstore: {where}{error.strerror or error}")
        sys.exit(1)
