"""API tokens over HTTP: given, shown once, used, listed, revoked; and who may do which of it."""

from __future__ import annotations

import itertools
import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from logic_pair import pair
from servers import eventually

ADMIN = "an-admin-secret-of-many-characters"
TOKENS = "/api/v1/tokens"
SERIAL = itertools.count(1)


@pytest.fixture(scope="module", params=["anonymous", "authenticated"])
def both(tmp_path_factory, request):
    """Both tiers, which tell callers apart, reads open and closed."""
    environ = {"ADMIN_TOKEN": ADMIN, "READS": request.param}
    with pair(tmp_path_factory.mktemp("tokens"), **environ) as running:
        yield running


def bearer(token):
    """Return the header that shows a token."""
    return {"Authorization": f"Bearer {token}"}


def make(both, *grants, by=ADMIN, name=None, **told):
    """Ask for a token; return the answer."""
    grants = [{"role": role, "tags": tags} for role, tags in grants]
    body = {"name": name or f"t{next(SERIAL)}", "grants": grants, **told}
    headers = bearer(by) | told.pop("headers", {})
    body.pop("headers", None)
    return both.post(TOKENS, json.dumps(body), **headers)


def made(both, *grants, **told):
    """Return a token that was made."""
    answer = make(both, *grants, **told)
    assert answer.status == 201, answer.data
    return answer.json()


def refused(answer, status, code, field=None):
    """Check a refusal."""
    assert (answer.status, answer.json()["code"]) == (status, code), answer.data
    assert answer.json().get("field") == field
    return answer.json()


def revoke(both, token_id, by=ADMIN):
    """Ask for a revocation."""
    return both.ask("DELETE", f"{TOKENS}/{token_id}", **bearer(by))


def listed(both, by=ADMIN):
    """Return all tokens that somebody is shown, by id."""
    found, after = {}, 0
    while after is not None:
        page = both.get(f"{TOKENS}?limit=5&after={after}", **bearer(by))
        found |= {each["id"]: each for each in page["tokens"]}
        after = page["next"]
    return found


def whoami(both, token):
    """Return who the service takes somebody for; None: for nobody."""
    answer = both.ask("GET", "/api/v1/whoami", **bearer(token))
    assert answer.status in {200, 401}, answer.data
    return answer.json() if answer.status == 200 else None


def test_a_token_acts_under_its_name_within_its_grants(both):
    """The ledger's actor is its name, whoever it says it is; beyond its grants it is refused."""
    token = made(both, ("admin", "mine_.*"), ("reader", ".*"), name="ci")["token"]
    tags = "/api/v1/global-tags"
    body = json.dumps({"name": "mine_1"})
    assert both.post(f"{tags}?user=alice", body, **bearer(token)).status == 201
    (act,) = both.get(f"{tags}/mine_1/history", **bearer(token))["entries"]
    assert act["actor"] == "ci"
    other = both.post(tags, json.dumps({"name": "yours"}), **bearer(token))
    refused(other, 403, "permission_denied")


def test_who_one_is_can_be_asked(both):
    """Of a token: what it may, until when, and who is behind it."""
    told = made(both, ("editor", "a.*"), expires_in=3600)
    assert whoami(both, told["token"]) == {
        "subject": told["name"], "kind": "token", "authentication": "on",
        "grants": [{"role": "editor", "tags": "a.*"}], "expires": told["expires"],
        "made_by": "admin", "token": told["id"],
    }  # fmt: skip
    assert whoami(both, ADMIN)["kind"] == "admin"
    assert whoami(both, "cst_" + "0" * 60) is None


def test_a_secret_is_told_once_and_kept_nowhere(both):
    """Not in lists, the ledger, the view, logs, metrics or the status page; no cache keeps it."""
    answer = make(both, ("reader", ".*"))
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.json()
    secret = told["token"].split("_", 2)[2]
    assert whoami(both, told["token"])["token"] == told["id"]
    revoke(both, told["id"])
    assert whoami(both, told["token"]) is None
    for path in (TOKENS, "/metrics", "/", "/readyz"):
        assert secret.encode() not in both.ask("GET", path, **bearer(ADMIN)).data
    folder = both.logic.log.parent
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(told["id"].encode() in path.read_bytes() for path in files)
    for path in files:
        assert secret.encode() not in path.read_bytes(), path


def test_what_is_kept_of_a_secret_is_in_the_ledger_and_the_view_alone(both):
    """No list, page or log shows the hash either."""
    told = made(both, ("reader", ".*"))
    lines = both.http.request("GET", f"{both.buffer.url}/ledger?after=0").data.splitlines()
    (entry,) = [each for each in map(json.loads, lines) if each["data"].get("token") == told["id"]]
    kept = entry["data"]["sha256"].encode()
    for path in (TOKENS, "/metrics", "/", "/api/v1/whoami"):
        assert kept not in both.ask("GET", path, **bearer(ADMIN)).data
    for log in (both.logic.log, both.buffer.log):
        assert kept not in log.read_bytes()


def test_a_revoked_token_is_refused_at_the_next_request(both):
    """On every worker; the answer says why, and how to say who asks."""
    told = made(both, ("reader", ".*"))
    for _ in range(20):
        assert whoami(both, told["token"])
    answer = revoke(both, told["id"])
    assert answer.status == 200
    assert answer.json().keys() == {"id", "revoked", "lsn"}
    for _ in range(20):
        answer = both.ask("GET", "/api/v1/whoami", **bearer(told["token"]))
        assert "revoked" in refused(answer, 401, "unauthenticated")["detail"]
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_revoking_again_is_harmless(both):
    """And says since when it is."""
    told = made(both, ("reader", ".*"))
    first, again = (revoke(both, told["id"]).json()["revoked"] for _ in range(2))
    assert first == again == listed(both)[told["id"]]["revoked"]


def test_a_token_expires(both):
    """A second later it proves nothing, and says so."""
    told = made(both, ("reader", ".*"), expires_in=1)
    eventually(lambda: whoami(both, told["token"]) is None)
    answer = both.ask("GET", "/api/v1/whoami", **bearer(told["token"]))
    assert "expired" in refused(answer, 401, "unauthenticated")["detail"]


def test_an_end_is_told_as_a_time_or_in_seconds(both):
    """Without either it is in 90 days."""
    until = (datetime.now(UTC) + timedelta(days=30)).replace(microsecond=0)
    for text in (until.isoformat(), f"{until:%Y-%m-%dT%H:%M:%SZ}"):
        told = made(both, ("reader", ".*"), expires=text)
        assert datetime.fromisoformat(told["expires"]) == until
    end = datetime.fromisoformat(made(both, ("reader", ".*"))["expires"])
    assert abs(end - datetime.now(UTC) - timedelta(days=90)) < timedelta(minutes=5)


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"name": "a b"}, "name"),
        ({"name": 3}, "name"),
        ({"name": "admin"}, "name"),
        ({"name": "é"}, "name"),
        ({"grants": []}, "grants"),
        ({"grants": "admin"}, "grants"),
        ({"grants": [{}]}, "grants"),
        ({"grants": [{"role": "owner", "tags": ".*"}]}, "grants"),
        ({"grants": [{"role": ["admin"], "tags": ".*"}]}, "grants"),
        ({"grants": [{"role": "admin", "tags": "("}]}, "grants"),
        ({"grants": [{"role": "admin", "tags": ""}]}, "grants"),
        ({"grants": [{"role": "admin", "tags": "a\nb"}]}, "grants"),
        ({"grants": [{"role": "admin", "tags": "a" * 501}]}, "grants"),
        ({"grants": [{"role": "admin", "tags": ".*", "until": 1}]}, "grants"),
        ({"grants": [{"role": "reader", "tags": ".*"}] * 51}, "grants"),
        ({"expires_in": 0}, "expires_in"),
        ({"expires_in": "3600"}, "expires_in"),
        ({"expires_in": True}, "expires_in"),
        ({"expires_in": 367 * 86400}, "expires"),
        ({"expires": "tomorrow"}, "expires"),
        ({"expires": "2030-01-01T00:00:00"}, "expires"),
        ({"expires": "2020-01-01T00:00:00Z"}, "expires"),
        ({"expires": "9999-12-31T23:59:59Z"}, "expires"),
        ({"expires": "2026-12-31T23:59:59Z", "expires_in": 5}, "expires"),
        ({"secret": "mine"}, "secret"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_by_name(both, told, field):
    """And nothing is made."""
    before = len(listed(both))
    body = {"name": "odd", "grants": [{"role": "reader", "tags": ".*"}], **told}
    answer = both.post(TOKENS, json.dumps(body), **bearer(ADMIN))
    assert answer.status == 400, answer.data
    assert answer.json()["field"] == field
    assert len(listed(both)) == before


def test_a_name_is_one_tokens_while_it_is_in_force(both):
    """Once that is revoked or over, another may have it."""
    first = made(both, ("reader", ".*"), name="shift", expires_in=3600)
    refused(make(both, ("reader", ".*"), name="shift"), 409, "already_exists")
    revoke(both, first["id"])
    second = made(both, ("reader", ".*"), name="shift", expires_in=1)
    eventually(lambda: make(both, ("reader", ".*"), name="shift").status == 201)
    assert whoami(both, second["token"]) is None


def test_nobody_gives_what_they_have_not(both):
    """Neither a higher role nor other tags; what they have they may, and no longer."""
    giver = made(both, ("admin", "mine.*"), expires_in=1000)
    token = giver["token"]
    for grant in (("admin", ".*"), ("reader", "mine_1"), ("admin", "mine.*|yours")):
        answer = refused(make(both, grant, by=token), 403, "permission_denied")
        assert answer["tags"] == grant[1]
    refused(
        make(both, ("editor", "mine.*"), by=token, expires_in=1100), 400, "bad_request", "expires"
    )
    given = made(both, ("editor", "mine.*"), by=token)
    assert given["made_by"] == giver["name"]
    assert given["expires"] == giver["expires"]


def test_who_is_no_admin_gives_no_token(both):
    """On any tag at all."""
    editor = made(both, ("editor", ".*"))["token"]
    refused(make(both, ("reader", ".*"), by=editor), 403, "permission_denied")
    refused(both.ask("GET", TOKENS, **bearer(editor)), 403, "permission_denied")
    refused(both.ask("GET", TOKENS), 401, "unauthenticated")
    refused(both.post(TOKENS, "{}"), 401, "unauthenticated")
    refused(both.ask("DELETE", f"{TOKENS}/{'0' * 12}"), 401, "unauthenticated")


def test_one_sees_and_revokes_ones_own_tokens(both):
    """Those it gave, and itself; others are not there for it. An admin of all tags sees all."""
    giver, other = (made(both, ("admin", "mine.*")) for _ in range(2))
    given = made(both, ("reader", "mine.*"), by=giver["token"])
    assert listed(both, giver["token"]).keys() == {giver["id"], given["id"]}
    assert listed(both).keys() >= {giver["id"], given["id"], other["id"]}
    absent = refused(revoke(both, "0" * 12, by=other["token"]), 404, "token_not_found")
    hidden = refused(revoke(both, given["id"], by=other["token"]), 404, "token_not_found")
    assert hidden["detail"].replace(given["id"], "0" * 12) == absent["detail"]
    assert revoke(both, given["id"], by=giver["token"]).status == 200


def test_a_token_may_end_itself(both):
    """Whatever it may do else: who finds one lying about can revoke it with nothing more."""
    told = made(both, ("reader", "x"))
    assert revoke(both, told["id"], by=told["token"]).status == 200
    assert whoami(both, told["token"]) is None


def test_a_token_whose_maker_is_gone_lives_on(both):
    """It was given to somebody; it is revoked by itself."""
    giver = made(both, ("admin", "mine.*"))
    given = made(both, ("reader", "mine.*"), by=giver["token"])
    revoke(both, giver["id"])
    assert whoami(both, given["token"])["subject"] == given["name"]


def test_a_repeat_does_not_show_the_secret_again(both):
    """It says which token was made, so that nobody believes to have one whose secret was lost."""
    key = {"Idempotency_Key": f"token-{next(SERIAL)}"}
    told = {"name": "once", "grants": [{"role": "reader", "tags": ".*"}], "expires_in": 600}
    first = both.post(TOKENS, json.dumps(told), **key, **bearer(ADMIN))
    assert first.status == 201
    again = both.post(TOKENS, json.dumps(told), **key, **bearer(ADMIN))
    assert refused(again, 409, "token_already_made")["id"] == first.json()["id"]
    assert b"cst_" not in again.data
    other = both.post(TOKENS, json.dumps(told | {"name": "other"}), **key, **bearer(ADMIN))
    refused(other, 409, "idempotency_key_reused")
    assert [t["name"] for t in listed(both).values()].count("once") == 1


def test_last_use_is_told_to_the_minute(both):
    """On whichever worker it was; a token that was never used has none."""
    used, unused = (made(both, ("reader", ".*")) for _ in range(2))
    before = int(time.time()) // 60 * 60
    assert whoami(both, used["token"])
    eventually(lambda: listed(both)[used["id"]]["last_used"])
    at = datetime.fromisoformat(listed(both)[used["id"]]["last_used"])
    assert before <= at.timestamp() <= time.time()
    assert at.second == 0
    assert listed(both)[unused["id"]]["last_used"] is None


def test_using_a_token_writes_nothing_into_the_ledger(both):
    """Last use is no entry."""
    told = made(both, ("reader", ".*"))
    head = both.http.request("GET", f"{both.buffer.url}/ledger/head").json()["lsn"]
    for _ in range(10):
        assert whoami(both, told["token"])
    assert both.http.request("GET", f"{both.buffer.url}/ledger/head").json()["lsn"] == head


def test_where_nobody_is_told_apart_no_token_is_given(tmp_path):
    """It would be good for whoever asked first, once authentication is configured."""
    with pair(tmp_path) as both:
        answer = make(both, ("admin", ".*"))
        refused(answer, 409, "authentication_off")
        me = both.get("/api/v1/whoami")
        assert (me["subject"], me["kind"]) == ("anonymous", "anybody")
        assert me["authentication"] == "loopback only"
        assert both.get(TOKENS)["tokens"] == []


def test_the_ledger_says_which_token_acted(both):
    """A token may be called like a person; the entry tells the two apart."""
    token = made(both, ("admin", "by_whom"))
    body = b'{"name": "by_whom"}'
    assert both.post("/api/v1/global-tags", body, **bearer(token["token"])).status == 201
    lines = both.http.request("GET", f"{both.buffer.url}/ledger?limit=10000").data.splitlines()
    (entry,) = [told for told in map(json.loads, lines) if told["data"].get("tag") == "by_whom"]
    assert (entry["actor"], entry["data"]["by_token"]) == (token["name"], token["id"])


def test_a_key_of_another_tells_nothing_of_what_came_of_it(both):
    """Who repeats somebody else's Idempotency-Key is told that it is taken, not what it did."""
    key = {"Idempotency-Key": f"once-{next(SERIAL)}"}
    body = json.dumps({"name": "by_key"}).encode()
    mine, other = (made(both, ("admin", "by_key"))["token"] for _ in range(2))
    first = both.post("/api/v1/global-tags", body, **bearer(mine), **key)
    again = both.post("/api/v1/global-tags", body, **bearer(mine), **key)
    assert (first.status, again.status) == (201, 201)
    refused(
        both.post("/api/v1/global-tags", body, **bearer(other), **key),
        *(409, "idempotency_key_reused"),
    )


def test_a_revocation_is_not_told_to_who_may_not_revoke(both):
    """Not even to who knows the key under which it was done."""
    victim, stranger = made(both, ("reader", "x")), made(both, ("reader", "x"))
    key = {"Idempotency-Key": f"once-{next(SERIAL)}"}
    path = f"{TOKENS}/{victim['id']}"
    assert both.ask("DELETE", path, **bearer(ADMIN), **key).status == 200
    assert both.ask("DELETE", path, **bearer(stranger["token"]), **key).status == 404
