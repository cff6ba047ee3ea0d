"""Where reads are closed, an answer may be kept by who asked for it, and by no cache of many."""

import json
import re

import pytest
import urllib3
from closed import JWT_SECRET, reader, token
from servers import databuffer, eventually, logic

from datastore_logic.access.routes import READ, ROUTES

ADMIN = {"sub": "root", "b2cdb:admin": ".*"}
TAG = "/api/v1/global-tags/T"
CDB = "/api/cdb_rest"
FOR_EVER = "private, max-age=31536000, immutable"
AGAIN = "private, no-cache"

CACHED = {
    "v1.list_tags": ("/api/v1/global-tags", AGAIN),
    "v1.show_tag": (TAG, AGAIN),
    "v1.show_tag, as it stood": (f"{TAG}@3", AGAIN),
    "v1.show_tag, frozen": (f"{TAG}@{{mark}}", FOR_EVER),
    "v1.check_tag": (f"{TAG}/check", AGAIN),
    "v1.diff_tags": (f"{TAG}/diff?to=T", AGAIN),
    "v1.diff_tags, frozen": (f"{TAG}@{{mark}}/diff?to=T@{{mark}}", FOR_EVER),
    "v1.tag_history": (f"{TAG}/history", AGAIN),
    "v1.payloads": (f"{TAG}/payloads?major=5", AGAIN),
    "v1.payloads, frozen": (f"{TAG}@{{mark}}/payloads?major=5", FOR_EVER),
    "v1.list_iovs": (f"{TAG}/payload-lists/Beam/iovs", AGAIN),
    "v1.list_iovs, frozen": (f"{TAG}@{{mark}}/payload-lists/Beam/iovs", FOR_EVER),
    "v1.list_segments": (f"{TAG}/payload-lists/Beam/segments", AGAIN),
    "v1.list_types": ("/api/v1/payload-types", AGAIN),
    "v1.show_list": ("/api/v1/payload-lists/Beam_1", AGAIN),
    "v1.payload": ("{href}", FOR_EVER),
    "cdb_rest.list_tags": (f"{CDB}/globalTags", AGAIN),
    "cdb_rest.list_nested_tags": (f"{CDB}/gt", AGAIN),
    "cdb_rest.show_tag": (f"{CDB}/globalTag/T", AGAIN),
    "cdb_rest.show_tag_by_id": (f"{CDB}/gt/1", AGAIN),
    "cdb_rest.list_names": (f"{CDB}/gtPayloadLists/T", AGAIN),
    "cdb_rest.list_types": (f"{CDB}/pt", AGAIN),
    "cdb_rest.list_lists": (f"{CDB}/pl", AGAIN),
    "cdb_rest.show_list": (f"{CDB}/payload-lists/by-name/Beam_1", AGAIN),
    "cdb_rest.show_list_by_id": (f"{CDB}/pl/1", AGAIN),
    "cdb_rest.list_iovs": (f"{CDB}/piov", AGAIN),
    "cdb_rest.show_iov": (f"{CDB}/piov/1", AGAIN),
    "cdb_rest.query": (f"{CDB}/payloadiovs/?gtName=T&majorIOV=5&minorIOV=0", AGAIN),
    "cdb_rest.query, frozen": (
        f"{CDB}/payloadiovs/?gtName=T@{{mark}}&majorIOV=5&minorIOV=0", FOR_EVER,
    ),
    "cdb_rest.query, nothing": (f"{CDB}/payloadiovs/?gtName=U&majorIOV=5&minorIOV=0", AGAIN),
    "cdb_rest.list_statuses": (f"{CDB}/gtstatus", AGAIN),
    "cdb_rest.setting": (f"{CDB}/settings/CDB_IOV_MODE/", AGAIN),
    "stream.bufstat": ("/bufstat", AGAIN),
    "stream.dsdesc": ("/dsdesc", AGAIN),
    "stream.dumpflog": ("/dumpflog", AGAIN),
    "stream.dumpf": ("/dumpf", AGAIN),
    "glitchflow.stats": ("/stats", AGAIN),
    "glitchflow.desc": ("/desc", AGAIN),
    "glitchflow.dumpbuf": ("/dumpbuf", AGAIN),
    "health.expose": ("/metrics", AGAIN),
}  # fmt: skip
OTHERWISE = {
    *("v1.resolve_many", "v1.missing_payloads"),  # are posted
    *("pages.status", "cdb_rest.pages", "glitchflow.dspage", "cdb_rest.timeout", "v1.payload_link"),
}


class Site:
    """Both tiers, and what is in them."""

    def __init__(self, url):
        self.url = url
        self.pool = urllib3.PoolManager()
        payload = self.ask("/api/v1/payloads", body=b"bytes", method="POST").json()
        self.ask("/api/v1/global-tags", json={"name": "T"}, method="POST")
        one = {"payload_type": "Beam", "start": [5, 0], "digest": payload["digest"]}
        self.ask(f"{TAG}/iovs", json={"iovs": [one]}, method="POST")
        frozen = self.ask(f"{TAG}/freeze", json={}, method="POST").json()
        self.names = {"href": payload["href"], "mark": frozen["fingerprint"]}

    def ask(self, path, claims=ADMIN, method="GET", headers=(), **sent):
        """Ask as whoever has these claims."""
        headers = {"Authorization": f"Bearer {token(claims)}", **dict(headers)}
        return self.pool.request(method, self.url + path, headers=headers, **sent)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Both tiers as processes, reads closed, with a frozen tag and a payload."""
    folder = tmp_path_factory.mktemp("closed")
    environ = {"READS": "authenticated", "JWT_SECRET": JWT_SECRET}
    with databuffer(folder) as buffer, logic(buffer.url, folder, workers=1, **environ) as running:
        eventually(
            lambda: urllib3.request("GET", f"{running.url}/readyz", timeout=30).status == 200
        )
        yield Site(running.url)


def test_every_read_is_asked():
    """A route that is added must be put where it belongs."""
    needed = {endpoint for endpoint, need in ROUTES.items() if need is READ}
    asked = {re.sub(",.*", "", name) for name in CACHED}
    assert needed <= asked | OTHERWISE


@pytest.mark.parametrize("name", CACHED)
def test_an_answer_is_of_whom_it_was_given_to(site, name):
    """`private`, for as long as it was before; and who asks is part of the question."""
    path, expected = CACHED[name]
    where = path.format_map(site.names)
    answer = site.ask(where)
    assert answer.status == 200, answer.data
    assert answer.headers["Cache-Control"] == expected
    assert "Authorization" in answer.headers["Vary"]
    etag = answer.headers.get("ETag")
    if etag:
        again = site.ask(where, headers={"If-None-Match": etag})
        assert again.status == 304
        assert again.headers["Cache-Control"] == expected
        assert "Authorization" in again.headers["Vary"]


def test_a_part_of_a_payload_is_private_too(site):
    """A range is kept by caches as the whole is."""
    answer = site.ask(site.names["href"], headers={"Range": "bytes=0-1"})
    assert (answer.status, answer.data) == (206, b"by")
    assert answer.headers["Cache-Control"] == FOR_EVER


@pytest.mark.parametrize("claims", [ADMIN, reader("none")])
def test_what_is_refused_is_not_kept(site, claims):
    """A cache must not remember what is missing, nor for whom."""
    for path in ("/api/v1/global-tags/absent", "/api/v1/nonsense"):
        answer = site.ask(path, claims)
        assert answer.status == 404
        assert answer.headers["Cache-Control"] == "no-store"


def test_who_sees_other_tags_is_not_told_that_nothing_changed(site):
    """A browser's cache may be used by two people, one after the other."""
    seen = [site.ask("/api/v1/global-tags", claims) for claims in (ADMIN, reader("T"), reader("U"))]
    etags = [answer.headers["ETag"] for answer in seen]
    assert len(set(etags)) == 3
    for claims in (ADMIN, reader("U")):
        again = site.ask("/api/v1/global-tags", claims, headers={"If-None-Match": etags[1]})
        assert again.status == 200
    mine = site.ask("/api/v1/global-tags", reader("T", "else"), headers={"If-None-Match": etags[1]})
    assert mine.status == 304


def test_open_routes_stay_public(site):
    """How the API looks is the same for everybody."""
    answer = urllib3.request("GET", f"{site.url}/api/v1/openapi.json", timeout=30)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-cache"
    assert json.loads(answer.data)["openapi"]
