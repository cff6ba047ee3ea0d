"""Restarts under load: of the logic tier's replicas one by one, and of the databuffer.

Before the replicas stands what Kubernetes puts there: a forwarder of connections, which hears of a
replica's end a little later than that replica.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections import Counter

import pytest
from callers import RESOLVE, Callers, digest_of
from forwarder import forwarding
from load import ask, ledger_entries, seeded
from long import at_length
from servers import databuffer, eventually, logic
from volume_oracle import VolumeOracle

ROUNDS = at_length(1, 10)
PAYLOAD = seeded(6).randbytes(3 << 20)
HEARD_LATER = 0.3


@contextlib.contextmanager
def both_tiers(folder, **environ):
    """Run a databuffer and two replicas before which a forwarder stands, with a tag and a payload.

    When all is over, each acknowledged segment is in the ledger once, and none is there twice.
    """
    with (
        databuffer(folder, **environ) as buffer,
        logic(buffer.url, folder, name="one", **environ) as one,
        logic(buffer.url, folder, name="two", **environ) as two,
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
        yield buffer, (one, two), forwarder
        assert "Traceback" not in "".join(running.log.read_text() for running in (buffer, one, two))


def seen_ready(replica):
    """Wait until the replica reads and writes."""
    eventually(lambda: ask("GET", f"{replica.url}/readyz").json.get("writes"), within=20)


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
    assert replica.ended(within=15) == 0
    took = time.monotonic() - began
    eventually(callers.moved_on(), within=20)
    replica.restart()
    seen_ready(replica)
    forwarder.put_back(replica.url)
    eventually(callers.moved_on(), within=20)
    return took


def test_replicas_restarted_one_by_one_fail_nobody(tmp_path):
    """No read and no write fails, not even of who tries nothing again; nothing is lost or twice."""
    callers = Callers()
    with both_tiers(tmp_path, DRAIN_SECONDS="1") as (buffer, replicas, forwarder):
        one_by_one = [replica for _ in range(ROUNDS) for replica in replicas]
        urls = [replica.url for replica in replicas]
        with callers.calling(forwarder.url, urls, digest_of(PAYLOAD)):
            eventually(callers.moved_on(10), within=20)
            stopped = [roll(replica, forwarder, callers) for replica in one_by_one]
        print(f"stopped in {stopped} s;", {kind: t.counts for kind, t in callers.told.items()})
        assert {kind: told.failures for kind, told in callers.told.items() if told.failures} == {}
        assert callers.told["plain reads"].counts.keys() == {"read 200"}
        assert callers.told["plain writes"].counts.keys() == {"write 201"}
        assert forwarder.refused == 0
        assert max(stopped) < 10
        check_kept(buffer, callers)


def away_and_back(buffer, how, callers):
    """Stop or kill the databuffer, and start it again."""
    if how == "stopped":
        assert buffer.stop() == 0
    else:
        buffer.kill()
    buffer.restart()
    eventually(callers.moved_on(), within=30)


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_databuffer_restarted_fails_no_read_and_loses_no_write(tmp_path, how):
    """Resolving goes on; who does not try again is told to; the library's callers see nothing."""
    callers = Callers()
    with both_tiers(tmp_path) as (buffer, replicas, forwarder):
        urls = [replica.url for replica in replicas]
        with callers.calling(forwarder.url, urls, digest_of(PAYLOAD)):
            eventually(callers.moved_on(10), within=20)
            for _ in range(at_length(2, 10)):
                away_and_back(buffer, how, callers)
        print({kind: told.counts for kind, told in callers.told.items()})
        assert {kind: told.failures for kind, told in callers.told.items() if told.failures} == {}
        assert callers.told["plain reads"].counts.keys() == {"read 200"}
        plain = callers.told["plain writes"]
        assert plain.counts.keys() <= {"write 201", "write 503"}
        assert len(plain.waits) == plain.counts["write 503"]
        check_kept(buffer, callers)
        assert buffer.stop() == 0
        VolumeOracle(tmp_path / "volume").check()
