"""Many callers at once, over shared connections and threads: each is told what is theirs."""

from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
import urllib3
from closed import ALL, JWT_SECRET, reader, token
from servers import databuffer, eventually, logic

TAGS = ("one", "two", "three")
CDB = "/api/cdb_rest"
CALLERS = [*((name, {name}) for name in TAGS), (".*", {*TAGS}), ("one|two", {"one", "two"})]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """Both tiers, reads closed, in few threads of one worker; three tags with an IOV each."""
    folder = tmp_path_factory.mktemp("closed")
    environ = {"READS": "authenticated", "JWT_SECRET": JWT_SECRET, "THREADS": "3"}
    with databuffer(folder) as buffer, logic(buffer.url, folder, workers=1, **environ) as running:
        eventually(
            lambda: urllib3.request("GET", f"{running.url}/readyz", timeout=30).status == 200
        )
        for name in TAGS:
            make(running.url, name, [{"start": [5, 0], "name": f"of-{name}"}])
        yield running.url


def make(url, name, iovs):
    """Make a tag with these payload IOVs."""
    admin, tags = {"Authorization": f"Bearer {token(ALL)}"}, f"{url}/api/v1/global-tags"
    urllib3.request("POST", tags, json={"name": name}, headers=admin, timeout=30)
    sent = {"iovs": [{"payload_type": "Beam", **iov} for iov in iovs]}
    told = urllib3.request("POST", f"{tags}/{name}/iovs", json=sent, headers=admin, timeout=30)
    assert told.status == 201, told.data


@pytest.fixture
def long(url):
    """A fourth tag, of which a list takes megabytes; gone after the test."""
    make(url, "long", [{"start": [at, 0], "end": [at + 1, 0], "name": "x" * 500}
                       for at in range(20_000)])  # fmt: skip
    yield "long"
    admin = {"Authorization": f"Bearer {token(ALL)}"}
    urllib3.request("DELETE", f"{url}/api/v1/global-tags/long", headers=admin, timeout=30)


def seen_in_lists(pool, url, headers):
    """Return the tags that a list, a nested one and a catalogue tell of, each."""
    told = [
        pool.request("GET", url + path, headers=headers).json()
        for path in ("/api/v1/global-tags", f"{CDB}/globalTags", f"{CDB}/gt", f"{CDB}/piov?page=1")
    ]
    first, second, third, fourth = told
    yield {tag["name"] for tag in first["global_tags"]}
    yield {tag["name"] for tag in second}
    yield {iov["payload_url"][3:] for tag in third for held in tag["payload_lists"]
           for iov in held["payload_iov"]}  # fmt: skip
    yield {iov["global_tag"] for iov in fourth["results"]}


def seen_by_name(pool, url, headers):
    """Return the tags that are found by their names."""
    paths = {name: f"/api/v1/global-tags/{name}/payloads?major=5" for name in TAGS}
    yield {
        name
        for name, path in paths.items()
        if pool.request("GET", url + path, headers=headers).status == 200
    }


@pytest.mark.parametrize("seed", range(2))
def test_nobody_is_told_what_another_may_see(url, seed):
    """Whoever was answered before on the same connection, in the same thread."""
    rng = Random(seed)  # noqa: S311 - chance that can be repeated
    pool = urllib3.PoolManager(maxsize=6, block=True)
    asked = [(*rng.choice(CALLERS), rng.choice((seen_in_lists, seen_by_name))) for _ in range(120)]

    def ask(one):
        pattern, expected, look = one
        headers = {"Authorization": f"Bearer {token(reader(pattern))}"}
        return all(found == expected for found in look(pool, url, headers))

    with ThreadPoolExecutor(6) as many:
        assert all(many.map(ask, asked))


def test_who_goes_away_in_the_middle_leaves_nothing_behind(url, long):
    """A long answer is broken off; the next one in that thread is another's."""
    for _ in range(6):
        headers = {"Authorization": f"Bearer {token(reader(long))}"}
        cut = urllib3.request(
            "GET", f"{url}{CDB}/gt", headers=headers, preload_content=False, timeout=30
        )
        assert long in cut.read(1000).decode()
        cut.close()
        limited = {"Authorization": f"Bearer {token(reader('two'))}"}
        pool = urllib3.PoolManager()
        assert all(found == {"two"} for found in seen_in_lists(pool, url, limited))
