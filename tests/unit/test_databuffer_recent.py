"""Small blobs kept in memory: bounded, and the oldest goes first."""

from __future__ import annotations

from databuffer.names import Digest
from databuffer.store.disk import Disk
from databuffer.store.recent import Recent
from databuffer.store.volume_blobs import VolumeBlobs


def kept(recent, contents):
    """Say which of these are kept."""
    return [content for content in contents if recent.get(Digest.of(content)) == content]


def test_what_was_not_asked_for_longest_goes_first():
    """When there is no more room the content that was read last longest ago is let go."""
    recent = Recent(capacity=10, largest=5)
    for content in (b"aaaa", b"bbbb"):
        recent.add(Digest.of(content), content)
    recent.get(Digest.of(b"aaaa"))
    recent.add(Digest.of(b"cccc"), b"cccc")
    assert kept(recent, [b"aaaa", b"bbbb", b"cccc"]) == [b"aaaa", b"cccc"]


def test_what_is_forgotten_is_gone_and_makes_room():
    """And that it happened can be told, by who read one from disk meanwhile."""
    recent = Recent(capacity=10, largest=5)
    for content in (b"aaaa", b"bbbb"):
        recent.add(Digest.of(content), content)
    recent.forget([Digest.of(b"aaaa"), Digest.of(b"never")])
    recent.add(Digest.of(b"cccc"), b"cccc")
    assert kept(recent, [b"aaaa", b"bbbb", b"cccc"]) == [b"bbbb", b"cccc"]
    assert recent.forgotten == 1


def test_what_is_large_is_not_kept():
    """A content above the limit is not kept and pushes nothing out; twice the same counts once."""
    recent = Recent(capacity=10, largest=5)
    for content in (b"aaaaa", b"bbbbbb", b"aaaaa", b"ccccc"):
        recent.add(Digest.of(content), content)
    assert kept(recent, [b"aaaaa", b"bbbbbb", b"ccccc"]) == [b"aaaaa", b"ccccc"]


async def test_a_blob_read_again_needs_no_disk(tmp_path):
    """A small blob that was read once is served although its file is gone."""
    disk = Disk(1, "test")
    blobs = VolumeBlobs(tmp_path / "blobs", disk, 1 << 20)
    blobs.prepare()
    digest = (await blobs.put(b"content")).digest
    (await blobs.open(digest)).close()
    next((tmp_path / "blobs").rglob(digest.hex)).unlink()
    blob = await blobs.open(digest)
    assert (blob.size, await blob.read(2, 3), blob.fileno()) == (7, b"nte", None)
    disk.close()
