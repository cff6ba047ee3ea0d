"""Uploads through the logic tier that break off, are too large, or come in pieces."""

from __future__ import annotations

import socket
import struct
from urllib.parse import urlsplit

import pytest
from load import ask, ledger_entries
from servers import databuffer, eventually, logic, open_deleted
from volume_oracle import VolumeOracle, sha256

MIB = 1 << 20


SIZES = (1000, 3 * MIB)


def segment(size):
    """Return a segment of so many bytes, which would be a segment as well if it were cut."""
    return b'{"h":[1,2],"t":[1000,0.5]}'.ljust(size)


@pytest.fixture(scope="module")
def tiers(tmp_path_factory):
    """A databuffer and one replica, with the tag `run3`."""
    folder = tmp_path_factory.mktemp("uploads")
    with (
        databuffer(folder, MAX_BLOB_BYTES=str(4 * MIB)) as buffer,
        logic(buffer.url, folder) as pod,
    ):
        eventually(lambda: ask("GET", f"{pod.url}/readyz").status == 200)
        assert ask("POST", f"{pod.url}/api/v1/global-tags", {"name": "run3"}).status == 201
        yield folder, buffer, pod
        assert pod.stop(within=15) == 0
        assert buffer.stop(within=15) == 0
        oracle = VolumeOracle(folder / "volume")
        _, *inserted = oracle.check()
        kinds = [held["payload_type"] for entry in inserted for held in entry["data"]["lists"]]
        assert kinds == ["Pieces"], "half a payload was taken for a whole one"
        assert not {sha256(segment(size)) for size in SIZES} & set(oracle.blobs)
        assert "Traceback" not in pod.log.read_text()
        assert "Traceback" not in buffer.log.read_text()


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("size", SIZES, ids=["small", "large"])
@pytest.mark.parametrize(
    "path", ["/stream?tag=run3&type=Beam&major=1", "/api/v1/payloads", "/stream"]
)
def test_an_upload_broken_off_is_not_taken_for_a_whole_one(tiers, path, size, framing, reset):
    """Half a payload is nothing: no blob, no IOV, no segment, whichever way its length was told."""
    folder, buffer, pod = tiers
    body = segment(size)
    length = f"Content-Length: {size + 10}" if framing == "length" else "Transfer-Encoding: chunked"
    if framing == "chunked":
        body = b"%x\r\n%b\r\n" % (size, body)
    parts = urlsplit(pod.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n".encode() + body)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    eventually(lambda: not open_deleted(buffer.process.pid, folder))
    assert ask("HEAD", f"{buffer.url}/blobs/sha256/{sha256(segment(size))}").status == 404


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("path", ["/stream?tag=run3&type=Beam&major=1", "/api/v1/payloads"])
def test_a_payload_over_the_databuffers_limit_is_413(tiers, path, framing):
    """The databuffer's refusal reaches the client as it is, and nothing is kept."""
    _, buffer, pod = tiers
    before = len(ledger_entries(buffer.url))
    body = bytes(5 * MIB)
    refused = ask("POST", pod.url + path, body if framing == "length" else iter([body]))
    assert refused.status == 413, refused
    assert len(ledger_entries(buffer.url)) == before


def test_a_payload_in_pieces_is_the_same_payload(tiers):
    """Chunks of any size make the content that one piece would."""
    _, buffer, pod = tiers
    body = bytes(range(256)) * 10_000
    pieces = iter([body[:1], body[1:70_000], body[70_000:]])
    stored = ask("POST", f"{pod.url}/stream?tag=run3&type=Pieces&major=1", pieces)
    assert (stored.status, stored.json["digest"]) == (201, f"sha256:{sha256(body)}"), stored
    assert ask("GET", f"{buffer.url}/blobs/sha256/{sha256(body)}").body == body
