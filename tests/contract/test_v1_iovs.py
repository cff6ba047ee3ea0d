"""Payload IOVs over HTTP: inserted by the thousand, listed by pages, deleted one by one."""

import hashlib
import json

import pytest
from logic_pair import pair

TAGS = "/api/v1/global-tags"
LAST = 2**63 - 1


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Run both tiers for the tests of this file."""
    with pair(tmp_path_factory.mktemp("iovs")) as running:
        yield running


@pytest.fixture
def tag(both, request):
    """Make a tag named after the test."""
    name = request.node.name.replace("[", "-").replace("]", "")[:190]
    name = "".join(letter if letter.isalnum() else "_" for letter in name)
    assert both.post(TAGS, json.dumps({"name": name})).status == 201
    return name


def insert(both, tag, *iovs, **headers):
    """Insert payload IOVs."""
    return both.post(f"{TAGS}/{tag}/iovs", json.dumps({"iovs": iovs}), **headers)


def iov(start, end=None, name=None, kind="Beam", **told):
    """Return a payload IOV as it is sent."""
    end = None if end is None else [end, 0]
    return {
        "payload_type": kind,
        "start": [start, 0],
        "end": end,
        "name": name or f"b{start}",
    } | told


def rows(both, tag, query="", kind="Beam"):
    """Return start, end and name of the IOVs of a type."""
    found = both.get(f"{TAGS}/{tag}/payload-lists/{kind}/iovs{query}")
    return [(row["start"][0], row["end"] and row["end"][0], row["name"]) for row in found["iovs"]]


def test_many_types_are_inserted_at_once(both, tag):
    """201, one LSN, every field as it was sent, in lists that are made."""
    digest = both.post("/api/v1/payloads", b"field").json()["digest"]
    whole = iov(1, 3, "one", checksum="md5:1", size=9, revision=2)
    answer = insert(both, tag, whole, iov(1, None, None, "Field", digest=digest) | {"name": digest})
    assert answer.status == 201
    assert answer.json() == {"tag": tag, "inserted": 2, "lsn": answer.json()["lsn"]}
    told = both.get(f"{TAGS}/{tag}/payload-lists/Beam/iovs")
    (row,) = told["iovs"]
    assert row | {"id": 0} == {
        "id": 0,
        "start": [1, 0],
        "end": [3, 0],
        "name": "one",
        "checksum": "md5:1",
        "digest": None,
        "size": 9,
        "revision": 2,
        "href": None,
        "lsn": answer.json()["lsn"],
    }
    (field,) = both.get(f"{TAGS}/{tag}/payload-lists/Field/iovs")["iovs"]
    assert field["digest"] == digest
    assert both.ask("GET", field["href"]).data == b"field"


def test_without_a_name_a_payload_is_called_by_its_digest(both, tag):
    """Name or digest: one of the two is needed."""
    digest = both.post("/api/v1/payloads", b"nameless").json()["digest"]
    insert(both, tag, {"payload_type": "Beam", "start": [1, 0], "digest": digest})
    assert rows(both, tag) == [(1, None, digest)]


def test_open_ends_stop_at_the_next_start(both, tag):
    """In whatever order they are sent, and whatever is stored already."""
    insert(both, tag, iov(30), iov(10))
    insert(both, tag, iov(20))
    assert rows(both, tag) == [(10, 20, "b10"), (20, 30, "b20"), (30, None, "b30")]


def test_the_largest_number_is_an_open_end(both, tag):
    """As some write it; it is kept and told as null."""
    insert(both, tag, iov(10) | {"end": [LAST, LAST]})
    assert rows(both, tag) == [(10, None, "b10")]


def test_a_payload_that_is_not_there_is_refused_by_its_digest(both, tag):
    """409 names what is missing, and nothing of the request is done."""
    absent = [f"sha256:{hashlib.sha256(bytes([n])).hexdigest()}" for n in range(2)]
    refused = insert(both, tag, iov(1), iov(2, digest=absent[0]), iov(3, digest=absent[1]))
    assert (refused.status, refused.json()["code"]) == (409, "payloads_missing")
    assert sorted(refused.json()["missing"]) == sorted(absent)
    assert both.get(f"{TAGS}/{tag}")["payload_iov_count"] == 0


def test_one_overlap_in_a_locked_tag_refuses_all(both, tag):
    """409 names both intervals; what would have fitted is not there either."""
    insert(both, tag, iov(10, 20))
    both.post(f"{TAGS}/{tag}/lock")
    refused = insert(both, tag, iov(20, 30), iov(15, 17))
    assert (refused.status, refused.json()["code"]) == (409, "locked_overlap")
    assert "15:0" in refused.json()["detail"]
    assert "10:0" in refused.json()["detail"]
    assert rows(both, tag) == [(10, 20, "b10")]
    assert insert(both, tag, iov(20, 30)).status == 201


def test_a_frozen_tag_takes_none(both, tag):
    """409, and so does one that is not there: 404."""
    both.post(f"{TAGS}/{tag}/freeze")
    refused = insert(both, tag, iov(1))
    assert (refused.status, refused.json()["code"]) == (409, "tag_frozen")
    assert insert(both, "nobody", iov(1)).status == 404


def test_the_same_again_changes_nothing(both, tag):
    """200 and 0 inserted; under an idempotency key the first answer again."""
    first = insert(both, tag, iov(1, 5), Idempotency_Key=f"{tag}-1")
    repeat = insert(both, tag, iov(1, 5), Idempotency_Key=f"{tag}-1")
    anew = insert(both, tag, iov(1, 5))
    assert (first.status, repeat.status, repeat.data) == (201, 201, first.data)
    assert (anew.status, anew.json()["inserted"]) == (200, 0)
    other = insert(both, tag, iov(1, 6), Idempotency_Key=f"{tag}-1")
    assert (other.status, other.json()["code"]) == (409, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"payload_type": "a b"}, "payload_type"),
        ({"payload_type": None}, "payload_type"),
        ({"payload_type": ["Beam"]}, "payload_type"),
        ({"start": None}, "start"),
        ({"start": [1]}, "start"),
        ({"start": [1, 2, 3]}, "start"),
        ({"start": ["1", 0]}, "start"),
        ({"start": [1.0, 0]}, "start"),
        ({"start": [True, 0]}, "start"),
        ({"start": [-1, 0]}, "start"),
        ({"start": [2**63, 0]}, "start"),
        ({"start": {"major": 1}}, "start"),
        ({"end": [5, 0]}, "end"),
        ({"end": [4, 9]}, "end"),
        ({"end": "open"}, "end"),
        ({"end": []}, "end"),
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"name": 5}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "n" * 1001}, "name"),
        ({"checksum": 5}, "checksum"),
        ({"digest": "md5:1"}, "digest"),
        ({"digest": "sha256:" + "A" * 64}, "digest"),
        ({"size": -1}, "size"),
        ({"size": 1.5}, "size"),
        ({"size": "5"}, "size"),
        ({"size": True}, "size"),
        ({"revision": 2**63}, "revision"),
        ({"major": 5}, "major"),
    ],
)
def test_what_cannot_be_is_refused_by_its_place(both, tag, wrong, field):
    """400 names the IOV and its field, and nothing of the request is done."""
    refused = insert(both, tag, iov(1), iov(5) | wrong)
    assert refused.status == 400, refused.data
    assert refused.json()["field"] == f"iovs[1].{field}"
    assert refused.json()["detail"].startswith(f"iovs[1].{field}: ")
    assert both.get(f"{TAGS}/{tag}")["payload_iov_count"] == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"iovs":[]}', "iovs"),
        ('{"iovs":{}}', "iovs"),
        ("{}", "iovs"),
        ('{"iovs":[1]}', "iovs[0]"),
        ('{"iovs":[[]]}', "iovs[0]"),
        ('{"iovs":[null]}', "iovs[0]"),
        ('{"rows":[]}', "rows"),
    ],
)
def test_a_body_that_cannot_be_is_refused(both, tag, body, field):
    """400 names what."""
    refused = both.post(f"{TAGS}/{tag}/iovs", body)
    assert (refused.status, refused.json()["field"]) == (400, field)


def test_a_body_larger_than_allowed_is_413(both, tag):
    """32 MiB, announced or not."""
    refused = both.post(f"{TAGS}/{tag}/iovs", b" " * ((32 << 20) + 1), Connection="close")
    assert (refused.status, refused.json()["code"]) == (413, "too_large")


def test_ten_thousand_fit_into_one_request(both, tag):
    """And are read back by pages, each once, in order."""
    sent = [iov(number) for number in range(10_000)]
    assert insert(both, tag, *sent).json()["inserted"] == 10_000
    seen, after = [], ""
    while after is not None:
        query = f"?limit=3000&after={after}" if after else "?limit=3000"
        page = both.get(f"{TAGS}/{tag}/payload-lists/Beam/iovs{query}")
        seen += [row["start"][0] for row in page["iovs"]]
        after = page["next"]
    assert seen == list(range(10_000))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [1, 5, 9]),
        ("?major=4", [1, 5, 9]),
        ("?major=5", [5, 9]),
        ("?major=4&minor=9&major_end=5", [1]),
        ("?major=0&major_end=1", []),
        ("?major=0&major_end=1&minor_end=1", [1]),
        ("?major=7&major_end=9", []),
        ("?major=100", [9]),
        ("?after=1:0", [5, 9]),
        ("?after=1:0&limit=1", [5]),
        ("?major=2&after=5:0", [9]),
    ],
)
def test_the_iovs_that_overlap_an_interval_are_listed(both, tag, query, expected):
    """Those that begin before it and reach into it as well; the interval is half-open."""
    insert(both, tag, iov(1, 5), iov(5, 7), iov(9))
    assert [start for start, _, _ in rows(both, tag, query)] == expected


def test_the_iovs_are_listed_as_they_stood(both, tag):
    """TAG@<lsn>, ?as_of= and TAG@<fingerprint>; in frozen content for ever."""
    then = insert(both, tag, iov(1, 5)).json()["lsn"]
    mark = both.post(f"{TAGS}/{tag}/freeze").json()["fingerprint"]
    both.post(f"{TAGS}/{tag}/unfreeze", '{"reason":"more"}')
    insert(both, tag, iov(3))
    assert rows(both, tag) == [(1, 3, "b1"), (3, None, "b3")]
    was = [(1, 5, "b1")]
    assert rows(both, f"{tag}@{then}") == was
    assert rows(both, tag, f"?as_of={then}") == was
    assert rows(both, f"{tag}@{mark}") == was


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        ("after=5", "after"),
        ("after=5:x", "after"),
        ("after=:", "after"),
        ("minor=1", "major"),
        ("major_end=1", "major"),
        ("major=1&minor_end=1", "major_end"),
        ("major=5&major_end=5", "major_end"),
        ("major=5&major_end=9&minor_end=x", "minor_end"),
        ("type=Beam", "type"),
    ],
)
def test_a_listing_that_cannot_be_is_refused_by_its_field(both, query, field):
    """400 names the parameter."""
    refused = both.ask("GET", f"{TAGS}/nobody/payload-lists/Beam/iovs?{query}")
    assert (refused.status, refused.json()["field"]) == (400, field)


def test_exactly_one_iov_is_deleted(both, tag):
    """By its whole interval; another end, no end, a gap: 404."""
    insert(both, tag, iov(1, 5), iov(5, 9), iov(9))
    url = f"{TAGS}/{tag}/payload-lists/Beam/iovs"
    for query in ("major=5", "major=5&major_end=8", "major=6&major_end=9", "major=1&major_end=9"):
        missing = both.ask("DELETE", f"{url}?{query}")
        assert (missing.status, missing.json()["code"]) == (404, "payload_iov_not_found")
    gone = both.ask("DELETE", f"{url}?major=5&major_end=9")
    assert (gone.status, gone.json()["deleted"]) == (200, True)
    assert rows(both, tag) == [(1, 5, "b1"), (9, None, "b9")]
    assert both.ask("DELETE", f"{url}?major=9").status == 200
    assert both.ask("DELETE", url).json()["field"] == "major"


@pytest.mark.parametrize(("act", "code"), [("lock", "tag_locked"), ("freeze", "tag_frozen")])
def test_a_closed_tag_loses_no_iov(both, tag, act, code):
    """409 in a locked and in a frozen one."""
    insert(both, tag, iov(1, 5))
    both.post(f"{TAGS}/{tag}/{act}")
    url = f"{TAGS}/{tag}/payload-lists/Beam/iovs?major=1&major_end=5"
    refused = both.ask("DELETE", url)
    assert (refused.status, refused.json()["code"]) == (409, code)
    assert rows(both, tag) == [(1, 5, "b1")]


def test_a_type_the_tag_has_not_is_404(both, tag):
    """Listing and deleting alike; a type that cannot be is 400."""
    url = f"{TAGS}/{tag}/payload-lists"
    for method in ("GET", "DELETE"):
        missing = both.ask(method, f"{url}/None/iovs?major=1")
        assert (missing.status, missing.json()["code"]) == (404, "payload_type_not_found")
        refused = both.ask(method, f"{url}/a%20b/iovs?major=1")
        assert (refused.status, refused.json()["field"]) == (400, "payload_type")
