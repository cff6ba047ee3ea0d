"""Blobs that nothing names, found and removed while others write."""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from load import seeded

from databuffer.errors import InProgress, Stopping
from databuffer.names import Digest, DocumentName
from databuffer.store.disk import Disk
from databuffer.store.documents import Condition, Documents
from databuffer.store.mentions import Mentions
from databuffer.store.protocols import NewEntry
from databuffer.store.room import Room
from databuffer.store.shelves import Shelves
from databuffer.store.unreferenced import Unreferenced
from databuffer.store.volume_blobs import VolumeBlobs
from databuffer.store.volume_ledger import VolumeLedger

DAY, WEEK = 86_400.0, 604_800.0
CHECKPOINT = DocumentName("checkpoint")


class Meddled:
    """Upkeep in which something happens between putting aside and the rest."""

    def __init__(self, blobs, meddle):
        self.unnamed, self.put_back, self.drop = blobs.unnamed, blobs.put_back, blobs.drop
        self._blobs, self._meddle = blobs, meddle

    async def put_aside(self, digests, older_than):
        """Put aside, then let it happen."""
        aside = await self._blobs.put_aside(digests, older_than)
        await self._meddle(digests)
        return aside


@pytest.fixture
async def store(tmp_path):
    """All that a sweep looks at, on a volume; the clock of the blobs may be set ahead."""
    disk, clock = Disk(4, "test"), SimpleNamespace(ahead=0.0)
    blobs = VolumeBlobs(tmp_path / "blobs", disk, 1 << 20, clock=lambda: time.time() + clock.ahead)
    blobs.prepare()
    documents = Documents(tmp_path / "state", disk, Room(tmp_path, 0))
    documents.prepare()
    ledger = VolumeLedger(tmp_path / "ledger", disk, 2000)
    await ledger.open()
    found = SimpleNamespace(
        blobs=blobs, documents=documents, ledger=ledger, disk=disk, clock=clock, stopping=False
    )
    yield found
    await ledger.close()
    await blobs.close()
    disk.close()


def sweeping(store, meddle=None):
    """Return what sweeps the store."""
    blobs = store.blobs if meddle is None else Meddled(store.blobs, meddle)
    return Unreferenced(store.ledger, store.documents, blobs, store.disk, lambda: store.stopping)


async def name(store, *digests):
    """Append an entry that names these."""
    data = json.dumps({"columns": {"digest": list(digests)}}).encode()
    await store.ledger.append(NewEntry("test.made", "tester", data))


async def many(store, count, what="blob"):
    """Store so many blobs; return their digests."""
    puts = (store.blobs.put(f"{what} {number}".encode()) for number in range(count))
    return [stored.digest for stored in await asyncio.gather(*puts)]


async def there(store, digests):
    """Say which of these are there."""
    sizes = await store.blobs.sizes(digests)
    return {digest for digest, size in zip(digests, sizes, strict=True) if size is not None}


async def test_what_nothing_names_is_found_and_removed_if_asked(store):
    """Named anywhere in the ledger, compressed or not, or in a document: it stays."""
    digests = await many(store, 200)
    for digest in digests[:60]:
        await name(store, digest)
    await store.ledger.compress()
    await name(store, *digests[60:100])
    await store.documents.put(CHECKPOINT, f'{{"digest":"{digests[100]}"}}'.encode(), Condition())
    store.clock.ahead = 2 * WEEK
    unnamed = set(digests[101:])
    for _ in range(2):  # its file is of today, and is of the clock's time when it is put again
        (new,) = await many(store, 1, "new")
    found = await sweeping(store).sweep(WEEK, remove=False)
    assert (found.unreferenced, found.removed, found.younger) == (99, 0, 1)
    assert found.bytes == 99 * len("blob 100")
    assert len(found.sample) == 20
    assert set(found.sample) <= unnamed
    done = await sweeping(store).sweep(WEEK, remove=True)
    assert (done.removed, done.removed_bytes) == (99, found.bytes)
    assert await there(store, [*digests, new]) == {*digests, new} - unnamed
    again = await sweeping(store).sweep(WEEK, remove=True)
    assert (again.unreferenced, again.removed) == (0, 0)


async def test_what_is_young_is_counted_apart(store):
    """It may be about to be named."""
    await many(store, 3, "old")
    store.clock.ahead = DAY
    asked = await many(store, 2, "old")
    found = await sweeping(store).sweep(3600, remove=True)
    assert (found.unreferenced, found.removed, found.younger) == (1, 1, 2)
    assert await there(store, asked) == set(asked)


async def test_a_superseded_checkpoint_goes(store):
    """The document names another one by then."""
    old, new = await many(store, 2)
    await store.documents.put(CHECKPOINT, f'"{old}"'.encode(), Condition())
    await store.documents.put(CHECKPOINT, f'"{new}"'.encode(), Condition(match=frozenset("*")))
    store.clock.ahead = DAY
    assert (await sweeping(store).sweep(3600, remove=True)).removed == 1
    assert await there(store, [old, new]) == {new}


async def test_what_is_named_while_it_is_being_removed_is_put_back(store):
    """By an entry, or by a document, of somebody who asked nobody."""
    digests = await many(store, 50)
    store.clock.ahead = DAY

    named = set()

    async def meddle(aside):
        named.update(aside[1::3], aside[2::3])
        await name(store, *aside[1::3])
        body = json.dumps(aside[2::3]).encode()
        await store.documents.put(DocumentName(f"named-{aside[0].hex[:9]}"), body, Condition())

    done = await sweeping(store, meddle).sweep(3600, remove=True)
    kept = await there(store, digests)
    assert kept == named
    assert 0 < done.removed == 50 - len(kept)
    assert (await sweeping(store).sweep(3600, remove=True)).removed == 0
    assert await there(store, digests) == kept


async def test_one_at_a_time(store):
    """A second one is refused meanwhile, and may come after."""
    sweeper = sweeping(store)
    first = asyncio.create_task(sweeper.sweep(WEEK, remove=False))
    await asyncio.sleep(0)
    with pytest.raises(InProgress):
        await sweeper.sweep(WEEK, remove=False)
    await first
    await sweeper.sweep(WEEK, remove=False)


async def test_it_ends_when_the_process_stops_and_leaves_nothing_aside(store):
    """In the midst of removing: what was aside is put back."""
    digests = await many(store, 20)
    store.clock.ahead = DAY

    async def meddle(aside):
        await name(store)
        store.stopping = True

    with pytest.raises(Stopping):
        await sweeping(store, meddle).sweep(3600, remove=True)
    assert await there(store, digests) == set(digests)


def test_every_mention_in_a_long_text_is_found():
    """Wherever it stands, and nothing else is taken for one."""
    chance = seeded(5)
    mentioned = [Digest.of(b"%d" % number) for number in range(2000)]
    mentions = Mentions()
    mentions.add("".join("x" * chance.randrange(300) + digest for digest in mentioned).encode())
    assert all(digest in mentions for digest in mentioned)
    assert not any(Digest.of(b"other %d" % number) in mentions for number in range(20_000))


@pytest.mark.parametrize("between", [":", "/", "%3A", "%3a"])
def test_a_url_is_a_mention_too(between):
    """An IOV may name its payload by where it is fetched from."""
    mentions, digest = Mentions(), Digest.of(b"by its address")
    mentions.add(f"http://host/blobs/sha256{between}{digest.hex}?x".encode())
    assert digest in mentions


def test_a_mention_across_any_cut_is_found():
    """The text is looked at a piece at a time."""
    mentions = Mentions()
    for at in range((1 << 14) - 75, (1 << 14) + 5):
        digest = Digest.of(b"cut at %d" % at)
        mentions.add(b"x" * at + digest.encode())
        assert digest in mentions


@pytest.mark.parametrize("mode", [0o664, 0o644])
def test_a_file_of_somebody_else_is_kept_for_who_asked_for_it(tmp_path, monkeypatch, mode):
    """As restored by root, in directories of our group: it may be removed, and not be touched."""
    monkeypatch.chdir(tmp_path)
    shelves = Shelves(Path("base"), Path("aside"))
    digest = Digest.of(b"somebody else's")
    shelves.path(digest).parent.mkdir(parents=True)
    shelves.path(digest).touch()
    os.utime(shelves.path(digest), (0, 0))
    with in_a_group_of(tmp_path, mode):
        assert shelves.ask(digest) == 0
        assert shelves.put_aside([digest], DAY / 2) == []


@contextmanager
def in_a_group_of(folder, mode):
    """Be another user than the owner of all files there; who may not be only may not write."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o777 if path.is_dir() else mode & (0o777 if os.geteuid() == 0 else 0o444))
    if os.geteuid() != 0:
        yield
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 0, 1)
    os.setegid(1)
    os.seteuid(1)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
