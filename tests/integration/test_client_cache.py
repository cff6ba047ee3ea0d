"""One cache directory under many processes, kill -9, a full disk, and before real servers."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from cache_source import FROZEN, Made, Noted, content, crowd
from load import seeded
from logic_pair import pair
from servers import ROOT

from condstore.cache import Cache, Cached
from condstore.client import Client
from condstore.digests import Digest
from condstore.moments import Moment
from condstore.results import NewIOV

MIB = 1 << 20
JOBS = 64


def test_64_processes_share_a_directory_while_payloads_come_and_go(tmp_path):
    """Four times what fits: every payload has its bytes, nobody fails, the limit holds."""
    limit = 4 * MIB
    bodies = [content(number, 20_000 + 2000 * number) for number in range(120)]
    made = Made()
    digests = made.store(*bodies)
    source = Noted(made, tmp_path / "asked")

    def job(number):
        cached, draw = Cached(source, Cache(tmp_path / "cache", limit=limit)), seeded(number)
        for _ in range(60):
            which = min(int(draw.expovariate(1 / 30)), len(bodies) - 1)
            with cached.open(digests[which]) as file:
                assert file.read() == bodies[which], which
        done = cached.cache.done()
        assert (done.damaged, done.uncached) == (0, 0), done

    assert crowd(JOBS, job) == [0] * JOBS
    cache = Cache(tmp_path / "cache", limit=limit)
    files = [path.stat().st_size for path in (cache.folder.path / "payloads").iterdir()]
    assert sum(files) <= limit
    found = cache.statistics()
    assert found.size <= limit
    assert found.payloads == len(files) > 10
    assert not list((cache.folder.path / "coming").iterdir())
    assert source.count("P") < JOBS * 60 / 2


def test_64_processes_that_want_the_same_payload_download_it_once(tmp_path):
    """A start-up storm is one request a node, for a payload and for an answer."""
    made = Made({"Beam": [(0, 100)]})
    (digest,) = made.store(content(1, 2 * MIB))
    source = Noted(made, tmp_path / "asked")

    def job(number):
        cached = Cached(source, Cache(tmp_path / "cache"))
        assert cached.resolve(FROZEN, Moment(7, number), None).until == Moment(100)
        with cached.open(digest) as file:
            assert Digest.of(file.read()) == digest

    assert crowd(JOBS, job) == [0] * JOBS
    assert (source.count("r"), source.count("P")) == (1, 1)


def test_64_processes_learn_answers_at_once(tmp_path):
    """Everybody walks, each from elsewhere; every answer is right, few are asked for twice."""
    made = Made({"Beam": [(run, run + 1) for run in range(100)], "Field": [(10, None)]})
    source = Noted(made, tmp_path / "asked")

    def job(number):
        cached = Cached(source, Cache(tmp_path / "cache"))
        for step in range(100):
            moment = Moment((step + 3 * number) % 100)
            assert cached.resolve(FROZEN, moment, None) == made.resolve(FROZEN, moment, None)

    assert crowd(JOBS, job) == [0] * JOBS
    assert source.count("r") <= 150


def test_forked_workers_go_on_with_what_they_inherited(tmp_path):
    """A client that was used before the fork, as data loaders do it, works on both sides."""
    made = Made({"Beam": [(run, run + 1) for run in range(50)]})
    digests = made.store(*(content(number, 5000) for number in range(20)))
    cached = Cached(made, Cache(tmp_path / "cache"))

    def job(number):
        for run in range(50):
            moment = Moment(run, number)
            assert cached.resolve(FROZEN, moment, None) == made.resolve(FROZEN, moment, None)
            with cached.open(digests[run % 20]) as file:
                assert file.read() == content(run % 20, 5000)

    cached.resolve(FROZEN, Moment(1), None)
    cached.open(digests[1]).close()
    assert crowd(8, job) == [0] * 8
    job(0)
    assert (cached.cache.done().damaged, cached.cache.done().uncached) == (0, 0)
    assert cached.cache.statistics().answers == 50
    cached.cache.close()


def test_a_job_killed_while_it_downloads_leaves_the_cache_sound(tmp_path):
    """Killed after any number of pieces: the next has the payload, whole, and nothing is left."""
    draw, size = seeded(9), 3_000_000
    (digest,) = (made := Made(piece=50_000)).store(content(3, size))
    for turn in range(30):
        path = tmp_path / f"cache{turn % 3}"
        killed_after(draw.randrange(1, 62), made, path, digest)
        cached = Cached(Noted(made, tmp_path / f"asked{turn}"), Cache(path, limit=16 * MIB))
        if draw.random() < 0.5:  # a sweep finds it first
            assert cached.cache.statistics().payload_bytes < size + 4096
            assert not list((cached.cache.folder.path / "coming").iterdir())
        with cached.open(digest) as file:
            assert file.read() == content(3, size)
        found = cached.cache.statistics()
        assert (found.payloads, found.payload_bytes) == (1, 3_002_368)
        assert not list((cached.cache.folder.path / "coming").iterdir())
        (cached.cache.folder.path / "payloads" / digest.hex).unlink()
        cached.cache.close()


def killed_after(pieces, made, path, digest):
    """Let a process download so many pieces of a payload, and kill it there."""
    told, tell = os.pipe()
    go, allow = os.pipe()
    child = os.fork()
    if child == 0:
        slow = Made(payloads=made.payloads, piece=made.piece)
        slow.tell = lambda: (os.write(tell, b"."), os.read(go, 1))
        try:
            Cached(slow, Cache(path, limit=16 * MIB)).open(digest).read()
        finally:
            os._exit(0)
    os.close(tell)
    os.close(go)
    for _ in range(min(pieces, 60) - 1):
        os.read(told, 1)
        os.write(allow, b".")
    if pieces <= 60:
        os.read(told, 1)
    else:  # all of it: killed while it lands, or just after
        os.write(allow, b".")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(told)
    os.close(allow)


def test_who_waits_for_a_killed_download_takes_over(tmp_path):
    """The lock dies with its process: the others do not wait for it."""
    (digest,) = (made := Made(piece=50_000)).store(content(3, 400_000))
    told, tell = os.pipe()

    def hold():
        made.tell = lambda: (os.write(tell, b"."), signal.pause())
        Cached(made, Cache(tmp_path)).open(digest)

    child = os.fork()
    if child == 0:
        hold()
    os.read(told, 1)
    waiter = os.fork()
    if waiter == 0:
        with Cached(made, Cache(tmp_path)).open(digest) as file:
            os._exit(0 if file.read() == content(3, 400_000) else 1)
    os.kill(child, signal.SIGKILL)
    assert [os.waitpid(one, 0)[1] for one in (child, waiter)] == [signal.SIGKILL, 0]
    os.close(told)
    os.close(tell)


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system of 2 MiB, or skip where that is not permitted."""
    point = tmp_path / "small"
    point.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(point)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is not permitted here")
    yield point
    subprocess.run(["umount", "--lazy", str(point)], check=True)


def test_on_a_full_disk_jobs_go_on_without(small_disk, caplog):
    """The limit is larger than the disk: payloads and answers come all the same; one warning."""
    made = Made({f"Type{n}": [(run, run + 1) for run in range(30)] for n in range(30)})
    digests = made.store(*(content(number, 150_000) for number in range(30)))
    cache = Cache(small_disk / "cache")
    cached = Cached(made, cache)
    for _ in range(2):
        for run, digest in enumerate(digests):
            with cached.open(digest) as file:
                assert file.read() == content(run, 150_000)
            with cached.pieces(digest) as pieces:
                assert b"".join(pieces) == content(run, 150_000)
            moment = Moment(run)
            assert cached.resolve(FROZEN, moment, None) == made.resolve(FROZEN, moment, None)
    assert len(caplog.records) == 1
    assert cache.done().uncached > 10
    assert cache.done().payload_hits > 5
    cache.close()


def test_a_disk_that_became_read_only_still_gives_what_it_has(small_disk, caplog):
    """Hits go on, misses pass by, nobody fails."""
    made = Made({"Beam": [(0, 10), (10, 20)]})
    here, elsewhere = made.store(content(1, 10_000), content(2, 10_000))
    cache = Cache(small_disk / "cache", limit=MIB)
    Cached(made, cache).open(here).close()
    Cached(made, cache).resolve(FROZEN, Moment(1), None)
    cache.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    cached = Cached(Noted(made, small_disk.parent / "asked"), cache)
    for digest in (here, elsewhere):
        with cached.open(digest) as file:
            assert Digest.of(file.read()) == digest
    for run in (1, 11):
        assert cached.resolve(FROZEN, Moment(run), None) == made.resolve(FROZEN, Moment(run), None)
    assert (small_disk.parent / "asked").read_text().count("P") == 1
    assert len(caplog.records) == 1
    cache.close()


# -- before real servers -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    """Run both tiers; freeze a tag of three types over 10 000 runs; give it and its boundaries."""
    with pair(tmp_path_factory.mktemp("servers")) as both:
        client = Client(both.logic.url)
        blob = client.put_payload(content(5, 5400))
        client.create_tag("walk")
        draw = seeded(4)
        starts = {
            kind: sorted(draw.sample(range(50_000, 60_000), many))
            for kind, many in (("Beam", 90), ("Field", 40), ("Noise", 5))
        }
        iovs = [
            NewIOV(kind, Moment(run), None, f"{kind}-{run}", blob.digest)
            for kind, runs in starts.items()
            for run in runs
        ]
        client.insert_iovs("walk", iovs)
        done = client.freeze_tag("walk")
        yield client, both, done.reference, {run for runs in starts.values() for run in runs}


def test_walking_through_10_000_runs_asks_at_boundaries_only(frozen, tmp_path):
    """As many requests as answers; none in the next job; each as the server would answer."""
    client, _, _, boundaries = frozen
    tag = client.pin("walk")
    source = Noted(client._source, tmp_path / "asked")
    for _ in range(2):
        cached = Cached(source, Cache(tmp_path / "cache"))
        walked = [cached.resolve(tag, Moment(run), None) for run in range(50_000, 60_000)]
        assert source.count("r") == len({*boundaries, 50_000})
        cached.cache.close()
    asked = [Moment(run) for run in range(50_000, 60_000)]
    assert tuple(walked) == client.resolve_many(tag, asked)


def test_answers_are_those_of_the_servers_for_any_moment_and_types(frozen, tmp_path):
    """One or many moments, one type or some, in any order, in two processes in turn."""
    client, _, tag, _ = frozen
    source, draw = client._source, seeded(6)
    readers = [Cached(source, Cache(tmp_path / "cache")) for _ in range(2)]
    kinds = ["Beam", "Field", "Noise"]
    for turn in range(300):
        reader = readers[turn % 2]
        moment = Moment(draw.randrange(49_900, 60_100), draw.randrange(3))
        only = draw.choice([None, *kinds])
        assert reader.resolve(tag, moment, only) == source.resolve(tag, moment, only)
        if turn % 10 == 0:
            some = draw.sample(kinds, draw.randrange(4))
            moments = [Moment(draw.randrange(49_900, 60_100)) for _ in range(20)]
            assert reader.resolve_many(tag, moments, some) == source.resolve_many(
                tag, moments, some
            )
    assert readers[0].tag(tag) == source.tag(tag) == readers[1].tag(tag)
    for reader in readers:
        reader.cache.close()


def test_a_client_with_a_cache_reads_payloads_from_it(frozen, tmp_path):
    """Opened, read and downloaded: one request; and all of it again with the servers away."""
    _, both, tag, boundaries = frozen
    cache = Cache(tmp_path / "cache")
    reader = Client(both.logic.url, cache=cache)
    beam = reader.resolve(tag, max(boundaries)).payload("Beam")
    assert reader.payload(beam) == content(5, 5400)
    away = Client("http://127.0.0.1:9", cache=tmp_path / "cache")
    assert away.resolve(tag, max(boundaries)).payload("Beam") == beam
    with away.open(beam) as file:
        assert file.read() == content(5, 5400)
    assert away.download(beam.digest, tmp_path / "beam") == 5400
    assert (tmp_path / "beam").read_bytes() == content(5, 5400)
    assert cache.done().payload_misses == 1
    cache.close()


def test_a_start_up_storm_is_one_request_a_node(frozen, tmp_path):
    """32 jobs begin at once, with nothing in the cache, in the same run."""
    _, both, tag, boundaries = frozen
    notes = tmp_path / "asked"

    def job(_):
        source = Noted(Client(both.logic.url)._source, notes)
        cached = Cached(source, Cache(tmp_path / "cache"))
        beam = cached.resolve(tag, Moment(max(boundaries)), None).payload("Beam")
        with cached.open(Digest.parse(beam.digest)) as file:
            assert file.read() == content(5, 5400)

    assert crowd(32, job) == [0] * 32
    assert sorted(notes.read_text()) == ["P", "r"]


def test_the_example_of_the_documentation_runs(frozen, tmp_path):
    """docs/cache.md, with the servers and the tag of this test."""
    _, both, *_ = frozen
    text = (ROOT / "docs/cache.md").read_text()
    code = text.split("```python\n")[1].split("```")[0]
    here = {"http://conditions:5000": both.logic.url, "/scratch/condstore": str(tmp_path)}
    for there, what in {
        **here,
        "2026-prompt": "walk",
        "70_000": "60_100",
        "60_000": "59_900",
    }.items():
        assert there in code
        code = code.replace(there, what)
    used = []
    exec(code, {"use": lambda file: used.append(file.read())})  # noqa: S102
    assert used == [content(5, 5400)] * 200
