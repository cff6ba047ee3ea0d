"""Contract A: the digital twin's data buffer, as its clients call it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re

import pytest
from aiohttp.test_utils import TestClient, TestServer
from servers import eventually

from databuffer.app import create_app
from databuffer.config import Config

SEGMENT = b'{"h":[1.5,2.5,-3],"t":[968654552,0.00006103515625]}'
TIMED = b'{"h":[1,2,3],"t":[1,2,3.5]}'
PERSON = {"user": "alice", "token": "secret"}


class Buffer:
    """A databuffer on a volume that can be opened again."""

    def __init__(self, root):
        self.root = root
        self.config = Config.from_environ({"VOLUME_ROOT": str(root), "WCHSZ": "4"})

    def client(self):
        """Give a client of a new server on the volume."""
        return TestClient(TestServer(create_app(self.config)))

    def names(self):
        """List `data/`."""
        return sorted(path.name for path in self.config.dataroot.iterdir())


@pytest.fixture
def buffer(tmp_path):
    """A fresh volume."""
    return Buffer(tmp_path / "volume")


@pytest.fixture
async def client(buffer):
    """A client of it."""
    async with buffer.client() as client:
        yield client


async def get(client, path):
    """Get JSON."""
    async with client.get(path) as answer:
        assert answer.status == 200
        return await answer.json()


async def send(client, body=SEGMENT, query="", **headers):
    """Stream a segment; return the status and the answer."""
    async with client.post(f"/sendF{query}", data=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def entries(client):
    """Read the ledger."""
    text = await (await client.get("/ledger?limit=10000")).read()
    return [json.loads(line) for line in text.splitlines()]


async def test_a_fresh_buffer_is_empty_and_operational(client):
    """What every reading call answers before anything came."""
    assert await get(client, "/stat") == {"n_itm": 0, "buff_size": 0}
    description = {"dstatus": "OPERATIONAL", "user": "databuf", "token": "databuf"}
    assert await get(client, "/dstat") == description
    assert await get(client, "/dumpF") == {"nmlist": []}
    async with client.get("/dumpLogF") as answer:
        assert (answer.status, await answer.read()) == (204, b"")


@pytest.mark.parametrize("body", [SEGMENT, TIMED])
async def test_a_segment_is_stored(client, buffer, body):
    """File, counters, log, blob and ledger entry all say the same."""
    status, answer = await send(client, body, "?type=L1:strain")
    assert (status, answer["code"]) == (201, "RES_CREATE")
    size = len(body)
    found = re.fullmatch(rf"Written (gwb[0-9]{{19}}\.json) for {size} bytes", answer["body"])
    assert found
    name = found[1]
    assert (buffer.config.dataroot / name).read_bytes() == body
    assert await get(client, "/stat") == {"n_itm": 1, "buff_size": size}
    assert json.loads((buffer.config.admroot / "StatDesc.json").read_bytes()) == {
        "n_itm": 1,
        "buff_size": size,
    }
    assert await get(client, "/dumpF") == {"nmlist": [name]}
    (log,) = await get(client, "/dumpLogF")
    (entry,) = await entries(client)
    assert list(log) == ["level", "Id", "size", "name", "time", "message"]
    assert log == {
        "level": "info",
        "Id": 0,
        "size": size,
        "name": name,
        "time": entry["time"],
        "message": "Write file",
    }
    assert json.loads((buffer.config.logroot / "LogStream.json").read_bytes()) == log
    digest = hashlib.sha256(body).hexdigest()
    assert entry["type"] == "buffer.stored"
    assert entry["keys"] == ["buffer/segments"]
    assert entry["data"]["payload_type"] == "L1:strain"
    assert entry["data"]["digest"] == f"sha256:{digest}"
    assert (entry["data"]["samples"], entry["data"]["size"]) == (3, size)
    assert await (await client.get(f"/blobs/sha256/{digest}")).read() == body


@pytest.mark.parametrize("body", [b"", b"{", b'{"h":[NaN],"t":[1,1]}', b'{"h":[1],"t":[1,0]}'])
async def test_a_malformed_segment_writes_nothing(client, buffer, body):
    """400 in the contract's form; no file, no entry, no blob."""
    status, answer = await send(client, body)
    assert (status, answer["code"]) == (400, "MALFORMED")
    assert answer["body"] == answer["detail"]
    assert await get(client, "/stat") == {"n_itm": 0, "buff_size": 0}
    assert buffer.names() == []
    assert await entries(client) == []


async def test_the_query_is_checked_too(client):
    """A payload type or an idempotency key that is none is refused."""
    assert (await send(client, query="?type=../x"))[0] == 400
    assert (await send(client, query="?type="))[0] == 400
    assert (await send(client, **{"Idempotency-Key": "x" * 201}))[0] == 400


async def test_freezing_stops_the_stream(client):
    """After /upddsc the buffer says who froze it, shows no token, and takes no segment."""
    for _ in range(2):
        async with client.post("/upddsc", json=PERSON) as answer:
            assert answer.status == 201
            assert await answer.json() == {"code": "STAT_UPD", "body": "Table updated"}
    token = "sha256:" + hashlib.sha256(b"secret").hexdigest()[:12]
    description = {"dstatus": "FROZEN", "user": "alice", "token": token}
    assert await get(client, "/dstat") == description
    status, answer = await send(client)
    assert (status, answer["code"]) == (503, "FROZEN")
    assert [entry["type"] for entry in await entries(client)] == ["buffer.frozen"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"user":"a"}', b'{"token":"a"}', b'{"user":1,"token":"a"}']
)
async def test_a_malformed_freeze_changes_nothing(client, body):
    """400, and the buffer stays operational."""
    async with client.post("/upddsc", data=body) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "MALFORMED")
    assert (await get(client, "/dstat"))["dstatus"] == "OPERATIONAL"


async def test_cleaning_archives_and_opens_anew(client, buffer):
    """Files and log go into a directory of the minute, twice in a minute into two."""
    archives = []
    for _ in range(2):
        assert (await send(client))[0] == 201
        name = buffer.names()[0]
        await client.post("/upddsc", json=PERSON)
        async with client.post("/cleanall") as answer:
            assert answer.status == 201
            assert await answer.json() == {"code": "STAT_UPD", "body": "Buffer cleaned"}
        archives.append((await entries(client))[-1]["data"]["archive"])
        kept = buffer.config.dtvolroot / archives[-1]
        assert (kept / name).read_bytes() == SEGMENT
        assert json.loads((kept / "LogStream.json").read_bytes())["name"] == name
        assert await get(client, "/stat") == {"n_itm": 0, "buff_size": 0}
        assert (await get(client, "/dstat"))["user"] == "databuf"
        assert buffer.names() == []
        assert (buffer.config.logroot / "LogStream.json").read_bytes() == b""
    assert re.fullmatch(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [1-9][0-9]? [0-9]{2}:[0-9]{2}", archives[0])
    assert archives[1] != archives[0]


async def test_repeats_answer_as_the_first_did(client):
    """With an idempotency key a segment is stored once, also when the buffer is frozen since."""
    first = await send(client, **{"Idempotency-Key": "seg"})
    await client.post("/upddsc", json=PERSON)
    assert await send(client, **{"Idempotency-Key": "seg"}) == first
    for _ in range(2):
        await client.post("/cleanall", headers={"Idempotency-Key": "clean"})
    types = [entry["type"] for entry in await entries(client)]
    assert types == ["buffer.stored", "buffer.frozen", "buffer.cleaned"]
    async with client.post("/cleanall", headers={"Idempotency-Key": "seg"}) as answer:
        assert answer.status == 409


@pytest.mark.parametrize(("body", "query"), [(TIMED, ""), (SEGMENT, "?type=other"), (b"x", "")])
async def test_a_key_of_another_segment_stores_nothing_and_says_so(client, body, query):
    """201 would let the sender believe that this segment is kept."""
    await send(client, **{"Idempotency-Key": "seg"})
    status, told = await send(client, body, query, **{"Idempotency-Key": "seg"})
    assert (status, told["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")
    assert (await get(client, "/stat"))["n_itm"] == 1


async def test_one_key_for_all_at_once_is_one_request_and_refusals(client):
    """Whichever of them is first: the others are repeats or 409, never a defect of ours."""
    key = {"Idempotency-Key": "one for all"}
    entry = {"type": "x", "actor": "a", "data": {}, "keys": [], "idempotency_key": "one for all"}
    for _ in range(20):
        asked = [
            *(client.post("/sendF", data=body, headers=key) for body in (SEGMENT, TIMED)),
            client.post("/upddsc", json=PERSON, headers=key),
            client.post("/cleanall", headers=key),
            client.post("/ledger", json=entry),
        ]
        statuses = [answer.status for answer in await asyncio.gather(*asked)]
        assert statuses.count(201) >= 1
        assert set(statuses) <= {201, 409, 503}
        entry["idempotency_key"] = key["Idempotency-Key"] = f"{key['Idempotency-Key']}."
        await client.post("/cleanall")


async def test_a_frozen_buffer_never_gains_a_segment(client):
    """Freeze against 32 streamers: nothing is stored after the freeze, and the counters agree."""
    streamers = [asyncio.create_task(_stream_until_frozen(client)) for _ in range(32)]
    while (await get(client, "/stat"))["n_itm"] < 40:
        assert not any(streamer.done() for streamer in streamers)
    await client.post("/upddsc", json=PERSON)
    stat = await get(client, "/stat")
    written = sum(await asyncio.gather(*streamers))
    assert await get(client, "/stat") == stat
    assert stat["n_itm"] == written
    types = [entry["type"] for entry in await entries(client)]
    assert types == ["buffer.stored"] * written + ["buffer.frozen"]


async def _stream_until_frozen(client):
    written = 0
    while (await send(client))[0] == 201:
        written += 1
    return written


async def test_after_a_restart_everything_agrees(buffer):
    """Files lost, changed or foreign, counters and log: all are as the ledger says again."""
    async with buffer.client() as client:
        for number in range(4):
            await send(client, SEGMENT.replace(b"1.5", b"%d" % number))
        answers = [await get(client, path) for path in ("/stat", "/dumpF", "/dumpLogF")]
    names = buffer.names()
    data = buffer.config.dataroot
    contents = [(data / name).read_bytes() for name in names]
    (data / names[0]).unlink()
    (data / names[1]).write_bytes(b"short")
    (data / names[2]).write_bytes(contents[2].replace(b"2.5", b"2.6"))
    (data / ".tmp-stray").write_bytes(b"")
    (data / "foreign.txt").write_bytes(b"mine")
    (buffer.config.admroot / "StatDesc.json").unlink()
    (buffer.config.logroot / "LogStream.json").write_bytes(b"{half")
    async with buffer.client() as client:
        for path, answer in zip(("/stat", "/dumpF", "/dumpLogF"), answers, strict=True):
            assert await get(client, path) == answer
        assert (await send(client))[0] == 201
        assert (await get(client, "/dumpF"))["nmlist"][-1] > names[-1]
    assert [(data / name).read_bytes() for name in names] == contents
    assert "foreign.txt" in buffer.names()
    assert ".tmp-stray" not in buffer.names()
    assert (buffer.config.logroot / "LogStream.json").read_bytes().count(b"\n") == 5


async def test_the_file_of_counters_follows_a_burst(client, buffer):
    """It is not rewritten for every segment, but says the truth soon after the last one."""
    for at in range(20):
        await send(client, b'{"h":[1],"t":[%d,1]}' % at)
    stat = await get(client, "/stat")
    path = buffer.config.admroot / "StatDesc.json"
    await asyncio.to_thread(eventually, lambda: json.loads(path.read_bytes()) == stat)
