"""The databuffer over HTTP: one pool of kept-alive connections a process, made after the fork.

One method a verb. A request that was not sent, or that may safely be sent twice, is sent a
second time; any other that breaks raises `OutcomeUnknown`. It reads no proxy settings. It shows the
secret that the tiers share; a databuffer that does not take it is away, as far as callers go.
"""

from __future__ import annotations

import logging
import math
import ssl
import time
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote

import orjson
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    SSLError,
)

from datastore_logic.access.caller import subject
from datastore_logic.access.tier_secret import TierSecret, link_path
from datastore_logic.errors import (
    BufferAway,
    BufferIsFrozen,
    BufferRefused,
    LinksNotOffered,
    LogicError,
    LsnBeyondHead,
    OutcomeUnknown,
    PreconditionFailed,
)
from datastore_logic.logs import REQUEST_ID
from datastore_logic.watch import Call, alone, name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from urllib3.response import BaseHTTPResponse

    from datastore_logic.config import Config, Endpoints
    from datastore_logic.domain.tags import Digest
    from datastore_logic.watch import Around

CONNECT_TIMEOUT: Final = 2.0
LEDGER_TIMEOUT: Final = 10.0
CHUNK: Final = 1 << 20
ASKED_AT_ONCE: Final = 20_000
"""Digests in one question about blobs; the databuffer takes more, but then answers nobody else."""
_NOT_SENT: Final = (NewConnectionError, ConnectTimeoutError)
_NOT_LET_IN: Final = frozenset({401, 403})
_NOT_SHARED: Final = "the tiers do not share a BUFFER_TOKEN"
_STRANGER: Final = "The databuffer's certificate is not one to trust: see BUFFER_CA."
_SAID_AGAIN: Final = 60.0
"""Seconds between two lines in the log that the tiers share no secret."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the databuffer said; `lsn` is the entry's (a write) or the head's (a read)."""

    status: int
    body: bytes
    lsn: int


@dataclass(frozen=True, slots=True)
class Head:
    """Which ledger it is, and how far it goes."""

    ledger: str
    lsn: int
    hash: str = ""


@dataclass(frozen=True, slots=True)
class Entries:
    """A stretch of the ledger: raw lines, and the ledger they are from."""

    head: Head
    lines: list[bytes]


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A payload the databuffer holds; `created` is False if it held it before."""

    digest: str
    size: int
    created: bool


@dataclass(frozen=True, slots=True)
class Unsound:
    """Digests under which the databuffer has nothing, or another size (bytes) than was told."""

    missing: list[str]
    resized: dict[str, int]


@dataclass(frozen=True, slots=True)
class Document:
    """A small JSON document, and the ETag of this state of it."""

    content: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class Link:
    """A URL by which whoever has it may read one payload until `expires`, seconds since 1970."""

    url: str
    expires: int


@dataclass(frozen=True, slots=True)
class _Question:
    """A request; `read` seconds may pass until its answer, `twice` it may do no harm.

    What streams may wait for that long also to connect, and to send its next piece: urllib3 has one
    time for both, and a databuffer that writes to a slow disk takes no bytes meanwhile.
    """

    method: str
    path: str
    body: bytes | Iterable[bytes] | None
    headers: Mapping[str, str]
    read: float
    twice: bool
    preload: bool

    @property
    def streams(self) -> bool:
        """Whether its body can be sent only once."""
        return not (self.body is None or isinstance(self.body, bytes))

    def showing(self, secret: str) -> _Question:
        """Return it with a secret shown."""
        return replace(self, headers={**self.headers, "Authorization": f"Bearer {secret}"})


class BufferClient:
    """The databuffer at one URL. Constructing it opens no socket."""

    def __init__(self, config: Config, around: Around = alone) -> None:
        scheme, _, host, port, self._prefix, _, _ = urllib3.util.parse_url(config.buffer_url)
        settings: dict[str, Any] = {"maxsize": config.threads + 2, "retries": False}
        if scheme == "https":
            settings["ssl_context"] = ssl.create_default_context(cafile=config.buffer_ca)
        make = urllib3.HTTPSConnectionPool if scheme == "https" else urllib3.HTTPConnectionPool
        self._pool = make(str(host), port, **settings)
        self._endpoints: Endpoints = config.endpoints
        self._read_timeout = config.buffer_timeout
        self._secret = TierSecret(config.access.buffer_token)
        self._public_url = config.buffer_public_url
        self._complained_at = -math.inf
        self._around = around

    # the streaming buffer -------------------------------------------------------------------

    def stat(self) -> Answer:
        """Return `{"n_itm","buff_size"}`."""
        return self._get(self._endpoints.stat)

    def description(self) -> Answer:
        """Return `{"dstatus","user","token"}`."""
        return self._get(self._endpoints.description)

    def files(self) -> Answer:
        """Return `{"nmlist":[…]}`."""
        return self._get(self._endpoints.dump_files)

    def log(self) -> Answer:
        """Return the log of stored files, 204 when there is none."""
        return self._get(self._endpoints.dump_log)

    def send_segment(self, body: bytes, payload_type: str | None, key: str | None) -> Answer:
        """Store a segment as it came. Any status is an answer."""
        path = self._endpoints.send
        if payload_type is not None:
            path = f"{path}?type={_quoted(payload_type)}"
        return self._post(path, body, key, acting=True)

    def freeze(self, body: bytes, key: str | None) -> Answer:
        """Freeze the streaming buffer. Freezing it twice is harmless."""
        return self._post(self._endpoints.freeze, body, key, twice=True, acting=True)

    def clean(self, key: str | None) -> Answer:
        """Archive what the streaming buffer holds and open it again."""
        return self._post(self._endpoints.clean, b"", key, acting=True)

    # the ledger -----------------------------------------------------------------------------

    def head(self) -> Head:
        """Return which ledger it is and how far it goes."""
        found = told(expect(self._get("/ledger/head")), "ledger", "lsn", "hash")
        return Head(found["ledger"], found["lsn"], found["hash"])

    def entries(self, after: int, *, limit: int = 1000, wait: int = 0) -> Entries:
        """Return the entries after an LSN, waiting up to `wait` seconds for the first.

        Raises:
            LsnBeyondHead: the ledger ends before `after`.
        """
        response = self._send(
            "GET",
            f"/ledger?after={after}&limit={limit}&wait={wait}",
            timeout=wait + LEDGER_TIMEOUT,
            twice=True,
        )
        answer = expect(_answer(response))
        ledger = response.headers.get("X-Ledger-Id")
        if not ledger:
            raise _not_agreed(answer)
        return Entries(Head(ledger, answer.lsn), response.data.splitlines())

    def append(self, entry: Mapping[str, Any]) -> int:
        """Append one entry, and return its LSN. The same idempotency key again is harmless.

        Raises:
            PreconditionFailed: a key it expects has moved.
            OutcomeUnknown: it may have been appended; the same key will tell.
        """
        body = orjson.dumps(entry)
        answer = self._post("/ledger", body, None, twice="idempotency_key" in entry)
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
        sent = self._send("POST", "/blobs", body, headers, timeout=patience)
        answer = expect(_answer(sent))
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
            answer = expect(self._post("/blobs/missing", body, None, twice=True))
            found = told(answer, "missing", "resized")
            missing += found["missing"]
            resized |= found["resized"]
        return Unsound(list(dict.fromkeys(missing)), resized)

    def open_blob(self, method: str, digest: Digest, headers: dict[str, str]) -> BaseHTTPResponse:
        """Return the open answer with the payload's bytes; the caller closes it."""
        path = f"/blobs/sha256/{digest.hex}"
        return self._send(method, path, None, headers, twice=True, preload=False)

    def link(self, digest: Digest, lifetime: int) -> Link:
        """Return a link to the payload that is good for so many seconds, whoever has it.

        Raises:
            LinksNotOffered: nobody said where the outside reaches the databuffer.
        """
        if not (self._public_url and self._secret):
            raise LinksNotOffered
        expires = int(time.time()) + lifetime
        path = link_path(digest, expires, self._proven()[0])
        return Link(f"{self._public_url}{path}", expires)

    # small documents ------------------------------------------------------------------------

    def get_state(self, name: str) -> Document | None:
        """Return a document, None if there is none of that name."""
        response = self._send("GET", f"/state/{name}", timeout=LEDGER_TIMEOUT, twice=True)
        if response.status == 404:
            return None
        return Document(expect(_answer(response)).body, response.headers.get("ETag", ""))

    def put_state(self, name: str, content: bytes, instead_of: Document | None) -> bool:
        """Write a document in the place of the one that was read; False: it is another by now."""
        match = {"If-None-Match": "*"} if instead_of is None else {"If-Match": instead_of.etag}
        answer = _answer(
            self._send("PUT", f"/state/{name}", content, match, timeout=LEDGER_TIMEOUT, twice=True)
        )
        return answer.status != 412 and bool(expect(answer))

    # ----------------------------------------------------------------------------------------

    def _get(self, path: str) -> Answer:
        return _answer(self._send("GET", path, twice=True))

    def _post(
        self, path: str, body: bytes, key: str | None, *, twice: bool = False, acting: bool = False
    ) -> Answer:
        headers = {} if key is None else {"Idempotency-Key": key}
        if acting and (actor := subject()):
            headers["X-Actor"] = _quoted(actor)
        return _answer(self._send("POST", path, body, headers, twice=twice or key is not None))

    def _send(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: dict[str, str] | None = None,
        *,
        timeout: float | None = None,
        twice: bool = False,
        preload: bool = True,
    ) -> BaseHTTPResponse:
        """Send, with all that goes along with every request."""
        call = Call(name_of(method, path), headers or {})
        if request_id := REQUEST_ID.get():
            call.headers["X-Request-Id"] = request_id
        with self._around(call):
            read = timeout or self._read_timeout
            question = _Question(method, path, body, call.headers, read, twice, preload)
            response = self._shown(question) if self._secret else self._sent(question)
            call.status = response.status
            return self._let_in(response)

    def _shown(self, question: _Question) -> BaseHTTPResponse:
        """Send it with the secret; what was refused, with the other one, if it can be repeated."""
        first, *others = self._proven()[:1] if question.streams else self._secret.choices()
        response = self._sent(question.showing(first))
        for other in others if response.status in _NOT_LET_IN else ():
            _done_with(response)
            response = self._sent(question.showing(other))
            if response.status not in _NOT_LET_IN:
                self._secret.took(other)
        return response

    def _proven(self) -> tuple[str, ...]:
        """Return the secrets, that first which the databuffer takes; ask it if there are two."""
        if len(self._secret.choices()) > 1:
            self.head()
        return self._secret.choices()

    def _let_in(self, response: BaseHTTPResponse) -> BaseHTTPResponse:
        """Return an answer, unless it is that we are not known: that is no fault of our caller.

        Raises:
            BufferAway: it is.
        """
        if response.status not in _NOT_LET_IN:
            return response
        _done_with(response)
        if time.monotonic() - self._complained_at >= _SAID_AGAIN:
            self._complained_at = time.monotonic()
            log.error("the databuffer answers %d: %s", response.status, _NOT_SHARED)
        raise BufferAway(f"The databuffer does not let this tier in: {_NOT_SHARED}.")

    def _sent(self, question: _Question) -> BaseHTTPResponse:
        """Send, and once more where that can do no harm."""
        connect = question.read if question.streams else CONNECT_TIMEOUT
        wait = urllib3.Timeout(connect=connect, read=question.read)
        sent = False
        for last in (not question.twice, True):
            try:
                return self._pool.urlopen(
                    question.method,
                    (self._prefix or "") + question.path,
                    body=question.body,
                    headers=question.headers,
                    redirect=False,
                    timeout=wait,
                    preload_content=question.preload,
                )
            except HTTPError as reason:
                if _is_a_stranger(reason):
                    raise BufferAway(_STRANGER) from reason
                reached = not isinstance(reason, _NOT_SENT)
                sent = sent or reached
                if last or not reached:
                    raise _silence(question.method, sent=sent) from reason
        raise AssertionError  # pragma: no cover


def expect(answer: Answer) -> Answer:
    """Return a success as it is; raise what a failure means."""
    if answer.status < 300:
        return answer
    raise refusal(answer)


def _silence(method: str, *, sent: bool) -> BufferAway | OutcomeUnknown:
    """Return what it means that no answer came: a write that was sent may have been stored."""
    if sent and method not in {"GET", "HEAD"}:
        return OutcomeUnknown(
            "The databuffer did not answer; it may have stored this."
            " Ask again, with the same Idempotency-Key if there was one."
        )
    return BufferAway(f"The databuffer {'does not answer' if sent else 'cannot be reached'}.")


def parsed(answer: Answer) -> object:
    """Return the JSON of an answer; raise BufferAway where it is none (another service's page)."""
    try:
        content: object = orjson.loads(answer.body)
    except orjson.JSONDecodeError as reason:
        raise _not_agreed(answer) from reason
    return content


def told(answer: Answer, *fields: str) -> dict[str, Any]:
    """Return the JSON object of an answer; raise BufferAway where it lacks one of the fields."""
    found = parsed(answer)
    if not isinstance(found, dict) or not found.keys() >= set(fields):
        raise _not_agreed(answer)
    return found


def _not_agreed(answer: Answer) -> BufferAway:
    return BufferAway(f"The databuffer answered {answer.status}, and not what was agreed.")


def refusal(answer: Answer) -> LogicError:
    """Return the error that a databuffer's answer other than success means to our caller."""
    try:
        found = orjson.loads(answer.body)
        detail, code, field = str(found["detail"]), str(found["code"]), found.get("field")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return _not_agreed(answer)
    if code == BufferIsFrozen.code:
        return BufferIsFrozen()
    if code == "lsn_beyond_head":
        return LsnBeyondHead(detail)
    if answer.status in {500, 502, 504}:
        return BufferAway(detail)
    return BufferRefused(answer.status, detail, code, field=field)


def _answer(response: BaseHTTPResponse) -> Answer:
    return Answer(response.status, response.data, _lsn(response))


def _is_a_stranger(reason: HTTPError) -> bool:
    """Say whether it is that the server has no certificate we know; then nothing was sent."""
    cause = reason.args[0] if isinstance(reason, SSLError) and reason.args else None
    return isinstance(cause, ssl.SSLCertVerificationError)


def _done_with(response: BaseHTTPResponse) -> None:
    """Give a connection back whose answer is of no interest."""
    response.drain_conn()
    response.release_conn()


def _lsn(response: BaseHTTPResponse) -> int:
    text = response.headers.get("X-Ledger-LSN", "0")
    return int(text) if text.isdigit() else 0


def _quoted(text: str) -> str:
    return quote(text, safe="")
