"""One conformance suite for all blob stores and ledgers: they keep the same promises."""

from __future__ import annotations

import asyncio
import hashlib
import json

import pytest
from opened import content_of

from databuffer.errors import BeyondHead, DigestMismatch, KeysMoved, Unknown
from databuffer.names import Digest
from databuffer.store.disk import Disk
from databuffer.store.lines import NO_HASH, check
from databuffer.store.memory import MemoryBlobs, MemoryLedger
from databuffer.store.protocols import NewEntry
from databuffer.store.tail import Tail
from databuffer.store.volume_blobs import VolumeBlobs
from databuffer.store.volume_ledger import VolumeLedger

LARGE = bytes(range(256)) * 4 * 1024 * 3


@pytest.fixture
def disk():
    """A pool of threads."""
    pool = Disk(4, "test")
    yield pool
    pool.close()


@pytest.fixture(params=["volume", "memory"])
def blobs(request, tmp_path, disk):
    """Each blob store in turn."""
    if request.param == "memory":
        return MemoryBlobs()
    store = VolumeBlobs(tmp_path / "blobs", disk, 1 << 20)
    store.prepare()
    return store


class CompressedLedger(VolumeLedger):
    """A ledger of a volume that is compressed before each page is read, and from the files."""

    async def read(self, after, limit):
        """Compress, then read."""
        await self.compress()
        self._tail = Tail(0)
        return await super().read(after, limit)


@pytest.fixture(params=["volume", "compressed", "memory"])
async def ledger(request, tmp_path, disk):
    """Each ledger in turn; the volume's segments are so small that they rotate."""
    if request.param == "memory":
        yield MemoryLedger()
        return
    kind = CompressedLedger if request.param == "compressed" else VolumeLedger
    volume = kind(tmp_path / "ledger", disk, 2000)
    await volume.open()
    yield volume
    await volume.close()


def entry(name="x", keys=(), expect=None, idempotency_key=None):
    """Make a small entry."""
    data = json.dumps({"name": name}).encode()
    return NewEntry("test.made", "tester", data, tuple(keys), expect or {}, idempotency_key)


async def stream(*chunks):
    """Give chunks as a body would come."""
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk


@pytest.mark.parametrize("content", [b"", b"hello", LARGE])
async def test_a_stored_blob_is_read_back(blobs, content):
    """Bytes come back under the name of their digest, however they were put."""
    stored = await blobs.put(content)
    assert stored.digest == "sha256:" + hashlib.sha256(content).hexdigest()
    assert (stored.size, stored.created) == (len(content), True)
    assert await content_of(blobs, stored.digest) == content
    assert await blobs.sizes([stored.digest]) == [len(content)]
    again = await blobs.put_stream(stream(content[:3], content[3:]))
    assert (again.digest, again.created) == (stored.digest, False)


async def test_many_at_once_make_one_blob(blobs):
    """Of many concurrent uploads of the same content exactly one is told it made it."""
    puts = [blobs.put(b"same") for _ in range(20)]
    puts += [blobs.put_stream(stream(b"sa", b"me")) for _ in range(20)]
    stored = await asyncio.gather(*puts)
    assert sum(one.created for one in stored) == 1
    assert len({one.digest for one in stored}) == 1


async def test_a_wrong_digest_keeps_nothing(blobs):
    """What does not hash to the expected digest is refused and invisible."""
    expected = Digest.of(b"this")
    with pytest.raises(DigestMismatch):
        await blobs.put(b"that", expected)
    with pytest.raises(DigestMismatch):
        await blobs.put_stream(stream(b"th", b"at"), expected)
    for content in (b"this", b"that"):
        assert await blobs.sizes([Digest.of(content)]) == [None]


async def test_a_broken_stream_keeps_nothing(blobs):
    """When the body breaks off its error comes through and no blob appears."""

    async def broken():
        yield b"begin"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await blobs.put_stream(broken())
    with pytest.raises(Unknown):
        await blobs.open(Digest.of(b"begin"))


async def test_a_cancelled_stream_keeps_nothing(blobs):
    """A cancelled upload leaves no blob."""
    begun = asyncio.Event()

    async def endless():
        yield b"begin"
        begun.set()
        await asyncio.Event().wait()

    upload = asyncio.create_task(blobs.put_stream(endless()))
    await begun.wait()
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert await blobs.sizes([Digest.of(b"begin")]) == [None]


async def test_many_sizes_are_told_at_once(blobs):
    """In the order of the question; None for what is not there; what is just stored counts."""
    tiny, large = await blobs.put(b"tiny"), await blobs.put(LARGE)
    asked = [large.digest, Digest.of(b"absent"), tiny.digest, large.digest]
    assert await blobs.sizes(asked) == [len(LARGE), None, 4, len(LARGE)]
    assert await blobs.sizes([]) == []


async def test_many_contents_are_read_at_once(blobs):
    """In order, up to so many bytes, the first whatever its size; of a large one only the size."""
    digests = [(await blobs.put(content)).digest for content in (b"12345", LARGE, b"", b"123456")]
    asked = [digests[0], Digest.of(b"absent"), *digests[1:], digests[0]]
    assert await blobs.contents(asked, 11, 1000) == [b"12345", None, len(LARGE), b"", b"123456"]
    assert await blobs.contents(asked, 10, 1000) == [b"12345", None, len(LARGE), b""]
    assert await blobs.contents([digests[1], digests[0]], 1, len(LARGE)) == [LARGE]
    assert await blobs.contents([], 1, 1) == []


async def test_any_range_of_a_blob_can_be_read(blobs):
    """A range inside a large blob is read exactly."""
    stored = await blobs.put_stream(stream(LARGE))
    blob = await blobs.open(stored.digest)
    try:
        assert await blob.read(1_500_001, 77) == LARGE[1_500_001:1_500_078]
    finally:
        blob.close()
        blob.close()


async def test_entries_are_numbered_and_chained(ledger):
    """LSNs are dense from 1, each line names the hash of the one before, time never goes back."""
    appended = [await ledger.append(entry(f"n{i}")) for i in range(50)]
    assert [one.lsn for one in appended] == list(range(1, 51))
    page = await ledger.read(0, 1000)
    previous, times = NO_HASH, []
    for lsn, line in enumerate(page.lines.splitlines(), 1):
        read = check(line, lsn, previous)
        assert (read.actor, read.type, read.data) == (
            "tester",
            "test.made",
            {"name": f"n{lsn - 1}"},
        )
        previous = hashlib.sha256(line).hexdigest()
        times.append(read.time)
    assert times == sorted(times)
    head = ledger.head()
    assert (head.lsn, head.hash, page.last) == (50, previous, 50)


async def test_concurrent_appends_lose_nothing(ledger):
    """Many writers at once get different LSNs and each entry is there."""
    appended = await asyncio.gather(*(ledger.append(entry(f"n{i}")) for i in range(300)))
    assert sorted(one.lsn for one in appended) == list(range(1, 301))
    lines = (await ledger.read(0, 1000)).lines.splitlines()
    assert {json.loads(line)["data"]["name"] for line in lines} == {f"n{i}" for i in range(300)}


async def test_pages_begin_and_end_where_asked(ledger):
    """`after` and `limit` cut anywhere, also across segments."""
    for number in range(60):
        await ledger.append(entry(f"n{number}"))
    for after, limit in ((0, 1), (7, 5), (13, 40), (59, 9), (60, 9)):
        page = await ledger.read(after, limit)
        lsns = [json.loads(line)["lsn"] for line in page.lines.splitlines()]
        assert lsns == list(range(after + 1, min(60, after + limit) + 1))
        assert page.last == (lsns[-1] if lsns else after)
    with pytest.raises(BeyondHead):
        await ledger.read(61, 1)


async def test_an_expected_key_must_not_have_moved(ledger):
    """An entry is appended only when each key was last touched where it is expected."""
    first = await ledger.append(entry(keys=["tag/X"], expect={"tag/X": 0, "tag/Y": 0}))
    with pytest.raises(KeysMoved) as refused:
        await ledger.append(entry(keys=["tag/Y"], expect={"tag/X": 0, "tag/Y": 0}))
    assert (refused.value.moved, refused.value.lsn) == ({"tag/X": first.lsn}, first.lsn)
    assert ledger.head().lsn == 1
    await ledger.append(entry(keys=["tag/Y"], expect={"tag/X": first.lsn, "tag/Y": 0}))


async def test_of_concurrent_deciders_one_wins(ledger):
    """Of many entries that expect the same, appended at once, exactly one is."""
    tries = (ledger.append(entry(keys=["k"], expect={"k": 0})) for _ in range(50))
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(not isinstance(one, BaseException) for one in outcomes) == 1
    assert all(isinstance(one, KeysMoved) for one in outcomes if isinstance(one, BaseException))


async def test_an_idempotency_key_is_appended_once(ledger):
    """A repeat, later or at once, finds the first one's place, whatever it expects."""
    puts = (ledger.append(entry(idempotency_key="once")) for _ in range(20))
    at_once = await asyncio.gather(*puts)
    assert {one.lsn for one in at_once} == {1}
    assert sum(not one.repeated for one in at_once) == 1
    later = await ledger.append(entry(expect={"tag/X": 99}, idempotency_key="once"))
    assert (later.lsn, later.repeated) == (1, True)
    assert (await ledger.find("once"), await ledger.find("never")) == (1, None)


async def test_waiting_ends_with_an_entry_or_the_time(ledger):
    """A waiter returns when an entry comes; without one, when its time is up."""
    await ledger.wait(0, 0.01)
    assert ledger.head().lsn == 0
    waiter = asyncio.create_task(ledger.wait(0, 30))
    await asyncio.sleep(0)
    await ledger.append(entry())
    await asyncio.wait_for(waiter, 5)
