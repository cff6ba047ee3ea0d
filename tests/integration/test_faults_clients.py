"""Clients that break off, dawdle, lie, shout or come all at once; and stopping while they do."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import http.client
import json
import re
import resource
import signal
import socket
import struct
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from load import BufferLoad, ask, client_session, ledger_entries, request, seeded
from long import at_length
from servers import databuffer, databuffer_at, eventually, open_deleted
from volume_oracle import VolumeOracle, sha256, snapshot

MIB = 1 << 20
SEGMENT = json.dumps({"h": [1e-21] * 300, "t": [968654552, 0.5]}).encode()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A databuffer with small limits, for tests which leave it as it was."""
    limits = {
        "MAX_BLOB_BYTES": str(2 * MIB),
        "MAX_ENTRY_BYTES": "20000",
        "MAX_SEGMENT_BYTES": "20000",
        "MAX_STATE_BYTES": "20000",
        "BODY_TIMEOUT": "1",
    }
    folder = tmp_path_factory.mktemp("shared")
    with databuffer(folder, **limits) as running:
        assert ask("PUT", f"{running.url}/state/pointer", {"at": 1}).status == 201
        assert ask("POST", f"{running.url}/sendF", SEGMENT).status == 201
        yield running, folder
        assert running.stop() == 0
        VolumeOracle(folder / "volume").check()


@contextlib.contextmanager
def unchanged(folder):
    """Check that the volume stays as it is."""
    before = snapshot(folder / "volume")
    yield
    assert snapshot(folder / "volume") == before


def connect(url):
    """Return a socket to the server."""
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=20)


def raw(url, head, body=b""):
    """Send bytes as they are; return the status and all that came back (status 0: nothing)."""
    with connect(url) as connection:
        connection.sendall(head + body)
        answered = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                answered += piece
    return (int(answered.split(b" ", 2)[1]) if answered else 0), answered


def head(method, target, **headers):
    """Return the bytes of a request's head."""
    fields = {"Host": "x", "Connection": "close"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {target} HTTP/1.1", *(f"{k}: {v}" for k, v in fields.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


# Breaking off ----------------------------------------------------------------------------------


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("size", [1000, MIB + MIB // 2], ids=["small", "large"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_an_upload_broken_off_leaves_nothing(shared, method, framing, size, reset):
    """No blob, no temporary file, no open file, however and wherever the client goes away."""
    running, folder = shared
    body = seeded(size).randbytes(size)
    target = "/blobs" if method == "POST" else f"/blobs/sha256/{sha256(body)}"
    fields = {"Content_Length": size} if framing == "length" else {"Transfer_Encoding": "chunked"}
    sent = body[: size // 2]
    if framing == "chunked":
        sent = b"%x\r\n%b\r\n" % (len(sent), sent)
    with unchanged(folder):
        connection = connect(running.url)
        connection.sendall(head(method, target, **fields) + sent)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        eventually(lambda: not open_deleted(running.process.pid, folder))
        assert ask("HEAD", f"{running.url}/blobs/sha256/{sha256(body)}").status == 404


def test_an_append_or_segment_broken_off_leaves_nothing(shared):
    """Half an entry and half a segment are nothing."""
    running, folder = shared
    with unchanged(folder):
        for target in ("/ledger", "/sendF", "/state/half", "/upddsc"):
            with connect(running.url) as connection:
                connection.sendall(head("POST", target, Content_Length=500) + b'{"h":[1,2')
        assert ask("GET", f"{running.url}/stat").json["n_itm"] == 1
        assert ask("GET", f"{running.url}/dstat").json["dstatus"] == "OPERATIONAL"


def test_a_download_broken_off_frees_the_file(shared):
    """A client that leaves in the midst of a large download holds nothing open."""
    running, folder = shared
    body = bytes(2 * MIB)
    digest = ask("POST", f"{running.url}/blobs", body).json["digest"]
    path = folder / "volume/blobs/sha256" / digest[7:9] / digest[9:11] / digest[7:]

    def held():
        for link in Path(f"/proc/{running.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if link.readlink() == path:
                    return True
        return False

    for _ in range(5):
        with connect(running.url) as connection:
            connection.sendall(head("GET", f"/blobs/sha256/{digest[7:]}"))
            connection.recv(100)
    eventually(lambda: not held())


# Dawdling --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [0, 10, MIB + 10], ids=["nothing", "little", "much"])
@pytest.mark.parametrize("target", ["/blobs", "/ledger", "/sendF"])
def test_a_sender_that_falls_silent_is_answered_408(shared, target, sent):
    """BODY_TIMEOUT seconds without a byte end the request, and nothing of it is kept."""
    running, folder = shared
    if target != "/blobs":
        sent = min(sent, 10_000)
    with unchanged(folder), connect(running.url) as connection:
        connection.sendall(head("POST", target, Content_Length=sent + 100) + b"1" * sent)
        started = time.monotonic()
        status = int(connection.recv(65536).split(b" ", 2)[1])
        assert status == 408
        assert 0.5 < time.monotonic() - started < 15
    eventually(lambda: not open_deleted(running.process.pid, folder))


def test_slow_senders_do_not_hold_up_others(tmp_path):
    """While twenty senders dawdle, everybody else is served at once."""
    with databuffer(tmp_path, BODY_TIMEOUT="20") as running, contextlib.ExitStack() as slow:
        for number in range(20):
            connection = slow.enter_context(connect(running.url))
            size = 100 if number % 2 else 2 * MIB
            connection.sendall(head("POST", "/blobs", Content_Length=size + 1) + bytes(size))
        started = time.monotonic()
        for number in range(20):
            assert ask("POST", f"{running.url}/blobs", b"%d" % number).status == 201
            assert ask("POST", f"{running.url}/sendF", SEGMENT).status == 201
            entry = {"type": "t.x", "actor": "a", "data": {}, "keys": []}
            assert ask("POST", f"{running.url}/ledger", entry).status == 201
        assert time.monotonic() - started < 18  # BODY_TIMEOUT is 20


# Too many --------------------------------------------------------------------------------------


@pytest.fixture
def begin():
    """Begin large uploads, of which all but the last byte is sent; they end with the test."""
    with contextlib.ExitStack() as begun:

        def one(url, fill):
            connection = begun.enter_context(connect(url))
            connection.sendall(head("POST", "/blobs", Content_Length=3 * MIB))
            connection.sendall(bytes([fill]) * (3 * MIB - 1))
            return connection

        yield one


def finish(connection, fill):
    """Send the last byte of an upload; return the status."""
    with connection:
        connection.sendall(bytes([fill]))
        return int(connection.recv(65536).split(b" ", 2)[1])


def test_senders_that_dawdle_hold_no_place(tmp_path, begin):
    """Two places and six large uploads that stand still: everybody else writes as if alone."""
    with databuffer(tmp_path, WCHSZ="2", WRITE_WAIT="1") as running:
        begun = [begin(running.url, fill) for fill in range(6)]
        eventually(lambda: len(open_deleted(running.process.pid, tmp_path)) == 6)
        entry = {"type": "t.x", "actor": "a", "data": {}, "keys": []}
        for target, body in (
            *(("/blobs", b"x"), ("/blobs", bytes(3 * MIB)), ("/sendF", SEGMENT)),
            *(("/ledger", entry), ("/upddsc", {"user": "a", "token": "b"}), ("/cleanall", b"")),
        ):
            assert ask("POST", running.url + target, body).status == 201
        assert [finish(upload, fill) for fill, upload in enumerate(begun)] == [200, *[201] * 5]
        assert running.stop() == 0
        VolumeOracle(tmp_path / "volume").check()


def test_a_waiting_client_that_leaves_gives_its_place_up(tmp_path, begin):
    """Places are not lost to those who broke off, neither while waiting nor while sending."""
    with databuffer(tmp_path, WCHSZ="1", WRITE_WAIT="20") as running:
        for fill in range(4):
            taken = begin(running.url, fill)
            eventually(lambda: len(open_deleted(running.process.pid, tmp_path)) == 1)
            for _ in range(5):
                begin(running.url, 99).close()
            taken.close()
            eventually(lambda: not open_deleted(running.process.pid, tmp_path))
            assert ask("POST", f"{running.url}/blobs", b"%d" % fill, timeout=15).status == 201


# Too much, or not what it says -----------------------------------------------------------------


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize(
    ("method", "target", "limit"),
    [
        ("POST", "/blobs", 2 * MIB),
        ("PUT", f"/blobs/sha256/{'0' * 64}", 2 * MIB),
        ("POST", "/ledger", 20_000),
        ("POST", "/sendF", 20_000),
        ("PUT", "/state/large", 20_000),
    ],
)
def test_a_body_over_the_limit_is_413_and_leaves_nothing(shared, method, target, limit, framing):
    """One byte too many is too many, whether it was announced or not."""
    running, folder = shared
    body = b" " * (limit + 1)
    with unchanged(folder):
        sent = body if framing == "length" else iter([body[:1000], body[1000:]])
        answer = ask(method, running.url + target, sent)
        assert answer.status == 413, answer
        assert answer.json["detail"]
    assert not open_deleted(running.process.pid, folder)


def test_an_announced_excess_is_refused_before_it_is_sent(shared):
    """A Content-Length over the limit is answered without waiting for the body."""
    running, _ = shared
    with connect(running.url) as connection:
        connection.sendall(head("POST", "/blobs", Content_Length=1 << 60))
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_a_body_of_exactly_the_limit_is_taken(shared):
    """The limit itself is allowed, announced or not."""
    running, _ = shared
    for fill in (b"a", b"b"):
        body = fill * (2 * MIB)
        sent = body if fill == b"a" else iter([body])
        answer = ask("POST", f"{running.url}/blobs", sent)
        assert (answer.status, answer.json["size"]) == (201, 2 * MIB)


@pytest.mark.parametrize("size", [0, 1000, MIB + 1])
def test_a_wrong_digest_is_422_and_nothing_is_kept(shared, size):
    """The body must hash to the name it is sent under."""
    running, folder = shared
    body = seeded(size).randbytes(size)
    claimed = sha256(body + b"!")
    with unchanged(folder):
        answer = ask("PUT", f"{running.url}/blobs/sha256/{claimed}", body)
        assert answer.status == 422, answer
        assert ask("HEAD", f"{running.url}/blobs/sha256/{claimed}").status == 404
        assert ask("HEAD", f"{running.url}/blobs/sha256/{sha256(body)}").status == 404
    assert ask("PUT", f"{running.url}/blobs/sha256/{sha256(body)}", body).status in {200, 201}


# Odd names -------------------------------------------------------------------------------------

HEX = "0" * 64
ODD = [
    "/blobs/sha256/../../ledger/ledger.json",
    "/blobs/sha256/..%2f..%2fledger%2fledger.json",
    "/blobs/sha256/%2e%2e/%2e%2e/ledger/ledger.json",
    "/blobs/../../../../../../etc/passwd",
    "/blobs/sha256/%00",
    f"/blobs/sha256/{HEX}%00",
    f"/blobs/sha256/{HEX}%0a",
    f"/blobs/sha256/{HEX}/",
    f"/blobs/sha256/{HEX}.jsonl",
    f"/blobs/sha256/{HEX[:-1]}",
    f"/blobs/sha256/{HEX}0",
    f"/blobs/sha256/{'A' * 64}",
    f"/blobs/sha256/{'g' * 64}",
    f"/blobs/sha256/{'%D9%A0' * 64}",
    f"/blobs/sha512/{HEX}",
    f"/blobs//sha256/{HEX}",
    "/blobs/sha256/" + "0" * 7000,
    "/blobs/sha256/" + "%2e%2e%2f" * 500 + "etc/passwd",
    "//etc/passwd",
    "/state/../adm/StatDesc.json",
    "/state/..%2fadm%2fStatDesc",
    "/state/..%5cadm",
    "/state/%2e%2e",
    "/state/..",
    "/state/.",
    "/state/.hidden",
    "/state/a%2fb",
    "/state/a/b",
    "/state/a%00b",
    "/state/a%0ab",
    "/state/-a",
    "/state/%20",
    "/state/",
    "/state/" + "a" * 101,
    "/state/" + "a" * 7000,
    "/state/%C3%A9",
    "/state/%ff%fe",
    "/state/%",
    "/state/%zz",
    "/data/",
    "/ledger/ledger.json",
    "/ledger/../adm/StatDesc.json",
]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE", "BREW"])
def test_odd_paths_reach_no_file(shared, method):
    """Traversal, NUL, other alphabets, too long: 4xx in JSON, and nothing is touched."""
    running, folder = shared
    with unchanged(folder):
        for target in ODD:
            body = b'{"odd":1}' if method in {"PUT", "POST"} else b""
            status, answered = raw(
                running.url, head(method, target, Content_Length=len(body)), body
            )
            assert 400 <= status < 500, (target, answered[:200])
            assert b'ledger":' not in answered, target
            assert b"root:" not in answered, target
            if method != "HEAD":
                told = answered.partition(b"\r\n\r\n")[2]
                assert json.loads(told)["detail"], (target, answered[:200])
    assert {path.name for path in folder.iterdir()} == {"volume", "databuffer.log"}


POST = b"POST /blobs HTTP/1.1\r\nHost: x\r\n"
NO_HTTP = [
    b"\x00\x01\x02\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"GET /state/\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /state/\xff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"GET /stat HTTP/9.9\r\n\r\n",
    b"GET /stat HTTP/1.1\r\nX-Pad: " + b"a" * 100_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    POST + b"Content-Length: -1\r\n\r\n",
    POST + b"Content-Length: ten\r\n\r\n",
    POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc\r\n0\r\n\r\n",
]


def test_bytes_that_are_no_http_are_refused(shared):
    """Whatever comes over the socket, the server lives and its volume stays as it is."""
    running, folder = shared
    with unchanged(folder):
        for sent in NO_HTTP:
            status, answered = raw(running.url, sent)
            assert status == 0 or 400 <= status < 500, (sent[:80], answered[:200])
        assert ask("GET", f"{running.url}/livez").status == 200
    assert "Traceback" not in running.log.read_text()


@pytest.mark.parametrize("kind", ["", "../x", "a/b", "%00", "%2e%2e", "a" * 201, "%C3%A9", "-x"])
def test_odd_payload_types_are_refused(shared, kind):
    """A payload type becomes part of names: only plain ones are taken."""
    running, folder = shared
    with unchanged(folder):
        answer = ask("POST", f"{running.url}/sendF?type={kind}", SEGMENT)
        assert answer.status == 400, answer


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "nonsense"])
@pytest.mark.parametrize("target", ["/blobs", "/ledger", "/sendF", "/upddsc", "/cleanall"])
def test_a_packed_body_is_refused(shared, target, encoding):
    """Nothing is ever unpacked on the way in: 415, however small it is, and nothing is kept."""
    running, folder = shared
    body = gzip.compress(bytes(20_000))
    fields = head("POST", target, Content_Length=len(body), Content_Encoding=encoding)
    with unchanged(folder):
        status, answered = raw(running.url, fields, body)
        assert status == 415, answered
        assert b"\r\nAccept-Encoding: identity\r\n" in answered


def test_bytes_that_happen_to_be_packed_are_kept_as_they_are(shared):
    """Half a gzip file is that, not the half that it holds."""
    running, _ = shared
    body = gzip.compress(seeded(4).randbytes(5000))[:-900]
    fields = head("POST", "/blobs", Content_Length=len(body), Content_Encoding="identity")
    status, answered = raw(running.url, fields, body)
    assert status == 201, answered
    assert json.loads(answered.partition(b"\r\n\r\n")[2]) == {
        "digest": f"sha256:{sha256(body)}",
        "size": len(body),
    }


# All at once -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [50_000, MIB + MIB // 2], ids=["small", "large"])
def test_two_hundred_uploads_of_one_blob_make_one_file(tmp_path, size):
    """Exactly one of them is told it made it; all get the same answer, and there is one file."""
    body = seeded(3).randbytes(size)
    digest = sha256(body)

    async def upload_at_once(url):
        async with client_session() as session:
            ways = [("POST", "/blobs"), ("PUT", f"/blobs/sha256/{digest}")] * 100
            sends = [request(session, method, url + path, body) for method, path in ways]
            return await asyncio.gather(*sends)

    with databuffer(tmp_path, WRITE_WAIT="60") as running:
        answers = asyncio.run(upload_at_once(running.url))
        assert Counter(answer.status for answer in answers) == {201: 1, 200: 199}
        assert {answer.body for answer in answers} == {answers[0].body}
        assert answers[0].json == {"digest": f"sha256:{digest}", "size": size}
        oracle = VolumeOracle(tmp_path / "volume")
        oracle.check()
        assert oracle.blobs == {digest: size}
        assert not open_deleted(running.process.pid, tmp_path)


# Memory ----------------------------------------------------------------------------------------


def peak_memory(pid):
    """Return the most memory the process ever had, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def test_a_huge_blob_is_stored_and_served_in_less_than_100_mib(tmp_path):
    """Bodies are streamed, never held: memory does not know how large a blob is."""
    chunk, count = seeded(5).randbytes(MIB), at_length(512, 2048)
    expected = hashlib.sha256()
    parts = None

    def produce():
        for _ in range(count):
            expected.update(chunk)
            yield chunk

    with databuffer(tmp_path) as running:
        parts = urlsplit(running.url)
        started = time.monotonic()
        headers = {"Content-Length": str(count * MIB)}
        stored = ask("POST", f"{running.url}/blobs", produce(), headers, timeout=120)
        digest = expected.hexdigest()
        assert (stored.status, stored.json["digest"]) == (201, f"sha256:{digest}")
        path = tmp_path / "volume/blobs/sha256" / digest[:2] / digest[2:4] / digest
        assert path.stat().st_size == count * MIB
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=120)
        with contextlib.closing(connection):
            connection.request("GET", f"/blobs/sha256/{digest}")
            answer = connection.getresponse()
            assert int(answer.headers["Content-Length"]) == count * MIB
            buffer, received = memoryview(bytearray(MIB)), 0
            same = True
            while size := answer.readinto(buffer):
                at = received % MIB
                expected_bytes = (chunk + chunk)[at : at + size]
                same = same and buffer[:size] == expected_bytes
                received += size
            assert (received, same) == (count * MIB, True)
        peak = peak_memory(running.process.pid)
        print(f"{count} MiB in and out in {time.monotonic() - started:.1f} s, peak {peak:.0f} MiB")
        path.unlink()
        assert peak < 100


def test_many_clients_at_once_need_little_memory(tmp_path):
    """As many large uploads as may be in flight, and as many again waiting, stay within bounds."""
    body = bytes(8 * MIB)

    async def upload_many(url):
        async with client_session() as session:
            sends = [
                request(session, "POST", f"{url}/blobs", body[:-4] + number.to_bytes(4, "big"))
                for number in range(64)
            ]
            return Counter(answer.status for answer in await asyncio.gather(*sends))

    with databuffer(tmp_path, WRITE_WAIT="60") as running:
        assert asyncio.run(upload_many(running.url)) == {201: 64}
        peak = peak_memory(running.process.pid)
        print(f"64 uploads of 8 MiB at once: peak {peak:.0f} MiB")
        assert peak < 400


# Stopping, and starting twice ------------------------------------------------------------------


def test_more_connections_than_the_preset_number_of_files(tmp_path):
    """A soft limit of open files is no limit of clients: 400 silent ones keep nobody out."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        running = databuffer_at(tmp_path).start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with contextlib.ExitStack() as silent:
        silent.callback(running.stop)
        for _ in range(400):
            silent.enter_context(connect(running.url)).sendall(b"GET /livez HTTP/1.1\r\nX-")
        assert ask("POST", f"{running.url}/blobs", b"content").status == 201
    assert "accept" not in running.log.read_text()


def test_stopped_under_load_it_keeps_all_it_acknowledged_and_exits_0(tmp_path):
    """SIGTERM in the midst of everything is a clean end."""
    with databuffer(tmp_path) as running:
        load = BufferLoad(running.url, seeded(11))

        async def stop_soon():
            await asyncio.sleep(0.7)
            running.process.send_signal(signal.SIGTERM)

        asyncio.run(load.run(stop_soon))
        assert running.ended(within=30) == 0
        told = {text for text in load.surprises if ": 503 " not in text}
        assert told == set()
        oracle = VolumeOracle(tmp_path / "volume")
        entries = oracle.check()
        for lsn, data in load.entries.items():
            assert entries[lsn - 1]["data"] == data
        assert {digest: oracle.blobs.get(digest) for digest in load.blobs} == load.blobs
        assert {stored.name for stored in load.segments} <= {
            entry["data"].get("name") for entry in entries
        }
        assert "Traceback" not in running.log.read_text()
        running.restart()
        assert ledger_entries(running.url) == entries
        asyncio.run(load.settle({}))


def test_requests_in_flight_are_finished_when_it_stops(tmp_path, begin):
    """What was begun before SIGTERM is answered; what comes after is turned away."""
    with databuffer(tmp_path) as running, contextlib.ExitStack() as stack:
        begun = [begin(running.url, fill) for fill in range(4)]
        eventually(lambda: len(open_deleted(running.process.pid, tmp_path)) == 4)
        poll = stack.enter_context(connect(running.url))
        poll.sendall(head("GET", "/ledger?after=0&wait=60"))
        assert ask("GET", f"{running.url}/livez").status == 200
        running.process.send_signal(signal.SIGTERM)
        eventually(lambda: turned_away(running.url))
        assert [finish(upload, fill) for fill, upload in enumerate(begun)] == [201] * 4
        assert poll.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert running.ended(within=15) == 0
        oracle = VolumeOracle(tmp_path / "volume")
        oracle.check()
        assert len(oracle.blobs) == 4


def turned_away(url):
    """Whether a new write is refused: no connection, or 503."""
    try:
        return ask("POST", f"{url}/blobs", b"late", timeout=5).status == 503
    except OSError:
        return True


def test_a_silent_client_does_not_keep_it_from_stopping(tmp_path, begin):
    """After SHUTDOWN_GRACE seconds it ends, exit 0, and what was half sent is not kept."""
    with databuffer(tmp_path, SHUTDOWN_GRACE="1") as running:
        begin(running.url, 1)
        eventually(lambda: len(open_deleted(running.process.pid, tmp_path)) == 1)
        assert running.stop(within=10) == 0
        oracle = VolumeOracle(tmp_path / "volume")
        oracle.check()
        assert oracle.blobs == {}


def test_a_second_databuffer_on_one_volume_is_refused_in_one_line(tmp_path):
    """The volume has one master; the first goes on undisturbed."""
    with databuffer(tmp_path) as first:
        assert ask("POST", f"{first.url}/sendF", SEGMENT).status == 201
        with unchanged(tmp_path):
            status, printed = databuffer_at(tmp_path).refusal()
        assert status != 0
        assert len(printed) == 1, printed
        assert printed[0].startswith("databuffer: cannot start: ")
        assert ask("POST", f"{first.url}/sendF", SEGMENT).status == 201
        first.kill()
        first.restart()
        assert ask("GET", f"{first.url}/stat").json["n_itm"] == 2


def test_a_busy_port_is_refused_in_one_line(tmp_path):
    """The line names the address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        status, printed = databuffer_at(tmp_path, SERVURL=address).refusal()
    assert status != 0
    assert len(printed) == 1, printed
    assert printed[0].startswith("databuffer: cannot start: ")
    assert address.rpartition(":")[2] in printed[0]


@pytest.mark.parametrize(
    "setting",
    [
        {"SERVURL": "nonsense"},
        {"SERVURL": "127.0.0.1:99999"},
        {"WCHSZ": "0"},
        {"WCHSZ": "many"},
        {"MAX_BLOB_BYTES": "-1"},
        {"LOG_LEVEL": "loud"},
        {"DATANM": "../x"},
    ],
    ids=str,
)
def test_a_bad_setting_is_refused_in_one_line_naming_it(tmp_path, setting):
    """Which variable, and what it should be."""
    status, printed = databuffer_at(tmp_path, **setting).refusal()
    assert status != 0
    assert len(printed) == 1, printed
    assert next(iter(setting)) in printed[0]
    assert not (tmp_path / "volume").exists()
