"""A volume without space, or that may not be written at all."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import shutil
import subprocess
from types import SimpleNamespace

import pytest
from load import AWAY, BufferLoad, ask, at_once, client_session, post_json, seeded
from servers import databuffer_at, eventually
from small_disk import injected, mounted
from volume_oracle import VolumeOracle, sha256

SEGMENT = json.dumps({"h": [1e-21] * 300, "t": [968654552, 0.5]}).encode()
BLOB = seeded(1).randbytes(30_000)
LARGE = BLOB * 100


@pytest.fixture(params=["mounted", "injected"])
def disk(request, tmp_path):
    """A databuffer on a disk to be filled: a small tmpfs where allowed, and an injected ENOSPC."""
    if request.param == "injected":
        with injected(tmp_path) as disk, _started(disk):
            yield disk
        return
    with mounted(tmp_path) as disk:
        if disk is None:
            pytest.skip("mounting is not permitted here; the injected ENOSPC covers it")
        with _started(disk):
            yield disk


@contextlib.contextmanager
def _started(disk):
    disk.running.start()
    try:
        yield
    finally:
        if disk.running.process.poll() is None:
            disk.running.kill()


def note(pad=""):
    """Return a ledger entry of about the size of the pad."""
    return {"type": "test.note", "actor": "test", "data": {"pad": pad}, "keys": ["test/any"]}


def write_each(url, unique):
    """Try each kind of write once; return the answers by kind."""
    return {
        "blob": ask("POST", f"{url}/blobs", BLOB + unique),
        "large blob": ask("POST", f"{url}/blobs", LARGE + unique),
        "chunked blob": ask("POST", f"{url}/blobs", iter([LARGE, unique, b"chunked"])),
        "ledger": ask("POST", f"{url}/ledger", note(unique.hex() + "x" * 10_000)),
        "segment": ask("POST", f"{url}/sendF", SEGMENT.replace(b"552", b"553" + unique)),
        "state": ask("PUT", f"{url}/state/s{unique.decode()}", {"pad": "x" * 5000}),
    }


def read_each(url, digest):
    """Check that every kind of read answers."""
    assert ask("GET", f"{url}/blobs/sha256/{digest}").body == BLOB
    for path in ("/stat", "/dstat", "/dumpF", "/dumpLogF", "/ledger/head", "/ledger?after=0"):
        assert ask("GET", url + path).status == 200, path
    assert ask("GET", f"{url}/state/before").json == {"at": 1}
    assert ask("GET", f"{url}/livez").status == 200


def prepare(url):
    """Write one of each kind; return the digest of the blob."""
    assert ask("POST", f"{url}/blobs", BLOB).status == 201
    assert ask("PUT", f"{url}/state/before", {"at": 1}).status == 201
    assert ask("POST", f"{url}/sendF", SEGMENT).status == 201
    assert ask("POST", f"{url}/ledger", note()).status == 201
    return sha256(BLOB)


def test_on_a_full_volume_writes_say_507_reads_go_on_and_space_mends_it(disk):
    """Nothing acknowledged is lost, nothing half-written is seen, and no restart is needed."""
    url, oracle = disk.running.url, VolumeOracle(disk.volume)
    digest = prepare(url)
    before = ask("GET", f"{url}/stat").json
    disk.fill()
    for kind, answer in write_each(url, b"1").items():
        assert answer.status == 507, (kind, answer)
        assert answer.json["code"], kind
        assert answer.json["detail"], kind
    assert ask("POST", f"{url}/sendF", SEGMENT + b" ").json["code"] == "ERRIO"
    read_each(url, digest)
    assert ask("GET", f"{url}/stat").json == before
    assert ask("GET", f"{url}/readyz").status == 503
    oracle.check()
    disk.free()
    for kind, answer in write_each(url, b"2").items():
        assert answer.status == 201, (kind, answer)
    eventually(lambda: ask("GET", f"{url}/readyz").status == 200)
    assert ask("GET", f"{url}/stat").json["n_itm"] == before["n_itm"] + 1
    assert disk.running.stop() == 0
    oracle.check_again()


def test_a_full_volume_can_be_started_on_and_read(disk):
    """Restarted on a full volume, the databuffer serves what it has; freed, it writes."""
    url, oracle = disk.running.url, VolumeOracle(disk.volume)
    digest = prepare(url)
    disk.fill()
    disk.running.kill()
    disk.running.restart()
    disk.fill()  # the start settled the journal of blobs, which made room
    read_each(url, digest)
    for kind, answer in write_each(url, b"3").items():
        assert answer.status == 507, (kind, answer)
    disk.free()
    for kind, answer in write_each(url, b"4").items():
        assert answer.status == 201, (kind, answer)
    assert disk.running.stop() == 0
    oracle.check()


def test_it_stops_cleanly_on_a_full_volume(disk):
    """Counters that wait to be written and find no room are no failure: a start repairs them."""
    url, oracle = disk.running.url, VolumeOracle(disk.volume)
    prepare(url)
    assert ask("POST", f"{url}/sendF", SEGMENT + b" ").status == 201
    disk.fill()
    assert disk.running.stop() == 0
    assert "cannot start" not in disk.running.log.read_text()
    disk.free()
    disk.running.restart()
    oracle.check()


def test_a_freeze_and_a_cleaning_that_find_no_space_change_nothing_or_all(disk):
    """Whatever /upddsc and /cleanall answer on a full volume, ledger and files agree afterwards."""
    url, oracle = disk.running.url, VolumeOracle(disk.volume)
    prepare(url)
    disk.fill()
    for _ in range(3):
        frozen = ask("POST", f"{url}/upddsc", {"user": "u" * 150, "token": "t"})
        assert frozen.status in {201, 507}, frozen
        cleaned = ask("POST", f"{url}/cleanall")
        assert cleaned.status in {201, 507}, cleaned
    ask("POST", f"{url}/upddsc", {"user": "last", "token": "t"})
    disk.free()
    disk.running.kill()
    disk.running.restart()
    oracle.check()
    assert ask("POST", f"{url}/cleanall").status == 201
    assert ask("POST", f"{url}/sendF", SEGMENT).status == 201
    assert disk.running.stop() == 0
    oracle.check()


def test_filled_up_by_its_own_load_it_keeps_all_it_acknowledged(disk):
    """Space ends in the midst of every kind of write at once; each is refused whole or kept."""
    url, oracle = disk.running.url, VolumeOracle(disk.volume)
    load = BufferLoad(url, seeded(7))

    async def fill_then_kill():
        await asyncio.sleep(0.5)
        disk.fill()
        await asyncio.sleep(0.7)
        disk.running.kill()

    asyncio.run(load.run(fill_then_kill))
    assert load.surprises
    assert {text for text in load.surprises if ": 507 " not in text} == set()
    disk.free()
    disk.running.restart()
    read_ledger = oracle.check()
    for lsn, data in load.entries.items():
        assert read_ledger[lsn - 1]["data"] == data
    for stored in load.segments:
        assert read_ledger[stored.lsn - 1]["data"]["name"] == stored.name
    assert {digest: oracle.blobs.get(digest) for digest in load.blobs} == load.blobs


def test_counters_and_files_catch_up_when_space_is_freed(disk):
    """Segments taken in just before the volume filled are in data/ and log once there is space."""
    url, oracle = disk.running.url, VolumeOracle(disk.volume)
    prepare(url)

    async def stream_while_it_fills():
        async with client_session() as session:
            for _ in range(5):
                sends = [
                    asyncio.create_task(
                        post_json(session, f"{url}/sendF", {"h": [1e-21] * 100, "t": [n, 0.5]})
                    )
                    for n in range(16)
                ]
                await asyncio.wait(sends, return_when=asyncio.FIRST_COMPLETED)
                disk.fill()
                assert {answer.status for answer in await asyncio.gather(*sends)} <= {201, 507}
                disk.free()

    asyncio.run(stream_while_it_fills())
    assert ask("POST", f"{url}/sendF", SEGMENT).status == 201

    def agrees():
        with contextlib.suppress(AssertionError, FileNotFoundError):
            VolumeOracle(disk.volume).check()
            return True
        return False

    eventually(agrees)
    oracle.check()
    assert ask("GET", f"{url}/stat").json["n_itm"] == len(oracle.buffer.segments)


def test_a_disk_that_fails_ends_the_process_and_a_restart_recovers(tmp_path):
    """After an I/O error nobody knows what is on disk: nothing more is acknowledged until then."""
    with injected(tmp_path, errno.EIO) as disk, _started(disk):
        url, oracle = disk.running.url, VolumeOracle(disk.volume)
        prepare(url)
        disk.fill()

        def append(_number):
            with contextlib.suppress(*AWAY):
                return ask("POST", f"{url}/ledger", note()).status
            return None

        assert set(at_once(8, append)) <= {503, None}
        assert disk.running.ended(within=15) != 0
        disk.free()
        disk.running.restart()
        oracle.check()
        read_each(url, sha256(BLOB))
        for kind, answer in write_each(url, b"5").items():
            assert answer.status == 201, (kind, answer)
        assert disk.running.stop() == 0
        oracle.check()


def test_a_disk_that_fails_for_blobs_says_500_and_keeps_nothing(tmp_path):
    """An I/O error while storing a payload is ours, and leaves nothing behind."""
    with injected(tmp_path, errno.EIO) as disk, _started(disk):
        url, oracle = disk.running.url, VolumeOracle(disk.volume)
        prepare(url)
        disk.fill()
        for body in (BLOB + b"!", LARGE):
            failed = ask("POST", f"{url}/blobs", body)
            assert (failed.status, failed.json["code"]) == (500, "storage_failed"), failed
        disk.free()
        oracle.check()
        assert ask("POST", f"{url}/blobs", LARGE).status == 201


def test_blobs_that_a_full_volume_could_not_put_back_are_not_forgotten(tmp_path):
    """After a power cut, on a volume that is full now: they wait until there is space."""
    bodies = [b"small blob %d" % number for number in range(20)]
    with injected(tmp_path) as disk, _started(disk):
        url = disk.running.url
        for body in bodies:
            assert ask("POST", f"{url}/blobs", body).status == 201
        disk.running.kill()
        # Names that were not synced may be gone; their bytes were, in the journal.
        shutil.rmtree(disk.volume / "blobs/sha256")
        disk.fill()
        disk.running.restart()
        disk.free()
        for number in range(5):
            assert ask("POST", f"{url}/blobs", b"a later blob %d" % number).status == 201
        assert disk.running.stop() == 0
        disk.running.restart()
        for body in bodies:
            assert ask("GET", f"{url}/blobs/sha256/{sha256(body)}").body == body
        assert disk.running.stop() == 0
        VolumeOracle(disk.volume).check()


# Read-only -------------------------------------------------------------------------------------


@contextlib.contextmanager
def read_only(folder):
    """Make the folder unwritable, by whichever means this machine permits."""
    if os.geteuid() != 0:
        folder.chmod(0o555)
        try:
            yield
        finally:
            folder.chmod(0o755)
        return
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("as root, and mounting is not permitted: nothing is unwritable")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_volume_that_cannot_be_written_is_refused_in_one_line(tmp_path):
    """It says so at the start, and not at the first write."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    with read_only(folder):
        status, printed = databuffer_at(tmp_path, VOLUME_ROOT=str(folder)).refusal()
    assert status != 0
    assert len(printed) == 1, printed
    assert printed[0].startswith("databuffer: cannot start: ")
    assert str(folder) in printed[0]


def test_a_volume_turned_read_only_is_refused_and_left_as_it_is(tmp_path):
    """A volume with data, mounted read-only, is refused in one line too."""
    databuffer = databuffer_at(tmp_path)
    databuffer.start()
    assert ask("POST", f"{databuffer.url}/sendF", SEGMENT).status == 201
    assert databuffer.stop() == 0
    volume = tmp_path / "volume"
    if os.geteuid() != 0:
        pytest.skip("remounting needs root")
    bind = ["mount", "--bind", str(volume), str(volume)]
    if subprocess.run(bind, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is not permitted here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(volume)], check=True)
        status, printed = databuffer.refusal()
    finally:
        subprocess.run(["umount", str(volume)], check=True)
    assert status != 0
    assert len(printed) == 1, printed
    assert printed[0].startswith("databuffer: cannot start: ")
    VolumeOracle(volume).check()


# Not mounted -----------------------------------------------------------------------------------


def test_a_volume_that_is_not_mounted_is_not_begun_anew_beside_it(tmp_path):
    """Neither at a start nor while it runs: what was stored there would be gone once it is back."""
    two = {"VOLUME_ROOT": str(tmp_path / "adml"), "DTVOLROOT": str(tmp_path / "data")}
    databuffer = databuffer_at(tmp_path, **two)
    with _started(SimpleNamespace(running=databuffer)):
        url = databuffer.url
        assert ask("POST", f"{url}/ledger", note()).status == 201
        (tmp_path / "data").rename(tmp_path / "away")
        (tmp_path / "data").mkdir()
        asked = {"digests": [f"sha256:{'0' * 64}"]}
        for answer in (
            ask("POST", f"{url}/blobs", BLOB + b"!"),
            ask("POST", f"{url}/blobs", LARGE),
            ask("POST", f"{url}/blobs/missing", asked),
            ask("GET", f"{url}/blobs/sha256:{'0' * 64}"),
        ):
            assert (answer.status, answer.json["code"]) == (500, "storage_failed"), answer
        eventually(lambda: ask("GET", f"{url}/readyz").status == 503)
        (tmp_path / "data").rmdir()
        (tmp_path / "away").rename(tmp_path / "data")
        assert ask("POST", f"{url}/blobs", BLOB + b"!").status == 201
        assert databuffer.stop() == 0
        for name in ("data", "adml"):
            (tmp_path / name).rename(tmp_path / "away")
            (tmp_path / name).mkdir()
            status, printed = databuffer.refusal()
            assert (status, len(printed)) == (1, 1), printed
            assert "is its volume mounted?" in printed[0]
            shutil.rmtree(tmp_path / name)
            (tmp_path / "away").rename(tmp_path / name)


def test_two_databuffers_never_keep_their_blobs_in_one_place(tmp_path):
    """Each would remove what only the ledger of the other names."""
    first, second = (
        databuffer_at(tmp_path),
        databuffer_at(tmp_path, VOLUME_ROOT=str(tmp_path / "b")),
    )
    with _started(SimpleNamespace(running=second)):
        assert second.stop() == 0
    second.environ["DTVOLROOT"] = str(tmp_path / "volume")
    with _started(SimpleNamespace(running=first)):
        status, printed = second.refusal()
    assert (status, len(printed)) == (1, 1), printed
    assert "another databuffer keeps blobs in" in printed[0]
