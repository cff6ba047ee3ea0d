"""A databuffer that is broken or hostile and does not end its answers: no memory is filled."""

from __future__ import annotations

import contextlib
import json
from http.server import BaseHTTPRequestHandler

import pytest
from small_server import served

from condstore import backup, bulk, ledger
from condstore.access import NOBODY
from condstore.errors import CondstoreError, UnexpectedAnswer
from condstore.producer.exchange import connected
from condstore.retry import ONCE
from condstore.transport import Timeouts
from condstore.verify import verify

PAGE = 3 << 20
"""Bytes that a page of the ledger may have here."""
SENT = 100 << 20
"""Bytes after which it ends after all: more than any of these answers may have."""
LINE = b"x" * 99 + b"\n"
HEAD = {"ledger": "0" * 32, "lsn": 1, "hash": "0" * 64}


@contextlib.contextmanager
def databuffer(endless, status=200, piece=LINE):
    """Serve a databuffer of one entry that goes on and on at one path."""
    sent = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            path = self.path.partition("?")[0]
            told = {"/ledger/head": HEAD, "/state": {"names": ["runs"]}, "/state/runs": {}}
            self.send_response(status if path == endless else 200)
            if path == endless:
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.go_on()
                self.close_connection = True
                return
            content = json.dumps(told.get(path, {})).encode()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer  # noqa: N815

        def go_on(self):
            block = piece * 1000
            for _ in range(SENT // len(block)):
                self.wfile.write(block)
                sent.append(len(block))

        def log_message(self, *_):
            """Say nothing."""

    with served(Handler, None, "127.0.0.1") as url:
        yield url, sent


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    """Let a page of the ledger have few bytes."""
    monkeypatch.setattr(ledger, "MOST", PAGE)


@pytest.mark.parametrize("path", ["/ledger/head", "/state", "/state/runs", "/ledger"])
def test_an_answer_without_end_is_refused_and_named(tmp_path, path):
    """Long before it would have filled the memory; nothing is backed up."""
    with databuffer(path) as (url, sent):
        with pytest.raises(UnexpectedAnswer, match=rf"{path}.* does not end: more came"):
            backup.backup(url, tmp_path / "backup")
        assert sum(sent) < SENT
    assert not (tmp_path / "backup" / "backup.json").exists()


def test_a_verification_does_not_read_on_either():
    """It asks the same ledger."""
    with (
        databuffer("/ledger") as (url, _),
        pytest.raises(UnexpectedAnswer, match="does not end"),
    ):
        verify(url)


@pytest.mark.parametrize("status", [404, 500])
def test_of_a_refusal_without_end_only_the_first_words_are_read(tmp_path, status):
    """They are what it is told by."""
    with databuffer("/ledger", status) as (url, sent):
        with pytest.raises(CondstoreError):
            backup.backup(url, tmp_path / "backup")
        assert sum(sent) < SENT


async def test_payloads_that_nobody_asked_for_are_not_collected():
    """Not one after the other, if those that were asked for have come or not."""
    record = b"cblb" + bytes(32) + bytes(8)
    for asked in ("0" * 64, "1" * 64):
        with databuffer("/blobs/read", piece=record) as (url, sent):
            async with connected((url,), 1, ONCE, Timeouts(), NOBODY) as exchange:
                with pytest.raises(UnexpectedAnswer, match="nobody asked for"):
                    async for _ in bulk.read(exchange, [asked]):
                        pass
            assert sum(sent) < SENT
