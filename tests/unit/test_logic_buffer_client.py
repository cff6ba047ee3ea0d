"""The client of the databuffer against a server that breaks off, lies, or is another service."""

from __future__ import annotations

import contextlib
import re
import socket
import threading

import pytest

from datastore_logic.config import Config
from datastore_logic.databuffer.client import BufferClient
from datastore_logic.errors import BufferAway, OutcomeUnknown

LOST = b""
STORED = b'HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\n{"lsn":7}'
PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"
ENTRY = {"type": "x", "idempotency_key": "k"}


def whole_request(connection):
    """Read one request with all of its body."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        raw += connection.recv(65536)
    head, _, body = raw.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    while length and len(body) < int(length[1]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextlib.contextmanager
def server(*answers):
    """Answer one connection after the other, an empty answer by breaking off; then be gone."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        asked = []

        def serve():
            for answer in answers:
                connection, _ = listening.accept()
                with connection:
                    asked.append(whole_request(connection))
                    connection.sendall(answer)
            listening.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield (
            BufferClient(Config(buffer_url=f"http://127.0.0.1:{listening.getsockname()[1]}")),
            asked,
        )
        thread.join(10)


def test_a_lost_answer_is_asked_for_again_with_the_same_key():
    """The same bytes are sent a second time; the ledger knows the key."""
    with server(LOST, STORED) as (client, asked):
        assert client.append(ENTRY) == 7
    assert len(asked) == 2
    assert asked[0].partition(b"\r\n\r\n")[2] == asked[1].partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("answers", [(LOST, LOST), (LOST,)])
def test_a_write_that_may_have_been_stored_is_never_called_undone(answers):
    """Once it was sent its outcome is unknown, whatever becomes of the second try."""
    with server(*answers) as (client, _), pytest.raises(OutcomeUnknown):
        client.append(ENTRY)


def test_without_a_key_it_is_not_sent_twice():
    """A segment without a key might be stored twice."""
    with server(LOST) as (client, asked), pytest.raises(OutcomeUnknown):
        client.send_segment(b"{}", None, None)
    assert len(asked) == 1


def test_a_read_without_an_answer_is_a_databuffer_that_is_away():
    """Nothing can have been stored."""
    with server(LOST, LOST) as (client, _), pytest.raises(BufferAway):
        client.head()


@pytest.mark.parametrize(
    "ask",
    [
        BufferClient.head,
        lambda client: client.entries(0),
        lambda client: client.append(ENTRY),
        lambda client: client.store_blob([b"x"], 1),
        lambda client: client.missing(["sha256:" + "0" * 64]),
    ],
)
def test_another_service_at_the_address_is_no_databuffer(ask):
    """A page where JSON was agreed is said so, and is no defect of ours."""
    with server(PAGE) as (client, _), pytest.raises(BufferAway, match="not what was agreed"):
        ask(client)
