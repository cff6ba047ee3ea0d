"""API tokens: their form, what is kept of them, and how they are judged."""

from __future__ import annotations

import hashlib
import re

import pytest

from datastore_logic.access.api_tokens import ApiToken, mint, verify
from datastore_logic.access.roles import EVERYTHING, Principal
from datastore_logic.errors import Unauthenticated

EXPIRES = 1000.0
MINTED = mint()
PRINCIPAL = Principal("ci", (EVERYTHING,), "token", EXPIRES, "alice", MINTED.id)
TOKEN = ApiToken(MINTED.id, MINTED.digest, PRINCIPAL)


def judged(told, token=TOKEN, now=EXPIRES - 1):
    """Return whose token it is, of a view that knows one."""
    return verify({token.id: token}.get, told, now).principal


def why_not(told, **circumstances):
    """Return the words with which a token is refused."""
    with pytest.raises(Unauthenticated) as refused:
        judged(told, **circumstances)
    return str(refused.value)


def with_secret(secret):
    """Return the known id with another secret."""
    return f"cst_{MINTED.id}_{secret}"


def test_a_token_is_its_owners():
    """The whole text proves the principal."""
    assert judged(MINTED.text) is PRINCIPAL


def test_no_two_tokens_are_alike_and_each_has_256_random_bits():
    """43 characters of base64 hold 256 bits."""
    some = [mint() for _ in range(100)]
    assert len({each.id for each in some}) == len({each.text for each in some}) == 100
    assert all(re.fullmatch(r"cst_[0-9a-f]{12}_[0-9A-Za-z_-]{43}", each.text) for each in some)


def test_what_is_kept_is_a_hash_and_nothing_shows_the_secret():
    """Neither the value given out nor the row has it in its repr."""
    secret = MINTED.text.split("_", 2)[2]
    assert MINTED.digest == hashlib.sha256(secret.encode()).hexdigest()
    shown = f"{MINTED!r} {TOKEN!r}"
    assert secret not in shown
    assert MINTED.digest not in shown


def test_an_unknown_id_and_a_wrong_secret_are_told_alike():
    """Nobody learns from a refusal which ids there are."""
    wrong = MINTED.text[:-1] + ("A" if MINTED.text[-1] != "A" else "B")
    assert why_not(wrong) == why_not(mint().text) == why_not("cst_") == "This is an unknown token."


SHAPELESS = [
    "", "cst", "cst__", f"{MINTED.text} ", f"{MINTED.text}\n", f" {MINTED.text}",
    MINTED.text.upper(), MINTED.text.replace("cst_", "CST_"), f"{MINTED.text}A",
    MINTED.text[:-1], with_secret(""), with_secret("é" * 43), with_secret("A" * 100_000),
    with_secret("\x00" * 43), f"cst_{'a' * 100_000}_x", f"cst_../../etc_{'A' * 43}",
    f"cst_' OR 1=1--_{'A' * 43}", f"cst_{MINTED.digest}", with_secret(MINTED.digest),
    f"cst_{MINTED.id}_{MINTED.digest[:43]}",
]  # fmt: skip


@pytest.mark.parametrize("told", SHAPELESS, ids=range(len(SHAPELESS)))
def test_what_has_not_the_form_is_no_token(told):
    """Another case, a blank, a byte too many, the hash instead of the secret: none of them."""
    assert "unknown" in why_not(told)


def test_a_revoked_token_is_refused_and_says_so():
    """To who has its secret."""
    revoked = ApiToken(MINTED.id, MINTED.digest, PRINCIPAL, revoked=True)
    assert "revoked" in why_not(MINTED.text, token=revoked)
    assert "unknown" in why_not(with_secret("A" * 43), token=revoked)


def test_a_token_is_good_until_it_expires():
    """Up to the second before, and no longer."""
    assert judged(MINTED.text, now=EXPIRES - 0.001) is PRINCIPAL
    assert "expired" in why_not(MINTED.text, now=EXPIRES)


def test_no_refusal_shows_the_token():
    """Nor any part of its secret."""
    for told, now in ((MINTED.text, EXPIRES), (MINTED.text[:-1], 0), (mint().text, 0)):
        assert told.split("_", 2)[2][:8] not in why_not(told, now=now)
