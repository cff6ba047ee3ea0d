"""The tiers' secret in a file: changed while everybody writes, and never for a worse one."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from urllib.parse import urlsplit

import pytest
from load import ask
from servers import bearer, databuffer, databuffer_at, eventually
from volume_oracle import VolumeOracle

OLD, NEW = "old-" * 8, "new-" * 8
ENTRY = json.dumps({"type": "t.x", "actor": "a", "data": {}, "keys": []}).encode()


@pytest.fixture
def file(tmp_path):
    """The file, with one secret in it."""
    path = tmp_path / "secret"
    path.write_text(f"{OLD}\n")
    return path


@pytest.fixture
def tier(tmp_path, file):
    """A databuffer that reads it."""
    with databuffer(tmp_path, BUFFER_TOKEN_FILE=str(file)) as running:
        yield running
        assert running.stop() == 0
        VolumeOracle(tmp_path / "volume").check()
        log = running.log.read_text()
        assert not [secret for secret in (OLD, NEW, "short") if secret in log]


def status(running, secret):
    """Ask with a secret."""
    return ask("GET", f"{running.url}/ledger/head", headers=bearer(secret)).status


class Writers:
    """Four clients that write all the time, with the secret they are given; each keeps count."""

    def __init__(self, url):
        self.secret = OLD
        self.statuses: list[int] = []
        self._going = threading.Event()
        self._going.set()
        self._threads = [threading.Thread(target=self._write, args=(url,)) for _ in range(4)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._going.clear()
        for thread in self._threads:
            thread.join(30)

    def more(self, count=50):
        """Wait until so many more requests are answered."""
        wanted = len(self.statuses) + count
        eventually(lambda: len(self.statuses) >= wanted)

    def _write(self, url):
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        with contextlib.closing(connection):
            while self._going.is_set():
                connection.request("POST", "/ledger", ENTRY, bearer(self.secret))
                answer = connection.getresponse()
                answer.read()
                self.statuses.append(answer.status)


def test_a_secret_is_changed_under_load_without_one_failed_request(tier, file):
    """Both hold while the clients change over; then the old one is good for nothing."""
    with Writers(tier.url) as writers:
        writers.more()
        assert status(tier, NEW) == 401
        file.write_text(f"{NEW}\n{OLD}\n")
        eventually(lambda: status(tier, NEW) == 200)
        writers.more()
        writers.secret = NEW
        writers.more()
        file.write_text(f"{NEW}\n")
        eventually(lambda: status(tier, OLD) == 401)
        writers.more()
    assert set(writers.statuses) == {201}
    head = ask("GET", f"{tier.url}/ledger/head", headers=bearer(NEW)).json
    assert head["lsn"] == len(writers.statuses)


@pytest.mark.parametrize(
    "content", ["", "short\n", f"{OLD}\n{NEW}\nthird-third-third-third-third-third-\n", "\xff" * 40]
)
def test_what_is_no_secret_does_not_take_its_place(tier, file, content):
    """The one from before goes on, and the log says why; a good one is taken after all."""
    file.write_text(content)
    eventually(lambda: "BUFFER_TOKEN_FILE held before goes on" in tier.log.read_text())
    assert status(tier, OLD) == 200
    assert status(tier, content[-37:].strip()) == 401
    file.write_text(NEW)
    eventually(lambda: status(tier, NEW) == 200)
    assert status(tier, OLD) == 401


def test_a_file_that_is_gone_changes_nothing_until_it_is_back(tier, file):
    """As while somebody replaces it clumsily."""
    file.unlink()
    eventually(lambda: "cannot be read" in tier.log.read_text())
    assert status(tier, OLD) == 200
    file.write_text(NEW)
    eventually(lambda: status(tier, NEW) == 200)


def test_a_secret_that_is_mounted_is_heeded_when_its_folder_is_swapped(tmp_path):
    """Kubernetes replaces the link to the folder that the file is in."""
    for name, secret in (("one", OLD), ("two", NEW)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(secret)
    data = tmp_path / "data"
    data.symlink_to("one")
    with databuffer(tmp_path, BUFFER_TOKEN_FILE=str(data / "token")) as running:
        assert status(running, OLD) == 200
        (tmp_path / "next").symlink_to("two")
        (tmp_path / "next").rename(data)
        eventually(lambda: status(running, NEW) == 200)
        assert status(running, OLD) == 401


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"BUFFER_TOKEN": "short"}, "32 characters"),
        ({"BUFFER_TOKEN_FILE": "/nowhere/secret"}, "cannot be read"),
        ({"BUFFER_TOKEN_FILE": "/dev/null"}, "is not a file"),
        ({"AUTH": "on"}, "AUTH=on"),
        ({"SERVURL": "0.0.0.0:18080"}, "AUTH=off"),
    ],
    ids=str,
)
def test_a_start_that_would_not_be_safe_is_refused_in_one_line(tmp_path, setting, words):
    """Exit 1, before the volume is touched."""
    code, printed = databuffer_at(tmp_path, **setting).refusal()
    assert (code, len(printed)) == (1, 1), printed
    assert printed[0].startswith("databuffer: cannot start: ")
    assert words in printed[0]
    assert next(iter(setting)) in printed[0]
    assert not (tmp_path / "volume").exists()


def test_auth_off_is_warned_of_at_every_start(tmp_path):
    """Whoever reads the log knows; /readyz says it too."""
    running = databuffer_at(tmp_path, AUTH="off")
    running.environ["SERVURL"] = running.environ["SERVURL"].replace("127.0.0.1", "0.0.0.0")  # noqa: S104
    for starts in (1, 2):
        running.start()
        assert ask("GET", f"{running.url}/readyz").json["authentication"] == "off"
        assert ask("POST", f"{running.url}/ledger", ENTRY).status == 201
        assert running.stop() == 0
        assert running.log.read_text().count("WARNING databuffer: AUTH=off") == starts
