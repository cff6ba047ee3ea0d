"""`condstore up` and `condstore demo` as processes: start, stop, busy ports, a second run."""

import json
import os
import signal
import subprocess
import time

import certificates
import pytest
import servers

from condstore.client import Client
from condstore.errors import ServerAway
from condstore.retry import Policy

WITHIN = 60
ONCE = Policy(attempts=1, first=0.1, cap=0.1, patience=0.1)


class Run:
    """A `condstore` process in a session of its own, its output in a file."""

    def __init__(self, folder, *words, **environ):
        self.buffer_port, self.logic_port = servers.free_port(), servers.free_port()
        self.environ = {
            "SERVURL": f"127.0.0.1:{self.buffer_port}",
            "PORT": str(self.logic_port),
            "VOLUME_ROOT": str(folder / "var/volume"),
            "VIEW_PATH": str(folder / "var/view.sqlite"),
            "NO_COLOR": "1",
            **environ,
        }
        self.url = f"http://127.0.0.1:{self.logic_port}"
        self.log = folder / f"{words[0]}-{self.logic_port}.log"
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [servers.BIN / "condstore", *words],
                env={**os.environ, **self.environ},
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(WITHIN)

    @property
    def said(self):
        """Everything printed until now."""
        return self.log.read_text()

    def wait_for(self, words):
        """Wait until it has printed these words."""
        servers.eventually(lambda: words in self.said or self._ended_early(words), within=WITHIN)

    def _ended_early(self, words):
        assert self.process.poll() is None or words in self.said, self.said

    def end(self, number=None):
        """Send a signal, if any, and return the exit status."""
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(WITHIN)

    def serves(self):
        """Say whether the logic tier answers."""
        try:
            return Client((self.url,), policy=ONCE).readiness().ready
        except ServerAway:
            return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_up_serves_until_it_is_asked_to_stop(tmp_path, number):
    """Both ready lines, prefixed; Ctrl-C, SIGTERM or a closed terminal ends both, exit status 0."""
    with Run(tmp_path, "up") as up:
        up.wait_for("both tiers serve")
        assert "databuffer | databuffer ready on http" in up.said
        assert "logic      | datastore_logic ready on http" in up.said
        assert up.serves()
        begun = time.monotonic()
        assert up.end(number) == 0, up.said
        assert time.monotonic() - begun < 15
        assert "both tiers are stopped" in up.said
        assert "Traceback" not in up.said
        assert not up.serves()


def test_lines_that_are_json_stay_json(tmp_path):
    """Each says in itself which tier it is of; others have that before them."""
    with Run(tmp_path, "up", LOG_FORMAT="json") as up:
        up.wait_for("both tiers serve")
        assert up.end(signal.SIGTERM) == 0, up.said
    lines = [line for line in up.said.splitlines() if "{" in line]
    assert {json.loads(line)["tier"] for line in lines} == {"databuffer", "logic"}
    assert "databuffer | databuffer ready on http" in up.said


def test_what_a_script_put_into_the_background_ends_on_sigint_too(tmp_path):
    """A shell starts such a process with SIGINT ignored; sent all the same, it ends both tiers."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run = Run(tmp_path, "up")
    finally:
        signal.signal(signal.SIGINT, before)
    with run as up:
        up.wait_for("both tiers serve")
        assert up.end(signal.SIGINT) == 0, up.said
        assert not up.serves()


@pytest.mark.parametrize("variable", ["SERVURL", "PORT"])
def test_a_busy_port_is_one_line(tmp_path, variable):
    """Which port, which variable; nothing is started, nothing is made."""
    with Run(tmp_path, "up") as first:
        first.wait_for("both tiers serve")
        other = tmp_path / "other"
        other.mkdir()
        with Run(other, "up", **{variable: first.environ[variable]}) as second:
            assert second.end() == 1
            assert second.said.count("\n") == 1
            port = first.buffer_port if variable == "SERVURL" else first.logic_port
            assert f"port {port} is busy" in second.said
            assert f"{variable}=" in second.said
        assert not (other / "var").exists()
        assert first.end(signal.SIGTERM) == 0


def test_a_server_that_dies_ends_the_other(tmp_path):
    """One clear line, exit status 1, no process left behind."""
    with Run(tmp_path, "up") as up:
        up.wait_for("both tiers serve")
        children = subprocess.run(
            ["pgrep", "-P", str(up.process.pid), "-f", "databuffer"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        os.kill(int(children.stdout.split()[0]), signal.SIGKILL)
        assert up.end() == 1
        assert "condstore: databuffer ended by itself (killed by SIGKILL)" in up.said
        assert "Traceback" not in up.said
        servers.eventually(lambda: not up.serves())


def test_a_server_that_cannot_start_is_named(tmp_path):
    """Its own last words, exit status 1."""
    (tmp_path / "var").mkdir()
    (tmp_path / "var/volume").write_text("a file where a directory must be")
    with Run(tmp_path, "up") as up:
        assert up.end() == 1
        assert "condstore: databuffer ended by itself" in up.said
        assert "Traceback" not in up.said


def test_the_demo_holds_and_a_second_one_keeps_everything(tmp_path):
    """Exit status 0 twice on the same var/; the first run's data are a frozen tag of the second."""
    for number in (1, 2):
        with Run(tmp_path, "demo") as demo:
            assert demo.end() == 0, demo.said
            said = demo.said
        assert "Traceback" not in said
        for step in (
            "stream   H1:LDAS-STRAIN: 55 segments",
            "Waiting for more incoming data.",
            "freeze   FROZEN: 165 segments",
            "its 300 samples are the file's",
            "nothing wrong",
            "done     every step held",
        ):
            assert step in said, (number, said)
        assert not [line for line in said.splitlines() if len(line) > 80 and "/var/" not in line]
    assert "flush    165 segments" in said
    assert "they stay resolvable as global tag stream-2" in said
    assert "1 frozen tag of earlier runs: still resolved" in said


def test_the_demo_holds_where_both_tiers_ask_who_one_is_and_speak_https(tmp_path):
    """With the secrets that the servers are given, and a certificate of a CA of one's own."""
    issued = certificates.issue(tmp_path / "tls")
    secrets = {"ADMIN_TOKEN": "admin-" + "a" * 40, "BUFFER_TOKEN": "tiers-" + "b" * 40}
    trust = {"BUFFER_CA": str(issued.ca), "CONDSTORE_CA": str(issued.ca)}
    files = {"TLS_CERT": str(issued.certificate), "TLS_KEY": str(issued.key)}
    with Run(tmp_path, "demo", **secrets, **trust, **files) as demo:
        assert demo.end() == 0, demo.said
        assert f"databuffer on https://127.0.0.1:{demo.buffer_port}" in demo.said
        assert "nothing wrong" in demo.said
        assert not [secret for secret in secrets.values() if secret in demo.said]


def test_a_tier_that_refuses_to_be_reached_by_all_is_named(tmp_path):
    """Asked to listen beyond this machine without authentication, `up` ends with its one line."""
    with Run(tmp_path, "up", HOST="0.0.0.0", AUTH="") as up:  # noqa: S104 - it is refused
        assert up.end() == 1
        assert "condstore: logic ended by itself (exit status 1); its last line: " in up.said
        assert "Traceback" not in up.said


def test_the_demo_serves_until_ctrl_c(tmp_path):
    """With --serve it says where the status page is, and Ctrl-C is exit status 0."""
    with Run(tmp_path, "demo", "--serve") as demo:
        demo.wait_for("status page")
        assert f"{demo.url}/" in demo.said
        assert demo.serves()
        assert demo.end(signal.SIGINT) == 0
        assert not demo.serves()
        assert "Traceback" not in demo.said


def test_a_demo_interrupted_goes_on_the_next_time(tmp_path):
    """Stopped in the middle it is no success; the next one streams the rest and holds."""
    with Run(tmp_path, "demo") as demo:
        demo.wait_for("stream   H1:LDAS-STRAIN")
        assert demo.end(signal.SIGTERM) == 130
        assert "interrupted before the end" in demo.said
        assert "Traceback" not in demo.said
    with Run(tmp_path, "demo") as demo:
        assert demo.end() == 0, demo.said
        assert "FROZEN: 165 segments" in demo.said
