"""`condstore doctor` against real servers, well and ill, and what it says to do."""

import dataclasses
import http.server
import json
import os
import socket
import subprocess
import threading
import time
from email.utils import formatdate

import pytest
import servers
from logic_pair import pair as both_tiers

from condstore.config import Settings
from condstore.doctor import examine
from condstore.errors import UsageError

QUIET = {"HOME": "/nonexistent", "SHELL": "/bin/bash", "TERM": "xterm"}


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    """Leave no proxy of this machine in the way."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Run both tiers for this module."""
    with both_tiers(tmp_path_factory.mktemp("doctor")) as running:
        yield running


def settings(urls, buffer_url, **more):
    """Return what the environment would say."""
    told = {"CONDSTORE_URL": urls, "DB_BURL": buffer_url}
    return dataclasses.replace(Settings.from_environ(told), **more)


def found(urls, buffer_url, **more):
    """Examine; return the findings by what they are about, a logic tier by its URL."""
    return {
        next((url for url in urls.split(",") if tier(one, url)), one.what): one
        for one in examine(settings(urls, buffer_url, **more), QUIET)
    }


def tier(one, url):
    """Say whether a finding is about the logic tier at a URL."""
    return one.what == "logic tier" and url in one.said


def nobody():
    """Return a URL at which nobody listens."""
    return f"http://127.0.0.1:{servers.free_port()}"


class Stranger(http.server.BaseHTTPRequestHandler):
    """Some other service; `says` is its answer to everything, `clock` its time."""

    says = b"<html>It works!</html>"
    clock = None

    def do_GET(self):
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.says)))
        self.end_headers()
        self.wfile.write(self.says)

    def date_time_string(self, timestamp=None):
        """Write the Date header."""
        return formatdate(time.time() if self.clock is None else self.clock, usegmt=True)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def stranger():
    """Return a function that serves a handler and returns its URL."""
    running = []

    def serve(**attributes):
        handler = type("Handler", (Stranger,), attributes)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        running.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in running:
        server.shutdown()
        server.server_close()


def test_a_healthy_installation_has_nothing_bad(pair):
    """Everything is named and good, and each URL says how fast it answered."""
    told = found(pair.logic.url, pair.buffer.url)
    assert {one.state for one in told.values()} == {"good"}
    assert "is ready, LSN 0" in told[pair.logic.url].said
    assert "is ready, LSN 0" in told["databuffer"].said
    assert told["writes"].said.startswith("taken")
    assert "OPERATIONAL, 0 files" in told["buffer"].said
    assert {"volume", "disk", "cache", "python", "packages", "terminal"} <= set(told)


def test_the_command_ends_with_0_or_1(pair):
    """What is bad is the exit status, so that a cron job can call for help."""
    environ = {**os.environ, "CONDSTORE_URL": pair.logic.url, "DB_BURL": pair.buffer.url}
    for url, status in ((pair.logic.url, 0), (nobody(), 1)):
        done = subprocess.run(
            [servers.BIN / "condstore", "doctor", "--json", "--url", url],
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert {"what", "state", "said", "do"} == set(json.loads(done.stdout)[0])


def test_examining_writes_nothing(pair):
    """The ledger is as it was, and so is a cache directory that is not there yet."""
    before = pair.get("/readyz")["applied_lsn"]
    found(pair.logic.url, pair.buffer.url)
    assert pair.get("/readyz")["applied_lsn"] == before


def test_databuffer_away(tmp_path):
    """Writes are refused, reads go on, and verify's own URL does not answer."""
    with both_tiers(tmp_path) as ill:
        ill.buffer.kill()
        servers.eventually(lambda: ill.get("/readyz")["databuffer"] == "away")
        told = found(ill.logic.url, ill.buffer.url)
        assert told[ill.logic.url].state == "good"
        assert told["writes"].state == "bad"
        assert "cannot reach its databuffer; reads go on" in told["writes"].said
        assert "start the databuffer" in told["writes"].do
        assert told["databuffer"].state == "warn"


def test_no_server():
    """Nobody listens: start one, or point the variable elsewhere."""
    url = nobody()
    told = found(url, url)[url]
    assert (told.state, told.said) == ("bad", f"no server answers at {url} (Connection refused)")
    assert "`condstore up`" in told.do
    assert "CONDSTORE_URL" in told.do


def test_the_databuffer_is_no_logic_tier(pair):
    """The two ports swapped are recognised as such, both ways."""
    told = found(pair.buffer.url, pair.logic.url)
    assert told[pair.buffer.url].said.endswith("is the databuffer, not the logic tier")
    assert "CONDSTORE_URL names the logic tier" in told[pair.buffer.url].do
    assert told["databuffer"].said.endswith("is the logic tier")


@pytest.mark.parametrize(
    "says",
    [
        *(b"<html>It works!</html>", b"[]", b'{"ready": true}', b"", b"\xff", b"[" * 100_000),
        *(b'{"ready": true, "applied_lsn": "x"}', b'{"ready": true, "applied_lsn": [1e400]}'),
        *(b'{"ready": 1, "volume": 5, "checks": {}}', b'{"volume": {}, "ledger": [], "checks": 7}'),
    ],
)
def test_another_service_on_that_port(stranger, says):
    """Whatever else answers there is not taken for condstore."""
    url = stranger(says=says)
    told = found(url, url)
    assert told[url].state == "bad"
    assert "another service" in told[url].said
    assert told["databuffer"].state == "bad"


def test_a_server_that_does_not_speak_http():
    """A port that takes connections and says something else is named as that."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def greet():
            for _ in range(2):
                with listening.accept()[0] as connection:
                    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        greeter = threading.Thread(target=greet)
        greeter.start()
        told = found(url, nobody())[url]
        greeter.join(30)
    assert told.state == "bad"
    assert "does not speak HTTP" in told.do


def test_a_name_that_nobody_knows():
    """A typing error in the host is told apart from a server that is down."""
    url = "http://condstore.invalid:5000"
    told = found(url, nobody())[url]
    assert "nobody knows the host of" in told.said
    assert "DNS" in told.do


def test_a_port_that_is_none():
    """What is no URL is refused before anything is examined."""
    with pytest.raises(UsageError, match="CONDSTORE_URL='http://localhost:99999' is not"):
        settings("http://localhost:99999", nobody())


def test_a_proxy_that_catches_localhost(pair, monkeypatch):
    """The environment's proxy stands before this machine's own server: NO_PROXY mends it."""
    monkeypatch.setenv("HTTP_PROXY", f"http://alice:secret@{nobody().removeprefix('http://')}")
    told = found(pair.logic.url, pair.buffer.url)[pair.logic.url]
    assert told.state == "bad"
    assert "does not answer through the proxy http://127.0.0.1:" in told.said
    assert "secret" not in told.said + told.do
    assert told.do == "export NO_PROXY=127.0.0.1,$NO_PROXY"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert found(pair.logic.url, pair.buffer.url)[pair.logic.url].state == "good"


def test_each_of_several_urls_is_looked_at_on_its_own(pair):
    """One of two replicas is down: the good one is good, the other is named."""
    away = nobody()
    told = found(f"{pair.logic.url},{away}", pair.buffer.url)
    assert told[pair.logic.url].state == "good"
    assert told[away].state == "bad"
    assert told["replicas"].said == "1 of 2 answer, all of one ledger"


def test_urls_of_different_ledgers_are_no_replicas(pair, tmp_path):
    """A test system among the production's replicas is found out; so is verify's databuffer."""
    with both_tiers(tmp_path) as other:
        told = found(f"{pair.logic.url},{other.logic.url}", pair.buffer.url)
    assert told["replicas"].state == "bad"
    assert other.logic.url in told["replicas"].said
    assert told["ledger"].state == "bad"


def test_a_frozen_buffer_is_pointed_out(tmp_path):
    """Who cannot stream at night sees why, and what opens the buffer."""
    with both_tiers(tmp_path, MAX_SIZE="1") as frozen:
        frozen.post("/stream", b'{"h":[1.0,2.0],"t":[1,0.5]}')
        frozen.post("/freezeds", b'{"user":"alice","token":"x"}')
        told = found(frozen.logic.url, frozen.buffer.url)["buffer"]
    assert told.state == "warn"
    assert "FROZEN with 1 file," in told.said
    assert "condstore buffer flush" in told.do


@pytest.mark.parametrize(("ahead", "way"), [(-3600, "ahead of"), (3600, "behind")])
def test_another_clock_is_noticed(stranger, ahead, way):
    """A server whose Date is an hour off is named, with the direction."""
    ready = {"ready": True, "databuffer": "reachable", "writes": True, "applied_lsn": 7}
    url = stranger(says=json.dumps(ready).encode(), clock=time.time() + ahead)
    told = found(url, nobody())["clock"]
    assert told.state == "warn"
    assert f" s {way} the one of {url}" in told.said


def test_a_replica_that_starts_is_waited_for(stranger):
    """Not ready is bad, and says how far it is."""
    ready = {"ready": False, "applied_lsn": 7, "head_lsn": 5000, "databuffer": "reachable"}
    url = stranger(says=json.dumps(ready).encode())
    assert "its view is at LSN 7 of 5000" in found(url, nobody())[url].said


@pytest.mark.parametrize(
    ("used", "failing", "volume", "said"),
    [
        (0.5, "ok", "good", "is ready"),
        (0.95, "ok", "warn", "is ready"),
        (0.99, "No space left on device", "bad", "is not ready: volume: No space left on device"),
    ],
)
def test_a_volume_that_fills_is_told_before_it_is_full(stranger, used, failing, volume, said):
    """At 90 % a warning, and what the databuffer's own probe of its volume says."""
    body = {
        "ready": failing == "ok",
        "ledger": {"id": "x", "lsn": 7},
        "volume": {"bytes_free": 10**9, "bytes_total": 10**11, "used": used},
        "buffer": "OPERATIONAL",
        "checks": {"ledger": "ok", "volume": failing},
    }
    told = found(nobody(), stranger(says=json.dumps(body).encode()))
    assert told["volume"].state == volume
    assert "1.0 GB left" in told["volume"].said
    assert said in told["databuffer"].said


@pytest.mark.parametrize(
    ("ledger", "state", "said"),
    [
        ("x", "bad", "refused: less than 5000000000 bytes free for data; reads go on"),
        ("another", "good", "taken: "),
    ],
)
def test_at_the_reserve_of_a_volume_nobody_is_told_that_writes_are_taken(
    stranger, ledger, state, said
):
    """A replica reaches its databuffer and knows no more; of another one nothing follows for it."""
    ready = {"ready": True, "databuffer": "reachable", "writes": True, "applied_lsn": 7}
    volume = {"bytes_free": 10**9, "bytes_total": 10**11, "used": 0.5, "reserve": 5 * 10**9}
    body = {
        "ready": False,
        "ledger": {"id": ledger, "lsn": 7},
        "volume": volume,
        "buffer": "OPERATIONAL",
        "checks": {"ledger": "ok", "volume": "less than 5000000000 bytes free for data"},
    }
    replica = stranger(says=json.dumps({**ready, "ledger": "x"}).encode())
    told = found(replica, stranger(says=json.dumps(body).encode()))
    assert told["writes"].state == state
    assert told["writes"].said.startswith(said)
    assert told["volume"].state == "bad"
    assert told["volume"].said == "1.0 GB left, less than its reserve of 5.0 GB"


def test_the_cache_directory_is_looked_at(tmp_path):
    """Where it is, what it holds, and whether it can be made."""
    url = nobody()
    assert "is made when it is first used" in found(url, url, cache=tmp_path / "new")["cache"].said
    assert not (tmp_path / "new").exists()
    there = tmp_path / "there"
    there.mkdir(mode=0o700)
    assert ": 0 payloads, " in found(url, url, cache=there)["cache"].said
    (tmp_path / "file").write_text("")
    assert found(url, url, cache=tmp_path / "file" / "x")["cache"].state == "bad"


def test_completion_is_found_where_the_shell_looks_for_it(tmp_path):
    """Installed or not, and the command that installs it."""
    url = nobody()
    known = {"HOME": str(tmp_path), "SHELL": "/usr/bin/fish"}
    (before,) = [one for one in examine(settings(url, url), known) if one.what == "completion"]
    assert before.do == "condstore --install-completion"
    there = tmp_path / ".config/fish/completions/condstore.fish"
    there.parent.mkdir(parents=True)
    there.touch()
    (after,) = [one for one in examine(settings(url, url), known) if one.what == "completion"]
    assert (after.said, after.do) == ("fish: installed", "")
