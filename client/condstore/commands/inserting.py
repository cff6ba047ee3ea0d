"""What `condstore iov insert` does: gather the entries, foresee what they change, insert them."""

from __future__ import annotations

import dataclasses
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from condstore import rows
from condstore.commands import dry_run
from condstore.digests import Digest
from condstore.errors import Malformed, NotFound, UsageError
from condstore.landing import digest_of
from condstore.moments import LIMIT, Moment
from condstore.results import NewIOV, TagStanding
from condstore.rows import Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from condstore.client import Client
    from condstore.commands.dry_run import Plan
    from condstore.results import Inserted, PayloadIOV
    from condstore.terminal import Terminal

_AT_ONCE = 8
_NUMBERED = re.compile(r"iovs\[(\d+)\]\.?")


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What an insert would come to; `lacking`: payloads, `new_types`: types the store has not."""

    tag: TagStanding
    plans: tuple[Plan, ...]
    lacking: frozenset[str]
    new_types: tuple[str, ...]

    @property
    def refused(self) -> bool:
        """Whether the server would refuse it."""
        return bool(self.lacking) or any(plan.refusal for plan in self.plans)


def one(
    payload_type: str | None,
    start: str | None,
    end: str | None,
    file: Path | None,
    digest: str | None,
    name: str | None,
    checksum: str | None,
) -> tuple[Entry, ...]:
    """Return the entry that the command line wrote."""
    if payload_type is None or start is None:
        raise UsageError("give TYPE and START of one payload IOV, or --from for many")
    if not (file or digest or name):
        raise UsageError("which payload? --file FILE stores one, --digest names one of the store")
    iov = NewIOV(
        payload_type=payload_type,
        start=Moment.parse(start),
        end=Moment.parse(end) if end else None,
        name=name,
        digest=Digest.parse(digest) if digest else None,
        checksum=checksum,
    )
    return (rows.checked(Entry(iov, file)),)


def many(source: Path, payload_type: str | None) -> tuple[Entry, ...]:
    """Return the entries in a file, or of standard input for `-`."""
    if source == Path("-"):
        return rows.read(sys.stdin.read(), "standard input", Path(), payload_type)
    return rows.read_file(source, payload_type)


def insert(client: Client, tag: str, entries: Sequence[Entry], to: Terminal) -> Inserted:
    """Store the payloads that are files, then insert all in one act."""
    digests = _stored(client, [entry.file for entry in entries if entry.file], to)
    iovs = [_of_stored(entry, digests.get(entry.file) if entry.file else None) for entry in entries]
    try:
        return client.insert_iovs(tag, iovs)
    except Malformed as error:
        raise _located(error, entries) from error


def _stored(client: Client, files: Sequence[Path], to: Terminal) -> dict[Path, str]:
    """Store the files, some at once, and return their digests."""
    each = list(dict.fromkeys(files))
    if not each:
        return {}
    digests: dict[Path, str] = {}
    with (
        to.progress("payloads", len(each), "stored") as advance,
        ThreadPoolExecutor(_AT_ONCE) as at,
    ):
        for file, blob in zip(each, at.map(client.put_payload, each), strict=True):
            digests[file] = blob.digest
            advance(1)
    return digests


def _of_stored(entry: Entry, digest: str | None) -> NewIOV:
    if digest is None or entry.file is None:
        return entry.iov
    size = entry.file.stat().st_size
    name = entry.iov.name or entry.file.name
    return dataclasses.replace(entry.iov, digest=digest, name=name, size=entry.iov.size or size)


def _located(error: Malformed, entries: Sequence[Entry]) -> Malformed:
    """Name the row as the user wrote it, not as it was sent."""
    found = _NUMBERED.match(error.detail)
    if found is None or int(found[1]) >= len(entries) or not entries[int(found[1])].where:
        return error
    detail = f"{entries[int(found[1])].where}: {error.detail[found.end() :]}"
    return Malformed(detail, status=error.status, code=error.code)


def foresee(client: Client, tag: str, entries: Sequence[Entry]) -> Foreseen:
    """Return what inserting would change; nothing is stored, nothing changed."""
    found = client.tag(tag).tag
    ref = f"{found.name}@{found.lsn}" if "@" not in tag else tag
    wanted = [_of_stored(entry, digest_of(entry.file) if entry.file else None) for entry in entries]
    by_type: dict[str, list[NewIOV]] = {}
    for iov in wanted:
        by_type.setdefault(iov.payload_type, []).append(iov)
    state = "streamed" if found.streamed else found.state
    plans = [_plan(client, ref, kind, iovs, state) for kind, iovs in by_type.items()]
    named = {iov.digest for iov, entry in zip(wanted, entries, strict=True) if not entry.file}
    lacking = client.lacks(digest for digest in named if digest)
    standing = TagStanding(found.name, found.state, found.fingerprint, found.lsn)
    return Foreseen(standing, tuple(plans), frozenset(lacking), new_types(client, entries))


def new_types(client: Client, entries: Sequence[Entry]) -> tuple[str, ...]:
    """Return the payload types that the store does not have yet: mistyped ones are among them."""
    known = {one.name for one in client.payload_types()}
    return tuple(sorted({entry.iov.payload_type for entry in entries} - known))


def _plan(client: Client, ref: str, kind: str, wanted: Sequence[NewIOV], state: str) -> Plan:
    try:
        before, stored = _around(client, ref, kind, wanted)
    except NotFound:
        before, stored = None, []  # the tag has no payload of this type yet
    return dry_run.plan(kind, wanted, stored, state=state, before=before)


def _around(
    client: Client, ref: str, kind: str, wanted: Sequence[NewIOV]
) -> tuple[Moment | None, list[PayloadIOV]]:
    """Return where the IOV before all of these ends, and the stored ones up to the one behind."""
    first = min(iov.start for iov in wanted)
    last = max(iov.start for iov in wanted)
    reach = max((iov.end for iov in wanted if iov.end), default=last)
    stored: list[PayloadIOV] = []
    for iov in client.iovs(ref, kind, first):
        stored.append(iov)
        if iov.start > last and iov.start >= reach:
            break
    return _end_before(client, ref, kind, first), stored


def _end_before(client: Client, ref: str, kind: str, start: Moment) -> Moment | None:
    """Return where what is stored before `start` ends; `start` itself if it holds until there."""
    if start == (0, 0):
        return None
    minor = start.minor - 1 if start.minor else LIMIT
    just = Moment(start.major - (not start.minor), minor)
    found = client.resolve(ref, just, kind)
    if found.payloads:
        return start
    return found.since if found.since > (0, 0) else None
