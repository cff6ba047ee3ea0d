"""Producers against real servers that die, refuse, lose answers; and producers that die."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from load import ask, seeded
from logic_pair import pair
from long import at_length
from servers import eventually

from condstore.digests import Digest
from condstore.errors import (
    Conflict,
    DamagedPayload,
    Frozen,
    Identical,
    NotFound,
    ServerAway,
    UnreadableFile,
    UsageError,
)
from condstore.producer import PayloadFile, Producer, putting
from condstore.retry import Policy
from condstore.segments import Segment

SEGMENTS = at_length(1500, 5000)
MIB = 2**20
QUICK = Policy(attempts=30, first=0.01, cap=0.5, patience=60.0)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Run both tiers for this module."""
    with pair(tmp_path_factory.mktemp("producer"), MAX_SIZE="1") as servers:
        yield servers


@pytest.fixture
def tiers(both):
    """Give both tiers, settled; each test streams a channel of its own."""
    both.settle()
    return both


@pytest.fixture
def tag(both, request):
    """Make a global tag of the test's own."""
    name = request.node.name.replace("[", "-").strip("]")
    assert both.post("/api/v1/global-tags", json.dumps({"name": name})).status == 201
    return name


def segment(number, channel):
    """Return a small segment of its own."""
    return Segment(channel, b'{"h":[1.5,2.5],"t":[%d,0.5]}' % (1000 + number), 2)


def segments(count, channel):
    """Yield so many."""
    return (segment(number, channel) for number in range(count))


def stored(tiers, channel):
    """Return the digests of a channel's segments, as the ledger has them, in order."""
    found, after = [], 0
    while lines := ask("GET", f"{tiers.buffer.url}/ledger?after={after}&limit=10000").body:
        entries = [json.loads(line) for line in lines.splitlines()]
        found += [
            entry["data"]["digest"]
            for entry in entries
            if entry["type"] == "buffer.stored" and entry["data"]["payload_type"] == channel
        ]
        after = entries[-1]["lsn"]
    return found


def expect_exactly(tiers, count, channel, before=0):
    """Check ledger, files and tag: every segment is there, none twice."""
    wanted = sorted(Digest.of(one.body) for one in segments(count, channel))
    assert sorted(stored(tiers, channel)) == wanted
    assert tiers.get("/bufstat")["n_itm"] == before + count
    names = tiers.get("/dumpf")["nmlist"]
    assert len(names) == len(set(names)) == before + count
    held = tiers.get("/api/v1/global-tags/stream")["payload_lists"]
    assert [one["payload_iovs"] for one in held if one["payload_type"] == channel] == [count]


class Told(list):
    """What a producer told, and when it was so much."""

    def __init__(self, *counts):
        super().__init__()
        self.reached = {count: asyncio.Event() for count in counts}

    def append(self, one):
        """Hear of one more."""
        super().append(one)
        if len(self) in self.reached:
            self.reached[len(self)].set()


def iovs(tiers, tag, kind):
    """Return (start, end, digest) of a list, by majors."""
    rows = tiers.get(f"/api/v1/global-tags/{tag}/payload-lists/{kind}/iovs")["iovs"]
    return [(row["start"][0], row["end"] and row["end"][0], row["digest"]) for row in rows]


# the server refuses -----------------------------------------------------------------------------


async def test_a_freeze_ends_the_stream_and_what_was_acknowledged_is_told(tiers):
    """What the report counts is what the frozen buffer holds, to the segment."""
    told = Told(100)
    producer = Producer(tiers.logic.url, tell=told.append)
    streaming = asyncio.create_task(producer.stream(segments(100_000, "F:freeze")))
    await told.reached[100].wait()
    who = json.dumps({"user": "shifter", "token": "t"})
    assert (await asyncio.to_thread(tiers.post, "/freezeds", who)).status == 201
    with pytest.raises(Frozen) as caught:
        await streaming
    held = tiers.get("/bufstat")["n_itm"]
    assert tiers.post("/flushbuf", b"{}").status == 201
    assert producer.report.segments == len(told) == held
    assert caught.value.__notes__ == [f"Before that {producer.report}."]


async def test_a_tag_that_takes_nothing_is_refused_before_anything_is_read(tiers, tag):
    """A frozen tag, the stream's own, one that is not there: no file is opened."""
    nowhere = [PayloadFile(Path("no-such-file"), "Beam", 1)]
    producer = Producer(tiers.logic.url)
    await producer.stream(segments(1, "F:one"))
    tiers.post(f"/api/v1/global-tags/{tag}/freeze", b"{}")
    for name, refusal in ((tag, Frozen), ("stream", Conflict), ("nothing", NotFound)):
        with pytest.raises(refusal):
            await producer.put(name, nowhere)


async def test_after_a_flush_the_same_segments_are_stored_again(tiers, tmp_path):
    """Once in each filling of the buffer; a resume file of the last filling is refused."""
    producer, path = Producer(tiers.logic.url), tmp_path / "resume"
    for _ in range(2):
        await producer.stream(segments(20, "B:flush"), resume=path)
    assert len(stored(tiers, "B:flush")) == 20
    assert tiers.post("/flushbuf", b"{}").status == 201
    with pytest.raises(UsageError, match="its period is"):
        await producer.stream(segments(20, "B:flush"), resume=path)
    await producer.stream(segments(20, "B:flush"))
    assert len(stored(tiers, "B:flush")) == 40
    assert tiers.get("/bufstat")["n_itm"] == 20


# the producer dies ------------------------------------------------------------------------------

SCRIPT = """
import asyncio, sys
from pathlib import Path
from condstore.producer import Producer
from condstore.segments import Segment

def segments():
    for number in range(int(sys.argv[3])):
        yield Segment("R:self", b'{"h":[1.5,2.5],"t":[%d,0.5]}' % (1000 + number), 2)

done = asyncio.run(Producer(sys.argv[1]).stream(segments(), resume=Path(sys.argv[2])))
print(done.segments, done.resumed)
"""


def test_a_killed_producer_goes_on_where_it_was(tiers, tmp_path):
    """Killed in the middle, its last line torn: the next run sends only what is left."""
    journal, filled = tmp_path / "journal", tiers.get("/bufstat")["n_itm"]
    command = [sys.executable, "-c", SCRIPT, tiers.logic.url, str(journal), "1500"]
    with subprocess.Popen(command) as first:
        eventually(lambda: journal.exists() and journal.read_bytes().count(b"\n") > 300)
        first.send_signal(signal.SIGKILL)
    with journal.open("ab") as file:
        file.write(b"0123456789abcdef")
    before = journal.read_bytes().count(b"\n") - 1
    second = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert second.stdout.split() == ["1500", str(before)]
    expect_exactly(tiers, 1500, "R:self", filled)
    third = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert third.stdout.split() == ["1500", "1500"]


async def test_a_cancelled_producer_leaves_no_task(tiers):
    """Cancelled from outside, nothing of it runs on, and what it had sent is counted."""
    told = Told(10)
    producer = Producer(tiers.logic.url, tell=told.append)
    streaming = asyncio.create_task(producer.stream(segments(100_000, "C:cancel")))
    await told.reached[10].wait()
    streaming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await streaming
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert producer.report.segments == len(told)


async def test_a_put_that_is_cancelled_leaves_no_task_and_no_iov(tiers, tag, tmp_path):
    """Cancelled in the middle of a large file."""
    path = tmp_path / "large"
    path.write_bytes(os.urandom(32 * MIB))
    leaving = Told(3)
    producer = Producer(tiers.logic.url, tell_bytes=leaving.append)
    putting_it = asyncio.create_task(producer.put(tag, [PayloadFile(path, "Large", 1)]))
    await leaving.reached[3].wait()
    putting_it.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting_it
    assert asyncio.all_tasks() == {asyncio.current_task()}
    report = producer.report
    assert (report.files, report.uploaded, report) == (0, 0, producer.report)
    assert tiers.get(f"/api/v1/global-tags/{tag}")["payload_lists"] == []


# payload files ----------------------------------------------------------------------------------


class Middleman:
    """A proxy before the logic tier that counts requests and, if told so, loses first answers."""

    def __init__(self, url):
        self._url = url
        self.seen = []
        self.loses = False
        self.lost = set()

    async def __call__(self, request):
        """Pass a request on, and its answer back or not."""
        self.seen.append((request.method, request.path))
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                request.method, self._url + request.raw_path, data=await request.read(),
                headers={name: value for name, value in request.headers.items() if name != "Host"},
            ) as answer,
        ):  # fmt: skip
            body = await answer.read()
        act = (request.path, await request.read())
        if self.loses and request.method == "POST" and act not in self.lost:
            self.lost.add(act)
            request.transport.abort()
        passed = ("Content-Type", "X-Ledger-LSN")
        headers = {name: answer.headers[name] for name in passed if name in answer.headers}
        return web.Response(status=answer.status, body=body, headers=headers)

    def count(self, method, path):
        """Return how many such requests came."""
        return self.seen.count((method, path))


@contextlib.asynccontextmanager
async def middleman(tiers):
    """Run it; give it and its URL."""
    between = Middleman(tiers.logic.url)
    server = web.Server(between)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield between, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def payload(number):
    """Return the bytes of a payload."""
    return b"payload %d\n" % number


async def test_of_2000_files_only_the_lacking_half_is_uploaded(tiers, tag, tmp_path):
    """The store had 1000 of them already; again, nothing is uploaded and nothing inserted."""
    for number in range(2000):
        (tmp_path / f"{number}.txt").write_bytes(payload(number))
    half = [PayloadFile(payload(number), "Half", number) for number in range(0, 2000, 2)]
    await Producer(tiers.logic.url).put(tag, half)
    files = [
        PayloadFile(tmp_path / f"{number}.txt", "Beam", number, name=f"beam-{number}")
        for number in range(2000)
    ]
    told, leaving = [], []
    async with middleman(tiers) as (between, url):
        producer = Producer(url, user="alice", tell=told.append, tell_bytes=leaving.append)
        report = await producer.put(tag, files)
        assert between.count("POST", "/api/v1/payloads") == 1000
        assert (report.files, report.uploaded, report.inserted) == (2000, 1000, 2000)
        assert told == files
        assert sum(leaving) == report.uploaded_size
        again = await producer.put(tag, files)
        assert between.count("POST", "/api/v1/payloads") == 1000
        assert between.count("POST", f"/api/v1/global-tags/{tag}/iovs") == 1
    assert (again.uploaded, again.inserted, again.identical) == (0, 0, 2000)
    digests = [Digest.of(payload(number)) for number in range(2000)]
    ends = [*range(1, 2000), None]
    assert iovs(tiers, tag, "Beam") == list(zip(range(2000), ends, digests, strict=True))
    history = tiers.get(f"/api/v1/global-tags/{tag}/history")["entries"]
    assert history[0]["actor"] == "alice"


async def test_answers_that_are_lost_are_asked_for_again_and_done_once(tiers, tag):
    """Every request is done, its answer lost, and sent again: one entry, each IOV once."""
    files = [PayloadFile(b"lost %d" % number, "Lost", number) for number in range(20)]
    async with middleman(tiers) as (between, url):
        between.loses = True
        producer = Producer(url, policy=QUICK, in_flight=4)
        assert (await producer.put(tag, files)).inserted == 20
        assert (await producer.put_one(tag, b"another", "Lost", 30)).inserted == 1
        assert between.count("POST", "/api/v1/payloads") == 2 * 21
        assert between.count("POST", f"/api/v1/global-tags/{tag}/iovs") == 2 * 2
    inserts = [
        entry
        for entry in tiers.get(f"/api/v1/global-tags/{tag}/history")["entries"]
        if "iov" in entry["act"] or "timeline" in entry["act"]
    ]
    assert len(inserts) == 2
    assert [row[0] for row in iovs(tiers, tag, "Lost")] == [*range(20), 30]


async def test_what_somebody_took_out_is_put_again(tiers, tag):
    """The same batch after a deletion is another act, for all its deterministic key."""
    files = [PayloadFile(b"one", "Beam", 1, 2), PayloadFile(b"two", "Beam", 2, 3)]
    producer = Producer(tiers.logic.url)
    await producer.put(tag, files)
    for major in (1, 2):
        path = f"/api/v1/global-tags/{tag}/payload-lists/Beam/iovs?major={major}"
        assert tiers.ask("DELETE", f"{path}&major_end={major + 1}").status == 200
    assert (await producer.put(tag, files)).inserted == 2
    assert len(iovs(tiers, tag, "Beam")) == 2


async def test_run_after_run_the_open_iov_is_closed_by_the_next(tiers, tag):
    """One put a run, unlocked and locked: a new payload closes the one before, the same is none."""
    producer = Producer(tiers.logic.url)
    for run, content in ((100, b"a"), (101, b"a"), (102, b"b")):
        await producer.put_one(tag, content, "Beam", run)
    assert tiers.post(f"/api/v1/global-tags/{tag}/lock", b"{}").status == 200
    for run, content in ((103, b"b"), (104, b"c"), (105, b"c"), (106, b"a")):
        await producer.put_one(tag, content, "Beam", run)
    a, b, c = (Digest.of(content) for content in (b"a", b"b", b"c"))
    standing = [(100, 102, a), (102, 104, b), (104, 106, c), (106, None, a)]
    assert iovs(tiers, tag, "Beam") == standing
    with pytest.raises(Conflict):
        await producer.put_one(tag, b"late", "Beam", 103)
    assert iovs(tiers, tag, "Beam") == standing


def resolved(tiers, tag, kind, moments):
    """Return the digest that each moment resolves to."""
    asked = json.dumps({"moments": [[major, 0] for major in moments], "types": [kind]})
    told = tiers.post(f"/api/v1/global-tags/{tag}/resolve", asked).json()["resolutions"]
    return [[payload["digest"] for payload in one["payloads"]] for one in told]


async def test_skipping_the_identical_changes_no_answer(tiers, tag):
    """Random puts, run after run, into two tags, one with all IOVs: every moment is the same."""
    draw, producer = seeded(7), Producer(tiers.logic.url)
    assert tiers.post("/api/v1/global-tags", json.dumps({"name": f"{tag}-all"})).status == 201
    skipped = 0
    for run in range(0, 240, 6):
        starts = draw.sample(range(run, run + 6), draw.randint(1, 5))
        ends = [
            min(start + draw.randint(1, 3), run + 6) if draw.random() < 0.2 else None
            for start in starts
        ]
        files = [
            PayloadFile(draw.choice([b"a", b"b"]), "Beam", start, end)
            for start, end in zip(starts, ends, strict=True)
        ]
        skipped += (await producer.put(tag, files)).identical
        await producer.put(f"{tag}-all", files, on_identical="insert")
        moments = range(260)
        assert resolved(tiers, tag, "Beam", moments) == resolved(
            tiers, f"{tag}-all", "Beam", moments
        )
    assert skipped > 20


async def test_two_producers_at_the_same_files_make_each_iov_once(tiers, tag, monkeypatch):
    """Two rounds of cron that overlap, on a list longer than one insert takes."""
    monkeypatch.setattr(putting, "WINDOW", 70)
    files = [PayloadFile(b"run %d" % (run // 2), "Beam", run) for run in range(300)]
    reports = await asyncio.gather(*(Producer(tiers.logic.url).put(tag, files) for _ in range(2)))
    assert [report.files for report in reports] == [300, 300]
    page = tiers.get(f"/api/v1/global-tags/{tag}/payload-lists/Beam/iovs")["iovs"]
    assert [row["start"][0] for row in page] == list(range(0, 300, 2))


async def test_the_identical_may_be_inserted_or_refused_instead(tiers, tag):
    """`insert` makes the second IOV, `refuse` names the file and changes nothing."""
    producer = Producer(tiers.logic.url)
    files = [PayloadFile(b"same", "Beam", run) for run in (1, 2)]
    with pytest.raises(Identical, match=r"Beam from 2 .bytes."):
        await producer.put(tag, files, on_identical="refuse")
    assert tiers.get(f"/api/v1/global-tags/{tag}")["payload_lists"] == []
    assert (await producer.put(tag, files, on_identical="insert")).inserted == 2
    assert [row[:2] for row in iovs(tiers, tag, "Beam")] == [(1, 2), (2, None)]


async def test_a_put_that_broke_off_goes_on_without_reading_what_is_done(tiers, tag, tmp_path):
    """With a resume file, acknowledged files are not even opened again."""
    journal = tmp_path / "journal"
    paths = [tmp_path / f"{number}" for number in range(6)]
    for number, path in enumerate(paths):
        path.write_bytes(payload(number))
    files = [PayloadFile(path, "Beam", number) for number, path in enumerate(paths)]
    producer = Producer(tiers.logic.url)
    await producer.put(tag, files[:4], resume=journal)
    for path in paths[:4]:
        path.chmod(0)  # root reads it all the same; the counts tell
    report = await producer.put(tag, files, resume=journal)
    assert (report.files, report.resumed, report.inserted) == (6, 4, 2)
    assert report.size == sum(len(payload(number)) for number in (4, 5))


async def test_a_file_that_cannot_be_read_puts_nothing(tiers, tag, tmp_path):
    """Missing, or changed between its digest and its sending: no IOV of the batch is made."""
    producer = Producer(tiers.logic.url, policy=QUICK)
    good = PayloadFile(b"good", "Beam", 1)
    with pytest.raises(UnreadableFile, match="gone: No such file"):
        await producer.put(tag, [good, PayloadFile(tmp_path / "gone", "Beam", 2)])
    for length in (3 * MIB, 100):
        path = tmp_path / f"shrinks-{length}"
        path.write_bytes(os.urandom(length))

        def shrink(_size, path=path):
            path.write_bytes(b"other")

        trigger = PayloadFile(os.urandom(10), "Beam", 2)
        narrow = Producer(tiers.logic.url, policy=QUICK, in_flight=1, tell_bytes=shrink)
        with pytest.raises(DamagedPayload, match="changed while it was being sent"):
            await narrow.put(tag, [trigger, PayloadFile(path, "Beam", 3)])
    assert tiers.get(f"/api/v1/global-tags/{tag}")["payload_lists"] == []


async def test_an_empty_payload_is_a_payload(tiers, tag):
    """No bytes at all, and an asynchronous source of files."""

    async def source():
        yield PayloadFile(b"", "Empty", 1)

    assert (await Producer(tiers.logic.url).put(tag, source())).inserted == 1
    assert iovs(tiers, tag, "Empty") == [(1, None, Digest.of(b""))]


LARGE = """
import asyncio, resource, sys
from pathlib import Path
from condstore.producer import Producer

producer = Producer(sys.argv[1])
asyncio.run(producer.put_one(sys.argv[2], b"small", "Small", 1))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = asyncio.run(producer.put_one(sys.argv[2], Path(sys.argv[3]), "Large", 1))
print(report.uploaded_size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_payload_of_200_mb_costs_little_memory(tiers, tag, tmp_path):
    """It is never whole in memory, neither read for its digest nor sent."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(200 * MIB)
    command = [sys.executable, "-c", LARGE, tiers.logic.url, tag, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    sent, grew_kib = map(int, done.stdout.split())
    assert sent == 200 * MIB
    assert grew_kib < 24 * 1024


# the server dies --------------------------------------------------------------------------------


async def test_patience_ends_with_what_was_acknowledged_told(tiers):
    """Nobody there: the error says so, and what came before it is not forgotten."""
    told = []

    def cut_off(one):
        told.append(one)
        if len(told) == 50:
            tiers.logic.kill()

    policy = Policy(attempts=2, first=0.01, cap=0.01, patience=1.0)
    producer = Producer(tiers.logic.url, policy=policy, tell=cut_off)
    try:
        with pytest.raises(ServerAway) as caught:
            await producer.stream(segments(500, "P:away"))
    finally:
        await asyncio.to_thread(tiers.logic.restart)
    assert len(told) >= 50
    assert caught.value.__notes__ == [f"Before that {producer.report}."]
    assert producer.report.segments == len(told)


@pytest.mark.parametrize(("victim", "when"), [("logic", (0.2, 0.6)), ("buffer", (0.5,))])
async def test_a_server_killed_while_segments_stream_has_each_once(tiers, victim, when):
    """Killed with SIGKILL and started again: all arrive, none twice."""
    kills = [int(part * SEGMENTS) for part in when]
    told, running = Told(*kills), getattr(tiers, victim)
    before = tiers.get("/bufstat")["n_itm"]
    producer = Producer(tiers.logic.url, in_flight=32, policy=QUICK, tell=told.append)
    streaming = asyncio.create_task(producer.stream(segments(SEGMENTS, f"K:{victim}")))
    for count in kills:
        await told.reached[count].wait()
        await asyncio.to_thread(running.kill)
        await asyncio.to_thread(running.restart)
    report = await streaming
    assert report.segments == len(told) == SEGMENTS
    tiers.settle()
    expect_exactly(tiers, SEGMENTS, f"K:{victim}", before)
