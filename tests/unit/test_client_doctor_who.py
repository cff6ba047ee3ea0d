"""What the doctor says of who asks: everybody, nobody, a token and for how long."""

import contextlib
import http.server
import json
import threading

import pytest

from condstore.config import Settings, access_of
from condstore.doctor import examine, store, who
from condstore.doctor.asking import Reached
from condstore.doctor.servers import Replica

SECRET = "cst_0123abcd_nobody-may-read-this"  # noqa: S105 - it opens nothing
NOW = 1_795_000_000.0  # 2026-11-18T11:06:40Z
ALICE = {
    "subject": "alice", "authentication": "on", "kind": "token", "token": "0123abcd",
    "made_by": "admin", "expires": None, "grants": [{"role": "editor", "tags": "2026-.*"}],
}  # fmt: skip


@contextlib.contextmanager
def saying(status, told):
    """Run a server that answers so; give its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            """Answer."""
            content = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def known(**environ):
    """Return how one comes in."""
    return access_of(environ)


def replica(url="http://127.0.0.1:9", authentication="on"):
    """Return a replica of which this is known."""
    return Replica(url, (), "ledger", 7, authentication)


def found(replicas, access, now=NOW):
    """Return what is found, as (state, said, do)."""
    return [(one.state, one.said, one.do) for one in who.findings(tuple(replicas), access, now)]


def taken_for(status, told, environ=None):
    """Return the one finding about a token."""
    with saying(status, told) as url:
        access = known(**(environ or {"CONDSTORE_TOKEN": SECRET}))
        ((state, said, do),) = found([replica(url)], access)
    assert SECRET not in said + do
    return state, said.replace(url, "URL"), do


def test_who_one_is_taken_for():
    """Name, grants, no end."""
    assert taken_for(200, ALICE) == ("good", "alice, may editor:2026-.*, without an end", "")


@pytest.mark.parametrize(
    ("expires", "state"),
    [("2026-11-18T11:07:00Z", "warn"), ("2026-11-25T11:06:00Z", "warn"),
     ("2026-11-25T11:07:00Z", "good"), ("some day", "good")],
)  # fmt: skip
def test_a_token_that_ends_soon_is_warned_of_a_week_before(expires, state):
    """There is time to make another."""
    told = taken_for(200, {**ALICE, "expires": expires})
    assert told[:2] == (state, f"alice, may editor:2026-.*, until {expires}")
    assert ("condstore token create" in told[2]) == (state == "warn")


def test_a_token_that_is_not_taken_is_to_be_mended():
    """With the server's words, and what to do."""
    state, said, do = taken_for(401, {"detail": "This token has expired."})
    assert (state, said) == ("bad", "URL says of CONDSTORE_TOKEN: This token has expired.")
    assert "make a new one with `condstore token create" in do


def test_another_answer_is_looked_into():
    """A server that says something else, or nothing."""
    assert taken_for(200, {"x": 1})[0] == "warn"
    assert taken_for(500, [])[0] == "warn"
    ((state, said, _),) = found([replica()], known(CONDSTORE_TOKEN=SECRET))
    assert (state, "gives no answer" in said) == ("warn", True)


def test_without_a_token_one_is_nobody():
    """Which may be all that is wanted."""
    ((state, said, do),) = found([replica()], known())
    assert (state, said[:6]) == ("good", "nobody")
    assert "condstore token create" in do


@pytest.mark.parametrize("how", ["off", "loopback only"])
def test_servers_that_ask_nobody_are_pointed_out(how):
    """On another machine it has to be mended; on this one it is worth a look if it was said."""
    assert [one[0] for one in found([replica("http://b.example", how)], known())] == ["bad"]
    here = found([replica("http://localhost:5000", how)], known())
    assert [one[0] for one in here] == (["warn"] if how == "off" else [])
    assert not found([replica(authentication=None)], known())


def test_a_token_in_the_clear_or_open_on_the_disk_is_pointed_out(tmp_path):
    """With what to do."""
    file = tmp_path / "token"
    file.write_text(SECRET)
    file.chmod(0o644)
    far = replica("http://b.example", None)
    clear, opened = found([far], known(CONDSTORE_TOKEN_FILE=str(file)))
    assert clear == ("warn", "the token goes over plain http to http://b.example",
                     "give https:// URLs (CONDSTORE_CA for a CA of your own)")  # fmt: skip
    assert opened[::2] == ("warn", f"chmod 600 {file}")
    file.chmod(0o600)
    near = [replica("https://b.example", None), replica("http://localhost:5000", None)]
    assert not found(near, known(CONDSTORE_TOKEN_FILE=str(file)))


@pytest.mark.parametrize(
    ("variable", "what"),
    [("CONDSTORE_TOKEN_FILE", "token"), ("BUFFER_TOKEN_FILE", "tier secret"),
     ("CONDSTORE_CA", "certificates")],
)  # fmt: skip
def test_a_file_that_is_none_is_a_finding_and_not_the_end(variable, what, tmp_path):
    """The rest is examined all the same."""
    settings = Settings.from_environ(
        {variable: str(tmp_path / "missing"), "CONDSTORE_URL": "http://127.0.0.1:9",
         "DB_BURL": "http://127.0.0.1:9"}
    )  # fmt: skip
    told = {one.what: one for one in examine(settings, {})}
    assert told[what].state == "bad"
    assert variable in told[what].said
    assert {"logic tier", "disk", "python"} <= set(told)


def test_without_a_token_where_reads_want_one_nothing_works():
    """So it is not good."""
    state, said, do = taken_for(401, {}, {"CONDSTORE_TOKEN": ""})
    assert (state, said) == ("bad", "nobody: no token, and URL wants one for reads too")
    assert do.startswith("set CONDSTORE_TOKEN or CONDSTORE_TOKEN_FILE")


@pytest.mark.parametrize(
    ("expires", "state"), [("2026-11-18T11:11:00Z", "warn"), ("2026-11-18T11:12:00Z", "good")]
)
def test_a_web_token_is_short_and_warned_of_only_when_it_ends_at_once(expires, state):
    """Who issues it makes the next one, no condstore does."""
    told = taken_for(200, {**ALICE, "kind": "jwt", "expires": expires})
    assert told[0] == state
    assert "condstore token create" not in told[2]


def test_who_is_told_to_come_again_later_hears_when():
    """Not that the server's log is to be looked at."""
    state, said, do = taken_for(429, {"detail": "Too many requests; come again in 42 s."})
    assert (state, "42 s" in said, do[:4]) == ("warn", True, "wait")


@pytest.mark.parametrize("said", ["This token has expired.", "The token is of another issuer."])
def test_nobody_is_told_to_make_a_web_token_here(said):
    """It comes from somebody else."""
    do = taken_for(401, {"detail": said}, {"CONDSTORE_TOKEN": "eyJh.eyJz.c2ln"})[2]
    assert "condstore token create" not in do
    assert "came from" in do or "issues it" in do


def test_a_tier_secret_that_the_databuffer_does_not_take_is_bad():
    """Where none is told it is no matter: nobody but verify needs one."""
    body = {"ready": True, "ledger": {"id": "a", "lsn": 7}, "buffer": "OPERATIONAL",
            "volume": {"bytes_free": 1, "bytes_total": 2, "used": 0.5}, "checks": {}}  # fmt: skip
    answers = [Reached(200, body, "", 0.0, None), Reached(401, {}, "", 0.0, None)]
    told = {one.what: one for one in store.findings(store.Store("u", *answers, "BUFFER_TOKEN"), ())}
    assert told["tier secret"].state == "bad"
    assert "BUFFER_TOKEN" in told["tier secret"].said
    told = {one.what: one.state for one in store.findings(store.Store("u", *answers), ())}
    assert "tier secret" not in told
    assert told["buffer"] == "good"
