"""How the catalogue is looked through: millions of IOVs are neither sorted nor scanned for one."""

import sqlite3
from importlib import resources

import pytest

from datastore_logic.view import catalogue
from datastore_logic.view.catalogue import IOVS, LISTS, TAGS, Page


@pytest.fixture
def plan():
    """Return what SQLite plans to do for a query of the catalogue."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(
        resources.files("datastore_logic.view").joinpath("schema.sql").read_text()
    )

    def explained(shelf, page=None, **having):
        where = " AND ".join(f"{column} = ?" for column in having)
        bound = [*having.values()]
        condition, order = (f" WHERE {where}" if where else ""), "id"
        if page is not None:
            condition, bound = catalogue._condition(shelf, page)
            order = catalogue._order(shelf, page)
        query = catalogue._query(shelf, condition, order)
        steps = connection.execute(f"EXPLAIN QUERY PLAN {query} LIMIT 25", bound)
        return "\n".join(step[3] for step in steps)

    yield explained
    connection.close()


@pytest.mark.parametrize("page", [None, Page(), Page(descending=True), Page(sort="nonsense")])
def test_all_iovs_go_by_id_without_being_sorted(plan, page):
    """Two indexes are merged."""
    steps = plan(IOVS, page)
    assert "MERGE" in steps
    assert "USING INDEX iov_by_id" in steps
    assert "TEMP B-TREE" not in steps


def test_one_iov_is_found_by_its_id(plan):
    """In whatever list it is, or in none."""
    steps = plan(IOVS, id=7)
    assert "SEARCH i USING INDEX iov_by_id (id=?)" in steps
    assert "SEARCH loose_iov USING INTEGER PRIMARY KEY" in steps


def test_one_iov_is_found_by_its_start(plan):
    """From the tag to its list to the row."""
    steps = plan(IOVS, tag="T", payload_type="Beam", start_major=1, start_minor=2)
    assert "SEARCH i USING PRIMARY KEY (timeline_id=? AND start_major=? AND start_minor=?)" in steps


def test_a_filter_reads_no_other_lists_than_it_names(plan):
    """A tag's IOVs, or a list's, begin with the lists."""
    steps = plan(IOVS, Page(filters={"global_tag": "T"}))
    assert "SEARCH i USING PRIMARY KEY (timeline_id=?)" in steps


def test_lists_and_tags_are_found_by_index(plan):
    """Those of a tag, one by id, a tag by name."""
    assert "SEARCH l USING INDEX payload_list_by_tag (tag_id=?)" in plan(LISTS, tag_id=7)
    assert "SEARCH l USING INTEGER PRIMARY KEY" in plan(LISTS, id=7)
    assert "SEARCH global_tag USING INDEX" in plan(TAGS, name="T")
