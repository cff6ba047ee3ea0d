"""A databuffer in memory, with the methods of the logic tier's client: ledger, blobs, buffer."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

import orjson
from urllib3 import HTTPResponse

from datastore_logic.app import TIER, create_app
from datastore_logic.config import Config
from datastore_logic.databuffer.answers import Answer, Document, Entries, Head, StoredBlob, Unsound
from datastore_logic.databuffer.client import BufferClient
from datastore_logic.errors import BufferAway, LsnBeyondHead, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from flask import Flask

TIME = "2026-11-20T23:17:00.123456Z"
DIGEST = "sha256:" + "ab" * 32


@dataclass
class FakeBuffer(BufferClient):
    """One decision is one line; `away` makes every call fail, as it does when nobody listens."""

    ledger: str = "ledger-one"
    lines: list[bytes] = field(default_factory=list)
    touched: dict[str, int] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    away: bool = False
    before_append: Callable[[], None] | None = None
    state: dict[str, str] = field(default_factory=dict)
    held: list[int] = field(default_factory=list)
    documents: dict[str, bytes] = field(default_factory=dict)

    # the ledger

    def write(
        self,
        kind: str,
        data: dict[str, Any],
        *keys: str,
        key: str | None = None,
        actor: str = "test",
    ) -> int:
        """Append an entry, unconditionally."""
        lsn = len(self.lines) + 1
        previous = hashlib.sha256(self.lines[-1]).hexdigest() if self.lines else "0" * 64
        entry = {"lsn": lsn, "time": TIME, "actor": actor, "type": kind, "data": data}
        entry |= {"keys": list(keys)} | ({"idempotency_key": key} if key else {})
        self.lines.append(orjson.dumps({**entry, "prev": previous, "crc": "00000000"}))
        self.touched |= dict.fromkeys(keys, lsn)
        return lsn

    def head(self) -> Head:
        """Return which ledger it is and how far it goes."""
        self._reached()
        last = hashlib.sha256(self.lines[-1]).hexdigest() if self.lines else "0" * 64
        return Head(self.ledger, len(self.lines), last)

    def entries(self, after: int, *, limit: int = 1000, wait: int = 0) -> Entries:
        """Return the entries after an LSN; never waits."""
        self._reached()
        if after > len(self.lines):
            raise LsnBeyondHead("beyond")
        return Entries(self.head(), self.lines[after : after + limit])

    def append(self, entry: Any) -> int:
        """Append one entry if what it expects holds."""
        self._reached()
        if self.before_append is not None:
            first, self.before_append = self.before_append, None
            first()
        if entry["idempotency_key"] in self.requests:
            return self.requests[entry["idempotency_key"]]
        if any(self.touched.get(key, 0) != lsn for key, lsn in entry["expect"].items()):
            raise PreconditionFailed(len(self.lines))
        key = entry["idempotency_key"]
        kind, actor = entry["type"], entry["actor"]
        lsn = self.write(kind, entry["data"], *entry["keys"], key=key, actor=actor)
        return self.requests.setdefault(key, lsn)

    # the streaming buffer

    def stored(self, start: list[int], end: list[int], **told: Any) -> int:
        """Append what the databuffer writes for a segment."""
        name = told.pop("name", f"gwb{len(self.lines)}.json")
        data = {
            "name": name, "payload_type": "strain", "digest": DIGEST, "size": 100,
            "samples": 300, "start": start, "end": end, "sample_ns": 1000, **told,
        }  # fmt: skip
        self.held.append(data["size"])
        return self.write("buffer.stored", data, "buffer/segments")

    def send_segment(self, body: bytes, payload_type: str | None, key: str | None) -> Answer:
        """Store a segment of one second."""
        self._reached()
        if self.state:
            return self._told({"detail": "frozen", "code": "FROZEN", "body": "frozen"}, 503)
        lsn = self.stored([len(self.lines), 0], [len(self.lines) + 1, 0], size=len(body))
        return self._told({"code": "RES_CREATE", "body": "Written"}, 201, lsn)

    def stat(self) -> Answer:
        """Return how much the buffer holds."""
        return self._told({"n_itm": len(self.held), "buff_size": sum(self.held)})

    def description(self) -> Answer:
        """Return the buffer's state."""
        free = {"dstatus": "OPERATIONAL", "user": "databuf", "token": "databuf"}
        return self._told(self.state or free)

    def files(self) -> Answer:
        """Return the old databuffer's null list."""
        return self._told({"nmlist": None})

    def log(self) -> Answer:
        """Return the empty log's 204."""
        self._reached()
        return Answer(204, b"", len(self.lines))

    def freeze(self, body: bytes, key: str | None) -> Answer:
        """Freeze the buffer."""
        told = orjson.loads(body)
        self._reached()
        if not self.state:
            shown = {"user": told["user"], "token": "sha256:0123456789ab"}
            self.state = {"dstatus": "FROZEN", **shown}
            self.write("buffer.frozen", shown, "buffer/state")
        return self._told({"code": "STAT_UPD", "body": "Table updated"}, 201)

    def clean(self, key: str | None) -> Answer:
        """Clean the buffer."""
        self._reached()
        self.state, self.held = {}, []
        data = {"archive": "Fri Nov 20 23:17", "n_itm": 0, "buff_size": 0}
        self.write("buffer.cleaned", data, "buffer/state", "buffer/segments")
        return self._told({"code": "STAT_UPD", "body": "Buffer cleaned"}, 201)

    # payloads

    def store_blob(
        self, body: Iterable[bytes], length: int | None, *, patience: float | None = None
    ) -> StoredBlob:
        """Keep the bytes."""
        self._reached()
        content = b"".join(body)
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        created = digest not in self.blobs
        self.blobs[digest] = content
        return StoredBlob(digest, len(content), created)

    def open_blob(self, method: str, digest: str, headers: dict[str, str]) -> HTTPResponse:
        """Return an answer with the bytes; 404 if they are not there."""
        self._reached()
        if digest not in self.blobs:
            told = orjson.dumps({"detail": f"no blob {digest}", "code": "not_found"})
            return HTTPResponse(BytesIO(told), status=404, preload_content=False)
        return HTTPResponse(BytesIO(self.blobs[digest]), status=200, preload_content=False)

    def unsound(self, payloads: Iterable[tuple[str, int | None]]) -> Unsound:
        """Compare with what is kept."""
        self._reached()
        sizes = {digest: len(content) for digest, content in self.blobs.items()}
        asked = dict.fromkeys(payloads)
        return Unsound(
            [digest for digest, _ in asked if digest not in sizes],
            {d: sizes[d] for d, size in asked if d in sizes and size not in (None, sizes[d])},
        )

    # small documents

    def get_state(self, name: str) -> Document | None:
        """Return a document, None if there is none."""
        self._reached()
        content = self.documents.get(name)
        return content and Document(content, hashlib.sha256(content).hexdigest())

    def put_state(self, name: str, content: bytes, instead_of: Document | None) -> bool:
        """Write a document if it is still the one that was read."""
        if self.get_state(name) != instead_of:
            return False
        self.documents[name] = content
        return True

    def _reached(self) -> None:
        if self.away:
            raise BufferAway("The databuffer cannot be reached.")

    def _told(self, content: Any, status: int = 200, lsn: int | None = None) -> Answer:
        self._reached()
        return Answer(status, orjson.dumps(content), lsn or len(self.lines))


@contextmanager
def small_app(folder: Path, buffer: FakeBuffer, **settings: Any) -> Iterator[Flask]:
    """Make the application over an in-memory databuffer, its view in `folder` caught up once.

    No thread follows: each write catches up for itself, as it does in a real one.
    """
    settings = {"view_path": folder / "view.sqlite", "view_wait": 0.2, **settings}
    app = create_app(Config(**settings), buffer)
    tier = app.extensions[TIER]
    if not buffer.away:
        tier.replica.greet()
        tier.replica.pull()
    yield app
    tier.database.close()
