"""What holds at a moment, as every job asks nopayloaddb."""

from time import monotonic

import pytest
from cdb import OPEN, cdb, fresh, ways

KEYS = [
    "payload_type_name", "payload_url", "checksum", "size", "major_iov", "minor_iov",
    "major_iov_end", "minor_iov_end", "revision",
]  # fmt: skip


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    """Run both tiers for the tests of this file."""
    with cdb(tmp_path_factory.mktemp("cdb_query")) as running:
        yield running


@pytest.fixture
def tag(db):
    """Return a new tag with Beam [1,3) [3,∞) and Magnet [2,5), made in another order."""
    name = fresh("tag")
    lists = db.tag(name, "Magnet", "Beam")
    db.insert(lists["Magnet"], "m.root", (2, 0), (5, 0))
    db.insert(lists["Beam"], "b1.root", (1, 0))
    db.insert(lists["Beam"], "b2.root", (3, 7))
    return name


def at(db, tag, major, minor=0, path="payloadiovs/", more=""):
    """Return what holds at a moment."""
    return db.get(f"{path}?gtName={tag}&majorIOV={major}&minorIOV={minor}{more}")


@pytest.mark.parametrize("path", ways("payloadiovs", "payload-iovs/query"))
def test_one_row_a_type_by_name(db, tag, path):
    """Type, url, checksum, size, start, end and revision, in this order."""
    assert at(db, tag, 4, path=path) == [
        ["Beam", "b2.root", "b2.root", None, 3, 7, OPEN, OPEN, None],
        ["Magnet", "m.root", "m.root", None, 2, 0, 5, 0, None],
    ]


@pytest.mark.parametrize("path", ways("payloadiovs", "payload-iovs/query"))
def test_rows_as_objects(db, tag, path):
    """`shape=dict` names the same columns."""
    rows, objects = at(db, tag, 4, path=path), at(db, tag, 4, path=path, more="&shape=dict")
    assert [list(each) for each in objects] == [KEYS, KEYS]
    assert [list(each.values()) for each in objects] == rows
    assert at(db, tag, 4, path=path, more="&shape=list") == rows


@pytest.mark.parametrize(
    ("moment", "held"),
    [
        ((0, OPEN), []),
        ((1, 0), ["b1.root"]),
        ((2, 0), ["b1.root", "m.root"]),
        ((3, 6), ["b1.root", "m.root"]),
        ((3, 7), ["b2.root", "m.root"]),
        ((4, OPEN), ["b2.root", "m.root"]),
        ((5, 0), ["b2.root"]),
        ((OPEN, OPEN), ["b2.root"]),
    ],
)
def test_a_payload_holds_from_its_start_up_to_its_end(db, tag, moment, held):
    """One whose end has passed is not returned: a gap is a gap."""
    assert [row[1] for row in at(db, tag, *moment)] == held


@pytest.mark.parametrize("name", ["nowhere", "a%20b", "x/y", f"nowhere@{'0' * 64}"])
def test_an_unknown_tag_has_nothing(db, name):
    """`[]`, not an error."""
    assert at(db, name, 1) == []


@pytest.mark.parametrize(
    "query",
    [
        "", "gtName={tag}", "gtName={tag}&majorIOV=1", "gtName={tag}&minorIOV=1",
        "majorIOV=1&minorIOV=1", "gtName=&majorIOV=1&minorIOV=1",
        "gtName={tag}&majorIOV=x&minorIOV=1", "gtName={tag}&majorIOV=1&minorIOV=1.5",
        "gtName={tag}&majorIOV=-1&minorIOV=0", "gtName={tag}&majorIOV=&minorIOV=0",
        "gtName={tag}&majorIOV=1&minorIOV=9223372036854775808",
        "gtName={tag}&majorIOV=1&minorIOV=" + "9" * 3000,
    ],
)  # fmt: skip
def test_a_parameter_that_is_missing_or_no_integer_is_400(db, tag, query):
    """Whatever the tag."""
    db.refused(400, "GET", f"payloadiovs/?{query.format(tag=tag)}")


def test_an_answer_revalidates_until_its_tag_is_touched(db, tag):
    """ETag and 304; the LSN it reflects."""
    url = f"payloadiovs/?gtName={tag}&majorIOV=4&minorIOV=0"
    first = db.ask("GET", url)
    assert int(first.headers["X-Ledger-LSN"]) > 0
    assert first.headers["Cache-Control"] == "no-cache"
    db.tag(fresh("another"))
    again = db.ask("GET", url, If_None_Match=first.headers["ETag"])
    assert (again.status, again.data) == (304, b"")
    db.insert(db.get(f"gtPayloadLists/{tag}")["Beam"], "newer", (4, 0))
    assert db.ask("GET", url, If_None_Match=first.headers["ETag"]).json()[0][1] == "newer"


def test_frozen_content_and_an_earlier_lsn_answer_by_their_reference(db, tag):
    """`TAG@<fingerprint>` and `TAG@<lsn>` where a tag's name is read."""
    before = at(db, tag, 4)
    lsn = db.ask("GET", f"payloadiovs/?gtName={tag}&majorIOV=4&minorIOV=0").headers["X-Ledger-LSN"]
    db.become(tag, "frozen")
    mark = db.both.get(f"/api/v1/global-tags/{tag}")["fingerprint"]
    db.ok("PUT", f"gt_change_status/{tag}/unlocked?reason=more")
    db.insert(db.get(f"gtPayloadLists/{tag}")["Beam"], "newer", (4, 0))
    assert at(db, tag, 4) != before
    assert at(db, f"{tag}@{mark}", 4) == before
    url = f"payloadiovs/?gtName={tag}@{mark}&majorIOV=4&minorIOV=0"
    assert "immutable" in db.ask("GET", url).headers["Cache-Control"]
    assert at(db, f"{tag}@{lsn}", 4) == before


def test_what_is_streamed_is_seen_as_a_tag(db):
    """The buffer's tag answers like any other, and is not changed by itself."""
    db.both.post("/stream", '{"h":[1,2],"t":[100,1]}')
    (row,) = at(db, "stream", 101)
    assert row[0] == "strain"
    assert row[4:8] == [100, 0, 102, 0]
    db.refused(409, "DELETE", "deleteGlobalTag/stream")
    db.refused(409, "PUT", "gt_change_status/stream/locked")
    assert db.ok("PUT", "gt_change_status/stream/frozen")["status"] == 3
    held = db.get("gtPayloadLists/stream")["strain"]
    iov_id = db.piov("mine", (1, 0))
    assert db.refused(409, "PUT", "piov_attach", {"payload_list": held, "piov_id": iov_id})
    db.both.post("/flushbuf")
    frozen = [tag for tag in db.get("globalTags") if tag["name"].startswith("stream-")]
    assert [tag["status"] for tag in frozen] == ["frozen"]


def test_nothing_holds_at_an_lsn_that_the_ledger_has_not_got_to(db, tag):
    """Like a tag that is not there, and at once: no worker waits for what nobody has written."""
    begun = monotonic()
    assert at(db, f"{tag}@{'9' * 18}", 4) == []
    assert monotonic() - begun < 4.5  # VIEW_WAIT is 5
