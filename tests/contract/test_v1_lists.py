"""Payload types and payload lists over HTTP: made, attached, detached, deleted."""

import json

import pytest
from logic_pair import pair

API = "/api/v1"
TAGS = f"{API}/global-tags"


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Run both tiers for the tests of this file."""
    with pair(tmp_path_factory.mktemp("lists")) as running:
        yield running


def new_list(both, kind):
    """Make a list, and its type, and return the list's name."""
    both.post(f"{API}/payload-types", json.dumps({"name": kind}))
    answer = both.post(f"{API}/payload-lists", json.dumps({"payload_type": kind}))
    assert answer.status == 201, answer.data
    return answer.json()["name"]


def new_tag(both, name, *kinds):
    """Make a tag with one IOV of each type."""
    assert both.post(TAGS, json.dumps({"name": name})).status == 201
    if kinds:
        iovs = [{"payload_type": kind, "start": [1, 0], "name": f"{name}-1"} for kind in kinds]
        assert both.post(f"{TAGS}/{name}/iovs", json.dumps({"iovs": iovs})).status == 201
    return name


def put(both, tag, kind, name):
    """Attach a list."""
    body = json.dumps({"payload_list": name})
    return both.ask("PUT", f"{TAGS}/{tag}/payload-lists/{kind}", body)


def lists(both, tag):
    """Return a tag's lists by type."""
    return {row["payload_type"]: row["name"] for row in both.get(f"{TAGS}/{tag}")["payload_lists"]}


def test_a_type_is_made_once(both):
    """201, then 200 with the same row."""
    first = both.post(f"{API}/payload-types", '{"name":"Once"}')
    again = both.post(f"{API}/payload-types", '{"name":"Once"}')
    assert (first.status, again.status, again.json()) == (201, 200, first.json())
    assert first.json().keys() == {"name", "created"}


def test_types_are_listed_by_pages(both):
    """By name, those with a word in it."""
    for number in range(5):
        both.post(f"{API}/payload-types", json.dumps({"name": f"Paged{number}"}))
    page = both.get(f"{API}/payload-types?search=paged&limit=3")
    assert [row["name"] for row in page["payload_types"]] == ["Paged0", "Paged1", "Paged2"]
    assert page["next"] == "Paged2"
    rest = both.get(f"{API}/payload-types?search=paged&limit=3&after=Paged2")
    assert [row["name"] for row in rest["payload_types"]] == ["Paged3", "Paged4"]
    assert rest["next"] is None


def test_a_type_in_use_stays(both):
    """409 while there is a list of it, 404 where there is no such type."""
    name = new_list(both, "Used")
    refused = both.ask("DELETE", f"{API}/payload-types/Used")
    assert (refused.status, refused.json()["code"]) == (409, "in_use")
    assert both.ask("DELETE", f"{API}/payload-lists/{name}").status == 200
    assert both.ask("DELETE", f"{API}/payload-types/Used").json()["deleted"] is True
    missing = both.ask("DELETE", f"{API}/payload-types/Used")
    assert (missing.status, missing.json()["code"]) == (404, "payload_type_not_found")


def test_a_new_list_is_empty_and_in_no_tag(both):
    """Named by its type and number; of an unknown type: 404."""
    name = new_list(both, "Fresh")
    told = both.get(f"{API}/payload-lists/{name}")
    assert told == {
        "name": name,
        "payload_type": "Fresh",
        "global_tag": None,
        "payload_iovs": 0,
        "created": told["created"],
    }
    unknown = both.post(f"{API}/payload-lists", '{"payload_type":"Unknown"}')
    assert (unknown.status, unknown.json()["code"]) == (404, "payload_type_not_found")


def test_a_repeated_making_of_a_list_makes_one(both):
    """Under its idempotency key it is the same list."""
    new_list(both, "Keyed")
    body = '{"payload_type":"Keyed"}'
    first, again = (both.post(f"{API}/payload-lists", body, Idempotency_Key="list-1") for _ in "12")
    assert (first.status, again.status, again.json()) == (201, 201, first.json())


def test_a_list_replaces_the_one_of_its_type(both):
    """The one before is in no tag then, and keeps its IOVs; the same again changes nothing."""
    new_tag(both, "swap", "Beam")
    before = lists(both, "swap")["Beam"]
    name = new_list(both, "Beam")
    done = put(both, "swap", "Beam", name)
    assert done.status == 200
    assert done.json() == {
        "tag": "swap",
        "payload_type": "Beam",
        "payload_list": name,
        "lsn": done.json()["lsn"],
    }
    assert lists(both, "swap") == {"Beam": name}
    old = both.get(f"{API}/payload-lists/{before}")
    assert (old["global_tag"], old["payload_iovs"]) == (None, 1)
    assert put(both, "swap", "Beam", name).status == 200
    assert put(both, "swap", "Beam", before).status == 200
    assert both.get(f"{TAGS}/swap/payloads?major=5")["payloads"][0]["name"] == "swap-1"


def test_a_list_goes_from_one_tag_to_another(both):
    """It is in one tag at a time."""
    new_tag(both, "from", "Beam")
    new_tag(both, "to")
    name = lists(both, "from")["Beam"]
    assert put(both, "to", "Beam", name).status == 200
    assert (lists(both, "from"), lists(both, "to")) == ({}, {"Beam": name})


def test_a_list_is_detached_and_keeps_its_iovs(both):
    """200; the tag has none of that type then: 404 the next time."""
    new_tag(both, "off", "Beam", "Noise")
    name = lists(both, "off")["Beam"]
    url = f"{TAGS}/off/payload-lists/Beam"
    done = both.ask("DELETE", url)
    assert (done.status, done.json()["detached"]) == (200, True)
    assert list(lists(both, "off")) == ["Noise"]
    assert both.get(f"{API}/payload-lists/{name}")["payload_iovs"] == 1
    missing = both.ask("DELETE", url)
    assert (missing.status, missing.json()["code"]) == (404, "payload_type_not_found")


def test_closed_tags_keep_their_lists(both):
    """A locked one takes a new type only, a frozen one nothing; neither lets one go."""
    new_tag(both, "closed", "Beam")
    held = lists(both, "closed")["Beam"]
    other, new = new_list(both, "Beam"), new_list(both, "Extra")
    both.post(f"{TAGS}/closed/lock")
    assert put(both, "closed", "Beam", other).json()["code"] == "tag_locked"
    assert both.ask("DELETE", f"{TAGS}/closed/payload-lists/Beam").json()["code"] == "tag_locked"
    new_tag(both, "thief")
    assert put(both, "thief", "Beam", held).json()["code"] == "tag_locked"
    assert put(both, "closed", "Extra", new).status == 200
    both.post(f"{TAGS}/closed/freeze")
    assert put(both, "closed", "Beam", other).json()["code"] == "tag_frozen"
    assert both.ask("DELETE", f"{TAGS}/closed/payload-lists/Extra").json()["code"] == "tag_frozen"
    assert lists(both, "closed") == {"Beam": held, "Extra": new}


def test_only_an_empty_list_is_deleted(both):
    """409 while it has IOVs, 404 once it is gone."""
    new_tag(both, "full", "Beam")
    name = lists(both, "full")["Beam"]
    refused = both.ask("DELETE", f"{API}/payload-lists/{name}")
    assert (refused.status, refused.json()["code"]) == (409, "in_use")
    empty = new_list(both, "Beam")
    assert both.ask("DELETE", f"{API}/payload-lists/{empty}").json()["deleted"] is True
    for method in ("GET", "DELETE"):
        missing = both.ask(method, f"{API}/payload-lists/{empty}")
        assert (missing.status, missing.json()["code"]) == (404, "payload_list_not_found")


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "payload-types", '{"name":"a b"}', "name"),
        ("POST", "payload-types", "{}", "name"),
        ("POST", "payload-types", '{"nam":"a"}', "nam"),
        ("DELETE", "payload-types/a%20b", None, "payload_type"),
        ("GET", "payload-types?limit=0", None, "limit"),
        ("POST", "payload-lists", '{"payload_type":5}', "payload_type"),
        ("POST", "payload-lists", "{}", "payload_type"),
        ("GET", "payload-lists/Beam", None, "payload_list"),
        ("GET", "payload-lists/Beam_0", None, "payload_list"),
        ("GET", "payload-lists/a%20b_1", None, "payload_list"),
        ("PUT", "global-tags/T/payload-lists/Beam", "{}", "payload_list"),
        ("PUT", "global-tags/T/payload-lists/Beam", '{"payload_list":"x"}', "payload_list"),
        ("PUT", "global-tags/T/payload-lists/Beam", '{"payload_list":"Noise_1"}', "payload_list"),
        ("PUT", "global-tags/T/payload-lists/a%20b", '{"payload_list":"x_1"}', "payload_type"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(both, method, path, body, field):
    """400 names the parameter or the field of the body."""
    refused = both.ask(method, f"{API}/{path}", body)
    assert (refused.status, refused.json().get("field")) == (400, field), refused.data
