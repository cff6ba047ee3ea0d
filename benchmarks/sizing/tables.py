"""The tables of docs/operations.md: a row a size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.report import Table, mebibytes, number, seconds
from benchmarks.sizing.measuring import AFTER, IDLE, LOADING, RESOLVING, SLICING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.sizing.measuring import Blobs, Sized

PHASES = (IDLE, LOADING, SLICING, RESOLVING, AFTER)
_NONE = ""


def tables(found: Sequence[Sized], blobs: Blobs) -> Iterator[Table]:
    """Yield disk, starts, and memory with cores."""
    yield _disk(found, blobs)
    yield _starts(found)
    yield _memory(found)


def _disk(found: Sequence[Sized], blobs: Blobs) -> Table:
    columns = ("IOVs", "ledger MiB", "compressed", "view", "slices", "checkpoint", "bytes an IOV")
    rows = tuple(
        (
            number(one.shape.total),
            mebibytes(one.ledger),
            _mebibytes(one.compressed),
            *(mebibytes(one.view), mebibytes(one.slices), _mebibytes(one.checkpoint)),
            _each(one),
        )
        for one in found
    )
    notes = (
        "compressed: after `POST /ledger/compress`, which leaves the open segment as it is.",
        "bytes an IOV: ledger, view and slices.",
        f"A blob of 4 KiB takes {number(blobs.each)} bytes and an inode.",
        f"Folders of {number(blobs.count)} blobs: {mebibytes(blobs.folders)} MiB, never above 257.",
    )
    return Table("Disk", columns, rows, notes)


def _starts(found: Sequence[Sized]) -> Table:
    kinds = list(dict.fromkeys(kind for one in found for kind in one.starts))
    rows = tuple(
        (number(one.shape.total), *(_seconds(one.starts.get(kind)) for kind in kinds))
        for one in found
    )
    return Table("Seconds from the command until `/readyz` says yes", ("IOVs", *kinds), rows)


def _memory(found: Sequence[Sized]) -> Table:
    columns = (
        *("IOVs", "phase", "per second", "databuffer MiB", "highest", "cores"),
        *("logic MiB", "highest", "cores", "RSS of each"),
    )
    rows = tuple(_phase(one, phase) for one in found for phase in PHASES)
    notes = (
        "MiB: what a tier's processes take together, shared pages counted once (PSS).",
        "The logic tier has two workers; while slices are made, also the process that makes them.",
        "RSS of each: of its processes at the end of the phase; mapped slices count in every one.",
    )
    return Table("Memory and cores", columns, rows, notes)


def _phase(one: Sized, phase: str) -> tuple[str, ...]:
    buffer, logic = (one.taken[phase, tier] for tier in ("databuffer", "logic"))
    rate = one.rates.get(phase)
    return (
        *(number(one.shape.total), phase, _NONE if rate is None else number(rate)),
        *(mebibytes(buffer.shared_out), mebibytes(buffer.highest), f"{buffer.cores:.2f}"),
        *(mebibytes(logic.shared_out), mebibytes(logic.highest), f"{logic.cores:.2f}"),
        ", ".join(map(mebibytes, logic.resident)),
    )


def _each(one: Sized) -> str:
    return number((one.ledger + one.view + one.slices) / one.shape.total)


def _mebibytes(count: int | None) -> str:
    return _NONE if count is None else mebibytes(count)


def _seconds(value: float | None) -> str:
    return _NONE if value is None else seconds(value)
