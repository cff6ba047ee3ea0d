"""The tiers with a secret between them: shown, changed, not shared; links; whom a ledger names."""

import contextlib
import json
import urllib.parse
from pathlib import Path

import pytest
import urllib3
from logic_pair import Pair
from servers import databuffer, eventually, logic

NEW = "new-0123456789abcdef0123456789abcdef"
OLD = "old-0123456789abcdef0123456789abcdef"
ADMIN = "admin-0123456789abcdef0123456789abcd"
BEARER = {"Authorization": f"Bearer {ADMIN}"}
CONTENT = b"the bytes of a payload"


@contextlib.contextmanager
def secured(folder, theirs, ours, **environ):
    """Run both tiers, each with its own idea of the secret; an admin is known."""
    with (
        databuffer(folder, BUFFER_TOKEN=theirs) as buffer,
        logic(buffer.url, folder, BUFFER_TOKEN=ours, ADMIN_TOKEN=ADMIN,
              BUFFER_PUBLIC_URL=buffer.url, **environ) as tier,
    ):  # fmt: skip
        both = Pair(buffer, tier)
        yield both
        both.http.clear()


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Run both tiers; the databuffer has not heard of the new secret yet."""
    with secured(tmp_path_factory.mktemp("secret"), OLD, f"{NEW},{OLD}") as running:
        running.settle()
        yield running


@pytest.fixture
def stored(both):
    """Store a payload and return the path of its bytes."""
    answer = both.post("/api/v1/payloads", CONTENT, **BEARER)
    assert answer.status in {200, 201}, answer.data
    return answer.json()["href"]


def link(both, stored, **query):
    """Ask for a link."""
    return both.ask("GET", f"{stored}/link?{urllib.parse.urlencode(query)}")


def test_everything_goes_on_while_the_secret_is_changed(both, stored):
    """Streams, ledger, payloads: the second of two is taken."""
    assert both.ask("GET", stored).data == CONTENT
    sent = both.post("/stream", '{"h":[1,2],"t":[1000000000,1]}', **BEARER)
    assert sent.status == 201, sent.data
    made = both.post("/api/v1/global-tags", '{"name":"mine"}', **BEARER)
    assert made.status == 201, made.data


def test_without_the_secret_the_databuffer_gives_nothing(both, stored):
    """It is the logic tier that everybody asks."""
    path = stored.replace("/api/v1/payloads", "/blobs")
    for headers in ({}, {"Authorization": f"Bearer {NEW}"}, BEARER):
        for where in (path, "/ledger?after=0", "/ledger/head"):
            assert both.http.request("GET", both.buffer.url + where, headers=headers).status == 401


def test_a_link_gives_the_payload_to_whoever_has_it(both, stored):
    """By GET and HEAD, no longer than it says."""
    told = link(both, stored, lifetime=60).json()
    found = both.http.request("GET", told["url"])
    assert (found.status, found.data) == (200, CONTENT)
    assert both.http.request("HEAD", told["url"]).status == 200
    assert both.http.request("PUT", told["url"], body=CONTENT).status == 401


def test_a_link_is_for_one_payload_and_one_time(both, stored):
    """Another digest, a later end, another signature: 401 or 403, and no bytes."""
    url = link(both, stored, lifetime=60).json()["url"]
    other = both.post("/api/v1/payloads", b"another", **BEARER).json()["digest"][-64:]
    hexdigits, expires = stored[-64:], url.partition("expires=")[2].partition("&")[0]
    for changed in (
        url.replace(hexdigits, other),
        url.replace(expires, str(int(expires) + 1)),
        url[:-1] + ("0" if url[-1] != "0" else "1"),
        url.partition("&")[0],
        url.partition("?")[0],
    ):
        refused = both.http.request("GET", changed)
        assert refused.status in {401, 403}
        assert CONTENT not in refused.data


def test_a_link_is_kept_by_no_cache(both, stored):
    """It is as good as a credential."""
    answer = link(both, stored)
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("lifetime", ["0", "-1", "82801", "1e3", "", "9" * 30, "\u0663"])
def test_a_link_is_good_for_a_day_at_most(both, stored, lifetime):
    """400, and the parameter's name."""
    refused = link(both, stored, lifetime=lifetime)
    assert (refused.status, refused.json()["field"]) == (400, "lifetime")


def test_there_is_no_link_to_what_is_not_there(both):
    """Nor to what cannot be a digest."""
    absent = f"/api/v1/payloads/sha256/{'0f' * 32}"
    assert link(both, absent).json()["code"] == "payload_not_found"
    assert link(both, absent[:-1]).status == 400


def test_the_ledger_names_who_was_verified(both):
    """Also in the entries that the databuffer writes, whatever the caller says of himself."""
    both.post("/stream?user=mallory", '{"h":[1,2],"t":[1000000100,1]}', **BEARER)
    headers = {"Authorization": f"Bearer {OLD}"}
    lines = both.http.request("GET", f"{both.buffer.url}/ledger?after=0", headers=headers).data
    entries = [json.loads(line) for line in lines.splitlines()]
    assert {"buffer.stored"} <= {entry["type"] for entry in entries}
    assert {entry["actor"] for entry in entries} == {"admin"}
    for secret in (OLD, NEW, ADMIN):
        assert secret.encode() not in lines


def test_tiers_that_share_no_secret_answer_503_and_say_so(tmp_path):
    """The caller has done nothing wrong; no secret is in any answer or log."""
    with secured(tmp_path, OLD, NEW) as both:
        told = [
            both.post("/api/v1/payloads", CONTENT, **BEARER),
            both.ask("GET", f"/api/v1/payloads/sha256/{'0f' * 32}"),
            both.post("/stream", '{"h":[1],"t":[1,1]}', **BEARER),
        ]
        assert [answer.status for answer in told] == [503] * 3
        assert all(answer.headers["Retry-After"] for answer in told)
        assert "do not share a BUFFER_TOKEN" in told[0].json()["detail"]
        assert both.ask("GET", "/api/cdb_rest/gt").status in {503, 504}
        eventually(lambda: "do not share a BUFFER_TOKEN" in both.logic.log.read_text())
        for log in (both.logic.log, both.buffer.log):
            assert not any(secret in log.read_text() for secret in (OLD, NEW, ADMIN))
        for process in (both.logic.process, both.buffer.process):
            line = Path(f"/proc/{process.pid}/cmdline").read_text()
            assert not any(secret in line for secret in (OLD, NEW, ADMIN))


def test_without_an_address_no_links_are_offered(tmp_path):
    """404, of its own code."""
    with (
        databuffer(tmp_path) as buffer,
        logic(buffer.url, tmp_path, workers=1) as tier,
    ):
        asked = f"{tier.url}/api/v1/payloads/sha256/{'0f' * 32}/link"
        answer = urllib3.request("GET", asked, timeout=30)
        assert (answer.status, answer.json()["code"]) == (404, "links_not_offered")
