"""Global tags over HTTP: made, listed by pages, cloned, locked, frozen, unfrozen, deleted."""

import json
from itertools import pairwise

import pytest
from logic_pair import pair

TAGS = "/api/v1/global-tags"
BEAM = {"payload_type": "Beam", "start": [5, 0], "name": "b5"}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Run both tiers for the tests of this file."""
    with pair(tmp_path_factory.mktemp("tags")) as running:
        yield running


def made(both, name, **told):
    """Make a tag with one IOV and return its row."""
    answer = both.post(TAGS, json.dumps({"name": name, **told}))
    assert answer.status == 201, answer.data
    inserted = both.post(f"{TAGS}/{name}/iovs", json.dumps({"iovs": [BEAM]}))
    assert inserted.status == 201, inserted.data
    return answer.json()


def test_a_new_tag_says_all_there_is_to_say(both):
    """Every field of the row, the author included."""
    row = made(both, "row", description="for O4", author="alice", state="locked")
    assert row == {
        "name": "row",
        "state": "locked",
        "fingerprint": None,
        "description": "for O4",
        "author": "alice",
        "streamed": False,
        "created": row["created"],
        "updated": row["created"],
        "payload_list_count": 0,
        "payload_iov_count": 0,
        "lsn": row["lsn"],
    }


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({}, "name"),
        ({"name": 1}, "name"),
        ({"name": None}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "a@1"}, "name"),
        ({"name": "n" * 201}, "name"),
        ({"name": "x", "description": 1}, "description"),
        ({"name": "x", "description": "d" * 10_001}, "description"),
        ({"name": "x", "author": []}, "author"),
        ({"name": "x", "author": "a" * 201}, "author"),
        ({"name": "x", "state": "frozen"}, "state"),
        ({"name": "x", "state": "Locked"}, "state"),
        ({"name": "x", "state": None}, "state"),
        ({"name": "x", "stat": "locked"}, "stat"),
    ],
)
def test_a_tag_that_cannot_be_is_refused_by_its_field(both, told, field):
    """400, and there is no such tag afterwards; a misspelt field never means nothing."""
    refused = both.post(TAGS, json.dumps(told))
    assert (refused.status, refused.json()["field"]) == (400, field)
    assert both.ask("GET", f"{TAGS}/x").status == 404


def test_pages_of_tags_are_complete_and_in_order(both):
    """By name, each page after the last name of the one before, nothing twice."""
    for number in range(7):
        made(both, f"page-{number}")
    seen, after, pages = [], "page-", 0
    while after is not None:
        page = both.get(f"{TAGS}?after={after}&limit=3&search=PAGE-")
        seen += [row["name"] for row in page["global_tags"]]
        assert len(page["global_tags"]) <= 3
        after, pages = page["next"], pages + 1
    assert seen == [f"page-{number}" for number in range(7)]
    assert pages == 3


def test_a_full_last_page_has_no_next(both):
    """As many as the limit and no more: that is the end."""
    for number in range(2):
        made(both, f"full-{number}")
    assert both.get(f"{TAGS}?limit=2&search=full-")["next"] is None
    assert both.get(f"{TAGS}?limit=1&search=full-")["next"] == "full-0"


def test_tags_are_found_by_words_and_by_state(both):
    """A part of the name or the author, whatever its case; % and _ mean themselves."""
    made(both, "Found_1", author="Bob Builder")
    made(both, "found-2", state="locked")
    assert names(both, "search=fOuNd") == ["Found_1", "found-2"]
    assert names(both, "search=found_") == ["Found_1"]
    assert names(both, "search=bob%20b") == ["Found_1"]
    assert names(both, "search=%25") == []
    assert names(both, "search=found&state=locked") == ["found-2"]


def names(both, query):
    """Return the names of the tags of a query."""
    return [row["name"] for row in both.get(f"{TAGS}?{query}")["global_tags"]]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("limit=", "limit"),
        ("state=open", "state"),
        ("search=" + "s" * 201, "search"),
        ("after=" + "s" * 201, "after"),
        ("page=2", "page"),
        ("limit=1&limit=2", "limit"),
    ],
)
def test_a_list_that_cannot_be_is_refused_by_its_field(both, query, field):
    """400 names the parameter, also one that nobody knows or that is given twice."""
    refused = both.ask("GET", f"{TAGS}?{query}")
    assert (refused.status, refused.json()["field"]) == (400, field)


def test_a_tag_shows_its_lists(both):
    """By type, with names, numbers and extents; counts and lists have names of their own."""
    made(both, "shown")
    closed = {"payload_type": "Alpha", "start": [1, 2], "end": [3, 4], "name": "a"}
    both.post(f"{TAGS}/shown/iovs", json.dumps({"iovs": [closed]}))
    told = both.get(f"{TAGS}/shown")
    assert (told["payload_list_count"], told["payload_iov_count"]) == (2, 2)
    alpha, beam = told["payload_lists"]
    assert alpha | {"name": ""} == {
        "payload_type": "Alpha",
        "name": "",
        "payload_iovs": 1,
        "begin": [1, 2],
        "end": [3, 4],
    }
    assert (beam["payload_type"], beam["begin"], beam["end"]) == ("Beam", [5, 0], None)
    assert both.get(f"/api/v1/payload-lists/{beam['name']}")["global_tag"] == "shown"


def test_a_clone_has_the_content_and_goes_its_own_way(both):
    """201 with its row; what is written to either is not in the other; a taken name is 409."""
    made(both, "origin", description="first", state="locked")
    clone = both.post(f"{TAGS}/origin/clone", '{"name":"copy"}')
    assert clone.status == 201
    row = clone.json()
    assert (row["state"], row["payload_iov_count"], row["description"]) == ("unlocked", 1, "first")
    late = {"payload_type": "Beam", "start": [7, 0], "name": "b7"}
    both.post(f"{TAGS}/copy/iovs", json.dumps({"iovs": [late]}))
    assert held(both, "copy", 8) == ["b7"]
    assert held(both, "origin", 8) == ["b5"]
    taken = both.post(f"{TAGS}/origin/clone", '{"name":"copy"}')
    assert (taken.status, taken.json()["code"]) == (409, "already_exists")
    bad = both.post(f"{TAGS}/origin/clone", '{"name":"a b"}')
    assert (bad.status, bad.json()["field"]) == (400, "name")
    assert both.post(f"{TAGS}/nobody/clone", '{"name":"c"}').status == 404


def test_a_tag_is_cloned_as_it_stood(both):
    """From TAG@<lsn> and from TAG@<fingerprint>, and a description of its own."""
    made(both, "past")
    then = both.get(f"{TAGS}/past")["lsn"]
    mark = both.post(f"{TAGS}/past/freeze").json()["fingerprint"]
    both.post(f"{TAGS}/past/unfreeze", '{"reason":"more to come"}')
    late = {"payload_type": "Beam", "start": [7, 0], "name": "b7"}
    both.post(f"{TAGS}/past/iovs", json.dumps({"iovs": [late]}))
    by_lsn = both.post(f"{TAGS}/past@{then}/clone", '{"name":"by-lsn","description":"again"}')
    by_mark = both.post(f"{TAGS}/past@{mark}/clone", '{"name":"by-mark"}')
    by_word = both.post(f"{TAGS}/past/clone?as_of={then}", '{"name":"by-word"}')
    assert [answer.status for answer in (by_lsn, by_mark, by_word)] == [201] * 3
    assert by_lsn.json()["description"] == "again"
    for name in ("by-lsn", "by-mark", "by-word"):
        assert held(both, name, 8) == ["b5"]


def held(both, ref, major):
    """Return the names of the payloads that hold."""
    found = both.get(f"{TAGS}/{ref}/payloads?major={major}")
    return [payload["name"] for payload in found["payloads"]]


def test_a_tag_is_locked_and_unlocked(both):
    """The same state again changes nothing; a body is not needed."""
    made(both, "door")
    first = both.post(f"{TAGS}/door/lock", '{"reason":"prompt has begun"}')
    again = both.post(f"{TAGS}/door/lock")
    assert (first.status, first.json()["state"]) == (200, "locked")
    assert again.json() == first.json()
    assert both.post(f"{TAGS}/door/unlock", "{}").json()["state"] == "unlocked"
    assert both.post(f"{TAGS}/nobody/lock").status == 404


def test_a_frozen_tag_opens_only_by_unfreezing_with_a_reason(both):
    """Neither lock nor unlock thaws; no reason is 400; and the old fingerprint keeps answering."""
    made(both, "ice")
    frozen = both.post(f"{TAGS}/ice/freeze", '{"reason":"campaign"}').json()
    for act in ("lock", "unlock"):
        refused = both.post(f"{TAGS}/ice/{act}", '{"reason":"please"}')
        assert (refused.status, refused.json()["code"]) == (409, "tag_frozen")
    for body in ("{}", '{"reason":""}', '{"reason":"  "}', '{"reason":null}', '{"reason":7}', ""):
        assert both.post(f"{TAGS}/ice/unfreeze", body).status == 400
    assert both.get(f"{TAGS}/ice")["state"] == "frozen"
    opened = both.post(f"{TAGS}/ice/unfreeze?user=admin", '{"reason":"wrong beam"}').json()
    assert (opened["state"], opened["fingerprint"]) == ("unlocked", None)
    assert held(both, f"ice@{frozen['fingerprint']}", 6) == ["b5"]
    last = both.get(f"{TAGS}/ice/history")["entries"][0]
    assert (last["actor"], last["about"]["reason"]) == ("admin", "wrong beam")


def test_unfreezing_what_is_not_frozen_changes_nothing(both):
    """A locked tag stays locked."""
    made(both, "warm", state="locked")
    told = both.post(f"{TAGS}/warm/unfreeze", '{"reason":"by mistake"}')
    assert (told.status, told.json()["state"]) == (200, "locked")


def test_only_an_unlocked_tag_is_deleted(both):
    """409 for locked and frozen; then it is gone, and what it said at an LSN is not."""
    made(both, "doomed")
    then = both.get(f"{TAGS}/doomed")["lsn"]
    both.post(f"{TAGS}/doomed/lock")
    locked = both.ask("DELETE", f"{TAGS}/doomed")
    assert (locked.status, locked.json()["code"]) == (409, "tag_locked")
    both.post(f"{TAGS}/doomed/freeze")
    frozen = both.ask("DELETE", f"{TAGS}/doomed")
    assert (frozen.status, frozen.json()["code"]) == (409, "tag_frozen")
    both.post(f"{TAGS}/doomed/unfreeze", '{"reason":"to delete it"}')
    gone = both.ask("DELETE", f"{TAGS}/doomed")
    assert (gone.status, gone.json()["deleted"]) == (200, True)
    assert both.ask("GET", f"{TAGS}/doomed").status == 404
    assert both.ask("DELETE", f"{TAGS}/doomed").status == 404
    assert held(both, f"doomed@{then}", 6) == ["b5"]


def test_a_repeat_under_its_key_answers_as_the_first_did(both):
    """Also where it could not be done again: a clone, a deletion; another request is 409."""
    made(both, "keyed")
    url, body = f"{TAGS}/keyed/clone", '{"name":"keyed-2"}'
    first = both.post(url, body, Idempotency_Key="clone-1")
    again = both.post(url, body, Idempotency_Key="clone-1")
    assert (first.status, again.status) == (201, 201)
    assert first.headers["X-Ledger-LSN"] == again.headers["X-Ledger-LSN"]
    other = both.post(url, '{"name":"keyed-3"}', Idempotency_Key="clone-1")
    assert (other.status, other.json()["code"]) == (409, "idempotency_key_reused")
    gone = [both.ask("DELETE", f"{TAGS}/keyed-2", Idempotency_Key="gone-1") for _ in "12"]
    assert [answer.status for answer in gone] == [200, 200]
    assert gone[0].json() == gone[1].json()


def test_a_write_says_where_it_stands(both):
    """X-Ledger-LSN and `lsn` agree, and grow."""
    made(both, "steps")
    answers = [
        both.post(f"{TAGS}/steps/lock"),
        both.post(f"{TAGS}/steps/unlock"),
        both.post(f"{TAGS}/steps/freeze"),
        both.post(f"{TAGS}/steps/unfreeze", '{"reason":"r"}'),
        both.ask("DELETE", f"{TAGS}/steps"),
    ]
    lsns = [int(answer.headers["X-Ledger-LSN"]) for answer in answers]
    assert lsns == [answer.json()["lsn"] for answer in answers]
    assert all(one < other for one, other in pairwise(lsns))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "row@7"),
        ("POST", "row@7/lock"),
        ("POST", "row@7/freeze"),
        ("POST", f"row@{'0' * 64}/iovs"),
    ],
)
def test_what_was_is_not_written_to(both, method, path):
    """A write takes a tag's name, no state of it."""
    refused = both.ask(method, f"{TAGS}/{path}", b'{"iovs":[1]}' if "iovs" in path else None)
    assert (refused.status, refused.json()["code"]) == (400, "bad_name")


@pytest.mark.parametrize("user", ["", "u" * 201, "%00", "%E2%80%A8"])
def test_who_cannot_be_is_refused(both, user):
    """`user` is 1 to 200 printable characters."""
    refused = both.post(f"{TAGS}?user={user}", '{"name":"who"}')
    assert (refused.status, refused.json()["field"]) == (400, "user")
