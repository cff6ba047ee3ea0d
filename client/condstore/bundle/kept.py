"""A bundle that is there: what it is, whether it is what is wanted, and whether it is sound."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from condstore.bundle import about as told
from condstore.bundle import beside
from condstore.bundle.about import PROVEN, About
from condstore.bundle.file import check_whole, damaged, opened, told_digest
from condstore.bundle.fingerprint import (
    TimelineFingerprint,
    tag_fingerprint,
    timeline_fingerprint,
)
from condstore.bundle.rows import Chain, Rows
from condstore.bundle.streamed import Held
from condstore.bundle.told import Pulled
from condstore.digests import Digest
from condstore.errors import UsageError

if TYPE_CHECKING:
    from condstore.moments import Moment

_SEGMENTS = (
    "SELECT start_major, start_minor, end_major, end_minor, name, checksum, digest FROM segment"
    " WHERE list = ?"
)
_ELSEWHERE = "SELECT DISTINCT digest FROM iov WHERE digest IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Described:
    """What a bundle says of itself.

    `begin` and `end` are its range, `end` None: open. `payloads` is "inside", "beside" or "none";
    `payload_count` and `payload_bytes` are of those inside. `proof` as in `Pulled`.
    """

    path: Path
    reference: str
    begin: Moment
    end: Moment | None
    payload_types: tuple[str, ...]
    whole: bool
    proof: str
    payload_iovs: int
    payloads: str
    payload_count: int
    payload_bytes: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found sound: every byte of the file, `rows`, `payloads`.

    `recomputed` says whether the tag's fingerprint was computed anew from the rows that are there.
    """

    described: Described
    rows: int
    payloads: int
    recomputed: bool


def describe(path: Path | str) -> Described:
    """Return what a bundle says of itself, without reading all of it."""
    path = Path(path)
    with opened(path) as connection:
        about = told.read(path, connection)
        count, size = connection.execute("SELECT count(*), sum(size) FROM payload").fetchone()
        query = "SELECT value FROM about WHERE name = 'payload_iovs'"
        (iovs,) = connection.execute(query).fetchone()
    return Described(
        path=path,
        reference=about.reference,
        begin=about.begin,
        end=about.end,
        payload_types=about.pulled,
        whole=about.whole,
        proof=about.proof,
        payload_iovs=int(iovs),
        payloads=about.payloads,
        payload_count=count,
        payload_bytes=size or 0,
        size=path.stat().st_size,
        sha256=told_digest(path),
    )


def verify(path: Path | str, *, payloads: Path | str | None = None) -> Verified:
    """Read all of a bundle; with `payloads` also the directory in which its payloads are.

    Raises:
        DamagedBundle: something is not what was written, or the rows do not give the fingerprint.
        UsageError: there is no such file, or it is no bundle.
    """
    path = Path(path)
    check_whole(path, told_digest(path))
    described = describe(path)
    with closing(Rows(path, small=0)) as rows:
        about = told.read(path, rows.connection)
        count, timelines = _check_rows(rows, about)
        recomputed = about.whole and about.proof == PROVEN
        if recomputed and tag_fingerprint(timelines) != about.content.tag.fingerprint:
            raise damaged(path, f"its rows do not give the fingerprint of {about.reference}")
        checked = _check_payloads(rows, about, None if payloads is None else Path(payloads))
    return Verified(described, count, checked, recomputed)


def refuse_another(path: Path, about: About) -> None:
    """Raise unless the bundle at `path` is sound and what is wanted, or proven better."""
    check_whole(path, told_digest(path))
    with opened(path, small=0) as connection:
        there = told.read(path, connection)
    if there not in {about, about.proven(PROVEN)}:
        raise UsageError(
            f"{path} is another bundle: {there}; choose another name, or replace it "
            "(--force, force=True)"
        )


def pulled(path: Path, *, new: bool) -> Pulled:
    """Return what a pull answers with."""
    found = describe(path)
    return Pulled(
        path=path,
        reference=found.reference,
        proof=found.proof,
        payload_iovs=found.payload_iovs,
        payloads=found.payload_count,
        payload_bytes=found.payload_bytes,
        size=found.size,
        new=new,
    )


def _check_rows(rows: Rows, about: About) -> tuple[int, dict[str, str]]:
    """Check every row, and return how many there are and the fingerprint of each timeline.

    They are read as they lie, once: a list's rows are all over the file.
    """
    lists = enumerate(about.content.payload_lists, 1)
    kinds = {at: held.payload_type for at, held in lists if held.payload_type in about.pulled}
    chains = {number: Chain(rows.path) for number in kinds}
    totals = {number: TimelineFingerprint() for number in kinds}
    segments = {number: rows.query(_SEGMENTS, (number,)) for number in kinds}
    streamed = {number: Held(some) for number, some in segments.items() if some}
    count = 0
    for row in rows.everything():
        _, number, *bounds, _, _, name, checksum, digest, _, _, _, _ = row
        if number not in chains:
            raise damaged(rows.path, "it has rows of a list that it does not know")
        if chains[number].goes_on_with(row) and name is not None:
            major, minor, end_major, end_minor = bounds
            exact = (major, minor, end_major, end_minor, name, checksum, digest)
            if number in streamed and not streamed[number].belongs(exact):
                raise damaged(rows.path, f"it answers with {name} where no segment of that is")
            totals[number].add(exact)
            count += 1
    timelines = {}
    for number, kind in kinds.items():
        chains[number].end_at(about.end)
        if about.whole and number in streamed and not streamed[number].all_answered():
            raise damaged(rows.path, f"a segment of {kind} is nowhere answered")
        some = segments[number]
        timelines[kind] = timeline_fingerprint(some) if some else totals[number].hexdigest()
    return count, timelines


def _check_payloads(rows: Rows, about: About, directory: Path | None) -> int:
    """Check every payload that is inside or in the directory, and return how many."""
    if directory is None and about.payloads != "inside":
        return 0
    named = [Digest.parse(digest) for (digest,) in rows.query(_ELSEWHERE)]
    for digest in named:
        if directory is None:
            for _ in rows.payload(digest):
                pass
        elif not beside.is_there(directory, digest):
            raise damaged(beside.place(directory, digest), "not there, or not what was pulled")
    return len(named)
