"""The twin's shell scripts against both tiers: what they print, and what their status says."""

import contextlib
import json
import os
import shutil
import ssl
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import certificates
import pytest
from logic_pair import pair
from servers import ROOT, free_port

SHELL = ROOT / "client" / "shell"
SCRIPTS = ["streamdata.sh", "train.sh", "stats.sh", "clean.sh"]
UNSET = (
    *("SRV", "DS_BURL", "CONDSTORE_URL", "TOKEN"),
    *("CONDSTORE_TOKEN", "CONDSTORE_TOKEN_FILE", "CONDSTORE_CA"),
)
SECRET = "cst_0123abcd_nobody-may-read-this"  # noqa: S105 - it opens nothing

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="the scripts need curl")


def run(script, *words, expect=0, cwd=None, **told):
    """Run a script, check its status; return what it printed, on standard error if it failed."""
    clean = {name: value for name, value in os.environ.items() if name not in UNSET}
    done = subprocess.run(
        [SHELL / script, *words], env=clean | {"USER": "alice"} | told, cwd=cwd,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == expect, (done.returncode, done.stdout, done.stderr)
    return done.stdout if expect == 0 else done.stdout + done.stderr


@pytest.fixture
def both(tmp_path):
    """Run both tiers; a freeze wants a thousand bytes."""
    with pair(tmp_path, MAX_SIZE="1000") as running:
        yield running


@pytest.fixture
def segments(tmp_path):
    """Return 25 segment files, one with a name that shells stumble over."""
    paths = []
    for number in range(25):
        path = tmp_path / (f"segment {number}.json" if number else 'it\'s "0".json')
        path.write_text(json.dumps({"h": [1.5] * (10 + number), "t": [1000 + 100 * number, 0.5]}))
        paths.append(str(path))
    return paths


def test_a_campaign_from_the_shell(both, segments):
    """Stream, wait, stream, train twice, refuse, clean: contract C's words, and the statuses."""
    here = {"DS_BURL": f"{both.logic.url}/"}
    assert run("stats.sh", **here) == '{"n_itm":0,"buff_size":0}\n'
    assert run("stats.sh", "-f", **here) == '{"nmlist":[]}\n'
    said = run("streamdata.sh", "-c", "L1:ST+RAIN", segments[0], **here)
    assert said.startswith(f'{segments[0]}: {{"resp":"CREATED","body":"Written gwb')
    assert run("train.sh", expect=1, **here) == '{"resp":"WAITING"}\n'

    run("streamdata.sh", "-j", "4", *segments[1:], **here)
    assert both.get("/stats")["n_itm"] == 25
    kinds = both.get("/api/v1/global-tags/stream")["payload_lists"]
    assert [(kind["payload_type"], kind["payload_iovs"]) for kind in kinds] == [
        ("L1:ST+RAIN", 1), ("strain", 24),
    ]  # fmt: skip
    frozen = run("train.sh", "-u", 'a "b" \\c', **{"TOKEN": "s3cret"} | here)
    assert json.loads(frozen) == {
        "resp": "FROZEN", "n_f": 25, "bt_wrt": both.get("/stats")["buff_size"],
    }  # fmt: skip
    assert run("train.sh", **here) == frozen
    assert both.get("/dsdesc")["user"] == 'a "b" \\c'
    assert run("stats.sh", "-d", **here) == '{"resp":"FROZEN"}\n'

    refused = run("streamdata.sh", *segments[:3], expect=1, **here)
    assert refused.count('{"resp":"FROZEN","body":"Datastore frozen."}') == 3
    assert "3 of 3 files are not stored" in refused
    cleaned = run("clean.sh", "the next set", **here)
    assert cleaned == '{"resp":"CLEANED","body":"Buffer cleaned"}\n'
    run("streamdata.sh", *segments[:3], **here)
    assert both.get("/stats")["n_itm"] == 3, "another call stores the same files again"


def test_more_files_than_a_command_line_of_curl(both, tmp_path):
    """Several hundred are sent in turns, each once."""
    for number in range(450):
        (tmp_path / f"s{number}.json").write_text(f'{{"h":[1,2],"t":[{number},0.5]}}')
    names = [f"s{number}.json" for number in range(450)]
    srv = f"{both.logic.url}/streamdata"
    said = run("streamdata.sh", "-j", "8", *names, cwd=tmp_path, SRV=srv)
    assert [line.partition(":")[0] for line in said.splitlines()] == names
    assert both.get("/stats")["n_itm"] == 450


def test_what_is_refused_is_shown_and_is_no_success(both, segments, tmp_path):
    """One malformed file among sound ones: they are stored, it is named, the status is 1."""
    bad = tmp_path / "bad.json"
    bad.write_text('{"h":[],"t":[0,1]}')
    said = run("streamdata.sh", segments[0], str(bad), segments[1], expect=1,
               DS_BURL=both.logic.url)  # fmt: skip
    assert f'{bad}: {{"detail":"h is empty","code":"MALFORMED",' in said
    assert "1 of 3 files are not stored" in said
    assert both.get("/stats")["n_itm"] == 2
    refused = run("train.sh", "-u", "u" * 201, expect=22, DS_BURL=both.logic.url)
    assert '"field":"user"' in refused


class Flaky(BaseHTTPRequestHandler):
    """Says 503 twice, then yes; remembers the keys."""

    keys: list[str]

    def do_POST(self):
        """Answer."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.keys.append(self.headers["Idempotency-Key"])
        body, status = b'{"resp":"CLEANED","body":"at last"}', 200
        if len(self.keys) < 3:
            body, status = b'{"resp":"ERROR","body":"busy"}', 503
        self.send_response(status)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


def test_not_now_is_tried_again_under_one_key():
    """So that a clean whose answer was lost is not two; and only the last answer is shown."""
    keys = []
    with ThreadingHTTPServer(("127.0.0.1", 0), type("F", (Flaky,), {"keys": keys})) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            said = run("clean.sh", DS_BURL=f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()
    assert said == '{"resp":"CLEANED","body":"at last"}\n'
    assert len(keys) == 3
    assert len(set(keys)) == 1


class Guarded(BaseHTTPRequestHandler):
    """Notes what it is shown, and the command line of every process meanwhile."""

    shown: list[str]
    lines: list[str]

    def handle_any(self):
        """Answer."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.shown.append(self.headers.get("Authorization"))
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                self.lines.append(path.read_text(errors="replace"))
        body = b'{"resp":"CREATED","n_itm":0}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = handle_any  # noqa: N815

    def log_message(self, *_):
        """Say nothing."""


@contextlib.contextmanager
def guarded(context=None):
    """Run a service that notes what it is shown, over TLS with a context."""
    kind = type("G", (Guarded,), {"shown": [], "lines": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            scheme = "http" if context is None else "https"
            yield kind, f"{scheme}://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_the_token_is_shown_to_the_service_and_on_no_command_line(segments, tmp_path):
    """From the environment or from a file, by each transfer of each script."""
    file = tmp_path / "token"
    file.write_text(f"{SECRET}\r\n")
    with guarded() as (seen, url):
        for told in ({"CONDSTORE_TOKEN": SECRET}, {"CONDSTORE_TOKEN_FILE": str(file)}):
            run("stats.sh", DS_BURL=url, **told)
            run("clean.sh", expect=1, DS_BURL=url, **told)
            run("train.sh", expect=1, **{"DS_BURL": url, "TOKEN": "the twin's own"} | told)
            said = run("streamdata.sh", *segments[:4], DS_BURL=url, **told)
            assert SECRET not in said
    assert seen.shown == [f"Bearer {SECRET}"] * 14
    assert any("curl" in line for line in seen.lines)
    assert not [line for line in seen.lines if SECRET in line]


def test_a_ca_of_ones_own_is_heeded(segments, tmp_path):
    """The certificate is checked; without its CA nobody is shown the token."""
    issued = certificates.issue(tmp_path / "tls")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(issued.certificate, issued.key)
    with guarded(context) as (seen, url):
        told = {"DS_BURL": url, "CONDSTORE_TOKEN": SECRET}
        run("stats.sh", expect=60, **told)
        assert not seen.shown
        run("stats.sh", CONDSTORE_CA=str(issued.ca), **told)
        run("streamdata.sh", segments[0], CONDSTORE_CA=str(issued.ca), **told)
    assert seen.shown == [f"Bearer {SECRET}"] * 2


@pytest.mark.parametrize(
    "told",
    [
        {"CONDSTORE_TOKEN": 'a"b'},
        {"CONDSTORE_TOKEN": "a\nurl = x"},
        {"CONDSTORE_TOKEN_FILE": "/no"},
    ],
)
def test_what_is_no_token_is_status_2_and_sends_nothing(told):
    """It could say something else to curl."""
    assert "DS_BURL" not in run("stats.sh", expect=2, DS_BURL="http://127.0.0.1:9", **told)


@pytest.fixture
def hurried(tmp_path, monkeypatch):
    """Let curl try again for a second, not for seven."""
    (tmp_path / ".curlrc").write_text("retry-max-time = 1")
    monkeypatch.setenv("CURL_HOME", str(tmp_path))


@pytest.mark.usefixtures("hurried")
def test_a_token_in_the_clear_is_warned_of():
    """To another machine over plain http."""
    said = run("stats.sh", expect=6, DS_BURL="http://conditions.invalid", CONDSTORE_TOKEN=SECRET)
    assert "the token goes over plain http to http://conditions.invalid: give an https" in said
    assert SECRET not in said


@pytest.mark.usefixtures("hurried")
def test_nobody_there_is_curls_own_status(segments):
    """7 from those that ask one thing, 1 from the one that sends many; curl says why."""
    nobody = f"http://127.0.0.1:{free_port()}"
    assert "Failed to connect" in run("stats.sh", expect=7, DS_BURL=nobody)
    assert "no answer" in run("streamdata.sh", segments[0], expect=1, CONDSTORE_URL=f"{nobody},x")


@pytest.mark.parametrize("script", SCRIPTS)
def test_h_prints_usage_with_an_example_and_the_statuses(script):
    """On standard output, exit 0."""
    said = run(script, "-h")
    assert said.startswith(f"usage: {script}")
    assert f"./{script}" in said
    assert "Exit status: 0" in said


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("stats.sh", ["-x"]), ("stats.sh", ["more"]), ("train.sh", ["more"]), ("train.sh", ["-u"]),
        ("train.sh", ["-u", "a\nb"]), ("clean.sh", ["a", "b"]), ("streamdata.sh", []),
        ("streamdata.sh", ["/nowhere.json"]), ("streamdata.sh", ["-j", "0", "/etc/passwd"]),
        ("streamdata.sh", ["-j", "x", "/etc/passwd"]),
        ("streamdata.sh", ["-c", "a/b", "/etc/passwd"]),
    ],
)  # fmt: skip
def test_wrong_use_is_status_2_before_anything_is_sent(script, words):
    """With the usage."""
    said = run(script, *words, expect=2, DS_BURL="http://127.0.0.1:9")
    assert f"usage: {script}" in said or "control characters" in said


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_has_nothing_to_say():
    """All of them, and what they share."""
    subprocess.run(["shellcheck", "-x", *sorted(SHELL.glob("*.sh"))], cwd=ROOT, check=True)
