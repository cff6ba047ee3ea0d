"""Restarts under load: of the logic tier's replicas one by one, and of the databuffer.

Before the replicas stands what Kubernetes puts there: a forwarder of connections, which hears of a
replica's end a little later than that replica.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from callers import RESOLVE, Callers, digest_of
from forwarder import forwarding
from load import ask, ledger_entries, seeded
from long import at_length
from servers import databuffer, eventually, logic
from volume_oracle import VolumeOracle

if TYPE_CHECKING:
    from forwarder import Forwarder
    from servers import Running

AT_ONCE = at_length(1, 3)
PAYLOAD = seeded(6).randbytes(3 << 20)
HEARD_LATER = 0.3


@dataclass(frozen=True)
class Tiers:
    """Both tiers, and what stands before the replicas."""

    buffer: Running
    replicas: tuple[Running, Running]
    forwarder: Forwarder

    @property
    def urls(self):
        """Where each replica is by itself."""
        return [replica.url for replica in self.replicas]


@pytest.fixture(scope="module")
def tiers(tmp_path_factory):
    """A databuffer and two replicas before which a forwarder stands, with a tag and a payload."""
    folder = tmp_path_factory.mktemp("restarts")
    with (
        databuffer(folder, DRAIN_SECONDS="0.2") as buffer,
        logic(buffer.url, folder, name="one", DRAIN_SECONDS="1") as one,
        logic(buffer.url, folder, name="two", DRAIN_SECONDS="1") as two,
        forwarding(one.url, two.url) as forwarder,
    ):
        for replica in (one, two):
            seen_ready(replica)
        assert ask("POST", f"{one.url}/api/v1/global-tags", {"name": "run3"}).status == 201
        stored = ask("POST", f"{one.url}/stream?tag=run3&type=Beam&major=7&major_end=9", PAYLOAD)
        assert stored.status == 201
        for replica in (one, two):
            seen = ask("GET", replica.url + RESOLVE, None, {"X-Min-LSN": str(stored.lsn)})
            assert seen.status == 200
        yield Tiers(buffer, (one, two), forwarder)
        logs = [running.log.read_text() for running in (buffer, one, two)]
        assert "Traceback" not in "".join(logs)
        assert buffer.stop() == 0
        VolumeOracle(folder / "volume").check()


def seen_ready(replica):
    """Wait until the replica reads and writes."""
    eventually(lambda: ask("GET", f"{replica.url}/readyz").json.get("writes"))


def check_kept(buffer, callers):
    """Check that each acknowledged segment is in the ledger once, and none is there twice."""
    entries = [e for e in ledger_entries(buffer.url) if e["type"] == "buffer.stored"]
    stored = Counter(entry["data"]["digest"] for entry in entries)
    for kind, told in callers.told.items():
        assert [digest for digest in told.kept if stored[digest] != 1] == [], kind
    assert stored.most_common(1)[0][1] == 1


def roll(replica, forwarder, callers):
    """Stop a replica and start it again as Kubernetes does it; return how long it took to stop."""
    began = time.monotonic()
    replica.process.send_signal(signal.SIGTERM)
    time.sleep(HEARD_LATER)
    forwarder.take_out(replica.url)
    assert replica.ended(within=18) == 0
    took = time.monotonic() - began
    eventually(callers.moved_on())
    replica.restart()
    seen_ready(replica)
    forwarder.put_back(replica.url)
    eventually(callers.moved_on())
    return took


def test_replicas_restarted_one_by_one_fail_nobody(tiers):
    """No read and no write fails, not even of who tries nothing again; nothing is lost or twice."""
    callers = Callers(many=AT_ONCE)
    with callers.calling(tiers.forwarder.url, tiers.urls, digest_of(PAYLOAD)):
        eventually(callers.moved_on())
        stopped = [
            roll(replica, tiers.forwarder, callers)
            for _ in range(at_length(1, 10))
            for replica in tiers.replicas
        ]
    print(f"stopped in {stopped} s;", {kind: t.counts for kind, t in callers.told.items()})
    assert {kind: told.failures for kind, told in callers.told.items() if told.failures} == {}
    assert callers.told["plain reads"].counts.keys() == {"read 200"}
    assert callers.told["plain writes"].counts.keys() == {"write 201"}
    assert tiers.forwarder.refused == 0
    assert max(stopped) < 10
    check_kept(tiers.buffer, callers)


def away_and_back(buffer, how, callers):
    """Stop or kill the databuffer, and start it again."""
    if how == "stopped":
        assert buffer.stop() == 0
    else:
        buffer.kill()
    buffer.restart()
    eventually(callers.moved_on(), within=30)


def test_a_databuffer_restarted_fails_no_read_and_loses_no_write(tiers):
    """Resolving goes on; who does not try again is told to; the library's callers see nothing."""
    callers = Callers(many=AT_ONCE)
    with callers.calling(tiers.forwarder.url, tiers.urls, digest_of(PAYLOAD)):
        eventually(callers.moved_on())
        for how in ("stopped", "killed") * at_length(1, 10):
            away_and_back(tiers.buffer, how, callers)
    print({kind: told.counts for kind, told in callers.told.items()})
    assert {kind: told.failures for kind, told in callers.told.items() if told.failures} == {}
    assert callers.told["plain reads"].counts.keys() == {"read 200"}
    plain = callers.told["plain writes"]
    assert plain.counts.keys() <= {"write 201", "write 503"}
    assert len(plain.waits) == plain.counts["write 503"]
    check_kept(tiers.buffer, callers)
