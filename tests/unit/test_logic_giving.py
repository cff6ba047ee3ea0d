"""What a principal may hand on in an API token, and whose a token is."""

from __future__ import annotations

import pytest

from datastore_logic.access.giving import (
    DAY,
    DEFAULT_DAYS,
    MOST_DAYS,
    Owner,
    expiry,
    owner_of,
    person_behind,
    refuse_reserved,
    refuse_to_give,
)
from datastore_logic.access.roles import EVERYTHING, Grant, Principal, Role, TagPattern
from datastore_logic.domain.errors import BadName
from datastore_logic.domain.tags import TokenName
from datastore_logic.errors import BadRequest, CannotGive

NOW = 1_795_262_400.5


def grant(role, tags):
    """Return a grant."""
    return Grant(Role(role), TagPattern.parse(tags))


def principal(*grants, kind="jwt", expires=None, **told):
    """Return who gives."""
    return Principal("alice", grants, kind, expires, **told)


@pytest.mark.parametrize(
    ("held", "given", "may"),
    [
        (("admin", ".*"), ("admin", ".*"), True),
        (("admin", ".*"), ("editor", "whatever.*"), True),
        (("admin", "prompt.*"), ("admin", "prompt.*"), True),
        (("admin", "prompt.*"), ("reader", "prompt.*"), True),
        (("admin", "prompt.*"), ("reader", "prompt_1"), False),
        (("admin", "prompt.*"), ("reader", ".*"), False),
        (("admin", "prompt.*"), ("admin", "prompt.*|final"), False),
        (("editor", "prompt.*"), ("admin", "prompt.*"), False),
        (("editor", ".*"), ("reader", "x"), False),
        (("admin", "(.*)"), ("admin", ".*"), False),
    ],
)
def test_nobody_gives_what_they_have_not(held, given, may):
    """The same pattern as it is written, the same role or a lower one; admins of all give all."""
    if may:
        refuse_to_give(principal(grant(*held)), [grant(*given)])
    else:
        with pytest.raises(CannotGive) as refused:
            refuse_to_give(principal(grant(*held)), [grant(*given)])
        assert refused.value.told == {"role": given[0], "tags": given[1]}


def test_each_of_the_grants_must_be_held():
    """One that is not spoils all."""
    giver = principal(grant("admin", "a"), grant("editor", "b"))
    refuse_to_give(giver, [grant("editor", "a"), grant("editor", "b")])
    with pytest.raises(CannotGive):
        refuse_to_give(giver, [grant("editor", "a"), grant("admin", "b")])


def test_a_token_lasts_as_long_as_is_usual_unless_somebody_says():
    """90 days, at most 366, and not what is over already."""
    giver = principal(EVERYTHING, expires=NOW + 60)  # a JWT's end is not that of what it gives
    assert expiry(giver, None, NOW) == int(NOW + DEFAULT_DAYS * DAY)
    assert expiry(giver, NOW + 5, NOW) == int(NOW + 5)
    assert expiry(giver, NOW + MOST_DAYS * DAY, NOW) == int(NOW + MOST_DAYS * DAY)
    for wrong in (NOW, NOW - 1, 0, NOW + MOST_DAYS * DAY + 1, 1e18):
        with pytest.raises(BadRequest) as refused:
            expiry(giver, wrong, NOW)
        assert refused.value.field == "expires"


def test_no_token_outlasts_the_token_that_gave_it():
    """Neither by its own wish nor by default."""
    giver = principal(EVERYTHING, kind="token", expires=NOW + 60)
    assert expiry(giver, None, NOW) == expiry(giver, NOW + 60, NOW) == int(NOW + 60)
    with pytest.raises(BadRequest):
        expiry(giver, NOW + 61, NOW)


def test_a_person_stays_the_person_through_any_number_of_tokens():
    """Who gives themselves a token does not become somebody else by it."""
    assert person_behind(principal(EVERYTHING)) == "alice"
    assert person_behind(principal(kind="token", made_by="bob", token_id="0" * 12)) == "bob"


def test_who_got_a_token_of_the_founders_is_a_person():
    """What they make in their turn is theirs, not the founder's."""
    assert person_behind(principal(kind="token", made_by="admin", token_id="0" * 12)) == "alice"


def test_whose_tokens_one_sees():
    """Everybody's as an admin of all tags; else a person's own, or those a token gave."""
    assert owner_of(principal(EVERYTHING)) is None
    assert owner_of(principal(grant("admin", "a.*"))) == Owner(person="alice")
    token = principal(grant("admin", "a.*"), kind="token", made_by="bob", token_id="0" * 12)
    assert owner_of(token) == Owner(token_id="0" * 12)


def test_a_token_has_itself_and_what_it_made():
    """Not what the person behind it made otherwise; nor has a person what others made."""
    mine, hers = Owner(None, "m"), Owner("alice")
    assert mine.has("m", "alice", None)
    assert mine.has("x", "alice", "m")
    assert not mine.has("x", "alice", None)
    assert hers.has("x", "alice", "m")
    assert not hers.has("alice", "bob", "alice")
    assert not Owner().has("x", "alice", None)


@pytest.mark.parametrize("name", ["admin", "anonymous"])
def test_a_token_is_not_called_as_others_are(name):
    """The ledger would take it for them."""
    with pytest.raises(BadName):
        refuse_reserved(TokenName(name))
    refuse_reserved(TokenName("ci"))
