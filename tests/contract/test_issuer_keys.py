"""Tokens of an issuer, at a running replica: it fetches the keys by itself, and when it may."""

import time

import pytest
from issuer import ALICE, AUDIENCE, ISSUER, SECRET, key_server, key_set, public, rsa_key, token
from logic_pair import Pair
from servers import databuffer, eventually, logic

CLAIMS = {**ALICE, "b2cdb:admin": "mine.*"}


@pytest.fixture(scope="module")
def issuer():
    """Run an issuer that has no keys yet."""
    with key_server(b"not yet") as running:
        yield running


@pytest.fixture(scope="module")
def both(issuer, tmp_path_factory):
    """Run both tiers; the logic tier believes that issuer, and a secret."""
    folder = tmp_path_factory.mktemp("issuer")
    told = {"JWT_JWKS": issuer.url, "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE}
    with (
        databuffer(folder) as buffer,
        logic(buffer.url, folder, workers=1, JWT_SECRET=SECRET, **told) as tier,
    ):
        running = Pair(buffer, tier)
        running.settle()
        yield running
        running.http.clear()


def create(both, name, *key, **header):
    """Create a tag with a token that is signed by this key."""
    sent = token({**CLAIMS, "exp": int(time.time()) + 600}, *key, **header)
    return both.post("/api/v1/global-tags", f'{{"name":"{name}"}}', Authorization=f"Bearer {sent}")


def test_an_issuer_is_away_and_comes_back(both, issuer):
    """503 meanwhile, for nobody knows whether the token is good; others go on; no restart."""
    signed = (rsa_key(), "RS256")
    away = create(both, "mine1", *signed, kid="rsa")
    assert (away.status, away.json()["code"]) == (503, "issuer_away")
    assert int(away.headers["Retry-After"]) >= 1
    assert create(both, "mine2").status == 201
    issuer.content = key_set(public(rsa_key(), "rsa"))
    eventually(lambda: create(both, "mine1", *signed, kid="rsa").status == 201, within=30)
    assert create(both, "other", *signed, kid="rsa").status == 403
    assert create(both, "mine3", rsa_key("other"), "RS256", kid="rsa").status == 401
    assert issuer.asked == 2
