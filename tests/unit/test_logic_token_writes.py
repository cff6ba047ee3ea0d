"""What is written by an API token is on condition that nobody has revoked it."""

from __future__ import annotations

import orjson
import pytest
from logic_fakes import FakeBuffer, small_app

from datastore_logic.access.secret import Secret
from datastore_logic.access.settings import Access

ADMIN = "an-admin-secret-of-many-characters"
TAGS = "/api/v1/global-tags"


@pytest.fixture
def buffer():
    """Return a databuffer in memory."""
    return FakeBuffer()


@pytest.fixture
def ask(buffer, tmp_path):
    """Make a client of an application that tells callers apart."""
    access = Access(admin_token=Secret("ADMIN_TOKEN", (ADMIN,)))
    with small_app(tmp_path, buffer, access=access) as app:
        yield app.test_client()


def bearer(token):
    """Return the headers that show a token."""
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def token(ask):
    """Make a token."""
    body = {"name": "ci", "grants": [{"role": "admin", "tags": "a.*"}]}
    return ask.post("/api/v1/tokens", json=body, headers=bearer(ADMIN)).json


def entries(buffer):
    """Return type and actor of each entry."""
    told = [orjson.loads(line) for line in buffer.lines]
    return [(each["type"], each["actor"]) for each in told]


def revoked_elsewhere(buffer, token):
    """Append the revocation of a token, of which the replica has not heard."""
    buffer.write("token.revoked", {"token": token["id"]}, f"token/{token['id']}")


def test_a_write_that_was_decided_before_a_revocation_is_not_appended_after(buffer, ask, token):
    """The ledger says so although this replica had not heard of it; the caller is told why."""
    buffer.before_append = lambda: revoked_elsewhere(buffer, token)
    refused = ask.post(TAGS, json={"name": "a1"}, headers=bearer(token["token"]))
    assert (refused.status_code, refused.json["code"]) == (401, "unauthenticated")
    assert "revoked" in refused.json["detail"]
    assert [kind for kind, _ in entries(buffer)] == ["token.made", "token.revoked"]


def test_tokens_that_others_make_hinder_nobody(buffer, ask, token):
    """Only one's own token is a condition."""
    other = {"name": "other", "grants": [{"role": "reader", "tags": "a.*"}]}
    buffer.before_append = lambda: ask.post("/api/v1/tokens", json=other, headers=bearer(ADMIN))
    made = ask.post(TAGS, json={"name": "a1"}, headers=bearer(token["token"]))
    assert made.status_code == 201
    assert [kind for kind, _ in entries(buffer)] == ["token.made", "token.made", "tag.created"]


def test_two_tokens_made_at_once_under_one_name_are_one(buffer, ask, token):
    """The slower one is told that the name is taken."""
    twin = {"name": "twin", "grants": [{"role": "reader", "tags": "a.*"}]}
    first = []

    def faster():
        first.append(ask.post("/api/v1/tokens", json=twin, headers=bearer(ADMIN)))

    buffer.before_append = faster
    second = ask.post("/api/v1/tokens", json=twin, headers=bearer(ADMIN))
    assert (first[0].status_code, second.status_code) == (201, 409)
    assert second.json["code"] == "already_exists"


def test_a_secret_that_another_replica_made_under_the_same_key_is_not_told(buffer, ask):
    """Nor one of this replica's own: the ledger has the other's."""
    body = {"name": "ci", "grants": [{"role": "reader", "tags": "a.*"}]}
    key = {"Idempotency-Key": "once"}
    first = []

    def faster():
        first.append(ask.post("/api/v1/tokens", json=body, headers=bearer(ADMIN) | key))

    buffer.before_append = faster
    second = ask.post("/api/v1/tokens", json=body, headers=bearer(ADMIN) | key)
    assert first[0].status_code == 201
    assert (second.status_code, second.json["code"]) == (409, "token_already_made")
    assert second.json["id"] == first[0].json["id"]
    assert "cst_" not in second.text
