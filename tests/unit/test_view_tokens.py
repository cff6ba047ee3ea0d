"""API tokens in the view, and what a process remembers of them."""

from __future__ import annotations

import logging
import threading

import pytest
from ledger_view import STREAM, LedgerView

from datastore_logic.access.roles import Role
from datastore_logic.domain.errors import BadEvent
from datastore_logic.domain.events import Given, TagCreated, TokenMade, TokenRevoked
from datastore_logic.domain.tags import TagName, TokenName
from datastore_logic.errors import NotFound, ViewBuilding
from datastore_logic.view import tokens
from datastore_logic.view.database import Database
from datastore_logic.view.tokens import KnownTokens, find_token, token_made_by, tokens_named

ID, OTHER = "0123456789ab", "ba9876543210"
EDITOR = (Given("editor", "prompt.*"),)


def made(token_id=ID, name="ci", grants=EDITOR, expires=2000, **told):
    """Return the entry of a token."""
    return TokenMade(token_id, TokenName(name), "0f" * 32, grants, expires, "alice", **told)


@pytest.fixture
def view(tmp_path):
    """A ledger and its view."""
    lived = LedgerView(tmp_path / "view.sqlite")
    yield lived
    lived.close()


@pytest.fixture
def known(view, tmp_path):
    """What a process remembers of the tokens of that view."""
    database = Database(tmp_path / "view.sqlite", STREAM)
    yield KnownTokens(database)
    database.close()


def test_a_token_is_known_with_what_it_may(view):
    """Its name is the subject, its maker is behind it, its grants are parsed."""
    lsn = view.add(made(made_with=OTHER))
    with view.read() as snapshot:
        row = find_token(snapshot, ID)
        assert row == token_made_by(snapshot, lsn)
        assert [row] == tokens_named(snapshot, "ci")
    assert (row.made_by, row.made_with, row.lsn, row.revoked) == ("alice", OTHER, lsn, None)
    principal = row.known().principal
    assert (principal.subject, principal.kind, principal.token_id) == ("ci", "token", ID)
    assert (principal.made_by, principal.expires) == ("alice", 2000.0)
    assert principal.may(Role.EDITOR, "prompt_1")
    assert not principal.may(Role.EDITOR, "final")
    assert not principal.may(Role.ADMIN, "prompt_1")


def test_a_token_is_in_force_until_it_expires_or_is_revoked(view):
    """And stays revoked since the first time."""
    view.add(made())
    with view.read() as snapshot:
        row = find_token(snapshot, ID)
        assert (row.in_force(1999), row.in_force(2000)) == (True, False)
    view.add(TokenRevoked(ID))
    with view.read() as snapshot:
        first = find_token(snapshot, ID)
    view.add(TokenRevoked(ID))
    with view.read() as snapshot:
        assert find_token(snapshot, ID) == first
    assert not first.in_force(0)
    assert first.known().revoked


def test_no_token_shows_its_hash(view):
    """Neither the row nor what requests are judged by."""
    view.add(made())
    with view.read() as snapshot:
        row = find_token(snapshot, ID)
    assert "0f0f" not in f"{row!r} {row.known()!r}"


def test_a_grant_that_is_not_understood_grants_nothing(view, caplog):
    """A newer version's role, or a pattern that RE2 does not take, says so in the log."""
    odd = (Given("owner", ".*"), Given("editor", "("), *EDITOR)
    view.add(made(grants=odd))
    with view.read() as snapshot, caplog.at_level(logging.WARNING):
        principal = find_token(snapshot, ID).known().principal
    assert [grant.pattern.text for grant in principal.grants] == ["prompt.*"]
    assert caplog.text.count("not understood") == 2


def test_what_is_not_there_is_not_revoked(view):
    """An entry that says so is damaged."""
    with pytest.raises(BadEvent, match="unknown token"):
        view.add(TokenRevoked(ID))
    with view.read() as snapshot, pytest.raises(NotFound):
        find_token(snapshot, ID)


def test_a_revocation_is_heeded_at_the_very_next_look(view, known):
    """What is remembered is forgotten as soon as the view has another entry about tokens."""
    view.add(made())
    assert known.find(ID) is known.find(ID)
    view.add(TokenRevoked(ID))
    assert known.find(ID).revoked


def test_what_is_known_outlives_other_entries(view, known):
    """Only entries about tokens make a process look again."""
    view.add(made())
    first = known.find(ID)
    view.add(TagCreated(TagName("X")))
    assert known.find(ID) is first
    view.add(made(OTHER, "other"))
    assert known.find(ID) is not first


def test_what_is_not_there_is_not_remembered(view, known):
    """A token that is made later is known at once, and asking for many fills no memory."""
    assert known.find(ID) is None
    view.add(made())
    assert known.find(ID).principal.subject == "ci"
    assert known.find(OTHER) is None
    assert set(known._met.tokens) == {ID}


def test_no_more_is_remembered_than_there_is_room_for(view, known, monkeypatch):
    """The others are looked up each time."""
    monkeypatch.setattr(tokens, "REMEMBERED", 1)
    view.add(made())
    view.add(made(OTHER, "other"))
    assert known.find(ID) is known.find(ID)
    assert known.find(OTHER).principal.subject == "other"
    assert len(known._met.tokens) == 1


def test_while_the_view_is_built_nobody_is_called_unknown(tmp_path):
    """A token of whom this replica has not heard yet is no reason for a 401."""
    database = Database(tmp_path / "view.sqlite", STREAM)
    with pytest.raises(ViewBuilding):
        KnownTokens(database).find(ID)
    database.prepare()
    with pytest.raises(ViewBuilding):
        KnownTokens(database).find(ID)
    database.close()


def test_a_view_that_has_not_caught_up_answers_for_no_token(view, known):
    """Not even from memory: it may be at an entry before the one that revoked it."""
    view.add(made())
    known.find(ID)
    with view._database.applying() as connection:
        connection.execute("UPDATE position SET complete = 0")
    with known._database.any_snapshot():
        pass  # as /readyz reads it, and remembers where it stood
    with pytest.raises(ViewBuilding):
        known.find(ID)


def test_a_view_that_is_replaced_is_looked_at_anew(view, known, tmp_path):
    """While it is rebuilt nobody is unknown; then what the ledger says now counts."""
    view.add(made())
    known.find(ID)
    with view.read() as snapshot:
        stood = snapshot.position
    view._database.discard(stood)
    with pytest.raises(ViewBuilding):
        known.find(ID)
    other = LedgerView(tmp_path / "view.sqlite")
    assert known.find(ID) is None
    other.add(made(expires=5))
    assert known.find(ID).principal.expires == 5.0
    other.close()


def test_threads_that_ask_while_it_is_revoked_never_go_back(view, known):
    """Once one of them has seen it revoked, it stays revoked for that one."""
    view.add(made())
    relapses, stop = [], threading.Event()

    def ask():
        seen = False
        while not stop.is_set():
            is_revoked = known.find(ID).revoked
            relapses.extend([ID] if seen and not is_revoked else [])
            seen = is_revoked

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(20):
        view.add(TagCreated(TagName(f"X{number}")))
        view.add(made(f"{number:012x}", f"t{number}"))
    view.add(TokenRevoked(ID))
    assert known.find(ID).revoked
    stop.set()
    for thread in threads:
        thread.join()
    assert not relapses
