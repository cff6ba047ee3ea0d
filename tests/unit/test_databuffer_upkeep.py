"""Removing blobs: what every store promises to those who put and ask meanwhile."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest
from opened import content_of

from databuffer.errors import Unknown
from databuffer.names import Digest
from databuffer.store.disk import Disk
from databuffer.store.memory import MemoryBlobs
from databuffer.store.volume_blobs import VolumeBlobs

DAY = 86_400.0
LARGE = bytes(range(256)) * 4096


@pytest.fixture
def disk():
    """A pool of threads."""
    pool = Disk(4, "test")
    yield pool
    pool.close()


@pytest.fixture
def clock():
    """A clock that a test sets ahead."""
    return SimpleNamespace(ahead=0.0)


@pytest.fixture
def make_volume(tmp_path, disk, clock):
    """Make a store on the same directory, as a restart does."""

    def make():
        store = VolumeBlobs(
            tmp_path / "blobs", disk, 1 << 20, clock=lambda: time.time() + clock.ahead
        )
        store.prepare()
        return store

    return make


@pytest.fixture(params=["volume", "memory"])
def blobs(request, make_volume, clock):
    """Each blob store in turn."""
    if request.param == "memory":
        return MemoryBlobs(lambda: time.time() + clock.ahead)
    return make_volume()


async def stream(*chunks):
    """Give chunks as a body would come."""
    for chunk in chunks:
        yield chunk


async def listed(blobs, named=()):
    """List what is not named, of all parts."""
    return [
        one for part in range(256) for one in await blobs.unnamed(part, set(named).__contains__)
    ]


async def test_what_is_not_named_is_listed_by_parts(blobs, clock):
    """With its size and how long nobody asked, in the part of its digest's first byte."""
    stored = [await blobs.put(b"blob %d" % number) for number in range(30)]
    clock.ahead = DAY
    found = await listed(blobs, {one.digest for one in stored[:10]})
    assert {one.digest: one.size for one in found} == {s.digest: s.size for s in stored[10:]}
    assert all(DAY <= one.seconds < DAY + 60 for one in found)
    digest = stored[20].digest
    part = await blobs.unnamed(int(digest.hex[:2], 16), lambda _: False)
    assert digest in {one.digest for one in part}


@pytest.mark.parametrize("content", [b"small", LARGE])
async def test_what_is_aside_is_not_there_until_it_is_put_back(blobs, clock, content):
    """For every read; dropped it is gone, and put anew it is as if it had never been."""
    digest = (await blobs.put(content)).digest
    assert await content_of(blobs, digest) == content
    clock.ahead = DAY
    (aside,) = await blobs.put_aside([digest, Digest.of(b"absent")], 0)
    assert (aside.digest, aside.size) == (digest, len(content))
    assert await blobs.sizes([digest]) == [None]
    assert await blobs.contents([digest], 10, 10) == [None]
    with pytest.raises(Unknown):
        await blobs.open(digest)
    await blobs.put_back([digest, Digest.of(b"absent")])
    assert await content_of(blobs, digest) == content
    await blobs.drop([digest])
    assert await content_of(blobs, digest) == content, "only what is aside is dropped"
    clock.ahead = 3 * DAY
    await blobs.put_aside([digest], 0)
    await blobs.drop([digest])
    await blobs.put_back([digest])
    with pytest.raises(Unknown):
        await blobs.open(digest)
    assert (await blobs.put(content)).created


async def test_whoever_asked_has_time_to_name_it(blobs, clock):
    """Put again in either way, or asked about: none is put aside until that is long enough ago."""
    digests = [(await blobs.put(b"blob %d" % number)).digest for number in range(4)]
    clock.ahead = DAY
    assert not (await blobs.put(b"blob 0")).created
    assert not (await blobs.put_stream(stream(b"blob", b" 1"))).created
    assert await blobs.sizes([digests[2]]) == [6]
    aside = await blobs.put_aside(digests, 3600)
    assert [one.digest for one in aside] == [digests[3]]
    clock.ahead = DAY + 3590
    assert await blobs.put_aside(digests[:3], 3600) == []
    clock.ahead = DAY + 3700
    assert len(await blobs.put_aside(digests[:3], 3600)) == 3


async def test_not_even_at_once_is_removed_what_was_just_told(blobs, clock):
    """That somebody asked is noted every ten minutes, so nothing younger is put aside ever."""
    digest = (await blobs.put(b"new")).digest
    clock.ahead = 599
    assert await blobs.put_aside([digest], 0) == []


async def test_put_while_it_is_aside_it_stays(blobs, clock):
    """Whether what is aside is dropped or put back: whoever put it anew finds it."""
    for finish in (blobs.drop, blobs.put_back):
        digest = (await blobs.put(b"again")).digest
        clock.ahead += DAY
        assert await blobs.put_aside([digest], 0)
        assert (await blobs.put(b"again")).created
        await finish([digest])
        assert await content_of(blobs, digest) == b"again"
        clock.ahead += DAY
        (aside,) = await blobs.put_aside([digest], 0)
        assert aside.digest == digest
        await blobs.drop([digest])


async def test_a_reader_goes_on_to_the_end(blobs, clock):
    """Who has a large blob open reads all of it after it was removed."""
    digest = (await blobs.put(LARGE)).digest
    blob = await blobs.open(digest)
    clock.ahead = DAY
    await blobs.put_aside([digest], 0)
    await blobs.drop([digest])
    assert await blob.read(0, len(LARGE)) == LARGE
    blob.close()


async def test_told_there_and_removed_at_once_never_both(blobs, clock):
    """Old blobs that are put, asked for and put aside at the same moment: nobody was told wrong."""
    contents = [b"contended %d" % number for number in range(8)]
    digests = [Digest.of(content) for content in contents]
    removed = 0
    for _ in range(60):
        await asyncio.gather(*map(blobs.put, contents))
        clock.ahead += DAY
        aside, told, *puts = await asyncio.gather(
            blobs.put_aside(digests, 3600),
            blobs.sizes(digests[:4]),
            *map(blobs.put, contents[4:6]),
            *(blobs.put_stream(stream(content)) for content in contents[6:]),
        )
        await blobs.drop(digests)
        removed += len(aside)
        there = await blobs.sizes(digests)
        assert all(now == then for now, then in zip(there, told, strict=False) if then is not None)
        assert None not in there[4:]
        assert len(puts) == 4
    assert removed


@pytest.mark.parametrize("content", [b"small", LARGE])
async def test_removed_between_two_looks_it_is_stored_anew(make_volume, clock, content):
    """Who puts what is there, and finds it gone before being told so, puts it."""
    blobs = make_volume()
    digest = (await blobs.put(content)).digest
    clock.ahead = DAY
    asked = blobs._shelves.ask

    def removed(digest):
        blobs._shelves.ask = asked
        assert blobs._shelves.put_aside([digest], 0)
        blobs._shelves.drop([digest])
        return asked(digest)

    blobs._shelves.ask = removed
    assert (await blobs.put_stream(stream(content))).created
    assert await content_of(blobs, digest) == content


async def test_after_a_kill_in_the_middle_all_is_put_back(make_volume, clock):
    """What was aside is there again; so a ledger entry that named it meanwhile names a blob."""
    blobs = make_volume()
    contents = [b"tiny", LARGE]
    digests = [(await blobs.put(content)).digest for content in contents]
    await blobs.close()
    clock.ahead = DAY
    assert len(await blobs.put_aside(digests, 0)) == 2
    again = make_volume()
    assert [await content_of(again, digest) for digest in digests] == contents
    assert len(await again.put_aside(digests, 0)) == 2
    await again.drop(digests)
    assert await make_volume().sizes(digests) == [None, None]


async def test_a_blob_of_an_unsettled_journal_may_come_back_whole(make_volume, clock):
    """Removed and then, after a crash, put back from the journal: it is removed the next time."""
    blobs = make_volume()
    digest = (await blobs.put(b"tiny")).digest
    clock.ahead = DAY
    await blobs.put_aside([digest], 0)
    await blobs.drop([digest])
    again = make_volume()
    assert await content_of(again, digest) == b"tiny"
    clock.ahead = 3 * DAY
    assert await again.put_aside([digest], 0)
    await again.drop([digest])
    assert await make_volume().sizes([digest]) == [None]


async def test_a_volume_that_may_not_be_touched_answers_all_the_same(
    make_volume, clock, monkeypatch
):
    """Where it cannot be noted that somebody asked, nothing can be removed either."""
    blobs = make_volume()
    digest = (await blobs.put(b"kept")).digest
    clock.ahead = DAY

    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("databuffer.store.shelves.os.utime", refuse)
    assert await blobs.sizes([digest]) == [4]
