"""Whatever is done to tags, the view answers for now, for every fingerprint and for every LSN."""

from contextlib import suppress
from random import Random

import pytest
from ledger_view import LedgerView, told
from view_oracle import NAMES, Oracle

from datastore_logic.domain.tags import TagName, TagRef
from datastore_logic.errors import NotFound
from datastore_logic.view.contents import find_content
from datastore_logic.view.fingerprints import tag_fingerprint
from datastore_logic.view.lists import lists_of
from datastore_logic.view.proposals import open_proposals, proposal, proposal_of
from datastore_logic.view.tags import find_tag
from datastore_logic.view.tokens import tokens

STEPS = 40


@pytest.fixture(scope="module", params=range(25))
def lived(request, tmp_path_factory):
    """Return an oracle and a view that went through the same things, other ones each time."""
    oracle = Oracle(Random(request.param))  # noqa: S311 - chance that can be repeated
    view = LedgerView(tmp_path_factory.mktemp("view") / "view.sqlite")
    for _ in range(STEPS):
        view.add(oracle.step())
    yield oracle, view
    view.close()


def test_every_lsn_is_answered_as_it_stood(lived):
    """TAG@<LSN> says of every tag that ever was what was true then, deleted ones included."""
    oracle, view = lived
    with view.read() as snapshot:
        for lsn, state in enumerate(oracle.past):
            for name in NAMES:
                assert told(snapshot, TagRef(TagName(name), lsn=lsn)) == state.get(name)


def test_what_was_frozen_stays(lived):
    """TAG@<fingerprint> holds what was frozen, through unfreezing, changes and deletion."""
    oracle, view = lived
    with view.read() as snapshot:
        for ref, held in oracle.frozen.items():
            state, rows = told(snapshot, ref)
            assert (state, rows) == ("frozen", held)
            content = find_content(snapshot, ref)
            assert content.tag.fingerprint == ref.fingerprint
            assert content.tag.iov_count == sum(map(len, held.values()))


def test_now_is_told_with_its_counts_and_its_fingerprint(lived):
    """Maintained counts are those of the rows, and the fingerprint is the domain's."""
    oracle, view = lived
    with view.read() as snapshot:
        for name, tag in oracle.tags.items():
            held = oracle.holds(name)
            assert told(snapshot, TagRef(TagName(name))) == (tag.state, held)
            found = find_tag(snapshot, name)
            assert (found.list_count, found.fingerprint) == (len(held), tag.fingerprint)
            assert found.iov_count == sum(map(len, held.values()))
            counts = {one.payload_type: one.iov_count for one in lists_of(snapshot, found.id)}
            assert counts == {kind: len(rows) for kind, rows in held.items()}
            assert tag_fingerprint(snapshot.connection, found.id) == oracle.fingerprint(name)


def test_tokens_are_those_that_were_made_and_not_revoked(lived):
    """Whatever else happens, and however often one is revoked."""
    oracle, view = lived
    with view.read() as snapshot:
        found = tokens(snapshot, after=0, limit=STEPS)
        assert {row.id: row.in_force(0) for row in found} == oracle.tokens


def test_a_proposal_is_open_until_its_content_is_other(lived):
    """For every LSN: who had proposed what then; locking ends nothing, whatever changes does."""
    oracle, view = lived
    with view.read() as snapshot:
        for lsn, state in enumerate(oracle.proposed):
            for name, tag_id in standing(snapshot, lsn).items():
                found = proposal(snapshot, tag_id, lsn)
                assert (found and (found.lsn, found.fingerprint)) == state.get(name)
        assert any(oracle.proposed)
        now = {name: proposal(snapshot, find_tag(snapshot, name).id) for name in oracle.tags}
        assert {name: (row.lsn, row.fingerprint) for name, row in now.items() if row} == state
        assert open_proposals(snapshot, 10) == sorted(
            ((name, row) for name, row in now.items() if row), key=lambda one: -one[1].lsn
        )
        assert all(
            proposal_of(snapshot, find_tag(snapshot, n).id, r.lsn) == r for n, r in now.items() if r
        )


def standing(snapshot, lsn):
    """Return the id of each tag there was at an LSN."""
    found = {}
    for name in NAMES:
        with suppress(NotFound):
            found[name] = find_content(snapshot, TagRef(TagName(name), lsn=lsn)).tag.id
    return found


def test_an_id_never_means_another_payload(lived):
    """Whatever is trimmed, copied, detached or deleted, an id stays with its payload."""
    _, view = lived
    known = view.rows(
        "SELECT id, name FROM iov UNION SELECT id, name FROM iov_past"
        " UNION SELECT id, name FROM loose_iov"
    )
    assert len(known) == len(dict(known))


def test_two_views_of_one_ledger_hold_the_same_rows(lived, tmp_path):
    """Applied one by one or many at once, the same entries give the same rows and ids."""
    _, view = lived
    other = LedgerView(tmp_path / "view.sqlite")
    other.follow(view.lines[: STEPS // 3])
    other.follow(view.lines[STEPS // 3 :])
    tables = view.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")
    assert len(tables) > 15
    for (table,) in tables:
        query = f"SELECT * FROM {table}"  # noqa: S608 - the view's own names
        assert sorted(map(repr, view.rows(query))) == sorted(map(repr, other.rows(query))), table
    other.close()
