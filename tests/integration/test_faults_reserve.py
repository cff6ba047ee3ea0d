"""A volume that fills up to its reserve: writes end, reads go on, and room mends it."""

from __future__ import annotations

import contextlib
import os
import threading
import time

import pytest
from load import ask, seeded
from servers import databuffer_at, eventually, logic
from small_disk import file_system
from volume_oracle import VolumeOracle, sha256

from condstore import Client, Moment, NewIOV
from condstore.config import Settings
from condstore.doctor import examine
from condstore.errors import ServerFailed
from condstore.retry import Policy

SIZE = 48 << 20
RESERVE = SIZE // 20
SEGMENT = b'{"h": [1e-21, 2e-21], "t": [968654552, 0.5]}'
chance = seeded(11)


@pytest.fixture
def small(tmp_path):
    """Mount small file systems by name; skip where that is not permitted."""
    with contextlib.ExitStack() as stack:

        def mount(name):
            disk = stack.enter_context(file_system(tmp_path, name, SIZE))
            if disk is None:
                pytest.skip("mounting is not permitted here")
            return disk

        yield mount


@contextlib.contextmanager
def running(folder, ledger, data):
    """Run a databuffer with the ledger on one volume and the blobs on another, or the same."""
    buffer = databuffer_at(
        folder, VOLUME_ROOT=str(ledger.point / "v"), DTVOLROOT=str(data.point / "v")
    )
    buffer.start()
    try:
        yield buffer
    finally:
        if buffer.process.poll() is None:
            buffer.kill()


def writes(url, unique):
    """Try each kind of write; return the statuses by kind."""
    entry = {"type": "test.note", "actor": "t", "data": {"n": unique}, "keys": []}
    blob, large = unique.encode() * 10, unique.encode() * 400_000
    segment = SEGMENT.replace(b"552", b"552.%d" % sum(unique.encode()))
    return {
        "blob": ask("POST", f"{url}/blobs", blob).status,
        "large": ask("POST", f"{url}/blobs", large).status,
        "chunked": ask("POST", f"{url}/blobs", iter([large, b"chunked"])).status,
        "segment": ask("POST", f"{url}/sendF", segment).status,
        "ledger": ask("POST", f"{url}/ledger", entry).status,
        "state": ask("PUT", f"{url}/state/{unique}", {"n": unique}).status,
    }


def fill(disk, url):
    """Fill a volume into its reserve, and wait until the databuffer has seen it."""
    disk.fill(leaving=RESERVE // 2)
    eventually(lambda: ask("GET", f"{url}/readyz").status == 503)


class Reader(threading.Thread):
    """Resolves and reads the bytes over and over; counts, and keeps what went wrong."""

    def __init__(self, client, tag, payload):
        super().__init__()
        self.client, self.tag, self.payload = client, tag, payload
        self.count, self.failures = 0, []
        self.over = threading.Event()

    def run(self):
        """Read until it is over."""
        while not self.over.is_set():
            try:
                (found,) = self.client.resolve(self.tag, Moment(150)).payloads
                with self.client.open(found.digest) as stream:
                    assert stream.read() == self.payload
            except Exception as failure:  # noqa: BLE001 - the test shows it
                self.failures.append(failure)
            self.count += 1


def test_writes_end_at_the_reserve_reads_go_on_and_room_mends_it(tmp_path, small):
    """Both tiers and a client: 507 in clear words, at once; nothing acknowledged is lost."""
    disk = small("one")
    with (
        running(tmp_path, disk, disk) as buffer,
        logic(buffer.url, tmp_path, workers=1) as tier,
    ):
        eventually(lambda: ask("GET", f"{tier.url}/readyz").json.get("writes"))
        client = Client(tier.url, policy=Policy(attempts=5, first=1.0, cap=5.0, patience=60.0))
        client.create_tag("campaign")
        kept = {}

        def load():
            payload = chance.randbytes(2 << 20)
            digest = client.put_payload(payload).digest
            number = len(kept)
            iov = NewIOV("Beam", Moment(100 + 100 * number), name=f"b{number}", digest=digest)
            client.insert_iovs("campaign", [iov])
            kept[digest] = payload
            return payload

        def load_until_refused():
            while True:
                load()

        reader = Reader(client, "campaign", load())
        reader.start()
        begun = time.monotonic()
        with pytest.raises(ServerFailed, match="reserve") as failed:
            load_until_refused()
        assert failed.value.status == 507
        assert time.monotonic() - begun < 30, "it is not asked again and again"
        assert disk.left >= RESERVE - (1 << 20)
        assert len(kept) > 10
        fill(disk, buffer.url)
        assert set(writes(buffer.url, "x").values()) == {507}
        ready = ask("GET", f"{buffer.url}/readyz")
        assert ready.status == 503
        assert (
            ready.json["checks"]["volume"] == f"less than {RESERVE} bytes free for ledger and data"
        )
        assert ready.json["volumes"]["data"]["reserve"] == RESERVE
        settings = Settings.from_environ({"CONDSTORE_URL": tier.url, "DB_BURL": buffer.url})
        told = {one.what: one.said for one in examine(settings, {})}
        assert told["writes"].startswith(f"refused: less than {RESERVE} bytes free for ledger")
        seen = reader.count
        eventually(lambda: reader.count > seen + 10)
        disk.free()
        assert set(writes(buffer.url, "y").values()) == {201}
        eventually(lambda: ask("GET", f"{buffer.url}/readyz").status == 200)
        reader.over.set()
        reader.join()
        assert reader.failures == []
        for digest, payload in kept.items():
            assert digest == f"sha256:{sha256(payload)}"
            assert ask("GET", f"{buffer.url}/blobs/{digest.replace(':', '/')}").body == payload
        assert len(list(client.iovs("campaign", "Beam"))) == len(kept)
        assert buffer.stop() == 0
    VolumeOracle(disk.point / "v").check()


def test_a_large_upload_that_reaches_the_reserve_leaves_nothing(tmp_path, small):
    """Midway where its size is not told, before the first byte where it is."""
    disk = small("one")
    with running(tmp_path, disk, disk) as buffer:
        before = disk.left
        endless = (bytes(1 << 20) for _ in range(1000))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            assert ask("POST", f"{buffer.url}/blobs", endless).status == 507
        eventually(lambda: disk.left >= before - (1 << 20))
        disk.fill(leaving=RESERVE + (4 << 20))
        told = ask("POST", f"{buffer.url}/blobs", bytes(6 << 20))
        assert (told.status, told.json["code"]) == (507, "volume_full")
        assert ask("POST", f"{buffer.url}/blobs", bytes(2 << 20)).status == 201
        assert buffer.stop() == 0


def test_many_large_uploads_at_once_stop_at_the_reserve(tmp_path, small):
    """Together they do not race past it."""
    disk = small("one")
    with running(tmp_path, disk, disk) as buffer:
        least, over = [disk.left], threading.Event()

        def watch():
            while not over.is_set():
                least.append(disk.left)
                time.sleep(0.001)

        def upload(number):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                content = (os.urandom(1 << 20) for _ in range(20))
                return ask("POST", f"{buffer.url}/blobs", content).status
            return 507

        statuses = []
        uploads = [
            threading.Thread(target=lambda n=n: statuses.append(upload(n))) for n in range(6)
        ]
        watcher = threading.Thread(target=watch)
        for thread in (watcher, *uploads):
            thread.start()
        for thread in uploads:
            thread.join()
        over.set()
        watcher.join()
        assert set(statuses) <= {201, 507}
        assert 507 in statuses
        assert min(least) >= RESERVE
        assert buffer.stop() == 0


@pytest.mark.parametrize("full", ["ledger", "data"])
def test_of_two_volumes_the_full_one_stops_what_needs_it(tmp_path, small, full):
    """A segment needs both, and leaves no blob where the ledger has no room for its name."""
    disks = {name: small(name) for name in ("ledger", "data")}
    with running(tmp_path, disks["ledger"], disks["data"]) as buffer:
        url = buffer.url
        assert set(writes(url, "a").values()) == {201}
        fill(disks[full], url)
        blobs = {"blob", "large", "chunked"}
        refused = {"ledger": {"ledger", "state", "segment"}, "data": {"segment", *blobs}}[full]
        before = sorted((disks["data"].point / "v/blobs/sha256").rglob("*"))
        found = writes(url, "b")
        assert {kind for kind, status in found.items() if status == 507} == refused
        assert {status for kind, status in found.items() if kind not in refused} == {201}
        after = set((disks["data"].point / "v/blobs/sha256").rglob("*")) - set(before)
        assert sum(path.is_file() for path in after) == (3 if full == "ledger" else 0)
        assert ask("GET", f"{url}/readyz").json["checks"]["volume"].endswith(f"for {full}")
        assert len(ask("GET", f"{url}/ledger?after=0").body.splitlines()) >= 2
        disks[full].free()
        assert set(writes(url, "c").values()) == {201}
        assert buffer.stop() == 0
