"""An issuer of tokens: keys made once a session, tokens of any form, its key set over HTTP."""

from __future__ import annotations

import contextlib
import functools
import hmac
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from small_server import served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = 1_795_000_000.0
ISSUER = "https://issuer.example"
AUDIENCE = "condstore"
SECRET = "0123456789abcdef0123456789abcdef-hs256"  # noqa: S105 - of these tests
ALICE = {"sub": "alice", "iss": ISSUER, "aud": AUDIENCE, "exp": int(NOW) + 600}
"""Claims of a good token; without those of roles."""


@functools.cache
def rsa_key(name: str = "rsa", bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return an RSA key; the same name is the same key."""
    return rsa.generate_private_key(65537, bits)


@functools.cache
def ec_key(name: str = "ec", curve: type[ec.EllipticCurve] = ec.SECP256R1) -> Any:
    """Return a key on a curve."""
    return ec.generate_private_key(curve())


def public(key: Any, kid: str | None = None, **more: Any) -> dict[str, Any]:
    """Return the entry of a key in a key set."""
    of = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    entry = of.to_jwk(key.public_key(), as_dict=True)
    entry.pop("key_ops", None)
    return {**entry, **({} if kid is None else {"kid": kid}), **more}


def key_set(*entries: Any) -> bytes:
    """Return the bytes of a key set."""
    return json.dumps({"keys": entries}).encode()


def b64(content: bytes) -> str:
    """Return the form in which a token carries bytes."""
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def sign(algorithm: str, key: Any, signed: str) -> bytes:
    """Return the signature that an algorithm makes with a key, however unfit."""
    content = signed.encode()
    if algorithm == "none":
        return b""
    if algorithm.startswith("HS"):
        known = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
        return hmac.digest(
            key if isinstance(key, bytes) else key.encode(), content, known[algorithm]
        )
    if algorithm.startswith("RS"):
        known = {"RS256": RSAAlgorithm.SHA256, "RS512": RSAAlgorithm.SHA512}
        return RSAAlgorithm(known[algorithm]).sign(content, key)
    return ECAlgorithm(ECAlgorithm.SHA256).sign(content, key)


def token(
    claims: Any, key: Any = SECRET, algorithm: str = "HS256", *, signs: str = "", **header: Any
) -> str:
    """Return a signed token; `signs` makes its signature by another algorithm than it says.

    Claims may be ready text, and so may a header: `raw="{…}"`.
    """
    told = {"typ": "JWT", "alg": algorithm, **header}
    head = header.get("raw") or json.dumps({k: v for k, v in told.items() if v is not None})
    body = claims if isinstance(claims, str) else json.dumps(claims)
    signed = f"{b64(head.encode())}.{b64(body.encode())}"
    return f"{signed}.{b64(sign(signs or algorithm, key, signed))}"


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    now: float = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@dataclass
class KeyServer:
    """A little web server with a key set; `answer` decides what it says, `asked` counts."""

    content: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    before: Callable[[BaseHTTPRequestHandler], object] | None = None
    """What it does first; an answer is sent unless that says True."""
    url: str = ""


@contextlib.contextmanager
def key_server(content: bytes = b"", context: Any = None) -> Iterator[KeyServer]:
    """Serve a key set on a port of its own, by https with a context."""
    told = KeyServer(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked += 1
            with contextlib.suppress(OSError):  # who asks may have had enough
                if told.before is not None and told.before(self):
                    return
                self.send_response(told.status)
                for name, value in told.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(told.content)))
                self.end_headers()
                self.wfile.write(told.content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with served(Handler, context, "localhost") as base:
        told.url = f"{base}/keys"
        yield told
