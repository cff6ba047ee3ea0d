"""The `condstore` command put together, and what its failures mean for a script.

Exit status: 0 done; 1 refused or failed; 2 used wrongly; 3 no server answers; 130 interrupted.
An expected failure is one line on standard error. The library is imported inside the commands, so
that `--help` is quick.
"""

from __future__ import annotations

import sys

import typer

from condstore.commands import (
    buffer,
    iovs,
    payloads,
    reading,
    review,
    serving,
    standing,
    streams,
    tags,
    types,
)
from condstore.commands.options import terminal
from condstore.errors import CondstoreError

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
              by commas); verify: DB_BURL (default http://localhost:8080/)
Exit status:  0 done, 1 refused or failed, 2 used wrongly, 3 server away,
              130 interrupted
""",
)

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
for _group in (tags.app, types.app, iovs.app, buffer.app):
    app.add_typer(_group)

TAG_COMMANDS = (standing, review)
"""Modules that add commands to `condstore tag` when they are imported."""


def main() -> None:
    """Run the command; say an expected failure in one line."""
    try:
        app()
    except CondstoreError as error:
        terminal().complain(f"condstore: {error}")
        sys.exit(error.exit_code)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        terminal().complain(f"condstore: {where}{error.strerror or error}")
        sys.exit(1)
