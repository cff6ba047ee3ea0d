"""The synchronous client: one typed method for each thing to do.

Several base URLs are replicas of one logic tier. The newest ledger position seen is sent along, so
that a client reads its own writes on any of them. Every write carries an Idempotency-Key and every
payload is checked against its digest. Constructing opens no socket; threads may share a client.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

import requests

from condstore import landing, results
from condstore.digests import Digest
from condstore.errors import DamagedPayload, ServerAway, UnexpectedAnswer
from condstore.retry import HASTY, Policy, persist
from condstore.transport import Call, Transport, json_of, lsn_of, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from condstore.moments import Moment
    from condstore.segments import Segment

T = TypeVar("T")
_CHUNK = 1 << 20
_NOTHING: Mapping[str, str] = {}


class Client:
    """Talk to the logic tier at `urls`, as patiently as `policy` says."""

    def __init__(self, urls: tuple[str, ...], *, policy: Policy = HASTY) -> None:
        self._transport = Transport(urls)
        self._policy = policy

    @property
    def url(self) -> str:
        """The base URL that answered last."""
        return self._transport.url

    @property
    def lsn(self) -> int:
        """The newest ledger position seen; what is read next is at least as new."""
        return self._transport.lsn

    # -- the streaming buffer --------------------------------------------------------------------

    def buffer(self) -> results.Buffer:
        """Return the buffer's counters and state."""
        stat, desc = self._read("/bufstat"), self._read("/dsdesc")
        return results.parse(lambda pair: results.buffer(*pair), (stat, desc), self.url)

    def stream_segment(self, segment: Segment, *, period: str = "") -> results.Stored:
        """Stream one segment; the same one again is answered, not stored twice."""
        params = {"type": segment.payload_type}
        return self._store(Call("POST", "/stream", params, segment.body), segment.key(period))

    def stream_payload(
        self, content: bytes | Path, payload_type: str, validity: results.Validity
    ) -> results.Stored:
        """Store any bytes as the payload of `payload_type` over an interval of validity."""
        params = {"type": payload_type, **validity.params()}
        return self._store(Call("POST", "/stream", params, content), fresh_key())

    def ask_freeze(self, user: str, token: str) -> results.FreezeAsked:
        """Freeze the buffer if it holds MAX_SIZE bytes, as the digital twin asks for it."""
        response = self._send(
            _keyed(Call("POST", "/freezeds", json={"user": user, "token": token}))
        )
        if response.status_code != requests.codes.created:
            return results.FreezeAsked(False, response.text.strip(), None, None)
        return results.parse(results.freeze_done, json_of(response), self.url)

    def flush(self) -> results.Stored:
        """Archive the buffer's files and its tag, and open it again."""
        return self._store(Call("POST", "/flushbuf", body=b"{}"), fresh_key())

    def period(self, stream_tag: str) -> str:
        """Name the buffer's present filling by the newest tag a flush has archived ("": none)."""
        archived = [tag for tag in self.tags() if tag.name.startswith(f"{stream_tag}-")]
        return max(archived, key=lambda tag: tag.lsn).name if archived else ""

    # -- tags and payloads -----------------------------------------------------------------------

    def readiness(self) -> results.Readiness:
        """Return what the replica says of itself; "not ready" is an answer too."""
        response = self._send(Call("GET", "/readyz", accept=frozenset({503})))
        return results.parse(results.readiness, json_of(response), self.url)

    def tags(self) -> tuple[results.Tag, ...]:
        """Return all global tags by name, however many pages they fill."""
        found: list[results.Tag] = []
        after: str | None = ""
        while after is not None:
            answer = self._read("/api/v1/global-tags", {"after": after} if after else {})
            page = results.parse(results.tag_page, answer, self.url)
            if page.next is not None and page.next <= after:
                raise UnexpectedAnswer(f"{self.url} lists the tags after {after!r} again and again")
            found += page.tags
            after = page.next
        return tuple(found)

    def tag(self, name: str) -> results.TagContent:
        """Return one global tag and its payload lists."""
        return results.parse(results.tag_content, self._read(_tag_path(name)), self.url)

    def freeze_tag(self, name: str, user: str, token: str) -> results.TagFrozen:
        """Freeze a tag for good; a frozen one answers the same again."""
        body = {"user": user, "token": token}
        call = Call("POST", f"{_tag_path(name)}/freeze", {"report": "0"}, json=body)
        return results.parse(results.tag_frozen, json_of(self._send(_keyed(call))), self.url)

    def resolve(
        self, tag: str, moment: Moment, payload_type: str | None = None
    ) -> results.Resolution:
        """Return the payloads that hold at `moment`; where there is a gap there is none."""
        params = {"major": str(moment.major), "minor": str(moment.minor)}
        params |= {"type": payload_type} if payload_type else {}
        return results.parse(
            results.resolution, self._read(f"{_tag_path(tag)}/payloads", params), self.url
        )

    def payload(self, digest: Digest) -> bytes:
        """Return a payload's bytes, whole in memory, verified."""

        def once() -> bytes:
            with self._download(digest) as response:
                content = _whole(response)
            if Digest.of(content) != digest:
                raise DamagedPayload(f"{digest}: {self.url} sent {Digest.of(content)} instead")
            return content

        return self._persist(once)

    def download(self, digest: Digest, target: Path, tell: Callable[[int], object] = bool) -> int:
        """Write a payload to `target`, verified, and return its size; `tell` hears of each piece.

        `target` never holds half a payload, nor a wrong one (`landing.land`).
        """

        def once() -> int:
            with self._download(digest) as response:
                return landing.land(_chunks(response), digest, target, tell)

        return self._persist(once)

    # -- plumbing --------------------------------------------------------------------------------

    def _read(self, path: str, params: Mapping[str, str] = _NOTHING) -> results.Json:
        return json_of(self._send(Call("GET", path, params)))

    def _store(self, call: Call, key: str) -> results.Stored:
        response = self._send(_keyed(call, key))
        if response.status_code != requests.codes.created:
            raise UnexpectedAnswer(
                f"{response.url} answered {response.status_code} and did not say that it stored "
                "anything; is another service on that port?"
            )
        return results.Stored(response.text.strip(), lsn_of(response.headers))

    def _download(self, digest: Digest) -> requests.Response:
        path = f"/api/v1/payloads/sha256/{digest.hex}"
        raw = {"Accept-Encoding": "identity"}
        return self._transport.send(Call("GET", path, headers=raw, stream=True))

    def _send(self, call: Call) -> requests.Response:
        return self._persist(lambda: self._transport.send(call))

    def _persist(self, action: Callable[[], T]) -> T:
        return persist(action, self._policy)


def fresh_key() -> str:
    """Return a key for one intention: its retries are one act, the next call is another."""
    return f"once-{uuid.uuid4().hex}"


def _keyed(call: Call, key: str | None = None) -> Call:
    headers = {**call.headers, "Idempotency-Key": key or fresh_key()}
    return Call(call.method, call.path, call.params, call.body, call.json, headers)


def _tag_path(name: str) -> str:
    """Return the URL path of a tag; `TAG@<fingerprint>` stays readable."""
    return f"/api/v1/global-tags/{quote(name, safe='@:+~')}"


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """Yield the body piece by piece; a body that breaks off is a server that went away."""
    try:
        yield from response.iter_content(_CHUNK)
    except requests.RequestException as error:
        raise ServerAway(f"{response.url} broke off ({reason(error)})") from error


def _whole(response: requests.Response) -> bytes:
    return b"".join(_chunks(response))
