"""Load for the servers under test: one request at a time (`ask`), or many clients at once."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import io
import itertools
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
from volume_oracle import sha256

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

Result = TypeVar("Result")

AWAY = (OSError, http.client.HTTPException)
"""What a single request meets when there is no server, or it dies."""

ERRORS = (aiohttp.ClientError, OSError)
"""What a client meets when the server dies under it."""


def seeded(seed: float) -> Random:
    """Return a source of chance that can be had again."""
    return Random(seed)  # noqa: S311 - tests keep no secrets


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; the names of its headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def lsn(self) -> int:
        """The LSN the answer carries."""
        return int(self.headers["x-ledger-lsn"])


def ask(
    method: str,
    url: str,
    body: bytes | Iterable[bytes] | dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    timeout: float = 30.0,
) -> Answer:
    """Send one request on a connection of its own; a dict is sent as JSON."""
    parts = urlsplit(url)
    target = url[len(f"{parts.scheme}://{parts.netloc}") :]
    if isinstance(body, dict):
        body = json.dumps(body).encode()
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    with contextlib.closing(connection):
        connection.request(method, target, body, headers or {})
        response = connection.getresponse()
        told = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, told, response.read())


def ledger_entries(url: str, after: int = 0) -> list[dict[str, Any]]:
    """Return the whole ledger after an LSN, as the databuffer serves it."""
    return [json.loads(line) for line in ledger_lines(url, after)]


def ledger_lines(url: str, after: int = 0) -> Iterator[bytes]:
    """Yield the ledger's raw lines, page by page."""
    while True:
        answer = ask("GET", f"{url}/ledger?after={after}&limit=10000")
        assert answer.status == 200, answer
        lines = answer.body.splitlines()
        if not lines:
            return
        yield from lines
        after += len(lines)


def insist(
    urls: Sequence[str],
    path: str,
    body: bytes | dict[str, Any],
    key: str,
    within: float = 30.0,
) -> Answer:
    """Post to one replica after the other, with the same key, until one does it.

    Raises:
        TimeoutError: if none does within so many seconds.
    """
    deadline = time.monotonic() + within
    for url in itertools.cycle(urls):
        with contextlib.suppress(*AWAY):
            answer = ask("POST", url + path, body, {"Idempotency-Key": key}, timeout=within)
            if not may_try_again(answer):
                return answer
        if time.monotonic() > deadline:
            break
    raise TimeoutError(f"{path} was not done in {within} s")


def may_try_again(answer: Answer) -> bool:
    """Whether the answer asks to come back: somebody else was faster, or the databuffer is away."""
    conflict = answer.status == 409 and answer.json["code"] == "conflict"
    return conflict or answer.status == 503


def at_once(count: int, work: Callable[[int], Result]) -> list[Result]:
    """Call `work(0)`, `work(1)`, … in as many threads at once; return what they return."""
    start = threading.Barrier(count)

    def begin(number: int) -> Result:
        start.wait(30)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


@dataclass(frozen=True, slots=True)
class Sent:
    """A request with an idempotency key, which may be sent again at any time."""

    path: str
    body: bytes
    key: str

    @property
    def headers(self) -> dict[str, str]:
        """The key, where it is not in the body."""
        return {} if self.path == "/ledger" else {"Idempotency-Key": self.key}


@dataclass(frozen=True, slots=True)
class Stored:
    """A segment that was acknowledged."""

    name: str
    body: bytes
    lsn: int


@dataclass
class BufferLoad:
    """Concurrent clients of one databuffer, which remember everything it acknowledged.

    An answer that no client expects is kept in `surprises`, which must stay empty.
    """

    url: str
    random: Random
    blobs: dict[str, int] = field(default_factory=dict)
    entries: dict[int, Any] = field(default_factory=dict)
    segments: list[Stored] = field(default_factory=list)
    freezes: list[int] = field(default_factory=list)
    cleanings: list[int] = field(default_factory=list)
    keyed: dict[Sent, Answer] = field(default_factory=dict)
    in_flight: set[Sent] = field(default_factory=set)
    touched: dict[str, int] = field(default_factory=dict)
    state: list[int] = field(default_factory=lambda: [0])
    state_tag: str | None = None
    compressed: int = 0
    surprises: list[str] = field(default_factory=list)
    _serial: int = 0

    async def run(self, stop: Callable[[], Awaitable[object]]) -> None:
        """Load the databuffer from many clients until `stop` has killed or stopped it."""
        async with client_session() as session:
            clients = [
                *(self._uploads(session, large=number == 0) for number in range(6)),
                *(self._appends(session) for _ in range(4)),
                *(self._chain(session, f"chain/{number}") for number in range(3)),
                *(self._keyed_appends(session) for _ in range(4)),
                *(self._segments(session) for _ in range(6)),
                *(self._keyed_segments(session) for _ in range(2)),
                self._curator(session),
                self._checkpoints(session),
                self._compresses(session),
            ]
            tasks = [asyncio.create_task(self._until_it_dies(client)) for client in clients]
            await stop()
            await asyncio.gather(*tasks)

    async def settle(self, known: dict[str, int]) -> None:
        """Send everything again whose outcome is unknown; `known` are the ledger's keys' LSNs."""
        async with client_session() as session:
            for sent in sorted(self.in_flight, key=lambda s: s.key):
                answer = await self._send_keyed(session, sent)
                if sent.key in known:
                    assert answer.status == 201, answer
                    assert answer.lsn == known[sent.key], f"{sent.key} was appended twice"
                elif answer.status != 201 and answer.json["code"] != "FROZEN":
                    self._surprise(sent.key, answer)
            for sent in self.random.sample(list(self.keyed), min(20, len(self.keyed))):
                self._expect_repeat(sent, await post(session, self.url, sent))

    async def _until_it_dies(self, client: Awaitable[None]) -> None:
        with contextlib.suppress(*ERRORS):
            await client

    def _unique(self) -> int:
        self._serial += 1
        return self._serial

    def _surprise(self, what: str, answer: Answer) -> None:
        self.surprises.append(f"{what}: {answer.status} {answer.body[:300]!r}")

    # blobs ----------------------------------------------------------------------------------

    async def _uploads(self, session: aiohttp.ClientSession, *, large: bool) -> None:
        while True:
            size = self.random.randrange(1 << 20, 5 << 20) if large else self._small()
            body = self.random.randbytes(64) * (size // 64 + 1)
            digest = sha256(body)
            by_name = self.random.random() < 0.5
            method, path = ("PUT", f"/blobs/sha256/{digest}") if by_name else ("POST", "/blobs")
            answer = await request(session, method, self.url + path, body)
            if answer.status == 201:
                assert answer.json == {"digest": f"sha256:{digest}", "size": len(body)}
                self.blobs[digest] = len(body)
            else:
                self._surprise(method, answer)

    def _small(self) -> int:
        return int(2 ** self.random.uniform(0, 16))

    # ledger ---------------------------------------------------------------------------------

    def _entry(self, **more: object) -> dict[str, Any]:
        data = {"id": self._unique(), "pad": "x" * self.random.randrange(200), '"crc":': 1}
        return {"type": "test.note", "actor": "load", "data": data, "keys": ["test/any"], **more}

    async def _appends(self, session: aiohttp.ClientSession) -> None:
        while True:
            entry = self._entry()
            self._appended(entry, await post_json(session, f"{self.url}/ledger", entry))

    async def _chain(self, session: aiohttp.ClientSession, key: str) -> None:
        """Append entries each of which expects the one before it."""
        while True:
            entry = self._entry(keys=[key], expect={key: self.touched.get(key, 0)})
            answer = await post_json(session, f"{self.url}/ledger", entry)
            if self._appended(entry, answer):
                self.touched[key] = answer.lsn

    def _appended(self, entry: dict[str, Any], answer: Answer) -> bool:
        if answer.status != 201:
            self._surprise("append", answer)
            return False
        assert answer.json == {"lsn": answer.lsn}
        assert answer.lsn not in self.entries, f"LSN {answer.lsn} was given twice"
        self.entries[answer.lsn] = entry["data"]
        return True

    async def _keyed_appends(self, session: aiohttp.ClientSession) -> None:
        while True:
            key = f"append-{self._unique()}"
            body = json.dumps(self._entry(idempotency_key=key)).encode()
            answer = await self._send_keyed(session, Sent("/ledger", body, key))
            if answer.status != 201:
                self._surprise("append", answer)
            if self.random.random() < 0.2:
                sent = self.random.choice(list(self.keyed)[-50:])
                self._expect_repeat(sent, await post(session, self.url, sent))

    async def _send_keyed(self, session: aiohttp.ClientSession, sent: Sent) -> Answer:
        self.in_flight.add(sent)
        answer = await post(session, self.url, sent)
        self.in_flight.discard(sent)
        if answer.status == 201:
            self.keyed[sent] = answer
        return answer

    def _expect_repeat(self, sent: Sent, answer: Answer) -> None:
        first = self.keyed[sent]
        if (answer.status, answer.body) != (first.status, first.body) or answer.lsn != first.lsn:
            self._surprise(f"{sent.key} again (first {first.body!r})", answer)

    async def _compresses(self, session: aiohttp.ClientSession) -> None:
        """Compress what is sealed of the ledger, again and again."""
        while True:
            answer = await request(session, "POST", f"{self.url}/ledger/compress")
            if answer.status != 200:
                self._surprise("compress", answer)
            self.compressed += answer.json.get("segments", 0)
            await asyncio.sleep(self.random.uniform(0, 0.1))

    # the streaming buffer -------------------------------------------------------------------

    def _segment(self) -> bytes:
        number = self._unique()
        count = self.random.choice([2, 30, 300])
        values = [self.random.uniform(-1e-18, 1e-18) for _ in range(count)]
        return json.dumps({"h": values, "t": [968654552 + number, 2**-14]}).encode()

    async def _segments(self, session: aiohttp.ClientSession) -> None:
        while True:
            body = self._segment()
            self._stored(body, await request(session, "POST", f"{self.url}/sendF", body))

    async def _keyed_segments(self, session: aiohttp.ClientSession) -> None:
        while True:
            key = f"segment-{self._unique()}"
            sent = Sent("/sendF", self._segment(), key)
            self._stored(sent.body, await self._send_keyed(session, sent))

    def _stored(self, body: bytes, answer: Answer) -> None:
        if answer.status == 201:
            assert answer.json["code"] == "RES_CREATE"
            written, name, *_, size, unit = answer.json["body"].split()
            assert (written, unit) == ("Written", "bytes")
            assert int(size) > 0
            self.segments.append(Stored(name, body, answer.lsn))
        elif (answer.status, answer.json["code"]) != (503, "FROZEN"):
            self._surprise("sendF", answer)

    async def _curator(self, session: aiohttp.ClientSession) -> None:
        """Freeze and clean the buffer now and then."""
        left = await request(session, "GET", f"{self.url}/dstat")
        if left.json["dstatus"] == "FROZEN":
            await request(session, "POST", f"{self.url}/cleanall")
        while True:
            for _ in range(int(2 ** self.random.uniform(0, 6))):  # the fewer the likelier
                await request(session, "GET", f"{self.url}/stat")
            who = {"user": f"curator{self._unique()}", "token": "secret"}
            frozen = await post_json(session, f"{self.url}/upddsc", who)
            if frozen.status == 201:
                self.freezes.append(frozen.lsn)
            else:
                self._surprise("upddsc", frozen)
            for _ in range(int(2 ** self.random.uniform(0, 4))):
                await request(session, "GET", f"{self.url}/dumpF")
            cleaned = await request(session, "POST", f"{self.url}/cleanall")
            if cleaned.status == 201:
                self.cleanings.append(cleaned.lsn)
            else:
                self._surprise("cleanall", cleaned)

    # state ----------------------------------------------------------------------------------

    async def _checkpoints(self, session: aiohttp.ClientSession) -> None:
        """Overwrite one state document by compare-and-swap."""
        url = f"{self.url}/state/checkpoint"
        now = await request(session, "GET", url)
        if now.status == 200:
            assert now.json["count"] in self.state, "a state document is neither old nor new"
            self.state, self.state_tag = [now.json["count"]], now.headers["etag"]
        else:
            assert now.status == 404, now
            assert 0 in self.state, "an acknowledged state document has gone"
            self.state, self.state_tag = [0], None
        while True:
            condition = {"If-Match": self.state_tag} if self.state_tag else {"If-None-Match": "*"}
            count = self._unique()
            self.state.append(count)
            body = json.dumps({"count": count}).encode()
            answer = await request(session, "PUT", url, body, condition)
            if answer.status not in {200, 201}:
                self._surprise("state", answer)
                return
            self.state, self.state_tag = [count], answer.headers["etag"]


def client_session() -> aiohttp.ClientSession:
    """Return a session for as many connections as one likes."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=30)
    )


async def request(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """Send one request over the session."""
    data = io.BytesIO(body) if body and len(body) > 1 << 20 else body
    async with session.request(method, url, data=data, headers=headers) as response:
        told = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, told, await response.read())


async def post(session: aiohttp.ClientSession, url: str, sent: Sent) -> Answer:
    """Send, for the first time or again, a request with an idempotency key."""
    return await request(session, "POST", url + sent.path, sent.body, sent.headers)


async def post_json(session: aiohttp.ClientSession, url: str, body: object) -> Answer:
    """Send a JSON body."""
    return await request(session, "POST", url, json.dumps(body).encode())
