"""A databuffer killed while it removes blobs: what is named is there, the rest goes in the end."""

from __future__ import annotations

import contextlib
import os
import threading
import time

import pytest
from load import AWAY, ask, ledger_entries, seeded
from long import at_length
from servers import databuffer, eventually
from volume_oracle import VolumeOracle, sha256

COUNT = at_length(300, 6000)
NAMED = COUNT // 3
REMOVE = {"older_than": 3600, "remove": True}


def stored(volume, count):
    """Put blobs onto a volume as if they had been stored two days ago; return their digests."""
    digests = []
    for number in range(count):
        content = b"payload %d" % number
        name = sha256(content)
        path = volume / "blobs/sha256" / name[:2] / name[2:4] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        then = time.time() - 2 * 86_400
        os.utime(path, (then, then))
        digests.append(f"sha256:{name}")
    return digests


def name_them(url, digests):
    """Append entries that name these."""
    for start in range(0, len(digests), 100):
        data = {"digest": digests[start : start + 100]}
        entry = {"type": "test.made", "actor": "t", "data": data, "keys": []}
        assert ask("POST", f"{url}/ledger", entry).status == 201


def missing(url, digests):
    """Return those that are not there."""
    return set(ask("POST", f"{url}/blobs/missing", {"digests": digests}).json["missing"])


@pytest.mark.parametrize("seed", range(at_length(1, 20)))
def test_killed_while_removing_it_loses_nothing_that_is_named(tmp_path, seed):
    """Whenever that is; producers name blobs meanwhile that they asked for, or just know of."""
    chance = seeded(seed)
    volume = tmp_path / "volume"
    with databuffer(tmp_path) as buffer:  # which begins a ledger: without one it takes no payloads
        assert buffer.stop() == 0
    digests = stored(volume, COUNT)
    chance.shuffle(digests)
    asked, known = digests[NAMED : NAMED + 40], digests[NAMED + 40 : NAMED + 80]
    sure = []

    def produce(url):
        with contextlib.suppress(*AWAY):
            for one, other in zip(asked, known, strict=True):
                if not missing(url, [one]):
                    name_them(url, [one])
                    sure.append(one)
                name_them(url, [other])

    def remove(url):
        with contextlib.suppress(*AWAY):
            ask("POST", f"{url}/blobs/unreferenced", REMOVE)

    with databuffer(tmp_path) as buffer:
        url = buffer.url
        name_them(url, digests[:NAMED])
        threads = [threading.Thread(target=work, args=(url,)) for work in (produce, remove)]
        for thread in threads:
            thread.start()
        wanted = COUNT - chance.randrange(COUNT - NAMED - 80)
        with contextlib.suppress(TimeoutError):
            eventually(lambda: len(list((volume / "blobs").rglob("?" * 64))) < wanted, within=10)
        buffer.kill()
        for thread in threads:
            thread.join()
        buffer.restart()
        assert missing(url, digests[:NAMED] + sure) == set()
        assert not list((volume / "blobs/aside").iterdir())
        done = ask("POST", f"{url}/blobs/unreferenced", REMOVE)
        assert done.status == 200
        named = {digest for entry in ledger_entries(url) for digest in entry["data"]["digest"]}
        assert set(digests) - missing(url, digests) >= set(digests[:NAMED] + sure)
        gone = set(digests) - named - set(asked)  # who asked may have been killed before it named
        assert missing(url, sorted(gone)) == gone
        assert buffer.stop() == 0
    VolumeOracle(volume).check()
