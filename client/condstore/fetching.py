"""What `condstore get` does: find the payload that is meant, and land it without harm.

A file that is there already is left alone if it is the payload, and never replaced unasked.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from condstore import landing
from condstore.digests import Digest
from condstore.errors import CondstoreError, UsageError
from condstore.moments import Moment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from condstore.client import Client


@dataclass(frozen=True, slots=True)
class Wanted:
    """A payload to fetch, and the file name it would get."""

    digest: Digest
    name: str
    size: int | None


@dataclass(frozen=True, slots=True)
class Fetched:
    """A payload that lies in a file, verified."""

    path: str
    size: int
    digest: str


def find(client: Client, what: str, moment: str | None, payload_type: str | None) -> Wanted:
    """Return the one payload that the words mean; raise `UsageError` if they mean several."""
    if moment is None:
        return _by_digest(what)
    found = client.resolve(what, Moment.parse(moment), payload_type)
    if not found.payloads:
        kind = f" of type {payload_type}" if payload_type else ""
        raise CondstoreError(f"no payload{kind} holds in {what} at {moment}")
    if len(found.payloads) > 1:
        types = ", ".join(payload.payload_type for payload in found.payloads)
        raise UsageError(f"several payloads hold in {what} at {moment}; add --type ({types})")
    payload = found.payloads[0]
    if payload.digest is None:
        raise CondstoreError(f"{payload.name} is kept elsewhere, not in this store")
    digest = Digest.parse(payload.digest)
    return Wanted(digest, _file_name(payload.name) or _named_by(digest), payload.size)


def fetch(
    client: Client,
    wanted: Wanted,
    target: Path,
    *,
    force: bool,
    tell: Callable[[int], object],
) -> Fetched:
    """Land the payload in `target` unless it lies there already."""
    if target.exists() and not force:
        if landing.digest_of(target) != wanted.digest:
            raise CondstoreError(f"{target} is there with other content; --force replaces it")
        return Fetched(str(target), target.stat().st_size, wanted.digest)
    return Fetched(str(target), client.download(wanted.digest, target, tell), wanted.digest)


def _by_digest(text: str) -> Wanted:
    try:
        digest = Digest.parse(text)
    except UsageError as error:
        raise UsageError(f"{error}; with a global tag give the moment too") from error
    return Wanted(digest, _named_by(digest), None)


def _named_by(digest: Digest) -> str:
    return f"sha256-{digest.hex[:16]}"


def _file_name(name: str) -> str:
    """Return the last part of a logical name: a server's word never chooses the directory."""
    last = PurePosixPath(name).name
    return "" if last.startswith((".", "sha256:")) or "\0" in last else last
