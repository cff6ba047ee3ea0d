"""The cache tier of the manifests: nginx with their configuration before a real logic tier."""

import contextlib
import http.client
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

import pytest
import urllib3
from cache_tier import cache_tier
from servers import bearer, databuffer, eventually, logic
from small_server import served

TAGS = "/api/v1/global-tags"
ADMIN = "an-admin-token-of-the-tests-of-the-cache"
FOR_EVER = "public, max-age=31536000, immutable"
_COUNTED = re.compile(r'condstore_logic_requests_total\{[^}]*route="[^"]*"[^}]*\} (\S+)')


class Site:
    """A store behind a cache."""

    def __init__(self, tier, cache):
        self.tier, self.cache = tier, cache
        self.http = urllib3.PoolManager(retries=False, maxsize=64)

    def ask(self, path, method="GET", body=None, **headers):
        """Ask through the cache; header names are given with underscores."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.request(method, self.cache.url + path, body=body, headers=told)

    def act(self, path, body=None):
        """Write, with the admin's token, and return what was answered."""
        answer = self.ask(path, "POST", json.dumps(body or {}), **bearer(ADMIN))
        assert answer.status < 300, answer.data
        return answer.json()

    def frozen(self, name):
        """Make a frozen tag with one payload IOV; return `TAG@fingerprint`."""
        self.act(TAGS, {"name": name})
        self.insert(name, 5)
        return f"{name}@{self.act(f'{TAGS}/{name}/freeze')['fingerprint']}"

    def insert(self, name, major):
        """Insert a payload IOV that is open-ended."""
        one = {"payload_type": "Beam", "start": [major, 0], "name": f"beam-{major}"}
        self.act(f"{TAGS}/{name}/iovs", {"iovs": [one]})

    def reached(self):
        """Return how many requests the logic tier has answered."""
        told = self.http.request("GET", f"{self.tier.url}/metrics").data.decode()
        return sum(float(value) for value in _COUNTED.findall(told))

    @contextlib.contextmanager
    def away(self):
        """Do without the logic tier for a while."""
        self.tier.kill()
        yield
        self.tier.restart()
        eventually(lambda: self.http.request("GET", f"{self.tier.url}/readyz").status == 200)


@pytest.fixture(scope="module")
def buffer(tmp_path_factory):
    """Run a databuffer."""
    with databuffer(tmp_path_factory.mktemp("buffer")) as running:
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory, buffer):
    """Run a store whose reads are open, behind the cache."""
    folder = tmp_path_factory.mktemp("open")
    with (
        logic(buffer.url, folder, workers=1, ADMIN_TOKEN=ADMIN) as tier,
        cache_tier(folder, tier.url) as cache,
    ):
        found = Site(tier, cache)
        eventually(lambda: found.ask("/readyz").json().get("writes"))
        yield found
        found.http.clear()
        assert "[emerg]" not in cache.errors.read_text()


def payloads(ref, major=5):
    """Return the path that resolves."""
    return f"{TAGS}/{ref}/payloads?major={major}"


def test_what_never_changes_is_asked_for_once(site):
    """`TAG@fingerprint` comes from the logic tier once, then from the cache, for whoever asks."""
    path = payloads(site.frozen("once"))
    first, second = site.ask(path), site.ask(path)
    assert [first.headers["X-Cache"], second.headers["X-Cache"]] == ["MISS", "HIT"]
    assert first.data == second.data
    assert second.headers["Cache-Control"] == FOR_EVER
    assert site.ask(path, If_None_Match=first.headers["ETag"]).status == 304
    shown = site.ask(path, X_Min_LSN="1", **bearer(ADMIN))
    assert shown.headers["X-Cache"] == "HIT"
    assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]


def test_a_tag_is_asked_about_each_time_and_sent_once(site):
    """A plain tag is revalidated: unchanged it comes from the cache, changed it is the new one."""
    site.act(TAGS, {"name": "open"})
    site.insert("open", 5)
    path = payloads("open", 9)
    told = [site.ask(path) for _ in range(3)]
    assert [one.headers["X-Cache"] for one in told] == ["MISS", "REVALIDATED", "REVALIDATED"]
    assert {one.data for one in told} == {told[0].data}
    known = {"If_None_Match": told[0].headers["ETag"]}
    assert site.ask(path, **known).status == 304
    past = site.ask(path, X_Min_LSN="1", **known)
    assert (past.status, past.headers["X-Cache"]) == (304, "BYPASS")
    assert site.ask(path).data == told[0].data
    site.insert("open", 7)
    assert b"beam-7" in site.ask(path).data


def test_two_hundred_who_ask_the_same_are_few_at_the_logic_tier(site):
    """Of equal questions at once one goes on."""
    path = payloads(site.frozen("crowd"), 6)
    before, start = site.reached(), threading.Barrier(50)

    def one(number):
        if number < 50:
            start.wait()
        return site.ask(path)

    with ThreadPoolExecutor(50) as pool:
        told = list(pool.map(one, range(200)))
    assert {answer.status for answer in told} == {200}
    assert len({answer.data for answer in told}) == 1
    assert 1 <= site.reached() - before <= 5


def test_without_a_logic_tier_it_gives_out_what_it_has(site):
    """Frozen content as always, a tag's last answer marked STALE; what it has not is 503."""
    for_ever, plain = payloads(site.frozen("stale")), payloads("stale")
    known = {path: site.ask(path).data for path in (for_ever, plain)}
    etag = site.ask(plain).headers["ETag"]
    assert site.ask(plain, If_None_Match=etag, X_Min_LSN="1").status == 304  # is theirs alone
    with site.away():
        told = {path: site.ask(path) for path in known}
        assert {path: one.data for path, one in told.items()} == known
        assert told[for_ever].headers["X-Cache"] == "HIT"
        assert told[plain].headers["X-Cache"] == "STALE"
        refused = [
            site.ask(payloads("stale", 999)),
            site.ask(plain, X_Min_LSN="1"),  # it might not have that
            site.ask(plain, **bearer(ADMIN)),
            site.ask(f"{TAGS}/stale/unlock", "POST", "{}", **bearer(ADMIN)),
            site.ask("/bufstat"),
        ]
    for one in refused:
        assert one.status == 503
        assert one.json()["code"] == "logic_away"
        assert one.headers["Retry-After"] == "2"
        assert one.headers["Cache-Control"] == "no-store"
    assert site.ask(plain).headers["X-Cache"] in {"REVALIDATED", "EXPIRED"}


def test_no_failure_is_kept(site):
    """An answer that is a refusal or an error is asked for anew."""
    path = payloads("not-yet")
    assert site.ask(path).status == 404
    site.act(TAGS, {"name": "not-yet"})
    assert site.ask(path).status == 200


def test_a_part_of_a_payload_is_fetched_as_that_part(site):
    """A range of what is not kept is passed on; of what is kept it is cut."""
    body = bytes(range(256)) * 4000
    stored = site.ask("/api/v1/payloads", "POST", body, **bearer(ADMIN)).json()
    path = "/api/v1/payloads/" + stored["digest"].replace(":", "/")
    part = site.ask(path, Range="bytes=256-511")
    assert (part.status, part.data) == (206, bytes(range(256)))
    assert site.ask(path).data == body
    again = site.ask(path, Range="bytes=256-511")
    assert (again.status, again.data, again.headers["X-Cache"]) == (206, part.data, "HIT")


def test_a_range_beyond_the_end_is_kept_for_nobody(site):
    """The cache answers it of the payload that it has; a browser must not keep that as payload."""
    stored = site.ask("/api/v1/payloads", "POST", b"short", **bearer(ADMIN)).json()["href"]
    assert site.ask(stored).headers["Cache-Control"] == FOR_EVER
    beyond = site.ask(stored, Range="bytes=5000-")
    assert beyond.status == 416
    assert "HIT" in beyond.headers["X-Cache"]
    assert "no-store" in beyond.headers["Cache-Control"]
    assert site.ask(stored).headers["Cache-Control"] == FOR_EVER


@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics/", "//metrics", "/%6detrics//", "/metrics?a"]
)
def test_metrics_of_one_replica_are_told_to_nobody(site, path):
    """However the path is written."""
    told = site.ask(path)
    assert told.status == 404
    assert b"condstore_logic" not in told.data


@pytest.mark.parametrize("path", ["/stats", "/api/v1/global-tags"])
def test_an_id_that_the_logic_tier_would_not_take_is_replaced(echo, path):
    """So the id that the caller is told is that of the lines in every log."""
    with urllib3.PoolManager() as pool:
        asked = pool.request("GET", echo.url + path, headers={"X-Request-Id": 'mine","a":"b'})
    heard = asked.json()["X-Request-Id"]
    assert re.fullmatch("[0-9a-f]{32}", heard)
    assert asked.headers.get("X-Request-Id", heard) == heard


def test_what_is_theirs_who_asked_is_kept_for_nobody(tmp_path, buffer):
    """Where reads are closed nothing is stored, and nobody is answered from another's answer."""
    settings = {"ADMIN_TOKEN": ADMIN, "READS": "authenticated"}
    with (
        logic(buffer.url, tmp_path, workers=1, **settings) as tier,
        cache_tier(tmp_path, tier.url) as cache,
    ):
        site = Site(tier, cache)
        eventually(lambda: site.ask("/readyz").json().get("writes"))
        for path in (payloads(site.frozen("closed")), payloads("closed"), TAGS):
            for _ in range(2):
                told = site.ask(path, **bearer(ADMIN))
                assert told.status == 200, told.data
                assert told.headers["Cache-Control"].startswith("private")
                assert told.headers["X-Cache"] in {"MISS", "BYPASS"}
                assert site.ask(path).status == 401
        site.http.clear()
        assert not [one for one in (tmp_path / "cache").rglob("*") if one.is_file()]


class _Echo(BaseHTTPRequestHandler):
    """Answers with the headers it got; of an upload, tells when the first bytes are here."""

    protocol_version = "HTTP/1.1"
    begun = threading.Event()

    def do_GET(self):
        told = json.dumps(dict(self.headers.items())).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def do_POST(self):
        self.rfile.read(10)
        self.begun.set()
        self.rfile.read(int(self.headers["Content-Length"]) - 10)
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    """Run the cache before a server that says what it was asked."""
    with (
        served(_Echo, None, "127.0.0.1") as url,
        cache_tier(tmp_path_factory.mktemp("echo"), url) as cache,
    ):
        yield cache


@pytest.mark.parametrize("path", ["/stats", "/api/v1/global-tags"])
def test_the_logic_tier_hears_who_asks(echo, path):
    """Address, scheme, host and request id of the caller reach it; what others claim does not."""
    sent = {
        "Host": "conditions.example.org",
        "X-Forwarded-For": "192.0.2.7",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example.org",
        "X-Real-IP": "192.0.2.8",
        "Forwarded": "for=192.0.2.9",
        "X-Request-Id": "mine",
        "X-Min-LSN": "17",
        "Authorization": "Bearer it",
    }
    with urllib3.PoolManager() as pool:
        heard = pool.request("GET", echo.url + path, headers=sent).json()
    assert heard["X-Forwarded-For"] == "192.0.2.7, 127.0.0.1"
    assert heard["X-Forwarded-Proto"] == "https"
    assert heard["Host"] == heard["X-Forwarded-Host"] == "conditions.example.org"
    assert not heard.keys() & {"X-Real-IP", "Forwarded", "X-Forwarded-Port"}
    assert [heard[name] for name in ("X-Request-Id", "X-Min-LSN", "Authorization")] == [
        *("mine", "17", "Bearer it"),
    ]


@pytest.mark.parametrize("path", ["/stream", "/api/v1/payloads"])
def test_an_upload_passes_through_as_it_comes(echo, path):
    """The logic tier has the first bytes before the last are sent; no size is too much."""
    _Echo.begun.clear()
    parts = urlsplit(echo.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    try:
        connection.putrequest("POST", path)
        connection.putheader("Content-Length", str(3 << 20))
        connection.endheaders(bytes(1000))
        assert _Echo.begun.wait(30)
        connection.send(bytes((3 << 20) - 1000))
        assert connection.getresponse().status == 200
    finally:
        connection.close()


def test_each_request_is_a_line_of_json(echo):
    """The log says what was asked, what came of it and under which id."""
    with urllib3.PoolManager() as pool:
        pool.request("GET", f'{echo.url}/a"b', headers={"X-Request-Id": "seen"})
        assert pool.request("GET", f"{echo.url}/metrics").status == 404
    eventually(lambda: '"seen"' in echo.log.read_text())
    lines = [json.loads(line) for line in echo.log.read_text().splitlines()]
    told = next(line for line in lines if line["request_id"] == "seen")
    assert (told["message"], told["status"]) == ('GET /a"b', 200)
