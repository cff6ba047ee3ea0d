"""A load generator in a process of its own, lean enough to leave two cores to the servers.

One epoll loop, raw sockets, ready-made requests; each client sends its next request when the
answer to the last has come. Bodies of answers are counted, never copied out of the kernel.
It understands only what it needs: keep-alive answers with a Content-Length.
"""

from __future__ import annotations

import multiprocessing
import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
Part = bytes | memoryview
Request = Sequence[Part]
Script = Callable[[int], Iterator[Request]]

_HEAD_LIMIT = 65536
_DISCARD = 2**20
_GIVE_UP = 60.0
_BODILESS = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Job:
    """What to ask: each client runs `script(its number)` against the port.

    It ends after so many seconds, or after `count` requests altogether if that comes first, or
    when no client has any more. Any status outside `accept` is a failed benchmark.
    """

    port: int
    script: Script
    clients: int = 1
    seconds: float = 1.0
    count: int = 2**63
    accept: frozenset[int] = frozenset({200, 201})


@dataclass(frozen=True, slots=True)
class Result:
    """What came back: requests a second, latencies in seconds, CPU of the load generator."""

    rate: float
    p50: float
    p99: float
    elapsed: float
    cpu: float
    reconnects: int


class Refused(Exception):
    """A server answered what the benchmark did not expect."""


class Generator:
    """The process that makes the load; use it as a context manager."""

    def __enter__(self) -> Generator:
        self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        self._pool.submit(time.process_time).result()  # its start is no part of a measurement
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def run(self, job: Job) -> Result:
        """Do the job there and wait for its result."""
        return self.call(perform, job)

    def call(self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call something else there, out of this process's way."""
        return self._pool.submit(act, *args, **kwargs).result()


def perform(job: Job) -> Result:
    """Do the job in this process."""
    cpu = time.process_time()
    work = _Work(job)
    work.run()
    elapsed = work.last - work.begun
    took = sorted(work.latencies)
    return Result(
        rate=len(took) / elapsed,
        p50=took[len(took) // 2],
        p99=took[min(len(took) - 1, len(took) * 99 // 100)],
        elapsed=elapsed,
        cpu=time.process_time() - cpu,
        reconnects=work.reconnects,
    )


@dataclass(slots=True)
class _Client:
    sock: socket.socket
    requests: Iterator[Request]
    request: Request = ()
    unsent: list[memoryview] = field(default_factory=list)
    begun: float = 0.0
    head: bytes = b""
    missing: int = -1  # bytes of the answer's body still to come; -1: the head is not complete


class _Work:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.latencies: list[float] = []
        self.begun = self.last = 0.0
        self.reconnects = 0
        self._given = 0
        self._busy = 0
        self._into = bytearray(_DISCARD)
        self._epoll = select.epoll()
        self._clients: dict[int, _Client] = {}

    def run(self) -> None:
        for number in range(self.job.clients):
            self._open(_Client(_connected(self.job.port), self.job.script(number)))
        self.begun = time.perf_counter()
        for client in list(self._clients.values()):
            self._next(client)
        while self._busy:
            events = self._epoll.poll(_GIVE_UP)
            if not events:
                raise Refused(f"no answer within {_GIVE_UP:.0f} s")
            for number, event in events:
                client = self._clients[number]
                if event & select.EPOLLOUT:
                    self._send_more(client)
                else:
                    self._receive(client)
        for client in self._clients.values():
            client.sock.close()
        self._epoll.close()

    def _open(self, client: _Client) -> None:
        self._clients[client.sock.fileno()] = client
        self._epoll.register(client.sock.fileno(), select.EPOLLIN)

    def _next(self, client: _Client) -> None:
        now = time.perf_counter()
        if self._given >= self.job.count or (client.begun and now - self.begun > self.job.seconds):
            return
        if (request := next(client.requests, None)) is None:
            return
        self._given += 1
        self._busy += 1
        client.begun = now
        client.request = request
        self._begin(client)

    def _begin(self, client: _Client) -> None:
        client.head, client.missing = b"", -1
        client.unsent = [memoryview(part) for part in client.request]
        self._send(client)
        if client.unsent:
            self._epoll.modify(client.sock.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def _send(self, client: _Client) -> None:
        try:
            sent = client.sock.sendmsg(client.unsent)
        except BlockingIOError:
            return
        while client.unsent and sent >= len(client.unsent[0]):
            sent -= len(client.unsent.pop(0))
        if client.unsent:
            client.unsent[0] = client.unsent[0][sent:]

    def _send_more(self, client: _Client) -> None:
        self._send(client)
        if not client.unsent:
            self._epoll.modify(client.sock.fileno(), select.EPOLLIN)

    def _receive(self, client: _Client) -> None:
        try:
            if client.missing >= 0:
                self._read_body(client)
            else:
                self._read_head(client)
        except BlockingIOError:
            return
        if client.missing == 0:
            self._finish(client)

    def _read_head(self, client: _Client) -> None:
        got = client.sock.recv(_HEAD_LIMIT)
        if not got:
            self._reopen(client)
            return
        client.head += got
        end = client.head.find(b"\r\n\r\n")
        if end >= 0:
            if (status := int(client.head[9:12])) not in self.job.accept:
                raise Refused(" ".join(client.head[:1000].decode("latin-1").split()))
            announced = 0 if status in _BODILESS else length(client.head[:end])
            client.missing = announced - (len(client.head) - end - 4)

    def _read_body(self, client: _Client) -> None:
        got = client.sock.recv_into(self._into, 0, socket.MSG_TRUNC)
        if not got:
            raise Refused("the connection ended within an answer")
        client.missing -= got

    def _reopen(self, client: _Client) -> None:
        """Ask again on a new connection: a server may close one that it kept alive."""
        if client.head or client.unsent:
            raise Refused("the connection ended within a request")
        self._epoll.unregister(client.sock.fileno())
        del self._clients[client.sock.fileno()]
        client.sock.close()
        client.sock = _connected(self.job.port)
        self._open(client)
        self.reconnects += 1
        self._begin(client)

    def _finish(self, client: _Client) -> None:
        self._busy -= 1
        self.last = time.perf_counter()
        self.latencies.append(self.last - client.begun)
        self._next(client)


def _connected(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    return sock


def length(head: bytes) -> int:
    """Return the length of the body that an answer's head announces."""
    lower = head.lower()
    at = lower.find(b"\r\ncontent-length:")
    if at < 0:
        raise Refused(f"an answer without Content-Length: {head!r}")
    return int(lower[at + 17 :].split(b"\r\n", 1)[0])


def get(path: str, *headers: str) -> bytes:
    """Return a GET request, ready to send."""
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: benchmark", *headers, "", "")).encode()


def post(path: str, length: int, content_type: str = "application/json") -> bytes:
    """Return the head of a POST request whose body of `length` bytes follows."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: benchmark\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()
