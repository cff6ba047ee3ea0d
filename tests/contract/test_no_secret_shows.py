"""What must stay secret shows nowhere: logs, answers, ledger, metrics, pages, process lists."""

import hashlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import urllib3
from issuer import token
from servers import databuffer, eventually, logic

JWT, ROOT, TIER = "jwt-secret-" + "j" * 40, "root-token-" + "r" * 40, "tier-secret-" + "t" * 40
FREEZE = "freeze-token-of-a-caller-0123456789"
STRANGE = "Strange-credential-that-nobody-knows"


@dataclass
class Seen:
    """All that was said to anybody, and what must not be in it."""

    http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False))
    secrets: list[str] = field(default_factory=lambda: [JWT, ROOT, TIER, FREEZE, STRANGE])
    answers: list[str] = field(default_factory=list)

    def ask(self, method, url, credential=None, body=None):
        """Send a request and keep what was answered."""
        told = {} if credential is None else {"Authorization": f"Bearer {credential}"}
        answer = self.http.request(
            method, url, body=None if body is None else json.dumps(body), headers=told
        )
        self.answers.append(f"{dict(answer.headers)} {answer.data.decode(errors='replace')}")
        return answer

    def shown(self, text):
        """Return the secrets that a text shows."""
        return [secret for secret in self.secrets if secret in text]


@pytest.fixture(scope="module", params=["text", "json"])
def run(request, tmp_path_factory):
    """Run both tiers, logging everything, and use every secret, rightly and wrongly."""
    folder = tmp_path_factory.mktemp("secrets")
    alice = token({"sub": "alice", "exp": int(time.time()) + 600, "b2cdb:admin": ".*"}, JWT)
    seen = Seen()
    seen.secrets.append(alice)
    more = {"BUFFER_TOKEN": TIER, "LOG_LEVEL": "debug", "LOG_FORMAT": request.param}
    with (
        databuffer(folder, **more) as buffer,
        logic(
            *(buffer.url, folder),
            **{"JWT_SECRET": JWT, "ADMIN_TOKEN": ROOT, "READS": "authenticated", **more},
            BUFFER_PUBLIC_URL=buffer.url,
        ) as tier,
    ):
        eventually(lambda: seen.http.request("GET", f"{tier.url}/readyz").json().get("writes"))
        use(seen, tier.url, buffer.url, alice)
        yield seen, folder, (buffer, tier)


def use(seen, tier, buffer, alice):
    """Ask as who may, as who may not, and as nobody, also for what fails."""
    tags = f"{tier}/api/v1/global-tags"
    seen.ask("POST", tags, ROOT, {"name": "data"})
    made = seen.ask(
        *("POST", f"{tier}/api/v1/tokens", alice),
        {"name": "robot", "grants": [{"role": "producer", "tags": "stream"}]},
    )
    robot = made.json()["token"]
    seen.answers.pop()  # the one answer that tells it
    seen.secrets += [robot, hashlib.sha256(robot.split("_", 2)[2].encode()).hexdigest()]
    seen.ask("POST", f"{tier}/stream", robot, {"h": [1.0, 2.0], "t": [1.0, 1.0]})
    seen.ask("POST", f"{tier}/stream", f"{robot}x", {"h": [1.0], "t": [1.0, 1.0]})
    seen.ask("POST", f"{tags}/stream/freeze", alice, {"token": FREEZE})
    seen.ask("POST", f"{tags}/data/freeze", alice, {"token": FREEZE})
    seen.ask("GET", f"{tier}/dsdesc", alice)
    for credential in (STRANGE, f"{alice[:-4]}AAAA", token({"sub": STRANGE}, JWT)):
        seen.ask("POST", tags, credential, {"name": "more"})
        seen.ask("GET", f"{tier}/", credential)
        seen.ask("GET", f"{buffer}/ledger", credential)
    seen.ask("GET", f"{tier}/?token={STRANGE}")
    seen.ask("POST", f"{buffer}/ledger", TIER, {"type": 7})
    digest = seen.ask("POST", f"{tier}/api/v1/payloads", alice, "bytes").json()["digest"]
    link = seen.ask("GET", f"{tier}{path_of(digest)}/link", alice).json()["url"]
    seen.answers.pop()  # the one answer that tells it
    seen.secrets.append(link.rpartition("signature=")[2])
    seen.ask("GET", link)
    seen.ask("GET", link.replace("signature=", "signature=0"))
    for url in (f"{tier}/metrics", f"{tier}/", f"{tags}/data/history", f"{tier}/api/v1/tokens"):
        seen.ask("GET", url, alice)
    seen.ask("GET", f"{buffer}/metrics")
    for url in (tier, buffer):
        seen.ask("GET", f"{url}/readyz")


def path_of(digest):
    """Return where a payload is."""
    return f"/api/v1/payloads/{digest.replace(':', '/')}"


def test_no_answer_shows_a_secret(run):
    """Refusals, metrics, pages, histories, lists of tokens."""
    seen, _, _ = run
    assert len(seen.answers) > 20
    assert not [(shown, text) for text in seen.answers if (shown := seen.shown(text))]


def test_no_log_shows_a_secret(run):
    """Not even where everything is logged, nor the query of a link."""
    seen, _, running = run
    for one in running:
        text = one.log.read_text()
        assert len(text) > 100, one.name
        assert not seen.shown(text), one.name


def test_the_volume_holds_hashes_alone(run):
    """The ledger and the state files have no secret; the hash of an API token is in the ledger."""
    seen, folder, _ = run
    *plain, hashed, _ = seen.secrets
    text = "".join(
        path.read_bytes().decode("latin-1")
        for path in Path(folder / "volume").rglob("*")
        if path.is_file()
    )
    assert hashed in text
    assert not [secret for secret in plain if secret in text]


def test_no_process_list_shows_a_secret(run):
    """Neither a command line nor a title."""
    seen, _, running = run
    for one in running:
        for process in family(one.process.pid):
            line = Path(f"/proc/{process}/cmdline").read_text()
            assert not seen.shown(line)


def family(pid):
    """Return a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in family(int(child)))]


def test_a_failure_shows_no_traceback(run):
    """An error names the request, by which the log has the rest."""
    seen, _, _ = run
    assert not [text for text in seen.answers if "Traceback" in text or 'File "' in text]
