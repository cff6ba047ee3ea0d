"""What stands at a moment, looked up in SQLite, beside brute force over the same rows."""

import pytest
from hypothesis import HealthCheck, given, settings
from timelines import MOMENTS, check, contents, ledgered

from datastore_logic.domain.moment import Moment
from datastore_logic.domain.tags import TagName, TagRef
from datastore_logic.view.contents import find_content
from datastore_logic.view.standing import FIRST_AFTER, LAST_OF_EACH, look_up

SETTINGS = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def view(tmp_path):
    """Return an empty view."""
    with ledgered(tmp_path) as made:
        yield made


def looked_up(view, ref, moment):
    """Return what stands at a moment in what a reference names."""
    with view.database.snapshot() as snapshot:
        content = find_content(snapshot, ref)
        return look_up(snapshot.connection, content, Moment(*moment))


@SETTINGS
@given(content=contents(), moment=MOMENTS)
def test_what_stands_is_what_brute_force_finds(view, content, moment):
    """In a tag as it is now, with gaps and open ends, at the first and the last moment."""
    tag = f"T{len(view.buffer.lines)}"
    view.hold(tag, content)
    check(looked_up(view, TagRef(TagName(tag)), moment), content, moment)


@SETTINGS
@given(content=contents(), later=contents(), moment=MOMENTS)
def test_frozen_content_stands_under_its_fingerprint(view, content, later, moment):
    """Whatever the tag holds once it is unfrozen."""
    tag = TagName(f"T{len(view.buffer.lines)}")
    view.hold(tag, content)
    view.freeze(tag, "ab" * 32)
    view.unfreeze(tag)
    view.change(tag, content, later)
    check(looked_up(view, TagRef(tag, "ab" * 32), moment), content, moment)
    check(looked_up(view, TagRef(tag), moment), later, moment)


@SETTINGS
@given(one=contents(), two=contents(), three=contents(), moment=MOMENTS)
def test_what_stood_at_an_lsn_still_stands_there(view, one, two, three, moment):
    """However often it was replaced since."""
    tag = TagName(f"T{len(view.buffer.lines)}")
    stood = {view.hold(tag, one): one}
    stood[view.change(tag, one, two)] = two
    stood[view.change(tag, two, three)] = three
    for lsn, content in stood.items():
        check(looked_up(view, TagRef(tag, lsn=lsn), moment), content, moment)


@pytest.mark.parametrize("query", [LAST_OF_EACH, FIRST_AFTER])
def test_each_step_searches_a_primary_key(query, view):
    """Nothing scans the table of IOVs or sorts: each row is found by the primary key."""
    view.hold("X", {})
    asked = {"timeline": 1, "major": 1, "minor": 1}
    with view.database.snapshot() as snapshot:
        steps = snapshot.connection.execute(
            f"EXPLAIN QUERY PLAN {query.replace('{timelines}', '1,2')}", asked
        )
        plan = [step[3] for step in steps]
    assert not [step for step in plan if "SCAN" in step or "TEMP B-TREE" in step], plan
    assert [step for step in plan if step.startswith("SEARCH iov USING PRIMARY KEY")], plan
