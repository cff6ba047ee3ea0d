"""A databuffer with entries that name payloads, and what a backup of it must hold."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import urllib3
from aiohttp import web
from volume_oracle import LedgerReader

from condstore import backup
from databuffer.app import create_app
from databuffer.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers import Running

LARGE = 5 << 20
"""Bytes of a payload that a databuffer does not send together with others."""


@dataclass(frozen=True, slots=True)
class Here:
    """A databuffer in a thread of this process."""

    url: str


@contextmanager
def databuffer_here(
    folder: Path, ahead: timedelta = timedelta(0), **environ: str
) -> Iterator[Here]:
    """Run a databuffer whose volume is `folder/volume` in a thread; it is not to be killed.

    By how much its clock is `ahead` shows in the `Date` of its answers, not in its ledger.
    """
    config = Config.from_environ({"VOLUME_ROOT": str(folder / "volume"), **environ})
    app = create_app(config)

    async def tell_date(_: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = format_datetime(datetime.now(UTC) + ahead, usegmt=True)

    app.on_response_prepare.append(tell_date)
    started: Future[str] = Future()
    loop, ended = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        runner = web.AppRunner(app, handler_cancellation=True)
        try:
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            started.set_result("http://{}:{}".format(*runner.addresses[0]))
            await ended.wait()
        except BaseException as error:
            started.set_exception(error)
            raise
        finally:
            await runner.cleanup()

    with ThreadPoolExecutor(1) as pool:
        served = pool.submit(loop.run_until_complete, serve())
        try:
            yield Here(started.result(30))
        finally:
            loop.call_soon_threadsafe(ended.set)
            served.result(30)
            loop.close()


@dataclass
class Store:
    """A databuffer that is written to; `payloads` are the bytes an entry names, by its LSN."""

    running: Any
    headers: dict[str, str] = field(default_factory=dict)
    payloads: dict[int, bytes] = field(default_factory=dict)
    http: urllib3.PoolManager = field(
        default_factory=lambda: urllib3.PoolManager(retries=False, maxsize=4)
    )

    @property
    def url(self) -> str:
        """Where the databuffer is."""
        return self.running.url

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Any:
        """Send a request that must succeed; return its answer's JSON."""
        told = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.http.request(method, self.url + path, body=body, headers=told)
        assert answer.status in {200, 201}, answer.data
        return answer.json() if answer.data else None

    def put(self, content: bytes) -> int:
        """Store a payload and an entry that names it; return its LSN."""
        digest = self.ask("POST", "/blobs", content)["digest"]
        attached = {"digest": [digest], "size": [len(content)]}
        entry = {"type": "iov.created", "actor": "test", "data": {"iov": attached}, "keys": []}
        lsn = self.ask("POST", "/ledger", json.dumps(entry).encode())["lsn"]
        self.payloads[lsn] = content
        return int(lsn)

    def note(self, text: str) -> None:
        """Append an entry that says something."""
        entry = {"type": "test.note", "actor": "test", "data": {"note": text}, "keys": []}
        self.ask("POST", "/ledger", json.dumps(entry).encode())

    @contextmanager
    def under_load(self) -> Iterator[None]:
        """Go on putting payloads while the block runs."""
        ended = threading.Event()

        def go_on() -> None:
            count = 0
            while not ended.is_set():
                self.put(b"under load %d" % (count := count + 1))

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(30)

    def expect(self, volume: Path, lsn: int) -> None:
        """Check that a volume holds every payload up to an LSN, byte for byte, and no other."""
        stored = {hashlib.sha256(content).hexdigest(): content for content in self.up_to(lsn)}
        found = {path.name: path for path in (volume / "blobs").rglob("*") if path.is_file()}
        assert set(found) == set(stored)
        assert all(found[name].read_bytes() == content for name, content in stored.items())

    def up_to(self, lsn: int) -> list[bytes]:
        """Return the payloads that entries up to an LSN name."""
        return [content for known, content in self.payloads.items() if known <= lsn]


def sound(directory: Path) -> backup.Record:
    """Return the record of a backup that has nothing wrong."""
    checked = backup.verify(directory)
    assert not checked.problems, checked
    return checked.record


def files(directory: Path) -> dict[str, str]:
    """Return the digest of every file in a directory."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file()
    }


def entries(running: Here | Running, folder: Path) -> list[dict[str, Any]]:
    """Return the ledger of a databuffer, every line checked by the oracle."""
    http = urllib3.PoolManager(retries=False)
    lines, after = [], 0
    while page := http.request("GET", f"{running.url}/ledger?after={after}").data.splitlines():
        lines += page
        after = len(lines)
    http.clear()
    plain = folder / "plain"
    plain.mkdir()
    (plain / f"{1:020d}.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    return LedgerReader(plain).catch_up()
