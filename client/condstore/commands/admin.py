"""`condstore admin backup|restore|verify|compact|checkpoint`: what who runs a store does."""
# ruff: noqa: PLC0415, D301
# as in tags.py

from __future__ import annotations

from dataclasses import replace
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from condstore.commands import reading
from condstore.commands.options import (
    AsJson,
    BufferUrl,
    DryRun,
    Url,
    Yes,
    answer,
    client,
    databuffer,
    group,
    terminal,
)
from condstore.errors import UsageError

if TYPE_CHECKING:
    from condstore.compacting import Unreferenced
    from condstore.terminal import Terminal

app = group(
    "admin",
    """Run a store: back up, restore, verify, keep small.

    \b
      condstore admin backup backup
      condstore admin verify backup
    """,
)


@app.command()
def backup(
    directory: Annotated[
        Path, typer.Argument(metavar="DIRECTORY", help="New, empty, or of an earlier backup.")
    ],
    repair: Annotated[
        bool, typer.Option("--repair", help="Fetch again what is damaged or lost in the backup.")
    ] = False,
    url: BufferUrl = None,
    as_json: AsJson = False,
) -> None:
    """Back up a store that runs: all of it, or what is new.

    \b
      condstore admin backup backup
      condstore admin backup backup --json
      condstore admin backup backup --repair

    Into the same directory again it adds what is new, and rewrites nothing old. It is of the moment
    at which it began. Killed, it leaves the backup before; run it again, it goes on. Exit status 1
    if a payload is lost or damaged in the store; all else is backed up then. With --repair
    the whole backup is read too, and what is not as it was is fetched from the store; what cannot
    be had there is named, exit status 1.
    """
    from condstore import backup as backups
    from condstore import show

    to, (base, access) = terminal(), databuffer(url)
    # The backup goes on from the record, so that has to be sound before; the repair looks again.
    remade = backups.remake(base, directory, access=access) if repair else ()
    with to.stages("backing up") as tell:
        done = backups.backup(base, directory, tell=tell, access=access)
    if not repair:
        answer(to, done, show.taken(done, to), as_json=as_json)
        raise typer.Exit(1 if done.record.missing else 0)
    with to.stages("repairing") as tell:
        mended = backups.repair(base, directory, tell=tell, access=access)
    mended = replace(mended, remade=(*remade, *mended.remade))
    lines = [*show.taken(done, to), *show.repaired(mended, to)]
    answer(to, {"taken": done, "repaired": mended}, lines, as_json=as_json)
    raise typer.Exit(1 if done.record.missing or mended.problems else 0)


@app.command()
def restore(
    backup: Annotated[Path, typer.Argument(metavar="BACKUP", help="The directory of a backup.")],
    volume: Annotated[
        Path, typer.Argument(metavar="VOLUME", help="A directory, empty or new: VOLUME_ROOT.")
    ],
    lsn: Annotated[int | None, typer.Option("--lsn", metavar="N", help="Up to this entry.")] = None,
    time: Annotated[
        str | None,
        typer.Option("--time", metavar="TIME", help="Up to this time, as 2026-11-20T23:17:00Z."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Where blobs/ goes, if elsewhere: DTVOLROOT."),
    ] = None,
    leave_damaged: Annotated[
        bool, typer.Option("--leave-damaged", help="Restore all else, and name it; exit status 1.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a volume of a backup, without a server.

    \b
      condstore admin restore backup restored
      condstore admin restore backup as-it-was --lsn 100
      condstore admin restore backup volume --data data --time $(cat noon)

    With --time the last entry at or before it is the last. Every byte is verified on its way. The
    ledger gets a new id, by which replicas and caches know that it is another. What to do then is
    printed: tokens that were revoked since are good again. With --leave-damaged payloads that are
    damaged are left out and named, as is a part of the ledger that lies after --lsn.
    """
    from condstore import show
    from condstore.backup import Until
    from condstore.backup import restore as make

    to, until = terminal(), Until.parse(lsn, time)
    with to.stages("restoring") as tell:
        done = make(backup, volume, data=data, until=until, leave_damaged=leave_damaged, tell=tell)
    answer(to, done, show.restored(done, to), as_json=as_json)
    raise typer.Exit(1 if done.left_out else 0)


@app.command()
def verify(
    backup: Annotated[
        Path | None,
        typer.Argument(metavar="[BACKUP]", help="The directory of a backup; without: the store."),
    ] = None,
    payloads: Annotated[
        bool, typer.Option("--payloads", help="Hash the payloads of the store too.")
    ] = False,
    url: BufferUrl = None,
    as_json: AsJson = False,
) -> None:
    """Read every byte of a backup, or check the store.

    \b
      condstore admin verify backup
      condstore admin verify
      condstore admin verify --payloads --json

    A backup needs no server for it. Without one this is `condstore verify`. Exit status 1 and one
    line a problem if something is wrong.
    """
    from condstore import show
    from condstore.backup import verify as check

    if backup is None:
        reading.verify(payloads=payloads, url=url, as_json=as_json)
        return
    if payloads or url:
        raise UsageError("a backup is verified whole and without a server: no --url, no --payloads")
    to = terminal()
    with to.stages("verifying") as tell:
        found = check(backup, tell=tell)
    answer(to, found, show.checked(found, to), as_json=as_json)
    raise typer.Exit(1 if found.problems else 0)


@app.command()
def compact(
    remove: Annotated[
        bool,
        typer.Option("--remove-unreferenced", help="Remove unreferenced payloads."),
    ] = False,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="TIME", help="Unreferenced for so long: 12h, 7d.")
    ] = "7d",
    dry_run: DryRun = False,
    yes: Yes = False,
    url: BufferUrl = None,
    as_json: AsJson = False,
) -> None:
    """Compress the ledger; find unreferenced payloads.

    \b
      condstore admin compact --dry-run
      condstore admin compact
      condstore admin compact --remove-unreferenced --older-than 30d --yes

    A payload is unreferenced if its digest stands nowhere in the ledger nor in a document: an
    upload whose entry never came, a superseded checkpoint. Such ones are removed if asked for,
    after a question. Servers run on.
    """
    from condstore import compacting, show
    from condstore.commands.confirm import confirm
    from condstore.commands.secrets import duration

    to, (base, access) = terminal(), databuffer(url)
    age = int(duration(older_than).total_seconds())
    lines, compressed = [], None
    if not dry_run:
        with to.waiting("compressing the ledger"):
            compressed = compacting.compress(base, access)
        lines.append(show.compressed(compressed))
    with to.waiting("looking for unreferenced payloads"):
        found = compacting.unreferenced(base, access, age, remove=False)
    if remove and found.unreferenced and not dry_run:
        act = f"{show.unreferenced(found, older_than)}: they are about to be removed, for good"
        confirm(to, act, "remove", yes=yes, to_know=lambda: found.sample)
        with to.waiting("removing them"):
            found = compacting.unreferenced(base, access, age, remove=True)
    lines += _about(found, older_than, to, wanted=remove)
    answer(to, {"compressed": compressed, "payloads": found}, lines, as_json=as_json)


def _about(found: Unreferenced, age: str, to: Terminal, *, wanted: bool) -> list[str]:
    from condstore import show
    from condstore.terminal import plural, size

    if found.removed:
        return [f"{plural(found.removed, 'payload')} ({size(found.removed_bytes)}) removed"]
    said = [show.unreferenced(found, age)]
    if found.unreferenced and not wanted:
        said += [
            f"to remove them: condstore admin compact --remove-unreferenced --older-than {age}"
        ]
    return said


@app.command()
def checkpoint(url: Url = None, as_json: AsJson = False) -> None:
    """Keep a replica's view, for new replicas to start from.

    \b
      condstore admin checkpoint
      condstore admin checkpoint --json

    The view goes into the store as a payload. A replica without one takes it and reads only what
    came since, in place of the whole ledger. Takes an admin of every tag.
    """
    from condstore import show

    to = terminal()
    with to.waiting("making a checkpoint"):
        made = client(url).make_checkpoint()
    answer(to, made, [show.checkpointed(made)], as_json=as_json)
