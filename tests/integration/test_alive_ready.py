"""What Kubernetes is told: alive as long as it helps nobody to start again, ready to be sent to."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import time
from urllib.parse import urlsplit

import pytest
from load import ask, at_once
from servers import ROOT, databuffer, eventually, logic

PATHS = {"databuffer": "/ledger/head", "logic": "/api/v1/global-tags"}


@pytest.fixture(scope="module")
def buffer(tmp_path_factory):
    """A databuffer that is left as it was."""
    with databuffer(tmp_path_factory.mktemp("probes")) as running:
        yield running


def kept_alive(url):
    """Return a connection that can be used again, closed at the end of a block."""
    parts = urlsplit(url)
    return contextlib.closing(http.client.HTTPConnection(parts.hostname, parts.port, timeout=20))


def asked(connection, path):
    """Ask over the connection; return the status and what was said of the connection."""
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    return answer.status, answer.headers.get("Connection")


def is_away(url):
    """Whether nobody listens there any more."""
    parts = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((parts.hostname, parts.port)) != 0


@pytest.mark.parametrize("tier", ["databuffer", "logic"])
def test_a_tier_that_stops_says_so_and_serves_on_for_a_while(tmp_path, tier):
    """New and open connections are answered, each for the last time; then the port is closed."""
    with databuffer(tmp_path, DRAIN_SECONDS="3") as buffer, contextlib.ExitStack() as stack:
        stopped = buffer
        if tier == "logic":
            stopped = stack.enter_context(logic(buffer.url, tmp_path, DRAIN_SECONDS="3"))
        old, idle = (stack.enter_context(kept_alive(stopped.url)) for _ in range(2))
        for connection in (old, idle):
            assert asked(connection, PATHS[tier]) == (
                200,
                None if tier == "databuffer" else "keep-alive",
            )
        assert ask("GET", f"{stopped.url}/readyz").json["stopping"] is False
        began = time.monotonic()
        stopped.process.send_signal(signal.SIGTERM)
        eventually(lambda: ask("GET", f"{stopped.url}/readyz").json["stopping"])
        assert ask("GET", f"{stopped.url}/readyz").status == 503
        assert ask("GET", f"{stopped.url}/livez").status == 200
        for connection in (old, idle):
            assert asked(connection, PATHS[tier]) == (200, "close")
        assert ask("GET", stopped.url + PATHS[tier]).status == 200
        eventually(lambda: is_away(stopped.url))
        assert time.monotonic() - began > 2.9
        assert stopped.ended(15) == 0  # sooner than SHUTDOWN_GRACE


def test_a_terminal_that_closes_stops_a_tier_in_order(tmp_path):
    """SIGHUP, which each of its processes gets, is as SIGTERM; under nohup it is nothing."""
    with databuffer(tmp_path) as buffer, logic(buffer.url, tmp_path) as tier:
        for running in (tier, buffer):
            os.killpg(running.process.pid, signal.SIGHUP)
            assert running.ended(30) == 0
            running.command.insert(0, "nohup")
            running.restart()
            os.killpg(running.process.pid, signal.SIGHUP)
            assert ask("GET", f"{running.url}/livez").status == 200
            assert running.stop() == 0
            assert "Traceback" not in running.log.read_text()


def test_a_log_that_nobody_reads_stops_neither_tier(tmp_path):
    """Its pipe is full; both serve on, and stop in order."""
    with contextlib.ExitStack() as stack:
        for name in ("databuffer.log", "logic.log"):
            os.mkfifo(tmp_path / name)
            unread = os.open(tmp_path / name, os.O_RDONLY | os.O_NONBLOCK)
            stack.callback(os.close, unread)
        buffer = stack.enter_context(databuffer(tmp_path, LOG_LEVEL="debug"))
        tier = stack.enter_context(logic(buffer.url, tmp_path, workers=1, LOG_LEVEL="debug"))
        for running in (tier, buffer):
            with kept_alive(running.url) as connection:
                for _ in range(800):
                    assert asked(connection, "/no-such-path")[0] == 404
            assert running.stop() == 0


def test_readers_that_wait_do_not_hold_up_a_stop(tmp_path, buffer):
    """Neither who waits for an LSN that does not come, nor a follower's long poll."""
    with logic(buffer.url, tmp_path, VIEW_WAIT="1") as pod:

        def act(number):
            if number:
                wanted = {"X-Min-LSN": "1000000"}
                return ask("GET", pod.url + PATHS["logic"], None, wanted).status
            eventually(lambda: ask("GET", f"{pod.url}/readyz").json["writes"])
            began = time.monotonic()
            assert pod.stop() == 0
            return time.monotonic() - began

        took, *told = at_once(9, act)
        assert set(told) <= {400, 503}
        assert took < 15  # SHUTDOWN_GRACE is 20


@contextlib.contextmanager
def hanging(tier):
    """Have a tier stand still, its connections open."""
    tier.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        tier.process.send_signal(signal.SIGCONT)


def test_a_databuffer_that_hangs_is_no_reason_to_start_again(tmp_path):
    """All threads wait for it; alive is answered at once all the same."""
    patience = {"THREADS": "2", "BUFFER_TIMEOUT": "3"}
    with databuffer(tmp_path) as buffer, logic(buffer.url, tmp_path, workers=1, **patience) as pod:
        eventually(lambda: ask("GET", f"{pod.url}/readyz").json["writes"])
        with hanging(buffer):

            def act(number):
                if number:
                    return ask("POST", f"{pod.url}/api/v1/payloads", b"%d" % number).status
                took = []
                for _ in range(10):
                    began = time.monotonic()
                    assert ask("GET", f"{pod.url}/livez").json == {"alive": True}
                    took.append(time.monotonic() - began)
                return max(took)

            slowest, *told = at_once(5, act)
        assert set(told) == {503}
        assert slowest < 2.5


def test_a_databuffer_that_hangs_does_not_take_every_thread(tmp_path):
    """However many wait for it, what the view answers is answered, and the pod is ready."""
    patience = {"THREADS": "4", "BUFFER_TIMEOUT": "6"}
    with databuffer(tmp_path) as buffer, logic(buffer.url, tmp_path, workers=1, **patience) as pod:
        eventually(lambda: ask("GET", f"{pod.url}/readyz").json["writes"])
        with hanging(buffer):

            def act(number):
                began = time.monotonic()
                if number:
                    status = ask("POST", f"{pod.url}/api/v1/payloads", b"%d" % number).status
                    return status, time.monotonic() - began
                eventually(lambda: in_threads(pod) >= 3)
                return [ask("GET", pod.url + path).status for path in ("/readyz", PATHS["logic"])]

            answered, *told = at_once(17, act)
        assert answered == [200, 200]
        assert {status for status, _ in told} == {503}
        assert sum(seconds > 5 for _, seconds in told) == 3


def in_threads(pod):
    """Return how many threads had a request when the main thread last looked."""
    told = ask("GET", f"{pod.url}/metrics").body.decode()
    return float(told.partition("\ncondstore_logic_threads_busy ")[2].partition("\n")[0])


def test_threads_that_get_nowhere_are_a_reason_to_start_again(tmp_path, buffer):
    """Every thread hangs for good: for ten times BUFFER_TIMEOUT it is alive, then it is not."""
    environ = {"THREADS": "2", "BUFFER_TIMEOUT": "0.15", "PYTHONPATH": str(ROOT / "tests")}
    with logic(buffer.url, tmp_path, workers=1, **environ) as pod:
        assert pod.stop() == 0
        pod.command[-1] = "stuck_app:create_app()"
        pod.restart()
        parts = urlsplit(pod.url)
        with contextlib.ExitStack() as stack:
            for _ in range(2):
                hanging = socket.create_connection((parts.hostname, parts.port))
                stack.enter_context(hanging).sendall(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
            assert ask("GET", f"{pod.url}/livez").status == 200
            eventually(lambda: ask("GET", f"{pod.url}/livez").status == 503)
            said = ask("GET", f"{pod.url}/livez")
            assert said.json["alive"] is False
            assert "none of the threads got anywhere" in said.json["detail"]
        pod.kill()


def test_a_tier_says_how_it_is_set_up(tmp_path, buffer):
    """Who may read, how many admins a freeze takes, TLS, and which version it is."""
    secret = {"ADMIN_TOKEN": "x" * 32, "READS": "authenticated", "FREEZE_APPROVALS": "2"}
    with logic(buffer.url, tmp_path, workers=1, **secret) as pod:
        told = ask("GET", f"{pod.url}/readyz").json
    assert told.items() >= {"reads": "authenticated", "freeze_approvals": 2, "tls": False}.items()
    below = ask("GET", f"{buffer.url}/readyz").json
    assert below["tls"] is False
    assert told["version"] == below["version"] != "unknown"
