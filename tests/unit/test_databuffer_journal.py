"""The journal of small blobs: what it holds comes back, whatever became of the files."""

from __future__ import annotations

import pytest

from databuffer.names import Digest
from databuffer.store.disk import Disk
from databuffer.store.journal import Journal
from databuffer.store.volume_blobs import VolumeBlobs

CONTENTS = [b"", b"a", b"strain" * 1000, bytes(range(256))]
BLOBS = {Digest.of(content): content for content in CONTENTS}


@pytest.fixture
def disk():
    """Give a pool of threads, closed at the end."""
    pool = Disk(2, "test")
    yield pool
    pool.close()


def journal(folder, most=1 << 20):
    """Open a journal on a folder and say what it gives back."""
    found = {}
    opened = Journal(folder, most)
    opened.replay(found.__setitem__)
    return opened, found


def written(folder):
    """Write the blobs into a journal, one a record, and leave it as a kill would."""
    opened, _ = journal(folder)
    for digest, content in BLOBS.items():
        opened.append({digest: content})
    return next(folder.iterdir())


def test_what_was_journalled_comes_back_once(tmp_path):
    """A start gives every blob back; when they are settled the next start has nothing to give."""
    written(tmp_path)
    assert journal(tmp_path)[1] == BLOBS
    assert list(tmp_path.iterdir()) == []


def test_a_journal_cut_anywhere_gives_a_prefix(tmp_path):
    """An unfinished record was never acknowledged; all before it come back."""
    whole = written(tmp_path / "whole").read_bytes()
    for size in range(0, len(whole), 97):
        folder = tmp_path / str(size)
        folder.mkdir()
        (folder / f"{1:020d}.blobs").write_bytes(whole[:size])
        found = journal(folder)[1]
        assert list(found.items()) == list(BLOBS.items())[: len(found)]
        assert sum(44 + len(content) for content in found.values()) <= size


@pytest.mark.parametrize("at", [0, 20, 43, 44, 100])
def test_a_changed_byte_gives_nothing_false(tmp_path, at):
    """What comes back hashes to its name: a record with a wrong byte ends the journal."""
    path = written(tmp_path)
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)
    found = journal(tmp_path)[1]
    assert found.items() < BLOBS.items()


def test_a_full_journal_is_sealed_and_settled(tmp_path):
    """It never grows much beyond its size, and settling removes only what is sealed."""
    opened, _ = journal(tmp_path, most=5000)
    for digest, content in BLOBS.items():
        opened.append({digest: content})
    assert opened.sealed
    assert len(list(tmp_path.iterdir())) == 2
    opened.settle()
    assert len(list(tmp_path.iterdir())) == 1
    opened.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [b"", b"\0" * 6000, b"strain", None])
async def test_a_start_puts_damaged_files_back(tmp_path, disk, damage):
    """Files that lost their bytes, or their names, are written anew from the journal."""
    content = CONTENTS[2]
    store = VolumeBlobs(tmp_path, disk, 1 << 20)
    store.prepare()
    stored = await store.put(content)
    path = next(tmp_path.rglob(stored.digest.hex))
    if damage is None:
        path.unlink()
        path.parent.rmdir()
    else:
        path.write_bytes(damage)
    again = VolumeBlobs(tmp_path, disk, 1 << 20)
    again.prepare()
    assert path.read_bytes() == content
    assert not (await again.put(content)).created


async def test_a_settled_journal_goes_while_blobs_come(tmp_path, disk):
    """With a tiny journal hundreds of blobs leave at most the open one, and none at the close."""
    store = VolumeBlobs(tmp_path, disk, 1000)
    store.prepare()
    for number in range(300):
        await store.put(b"%d" % number * 100)
    await store.close()
    assert list((tmp_path / "journal").iterdir()) == []
    assert len([path for path in (tmp_path / "sha256").rglob("*") if path.is_file()]) == 300
