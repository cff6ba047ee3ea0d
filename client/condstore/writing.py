"""The writing half of `Client`: tags, payload types, lists and IOVs, payload bytes.

Each method is one act: one entry of the ledger, or an error and nothing. `key` is its
Idempotency-Key; give your own where the act may be tried again by another process.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from condstore import landing
from condstore.asking import Asking
from condstore.calls import V1, Call, between, step, tag_path
from condstore.digests import Digest
from condstore.errors import DamagedPayload
from condstore.moments import Moment
from condstore.results import (
    Blob,
    FreezeProposed,
    Inserted,
    Json,
    NewIOV,
    PayloadListInfo,
    PayloadType,
    Tag,
    TagFrozen,
    TagStanding,
    read_freeze,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from condstore.moments import When
    from condstore.server import Server

_CREATED, _MISSING = 201, 404
_PROPOSED = frozenset({202})
_ASK_FIRST = 1 << 16  # bytes; a smaller payload is sent sooner than asked about


class Writing(Asking):
    """Change global tags, payload types, payload lists, payload IOVs; keep bytes."""

    # -- global tags -----------------------------------------------------------------------------

    def create_tag(
        self,
        name: str,
        *,
        description: str = "",
        author: str | None = None,
        state: str = "unlocked",
        key: str | None = None,
    ) -> Tag:
        """Make a global tag, unlocked or locked; one that exists is returned as it is."""
        told = _known(name=name, description=description, author=author, state=state)
        call = Call("POST", f"{V1}/global-tags", json=told)
        return self._server("making a tag").act(Tag.read, call, key)

    def clone_tag(
        self, ref: str, name: str, *, description: str | None = None, key: str | None = None
    ) -> Tag:
        """Make an unlocked tag with the content of another, or of one state of it."""
        told = _known(name=name, description=description)
        call = Call("POST", tag_path(ref, "clone"), json=told)
        return self._server("cloning a tag").act(Tag.read, call, key)

    def lock_tag(
        self, name: str, *, reason: str | None = None, key: str | None = None
    ) -> TagStanding:
        """Let a tag be appended to only."""
        return self._stand(name, "lock", _known(reason=reason), key)

    def unlock_tag(
        self, name: str, *, reason: str | None = None, key: str | None = None
    ) -> TagStanding:
        """Let the newest payload win again in a locked tag."""
        return self._stand(name, "unlock", _known(reason=reason), key)

    def freeze_tag(  # noqa: PLR0913 - each is said by its name
        self,
        name: str,
        *,
        reason: str | None = None,
        strict: bool = False,
        template: str | None = None,
        read_bytes: bool = False,
        report: bool = True,
        fingerprint: str | None = None,
        key: str | None = None,
    ) -> TagFrozen | FreezeProposed:
        """Freeze a tag for good; a frozen one answers the same again.

        Where two admins must want it, the first is answered `FreezeProposed`: nothing is frozen
        until another asks for the same. `fingerprint` refuses (`other_content`) a tag that holds
        anything else than what was looked at.

        `strict` refuses (`Conflict`, code `preflight_failed`) a tag in which the look over it finds
        a gap, a payload that is not in the store, or less than `template` has; `report=False`
        freezes a large tag without that look, which may take a minute.
        """
        params = {"strict": "1"} if strict else {}
        params |= {"template": template} if template else {}
        params |= {"read_bytes": "1"} if read_bytes else {}
        params |= {} if report else {"report": "0"}
        told = _known(reason=reason, fingerprint=fingerprint)
        call = Call("POST", tag_path(name, "freeze"), params, json=told, accept=_PROPOSED)
        return self._server("freezing a tag").act(read_freeze, call, key)

    def withdraw_freeze(
        self, name: str, *, reason: str | None = None, key: str | None = None
    ) -> TagStanding:
        """End the proposal to freeze a tag, whosever it is; without one nothing changes."""
        call = Call("DELETE", tag_path(name, "freeze"), _known(reason=reason))
        return self._server("withdrawing a proposal").act(TagStanding.read, call, key)

    def unfreeze_tag(self, name: str, *, reason: str, key: str | None = None) -> TagStanding:
        """Open a frozen tag again; the history keeps the reason, the fingerprint its answers."""
        return self._stand(name, "unfreeze", {"reason": reason}, key)

    def delete_tag(self, name: str, *, key: str | None = None) -> int:
        """Delete an unlocked tag and return the LSN; what was frozen in it answers for ever."""
        return self._server("deleting a tag").act(_lsn, Call("DELETE", tag_path(name)), key)

    # -- payload types and lists -----------------------------------------------------------------

    def create_type(self, name: str, *, key: str | None = None) -> PayloadType:
        """Make a payload type; one that exists is returned as it is."""
        call = Call("POST", f"{V1}/payload-types", json={"name": name})
        return self._server("making a type").act(PayloadType.read, call, key)

    def delete_type(self, name: str, *, key: str | None = None) -> int:
        """Delete a payload type that no list is of, and return the LSN."""
        call = Call("DELETE", f"{V1}/payload-types/{step(name)}")
        return self._server("deleting a type").act(_lsn, call, key)

    def create_list(self, payload_type: str, *, key: str | None = None) -> PayloadListInfo:
        """Make an empty payload list that no tag has."""
        call = Call("POST", f"{V1}/payload-lists", json={"payload_type": payload_type})
        return self._server("making a payload list").act(PayloadListInfo.read, call, key)

    def delete_list(self, name: str, *, key: str | None = None) -> int:
        """Delete an empty payload list, and return the LSN."""
        call = Call("DELETE", f"{V1}/payload-lists/{step(name)}")
        return self._server("deleting a payload list").act(_lsn, call, key)

    def attach_list(
        self, tag: str, payload_type: str, payload_list: str, *, key: str | None = None
    ) -> int:
        """Give a tag this list of the type, in place of the one it has; return the LSN."""
        path = tag_path(tag, "payload-lists", payload_type)
        call = Call("PUT", path, json={"payload_list": payload_list})
        return self._server("attaching a payload list").act(_lsn, call, key)

    def detach_list(self, tag: str, payload_type: str, *, key: str | None = None) -> int:
        """Take a tag's list of the type out of it, and return the LSN."""
        call = Call("DELETE", tag_path(tag, "payload-lists", payload_type))
        return self._server("detaching a payload list").act(_lsn, call, key)

    # -- payload IOVs and payloads ---------------------------------------------------------------

    def insert_iovs(self, tag: str, iovs: Iterable[NewIOV], *, key: str | None = None) -> Inserted:
        """Insert payload IOVs of any types into a tag: all or none, in one ledger entry.

        Who names no end need not: each stops at the next start of its type. Raises `Conflict`
        where the tag's state forbids it, or the store has not one of the digests
        (`payloads_missing`).
        """
        call = Call("POST", tag_path(tag, "iovs"), json={"iovs": [iov.wire() for iov in iovs]})
        return self._server("inserting IOVs").act(Inserted.read, call, key)

    def delete_iov(
        self,
        tag: str,
        payload_type: str,
        start: When,
        end: When | None = None,
        *,
        key: str | None = None,
    ) -> int:
        """Delete the payload IOV of exactly [start, end), and return the LSN."""
        params = between(Moment.of(start), None if end is None else Moment.of(end))
        call = Call("DELETE", tag_path(tag, "payload-lists", payload_type, "iovs"), params)
        return self._server("deleting an IOV").act(_lsn, call, key)

    def put_payload(self, content: bytes | Path | str) -> Blob:
        """Keep bytes, or a file by its path, and return the digest; what is there is not sent."""
        content = Path(content) if isinstance(content, str) else content
        server = self._server("storing a payload")
        digest, size = _measured(content)
        if size > _ASK_FIRST and _has(server, digest):
            return Blob(digest, size, new=False)
        sent = server.send(Call("POST", f"{V1}/payloads", body=content))
        kept = server.value(lambda answer: str(answer["digest"]), sent)
        if kept != digest:
            raise DamagedPayload(f"{server.url} kept {kept} of the bytes that hash to {digest}")
        return Blob(digest, size, new=sent.status_code == _CREATED)

    # -- plumbing --------------------------------------------------------------------------------

    def _stand(self, name: str, act: str, told: Mapping[str, Json], key: str | None) -> TagStanding:
        call = Call("POST", tag_path(name, act), json=told)
        return self._server(f"to {act} a tag").act(TagStanding.read, call, key)


def _measured(content: bytes | Path) -> tuple[Digest, int]:
    if isinstance(content, bytes):
        return Digest.of(content), len(content)
    return landing.digest_of(content), content.stat().st_size


def _has(server: Server, digest: Digest) -> bool:
    path = f"{V1}/payloads/sha256/{digest.hex}"
    return server.send(Call("HEAD", path, accept=frozenset({404}))).status_code != _MISSING


def _known(**fields: Json) -> dict[str, Json]:
    """Return the fields that say something."""
    return {name: value for name, value in fields.items() if value is not None}


def _lsn(answer: Json) -> int:
    return int(answer["lsn"])
