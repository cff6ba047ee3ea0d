"""The databuffer over HTTP: blobs, ledger, documents and health, on a real server and volume."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import io
import json

import pytest
from aiohttp import ClientPayloadError
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from databuffer.app import create_app
from databuffer.config import Config
from databuffer.errors import StorageFailed
from databuffer.web.keys import BLOBS, PLACES
from databuffer.web.middleware import REQUEST_ID

LARGE = bytes(range(251)) * 8000
ENTRY = {"type": "tag.created", "actor": "alice", "data": {"tag": "X"}, "keys": ["tag/X"]}


@pytest.fixture
async def client(tmp_path):
    """A client of a databuffer with small limits on a fresh volume."""
    environ = {
        "VOLUME_ROOT": str(tmp_path / "volume"),
        "MAX_BLOB_BYTES": "3000000",
        "MAX_ENTRY_BYTES": "10000",
        "MAX_STATE_BYTES": "1000",
        "BODY_TIMEOUT": "1",
        "WCHSZ": "2",
        "WRITE_WAIT": "0.2",
    }
    app = create_app(Config.from_environ(environ))
    async with TestClient(TestServer(app)) as client:
        yield client


def digest_of(content):
    """Name a content."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def path_of(content):
    """Say where a blob of this content is."""
    return "/blobs/" + digest_of(content).replace(":", "/")


async def post(client, body):
    """Append an entry; return the status and the answer."""
    async with client.post("/ledger", json=body) as answer:
        return answer.status, await answer.json()


# Blobs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"small", LARGE])
async def test_a_blob_comes_back_as_it_was_sent(client, content):
    """201 the first time, 200 again, the same answer; GET gives the bytes and all headers."""
    for status in (201, 200):
        async with client.post("/blobs", data=io.BytesIO(content)) as answer:
            assert answer.status == status
            assert await answer.json() == {"digest": digest_of(content), "size": len(content)}
    async with client.get(path_of(content)) as answer:
        assert await answer.read() == content
        assert answer.headers["ETag"] == f'"{digest_of(content)}"'
        encoded = base64.b64encode(hashlib.sha256(content).digest()).decode()
        assert answer.headers["Repr-Digest"] == f"sha-256=:{encoded}:"
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    async with client.head(path_of(content)) as answer:
        assert (answer.status, answer.content_length) == (200, len(content))
        assert answer.headers["ETag"] == f'"{digest_of(content)}"'


@pytest.mark.parametrize("content", [b"0123456789", LARGE])
@pytest.mark.parametrize(
    ("header", "cut"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("bytes=2-5", slice(2, 6)),
        ("bytes=3-", slice(3, None)),
        ("bytes=-4", slice(-4, None)),
        ("bytes=5-99999999", slice(5, None)),
        ("bytes=-99999999", slice(None)),
    ],
)
async def test_a_range_is_sent(client, content, header, cut):
    """One range gives 206 with exactly these bytes."""
    await client.post("/blobs", data=io.BytesIO(content))
    async with client.get(path_of(content), headers={"Range": header}) as answer:
        assert answer.status == 206
        assert await answer.read() == content[cut]
        first, last, size = cut.indices(len(content))[0], None, len(content)
        last = first + len(content[cut]) - 1
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{size}"


@pytest.mark.parametrize("header", ["bytes=0-1,3-4", "lines=1-2", "bytes=5-2", "bytes=-", "x"])
async def test_a_range_that_is_not_understood_gets_all(client, header):
    """RFC 9110: such a header is ignored."""
    await client.post("/blobs", data=b"0123456789")
    async with client.get(path_of(b"0123456789"), headers={"Range": header}) as answer:
        assert (answer.status, await answer.read()) == (200, b"0123456789")


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=99-100", "bytes=-0"])
async def test_a_range_outside_is_refused(client, header):
    """416, saying how long the blob is; no cache may keep that for those who want all of it."""
    await client.post("/blobs", data=b"0123456789")
    async with client.get(path_of(b"0123456789"), headers={"Range": header}) as answer:
        assert answer.status == 416
        assert answer.headers["Content-Range"] == "bytes */10"
        assert answer.headers["Cache-Control"] == "no-store"
        assert (await answer.json())["code"] == "range_not_satisfiable"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_conditions_are_honoured(client, method):
    """A known ETag gives 304; If-Range with another one gives everything."""
    await client.post("/blobs", data=io.BytesIO(LARGE))
    tag = f'"{digest_of(LARGE)}"'
    for known, status in ((tag, 304), (f'"x", W/{tag}', 304), ("*", 304), ('"x"', 200)):
        headers = {"If-None-Match": known}
        async with client.request(method, path_of(LARGE), headers=headers) as answer:
            assert answer.status == status
    for condition, status in ((tag, 206), ('"other"', 200)):
        headers = {"If-Range": condition, "Range": "bytes=0-9"}
        async with client.get(path_of(LARGE), headers=headers) as answer:
            assert answer.status == status


async def test_a_named_upload_must_have_its_digest(client):
    """PUT keeps what hashes to the name and refuses anything else with 422."""
    for content in (b"small", LARGE):
        async with client.put(path_of(content), data=io.BytesIO(b"x" + content)) as answer:
            assert answer.status == 422
            assert (await answer.json())["code"] == "digest_mismatch"
        assert (await client.get(path_of(content))).status == 404
        assert (await client.put(path_of(content), data=io.BytesIO(content))).status == 201
        assert (await client.put(path_of(content), data=io.BytesIO(content))).status == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/blobs/sha256/" + "0" * 64, 404),
        ("/blobs/sha256/" + "0" * 63, 400),
        ("/blobs/sha256/" + "A" * 64, 400),
        ("/blobs/md5/" + "0" * 64, 400),
        ("/blobs/sha256/..%2f..%2fledger%2fledger.json", 400),
        ("/nothing", 404),
    ],
)
async def test_a_name_that_is_none_is_refused_as_json(client, path, status):
    """Odd names reach no file and get the error body."""
    async with client.get(path) as answer:
        assert answer.status == status
        assert {"detail", "code"} <= (await answer.json()).keys()


async def test_what_is_missing_of_many_is_told(client):
    """The digests that name no blob, each once and in order; so the journalled are there."""
    for content in (b"small", LARGE):
        await client.post("/blobs", data=io.BytesIO(content))
    absent = [digest_of(b"%d" % number) for number in range(3)]
    asked = [absent[1], digest_of(LARGE), absent[0], digest_of(b"small"), absent[1], absent[2]]
    async with client.post("/blobs/missing", json={"digests": asked}) as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")
        told = await answer.json()
    assert told == {"missing": [absent[1], absent[0], absent[2]], "resized": {}}


async def test_a_blob_of_another_size_than_told_is_found(client):
    """Only where a size is told; a blob that is not there is missing, whatever its size."""
    await client.post("/blobs", data=b"small")
    small, absent = digest_of(b"small"), digest_of(b"absent")
    for size, resized in ((5, {}), (4, {small: 5}), (None, {})):
        question = {"digests": [absent, small], "sizes": [6, size]}
        async with client.post("/blobs/missing", json=question) as answer:
            assert await answer.json() == {"missing": [absent], "resized": resized}


@pytest.mark.parametrize(
    ("question", "status"),
    [
        ({}, 400),
        ([], 400),
        ({"digests": "sha256:" + "0" * 64}, 400),
        ({"digests": ["0" * 64]}, 400),
        ({"digests": [None]}, 400),
        ({"digests": [["sha256:" + "0" * 64]]}, 400),
        ({"digests": ["sha256:" + "0" * 64], "sizes": []}, 400),
        ({"digests": ["sha256:" + "0" * 64], "sizes": ["5"]}, 400),
        ({"digests": ["sha256:" + "0" * 64], "sizes": [True]}, 400),
        ({"digests": ["sha256:" + "0" * 64] * 100_000}, 200),
        ({"digests": ["sha256:" + "0" * 64] * 100_001}, 413),
        ({"digests": [], "more": "x" * 13_000_000}, 413),
    ],
)
async def test_a_question_about_blobs_is_bounded_and_understood(client, question, status):
    """Up to 100 000 digests; anything else than digests and sizes is the caller's mistake."""
    body = io.BytesIO(json.dumps(question).encode())
    async with client.post("/blobs/missing", data=body) as answer:
        assert answer.status == status


async def test_too_large_a_blob_is_refused(client):
    """413, whether its size is announced or not."""

    async def unannounced():
        for _ in range(4):
            yield bytes(1_000_000)

    for body in (io.BytesIO(bytes(3_000_001)), unannounced()):
        async with client.post("/blobs", data=body) as answer:
            assert answer.status == 413
    assert (await client.get(path_of(bytes(3_000_001)))).status == 404


class HalfBlob:
    """A large blob whose second half cannot be read: a failing disk, or a file cut short."""

    size, content = 4 << 20, None

    def __init__(self, shorter):
        self._shorter = shorter

    def fileno(self):
        """Give the shortened file, if that is what is wrong."""
        return self._shorter

    async def read(self, offset, length):
        """Read the first half only."""
        if offset >= self.size // 2:
            raise StorageFailed("Input/output error")
        return bytes(length)

    def close(self):
        """Nothing to let go of."""


@pytest.mark.parametrize("harm", ["unreadable", "shorter"])
async def test_a_download_that_fails_half_way_breaks_off(tmp_path, harm):
    """The client sees it incomplete: no error passes for content, nobody waits for the rest."""
    half = tmp_path / "half"
    half.write_bytes(bytes(HalfBlob.size // 2))
    app = create_app(Config.from_environ({"VOLUME_ROOT": str(tmp_path / "volume")}))
    with half.open("rb") as file:
        app[BLOBS] = OneBlob(HalfBlob(file.fileno() if harm == "shorter" else None))
        async with TestClient(TestServer(app)) as client, client.get(path_of(b"any")) as answer:
            assert (answer.status, answer.content_length) == (200, HalfBlob.size)
            assert await answer.content.readexactly(HalfBlob.size // 2) == half.read_bytes()
            with pytest.raises(ClientPayloadError):
                await answer.content.read()


class OneBlob:
    """A store that opens the same blob whatever is asked for."""

    def __init__(self, blob):
        self._blob = blob

    async def open(self, digest):
        """Open it."""
        return self._blob


@contextlib.asynccontextmanager
async def all_places_taken(client):
    """Have WCHSZ writes in flight."""
    async with contextlib.AsyncExitStack() as taken:
        for _ in range(2):
            await taken.enter_async_context(client.app[PLACES].place())
        yield


@pytest.mark.parametrize("size", [5, 2 << 20])
async def test_no_place_means_try_again_later(client, size):
    """With WCHSZ writes in flight a third waits WRITE_WAIT, then gets 503 with Retry-After."""
    async with all_places_taken(client):
        assert "flight 2.0" in await (await client.get("/metrics")).text()
        for path, body in (("/blobs", bytes(size)), ("/sendF", b'{"h":[1,2],"t":[1,0.5]}')):
            async with client.post(path, data=io.BytesIO(body)) as answer:
                assert (answer.status, (await answer.json())["code"].lower()) == (503, "busy")
                assert int(answer.headers["Retry-After"]) > 0
        assert (await post(client, ENTRY))[0] == 201
        assert (await client.get("/readyz")).status == 200
    assert (await client.post("/blobs", data=io.BytesIO(bytes(size)))).status == 201


async def test_a_write_that_waits_goes_on_when_a_place_is_free(client):
    """Waiting for a place is invisible to a client that is patient enough."""
    async with all_places_taken(client):
        patient = asyncio.create_task(client.post("/blobs", data=b"patient"))
        assert not (await asyncio.wait([patient], timeout=0.05))[0]
    assert (await patient).status == 201


# Ledger ----------------------------------------------------------------------------------------


async def test_entries_are_appended_and_read(client):
    """201 with the LSN; the lines have their members in order and end at the head."""
    for number in range(3):
        body = ENTRY | {"data": {"n": number}, "idempotency_key": f"k{number}"}
        assert await post(client, body) == (201, {"lsn": number + 1})
    async with client.get("/ledger?after=1&limit=1") as answer:
        assert answer.content_type == "application/x-ndjson"
        assert answer.headers["X-Ledger-LSN"] == "3"
        line = (await answer.read()).rstrip(b"\n")
    assert list(json.loads(line)) == [
        *("lsn", "time", "actor", "type", "data", "keys", "idempotency_key", "prev", "crc")
    ]
    async with client.get("/ledger") as answer:
        *_, last = (await answer.read()).splitlines()
    async with client.get("/ledger/head") as answer:
        head = await answer.json()
        assert answer.headers["X-Ledger-Id"] == head["ledger"]
    assert (head["lsn"], head["hash"]) == (3, hashlib.sha256(last).hexdigest())


async def test_a_moved_key_is_412(client):
    """The answer names the keys that moved and where they are now."""
    assert (await post(client, ENTRY | {"expect": {"tag/X": 0}}))[0] == 201
    status, answer = await post(client, ENTRY | {"expect": {"tag/X": 0, "tag/Y": 0}})
    assert status == 412
    assert (answer["code"], answer["moved"], answer["lsn"]) == (
        *("precondition_failed", {"tag/X": 1}, 1),
    )


async def test_a_repeat_answers_as_the_first_did(client):
    """The same idempotency key gets the same answer, even when the condition would fail now."""
    body = ENTRY | {"idempotency_key": "once", "expect": {"tag/X": 0}}
    assert await post(client, body) == (201, {"lsn": 1})
    assert await post(client, body) == (201, {"lsn": 1})
    assert (await (await client.get("/ledger/head")).json())["lsn"] == 1


async def test_a_long_poll_ends_with_an_entry(client):
    """`wait` holds the request until there is an entry, or its time is up."""
    async with client.get("/ledger?after=0&wait=0.05") as answer:
        assert (answer.status, await answer.read()) == (200, b"")
    poll = asyncio.create_task(client.get("/ledger?after=0&wait=30"))
    await post(client, ENTRY)
    async with asyncio.timeout(10):
        assert b'"lsn":1' in await (await poll).read()


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("after=1", 409),
        ("after=-1", 400),
        ("after=x", 400),
        ("after=1e3", 400),
        ("after=99999999999999999999", 400),
        ("limit=10001", 400),
        ("wait=61", 400),
        ("wait=nan", 400),
    ],
)
async def test_a_bad_question_is_refused(client, query, status):
    """A query that makes no sense is the caller's mistake."""
    async with client.get(f"/ledger?{query}") as answer:
        assert answer.status == status


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": None}, "type"),
        ({"type": "Bad Type"}, "type"),
        ({"type": "buffer.stored"}, "type"),
        ({"actor": ""}, "actor"),
        ({"actor": "a\nb"}, "actor"),
        ({"actor": 5}, "actor"),
        ({"data": []}, "data"),
        ({"data": None}, "data"),
        ({"data": {"n": 2**64}}, "data"),
        ({"data": {"n": -(2**63) - 1}}, "data"),
        ({"data": {"n": [2**64, 1]}}, "data"),
        ({"data": {"n": {"9" * 30: [1, 2**64]}}}, "data"),
        ({"data": {"n": 10**400}}, None),
        ({"keys": None}, "keys"),
        ({"keys": ["tag/X", "buffer/state"]}, "keys[1]"),
        ({"keys": "tag/X"}, "keys"),
        ({"keys": [1]}, "keys[0]"),
        ({"keys": ["a", ""]}, "keys[1]"),
        ({"expect": []}, "expect"),
        ({"expect": {"k": -1}}, "expect"),
        ({"expect": {"k": True}}, "expect"),
        ({"expect": {"k": 1.5}}, "expect"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"idempotency_key": "x" * 201}, "idempotency_key"),
        ({"more": 1}, "more"),
    ],
)
async def test_a_malformed_entry_names_its_field(client, change, field):
    """400 with the field, and nothing is appended."""
    status, answer = await post(client, ENTRY | change)
    assert (status, answer["code"], answer.get("field")) == (400, "malformed", field)
    assert (await (await client.get("/ledger/head")).json())["lsn"] == 0


@pytest.mark.parametrize("value", [2**64 - 1, -(2**63), "9" * 40, "a:" + "9" * 40, 0.1 + 0.2])
async def test_numbers_of_64_bits_and_any_digits_in_text_are_kept(client, value):
    """What is long but exact is stored as it came."""
    status, _ = await post(client, ENTRY | {"data": {"n": [value, {"m": value}]}})
    assert status == 201
    async with client.get("/ledger") as answer:
        assert json.loads(await answer.read())["data"] == {"n": [value, {"m": value}]}


@pytest.mark.parametrize("depth", [300, 1020, 3000])
async def test_deep_nesting_is_refused(client, depth):
    """Nesting that cannot be kept is 400, not a failure of ours."""
    nested = "[" * depth + "1" * 19 + "]" * depth
    text = json.dumps(ENTRY).replace('"X"', nested)
    async with client.post("/ledger", data=text.encode()) as answer:
        assert answer.status == 400


async def test_too_large_an_entry_is_refused(client):
    """MAX_ENTRY_BYTES holds."""
    status, answer = await post(client, ENTRY | {"data": {"text": "x" * 10_000}})
    assert (status, answer["code"]) == (413, "too_large")


# Documents -------------------------------------------------------------------------------------


async def test_a_document_is_replaced_only_on_condition(client):
    """Create freely, overwrite only with the ETag in hand; of two who hold it one wins."""
    url = "/state/checkpoint"
    assert (await client.get(url)).status == 404
    assert (await client.put(url, data=b"{}", headers={"If-Match": "*"})).status == 412
    created = await client.put(url, data=b'{"a":1}')
    assert created.status == 201
    tag = created.headers["ETag"]
    assert tag.strip('"') == hashlib.sha256(b'{"a":1}').hexdigest()
    assert (await client.put(url, data=b"{}")).status == 428
    assert (await client.put(url, data=b"{}", headers={"If-None-Match": "*"})).status == 412
    assert (await client.put(url, data=b"{}", headers={"If-Match": '"x"'})).status == 412
    puts = [client.put(url, data=b"%d" % n, headers={"If-Match": tag}) for n in range(5)]
    answers = await asyncio.gather(*puts)
    assert sorted(answer.status for answer in answers) == [200, 412, 412, 412, 412]
    async with client.get(url, headers={"If-None-Match": tag}) as answer:
        assert (answer.status, len(await answer.read())) == (200, 1)
        now = answer.headers["ETag"]
    assert (await client.get(url, headers={"If-None-Match": now})).status == 304


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        (".hidden", b"{}", 400),
        ("a%2Fb", b"{}", 400),
        ("x" * 101, b"{}", 400),
        ("ok", b"{", 400),
        ("ok", b"NaN", 400),
        ("ok", b'"' + b"x" * 1000 + b'"', 413),
    ],
)
async def test_a_bad_document_is_refused(client, name, body, status):
    """Odd names, other things than JSON and too much of it change nothing."""
    assert (await client.put(f"/state/{name}", data=body)).status == status
    assert (await client.get("/state/ok")).status == 404


# Health ----------------------------------------------------------------------------------------


async def test_health_says_what_an_operator_asks(client):
    """Alive, ready, how full, and metrics for Prometheus."""
    assert (await client.get("/livez")).status == 200
    async with client.get("/readyz") as answer:
        ready = await answer.json()
        assert answer.status == 200
    assert ready["ready"] is True
    assert ready["ledger"]["lsn"] == 0
    assert ready["buffer"] == "OPERATIONAL"
    assert 0 < ready["volume"]["bytes_free"] <= ready["volume"]["bytes_total"]
    await post(client, ENTRY)
    text = await (await client.get("/metrics")).text()
    assert "databuffer_ledger_lsn 1.0" in text
    assert 'databuffer_requests_total{method="POST",route="/ledger",status="201"} 1.0' in text


@pytest.mark.parametrize("path", ["/state/x%0AERROR%20forged%1B%5B31m", "/state/" + "x" * 5000])
async def test_a_caller_writes_no_line_of_the_log(client, caplog, path):
    """One refused request is one line of sensible length, whatever its path and its body hold."""
    caplog.set_level("INFO", "databuffer.http")
    async with client.get(URL(path, encoded=True)) as answer:
        assert answer.status == 400
    await post(client, {"ERROR\nforged" + "x" * 5000: 1})
    lines = [record.getMessage() for record in caplog.records if record.name == "databuffer.http"]
    assert len(lines) == 2
    assert all(line.isprintable() and len(line) < 1000 for line in lines)


async def test_every_answer_carries_a_request_id(client):
    """The caller's own if it is sane, else a new one; errors too."""
    for given, kept in (("job-17", True), ("bad id!", False), ("", False)):
        for path in ("/livez", "/nothing"):
            answer = await client.get(path, headers={REQUEST_ID: given})
            assert (answer.headers[REQUEST_ID] == given) is kept
            assert answer.headers[REQUEST_ID]


async def test_a_wrong_method_is_refused_as_json(client):
    """405 with Allow and the error body."""
    async with client.delete("/ledger") as answer:
        assert answer.status == 405
        assert answer.headers["Allow"] == "GET,HEAD,POST"
        assert (await answer.json())["code"] == "method_not_allowed"
