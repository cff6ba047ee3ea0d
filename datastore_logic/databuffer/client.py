"""The databuffer over HTTP, one method a verb.

Where no answer comes each raises `BufferAway`, for nothing was done, or `OutcomeUnknown`. What
returns the answer itself leaves its status to the caller; the others raise what a refusal means.
"""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast

import orjson

from datastore_logic.access.tier_secret import link_path
from datastore_logic.databuffer.answers import (
    Answer,
    Document,
    Entries,
    Head,
    Link,
    StoredBlob,
    Unsound,
)
from datastore_logic.databuffer.refusals import expect, not_agreed, told
from datastore_logic.databuffer.sending import LEDGER_HEAD, Sending, quoted
from datastore_logic.errors import LinksNotOffered, PreconditionFailed
from datastore_logic.watch import alone

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from urllib3.response import BaseHTTPResponse

    from datastore_logic.config import Config
    from datastore_logic.domain.tags import Digest
    from datastore_logic.watch import Around

LEDGER_TIMEOUT: Final = 10.0
CHUNK: Final = 1 << 20
"""Bytes of a payload that are read at once."""

ASKED_AT_ONCE: Final = 20_000
"""Digests in one question about blobs; the databuffer takes more, but then answers nobody else."""


class BufferClient:
    """The databuffer at one URL. Constructing it opens no socket."""

    def __init__(self, config: Config, around: Around = alone) -> None:
        self._sending = Sending(config, around)
        self._endpoints = config.endpoints
        self._public_url = config.buffer_public_url

    # the streaming buffer -------------------------------------------------------------------

    def stat(self) -> Answer:
        """Return `{"n_itm","buff_size"}`."""
        return self._sending.get(self._endpoints.stat)

    def description(self) -> Answer:
        """Return `{"dstatus","user","token"}`."""
        return self._sending.get(self._endpoints.description)

    def files(self) -> Answer:
        """Return `{"nmlist":[…]}`."""
        return self._sending.get(self._endpoints.dump_files)

    def log(self) -> Answer:
        """Return the log of stored files, 204 when there is none."""
        return self._sending.get(self._endpoints.dump_log)

    def send_segment(self, body: bytes, payload_type: str | None, key: str | None) -> Answer:
        """Store a segment as it came. Any status is an answer."""
        path = self._endpoints.send
        if payload_type is not None:
            path = f"{path}?type={quoted(payload_type)}"
        return self._sending.post(path, body, key, acting=True)

    def freeze(self, body: bytes, key: str | None) -> Answer:
        """Freeze the streaming buffer. Freezing it twice is harmless."""
        return self._sending.post(self._endpoints.freeze, body, key, twice=True, acting=True)

    def clean(self, key: str | None) -> Answer:
        """Archive what the streaming buffer holds and open it again."""
        return self._sending.post(self._endpoints.clean, b"", key, acting=True)

    # the ledger -----------------------------------------------------------------------------

    def head(self) -> Head:
        """Return which ledger it is and how far it goes."""
        found = told(expect(self._sending.get(LEDGER_HEAD)), "ledger", "lsn", "hash")
        return Head(found["ledger"], found["lsn"], found["hash"])

    def entries(self, after: int, *, limit: int = 1000, wait: int = 0) -> Entries:
        """Return the entries after an LSN, waiting up to `wait` seconds for the first.

        Raises:
            LsnBeyondHead: the ledger ends before `after`.
        """
        response = self._sending.send(
            "GET",
            f"/ledger?after={after}&limit={limit}&wait={wait}",
            timeout=wait + LEDGER_TIMEOUT,
            twice=True,
        )
        answer = expect(Answer.of(response))
        ledger = response.headers.get("X-Ledger-Id")
        if not ledger:
            raise not_agreed(answer)
        return Entries(Head(ledger, answer.lsn), response.data.splitlines())

    def append(self, entry: Mapping[str, Any]) -> int:
        """Append one entry, and return its LSN. The same idempotency key again is harmless.

        Raises:
            PreconditionFailed: a key it expects has moved.
            OutcomeUnknown: it may have been appended; the same key will tell.
        """
        body = orjson.dumps(entry)
        answer = self._sending.post("/ledger", body, twice="idempotency_key" in entry)
        if answer.status == 412:
            raise PreconditionFailed(told(answer, "lsn")["lsn"])
        return cast("int", told(expect(answer), "lsn")["lsn"])

    # payloads -------------------------------------------------------------------------------

    def store_blob(
        self, body: Iterable[bytes], length: int | None, *, patience: float | None = None
    ) -> StoredBlob:
        """Store the bytes and return their digest. They are not held whole.

        With `patience` (s) the databuffer may fall silent for that long.
        """
        headers = {} if length is None else {"Content-Length": str(length)}
        sent = self._sending.send("POST", "/blobs", body, headers, timeout=patience)
        answer = expect(Answer.of(sent))
        found = told(answer, "digest", "size")
        return StoredBlob(found["digest"], found["size"], answer.status == 201)

    def missing(self, digests: Iterable[str]) -> list[str]:
        """Return those of the digests under which there is no payload, each once."""
        return self.unsound((digest, None) for digest in digests).missing

    def unsound(self, payloads: Iterable[tuple[str, int | None]]) -> Unsound:
        """Return what is missing, or has another size than told, of (digest, size or None)."""
        missing: list[str] = []
        resized: dict[str, int] = {}
        wanted = iter(payloads)
        while some := tuple(islice(wanted, ASKED_AT_ONCE)):
            digests, sizes = zip(*dict.fromkeys(some), strict=True)
            body = orjson.dumps({"digests": digests, "sizes": sizes})
            answer = expect(self._sending.post("/blobs/missing", body, twice=True))
            found = told(answer, "missing", "resized")
            missing += found["missing"]
            resized |= found["resized"]
        return Unsound(list(dict.fromkeys(missing)), resized)

    def open_blob(self, method: str, digest: Digest, headers: dict[str, str]) -> BaseHTTPResponse:
        """Return the open answer with the payload's bytes; the caller closes it."""
        path = f"/blobs/sha256/{digest.hex}"
        return self._sending.send(method, path, None, headers, twice=True, preload=False)

    def link(self, digest: Digest, lifetime: int) -> Link:
        """Return a link to the payload that is good for so many seconds, whoever has it.

        Raises:
            LinksNotOffered: nobody said where the outside reaches the databuffer.
        """
        if not (self._public_url and (secrets := self._sending.proven())):
            raise LinksNotOffered
        expires = int(time.time()) + lifetime
        path = link_path(digest, expires, secrets[0])
        return Link(f"{self._public_url}{path}", expires)

    # small documents ------------------------------------------------------------------------

    def get_state(self, name: str) -> Document | None:
        """Return a document, None if there is none of that name."""
        response = self._sending.send("GET", f"/state/{name}", timeout=LEDGER_TIMEOUT, twice=True)
        if response.status == 404:
            return None
        return Document(expect(Answer.of(response)).body, response.headers.get("ETag", ""))

    def put_state(self, name: str, content: bytes, instead_of: Document | None) -> bool:
        """Write a document in the place of the one that was read; False: it is another by now."""
        match = {"If-None-Match": "*"} if instead_of is None else {"If-Match": instead_of.etag}
        sent = self._sending.send(
            "PUT", f"/state/{name}", content, match, timeout=LEDGER_TIMEOUT, twice=True
        )
        answer = Answer.of(sent)
        return answer.status != 412 and bool(expect(answer))
