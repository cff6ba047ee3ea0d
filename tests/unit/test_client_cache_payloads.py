"""Payloads in the cache: verified, bounded, private, and never a reason to fail."""

from __future__ import annotations

import logging
import os
import stat
import threading

import pytest
from cache_source import Made, content

from condstore.cache import Cache, downloads, seals
from condstore.cache.room import on_disk
from condstore.digests import Digest
from condstore.errors import DamagedPayload, NotFound, ServerAway, UsageError

LIMIT = 1 << 20


@pytest.fixture
def source():
    """Return a source of payloads that counts its downloads."""
    return Counting()


@pytest.fixture
def cache(tmp_path):
    """Return a cache of 1 MiB."""
    made = Cache(tmp_path / "cache", limit=LIMIT)
    yield made
    made.close()


class Counting(Made):
    """A source that counts downloads."""

    def __init__(self):
        super().__init__()
        self.downloads = 0

    def pieces(self, digest):
        """Count and give."""
        self.downloads += 1
        return super().pieces(digest)


def opened(cache, source, digest):
    """Return the payload's bytes as the cache gives them."""
    with cache.payloads.open(digest, lambda: source.pieces(digest)) as file:
        return file.read()


def file_of(cache, digest):
    """Return where the payload lies."""
    return cache.folder.path / "payloads" / digest.hex


def test_constructing_touches_nothing(tmp_path):
    """Who makes a cache and asks nothing of it leaves no trace."""
    Cache(tmp_path / "deep" / "cache").close()
    assert not list(tmp_path.iterdir())


def test_a_payload_is_downloaded_once(cache, source):
    """The second opening asks nobody, nor does the first one of another process."""
    (digest,) = source.store(content(1, 5000))
    for one in (cache, cache, Cache(cache.path, limit=LIMIT)):
        assert opened(one, source, digest) == content(1, 5000)
    assert source.downloads == 1
    done = cache.done()
    assert (done.payload_hits, done.payload_misses, done.bytes_brought) == (1, 1, 5000)


def test_an_empty_payload_is_a_payload(cache, source):
    """No bytes hash to something, too."""
    (digest,) = source.store(b"")
    assert [opened(cache, source, digest) for _ in range(2)] == [b"", b""]
    assert source.downloads == 1


def flip(file):
    """Change one byte in the middle."""
    with file.open("r+b") as open_file:
        open_file.seek(file.stat().st_size // 2)
        byte = open_file.read(1)
        open_file.seek(-1, os.SEEK_CUR)
        open_file.write(bytes([byte[0] ^ 1]))


def truncate(file):
    """Lose the end."""
    os.truncate(file, file.stat().st_size - 1)


def lengthen(file):
    """Gain a byte."""
    with file.open("ab") as open_file:
        open_file.write(b"!")


def empty(file):
    """Lose everything."""
    os.truncate(file, 0)


@pytest.mark.parametrize("damage", [flip, truncate, lengthen, empty])
@pytest.mark.parametrize("size", [5000, seals.HASHED + 4097])
def test_a_damaged_file_is_dropped_and_fetched_again(tmp_path, source, damage, size):
    """Small or large, nobody is given bytes that are not the payload's."""
    cache = Cache(tmp_path / "cache", limit=64 << 20)
    (digest,) = source.store(content(2, size))
    opened(cache, source, digest)
    damage(file_of(cache, digest))
    for _ in range(2):
        assert opened(cache, source, digest) == content(2, size)
    assert source.downloads == 2
    assert cache.done().damaged == 1


def test_a_large_payload_is_hashed_when_its_seal_is_broken_only(tmp_path, source, monkeypatch):
    """A gigabyte is not read twice by each job that opens it."""
    cache = Cache(tmp_path / "cache", limit=64 << 20)
    (digest,) = source.store(content(3, seals.HASHED + 1))
    opened(cache, source, digest)
    hashed = []
    real = seals.hashlib.file_digest
    monkeypatch.setattr(seals.hashlib, "file_digest", lambda *a: hashed.append(a) or real(*a))
    opened(cache, source, digest)
    assert not hashed
    file_of(cache, digest).touch()
    opened(cache, source, digest)
    assert len(hashed) == 1
    opened(cache, source, digest)
    assert len(hashed) == 1


def test_a_seal_is_not_todays_date(cache, source):
    """So that no clock that runs right can set one by accident."""
    (digest,) = source.store(content(4, 10))
    opened(cache, source, digest)
    assert 1973 <= 1970 + file_of(cache, digest).stat().st_mtime / 31_556_952 <= 1991


def test_wrong_bytes_are_not_kept(cache, source):
    """What does not hash to its digest is refused, and nothing of it stays."""
    digest = Digest.of(b"asked for")
    source.payloads[digest] = b"something else"
    with pytest.raises(DamagedPayload):
        opened(cache, source, digest)
    source.payloads[digest] = b"asked for"
    assert opened(cache, source, digest) == b"asked for"
    assert not list((cache.folder.path / "coming").iterdir())


@pytest.mark.parametrize("error", [ServerAway("gone"), KeyboardInterrupt()])
def test_a_download_that_breaks_off_leaves_nothing(cache, source, error):
    """The caller hears what happened, and the next one begins anew."""

    def fail():
        source.tell = bool
        raise error

    (digest,) = source.store(content(5, 5000))
    source.tell = fail
    with pytest.raises(type(error)):
        opened(cache, source, digest)
    assert not list((cache.folder.path / "coming").iterdir())
    assert opened(cache, source, digest) == content(5, 5000)


def test_what_the_store_has_not_is_not_found(cache, source):
    """A refusal is passed on."""
    with pytest.raises(NotFound):
        opened(cache, source, Digest.of(b"unheard of"))


def test_the_limit_holds_and_the_least_recently_opened_goes(cache, source, monkeypatch):
    """What is opened again and again stays while others come and go."""
    monkeypatch.setattr(seals, "_TOUCH", 0)
    favourite, *others = source.store(*(content(number, 50_000) for number in range(60)))
    for other in others:
        assert opened(cache, source, favourite)
        assert opened(cache, source, other)
    found = cache.statistics()
    assert found.size <= LIMIT
    assert found.done.evicted > 30
    assert source.downloads == 60
    assert file_of(cache, favourite).exists()


def test_what_is_open_survives_its_eviction(cache, source):
    """A job reads to the end what it has begun to read."""
    first, *others = source.store(*(content(number, 90_000) for number in range(30)))
    with cache.payloads.open(first, lambda: source.pieces(first)) as file:
        start = file.read(10)
        for other in others:
            opened(cache, source, other)
        assert not file_of(cache, first).exists()
        assert start + file.read() == content(0, 90_000)


def test_what_is_larger_than_half_the_limit_passes_through(cache, source):
    """It is given, verified, and does not push out everything else."""
    small, large = source.store(content(1, 1000), content(2, LIMIT))
    opened(cache, source, small)
    assert opened(cache, source, large) == content(2, LIMIT)
    assert cache.statistics().payloads == 1
    assert opened(cache, source, small) == content(1, 1000)
    assert source.downloads == 2


def test_pieces_are_passed_on_as_they_come(cache, source):
    """So a progress bar moves; afterwards the payload is here."""
    source.piece = 1 << 20
    (digest,) = source.store(content(6, 3 << 20))
    large = Cache(cache.path, limit=64 << 20)
    came = []
    source.tell = lambda: came.append(None)
    for _ in range(2):
        with large.payloads.pieces(digest, lambda: source.pieces(digest)) as pieces:
            assert next(pieces) == content(6, 3 << 20)[: 1 << 20]
            assert len(came) in (1, 3)
            assert b"".join(pieces) == content(6, 3 << 20)[1 << 20 :]
    assert source.downloads == 1


@pytest.mark.parametrize("taken", [0, 1])
def test_pieces_that_nobody_takes_are_not_kept(cache, source, taken):
    """Half a payload is none, and the next one is not held up."""
    (digest,) = source.store(content(6, 300_000))
    with cache.payloads.pieces(digest, lambda: source.pieces(digest)) as pieces:
        for _ in range(taken):
            source.tell = _broken
            with pytest.raises(ServerAway):
                next(pieces)
    source.tell = bool
    assert not list((cache.folder.path / "coming").iterdir())
    assert opened(cache, source, digest) == content(6, 300_000)


def _broken():
    raise ServerAway("gone")


def test_threads_share_one_download(cache, source):
    """Two threads that open the same cold payload ask once."""
    (digest,) = source.store(content(7, 200_000))
    started = threading.Barrier(8)
    got = []

    def work():
        started.wait()
        got.append(opened(cache, source, digest))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [content(7, 200_000)] * 8
    assert source.downloads == 1


def test_a_stuck_download_is_not_waited_for_for_ever(cache, source, monkeypatch):
    """Whoever holds the lock and does nothing does not hold up the others."""
    monkeypatch.setattr(downloads, "PATIENCE", 0.1)
    (digest,) = source.store(content(8, 1000))
    other = Cache(cache.path, limit=LIMIT)
    stuck = other.payloads._inbox.begun(digest)
    assert opened(cache, source, digest) == content(8, 1000)
    assert cache.done().waited == 1
    stuck.reader.close()
    stuck.leave()
    assert opened(cache, source, digest) == content(8, 1000)
    assert file_of(cache, digest).exists()


# -- a directory that is not as it should be -----------------------------------------------------


def test_everything_in_it_is_private(cache, source):
    """Nobody else reads what a user may read."""
    (digest,) = source.store(content(1, 10))
    opened(cache, source, digest)
    places = [cache.path, cache.folder.path, *cache.folder.path.rglob("*")]
    assert all(stat.S_IMODE(place.stat().st_mode) & 0o077 == 0 for place in places)


def test_a_link_in_place_of_a_payload_is_not_followed(cache, source, tmp_path):
    """It is removed, and what it pointed to stays as it was."""
    elsewhere = tmp_path / "precious"
    elsewhere.write_bytes(content(1, 10))
    (digest,) = source.store(content(1, 10))
    opened(cache, source, digest)
    file_of(cache, digest).unlink()
    file_of(cache, digest).symlink_to(elsewhere)
    assert opened(cache, source, digest) == content(1, 10)
    assert source.downloads == 2
    assert file_of(cache, digest).is_file()
    assert not file_of(cache, digest).is_symlink()
    assert elsewhere.read_bytes() == content(1, 10)


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), os.mkfifo])
def test_what_is_no_file_is_not_waited_on(cache, source, make):
    """A directory or a pipe under a payload's name holds nobody up."""
    (digest,) = source.store(content(1, 10))
    opened(cache, source, digest)
    file_of(cache, digest).unlink()
    make(file_of(cache, digest))
    assert opened(cache, source, digest) == content(1, 10)


def test_a_link_in_place_of_the_private_folder_is_refused(cache, source, tmp_path, caplog):
    """Somebody else's directory is not written to: the payload is fetched past the cache."""
    trap = tmp_path / "trap"
    trap.mkdir()
    cache.path.mkdir()
    cache.folder.path.symlink_to(trap)
    (digest,) = source.store(content(1, 10))
    for _ in range(2):
        assert opened(cache, source, digest) == content(1, 10)
    assert not list(trap.iterdir())
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "CONDSTORE_CACHE" in caplog.text


def test_a_path_that_is_a_file_is_done_without(tmp_path, source, caplog):
    """One warning, and the job goes on."""
    (tmp_path / "cache").write_text("not a directory")
    cache = Cache(tmp_path / "cache")
    (digest,) = source.store(content(1, 10))
    for _ in range(3):
        assert opened(cache, source, digest) == content(1, 10)
    assert len(caplog.records) == 1
    assert cache.done().uncached == 3


def test_it_may_be_deleted_while_it_is_used(cache, source):
    """What was deleted is begun anew."""
    first, second = source.store(content(1, 10), content(2, 10))
    opened(cache, source, first)
    for part in ("payloads", "coming"):
        for file in (cache.folder.path / part).iterdir():
            file.unlink()
        (cache.folder.path / part).rmdir()
    for file in cache.folder.path.iterdir():
        file.unlink()
    cache.folder.path.rmdir()
    assert opened(cache, source, first) == content(1, 10)
    assert opened(cache, source, second) == content(2, 10)
    assert file_of(cache, second).exists()
    assert cache.done().uncached == 0


def test_foreign_files_are_neither_counted_nor_removed(cache, source):
    """A name that is not a digest is nobody's payload."""
    opened(cache, source, source.store(content(1, 10))[0])
    foreign = cache.folder.path / "payloads" / "README"
    foreign.write_bytes(bytes(LIMIT))
    for number in range(30):
        opened(cache, source, source.store(content(number, 90_000))[0])
    assert foreign.exists()
    assert cache.statistics().size <= LIMIT


def test_a_torn_count_is_counted_anew(cache, source):
    """The number of bytes in use is derived: whatever stands there, the limit holds."""
    opened(cache, source, source.store(content(1, 10))[0])
    (cache.folder.path / "room").write_bytes(b"garbage")
    opened(cache, source, source.store(content(2, 10))[0])
    assert cache.statistics().payload_bytes == 2 * on_disk(10)


def test_a_cache_of_a_few_bytes_is_refused(tmp_path):
    """A limit in the wrong unit is the caller's mistake, and said at once."""
    with pytest.raises(UsageError, match="too small"):
        Cache(tmp_path, limit=10)
