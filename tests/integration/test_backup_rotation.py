"""The tiers' secret while it is changed: the other of two is shown where one is refused."""

from __future__ import annotations

import contextlib
import json
from http.server import BaseHTTPRequestHandler

import pytest
from backup_store import Store, databuffer_here, sound
from servers import bearer
from small_server import served

from condstore import backup
from condstore.config import Settings
from condstore.doctor import asking
from condstore.errors import Answered
from condstore.ledger import head
from condstore.producer.exchange import connected
from condstore.retry import ONCE
from condstore.transport import Timeouts

OLD, NEW = "old-" * 8, "new-" * 8
HEAD = {"ledger": "0" * 32, "lsn": 0, "hash": "0" * 64}


def known(**environ):
    """Return how the databuffer is asked with these variables."""
    return Settings.from_environ(environ).buffer_access


@pytest.fixture(params=["variable", "file"])
def both(request, tmp_path):
    """Two secrets, the new one first."""
    if request.param == "variable":
        return known(BUFFER_TOKEN=f"{NEW},{OLD}")
    file = tmp_path / "secrets"
    file.write_text(f"{NEW}\n{OLD}\n")
    return known(BUFFER_TOKEN_FILE=str(file))


@pytest.mark.parametrize("taken", [OLD, NEW])
def test_a_backup_is_taken_with_the_secret_that_the_databuffer_knows(tmp_path, both, taken):
    """Whichever of the two that is, in all of its requests, several at a time."""
    with databuffer_here(tmp_path, BUFFER_TOKEN=taken) as running:
        store = Store(running, bearer(taken))
        for number in range(5):
            store.put(b"payload %d" % number)
        backup.backup(store.url, tmp_path / "backup", access=both)
        store.http.clear()
    store.expect(tmp_path / "backup", sound(tmp_path / "backup").lsn)


@contextlib.contextmanager
def choosy(status):
    """Serve a databuffer that refuses with this status all but the secret that is in a list."""
    takes, shown = [OLD], []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            shown.append(self.headers["Authorization"].removeprefix("Bearer "))
            self.send_response(200 if shown[-1] in takes else status)
            content = json.dumps(HEAD).encode()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            """Say nothing."""

    with served(Handler, None, "127.0.0.1") as url:
        yield url, takes, shown


@pytest.mark.parametrize("status", [401, 403])
async def test_the_one_that_was_taken_is_shown_until_it_is_refused(both, status):
    """So each request is asked once, and twice where the secret was changed again."""
    with choosy(status) as (url, takes, shown):
        async with connected((url,), 1, ONCE, Timeouts(), both) as exchange:
            await head(exchange, url)
            await head(exchange, url)
            assert shown == [NEW, OLD, OLD]
            takes[:] = [NEW]
            await head(exchange, url)
            assert shown[3:] == [OLD, NEW]
            takes[:] = []
            with pytest.raises(Answered):
                await head(exchange, url)
            assert shown[5:] == [NEW, OLD]


def test_who_looks_at_the_databuffer_is_let_in_as_well(both):
    """Or `condstore doctor` would find a secret wrong that is not."""
    with choosy(401) as (url, _, shown):
        assert [asking.ask(url, path, both).status for path in ("/readyz", "/stat")] == [200, 200]
    assert shown == [NEW, OLD, OLD]


@pytest.mark.parametrize("more", [OLD, "# how to get another"])
async def test_of_tokens_of_people_the_first_alone_is_shown(tmp_path, more):
    """Two of them are two people, perhaps, and what else is in the file is not looked at."""
    file = tmp_path / "token"
    file.write_text(f"{NEW}\n{more}\n")
    access = Settings.from_environ({"CONDSTORE_TOKEN_FILE": str(file)}).access
    with choosy(401) as (url, _, shown):
        async with connected((url,), 1, ONCE, Timeouts(), access) as exchange:
            with pytest.raises(Answered):
                await head(exchange, url)
    assert shown == [NEW]
