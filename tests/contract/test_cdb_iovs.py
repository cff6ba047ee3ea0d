"""nopayloaddb's payload IOVs: made, attached, loaded in bulk, deleted; one test a row."""

import pytest
from cdb import OPEN, TIME, cdb, fresh, ways

ROW = [
    "id", "payload_url", "checksum", "major_iov", "minor_iov", "comb_iov", "major_iov_end",
    "minor_iov_end", "payload_list", "inserted",
]  # fmt: skip
SENT = {"payload_url": "Beam/a.root", "checksum": "e99a18", "major_iov": 3, "minor_iov": 1000}
END = (OPEN, OPEN)


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    """Run both tiers for the tests of this file."""
    with cdb(tmp_path_factory.mktemp("cdb_iovs")) as running:
        yield running


@pytest.fixture
def held(db):
    """Return the name of an empty list of the type Beam in a new tag."""
    return db.tag(fresh("tag"), "Beam")["Beam"]


def closed(db, held, status):
    """Give a list's tag another status."""
    db.become(db.tag_of(held), status)


# one ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ways("piov", "payload-iovs"))
def test_an_iov_is_made_in_no_list(db, path):
    """Open where no end is sent; `comb_iov` is a decimal of 19 places."""
    made = db.ok("POST", path, SENT)
    assert list(made) == ROW
    assert made == {
        **made, **SENT, "comb_iov": "3.0000000000000001000", "payload_list": None,
        "major_iov_end": OPEN, "minor_iov_end": OPEN,
    }  # fmt: skip
    assert TIME.fullmatch(made["inserted"])
    for by_id in ways(f"piov/{made['id']}", f"payload-iovs/{made['id']}"):
        assert db.get(by_id) == made
    assert made in db.get(path)


@pytest.mark.parametrize(
    ("told", "end"),
    [
        ({"major_iov_end": 4, "minor_iov_end": 5}, (4, 5)),
        ({"major_iov_end": "4", "minor_iov_end": "5"}, (4, 5)),
        ({"major_iov_end": 4}, (4, OPEN)),
        ({"minor_iov_end": 7}, (OPEN, 7)),
        ({"major_iov_end": OPEN, "minor_iov_end": OPEN}, END),
        ({"major_iov_end": None, "minor_iov_end": None}, END),
        ({"major_iov_end": 3, "minor_iov_end": 1001}, (3, 1001)),
        ({"size": 12, "revision": 4}, END),
        ({"size": None, "revision": None, "description": "x", "payload_list": 5}, END),
    ],
)
def test_an_end_is_kept_as_it_is_sent(db, told, end):
    """Either part that is left out is as large as can be; what is not known is ignored."""
    made = db.ok("POST", "piov", {**SENT, **told})
    assert (made["major_iov_end"], made["minor_iov_end"]) == end
    assert made["payload_list"] is None


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"major_iov": None}, "major_iov"), ({"major_iov": -1}, "major_iov"),
        ({"minor_iov": 1.5}, "minor_iov"), ({"minor_iov": True}, "minor_iov"),
        ({"major_iov": 2**63}, "major_iov"), ({"major_iov": "soon"}, "major_iov"),
        ({"major_iov_end": -5}, "major_iov_end"), ({"minor_iov_end": []}, "minor_iov_end"),
        ({"payload_url": ""}, "payload_url"), ({"payload_url": 5}, "payload_url"),
        ({"payload_url": "x" * 1001}, "payload_url"), ({"checksum": None}, "checksum"),
        ({"checksum": {}}, "checksum"), ({"size": -1}, "size"), ({"revision": "x"}, "revision"),
    ],
)  # fmt: skip
def test_an_iov_that_cannot_be_is_400(db, wrong, field):
    """The field is named."""
    assert db.refused(400, "POST", "piov", {**SENT, **wrong})["field"] == field


@pytest.mark.parametrize("field", ["payload_url", "checksum", "major_iov", "minor_iov"])
def test_an_iov_without_a_needed_field_is_400(db, field):
    """Each of the four."""
    sent = {name: value for name, value in SENT.items() if name != field}
    assert db.refused(400, "POST", "piov", sent)["field"] == field


@pytest.mark.parametrize("end", [(3, 1000), (3, 999), (2, OPEN), (0, 0)])
def test_a_range_that_goes_backward_is_400(db, end):
    """In the words of nopayloaddb."""
    sent = {**SENT, "major_iov_end": end[0], "minor_iov_end": end[1]}
    assert db.refused(400, "POST", "piov", sent)["detail"] == (
        "Beam/a.root PayloadIOV ending IOVs should be greater or equal than starting. Provided"
        f" end IOVs: major_iov: 3 major_iov_end: {end[0]} minor_iov: 1000 minor_iov_end: {end[1]}"
    )


@pytest.mark.parametrize("unknown", ["987654", "x", "0", "-1", "9" * 300])
def test_an_iov_that_is_not_there_is_404(db, unknown):
    """By legacy path and alias."""
    for path in ways(f"piov/{unknown}", f"payload-iovs/{unknown}"):
        assert db.refused(404, "GET", path)["detail"] == "Not found."


# attached -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ways("piov_attach", "payload-iovs/attach"))
def test_an_iov_is_attached_to_a_list(db, held, path):
    """Its row, with the list; the same again changes nothing."""
    made = db.ok("POST", "piov", SENT)
    sent = {"payload_list": held, "piov_id": made["id"]}
    told = db.ok("PUT", path, sent)
    assert told == {**made, "payload_list": held}
    assert list(told) == ROW
    row = db.get(f"payload-lists/by-name/{held}")
    assert row["iov_count"] == 1
    assert db.ok("PUT", path, sent) == told
    assert db.ok("PUT", path, {**sent, "piov_id": str(made["id"])}) == told
    assert db.get(f"payload-lists/by-name/{held}") == row
    assert db.get(f"piov/{made['id']}") == told


def test_in_an_unlocked_tag_the_newest_wins_over_its_range(db, held):
    """What it overlaps is trimmed, split, or left without a list."""
    first = db.insert(held, "long", (1, 0), (9, 0))
    db.insert(held, "middle", (3, 0), (5, 0))
    assert db.rows(held) == [
        ("long", (1, 0), (3, 0)),
        ("middle", (3, 0), (5, 0)),
        ("long", (5, 0), (9, 0)),
    ]
    db.insert(held, "over", (3, 0), (9, 0))
    assert db.rows(held) == [("long", (1, 0), (3, 0)), ("over", (3, 0), (9, 0))]
    db.insert(held, "last", (5, 0))
    assert db.rows(held)[-2:] == [("over", (3, 0), (5, 0)), ("last", (5, 0), END)]
    assert db.get(f"piov/{first}")["major_iov_end"] == 3
    assert db.get(f"payload-lists/by-name/{held}")["iov_count"] == 3


def test_an_iov_that_is_covered_is_in_no_list_any_more(db, held):
    """It is still there by its id."""
    covered = db.insert(held, "small", (3, 0), (4, 0))
    db.insert(held, "large", (1, 0), (9, 0))
    assert db.rows(held) == [("large", (1, 0), (9, 0))]
    told = db.get(f"piov/{covered}")
    assert (told["payload_url"], told["payload_list"]) == ("small", None)


def test_a_locked_tag_is_only_added_to(db, held):
    """Gaps are filled, the open tail is followed, whatever overlaps is 409 and changes nothing."""
    db.insert(held, "first", (1, 0), (3, 0))
    db.insert(held, "open", (5, 0))
    closed(db, held, "locked")
    conflict = db.piov("wrong", (2, 0), (4, 0))
    told = db.refused(409, "PUT", "piov_attach", {"payload_list": held, "piov_id": conflict})
    assert told["detail"].startswith("GT is LOCKED.")
    assert "(2,0,4,0) overlaps (1,0,3,0), which holds first." in told["detail"]
    assert db.get(f"piov/{conflict}")["payload_list"] is None
    bounded = db.piov("bounded", (7, 0), (8, 0))
    told = db.refused(409, "PUT", "piov_attach", {"payload_list": held, "piov_id": bounded})
    assert f"(5,0,{OPEN},{OPEN})" in told["detail"]
    db.insert(held, "gap", (3, 0), (5, 0))
    db.insert(held, "newest", (6, 0))
    assert db.rows(held) == [
        ("first", (1, 0), (3, 0)),
        ("gap", (3, 0), (5, 0)),
        ("open", (5, 0), (6, 0)),
        ("newest", (6, 0), END),
    ]


def test_a_frozen_tag_takes_no_iov(db, held):
    """409, in the words that clients know."""
    iov_id = db.piov("late", (1, 0))
    closed(db, held, "frozen")
    told = db.refused(409, "PUT", "piov_attach", {"payload_list": held, "piov_id": iov_id})
    assert told["detail"] == "Global Tag is frozen."


@pytest.mark.parametrize("status", ["locked", "frozen"])
def test_an_iov_of_a_closed_tag_moves_to_no_other_list(db, held, status):
    """409, and it stays where it is."""
    iov_id = db.insert(held, "mine", (1, 0))
    closed(db, held, status)
    other = db.tag(fresh("tag"), "Beam")["Beam"]
    db.refused(409, "PUT", "piov_attach", {"payload_list": other, "piov_id": iov_id})
    assert db.get(f"piov/{iov_id}")["payload_list"] == held
    assert db.rows(other) == []


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"payload_list": "Beam_98765", "piov_id": 1}, 404),
        ({"payload_list": "{held}", "piov_id": 98765}, 404),
        ({"payload_list": "{held}"}, 400),
        ({"payload_list": "{held}", "piov_id": None}, 400),
        ({"payload_list": "{held}", "piov_id": "x"}, 400),
        ({"piov_id": 1}, 400),
        (None, 400),
    ],
)
def test_what_cannot_be_attached_is_refused(db, held, sent, status):
    """404 for what is not there, 400 for what is missing."""
    if sent and "payload_list" in sent:
        sent = {**sent, "payload_list": sent["payload_list"].format(held=held)}
    db.refused(status, "PUT", "piov_attach", sent)


def test_a_shared_row_keeps_its_id(db, held):
    """After a clone `piov/<id>` answers the first list; a change in the clone leaves it there."""
    tag = db.tag_of(held)
    iov_id = db.insert(held, "shared", (1, 0))
    clone = fresh("clone")
    db.ok("POST", f"cloneGlobalTag/{tag}/{clone}")
    (row,) = db.get(f"globalTag/{clone}")["payload_lists"][0]["payload_iov"]
    assert (row["id"], row["payload_list"]) == (iov_id, db.get(f"gtPayloadLists/{clone}")["Beam"])
    assert db.get(f"piov/{iov_id}")["payload_list"] == held
    db.insert(db.get(f"gtPayloadLists/{clone}")["Beam"], "new", (5, 0))
    assert db.get(f"piov/{iov_id}")["major_iov_end"] == OPEN
    db.insert(held, "mine", (7, 0))
    assert db.get(f"piov/{iov_id}")["major_iov_end"] == 7


# in bulk --------------------------------------------------------------------------------------


def entry(held, major, url=None, **more):
    """Return an entry as populate scripts send it."""
    url = url or f"{held}_{major}_dummy_file.data"
    return {"payload_url": url, "payload_list": held, "major_iov": major, "minor_iov": 0, **more}


@pytest.mark.parametrize("path", ways("bulk_piov", "payload-iovs/bulk"))
def test_many_iovs_are_loaded_at_once(db, held, path):
    """200 and nothing else; each stops where the next begins, the last is open."""
    answer = db.ask("POST", path, [entry(held, major, f"u{major}") for major in (2, 4, 6)])
    assert (answer.status, answer.data) == (200, b"")
    assert "Content-Type" not in answer.headers
    assert db.rows(held) == [
        ("u2", (2, 0), (4, 0)),
        ("u4", (4, 0), (6, 0)),
        ("u6", (6, 0), END),
    ]
    assert db.get(f"payload-lists/by-name/{held}")["iov_count"] == 3


def test_the_order_of_loading_does_not_matter(db, held):
    """In pieces, backward, interleaved: the same as all at once."""
    for majors in ((5, 3), (9, 1), (4, 7), (8, 2, 6)):
        db.ask("POST", "bulk_piov", [entry(held, major, f"u{major}") for major in majors])
    ends = [*range(2, 10), None]
    assert db.rows(held) == [
        (f"u{major}", (major, 0), END if end is None else (end, 0))
        for major, end in enumerate(ends, 1)
    ]


def test_of_equal_starts_the_later_replaces(db, held):
    """Within one request and from one to the next."""
    db.ask("POST", "bulk_piov", [entry(held, 1, "a"), entry(held, 1, "b"), entry(held, 5, "c")])
    assert db.rows(held) == [("b", (1, 0), (5, 0)), ("c", (5, 0), END)]
    db.ask("POST", "bulk_piov", [entry(held, 1, "d")])
    assert db.rows(held) == [("d", (1, 0), (5, 0)), ("c", (5, 0), END)]


def test_bulk_keeps_checksum_size_revision_and_end(db, held):
    """For those entries that have them."""
    sent = [
        entry(held, 1, "a", checksum="abc", size=12, revision=3),
        entry(held, 3, "b", major_iov_end=4, minor_iov_end=0),
        entry(held, 9, "c", major_iov_end=OPEN, minor_iov_end=OPEN),
    ]
    assert db.ask("POST", "bulk_piov", sent).status == 200
    assert db.rows(held) == [
        ("a", (1, 0), (3, 0)),
        ("b", (3, 0), (4, 0)),
        ("c", (9, 0), END),
    ]
    tag = db.tag_of(held)
    (told,) = db.get(f"payloadiovs/?gtName={tag}&majorIOV=1&minorIOV=5")
    assert told == ["Beam", "a", "abc", 12, 1, 0, 3, 0, 3]
    assert db.get(f"payloadiovs/?gtName={tag}&majorIOV=5&minorIOV=0") == []


def test_one_request_fills_several_lists(db):
    """Each by its own name."""
    lists = db.tag(fresh("tag"), "Beam", "Magnet")
    sent = [entry(lists[kind], major) for major in (1, 2) for kind in ("Beam", "Magnet")]
    assert db.ask("POST", "bulk_piov", sent).status == 200
    counts = [db.get(f"payload-lists/by-name/{held}")["iov_count"] for held in lists.values()]
    assert counts == [2, 2]


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"major_iov": -1}, 400), ({"minor_iov": None}, 400), ({"payload_url": None}, 400),
        ({"payload_url": ["x"]}, 400), ({"checksum": 5}, 400), ({"size": "x"}, 400),
        ({"payload_list": None}, 400), ({"payload_list": ["x"]}, 400),
        ({"payload_list": "Beam_98765"}, 404), ({"major_iov_end": 0}, 400),
    ],
)  # fmt: skip
def test_bulk_is_all_or_nothing(db, held, wrong, status):
    """One entry that cannot be, among those that can, and nothing is loaded."""
    sent = [entry(held, 1), {**entry(held, 2), **wrong}, entry(held, 3)]
    db.refused(status, "POST", "bulk_piov", sent)
    assert db.rows(held) == []


@pytest.mark.parametrize("sent", [None, {}, b"null", "x", [1], [None], b"[{]"])
def test_bulk_takes_an_array_of_objects(db, sent):
    """400 for whatever is none."""
    db.refused(400, "POST", "bulk_piov", sent)


def test_an_empty_bulk_does_nothing(db):
    """It is no mistake."""
    assert db.ask("POST", "bulk_piov", []).status == 200


def test_bulk_obeys_a_locked_tag(db, held):
    """What follows the open tail is taken, what overlaps is 409 and nothing of it is loaded."""
    db.ask("POST", "bulk_piov", [entry(held, 1, "a"), entry(held, 3, "b")])
    closed(db, held, "locked")
    told = db.refused(409, "POST", "bulk_piov", [entry(held, 9), entry(held, 2, "x")])
    assert told["detail"].startswith("GT is LOCKED.")
    assert len(db.rows(held)) == 2
    assert db.ask("POST", "bulk_piov", [entry(held, 5, "c"), entry(held, 7, "d")]).status == 200
    assert db.rows(held)[1:] == [
        ("b", (3, 0), (5, 0)),
        ("c", (5, 0), (7, 0)),
        ("d", (7, 0), END),
    ]


def test_bulk_obeys_a_frozen_tag(db, held):
    """409, also where the other lists would take theirs."""
    free = db.tag(fresh("tag"), "Beam")["Beam"]
    closed(db, held, "frozen")
    told = db.refused(409, "POST", "bulk_piov", [entry(free, 1), entry(held, 1)])
    assert told["detail"] == "Global Tag is frozen."
    assert db.rows(free) == []


def test_five_thousand_iovs_fit_into_one_request(db, held):
    """The size that populate scripts send."""
    sent = [entry(held, major) for major in range(5000)]
    assert db.ask("POST", "bulk_piov", sent).status == 200
    assert db.get(f"payload-lists/by-name/{held}")["iov_count"] == 5000
    told = db.get(f"payloadiovs/?gtName={db.tag_of(held)}&majorIOV=2500&minorIOV=17")
    assert told[0][1] == f"{held}_2500_dummy_file.data"


# deleted --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ways("deletePayloadIOV/{}", "payload-iovs/{}/delete"))
def test_an_iov_is_deleted_by_its_exact_interval(db, held, path):
    """With its end, or without where it is open; nothing else is touched."""
    tag = db.tag_of(held)
    db.insert(held, "a.root", (1, 2), (3, 4))
    last = db.insert(held, "b.root", (5, 0))
    for wrong in ("Beam/1/2", "Beam/1/2/3/5", "Beam/1/3/3/4", "Beam/5/0/9/0", "Magnet/1/2/3/4"):
        db.refused(404, "DELETE", path.format(f"{tag}/{wrong}"))
    told = db.ok("DELETE", path.format(f"{tag}/Beam/1/2/3/4"))
    assert told == {"detail": "PayloadIOV a.root deleted."}
    assert db.rows(held) == [("b.root", (5, 0), END)]
    told = db.ok("DELETE", path.format(f"{tag}/Beam/5/0"))
    assert told == {"detail": "PayloadIOV b.root deleted."}
    db.refused(404, "GET", f"piov/{last}")
    db.refused(404, "DELETE", path.format(f"{tag}/Beam/5/0"))
    db.refused(404, "DELETE", path.format("nowhere/Beam/5/0"))


@pytest.mark.parametrize("wrong", ["-1/0", "x/0", "1/y", f"{2**63}/0", "5/0/4/0", "1/2/3/z"])
def test_an_interval_that_cannot_be_is_400(db, held, wrong):
    """Numbers out of range, or none; an end before its start."""
    db.refused(400, "DELETE", f"deletePayloadIOV/{db.tag_of(held)}/Beam/{wrong}")


@pytest.mark.parametrize("status", ["locked", "frozen"])
def test_an_iov_of_a_closed_tag_is_not_deleted(db, held, status):
    """409, and it stays."""
    db.insert(held, "a", (1, 0))
    closed(db, held, status)
    db.refused(409, "DELETE", f"deletePayloadIOV/{db.tag_of(held)}/Beam/1/0")
    assert db.rows(held) == [("a", (1, 0), END)]
