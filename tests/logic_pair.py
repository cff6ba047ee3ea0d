"""A databuffer and one replica of the logic tier before it, and a client of both."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import urllib3
from servers import databuffer, eventually, logic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers import Running
    from urllib3 import BaseHTTPResponse


@dataclass
class Pair:
    """Both tiers, running; a request goes to the logic tier."""

    buffer: Running
    logic: Running
    token: str | None = None
    http: urllib3.PoolManager = field(
        default_factory=lambda: urllib3.PoolManager(retries=False, maxsize=8)
    )

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> BaseHTTPResponse:
        """Send a request, with the pair's token; header names are given with underscores."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token is not None:
            told.setdefault("Authorization", f"Bearer {self.token}")
        return self.http.request(method, self.logic.url + path, body=body, headers=told)

    def get(self, path: str, **headers: str) -> Any:
        """Return the JSON of a read that must succeed."""
        answer = self.ask("GET", path, **headers)
        assert answer.status == 200, answer.data
        return answer.json()

    def post(self, path: str, body: Any = None, **headers: str) -> BaseHTTPResponse:
        """Send a write."""
        return self.ask("POST", path, body, **headers)

    def settle(self) -> None:
        """Wait until the replica follows the databuffer."""
        eventually(lambda: self.ask("GET", "/readyz").json().get("writes"))


@contextlib.contextmanager
def pair(folder: Path, **environ: str) -> Iterator[Pair]:
    """Run both tiers in `folder`."""
    with databuffer(folder) as buffer, logic(buffer.url, folder, **environ) as tier:
        both = Pair(buffer, tier)
        both.settle()
        yield both
        both.http.clear()
