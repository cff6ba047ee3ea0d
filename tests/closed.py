"""A store whose reads need a credential, in one process, and who asks it."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
from logic_fakes import FakeBuffer, small_app

from datastore_logic.access.secret import Secret
from datastore_logic.access.settings import Access, JwtSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask
    from werkzeug.test import TestResponse

JWT_SECRET = "of-these-tests-0123456789abcdef-0123456789"  # noqa: S105 - of these tests
ALL = {"sub": "root", "b2cdb:admin": ".*"}
"""Claims of one who may do and see everything."""


def token(claims: dict[str, Any], *, expires_in: float = 600) -> str:
    """Return a JSON Web Token with these claims."""
    return jwt.encode({"exp": int(time.time() + expires_in), **claims}, JWT_SECRET, "HS256")


def reader(pattern: str, name: str = "reader") -> dict[str, Any]:
    """Return the claims of one who may read the tags that a pattern covers."""
    return {"sub": name, "condstore:read": pattern}


def closed(**settings: Any) -> Access:
    """Return the settings of closed reads."""
    secret = Secret("JWT_SECRET", (JWT_SECRET,))
    return Access(jwt=JwtSettings(secret=secret), reads_authenticated=True, **settings)


@dataclass
class Store:
    """An application over a databuffer in memory."""

    app: Flask
    buffer: FakeBuffer
    mark: str = ""

    def ask(
        self,
        claims: dict[str, Any] | None,
        path: str,
        json: object = None,
        *,
        method: str | None = None,
        **headers: str,
    ) -> TestResponse:
        """Ask as whoever has these claims; with a body it is a POST."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if claims is not None:
            sent["Authorization"] = f"Bearer {token(claims)}"
        method = method or ("GET" if json is None else "POST")
        return self.app.test_client().open(
            path, method=method, json=json, headers=sent, buffered=True
        )

    def do(self, path: str, json: object = None, *, method: str = "POST") -> Any:
        """Do as one who may do everything; return what is answered."""
        answer = self.ask(ALL, path, json, method=method)
        assert answer.status_code < 300, answer.get_data(as_text=True)
        return answer.get_json(silent=True)


@contextmanager
def store(folder: Path, **settings: Any) -> Iterator[Store]:
    """Make a store whose reads are closed; settings are those of the tier."""
    folder.mkdir(exist_ok=True)
    buffer = FakeBuffer()
    with small_app(folder, buffer, **{"access": closed(), **settings}) as app:
        yield Store(app, buffer)


def in_common(answer: TestResponse, *varying: str) -> tuple[int, str, dict[str, str]]:
    """Return status, body and headers of an answer, without request ids and what is named."""
    request_id = answer.headers["X-Request-Id"]
    body = answer.get_data(as_text=True)
    headers = "\n".join(f"{name}: {value}" for name, value in answer.headers)
    for text in (request_id, *varying):
        body, headers = body.replace(text, "…"), headers.replace(text, "…")
    lines = re.findall(r"^(.*?): (.*)$", headers, re.MULTILINE)
    return answer.status_code, body, dict(lines)
