"""Callers of the logic tier while something is restarted under them, and what they were told.

Each kind is as patient as it is, no more: `plain` tries nothing again, `library` and `producer`
as the library does by itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import itertools
import json
import threading
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from condstore import Client
from condstore.producer import Producer
from condstore.segments import Segment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

TAG = "/api/v1/global-tags/run3"
RESOLVE = f"{TAG}/payloads?major=8"
SERIAL = itertools.count()


@dataclass
class Told:
    """What one kind of callers got: how often what, what they count as failures, what was kept."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    """Digests of the segments that were acknowledged."""
    waits: list[str] = field(default_factory=list)
    """Segments that a plain caller was told to bring again, and did not."""


@dataclass
class Callers:
    """Callers of every kind; what each kind was `told`."""

    many: int
    told: dict[str, Told] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)

    def kinds(
        self, one: str, replicas: Sequence[str], digest: str
    ) -> dict[str, Callable[[Told], None]]:
        """Return what calls: `one` URL of all replicas, or each by its own."""
        return {
            "plain reads": lambda told: self._plain_reads(told, one),
            "plain writes": lambda told: self._plain_writes(told, one),
            "library by one URL": lambda told: self._library(told, [one], digest),
            "library by two URLs": lambda told: self._library(told, replicas, digest),
            "producer": lambda told: self._produce(told, one),
            "downloads": lambda told: self._downloads(told, one, digest),
        }

    @contextmanager
    def calling(self, one: str, replicas: Sequence[str], digest: str) -> Iterator[Callers]:
        """Call, `many` of each kind, until the block ends."""
        kinds = self.kinds(one, replicas, digest)
        self.told = {kind: Told() for kind in kinds}
        with ThreadPoolExecutor(self.many * len(kinds)) as pool:
            for kind, call in [*kinds.items()] * self.many:
                pool.submit(self._noting, call, self.told[kind])
            try:
                yield self
            finally:
                self.stopping.set()

    def moved_on(self, by: int = 3) -> Callable[[], bool]:
        """Return what tells whether every kind has been answered so many times more by then."""
        before = {kind: told.counts.total() for kind, told in self.told.items()}
        return lambda: all(
            told.counts.total() >= before[kind] + by or told.failures
            for kind, told in self.told.items()
        )

    def _noting(self, call: Callable[[Told], None], told: Told) -> None:
        try:
            call(told)
        except Exception:  # noqa: BLE001 - whatever a caller meets is what the test is about
            told.failures.append(traceback.format_exc(limit=-3))

    def _plain_reads(self, told: Told, url: str) -> None:
        with closing(_connection(url)) as connection:
            while not self.stopping.is_set():
                status, _ = _asked(connection, told, "GET", RESOLVE)
                told.counts[f"read {status}"] += 1

    def _plain_writes(self, told: Told, url: str) -> None:
        with closing(_connection(url)) as connection:
            while not self.stopping.is_set():
                body = segment().body
                status, retry_after = _asked(connection, told, "POST", "/stream", body)
                told.counts[f"write {status}"] += 1
                if status == 201:
                    told.kept.append(digest_of(body))
                elif status == 503 and retry_after is not None:
                    told.waits.append(digest_of(body))

    def _library(self, told: Told, urls: Sequence[str], digest: str) -> None:
        with Client(urls) as client:
            while not self.stopping.is_set():
                assert client.resolve("run3", 8).payloads[0].digest == digest
                told.counts["resolved"] += 1
                new = segment()
                client.stream_segment(new)
                told.counts["streamed"] += 1
                told.kept.append(digest_of(new.body))

    def _downloads(self, told: Told, url: str, digest: str) -> None:
        with Client(url) as client:
            while not self.stopping.is_set():
                assert digest_of(client.payload(digest)) == digest
                told.counts["downloaded"] += 1

    def _produce(self, told: Told, url: str) -> None:
        async def segments() -> AsyncIterator[Segment]:
            while not self.stopping.is_set():
                made.append(segment())
                yield made[-1]

        made: list[Segment] = []
        producer = Producer(url, in_flight=4, tell=lambda _: told.counts.update(["produced"]))
        report = asyncio.run(producer.stream(segments()))
        assert report.segments == len(made)
        told.kept += [digest_of(one.body) for one in made]


def segment() -> Segment:
    """Return a segment that nobody else has."""
    at = 968654552 + next(SERIAL)
    return Segment("strain", json.dumps({"h": [1e-21, 2e-21], "t": [at, 0.5]}).encode(), 2)


def digest_of(body: bytes) -> str:
    """Return the digest under which the bytes are kept."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _connection(url: str) -> http.client.HTTPConnection:
    """Return a connection that is opened when needed, kept alive, and ends when told so."""
    parts = urlsplit(url)
    return http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)


def _asked(
    connection: http.client.HTTPConnection,
    told: Told,
    method: str,
    path: str,
    body: bytes | None = None,
) -> tuple[int, str | None]:
    """Send one request, once; return its status and when to come again."""
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException) as error:
        told.failures.append(f"{method} {path}: {error!r}")
        connection.close()
        return 0, None
    return answer.status, answer.headers.get("Retry-After")
