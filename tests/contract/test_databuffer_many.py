"""Calls about many blobs or documents at once: reading, what nothing names, which there are."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import struct
import time
from pathlib import Path

import orjson
import pytest
from aiohttp.test_utils import TestClient, TestServer
from load import seeded
from servers import eventually

from databuffer.app import create_app
from databuffer.config import Config
from databuffer.web.keys import BLOBS, BULK_READS

HEAD = struct.Struct(">4s32sQ")
ABSENT, TOO_LARGE = 2**64 - 1, 2**64 - 2


@pytest.fixture
async def client(tmp_path):
    """A client of a databuffer on a fresh volume."""
    app = create_app(Config.from_environ({"VOLUME_ROOT": str(tmp_path / "volume")}))
    async with TestClient(TestServer(app)) as client:
        yield client


def digest_of(content):
    """Name a content."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def file_of(tmp_path, digest):
    """Say where its file is."""
    name = digest.removeprefix("sha256:")
    return tmp_path / "volume/blobs/sha256" / name[:2] / name[2:4] / name


def open_under(folder):
    """Name the files below a folder which this process has open."""
    held = [path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return [path for path in held if path.is_relative_to(folder)]


def age(path, seconds):
    """Make a file older."""
    then = time.time() - seconds
    os.utime(path, (then, then))


async def store(client, *contents):
    """Store these; return their digests."""
    app = client.server.app
    return [stored.digest for stored in await asyncio.gather(*map(app[BLOBS].put, contents))]


async def read(client, digests):
    """Read many; return the records."""
    async with client.post("/blobs/read", json={"digests": digests}) as answer:
        assert answer.status == 200
        assert answer.content_type == "application/x-condstore-blobs"
        return list(records(await answer.read()))


def records(raw):
    """Cut an answer into digest, length and content."""
    at = 0
    while at < len(raw):
        magic, name, length = HEAD.unpack_from(raw, at)
        assert magic == b"cblb"
        at += HEAD.size
        size = 0 if length in {ABSENT, TOO_LARGE} else length
        yield "sha256:" + name.hex(), length, raw[at : at + size]
        at += size
    assert at == len(raw)


async def test_many_blobs_come_in_the_order_asked(client):
    """Each as often as it is asked for; the empty one too."""
    contents = [b"", *(seeded(n).randbytes(n * 200) for n in range(1, 300))]
    digests = await store(client, *contents)
    wanted = list(range(300)) * 3
    seeded(2).shuffle(wanted)
    found = await read(client, [digests[number] for number in wanted])
    assert found == [(digests[n], len(contents[n]), contents[n]) for n in wanted]
    assert await read(client, []) == []


async def test_what_is_not_there_or_too_large_is_told(client):
    """By a length that none has; 4 MiB is the largest that comes."""
    largest = bytes(4 << 20)
    digests = await store(client, b"small", largest, largest + b"!")
    digests.insert(1, digest_of(b"absent"))
    found = await read(client, digests)
    assert [length for _, length, _ in found] == [5, ABSENT, 4 << 20, TOO_LARGE]
    assert found[2][2] == largest


@pytest.mark.parametrize("change", [lambda raw: raw[:-3], lambda raw: raw + b"x", lambda _: b""])
async def test_a_blob_of_another_length_on_disk_is_not_taken_for_itself(client, tmp_path, change):
    """The length is that of what follows, which does not hash to the name; the next are sound."""
    contents = [b"one", b"damaged on disk", b"two"]
    digests = await store(client, *contents)
    file_of(tmp_path, digests[1]).write_bytes(change(contents[1]))
    found = await read(client, digests)
    sound = [digest_of(content) == digest for digest, _, content in found]
    assert sound == [True, False, True]


@pytest.mark.parametrize(
    ("question", "status"),
    [
        ({}, 400),
        ({"digests": "sha256:"}, 400),
        ({"digests": ["sha256:00"]}, 400),
        ({"digests": [7]}, 400),
        ({"digests": [digest_of(b"")] * 10_001}, 413),
    ],
)
async def test_a_question_that_is_none_is_refused(client, question, status):
    """Before a byte of an answer."""
    async with client.post("/blobs/read", json=question) as answer:
        assert answer.status == status
        assert (await answer.json())["field" if status == 400 else "code"] in {
            "digests",
            "digest",
            "too_large",
        }


async def test_a_slow_reader_holds_little_and_a_broken_one_nothing(client, tmp_path):
    """No more is read than two batches beyond what the reader took; then its place is free."""
    app = client.server.app
    digests = await store(client, *(seeded(n).randbytes(1 << 20) for n in range(40)))
    taken, contents = [], app[BLOBS].contents

    async def counted(*asked):
        found = await contents(*asked)
        taken.append(sum(map(len, found)))
        return found

    app[BLOBS].contents = counted
    body = orjson.dumps({"digests": digests})
    head = f"POST /blobs/read HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        reader.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(reader, (client.host, client.port))
        await loop.sock_sendall(reader, head.encode() + body)
        await asyncio.to_thread(eventually, lambda: len(taken) > 1)
        for digest in digests:  # others are served, and time goes by
            assert (await client.head("/blobs/" + digest.replace(":", "/"))).status == 200
        assert app[BULK_READS].taken == 1
        assert sum(taken) < 16 << 20
    await asyncio.to_thread(eventually, lambda: not app[BULK_READS].taken)
    assert open_under(tmp_path / "volume/blobs/sha256") == []


async def test_what_nothing_names_is_told_and_removed_when_asked(client, tmp_path):
    """Named in an entry or in a document it stays, as does what is young; without, nothing goes."""
    digests = await store(client, *(b"blob %d" % number for number in range(6)))
    for digest in digests[:5]:
        age(file_of(tmp_path, digest), 90_000)
    entry = {"type": "test.made", "actor": "t", "data": {"d": digests[0]}, "keys": []}
    assert (await client.post("/ledger", json=entry)).status == 201
    assert (await client.put("/state/checkpoint", json={"digest": digests[1]})).status == 201
    async with client.get("/blobs/" + digests[2].replace(":", "/")) as answer:
        assert answer.status == 200  # and memory has it now
    told = {"unreferenced": 3, "bytes": 18, "removed": 0, "removed_bytes": 0, "younger": 1}
    async with client.post("/blobs/unreferenced", json={"older_than": 3600}) as answer:
        found = await answer.json()
        assert sorted(found.pop("sample")) == sorted(digests[2:5])
        assert (answer.status, found) == (200, told)
    async with client.post("/blobs/unreferenced") as answer:
        assert (await answer.json())["younger"] == 4, "a week, unless told otherwise"
    removing = {"older_than": 3600, "remove": True}
    async with client.post("/blobs/unreferenced", json=removing) as answer:
        assert (await answer.json())["removed"] == 3
    for number, digest in enumerate(digests):
        async with client.get("/blobs/" + digest.replace(":", "/")) as answer:
            assert answer.status == (404 if number in {2, 3, 4} else 200)


@pytest.mark.parametrize("ask", ["head", "missing", "post", "put"])
async def test_whoever_was_told_it_is_there_does_not_lose_it(client, tmp_path, ask):
    """However they asked: the blob is as young then as a new one."""
    (digest,) = await store(client, b"known")
    age(file_of(tmp_path, digest), 90_000)
    path = "/blobs/" + digest.replace(":", "/")
    calls = {
        "head": lambda: client.head(path),
        "missing": lambda: client.post("/blobs/missing", json={"digests": [digest]}),
        "post": lambda: client.post("/blobs", data=b"known"),
        "put": lambda: client.put(path, data=b"known"),
    }
    assert (await calls[ask]()).status == 200
    removing = {"older_than": 3600, "remove": True}
    async with client.post("/blobs/unreferenced", json=removing) as answer:
        found = await answer.json()
    assert (found["removed"], found["younger"]) == (0, 1)


@pytest.mark.parametrize(
    "asked",
    [
        {"older_than": 3599, "remove": True},
        {"older_than": -1},
        {"older_than": "1"},
        {"older_than": True},
        {"remove": 1},
        {"remove": None},
        [],
    ],
)
async def test_removing_what_may_just_be_on_its_way_is_refused(client, asked):
    """At least an hour lies between a payload and what names it; nonsense is refused too."""
    async with client.post("/blobs/unreferenced", json=asked) as answer:
        assert answer.status == 400


async def test_of_two_sweeps_at_once_one_is_told_busy(client):
    """409, and the other is done."""
    posts = [client.post("/blobs/unreferenced", json={}) for _ in range(2)]
    answers = await asyncio.gather(*posts)
    assert sorted(answer.status for answer in answers) == [200, 409]
    busy = next(answer for answer in answers if answer.status == 409)
    assert (await busy.json())["code"] == "busy"


async def test_the_documents_are_listed(client, tmp_path):
    """Sorted; what is no document of ours is not among them."""
    for name in ("b", "a.b", "Checkpoint-1"):
        assert (await client.put(f"/state/{name}", json={})).status == 201
    (tmp_path / "volume/state/.tmp-x.json").write_text("{}")
    async with client.get("/state") as answer:
        assert (answer.status, await answer.json()) == (
            200,
            {"names": ["Checkpoint-1", "a.b", "b"]},
        )
