"""`resolve --watch`: an answer is said again when it changes, and only then."""

import contextlib
import json
import os
import signal
import subprocess

import command
import pytest
import servers


@pytest.fixture(scope="module")
def tier(tmp_path_factory):
    """Run both servers for this module."""
    folder = tmp_path_factory.mktemp("watching")
    with (
        servers.databuffer(folder) as buffer,
        servers.logic(buffer.url, folder, workers=1) as logic,
    ):
        yield logic


@pytest.fixture
def condstore(tier, tmp_path):
    """Return the command, in a folder of its own."""
    return command.Command(tier.url, tier.environ["DB_BURL"], tmp_path)


class Watch:
    """A `resolve --watch` that runs."""

    def __init__(self, condstore, *words):
        self.log, self.errors = condstore.folder / "watch.log", condstore.folder / "watch.err"
        with self.log.open("w") as out, self.errors.open("w") as err:
            self.process = subprocess.Popen(
                [servers.BIN / "condstore", "resolve", *words, "--watch", "--interval", "0.1"],
                env=condstore.environ, cwd=condstore.folder, stdout=out, stderr=err,
            )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def says(self, words, path=None):
        """Wait until it has printed these words."""
        path = path or self.log
        servers.eventually(lambda: words in path.read_text(), within=30)

    def end(self):
        """Press Ctrl-C and return the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


def test_an_answer_is_said_again_when_it_changes_and_only_then(condstore):
    """A block a change; other acts on the tag are no news. Ctrl-C ends it with 0."""
    condstore("tag", "create", "w")
    condstore("iov", "insert", "w", "Beam", "100", "--name", "first")
    with Watch(condstore, "w", "150") as watch:
        watch.says("first")
        condstore("iov", "insert", "w", "Beam", "500", "--name", "later")
        watch.says("until 500")
        condstore("iov", "insert", "w", "Beam", "900", "--name", "no-news")
        condstore("iov", "insert", "w", "Beam", "150", "--end", "160", "--name", "second")
        watch.says("until 160")
        assert watch.end() == 0
    said = watch.log.read_text()
    assert said.count("w at 150") == 3
    assert watch.errors.read_text() == ""


def test_each_line_of_json_is_a_document(condstore):
    """A script reads them line by line."""
    condstore("tag", "create", "j")
    condstore("iov", "insert", "j", "Beam", "100", "--name", "first")
    with Watch(condstore, "j", "150", "--json") as watch:
        watch.says("first")
        condstore("iov", "insert", "j", "Beam", "100", "--name", "second")
        watch.says("second")
        assert watch.end() == 0
    found = [json.loads(line) for line in watch.log.read_text().splitlines()]
    assert [one["payloads"][0]["name"] for one in found] == ["first", "second"]


def test_what_never_changes_is_said_once(condstore):
    """TAG@<LSN> and TAG@<fingerprint> name one state for ever."""
    condstore("tag", "create", "fixed")
    made = condstore.json("iov", "insert", "fixed", "Beam", "100", "--name", "first")
    status, said = condstore.shell(f"condstore resolve fixed@{made['lsn']} 150 --watch")
    assert status == 0
    assert "never changes, nothing to watch" in said


def test_a_server_that_goes_away_is_said_once_and_waited_for(tmp_path):
    """What came meanwhile is said when it is back."""
    with (
        servers.databuffer(tmp_path) as buffer,
        servers.logic(buffer.url, tmp_path, workers=1) as logic,
    ):
        condstore = command.Command(logic.url, f"{buffer.url}/", tmp_path)
        condstore("tag", "create", "away")
        condstore("iov", "insert", "away", "Beam", "100", "--name", "first")
        with Watch(condstore, "away", "150") as watch:
            watch.says("first")
            logic.stop()
            watch.says("still asking", watch.errors)
            logic.restart()
            watch.says("it answers again", watch.errors)
            condstore("iov", "insert", "away", "Beam", "100", "--name", "second")
            watch.says("second")
            assert watch.end() == 0
        assert watch.errors.read_text().count("still asking") == 1
