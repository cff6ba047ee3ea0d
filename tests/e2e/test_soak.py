"""Both tiers under everything at once, for long: nothing they hold may grow.

`make soak MINUTES=120` prints the table; in each change it runs for seconds, and shows that the
load holds and that neither descriptors nor threads are lost.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import threading
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from callers import digest_of
from growth import HEADER, Allowance, Watch, family, held, size
from load import ask, seeded
from servers import bearer, databuffer, eventually, logic

from condstore import Client, NewIOV
from condstore.errors import Frozen, NotFound
from condstore.segments import Segment

MINUTES = float(os.environ.get("SOAK_MINUTES", "0.1"))
LONG = MINUTES > 5
ADMIN = "the-admin-of-the-soak-may-do-everything"
PAUSE = 0.02
ROWS = 200


@dataclass
class Soak:
    """What is done to both tiers, each in a thread, until `over`."""

    url: str
    buffer_url: str
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    serial: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def acts(self):
        """Everything there is to do, again and again."""
        return (
            *(self.resolve, self.resolve_many, self.insert_and_delete, self.clone_and_delete),
            *(self.stream, self.stream, self.freeze_and_flush, self.keep_and_fetch),
            *(self.give_and_revoke, self.follow_and_leave, self.look),
        )

    @contextlib.contextmanager
    def going_on(self):
        """Do all of it, until the block ends."""
        with Client(self.url, token=ADMIN) as client:
            client.create_tag("steady")
            client.insert_iovs("steady", rows("Beam", self.serial))
        with ThreadPoolExecutor(len(self.acts)) as pool:
            for act in self.acts:
                pool.submit(self._again, act)
            try:
                yield self
            finally:
                self.over.set()

    def _again(self, act):
        with Client(self.url, token=ADMIN) as client:
            while not self.over.wait(PAUSE):
                try:
                    act(client)
                    self.counts[act.__name__] += 1
                except Exception:  # noqa: BLE001 - whatever it is, the test tells it
                    self.failures.append(traceback.format_exc(limit=-4))
                    return

    def resolve(self, client):
        """One moment of a tag that does not change."""
        assert len(client.resolve("steady", 3).payloads) == 1

    def resolve_many(self, client):
        """Many moments at once, and a page of IOVs."""
        assert len(client.resolve_many("steady", range(100))) == 100
        assert len(list(client.iovs("steady", "Beam"))) == ROWS

    def insert_and_delete(self, client):
        """A tag that is filled in bulk, frozen as it stands, unfrozen and deleted."""
        name = f"bulk-{next(self.serial)}"
        client.create_tag(name)
        client.insert_iovs(name, rows("Bulk", self.serial))
        client.freeze_tag(name, report=False)
        client.unfreeze_tag(name, reason="the soak goes on")
        client.delete_tag(name)

    def clone_and_delete(self, client):
        """A clone that diverges, and goes."""
        name = f"clone-{next(self.serial)}"
        client.clone_tag("steady", name)
        client.insert_iovs(name, [NewIOV("Beam", 5, 6, name=f"other-{name}")])
        assert client.resolve(name, 5).payloads[0].name == f"other-{name}"
        client.delete_tag(name)

    def stream(self, client):
        """A segment, unless the buffer is frozen just now."""
        body = {"h": [1e-21] * 300, "t": [968654552 + next(self.serial), 0.003]}
        with contextlib.suppress(Frozen):
            client.stream_segment(Segment("strain", json.dumps(body).encode(), 300))

    def freeze_and_flush(self, client):
        """A filling of the buffer comes to its end now and then, and is kept as a tag."""
        if self.over.wait(60 if LONG else 3):
            return
        client.freeze_buffer("soak", "a token")
        client.flush_buffer()

    def keep_and_fetch(self, client):
        """A payload of its own, small or large, there and back."""
        serial = next(self.serial)
        content = seeded(serial).randbytes(2 << 20 if serial % 50 == 0 else serial % 5000)
        kept = client.put_payload(content)
        assert client.payload(kept.digest) == content
        assert kept.digest == digest_of(content)

    def give_and_revoke(self, client):
        """A token that is made, used and revoked."""
        made = client.make_token(f"soak-{next(self.serial)}", [("reader", ".*")], 3600)
        with Client(self.url, token=made.token) as other:
            other.whoami()
        client.revoke_token(made.id)
        self.over.wait(0.5)

    def follow_and_leave(self, _):
        """A follower that polls the ledger and goes away, waited for or not."""
        parts = urlsplit(self.buffer_url)
        with socket.create_connection((parts.hostname, parts.port)) as follower:
            follower.sendall(b"GET /ledger?after=0&limit=1 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert follower.recv(100).startswith(b"HTTP/1.1 200")
            follower.sendall(b"GET /ledger?after=0&limit=1&wait=30 HTTP/1.1\r\nHost: x\r\n\r\n")
        self.over.wait(0.2)

    def look(self, client):
        """What monitors and browsers ask for."""
        for path in ("/metrics", "/readyz", "/", "/api/v1/global-tags"):
            assert ask("GET", self.url + path, None, bearer(ADMIN)).status == 200
        for path in ("/metrics", "/readyz", "/stat"):
            assert ask("GET", self.buffer_url + path).status == 200
        with contextlib.suppress(NotFound):
            client.tag("nothing-of-that-name")
        self.over.wait(1.0)


def rows(payload_type, serial):
    """Return payload IOVs of payloads that are kept elsewhere."""
    first = next(serial)
    return [NewIOV(payload_type, at, at + 1, name=f"{first}-{at}") for at in range(ROWS)]


def everything(buffer, pod, folder):
    """Return what tells all that is held: by each process, and on disk beside the volume."""
    arbiter, *workers = family(pod.process.pid)
    names = {"arbiter": arbiter, **{f"worker {n}": pid for n, pid in enumerate(workers, 1)}}
    view = folder / "logic.sqlite"

    def look():
        found = held("databuffer", buffer.process.pid)
        for name, pid in names.items():
            found |= held(name, pid)
        return found | {
            "view WAL MiB": size(view.with_name("logic.sqlite-wal")),
            "metrics files MiB": size(view.with_name("logic.sqlite.metrics")),
            "index WAL MiB": size(folder / "volume/ledger/index.sqlite-wal"),
            "on disk: view MiB": size(view),
            "on disk: ledger MiB": size(folder / "volume/ledger"),
        }

    return look


def allowed(name):
    """Return by how much a figure may grow: what is kept grows with what is stored, all else not.

    Caches fill for minutes, so memory is judged when there was time for that.
    """
    if name.startswith("on disk"):
        return Allowance(float("inf"))
    if "memory" in name:
        return Allowance(16, 0.10) if LONG else Allowance(30)
    if "WAL" in name or "files" in name:
        return Allowance(4, 0.10)
    return Allowance(6 if LONG else 25)  # connections and threads come as they are needed


@pytest.mark.timeout(600 + 90 * MINUTES)
def test_under_everything_at_once_nothing_grows(tmp_path):
    """Memory, descriptors, threads, logs of SQLite, files of the metrics: flat once it is warm."""
    settings = {"ADMIN_TOKEN": ADMIN, "MAX_SIZE": "1", "RATE_READS": "none", "RATE_WRITES": "none"}
    with databuffer(tmp_path) as buffer, logic(buffer.url, tmp_path, **settings) as pod:
        eventually(lambda: ask("GET", f"{pod.url}/readyz").json.get("writes"))
        soak = Soak(pod.url, buffer.url)
        watch = Watch(everything(buffer, pod, tmp_path), max(0.2, MINUTES * 60 / 1000))
        until = time.monotonic() + 60 * MINUTES
        with soak.going_on(), watch.watching():
            while time.monotonic() < until and not soak.failures:
                time.sleep(0.2)
        assert soak.failures == []
        verdicts = watch.verdicts(allowed)
        done = ", ".join(f"{name} {count}" for name, count in sorted(soak.counts.items()))
        print(f"\n{MINUTES:g} minutes: {done}", HEADER, *verdicts, sep="\n")
        assert {act.__name__ for act in soak.acts} - {"freeze_and_flush"} <= soak.counts.keys()
        assert [str(verdict) for verdict in verdicts if verdict.grew] == []
        for running in (pod, buffer):
            assert "Traceback" not in running.log.read_text()
            assert running.stop() == 0
