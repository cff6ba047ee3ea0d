"""What says who asks, and from where: credentials, key sets, patterns, forwarded addresses."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from ipaddress import ip_address, ip_network

from fuzz.law import JSON, law, text, unless

from datastore_logic.access import api_tokens
from datastore_logic.access.identify import bearer
from datastore_logic.access.jwt_bearer import JwtVerifier
from datastore_logic.access.roles import EVERYTHING, BadPattern, Principal, TagPattern
from datastore_logic.access.settings import JwtSettings
from datastore_logic.access.signing_keys import BadKeySet, key_set
from datastore_logic.errors import Unauthenticated
from datastore_logic.web.address import FORWARDED, FromProxies, caller_address, place_of

NOW = 1_800_000_000.0
SECRET = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of these tests
JUDGES = [
    JwtVerifier(JwtSettings.from_environ({"JWT_SECRET": SECRET})),
    JwtVerifier(JwtSettings.from_environ({"JWT_SECRET": SECRET, "JWT_AUDIENCE": "condstore"})),
]


def b64(content: bytes) -> bytes:
    """Return base64url without padding."""
    return urlsafe_b64encode(content).rstrip(b"=")


def signed(header: bytes, claims: bytes) -> str:
    """Return a token of any header and claims, rightly signed."""
    told = b64(header) + b"." + b64(claims)
    return (told + b"." + b64(hmac.digest(SECRET.encode(), told, "sha256"))).decode()


HEADER = b'{"alg":"HS256","typ":"JWT"}'
CLAIMS = b'{"sub":"alice","exp":1900000000,"condstore:read":".*","b2cdb:admin":["a.*","b"]}'
WORDS = (
    *(b'"exp":', b'"nbf":', b'"iat":', b'"aud":', b'"sub":', b'"alg":', b'"kid":', b'"crit":'),
    *(b'"b2cdb:admin":', b'"none"', b'"RS256"', b"[[[[[[[[[["),
)


@law(
    b"Bearer abc",
    b"bearer  x",
    b"Basic YTpi",
    b"Bearer ",
    b"Bearer a b",
    b"Bearer " + b"x" * 20_000,
)
def authorization(data: bytes) -> None:
    """A credential is printable ASCII behind `Bearer`, or the header is refused."""
    told = data.decode("latin-1")
    found = unless(Unauthenticated, lambda: bearer(told))
    assert found is None or (found.isascii() and found.isprintable() and told.endswith(found))


MINTED = api_tokens.mint()
TOKEN = api_tokens.ApiToken(
    "0123456789ab", hashlib.sha256(b"s" * 43).hexdigest(), Principal("ci", (EVERYTHING,), "token")
)
TEXT = f"cst_{TOKEN.id}_{'s' * 43}"


@law(
    TEXT.encode(),
    b"cst_0123456789ab_",
    b"cst_" + b"a" * 12 + b"_" + b"s" * 43,
    words=(b"cst_", b"_"),
)
def api_token(data: bytes) -> None:
    """No text but a token's own is that token."""
    told = data.decode("latin-1")
    found = unless(Unauthenticated, lambda: api_tokens.verify({TOKEN.id: TOKEN}.get, told, NOW))
    assert (found is not None) == (told == TEXT)


@law(
    signed(HEADER, CLAIMS).encode()[:-1],
    signed(b'{"alg":"none"}', CLAIMS).rpartition(".")[0].encode() + b".",
    signed(b'{"alg":"HS256","x":%s}' % (b"[" * 200), CLAIMS).encode(),
    b"eyJ.eyJ.eyJ",
    b"...",
    words=(b".", b"=", b64(HEADER), b64(CLAIMS)),
)
def unsigned_jwt(data: bytes) -> None:
    """Whatever nobody has signed is nobody's token."""
    told = data.decode("latin-1")
    for judge in JUDGES:
        assert unless(Unauthenticated, lambda judge=judge: judge.verify(told, NOW)) is None


@law(
    HEADER + b"\0" + CLAIMS,
    HEADER + b'\0{"sub":"a","exp":1e400}',
    HEADER + b'\0{"sub":"a","exp":1%s}' % (b"0" * 400),
    HEADER + b'\0{"sub":"\\ud800","exp":1900000000.5,"aud":["condstore",7]}',
    HEADER + b'\0{"sub":"a","sub":"b","exp":1900000000}',
    words=(*JSON, *WORDS, b"\0"),
)
def signed_jwt(data: bytes) -> None:
    """Whatever the issuer signs is a principal with a name and an end, or is refused in words."""
    header, _, claims = data.partition(b"\0")
    for judge in JUDGES:
        told = signed(header, claims)
        found = unless(Unauthenticated, lambda judge=judge, told=told: judge.verify(told, NOW))
        if found is not None:
            assert found.subject.isprintable()
            assert 0 < len(found.subject) <= 200
            assert NOW - 30 < found.expires < 2**53
            assert json.loads(claims)["sub"] == found.subject


RSA = b'{"kty":"RSA","n":"%s","e":"AQAB","kid":"a"}' % b64(b"\xff" * 256)
EC = b'{"kty":"EC","crv":"P-256","x":"%s","y":"%s"}' % (b64(b"\1" * 32), b64(b"\2" * 32))


@law(
    b'{"keys":[%s,%s]}' % (RSA, EC),
    b'{"keys":[%s]}' % EC.replace(b'"x":"', b'"x":"!'),
    b'{"keys":[%s]}' % RSA.replace(b"AQAB", b""),
    b'{"keys":[%s]}' % RSA.replace(b'"a"', b'"a","use":["sig"],"alg":{},"key_ops":{}'),
    words=(*JSON, b'"kty":', b'"crv":', b'"use":', b'"alg":', b'"key_ops":', b'"kid":', b'"AQAB"'),
)
def key_sets(data: bytes) -> None:
    """A set of keys has a key to verify with, or is none."""
    found = unless(BadKeySet, lambda: key_set(data))
    assert found is None or all(key.jwk.algorithm_name in {"RS256", "ES256"} for key in found)


@law(
    *(b"prompt.*", b"(a|b){3}", b"[[:alpha:]]+", b"(?i)x", b"((((a*)*)*)*)*b", b"\\p{Greek}"),
    b"a{1000}",
    words=(b"(", b")", b"*", b"+", b"{1000}", b"\\C", b"(?P<n>", b"\\pN", b"[^", b"\\Q"),
)
def tag_patterns(data: bytes) -> None:
    """A pattern is refused, or says of every name, soon, whether it covers it."""
    pattern = unless(BadPattern, lambda: TagPattern.parse(text(data)))
    if pattern is not None:
        for name in ("prompt_2026", "a" * 200, "", "é"):
            assert pattern.covers(name) in {True, False}


PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@law(
    b"6.6.6.6, 192.0.2.7, 10.2.2.2",
    b"[2001:db8::1]:443, 10.0.0.9:80",
    b"::ffff:10.0.0.1",
    b"fe80::1%eth0",
    b",,10.0.0.1,",
    words=(b",", b"::", b"10.", b"%", b"[", b"]:", b"::ffff:", b"unknown", b"0x7f.1", b"010."),
)
def forwarded(data: bytes) -> None:
    """Who asks is an address, whatever is said; what stands left of a stranger is never heeded."""
    told = data.decode("latin-1")
    assert caller_address("192.0.2.9", told, PROXIES) == "192.0.2.9"
    found = caller_address("10.0.0.1", told, PROXIES)
    assert str(ip_address(found)) == found
    assert place_of(found)
    assert caller_address("10.0.0.1", f"{told}, 198.51.100.4, 10.9.9.9", PROXIES) == "198.51.100.4"
    seen = through_proxy(told)
    assert seen["REMOTE_ADDR"] == found
    assert seen["wsgi.url_scheme"] in {"http", "https"}
    assert not {*seen["HTTP_HOST"]} & {*"/\\\r\n\0 <>\"'@"}
    assert not seen.keys() & {*FORWARDED}


def through_proxy(told: str) -> dict[str, str]:
    """Return what the application sees when a trusted proxy forwards the same text everywhere."""
    seen: dict[str, str] = {}
    environ = {"REMOTE_ADDR": "10.0.0.1", "wsgi.url_scheme": "http", "HTTP_HOST": "here:5000"}

    def app(environ, _start):
        seen.update(environ)
        return []

    FromProxies(app, PROXIES)({**environ, **dict.fromkeys(FORWARDED, told)}, None)
    return seen
