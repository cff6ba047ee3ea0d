"""API tokens on two replicas of two workers each: revoked everywhere at once, through any fault."""

from __future__ import annotations

import itertools
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from load import AWAY, ask
from servers import Running, databuffer, eventually, logic

if TYPE_CHECKING:
    from pathlib import Path

ADMIN = {"Authorization": "Bearer an-admin-secret-of-many-characters"}
SETTINGS = {"ADMIN_TOKEN": ADMIN["Authorization"].split()[1], "RATE_FAILURES": "none"}
SERIAL = itertools.count(1)
WITHIN = 1.0
"""Seconds in which every replica must have heard of a revocation."""


@dataclass
class Pods:
    """A databuffer and two replicas on it."""

    folder: Path
    buffer: Running
    one: Running
    two: Running


@pytest.fixture(scope="module")
def pods(tmp_path_factory):
    """A databuffer and two replicas with two workers each; each test leaves them running."""
    folder = tmp_path_factory.mktemp("pods")
    with (
        databuffer(folder) as buffer,
        logic(buffer.url, folder, name="one", **SETTINGS) as one,
        logic(buffer.url, folder, name="two", **SETTINGS) as two,
    ):
        for pod in (one, two):
            settled(pod)
        yield Pods(folder, buffer, one, two)
        for log in folder.glob("*.log"):
            assert "Traceback" not in log.read_text(), log


def settled(pod):
    """Wait until a replica follows the databuffer."""
    eventually(lambda: ask("GET", f"{pod.url}/readyz").json.get("writes"))


def make(pod, role="producer", tags=".*"):
    """Return a token's id and the header that shows it."""
    body = {"name": f"t{next(SERIAL)}", "grants": [{"role": role, "tags": tags}]}
    answer = ask("POST", f"{pod.url}/api/v1/tokens", body, ADMIN)
    assert answer.status == 201, answer
    return answer.json["id"], {"Authorization": f"Bearer {answer.json['token']}"}


def whoami(pod, header):
    """Return the status with which a replica answers who shows a token."""
    return ask("GET", f"{pod.url}/api/v1/whoami", None, header).status


def revoke(pod, token_id):
    """Revoke a token, and return the time at which that was answered."""
    answer = ask("DELETE", f"{pod.url}/api/v1/tokens/{token_id}", None, ADMIN)
    assert answer.status == 200, answer
    return time.monotonic()


def last_used(pod, token_id):
    """Return when a token was used last, as a replica tells it."""
    told = ask("GET", f"{pod.url}/api/v1/tokens", None, ADMIN).json["tokens"]
    return next(each["last_used"] for each in told if each["id"] == token_id)


def known_everywhere(pods, header):
    """Wait until both replicas take a token for good."""
    for pod in (pods.one, pods.two):
        eventually(lambda pod=pod: whoami(pod, header) == 200)


@dataclass
class Crowd:
    """Clients that use a token without a pause: streaming at a replica, and asking who they are."""

    header: dict[str, str]
    urls: list[str]
    answers: list[tuple[str, float, int]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self):
        """Let eight clients begin."""
        self.threads = [
            threading.Thread(target=self.run, args=(url, streams))
            for url in self.urls
            for streams in (True, True, False, False)
        ]
        for thread in self.threads:
            thread.start()
        eventually(lambda: all(self.good(url) >= 20 for url in self.urls), within=30)
        return self

    def __exit__(self, *_):
        """Let them end."""
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def run(self, url, streams):
        """Note when each request began, and how it was answered."""
        while not self.stop.is_set():
            began = time.monotonic()
            answer = (
                self.streamed(url)
                if streams
                else whoami(Running("", [], {}, url, None), self.header)
            )
            self.answers.append((url, began, answer))

    def streamed(self, url):
        """Stream a segment, and return the status."""
        body = {"h": [1.0, 2.0], "t": [next(SERIAL), 0.001]}
        return ask("POST", f"{url}/stream", body, self.header).status

    def began_after(self, moment):
        """Return how many requests began after a moment."""
        return sum(began > moment for _, began, _ in self.answers)

    def good(self, url):
        """Return how many requests a replica has answered well."""
        return sum(status in {200, 201} for at, _, status in self.answers if at == url)


def test_a_revoked_token_stops_working_on_every_replica_within_a_second(pods):
    """Under load; and on the pod that revoked it, on all its workers, before it has answered."""
    token_id, header = make(pods.one)
    known_everywhere(pods, header)
    with Crowd(header, [pods.one.url, pods.two.url]) as crowd:
        revoked = revoke(pods.one, token_id)
        eventually(lambda: crowd.began_after(revoked + WITHIN) > 100, within=60)
    late = {
        url: max(
            (began - revoked for at, began, status in crowd.answers if at == url and status < 300),
            default=0.0,
        )
        for url in crowd.urls
    }
    assert {status for _, began, status in crowd.answers if began > revoked + WITHIN} == {401}
    assert late[pods.one.url] <= 0
    assert late[pods.two.url] <= WITHIN
    assert {status for _, _, status in crowd.answers} == {200, 201, 401}


def test_a_token_that_is_made_is_good_everywhere_within_a_second(pods):
    """Nobody who was just given one is sent away for long."""
    _, header = make(pods.one)
    assert whoami(pods.one, header) == 200
    eventually(lambda: whoami(pods.two, header) == 200, within=WITHIN)


def test_a_replica_that_was_killed_comes_back_knowing_what_was_revoked(pods):
    """Its view was at an entry before; it is asked only after it has caught up."""
    token_id, header = make(pods.one)
    known_everywhere(pods, header)
    pods.two.kill()
    revoke(pods.one, token_id)
    pods.two.restart()
    settled(pods.two)
    assert [whoami(pods.two, header) for _ in range(10)] == [401] * 10


def test_while_a_view_is_rebuilt_nobody_is_called_unknown(pods):
    """503, come again; never 401; and then the token is as good as before."""
    _, header = make(pods.one)
    known_everywhere(pods, header)
    for path in pods.folder.glob("two.sqlite*"):
        if path.suffix not in {".follower", ".lock", ".metrics"} and path.is_file():
            path.unlink()
    seen = set()

    def good_again():
        status = whoami(pods.two, header)
        seen.add(status)
        return status == 200 and ask("GET", f"{pods.two.url}/readyz").status == 200

    eventually(good_again)
    assert {whoami(pods.two, header) for _ in range(20)} == {200}
    assert seen <= {200, 503}


def test_while_the_databuffer_is_away_what_was_known_goes_on(pods):
    """Good tokens are good and revoked ones are not; none is made and none is revoked."""
    token_id, header = make(pods.one)
    gone_id, gone = make(pods.one)
    known_everywhere(pods, header)
    known_everywhere(pods, gone)
    revoke(pods.one, gone_id)
    eventually(lambda: whoami(pods.two, gone) == 401)
    pods.buffer.kill()
    for pod in (pods.one, pods.two):
        assert {whoami(pod, header) for _ in range(10)} == {200}
        assert {whoami(pod, gone) for _ in range(10)} == {401}
    listed = ask("GET", f"{pods.one.url}/api/v1/tokens", None, ADMIN)
    assert listed.status == 200
    assert last_used(pods.one, token_id) is not None
    refused = ask("DELETE", f"{pods.one.url}/api/v1/tokens/{token_id}", None, ADMIN)
    assert (refused.status, refused.json["code"]) == (503, "databuffer_away")
    pods.buffer.restart()
    settled(pods.one)
    revoke(pods.one, token_id)
    eventually(lambda: whoami(pods.two, header) == 401)


def begun_anew(pod):
    """Restart a replica, so that it has not written when tokens were used in this half minute."""
    assert pod.stop() == 0
    pod.restart()
    settled(pod)


def document(buffer):
    """Return what the databuffer has of tokens' last uses."""
    answer = ask("GET", f"{buffer.url}/state/token-use")
    return answer.json["used"] if answer.status == 200 else {}


def test_last_use_survives_the_restart_of_a_pod(pods):
    """What came in the last half minute is written when its workers end."""
    begun_anew(pods.one)
    (first, one), (second, two) = make(pods.one, "reader"), make(pods.one, "reader")
    assert whoami(pods.one, one) == 200
    eventually(lambda: first in document(pods.buffer))
    for _ in range(10):
        assert whoami(pods.one, two) == 200
    begun_anew(pods.one)
    assert second in document(pods.buffer)
    for pod in (pods.one, pods.two):
        assert last_used(pod, first)
        assert last_used(pod, second)


def test_last_use_that_was_written_survives_a_kill(pods):
    """What was not is at most half a minute's, and is no error."""
    begun_anew(pods.one)
    token_id, header = make(pods.one, "reader")
    assert whoami(pods.one, header) == 200
    eventually(lambda: token_id in document(pods.buffer))
    pods.one.kill()
    pods.one.restart()
    settled(pods.one)
    assert last_used(pods.one, token_id)
    assert whoami(pods.one, header) == 200


def test_a_kill_amid_making_and_revoking_leaves_tokens_as_the_ledger_says(pods):
    """Whoever was told of a secret has a good token; whoever was told of a revocation, none."""
    good, revoked, killed = [], [], threading.Event()

    def give_and_take():
        while not killed.is_set():
            try:
                token_id, header = make(pods.one, "reader")
                good.append(header)
                revoke(pods.one, token_id)
                good.remove(header)
                revoked.append(header)
            except (*AWAY, AssertionError, json.JSONDecodeError):
                return

    threads = [threading.Thread(target=give_and_take) for _ in range(4)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(revoked) > 20, within=60)
    pods.one.kill()
    killed.set()
    for thread in threads:
        thread.join()
    pods.one.restart()
    settled(pods.one)
    for pod in (pods.one, pods.two):
        assert {whoami(pod, header) for header in revoked} == {401}
    # Of those left one each may have been revoked by a request that was never answered.
    assert all(whoami(pods.one, header) == whoami(pods.two, header) for header in good)
