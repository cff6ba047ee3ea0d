"""Bundles of real servers: pulled, they answer the same, without a server and without a network."""

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading

import aiohttp
import pytest
from aiohttp import web
from logic_pair import pair
from servers import ROOT, free_port

from condstore import Client, Moment, NewIOV, bundle
from condstore.errors import DamagedPayload, NotOffline, NotProven, UsageError
from condstore.moments import LIMIT

KINDS = ("Beam", "Field", "Noise", "a_small:one")
TRIMS = [(None, None), (30, None), (None, Moment(70, 3)), (Moment(20, 1), Moment(60, 2)), (50, 51)]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Run both tiers for the tests of this file."""
    with pair(tmp_path_factory.mktemp("bundles"), MAX_SIZE="10") as running:
        yield running


@pytest.fixture(scope="module")
def client(both):
    """Return a client."""
    return Client(both.logic.url)


def lived(client, name, seed):
    """Make a tag that was written to at random, and freeze it; return its reference."""
    draw = random.Random(seed)  # noqa: S311 - not a secret
    client.create_tag(name)
    digests = [client.put_payload(f"payload {at}".encode()).digest for at in range(5)]
    for _ in range(12):
        rows = []
        for _ in range(draw.randrange(1, 8)):
            start = Moment(draw.randrange(100), draw.randrange(4))
            length = draw.choice([None, 1, 5, 30])
            end = length and Moment(start.major + length, draw.randrange(4))
            digest = draw.choice([None, *digests])
            name_of = (
                f"né{draw.randrange(10**6)}" if digest is None or draw.random() < 0.5 else None
            )
            rows.append(NewIOV(draw.choice(KINDS), start, end, name_of, digest, revision=3))
        client.insert_iovs(name, rows)
    for kind in {held.payload_type for held in client.tag(name).payload_lists}:
        row = draw.choice([*client.iovs(name, kind)])
        client.delete_iov(name, kind, row.start, row.end)
    edge = [
        NewIOV("Edge", Moment(0), Moment(0, LIMIT), "first"),
        NewIOV("Edge", Moment(3), Moment(LIMIT, LIMIT), "long"),
    ]
    client.insert_iovs(name, edge)
    return client.freeze_tag(name).reference


def asked(seed, begin=None, end=None):
    """Return a thousand moments of a range, its edges among them."""
    draw = random.Random(seed)  # noqa: S311 - not a secret
    first, last = Moment.of(begin or 0), None if end is None else Moment.of(end)
    far = [Moment(LIMIT, LIMIT), Moment(LIMIT, LIMIT - 1), Moment(0, LIMIT), Moment(0, LIMIT - 1)]
    some = [Moment(draw.randrange(140), draw.randrange(5)) for _ in range(2000)]
    found = [each for each in [*far, *some] if each >= first and (last is None or each < last)]
    return [first, *found][:1000]


def compare(online, offline, ref, moments, begin=None, end=None):
    """Assert that both answer the same, whatever is asked."""
    kinds = [held.payload_type for held in online.tag(ref).payload_lists]
    assert offline.tag(ref) == online.tag(ref)
    assert offline.resolve_many(ref, moments) == online.resolve_many(ref, moments)
    for kind in kinds:
        few = moments[::10]
        assert offline.resolve_many(ref, few, [kind]) == online.resolve_many(ref, few, [kind])
        told = [*online.iovs(ref, kind, begin, end)]
        assert [*offline.iovs(ref, kind, begin, end)] == told
    few, two = moments[::50], kinds[:2]
    assert offline.resolve_many(ref, few, two) == online.resolve_many(ref, few, two)
    assert offline.resolve(ref, moments[1]) == online.resolve(ref, moments[1])


@pytest.mark.parametrize("seed", range(3))
def test_online_and_offline_answers_are_equal(client, tmp_path, seed):
    """Thousands of random moments of a tag with a past: gaps, trims, open ends, minors, 2^63-1."""
    ref = lived(client, f"lived-{seed}", seed)
    for at, (begin, end) in enumerate(TRIMS):
        path = tmp_path / f"{at}.bundle"
        pulled = client.pull(ref, path, begin=begin, end=end)
        assert pulled.proof == ("told" if at else "fingerprint")
        offline = Client.offline(path)
        assert offline.pin(f"lived-{seed}") == ref
        compare(client, offline, ref, asked(seed, begin, end), begin, end)
    assert bundle.verify(tmp_path / "0.bundle").recomputed
    for held in offline.tag(ref).payload_lists:
        for row in offline.iovs(ref, held.payload_type, begin, end):
            if row.digest is not None:
                assert offline.payload(row) == client.payload(row)


def test_a_clone_is_pulled_at_what_it_was_frozen_as(client, tmp_path):
    """Corrected, frozen twice, unfrozen between: each state answers for itself."""
    ref = lived(client, "first", 7)
    client.clone_tag(ref, "second")
    client.insert_iovs("second", [NewIOV("Beam", Moment(10), Moment(40), "mended")])
    mended = client.freeze_tag("second").reference
    client.unfreeze_tag("second", reason="a test")
    client.delete_iov("second", "Beam", Moment(10), Moment(40))
    client.pull(mended, tmp_path / "mended", prove=True, begin=5, end=50)
    compare(client, Client.offline(tmp_path / "mended"), mended, asked(7, 5, 50), 5, 50)
    with pytest.raises(UsageError, match="second is unlocked, and only frozen"):
        client.pull("second", tmp_path / "no")


def test_a_streamed_tag_answers_offline_as_it_does_online(both, client, tmp_path):
    """Segments that snap, overlap and come late; also a clone of them, which streams no more."""
    draw = random.Random(3)  # noqa: S311 - not a secret
    for at in range(60):
        start = draw.choice([at, at + 0.0000004, at - 0.5, at / 2])
        body = json.dumps({"h": [1.5, 2.5, at], "t": [start + 1, 0.33333333]})
        assert both.post(f"/stream?type={draw.choice(['H1', 'L1'])}", body).status == 201
    client.clone_tag("stream", "of-stream")
    client.freeze_buffer("alice", "t")
    for name in ("stream", "of-stream"):
        ref = client.freeze_tag(name).reference
        path = tmp_path / name
        assert client.pull(ref, path).proof == "fingerprint"
        assert bundle.verify(path).recomputed
        moments = [Moment(draw.randrange(64), draw.randrange(10**9)) for _ in range(1000)]
        compare(client, Client.offline(path), ref, [Moment(0), *moments])


def test_a_part_is_cut_out_of_a_bundle_without_a_server(client, tmp_path):
    """What a site pulled whole serves smaller ones; payloads lie in a directory that both share."""
    ref = lived(client, "cut", 9)
    client.pull(ref, tmp_path / "whole", payloads=tmp_path / "blobs")
    whole = Client.offline(tmp_path / "whole", payloads=tmp_path / "blobs")
    cut = bundle.pull(
        whole, ref, tmp_path / "part", begin=20, end=60, payload_types=["Beam"], prove=True
    )
    assert (cut.proof, cut.new) == ("fingerprint", True)
    part = Client.offline(tmp_path / "part")
    assert part.resolve(ref, 30) == client.resolve(ref, 30, "Beam")
    for row in part.iovs(ref, "Beam", 20, 60):
        if row.digest is not None:
            assert part.payload(row) == whole.payload(row) == client.payload(row)


ISOLATED = """
import sys
sys.path[:0] = [sys.argv[1]]
from condstore import Client, Moment
client = Client.offline(sys.argv[2])
ref, = [f"{tag.name}@{tag.fingerprint}" for tag in client.tags()]
found = client.resolve(ref, Moment(50, 2))
for payload in found.payloads:
    if payload.digest:
        client.payload(payload)
client.resolve_many(ref, [1, "50:2"]), [*client.iovs(ref, "Edge")], client.tag(ref), client.pin(ref)
try:
    client.create_tag("x")
except Exception as error:
    print(type(error).__name__)
foreign = {"requests", "aiohttp", "orjson", "rich", "typer"} & set(sys.modules)
print(len(found.payloads), found.since, found.until, sorted(foreign))
"""


def alone(*arguments):
    """Run a fresh interpreter without site-packages, without network where that may be had."""
    unshared = ["unshare", "-n"] if os.geteuid() == 0 and _can_unshare() else []
    command = [*unshared, sys.executable, "-I", "-S", "-W", "error", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def _can_unshare():
    return (
        subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode == 0
    )


def test_a_bundle_opens_with_nothing_but_the_standard_library(client, tmp_path):
    """No site-packages, no network: what the library needs is what Python brings."""
    ref = lived(client, "alone", 11)
    client.pull(ref, tmp_path / "b")
    done = alone("-c", ISOLATED, ROOT / "client", tmp_path / "b")
    found = client.resolve(ref, (50, 2))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        NotOffline.__name__, f"{len(found.payloads)} {found.since} {found.until} []",
    ]  # fmt: skip


def test_the_script_of_the_documentation_answers_from_a_bundle(client, tmp_path):
    """Fifteen lines and SQLite: nobody needs this library to read what it wrote."""
    text = (ROOT / "docs" / "bundles.md").read_text()
    (script,) = re.findall(r"```python\n(# resolve\.py.*?)```", text, re.DOTALL)
    assert len(script.strip().splitlines()) <= 16
    (tmp_path / "resolve.py").write_text(script)
    ref = lived(client, "script", 12)
    client.pull(ref, tmp_path / "b")
    for moment in asked(12)[:12]:
        done = alone(tmp_path / "resolve.py", tmp_path / "b", moment.major, moment.minor)
        assert done.stderr == ""
        told = [(each.payload_type, each.name) for each in client.resolve(ref, moment).payloads]
        assert [tuple(line.split()[:2]) for line in done.stdout.splitlines()] == told


# -- between us and the server ---------------------------------------------------------------------


class Proxy:
    """A proxy that passes everything on, and alters what `alter` says: (path, body) to body."""

    def __init__(self, url):
        self.target, self.url, self.alter = url, "", lambda _path, body: body
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    async def _pass_on(self, request):
        async with self._session.request(
            request.method, self.target + request.path_qs, data=await request.read(),
            headers={"Content-Type": request.headers.get("Content-Type", "application/json")},
        ) as answer:  # fmt: skip
            body = await answer.read()
            kept = {"X-Ledger-LSN": answer.headers.get("X-Ledger-LSN", "1")}
        changed = self.alter(request.path, body)
        return web.Response(body=changed, status=answer.status, headers=kept)

    async def _start(self):
        self._session = aiohttp.ClientSession(auto_decompress=True)
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        port = free_port()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{port}"

    async def _stop(self):
        await self._session.close()
        await self._runner.cleanup()

    def __enter__(self):
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(30)
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()


@pytest.fixture
def proxy(both):
    """Return a proxy before the logic tier."""
    with Proxy(both.logic.url) as running:
        yield running


def test_a_server_that_lies_is_found_and_nothing_is_written(client, proxy, tmp_path):
    """One name of one payload IOV altered on the way; with `prove` for a range as well."""
    ref, path = lived(client, "lied-about", 21), tmp_path / "b"
    honest = Client(proxy.url)
    assert honest.pull(ref, path).new
    path.unlink()
    proxy.alter = lambda where, body: body.replace(b'"long"', b'"gnol"')
    for span in ({}, {"begin": 90, "end": 95, "prove": True}):
        with pytest.raises(NotProven, match="gives another fingerprint"):
            honest.pull(ref, path, **span)
    assert not [*tmp_path.iterdir()]


def test_a_payload_damaged_on_the_way_is_in_no_bundle(client, proxy, tmp_path):
    """Nor beside one."""
    ref = lived(client, "damaged", 22)
    proxy.alter = lambda where, body: body + b"!" if "sha256" in where else body
    for payloads in (True, tmp_path / "blobs"):
        with pytest.raises(DamagedPayload):
            Client(proxy.url).pull(ref, tmp_path / "b", payloads=payloads)
        assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "b"]


PULL = """
import sys
from condstore import Client
Client(sys.argv[1]).pull(sys.argv[2], sys.argv[3])
"""


def test_a_pull_that_is_killed_leaves_nothing_under_the_name(client, proxy, tmp_path):
    """What it leaves is hidden, and cleared away by the next."""
    ref, path = lived(client, "killed", 23), tmp_path / "b"
    reached, go_on = threading.Event(), threading.Event()

    def hold(where, body):
        if "sha256" in where:
            reached.set()
            go_on.wait(30)
        return body

    proxy.alter = hold
    job = subprocess.Popen([sys.executable, "-c", PULL, proxy.url, ref, path])
    assert reached.wait(30)
    job.send_signal(signal.SIGKILL)
    job.wait(30)
    go_on.set()
    (left,) = [each.name for each in tmp_path.iterdir()]
    assert left.startswith(".b.")
    client.pull(ref, path)
    assert [each.name for each in tmp_path.iterdir()] == ["b"]
