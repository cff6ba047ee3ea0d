"""The databuffer goes away under the logic tier, comes back, or comes back as another one."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import signal
import threading
from collections import Counter

import pytest
from load import AWAY, ask, at_once, insist, ledger_entries, seeded
from servers import databuffer, eventually, logic
from volume_oracle import VolumeOracle, sha256

TAG = "/api/v1/global-tags/run3"
PAYLOAD = "/stream?tag=run3&type=Beam&major=7&major_end=9"
MOMENT = f"{TAG}/payloads?major=8"


def segment(number):
    """Return a segment of its own."""
    return json.dumps({"h": [1e-21, 2e-21], "t": [968654552 + number, 0.5]}).encode()


@pytest.fixture
def tiers(tmp_path):
    """A databuffer and a replica of two workers, with a tag, a payload and two segments."""
    patience = {"BUFFER_TIMEOUT": "2", "VIEW_WAIT": "2", "MAX_SIZE": "1"}
    with databuffer(tmp_path) as buffer, logic(buffer.url, tmp_path, **patience) as pod:
        seen_back(pod)
        assert ask("POST", f"{pod.url}/api/v1/global-tags", {"name": "run3"}).status == 201
        assert ask("POST", pod.url + PAYLOAD, b"the payload").status == 201
        for number in range(2):
            assert ask("POST", f"{pod.url}/stream", segment(number)).status == 201
        yield tmp_path, buffer, pod
        assert "Traceback" not in pod.log.read_text()


def seen_away(pod):
    """Wait until the replica has noticed that the databuffer is away."""
    eventually(lambda: ask("GET", f"{pod.url}/readyz").json.get("databuffer") == "away")


def seen_back(pod):
    """Wait until the replica has noticed that the databuffer is there."""
    eventually(lambda: ask("GET", f"{pod.url}/readyz").json.get("writes"), within=20)


def check_reads(pod, before, *, away):
    """Check that every read answers as before, and says so if it is from the view alone."""
    for path, told in before.items():
        answer = ask("GET", pod.url + path)
        assert answer.status == 200, (path, answer)
        assert answer.json == told, path
        assert answer.headers.get("x-databuffer") == ("away" if away else None), path
        assert answer.lsn > 0, path


def read_all(pod):
    """Return what every read answers."""
    paths = ("/bufstat", "/dsdesc", "/dumpf", "/dumpflog", "/api/v1/global-tags", TAG, MOMENT)
    return {path: ask("GET", pod.url + path).json for path in paths}


WRITES = {
    "/stream": segment(3),
    PAYLOAD: b"another payload",
    "/api/v1/global-tags": b'{"name":"run4"}',
    f"{TAG}/freeze": b"",
    "/api/v1/global-tags/stream/freeze": b"",
    "/api/v1/payloads": b"a blob",
    "/freezeds": b'{"user":"alice","token":"secret"}',
    "/flushbuf": b"",
}


@pytest.mark.parametrize("way", ["killed", "hanging"])
def test_while_the_databuffer_is_away_reads_go_on_and_writes_say_when_to_come_back(tiers, way):
    """Reads say they are from the view; writes get 503 and Retry-After; afterwards all goes on."""
    _, buffer, pod = tiers
    before = read_all(pod)
    if way == "killed":
        buffer.kill()
    else:
        buffer.process.send_signal(signal.SIGSTOP)
    try:
        sent = list(WRITES.items())
        told = at_once(len(sent), lambda n: ask("POST", pod.url + sent[n][0], sent[n][1]))
        if way == "killed":  # one that hangs is noticed only when a long poll does not end
            seen_away(pod)
            check_reads(pod, before, away=True)
            ready = ask("GET", f"{pod.url}/readyz")
            assert (ready.status, ready.json["writes"]) == (200, False)
        for path in ("/bufstat", MOMENT):
            assert ask("GET", pod.url + path).json == before[path]
        assert ask("GET", f"{pod.url}/livez").status == 200
        assert ask("GET", f"{pod.url}/").status == 200
        fetched = ask("GET", f"{pod.url}/api/v1/payloads/sha256/{sha256(b'the payload')}")
        assert (fetched.status, int(fetched.headers["retry-after"]) > 0) == (503, True)
        for path, answer in zip(WRITES, told, strict=True):
            assert answer.status == 503, (path, answer)
            assert int(answer.headers["retry-after"]) > 0, path
    finally:
        if way == "hanging":
            buffer.process.send_signal(signal.SIGCONT)
    if way == "killed":
        buffer.restart()
        seen_back(pod)
        check_reads(pod, before, away=False)
    seen_back(pod)
    # What was sent to one that hung may yet have been done: so the buffer is cleaned first.
    for path in ("/flushbuf", PAYLOAD, "/stream", f"{TAG}/freeze", "/freezeds"):
        answer = insist([pod.url], path, WRITES[path], f"back {path[-9:]}")
        assert answer.status in {200, 201} or answer.json["code"] == "tag_frozen", (path, answer)


def test_a_download_waits_for_a_databuffer_that_restarts(tmp_path):
    """One of four threads may wait for it; others come again, and what the view knows is told."""
    patience = {"VIEW_WAIT": "30", "THREADS": "4"}
    with databuffer(tmp_path) as buffer, logic(buffer.url, tmp_path, workers=1, **patience) as pod:
        seen_back(pod)
        assert ask("POST", f"{pod.url}/api/v1/global-tags", {"name": "run3"}).status == 201
        assert ask("POST", pod.url + PAYLOAD, b"the payload").status == 201
        where = f"{pod.url}/api/v1/payloads/sha256/{sha256(b'the payload')}"
        buffer.kill()
        told = []

        def act(number):
            if number < 3:
                told.append(ask("GET", where))
                return
            eventually(lambda: len(told) == 2)
            assert ask("GET", pod.url + MOMENT).status == 200
            buffer.restart()

        at_once(4, act)
        assert [answer.status for answer in told] == [503, 503, 200]
        assert all(int(answer.headers["retry-after"]) > 0 for answer in told[:2])
        assert told[2].body == b"the payload"


def test_a_replica_that_starts_while_the_databuffer_is_away_serves_its_old_view(tiers):
    """Restarted with the databuffer away, it answers from the view it had."""
    _, buffer, pod = tiers
    before = read_all(pod)
    buffer.kill()
    assert pod.stop() == 0
    pod.restart()
    seen_away(pod)
    check_reads(pod, before, away=True)
    assert ask("POST", f"{pod.url}/stream", segment(5)).status == 503
    buffer.restart()
    seen_back(pod)
    assert ask("POST", f"{pod.url}/stream", segment(5)).status == 201
    eventually(lambda: "the databuffer is reached again" in pod.log.read_text())


def test_a_replica_without_a_view_waits_for_the_databuffer(tmp_path):
    """It starts, is not ready, answers nothing wrong meanwhile, and becomes ready by itself."""
    with databuffer(tmp_path) as buffer:
        buffer.kill()
        with logic(buffer.url, tmp_path) as pod:
            assert ask("GET", f"{pod.url}/livez").status == 200
            assert ask("GET", f"{pod.url}/readyz").status == 503
            for path in ("/api/v1/global-tags", TAG, MOMENT, "/bufstat"):
                answer = ask("GET", pod.url + path)
                assert answer.status == 503, answer
                assert int(answer.headers["retry-after"]) > 0
            assert ask("POST", f"{pod.url}/stream", segment(1)).status == 503
            buffer.restart()
            seen_back(pod)
            assert ask("GET", f"{pod.url}/api/v1/global-tags").json["global_tags"] == []
            assert ask("POST", f"{pod.url}/stream", segment(1)).status == 201


def test_the_view_follows_what_others_wrote_while_it_was_cut_off(tiers):
    """Back again, the follower brings what it missed without being asked."""
    _, buffer, pod = tiers
    buffer.kill()
    seen_away(pod)
    buffer.restart()
    for number in range(3):
        assert ask("POST", f"{buffer.url}/sendF", segment(10 + number)).status == 201
    head = ask("GET", f"{buffer.url}/ledger/head").json["lsn"]
    eventually(lambda: ask("GET", f"{pod.url}/readyz").json["applied_lsn"] == head, within=20)
    assert ask("GET", f"{pod.url}/api/v1/global-tags/stream").json["payload_iov_count"] == 5


def test_killed_again_and_again_nothing_acknowledged_through_replicas_is_lost(tmp_path):
    """Sixteen producers over two replicas, five kills: each segment and payload is there once."""
    choose = seeded(13)
    with (
        databuffer(tmp_path) as buffer,
        logic(buffer.url, tmp_path, name="one") as one,
        logic(buffer.url, tmp_path, name="two") as two,
    ):
        urls = [one.url, two.url]
        created = insist(urls, "/api/v1/global-tags", {"name": "run3"}, "create")
        for url in urls:
            seen = ask("GET", url + TAG, None, {"X-Min-LSN": str(created.lsn)})
            assert seen.status == 200
        stop = threading.Event()

        def produce(number):
            told = {}
            while not stop.is_set() or len(told) < 5:
                key = f"{number}-{len(told)}"
                mine = urls if number % 2 else urls[::-1]
                if number % 4:
                    body = segment(number * 100_000 + len(told))
                    told[key] = body, insist(mine, "/stream", body, key)
                else:
                    path = f"/stream?tag=run3&type=T{number}&major={len(told)}"
                    told[key] = key.encode(), insist(mine, path, key.encode(), key)
            return told

        def disturb():
            try:
                for _ in range(5):
                    head = ask("GET", f"{buffer.url}/ledger/head").json["lsn"]
                    enough = head + choose.randrange(5, 60)
                    eventually(
                        lambda enough=enough: (
                            ask("GET", f"{buffer.url}/ledger/head").json["lsn"] >= enough
                        )
                    )
                    buffer.kill()
                    buffer.restart()
            finally:
                stop.set()  # also where one of them failed: the others would go on for ever
            return {}

        parts = at_once(17, lambda number: produce(number) if number < 16 else disturb())
        told = {key: done for part in parts for key, done in part.items()}
        entries = ledger_entries(buffer.url)
        assert {answer.status for _, answer in told.values()} == {201}
        counted = Counter(entry.get("idempotency_key") for entry in entries)
        assert {counted[key] for key in told} == {1}
        for key, (body, answer) in told.items():
            entry = entries[answer.lsn - 1]
            assert entry["idempotency_key"] == key
            assert sha256(body) in json.dumps(entry["data"])
        check_views_agree(buffer, one, two, entries)
        assert buffer.stop() == 0
        VolumeOracle(tmp_path / "volume").check()


def check_views_agree(buffer, one, two, entries):
    """Check that both replicas and the databuffer tell the same of the stream and the tag."""
    wanted = {"X-Min-LSN": str(entries[-1]["lsn"])}
    for path in (TAG, "/api/v1/global-tags/stream", "/api/v1/global-tags"):
        answers = [ask("GET", pod.url + path, None, wanted) for pod in (one, two)]
        assert answers[0].status == 200
        assert answers[0].json == answers[1].json
    segments = sum(entry["type"] == "buffer.stored" for entry in entries)
    assert ask("GET", f"{buffer.url}/stat").json["n_itm"] == segments
    stream = ask("GET", f"{one.url}/api/v1/global-tags/stream").json
    assert stream["payload_iov_count"] == segments
    payloads = sum(entry["type"] == "timelines.changed" for entry in entries)
    assert ask("GET", one.url + TAG).json["payload_iov_count"] == payloads


# Another ledger --------------------------------------------------------------------------------


def test_a_wiped_volume_is_noticed_and_the_view_made_anew(tiers):
    """Another ledger id: nothing of the old one is told any more, and writing goes on."""
    folder, buffer, pod = tiers
    old = ask("GET", f"{pod.url}/readyz").json["ledger"]
    assert buffer.stop() == 0
    shutil.rmtree(folder / "volume")
    buffer.restart()
    eventually(lambda: ask("GET", f"{pod.url}/readyz").json.get("ledger") not in {old, None}, 20)
    eventually(lambda: ask("GET", f"{pod.url}/readyz").status == 200)
    assert ask("GET", f"{pod.url}/api/v1/global-tags").json["global_tags"] == []
    assert ask("GET", pod.url + TAG).status == 404
    assert ask("GET", f"{pod.url}/bufstat").json == {"n_itm": 0, "buff_size": 0}
    assert ask("POST", f"{pod.url}/stream", segment(1)).status == 201
    assert ask("GET", f"{pod.url}/api/v1/global-tags/stream").json["payload_iov_count"] == 1


@pytest.mark.parametrize("written", [0, 1, 3, 6], ids=lambda n: f"{n} written after it")
def test_a_volume_restored_from_a_copy_is_noticed(tiers, written):
    """Behind, level with or beyond what the view applied: a history that differs is taken over."""
    folder, buffer, pod = tiers
    assert buffer.stop() == 0
    shutil.copytree(folder / "volume", folder / "copy")
    buffer.restart()
    seen_back(pod)
    for number in range(3):
        lost = ask("POST", f"{pod.url}/stream", segment(100 + number))
        assert lost.status == 201
    assert buffer.stop() == 0
    shutil.rmtree(folder / "volume")
    shutil.move(folder / "copy", folder / "volume")
    assert pod.stop() == 0
    buffer.restart()
    for number in range(written):
        assert ask("POST", f"{buffer.url}/sendF", segment(200 + number)).status == 201
    pod.restart()
    seen_back(pod)
    head = ask("GET", f"{buffer.url}/ledger/head").json["lsn"]
    eventually(lambda: ask("GET", f"{pod.url}/readyz").json["applied_lsn"] == head)
    names = ask("GET", f"{buffer.url}/dumpF").json
    buffer.kill()
    seen_away(pod)
    assert ask("GET", f"{pod.url}/dumpf").json == names
    stream = ask("GET", f"{pod.url}/api/v1/global-tags/stream").json
    assert stream["payload_iov_count"] == 2 + written


def test_a_database_with_entries_from_a_newer_version_is_served_but_not_written(tiers):
    """An entry nobody here knows: reads go on up to it, writes are refused, and it says why."""
    _, buffer, pod = tiers
    entry = {"type": "tag.painted", "actor": "future", "data": {"tag": "run3"}, "keys": []}
    assert ask("POST", f"{buffer.url}/ledger", entry).status == 201
    eventually(lambda: ask("GET", f"{pod.url}/readyz").json["halted"])
    before = ask("GET", pod.url + MOMENT)
    assert before.status == 200
    for path in ("/stream", PAYLOAD, "/api/v1/global-tags"):
        refused = ask("POST", pod.url + path, WRITES[path])
        assert (refused.status, refused.json["code"]) == (503, "ledger_too_new"), path
    assert ask("GET", pod.url + MOMENT).json["payloads"] == before.json["payloads"]


def test_stopped_under_load_a_replica_finishes_what_it_took(tiers):
    """SIGTERM to a replica under load: exit 0, and whatever it acknowledged is in the ledger."""
    _, buffer, pod = tiers
    told = []

    def act(number):
        if number == 8:
            eventually(lambda: len(told) > 40)
            return pod.stop()
        with contextlib.suppress(*AWAY):
            told.extend(
                ask("POST", f"{pod.url}/stream", segment(serial))
                for serial in itertools.count(number * 100_000)
            )
        return 0

    assert set(at_once(9, act)) == {0}
    assert {answer.status for answer in told} <= {201, 503}
    lsns = [answer.lsn for answer in told if answer.status == 201]
    entries = ledger_entries(buffer.url)
    assert {entries[lsn - 1]["type"] for lsn in lsns} == {"buffer.stored"}
    assert len(set(lsns)) == len(lsns)
