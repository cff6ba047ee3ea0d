"""Doing together what waits: fewer calls, but to each caller its own outcome."""

from __future__ import annotations

import asyncio
import threading

import pytest

from databuffer.errors import DigestMismatch, StorageFailed
from databuffer.names import Digest
from databuffer.store.disk import Disk
from databuffer.store.together import Together
from databuffer.store.volume_blobs import VolumeBlobs


@pytest.fixture
def disk():
    """A pool of threads."""
    pool = Disk(4, "test")
    yield pool
    pool.close()


async def test_what_waits_shares_a_call(disk):
    """While a call is under way the others wait, and are then done by one call."""
    calls, begun, go_on = [], threading.Event(), threading.Event()

    def act(items):
        calls.append(list(items))
        begun.set()
        go_on.wait(30)
        return [-item for item in items]

    together = Together(disk, act, lanes=1, most=100)
    first = asyncio.create_task(together.do(1, 1))
    await asyncio.to_thread(begun.wait, 10)
    others = [asyncio.create_task(together.do(item, 1)) for item in (2, 3, 4)]
    await asyncio.sleep(0)
    go_on.set()
    assert await asyncio.gather(first, *others) == [-1, -2, -3, -4]
    assert calls == [[1], [2, 3, 4]]


async def test_a_call_takes_no_more_than_it_may(disk):
    """Heavy items are spread over several calls, at least one item each."""
    calls = []

    def act(items):
        calls.append(len(items))
        return list(items)

    together = Together(disk, act, lanes=1, most=10)
    await asyncio.gather(*(together.do(item, 6) for item in range(5)), together.do(5, 600))
    assert calls == [2, 2, 2]


async def test_what_comes_as_the_last_lane_ends_is_done_too(disk):
    """A caller that asks again the moment it is answered does not wait for ever."""
    together = Together(disk, list, lanes=1, most=100)
    async with asyncio.timeout(30):
        assert [await together.do(item, 1) for item in range(100)] == list(range(100))


async def test_a_failure_is_the_own_of_its_item(disk):
    """One item's exception reaches its caller and no other."""

    def act(items):
        return [ValueError("odd") if item % 2 else item for item in items]

    together = Together(disk, act, lanes=1, most=100)
    found = await asyncio.gather(*map(together.do, range(4), [1] * 4), return_exceptions=True)
    assert [str(outcome) for outcome in found] == ["0", "odd", "2", "odd"]


async def test_what_the_call_raises_reaches_every_caller(disk):
    """When the call itself fails nobody is left waiting, and later items are done."""
    errors = [OSError(5, "broken")]

    def act(items):
        if errors:
            raise errors.pop()
        return list(items)

    together = Together(disk, act, lanes=1, most=100)
    found = await asyncio.gather(together.do(1, 1), together.do(2, 1), return_exceptions=True)
    assert [type(outcome) for outcome in found] == [StorageFailed, StorageFailed]
    assert await together.do(3, 1) == 3


async def test_a_cancelled_caller_does_not_disturb_the_others(disk):
    """Who goes away while waiting is forgotten; the rest of its call is answered."""
    begun, go_on = threading.Event(), threading.Event()

    def act(items):
        begun.set()
        go_on.wait(30)
        return list(items)

    together = Together(disk, act, lanes=1, most=100)
    callers = [asyncio.create_task(together.do(item, 1)) for item in range(3)]
    await asyncio.to_thread(begun.wait, 10)
    callers[0].cancel()
    go_on.set()
    found = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == [1, 2]


async def test_small_blobs_at_once_have_their_own_outcomes(tmp_path, disk):
    """Among blobs put at the same time a wrong digest refuses its own blob and keeps the others."""
    blobs = VolumeBlobs(tmp_path / "blobs", disk, 1 << 20)
    blobs.prepare()
    contents = [b"content %d" % number for number in range(50)]
    wrong = Digest.of(b"something else")
    found = await asyncio.gather(
        *(blobs.put(content, wrong if at == 7 else None) for at, content in enumerate(contents)),
        return_exceptions=True,
    )
    assert isinstance(found.pop(7), DigestMismatch)
    assert all(stored.created for stored in found)
    kept = {path.read_bytes() for path in (tmp_path / "blobs/sha256").rglob("*") if path.is_file()}
    assert kept == set(contents) - {b"content 7"}
