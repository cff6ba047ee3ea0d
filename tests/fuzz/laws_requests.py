"""The logic tier as a whole, in one process: whatever is asked of it is answered, below 500."""

from __future__ import annotations

import functools
import io
import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from closed import closed
from fuzz.law import JSON, MARKS, law
from logic_fakes import FakeBuffer, small_app

from datastore_logic.access.settings import Access
from datastore_logic.app import create_app
from datastore_logic.config import Config
from datastore_logic.domain.columns import Columns

if TYPE_CHECKING:
    from flask import Flask

UNAVAILABLE = {"/api/cdb_rest/timeout", "/api/cdb_rest/timeout/"}
"""What answers 504, as the contract has it."""

READS = sorted(
    rule.rule
    for rule in create_app(Config()).url_map.iter_rules()
    if "GET" in rule.methods and rule.rule not in UNAVAILABLE
)
QUESTIONS = ("/api/v1/global-tags/base/resolve", "/api/v1/payloads/missing")
NAMES = (
    *(b"major=1&minor=0", b"as_of=", b"at=", b"limit=", b"after=", b"search=", b"state=", b"type="),
    *(b"page=1", b"page_size=", b"sort=", b"order=", b"gtName=base", b"majorIOV=", b"minorIOV=1"),
    *(b"shape=dict", b"light=1", b"other=", b"template=", b"read_bytes=1", b"base", b"Beam", b"&"),
)


@functools.cache
def app(*, is_closed: bool = False) -> Flask:
    """Return the application over a tag `base` with a payload; made in the process that asks it.

    Where reads are closed nobody has a credential that holds.
    """
    buffer, columns = FakeBuffer(), Columns([1, 5], ["a", "b"])
    buffer.write("tag.created", {"tag": "base"}, "tag/base")
    change = dict.fromkeys(("detached", "deleted", "trimmed"), ()) | {
        "payload_type": "Beam", "tag": "base", "list": None, "attached": columns.data()
    }  # fmt: skip
    buffer.write("timelines.changed", {"lists": [change]}, "tag/base")
    folder = Path(tempfile.mkdtemp(prefix="fuzzed"))
    access = closed() if is_closed else Access()
    rates = dict.fromkeys(("rate_reads", "rate_writes", "rate_failures"), "")
    return small_app(folder, buffer, view_wait=0.01, access=access, **rates).__enter__()


def answered(
    method: str,
    path: str,
    query: str,
    body: bytes = b"",
    *,
    is_closed: bool = False,
    **headers: str,
) -> int:
    """Ask, and check what comes back; return the status."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "SCRIPT_NAME": "",
        "SERVER_NAME": "localhost", "SERVER_PORT": "5000", "HTTP_HOST": "localhost:5000",
        "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body)), **headers,
    }  # fmt: skip
    told: list[Any] = []
    asked = app(is_closed=is_closed)
    content = b"".join(asked(environ, lambda status, found, _=None: told.extend((status, found))))
    status, found = int(told[0][:3]), dict(told[1])
    assert status < 500 or b'"code":"view_behind"' in content, (told, content)
    assert not any(re.search(r"[\r\n\0]", value) for value in found.values()), found
    if found.get("Content-Type") == "application/json" and content:
        json.loads(content)
    return status


@law(
    *(bytes([at]) + b"\0base\0" + query for at in range(len(READS)) for query in (b"", NAMES[0])),
    b'\x05..%2f\0\'--\0search=%25&limit=1&after=\xff\0W/"1"',
    words=(*MARKS, *NAMES),
)
def reads(data: bytes) -> None:
    """Every route that reads, with any names in its path, any query and any headers."""
    if not data:
        return
    name, other, query, told = (*data[1:].decode("latin-1").split("\0"), "", "", "", "")[:4]
    rule, values = READS[data[0] % len(READS)], iter((name, other, name, other, name, other))
    path = re.sub(r"<(?:\w+:)?(\w+)>", lambda _: next(values), rule)
    headers = dict.fromkeys(("HTTP_IF_NONE_MATCH", "HTTP_X_MIN_LSN", "HTTP_ACCEPT"), told or "0")
    answered("GET", path, query, **headers, HTTP_RANGE=told, HTTP_X_REQUEST_ID=told)


@law(
    b'\0{"moments":[[1,0],[7,0]],"types":["Beam"]}',
    b'\1{"digests":["sha256:%s"],"sizes":[1]}' % (b"ab" * 32),
    words=(*JSON, b'"moments":', b'"types":', b'"digests":', b'"sizes":', b"[1,0]", b'"Beam"'),
)
def questions(data: bytes) -> None:
    """The questions that are too long for a URL."""
    if data:
        answered("POST", QUESTIONS[data[0] % len(QUESTIONS)], "", data[1:])


@law(
    b"Bearer cst_0123456789ab_" + b"A" * 43,
    b"condstore_session=" + b"Bearer%20abc; condstore_form=x",
    b'condstore_session=%ff%00; a=b;;=;condstore_session="\\377"',
    b"Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.AAAA",
    words=(
        b"Bearer ",
        b"condstore_session=",
        b"condstore_form=",
        b"; ",
        b"%",
        b'"',
        b"\\",
        b"cst_",
    ),
)
def credentials(data: bytes) -> None:
    """Nothing that is shown, as a header or as a cookie, is a credential; and it is no failure."""
    told = data.decode("latin-1")
    for headers in ({"HTTP_AUTHORIZATION": told}, {"HTTP_COOKIE": told}):
        for path in ("/api/v1/whoami", "/", "/sign-in"):
            status = answered("GET", path, "", is_closed=True, **headers)
            assert path == "/sign-in" or status in {303, 401}, status


FORM = "a" * 43


@law(
    b"condstore_form=%s&credential=abc" % FORM.encode(),
    b"condstore_form=%s&token=Bearer+%%ff%%00" % FORM.encode(),
    b"=&=&&%=%zz&a=b;c",
    words=(b"condstore_form=", FORM.encode(), b"&", b"credential=", b"token=", b"%ff", b"+"),
)
def sign_in_form(data: bytes) -> None:
    """Whatever is filled in, nobody is signed in by it."""
    cookie = {"HTTP_COOKIE": f"condstore_form={FORM}", "HTTP_SEC_FETCH_SITE": "same-origin"}
    kind = {"CONTENT_TYPE": "application/x-www-form-urlencoded"}
    for path in ("/sign-in", "/sign-out"):
        answered("POST", path, "", data, is_closed=True, **cookie, **kind)
