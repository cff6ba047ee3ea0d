"""Who may call the databuffer: every route against every credential, links, and who acts."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from urllib.parse import quote

import pytest
from aiohttp.test_utils import TestClient, TestServer
from servers import TIER_SECRET, bearer
from yarl import URL

from databuffer.app import create_app
from databuffer.config import Config
from databuffer.errors import BadConfiguration
from databuffer.web.access import TABLE, Who

OTHER = "x" * 32
CONTENT = b"a payload"
PATH = f"/blobs/sha256/{hashlib.sha256(CONTENT).hexdigest()}"
SEGMENT = b'{"h":[1.5,2.5,-3],"t":[968654552,0.5]}'
PERSON = {"user": "alice", "token": "secret"}


def application(root, **environ):
    """Return an application on a volume."""
    return create_app(Config.from_environ({"VOLUME_ROOT": str(root / "volume"), **environ}))


@pytest.fixture
async def client(tmp_path):
    """A client of a databuffer that knows two secrets and holds one payload."""
    app = application(tmp_path, BUFFER_TOKEN=f"{TIER_SECRET},{OTHER}")
    async with TestClient(TestServer(app)) as client:
        assert (await client.post("/blobs", data=CONTENT, headers=bearer())).status == 201
        yield client


def link(path=PATH, expires=None, secret=TIER_SECRET):
    """Sign a link to a payload."""
    expires = int(time.time()) + 60 if expires is None else expires
    key = hmac.digest(secret.encode(), b"condstore payload link", "sha256")
    signed = hmac.digest(key, f"GET\n{path}\n{expires}".encode(), "sha256").hex()
    return URL(f"{path}?expires={expires}&signature={signed}", encoded=True)


def routes(app):
    """Return the method and the canonical path of every route."""
    return sorted(
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.method != "HEAD"
    )


ROUTES = sorted(TABLE)
CLOSED = [route for route in ROUTES if TABLE[route] is not Who.OPEN]
BAD = {
    "none": {},
    "another secret": bearer("y" * 40),
    "a part of it": bearer(TIER_SECRET[:-1]),
    "more than it": bearer(f"{TIER_SECRET}x"),
    "both of them": bearer(f"{TIER_SECRET},{OTHER}"),
    "nothing after the scheme": {"Authorization": "Bearer "},
    "no scheme": {"Authorization": TIER_SECRET},
    "another scheme": {"Authorization": f"Basic {TIER_SECRET}"},
    "a user's token": bearer("cst_abc_def"),
    "another alphabet": {"Authorization": "Bearer \N{LATIN SMALL LETTER A WITH DIAERESIS}" * 40},
    "another header": {"X-Authorization": f"Bearer {TIER_SECRET}"},
}


def test_every_route_is_in_the_table(tmp_path):
    """A route that nobody thought of cannot be added; nor a line for one that is gone."""
    assert routes(application(tmp_path)) == ROUTES


@pytest.mark.parametrize("credential", BAD)
async def test_every_closed_route_is_401_without_the_secret(client, credential):
    """Whatever is shown instead: refused before a body is read, and nothing is done."""
    before = await (await client.get("/ledger/head", headers=bearer())).json()
    for method, path in CLOSED:
        target = path.replace("{digest}", PATH[7:]).replace("{name}", "pointer")
        body = b"x" if method in {"POST", "PUT"} else None
        async with client.request(method, target, data=body, headers=BAD[credential]) as answer:
            assert answer.status == 401, (method, path)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert answer.headers["Cache-Control"] == "no-store"
            told = await answer.json()
            assert told["code"].lower() == "unauthenticated"
            assert told["request_id"] == answer.headers["X-Request-Id"]
            assert TIER_SECRET not in json.dumps(told)
    assert await (await client.get("/ledger/head", headers=bearer())).json() == before
    assert (await client.get("/state/pointer", headers=bearer())).status == 404


@pytest.mark.parametrize("secret", [TIER_SECRET, OTHER])
@pytest.mark.parametrize(("method", "path"), CLOSED)
async def test_every_closed_route_opens_to_either_secret(client, method, path, secret):
    """Two hold at once, so that one can take the other's place."""
    target = path.replace("{digest}", PATH[7:]).replace("{name}", "pointer")
    headers = {"Authorization": f"bearer {secret}"}  # the scheme's case does not matter
    async with client.request(method, target, data=b"[]", headers=headers) as answer:
        assert answer.status != 401


async def test_the_secret_twice_is_not_the_secret(client):
    """Of two credentials nobody can say which one counts."""
    headers = [("Authorization", f"Bearer {one}") for one in (TIER_SECRET, TIER_SECRET)]
    assert (await client.get("/stat", headers=headers)).status in {400, 401}


async def test_health_and_metrics_are_open(client):
    """Who watches needs no secret, and is told whether others do."""
    for path in ("/livez", "/readyz", "/metrics"):
        assert (await client.get(path)).status == 200
    assert (await (await client.get("/readyz")).json())["authentication"] == "on"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nothing"), ("DELETE", "/ledger"), ("GET", "/sendF"), ("PATCH", "/livez")],
)
async def test_who_shows_no_secret_is_not_told_what_there_is(client, method, path):
    """Neither which routes there are nor their methods."""
    assert (await client.request(method, path)).status == 401
    assert (await client.request(method, path, headers=bearer())).status in {404, 405}


# Links -----------------------------------------------------------------------------------------


async def test_a_link_opens_one_payload(client):
    """GET, HEAD, ranges and revalidation; to be kept by who holds the link, by no shared cache."""
    async with client.get(link()) as answer:
        assert (answer.status, await answer.read()) == (200, CONTENT)
        assert answer.headers["Cache-Control"].startswith("private, max-age=")
        tag = answer.headers["ETag"]
    async with client.head(link(secret=OTHER)) as answer:
        assert (answer.status, answer.content_length) == (200, len(CONTENT))
        assert answer.headers["Cache-Control"].startswith("private, ")
    async with client.get(link(), headers={"Range": "bytes=2-4"}) as answer:
        assert (answer.status, await answer.read()) == (206, CONTENT[2:5])
        assert answer.headers["Cache-Control"].startswith("private, ")
    async with client.get(link(), headers={"If-None-Match": tag}) as answer:
        assert answer.status == 304
        assert answer.headers["Cache-Control"].startswith("private, ")
    async with client.get(link(f"/blobs/sha256/{'0' * 64}")) as answer:
        assert (answer.status, answer.headers["Cache-Control"]) == (404, "no-store")


async def test_the_tier_is_answered_for_all_caches(client):
    """What the logic tier passes on may be kept by anybody whom it answers."""
    async with client.get(PATH, headers=bearer()) as answer:
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (link(expires=1_700_000_000), "link_expired"),
        (link(expires=int(time.time()) + 100_000), "link_invalid"),
        (link(secret="z" * 32), "link_invalid"),
        (URL(f"{PATH}?expires=99999999999&signature={'0' * 64}"), "link_invalid"),
        (URL(f"{PATH}?x=1"), "link_invalid"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_bad_link_is_403(client, target, code, method):
    """It says whether it has expired, nothing else."""
    async with client.request(method, target) as answer:
        assert answer.status == 403
        if method == "GET":
            assert (await answer.json())["code"] == code


async def test_a_link_to_another_payload_or_written_otherwise_is_403(client):
    """The signature is over the path; one way to write it, one set of parameters."""
    good = str(link())
    for bad in (
        good.replace(PATH[-4:], "0000"),
        good.replace("/sha256/", "/sha256%2F"),
        good.replace("expires", "expire%73"),
        f"{good}&{good.partition('?')[2]}",
        f"{good}&x=1",
    ):
        async with client.get(URL(bad, encoded=True)) as answer:
            assert (answer.status, (await answer.json())["code"]) == (403, "link_invalid"), bad


async def test_a_link_opens_nothing_else(client):
    """No write and no other route, whatever was signed."""
    for method, path in CLOSED:
        target = path.replace("{digest}", PATH[7:]).replace("{name}", "pointer")
        if (method, path) != ("GET", "/blobs/{digest}"):
            assert (await client.request(method, link(target), data=b"x")).status == 401
    assert (await client.get(link("/blobs/sha256/..%2f..%2fledger"))).status == 403


async def test_a_good_secret_needs_no_link_and_a_good_link_no_secret(client):
    """Either will do; a client that sends its own credentials along is not turned away."""
    assert (await client.get(link(expires=1), headers=bearer())).status == 200
    assert (await client.get(link(), headers=bearer("y" * 40))).status == 200


# Who acts --------------------------------------------------------------------------------------


async def entries(client):
    """Return the ledger."""
    async with client.get("/ledger", headers=bearer()) as answer:
        return [json.loads(line) for line in (await answer.read()).splitlines()]


@pytest.mark.parametrize("name", ["alice", "Ågot Ørsted", "a/b?c=d&e", "日本", "x" * 200, "%41"])
async def test_the_ledger_keeps_who_acts(client, name):
    """What the logic tier verified stands in the entry, for all three routes."""
    headers = {**bearer(), "X-Actor": quote(name, safe="")}
    for path, body in (("/sendF", SEGMENT), ("/upddsc", json.dumps(PERSON)), ("/cleanall", b"")):
        assert (await client.post(path, data=body, headers=headers)).status == 201
    told = await entries(client)
    assert [entry["actor"] for entry in told] == [name] * 3
    assert told[1]["data"]["user"] == "alice"


async def test_without_a_name_it_is_as_it_was(client):
    """The buffer itself, or who says that he freezes."""
    for path, body in (("/sendF", SEGMENT), ("/upddsc", json.dumps(PERSON)), ("/cleanall", b"")):
        assert (await client.post(path, data=body, headers=bearer())).status == 201
    assert [entry["actor"] for entry in await entries(client)] == ["databuf", "alice", "databuf"]


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "a%0Ab", "a%00", "%1B[31m", "%ff", "%", "%4", "%zz", "x" * 201, "\xe4"],
)
@pytest.mark.parametrize("path", ["/sendF", "/upddsc", "/cleanall"])
async def test_what_is_no_name_is_refused(client, path, name):
    """Control characters, other encodings, too long: 400, and nothing is done."""
    body = SEGMENT if path == "/sendF" else json.dumps(PERSON)
    headers = {**bearer(), "X-Actor": name}
    async with client.post(path, data=body, headers=headers) as answer:
        told = await answer.json()
        assert (answer.status, told.get("field")) == (400, "X-Actor"), told
    assert await entries(client) == []


async def test_two_names_are_refused(client):
    """Of two nobody can say which one it was."""
    headers = [("Authorization", f"Bearer {TIER_SECRET}"), ("X-Actor", "a"), ("X-Actor", "b")]
    assert (await client.post("/cleanall", headers=headers)).status == 400


# Not configured --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({}, "loopback only"),
        ({"SERVURL": "[::1]:0"}, "loopback only"),
        ({"SERVURL": "localhost:0"}, "loopback only"),
        ({"AUTH": "off"}, "off"),
        ({"AUTH": "off", "SERVURL": ":8080"}, "off"),
        ({"AUTH": "off", "SERVURL": ":8080", "BUFFER_TOKEN": OTHER}, "off"),
        ({"AUTH": "on", "BUFFER_TOKEN": OTHER}, "on"),
        ({"SERVURL": ":8080", "BUFFER_TOKEN": OTHER}, "on"),
    ],
)
async def test_readyz_says_whether_callers_are_asked(tmp_path, environ, told):
    """On, off by an operator's word, or reached from this machine alone."""
    async with TestClient(TestServer(application(tmp_path, **environ))) as client:
        assert (await (await client.get("/readyz")).json())["authentication"] == told
        asked = await client.get("/stat")
        assert asked.status == (401 if told == "on" else 200)


async def test_where_nobody_is_asked_who_acts_is_believed(tmp_path):
    """On a laptop the history names people too."""
    async with TestClient(TestServer(application(tmp_path))) as client:
        await client.post("/cleanall", headers={"X-Actor": "alice"})
        assert [entry["actor"] for entry in await entries(client)] == ["alice"]


@pytest.mark.parametrize(
    ("origin", "refused"),
    [
        ("https://evil.example", True),
        ("http://evil.example:8080", True),
        ("http://127.0.0.1.evil.example", True),
        ("http://localhost@evil.example", True),
        ("null", True),
        ("", True),
        ("http://[", True),
        ("http://localhost:3000", True),
        ("http://127.0.0.1:8080", True),
        ("http://[::1]:8080", True),
        (None, False),
    ],
)
async def test_a_page_of_another_site_changes_nothing_on_a_laptop(tmp_path, origin, refused):
    """A browser would send such a request without asking; what is no browser names no origin."""
    headers = {} if origin is None else {"Origin": origin}
    async with TestClient(TestServer(application(tmp_path))) as client:
        for path, body in (("/cleanall", b""), ("/blobs", b"x"), ("/sendF", SEGMENT)):
            async with client.post(path, data=body, headers=headers) as answer:
                assert (answer.status == 403) is refused
                if refused:
                    assert (await answer.json())["code"].lower() == "cross_site"
        assert (await client.get("/stat", headers=headers)).status == 200


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"SERVURL": ":8080"}, ("SERVURL", "BUFFER_TOKEN", "AUTH=off")),
        ({"SERVURL": "10.0.0.1:8080"}, ("SERVURL", "BUFFER_TOKEN", "AUTH=off")),
        ({"SERVURL": "databuffer:8080"}, ("SERVURL", "BUFFER_TOKEN", "AUTH=off")),
        ({"SERVURL": "[::]:8080"}, ("SERVURL", "BUFFER_TOKEN", "AUTH=off")),
        ({"AUTH": "on"}, ("AUTH=on", "BUFFER_TOKEN")),
        ({"AUTH": "yes"}, ("AUTH",)),
        ({"BUFFER_TOKEN": "short"}, ("BUFFER_TOKEN", "32")),
        ({"BUFFER_TOKEN": f"{OTHER},short"}, ("BUFFER_TOKEN", "32")),
        ({"BUFFER_TOKEN": f"{OTHER},{TIER_SECRET},{'z' * 32}"}, ("BUFFER_TOKEN", "two")),
        ({"BUFFER_TOKEN": OTHER, "BUFFER_TOKEN_FILE": "/x"}, ("BUFFER_TOKEN_FILE",)),
        ({"TLS_CERT": "/x"}, ("TLS_CERT", "TLS_KEY")),
        ({"TLS_KEY": "/x"}, ("TLS_CERT", "TLS_KEY")),
        ({"MAX_CONNECTIONS": "0"}, ("MAX_CONNECTIONS",)),
        ({"HEADER_TIMEOUT": "soon"}, ("HEADER_TIMEOUT",)),
        ({"HEADER_TIMEOUT": "0"}, ("HEADER_TIMEOUT",)),
        ({"BODY_TIMEOUT": "0"}, ("BODY_TIMEOUT",)),
        ({"MIN_BODY_RATE": "-1"}, ("MIN_BODY_RATE",)),
    ],
)
def test_what_is_not_safe_is_refused(environ, words):
    """One line that names what to set, and shows no secret."""
    with pytest.raises(BadConfiguration) as told:
        Config.from_environ(environ)
    line = str(told.value)
    assert "\n" not in line
    assert all(word in line for word in words), line
    assert OTHER not in line


def test_the_configuration_shows_no_secret():
    """It is logged at every start."""
    shown = repr(Config.from_environ({"BUFFER_TOKEN": f"{OTHER},{TIER_SECRET}"}))
    assert OTHER not in shown
    assert TIER_SECRET not in shown
