"""A frozen streaming buffer never gains a segment, however many stream into it at that moment."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass

import pytest
from load import Answer, ask, at_once, ledger_entries, seeded
from long import at_length
from servers import databuffer, eventually, logic
from volume_oracle import VolumeOracle

STREAMERS = 32
MOST = 300


@pytest.fixture(scope="module")
def tiers(tmp_path_factory):
    """A databuffer and two replicas which freeze as soon as there is anything."""
    folder = tmp_path_factory.mktemp("tiers")
    with (
        databuffer(folder) as buffer,
        logic(buffer.url, folder, name="one", MAX_SIZE="1") as one,
        logic(buffer.url, folder, name="two", MAX_SIZE="1") as two,
    ):
        for pod in (one, two):
            eventually(lambda pod=pod: ask("GET", f"{pod.url}/readyz").status == 200)
        yield folder, buffer, one, two
        assert buffer.stop() == 0
        VolumeOracle(folder / "volume").check()


@pytest.fixture(autouse=True)
def _empty_buffer(tiers):
    """Begin with an empty, open buffer."""
    _, buffer, _, _ = tiers
    assert ask("POST", f"{buffer.url}/cleanall").status == 201


@dataclass(frozen=True)
class Attempt:
    """One segment: when it was sent, and what was answered."""

    sent: float
    size: int
    answer: Answer


def segment(number, serial):
    """Return a segment of its own."""
    values = [1e-21 * serial] * (1 + serial % 7)
    return json.dumps({"h": values, "t": [968654552 + number * 10_000 + serial, 0.25]}).encode()


def stream_until_refused(targets, number, stored):
    """Stream segments to the targets in turn until one is refused; return the attempts."""
    attempts = []
    while len(attempts) < MOST and (not attempts or attempts[-1].answer.status == 201):
        serial = len(attempts)
        body = segment(number, serial)
        sent = time.monotonic()
        answer = ask("POST", targets[(number + serial) % len(targets)], body)
        attempts.append(Attempt(sent, len(body), answer))
        stored.release()
    return attempts


@pytest.mark.parametrize("way", ["freezeds", "v1", "upddsc"])
@pytest.mark.parametrize("seed", at_length([1], [1, 2]))
def test_no_segment_is_acknowledged_after_the_freeze(tiers, seed, way):
    """32 streamers over both tiers: what was acknowledged is there, and nothing came afterwards."""
    _, buffer, one, two = tiers
    choose = seeded(seed)
    targets = [f"{one.url}/stream", f"{two.url}/stream", f"{buffer.url}/sendF"]
    freezes = {
        "freezeds": f"{one.url}/freezeds",
        "v1": f"{two.url}/api/v1/global-tags/stream/freeze",
        "upddsc": f"{buffer.url}/upddsc",
    }
    stored = threading.Semaphore(0)
    before = choose.randrange(STREAMERS, 6 * STREAMERS)

    def act(number):
        if number < STREAMERS:
            return stream_until_refused(targets, number, stored)
        for _ in range(before):
            assert stored.acquire(timeout=30)
        answer = ask("POST", freezes[way], {"user": "alice", "token": "secret"})
        return answer, time.monotonic()

    *parts, (freeze, frozen_at) = at_once(STREAMERS + 1, act)
    assert freeze.status in {200, 201}, freeze
    attempts = [attempt for part in parts for attempt in part]
    assert {attempt.answer.status for attempt in attempts} == {201, 503}
    taken = [attempt for attempt in attempts if attempt.answer.status == 201]
    assert len(taken) >= before - STREAMERS
    assert all(attempt.sent < frozen_at for attempt in taken)
    check_ledger(buffer, taken)
    expected = {"n_itm": len(taken), "buff_size": sum(attempt.size for attempt in taken)}
    for url in (f"{buffer.url}/stat", f"{one.url}/bufstat", f"{two.url}/bufstat"):
        assert ask("GET", url).json == expected
    late = at_once(12, lambda number: ask("POST", targets[number % 3], segment(99, number)))
    assert {answer.status for answer in late} == {503}
    check_frozen_tag(buffer, one, two, len(taken))
    if way == "freezeds":
        assert freeze.json == expected, "the figures must be those of what was frozen"
    assert ask("POST", f"{choose.choice((one, two)).url}/flushbuf").status == 201
    assert ask("GET", f"{buffer.url}/stat").json == {"n_itm": 0, "buff_size": 0}


def check_ledger(buffer, taken):
    """Check that the entries since the last cleaning are those acknowledged, then the freeze."""
    entries = ledger_entries(buffer.url)
    cleaned = max((e["lsn"] for e in entries if e["type"] == "buffer.cleaned"), default=0)
    period = [e for e in entries[cleaned:] if e["type"].startswith("buffer.")]
    *segments, last = period
    assert last["type"] == "buffer.frozen"
    assert {e["type"] for e in segments} == {"buffer.stored"}
    lsns = sorted(attempt.answer.lsn for attempt in taken)
    assert lsns == [e["lsn"] for e in segments]


def check_frozen_tag(buffer, one, two, count):
    """Check that both replicas show the same frozen tag with as many segments."""
    head = ask("GET", f"{buffer.url}/ledger/head").json["lsn"]
    tags = [
        ask("GET", f"{pod.url}/api/v1/global-tags/stream", None, {"X-Min-LSN": str(head)}).json
        for pod in (one, two)
    ]
    assert tags[0] == tags[1]
    assert tags[0]["state"] == "frozen"
    assert len(tags[0]["fingerprint"]) == 64
    assert tags[0]["payload_iov_count"] == count


def test_a_freeze_racing_with_a_cleaning_leaves_one_or_the_other(tiers):
    """Freeze and clean at once, again and again: ledger, files and both views tell the same."""
    folder, buffer, one, two = tiers
    for number in range(10):
        assert ask("POST", f"{one.url}/stream", segment(number, 1)).status == 201

        def act(number):
            if number % 2:
                return ask("POST", f"{one.url}/flushbuf")
            return ask("POST", f"{buffer.url}/upddsc", {"user": "bob", "token": "t"})

        assert {answer.status for answer in at_once(6, act)} == {201}
        head = ask("GET", f"{buffer.url}/ledger/head").json["lsn"]
        state = ask("GET", f"{buffer.url}/dstat").json
        for pod in (one, two):
            rows = ask("GET", f"{pod.url}/api/v1/global-tags", None, {"X-Min-LSN": str(head)}).json[
                "global_tags"
            ]
            archived = [row for row in rows if row["name"].startswith("stream-")]
            assert {row["state"] for row in archived} == {"frozen"}
            assert ask("GET", f"{pod.url}/dsdesc").json == state
        eventually(lambda: not [*(folder / "volume" / "adm").glob(".*")])  # nothing half replaced
        VolumeOracle(folder / "volume").check()
        assert ask("POST", f"{one.url}/flushbuf").status == 201
