"""What was backed up, restored, verified, compressed and removed, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from condstore.terminal import plural, size

if TYPE_CHECKING:
    from condstore.backup import Checked, Repaired, Restored, Taken
    from condstore.compacting import Compressed, Unreferenced
    from condstore.results import Checkpoint
    from condstore.terminal import Terminal

_MOST = 20


def taken(done: Taken, to: Terminal) -> list[str]:
    """Say what a backup holds, what this run brought, and what the store does not have."""
    record = done.record
    new = f"{entries(done.entries)} and {plural(done.blobs, 'payload')} ({size(done.size)}) are new"
    lines = [
        (
            f"{done.directory} holds ledger {record.ledger[:8]} up to LSN {record.lsn}: "
            f"{plural(record.blobs, 'payload')} ({size(record.size)})"
        ),
        new if done.entries or done.blobs else "nothing new since the last backup",
    ]
    if not record.missing:
        return lines
    lost = [f"payload sha256:{name} is lost or damaged in the store" for name in record.missing]
    count = plural(len(record.missing), "payload")
    last = f"{count} could not be backed up, everything else is; the next backup tries again"
    return [*lines, *map(to.bad, cut(lost)), to.bad(last)]


def repaired(done: Repaired, to: Terminal) -> list[str]:
    """Say what of a backup was fetched again, and what could not be."""
    found = [
        *done.remade,
        *([plural(done.segments, "ledger segment")] if done.segments else []),
        *([f"{plural(done.payloads, 'payload')} ({size(done.size)})"] if done.payloads else []),
        *([f"{done.copies} of ledger.json and state/"] if done.copies else []),
    ]
    if not found and not done.problems:
        return [to.good("all of it was read: nothing is damaged")]
    lines = [f"repaired: {', '.join(found) or 'nothing'}"]
    if not done.problems:
        return lines
    count = f"{plural(len(done.problems), 'problem')} left: the store has it no more"
    return [*lines, *map(to.bad, cut(list(done.problems))), to.bad(count)]


def restored(done: Restored, to: Terminal) -> list[str]:
    """Say what a volume holds, and in which order to go on."""
    lines = [
        (
            f"{done.volume} holds the ledger up to LSN {done.lsn} ({done.time or 'no entry'}): "
            f"{plural(done.payloads, 'payload')} ({size(done.size)})"
        ),
        f"  its id is new, {done.ledger[:8]} (it was {done.was[:8]})",
    ]
    if done.dropped:
        lines.append(f"  {entries(done.dropped)} of the backup left out, which came later")
    if done.missing:
        lines.append(to.bad(f"  {plural(len(done.missing), 'payload')} the store had lost before"))
    return [*lines, "next, in this order:", *_steps(done), *map(to.bad, _left_out(done))]


def _left_out(done: Restored) -> list[str]:
    """Say what is not in a volume because it was damaged, and what to do."""
    if not done.left_out:
        return []
    return [
        f"{len(done.left_out)} damaged left out, all else is restored:",
        *(f"  {one}" for one in cut(list(done.left_out))),
        "put each payload again, of whoever has its bytes: condstore put FILE; until then who asks",
        "for it is answered that it is lost, and condstore verify names it",
    ]


def _steps(done: Restored) -> list[str]:
    revoke = "revoke again what was revoked since: condstore token list; condstore token revoke ID"
    tokens = [f"     condstore token revoke {token}" for token in done.revoked[:_MOST]]
    return [
        "  1. stop the logic tier, or close its door: revoked API tokens would be good again",
        "  2. start the databuffer on it; it makes adm/, log/ and data/ anew",
        "  3. start the logic tier where only you reach it: its replicas see the new id and build",
        "     their views anew",
        f"  4. {revoke}",
        *tokens,
        "  5. condstore verify --payloads; then let others in",
        "  6. back up into another directory from now on: this id is another ledger",
    ]


def checked(done: Checked, to: Terminal) -> list[str]:
    """Say what was read of a backup, and what is wrong with it."""
    record = done.record
    lines = [
        (
            f"{done.directory}: ledger {record.ledger[:8]} up to LSN {record.lsn} "
            f"({record.last or 'no entry'}), {plural(done.payloads, 'payload')}, all hashed"
        )
    ]
    if done.unfinished:
        lines.append("a later backup into it was not finished: run it again, it goes on")
    lines += map(to.bad, cut(list(done.problems)))
    if not done.problems:
        return [*lines, to.good("nothing wrong")]
    mend = f"to fetch it again, while the store is well: condstore admin backup {done.directory}"
    return [*lines, to.bad(plural(len(done.problems), "problem")), f"{mend} --repair"]


def cut(lines: list[str]) -> list[str]:
    """Return the first lines of many, and how many more there are."""
    more = len(lines) - _MOST
    return [*lines[:_MOST], f"… and {more} more (--json lists all)"] if more > 0 else lines


def entries(count: int) -> str:
    """Write a number of ledger entries."""
    return f"{count:,} {'entry' if count == 1 else 'entries'}".replace(",", " ")


def compressed(done: Compressed) -> str:
    """Say what compressing sealed segments gained."""
    if not done.segments:
        return "every sealed segment is compressed already"
    smaller = f"{size(done.bytes_before)} became {size(done.bytes_after)}"
    return f"{plural(done.segments, 'segment')} compressed: {smaller}"


def unreferenced(found: Unreferenced, age: str) -> str:
    """Say how many payloads nothing names."""
    young = f"; {found.younger} more for a shorter time" if found.younger else ""
    if not found.unreferenced:
        return f"no payload has been unreferenced for {age}{young}"
    amount = f"{plural(found.unreferenced, 'payload')} ({size(found.bytes)})"
    return f"{amount} unreferenced for {age} or longer{young}"


def checkpointed(made: Checkpoint) -> str:
    """Say what a new replica starts from."""
    packed = f"{size(made.unpacked)}, packed {size(made.size)}"
    return f"new replicas begin with the view of LSN {made.lsn} ({packed})"
