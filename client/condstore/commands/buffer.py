"""`condstore buffer show|files|freeze|flush`: the streaming buffer."""
# ruff: noqa: PLC0415, D301
# as in tags.py

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from condstore.commands.options import (
    AsJson,
    DryRun,
    Url,
    User,
    Yes,
    answer,
    client,
    group,
    settings,
    terminal,
)

if TYPE_CHECKING:
    from condstore.results import Buffer

app = group(
    "buffer",
    """The streaming buffer: show, freeze, flush.

    \b
      condstore buffer show
      condstore buffer freeze
    """,
)


@app.command("show")
def show_buffer(url: Url = None, as_json: AsJson = False) -> None:
    """Say how full the buffer is and whether it takes segments.

    \b
      condstore buffer show
      condstore buffer show --json
    """
    from condstore.show.reading import buffer_state

    to, found = terminal(), client(url).buffer()
    answer(to, found, [buffer_state(found, to)], as_json=as_json)


@app.command()
def files(url: Url = None, as_json: AsJson = False) -> None:
    """List the files that are in the buffer now.

    \b
      condstore buffer files
      condstore buffer files --json
    """
    found = client(url).buffer_files()
    answer(terminal(), found, found, as_json=as_json)


@app.command()
def freeze(
    token: Annotated[
        str, typer.Option(metavar="WORD", help="Kept only as a short hash.")
    ] = "condstore",  # noqa: S107 - the twin asks for one; it opens nothing
    dry_run: DryRun = False,
    yes: Yes = False,
    user: User = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Freeze the buffer once it is full: what it holds becomes a training set.

    \b
      condstore buffer freeze --dry-run
      condstore buffer freeze --yes

    It is full from MAX_SIZE bytes on, a setting of the server; before, it is left as it is and
    the exit status is 1. Asks to type the name of the buffer's tag. Again is harmless.
    """
    from condstore.commands.confirm import confirm
    from condstore.show.reading import buffer_state

    to, asked, known = terminal(), client(url, user=user), settings()
    held = asked.buffer()
    if dry_run:
        would = "is frozen already" if held.frozen else "would be frozen, if it is full enough"
        lines = [buffer_state(held, to), f"the buffer {would}"]
        answer(to, {"would": "freeze", "buffer": held}, lines, as_json=as_json)
        return
    if not held.frozen:
        act = f"the streaming buffer ({_amount(held)}) is about to be frozen"
        confirm(to, act, known.stream_tag, yes=yes)
    done = asked.freeze_buffer(user or known.user, token)
    amount = _amount(asked.buffer())
    said = f"the buffer is frozen: {amount}" if done.frozen else f"{done.answer} ({amount} now)"
    answer(to, done, [said], as_json=as_json)
    raise typer.Exit(0 if done.frozen else 1)


@app.command()
def flush(
    dry_run: DryRun = False,
    yes: Yes = False,
    user: User = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Empty the buffer and open it again; what it held stays as a frozen tag.

    \b
      condstore buffer flush --dry-run
      condstore buffer flush --yes

    Asks to type the name of the buffer's tag.
    """
    from condstore.commands.confirm import confirm

    to, asked, stream_tag = terminal(), client(url, user=user), settings().stream_tag
    held = asked.buffer()
    if dry_run:
        said = f"would archive {_amount(held)} as a frozen tag {stream_tag}-<UTC time>"
        answer(to, {"would": "flush", "buffer": held}, [said], as_json=as_json)
        return
    act = f"the streaming buffer ({_amount(held)}) is about to be emptied"
    confirm(to, act, stream_tag, yes=yes)
    done = asked.flush_buffer()
    kept = asked.period(stream_tag)
    told = {"lsn": done.lsn, "archived": kept or None, "files": held.files, "size": held.size}
    stays = f"; what it held stays as {kept}" if kept and held.files else ""
    said = f"the buffer is empty and takes segments{stays}, ledger at LSN {done.lsn}"
    answer(to, told, [said], as_json=as_json)


def _amount(held: Buffer) -> str:
    from condstore.terminal import plural, size

    return f"{plural(held.files, 'file')}, {size(held.size)}"
