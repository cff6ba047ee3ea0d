"""Starting again on a volume: a torn tail is cut off, damage is refused, nothing is lost."""

from __future__ import annotations

import asyncio
import functools
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opened import with_ledger

from databuffer.errors import DamagedLedger, LedgerFailed, VolumeFull, VolumeInUse
from databuffer.store import atomic
from databuffer.store.disk import Disk
from databuffer.store.protocols import NewEntry
from databuffer.store.volume_blobs import VolumeBlobs

FIRST = f"{1:020d}.jsonl"


async def fill(ledger, count=6):
    """Append some entries with keys."""
    for number in range(count):
        data = json.dumps({"n": number, "text": "é" * number}).encode()
        await ledger.append(NewEntry("t.x", "a", data, (f"k/{number % 2}",), {}, f"id{number}"))


async def lines_of(ledger):
    """Read every line."""
    return (await ledger.read(0, 10_000)).lines.splitlines(keepends=True)


@functools.cache
def example():
    """Give the files of a small ledger in one segment."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(with_ledger(Path(folder), fill))
        return {
            path.name: path.read_bytes()
            for path in Path(folder).iterdir()
            if path.suffix != ".sqlite"
        }


def restored(folder, content):
    """Lay out the example with other bytes in its segment."""
    root = Path(folder)
    for name, raw in example().items():
        (root / name).write_bytes(content if name == FIRST else raw)
    return root


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_ledger_cut_anywhere_keeps_its_whole_lines(data):
    """Truncated at any byte, the complete lines before it are there, and appending goes on."""
    whole = example()[FIRST]
    cut = data.draw(st.integers(0, len(whole)))
    expected = whole[:cut].splitlines(keepends=True)
    if expected and not expected[-1].endswith(b"\n"):
        expected.pop()

    async def look(ledger):
        assert await lines_of(ledger) == expected
        appended = await ledger.append(NewEntry("t.y", "a", b"{}"))
        assert appended.lsn == len(expected) + 1
        for number in range(6):
            found = await ledger.find(f"id{number}")
            assert found == (number + 1 if number < len(expected) else None)

    with tempfile.TemporaryDirectory() as folder:
        root = restored(folder, whole[:cut])
        asyncio.run(with_ledger(root, look))
        asyncio.run(with_ledger(root, lines_of))


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_a_flipped_byte_is_refused_naming_its_lsn(data):
    """Any other byte anywhere in a complete line stops the start, and nothing is changed."""
    whole = example()[FIRST]
    at = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[at]))
    changed = whole[:at] + bytes([other]) + whole[at + 1 :]
    with tempfile.TemporaryDirectory() as folder:
        root = restored(folder, changed)
        with pytest.raises(DamagedLedger) as refused:
            asyncio.run(with_ledger(root, lines_of))
        assert refused.value.lsn == whole[:at].count(b"\n") + 1
        assert refused.value.segment == FIRST
        assert (root / FIRST).read_bytes() == changed


async def test_a_ledger_of_many_segments_is_read_again(tmp_path):
    """Rotation loses nothing: after a restart the same lines, head and id are there."""

    async def look(ledger):
        return ledger.head(), await lines_of(ledger)

    async def write(ledger):
        await fill(ledger, 40)
        return await look(ledger)

    before = await with_ledger(tmp_path, write, 1500)
    assert len(list(tmp_path.glob("*.jsonl"))) > 3
    assert await with_ledger(tmp_path, look, 1500) == before


async def test_pages_of_large_entries_leave_none_out_where_a_segment_ends(tmp_path):
    """Whoever follows a ledger of entries of megabytes, page by page, gets every one, in order."""

    async def follow(ledger):
        for number in range(8):
            data = json.dumps({"n": number, "text": "x" * (3 << 20)}).encode()
            await ledger.append(NewEntry("t.x", "a", data, (), {}, None))
        found, after = [], 0
        while after < 8:
            page = await ledger.read(after, 10_000)
            found += [json.loads(line)["data"]["n"] for line in page.lines.splitlines()]
            after = page.last
        return found

    assert await with_ledger(tmp_path, follow, 10 << 20) == list(range(8))


async def test_a_missing_segment_is_refused(tmp_path):
    """A listed segment that is not there stops the start, named."""
    await with_ledger(tmp_path, functools.partial(fill, count=40), 1500)
    second = sorted(tmp_path.glob("*.jsonl"))[1]
    second.unlink()
    with pytest.raises(DamagedLedger, match=second.name):
        await with_ledger(tmp_path, lines_of)


async def test_a_volume_is_served_once(tmp_path):
    """A second databuffer on the same ledger refuses to start."""

    async def again(_):
        with pytest.raises(VolumeInUse):
            await with_ledger(tmp_path, lines_of)

    await with_ledger(tmp_path, again)


class Stubborn(atomic.AppendFile):
    """A file on a disk that fails as it is told to."""

    error: Exception | None = None

    def append(self, content):
        """Fail, or append."""
        if Stubborn.error is not None:
            raise Stubborn.error
        super().append(content)


@pytest.fixture
def stubborn(monkeypatch):
    """Let ledgers write to stubborn files."""
    monkeypatch.setattr(Stubborn, "error", None)
    monkeypatch.setattr(atomic, "AppendFile", Stubborn)
    return Stubborn


async def test_a_full_volume_refuses_and_recovers(tmp_path, stubborn):
    """Appends on a full volume raise `VolumeFull`; with space again they go on, nothing lost."""

    async def work(ledger):
        await fill(ledger, 3)
        stubborn.error = OSError(28, "No space left on device")
        with pytest.raises(VolumeFull):
            await ledger.append(NewEntry("t.y", "a", b"{}", idempotency_key="later"))
        stubborn.error = None
        assert (await ledger.append(NewEntry("t.y", "a", b"{}", idempotency_key="later"))).lsn == 4

    await with_ledger(tmp_path, work)


async def test_a_failed_sync_poisons_the_ledger(tmp_path, stubborn):
    """After a write error everything pending and later fails, and the process is told."""

    async def work(ledger):
        stubborn.error = LedgerFailed("input/output error")
        tries = (ledger.append(NewEntry("t.y", "a", b"{}")) for _ in range(5))
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
        stubborn.error = None
        assert all(isinstance(one, LedgerFailed) for one in outcomes)
        with pytest.raises(LedgerFailed):
            await ledger.append(NewEntry("t.y", "a", b"{}"))
        assert ledger.failed.is_set()

    await with_ledger(tmp_path, work)


async def test_a_damaged_small_blob_is_mended_by_its_next_upload(tmp_path):
    """Uploading the true content again replaces bytes that changed, and were read, on disk."""
    disk = Disk(2, "test")
    blobs = VolumeBlobs(tmp_path / "blobs", disk, 1 << 20)
    blobs.prepare()
    stored = await blobs.put(b"true content")
    path = next((tmp_path / "blobs").rglob(stored.digest.hex))
    path.write_bytes(b"false")
    assert (await blobs.open(stored.digest)).content == b"false"
    assert not (await blobs.put(b"true content")).created
    assert path.read_bytes() == b"true content"
    assert (await blobs.open(stored.digest)).content == b"true content"
    disk.close()


def test_without_unnamed_files_uploads_use_temporary_names(tmp_path, monkeypatch):
    """On a file system without O_TMPFILE a temporary name is used, and swept after a crash."""
    monkeypatch.setattr(atomic, "UNNAMED", atomic.os.O_DIRECTORY | atomic.os.O_CREAT)
    upload = atomic.Upload(tmp_path)
    upload.write(b"content")
    assert [path.name.startswith(".tmp-") for path in tmp_path.iterdir()] == [True]
    assert upload.publish(atomic.Folder(tmp_path), "name")
    upload.close()
    assert [path.name for path in tmp_path.iterdir()] == ["name"]
    atomic.Upload(tmp_path)
    assert atomic.sweep(tmp_path) == 1
