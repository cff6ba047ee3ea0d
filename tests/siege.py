"""Both tiers with authentication on, requests exactly as an attacker writes them, and the damage.

Paths and headers are sent as they are given; nothing is quoted or normalised on the way.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from servers import BIN, TIER_SECRET, databuffer, eventually, logic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Running

ROOT = "root-0123456789abcdef0123456789abcdef"
JWT_SECRET = "jwt-0123456789abcdef0123456789abcdef-x"  # noqa: S105 - of these tests
SECRETS = (ROOT, JWT_SECRET, TIER_SECRET)
SETTINGS = {
    **dict.fromkeys(("RATE_READS", "RATE_WRITES", "RATE_FAILURES"), "none"),
    "BUFFER_TOKEN": TIER_SECRET,
    "ADMIN_TOKEN": ROOT,
    "JWT_SECRET": JWT_SECRET,
}
LONGEST_REFUSAL = 4000
"""Bytes of a refusal: it names what is wrong, and is no echo of megabytes."""

HOSTILE = (
    "'; DROP TABLE tag; --",
    '" OR ""="',
    "{{7*7}}${7*7}<%= 7*7 %>#{7*7}",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)//",
    "../../../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "%2e%2e%2fetc%2fpasswd",
    "$(id)`id`|id;id&id",
    "line\r\nX-Injected: yes\r\n\r\n<html>",
    "nul\x00nul",
    "\u202egnp.exe\u2066\ufeff\u200b",
    "\x1b[2J\x1b]0;owned\x07",
    "%s%n%x{0.__class__}",
    "\U0001d4afag\U0010fffe\u0301",
)
"""What breaks SQL, templates, pages, paths, shells, headers, terminals and formats."""


@dataclass(frozen=True)
class Told:
    """An answer, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes
    asked: str

    @cached_property
    def json(self) -> Any:
        """What it says as JSON, None if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def check(self) -> Told:
        """Check what holds of every answer whatever was asked: no failure, nothing given away."""
        assert self.status < 500, self
        assert not re.search(rb"Traceback|File \"/|sqlite3|werkzeug|root:x:0", self.body), self
        assert not any(secret.encode() in self.body for secret in SECRETS), self
        assert "x-injected" not in self.headers, self
        if self.status >= 400 and self.asked.partition(" ")[0] != "HEAD":
            assert len(self.body) < LONGEST_REFUSAL, (self.asked[:200], self.body[:200])
            assert self.headers["content-type"].startswith("application/json"), self
            assert isinstance(self.json, dict), self
        return self


class _Raw(http.client.HTTPConnection):
    """A connection that sends any path."""

    def _validate_path(self, url: str) -> None:
        """Take it as it is."""

    def _encode_request(self, request: str) -> bytes:
        return request.encode("latin-1")


@dataclass
class Siege:
    """Both tiers, running; `root` may do everything."""

    buffer: Running
    logic: Running
    folder: Path
    _open: dict[str, _Raw] = field(default_factory=dict)

    def ask(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        buffer: bool = False,
        headers: dict[str, str] | None = None,
    ) -> Told:
        """Ask a tier as one who may do everything; the answer is checked. Bytes go as they are."""
        tier, secret = (self.buffer, TIER_SECRET) if buffer else (self.logic, ROOT)
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        told = {"Authorization": f"Bearer {secret}", **(headers or {})}
        for last in (False, True):
            connection = self._open.get(tier.url) or self._connect(tier.url)
            try:
                connection.request(method, target, sent, told)
                answer = connection.getresponse()
                content = answer.read()
                break
            except (http.client.HTTPException, OSError):
                self._open.pop(tier.url).close()
                if last:
                    raise
        if answer.will_close:
            self._open.pop(tier.url).close()
        found = {name.lower(): value for name, value in answer.headers.items()}
        return Told(answer.status, found, content, f"{method} {target} {sent!r:.500}").check()

    def do(self, method: str, target: str, body: Any = None, **how: Any) -> Any:
        """Do what must succeed; return its JSON."""
        answer = self.ask(method, target, body, **how)
        assert answer.status < 300, answer
        return answer.json

    def _connect(self, url: str) -> _Raw:
        parts = urlsplit(url)
        made = self._open[url] = _Raw(parts.hostname or "", parts.port, timeout=30)
        return made

    def resident(self) -> int:
        """Return how many MiB both tiers' processes have in memory."""
        return sum(map(_resident, [self.buffer.process.pid, *_family(self.logic.process.pid)]))  # type: ignore[union-attr]

    def check_unharmed(self) -> None:
        """Check that both answer, the replica follows, the ledger is whole and logs are clean."""
        assert self.do("GET", "/readyz")["writes"] is True
        name = f"after-{os.urandom(4).hex()}"
        self.do("POST", "/api/v1/global-tags", {"name": name})
        assert self.do("GET", f"/api/v1/global-tags/{name}")["name"] == name
        assert self.ask("GET", "/stat", buffer=True).status == 200
        verified = subprocess.run(
            [BIN / "condstore", "verify", "--payloads", "--json"],
            env={**os.environ, "DB_BURL": f"{self.buffer.url}/", "BUFFER_TOKEN": TIER_SECRET},
            capture_output=True,
            text=True,
            check=False,
        )
        assert verified.returncode == 0, verified.stdout + verified.stderr
        for log in (self.buffer.log.read_text(), self.logic.log.read_text()):
            assert "Traceback" not in log
            assert not any(secret in log for secret in SECRETS)
            assert not re.search(r"[\x00-\x08\x0b-\x1f]", log), "a log is text of one line each"


def _family(pid: int) -> list[int]:
    """Return a process and its children."""
    told = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [pid, *map(int, told.split())]


def _resident(pid: int) -> int:
    told = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", told)
    return int(found[1]) // 1024 if found else 0


@contextlib.contextmanager
def besieged(folder: Path, **environ: str) -> Iterator[Siege]:
    """Run both tiers with a secret between them and an admin; no rate is limited."""
    with (
        databuffer(folder, BUFFER_TOKEN=TIER_SECRET) as buffer,
        logic(buffer.url, folder, **SETTINGS, **environ) as tier,
    ):
        siege = Siege(buffer, tier, folder)
        eventually(lambda: siege.ask("GET", "/livez").status == 200)
        eventually(lambda: siege.do("GET", "/readyz").get("writes"))
        yield siege
        for connection in siege._open.values():
            connection.close()


def leaves(told: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield each value in JSON that holds no others, and the way to it."""
    if isinstance(told, dict | list) and told:
        for key, inner in told.items() if isinstance(told, dict) else enumerate(told):
            yield from leaves(inner, (*where, key))
    else:
        yield where, told


def replaced(told: Any, where: tuple[Any, ...], value: Any) -> Any:
    """Return JSON with another value in one place."""
    if not where:
        return value
    key, *rest = where
    copy = told.copy()
    copy[key] = replaced(told[key], tuple(rest), value)
    return copy
