"""CDB_IOV_MODE: what an end means to nopayloaddb's clients, and the setting that tells them."""

import pytest
from cdb import OPEN, cdb, fresh, ways

END = (OPEN, OPEN)


@pytest.fixture(scope="module", params=["continuous", "discrete"])
def db(tmp_path_factory, request):
    """Run both tiers in each mode."""
    folder = tmp_path_factory.mktemp("cdb_modes")
    with cdb(folder, CDB_IOV_MODE=request.param) as running:
        running.mode = request.param
        yield running


@pytest.fixture
def held(db):
    """Return the name of an empty list of the type Beam in a new tag."""
    return db.tag(fresh("tag"), "Beam")["Beam"]


def at(db, held, major, minor=0):
    """Return which urls hold at a moment."""
    told = db.get(f"payloadiovs/?gtName={db.tag_of(held)}&majorIOV={major}&minorIOV={minor}")
    return [row[1] for row in told]


@pytest.mark.parametrize("path", ways("user_settings/CDB_IOV_MODE", "settings/CDB_IOV_MODE"))
def test_clients_can_ask_for_the_mode(db, path):
    """A default answers, too; another setting is 404."""
    assert db.get(path) == {"CDB_IOV_MODE": db.mode}
    told = db.refused(404, "GET", path.replace("IOV_MODE", "SECRET"))
    assert told["detail"] == "Setting 'CDB_SECRET' not found."


def test_an_end_may_equal_the_start_where_it_is_inclusive(db, held):
    """It is one moment long in `discrete`, and 400 in `continuous`."""
    sent = {"payload_url": "u", "checksum": "c", "major_iov": 4, "minor_iov": 2}
    sent |= {"major_iov_end": 4, "minor_iov_end": 2}
    if db.mode == "continuous":
        db.refused(400, "POST", "piov", sent)
    else:
        iov_id = db.ok("POST", "piov", sent)["id"]
        db.ok("PUT", "piov_attach", {"payload_list": held, "piov_id": iov_id})
        assert db.rows(held) == [("u", (4, 2), (4, 2))]
        assert [at(db, held, 4, minor) for minor in (1, 2, 3)] == [[], ["u"], []]


def test_an_iov_holds_up_to_its_end_or_at_it(db, held):
    """The row says the end as it was sent."""
    db.insert(held, "u", (4, 0), (6, 5))
    assert db.rows(held) == [("u", (4, 0), (6, 5))]
    assert at(db, held, 6, 4) == ["u"]
    assert at(db, held, 6, 5) == (["u"] if db.mode == "discrete" else [])
    assert at(db, held, 6, 6) == []


def test_a_trimmed_iov_ends_where_the_new_one_starts_or_one_before(db, held):
    """Both parts of an end count: one before (7, 0) is the last of 6."""
    db.insert(held, "first", (1, 0))
    db.insert(held, "second", (7, 0))
    db.insert(held, "third", (9, 5))
    ends = [(7, 0), (9, 5)] if db.mode == "continuous" else [(6, OPEN), (9, 4)]
    assert db.rows(held) == [
        ("first", (1, 0), ends[0]),
        ("second", (7, 0), ends[1]),
        ("third", (9, 5), END),
    ]


def test_a_split_iov_goes_on_right_after_the_new_one(db, held):
    """At its end, or one after it."""
    db.insert(held, "long", (1, 0), (9, 0))
    db.insert(held, "middle", (3, 0), (5, 0))
    if db.mode == "continuous":
        parts = [("long", (1, 0), (3, 0)), ("long", (5, 0), (9, 0))]
    else:
        parts = [("long", (1, 0), (2, OPEN)), ("long", (5, 1), (9, 0))]
    assert db.rows(held) == [parts[0], ("middle", (3, 0), (5, 0)), parts[1]]


def test_a_locked_tag_takes_the_next_one_at_the_end_or_after_it(db, held):
    """At an inclusive end it would overlap."""
    db.insert(held, "first", (1, 0), (4, 0))
    db.become(db.tag_of(held), "locked")
    at_end = db.piov("second", (4, 0), (6, 0))
    sent = {"payload_list": held, "piov_id": at_end}
    if db.mode == "continuous":
        assert db.ok("PUT", "piov_attach", sent)["payload_list"] == held
    else:
        told = db.refused(409, "PUT", "piov_attach", sent)["detail"]
        assert "(4,0,6,0)" in told
        assert "(1,0,4,0)" in told
        db.insert(held, "second", (4, 1), (6, 0))
    assert [row[0] for row in db.rows(held)] == ["first", "second"]


def test_bulk_ends_are_meant_the_same_way(db, held):
    """Those that are sent, and those that follow from the next start."""
    sent = [
        {"payload_url": "a", "payload_list": held, "major_iov": 1, "minor_iov": 0},
        {"payload_url": "b", "payload_list": held, "major_iov": 3, "minor_iov": 1}
        | {"major_iov_end": 5, "minor_iov_end": 0},
    ]
    assert db.ask("POST", "bulk_piov", sent).status == 200
    end = (3, 1) if db.mode == "continuous" else (3, 0)
    assert db.rows(held) == [("a", (1, 0), end), ("b", (3, 1), (5, 0))]
    assert at(db, held, 5) == (["b"] if db.mode == "discrete" else [])


def test_an_iov_is_deleted_by_the_end_that_was_sent(db, held):
    """An exact match, in the mode's own writing; another end is 404."""
    db.insert(held, "u", (4, 0), (6, 5))
    path = f"deletePayloadIOV/{db.tag_of(held)}/Beam/4/0"
    for wrong in ("6/4", "6/6", f"{OPEN}/{OPEN}"):
        db.refused(404, "DELETE", f"{path}/{wrong}")
    db.ok("DELETE", f"{path}/6/5")
    assert db.rows(held) == []
