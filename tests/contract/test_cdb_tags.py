"""nopayloaddb's statuses and global tags, one test a row of the contract."""

import pytest
from cdb import TIME, cdb, fresh, ways


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    """Run both tiers for the tests of this file."""
    with cdb(tmp_path_factory.mktemp("cdb_tags")) as running:
        yield running


@pytest.mark.parametrize("path", ways("gtstatus", "global-tags/statuses"))
def test_the_three_statuses_exist_from_the_start(db, path):
    """unlocked, locked and frozen, each with its id."""
    told = db.get(path)
    assert [status["name"] for status in told] == ["unlocked", "locked", "frozen"]
    assert [list(status) for status in told] == [["id", "name", "created"]] * 3
    assert all(TIME.fullmatch(status["created"]) for status in told)


@pytest.mark.parametrize("path", ways("gtstatus", "global-tags/statuses"))
def test_a_status_made_again_is_the_one_there_is(db, path):
    """One of the three: 200; any other: 400."""
    for status in db.get(path):
        assert db.ok("POST", path, {"name": status["name"]}) == status
    db.refused(400, "POST", path, {"name": "half-open"})
    db.refused(400, "POST", path, {})


@pytest.mark.parametrize("path", ways("gt"))
def test_a_tag_is_made_once(db, path):
    """200 with its row; a duplicate is 400 with `name`, a list."""
    name = fresh("made")
    sent = {"name": name, "status": "unlocked", "author": "alice", "description": "for run 3"}
    made = db.ok("POST", path, sent)
    assert list(made) == ["id", "name", "author", "status", "created", "updated"]
    assert (made["name"], made["author"], made["status"]) == (name, "alice", "unlocked")
    assert TIME.fullmatch(made["created"])
    assert TIME.fullmatch(made["updated"])
    assert db.refused(400, "POST", path, sent) == {
        "name": ["global tag with this name already exists."]
    }


def test_a_tag_may_be_made_locked_or_frozen(db):
    """It is, from the start."""
    for status in ("locked", "frozen"):
        assert db.ok("POST", "gt", {"name": f"born-{status}", "status": status})["status"] == status
        assert db.get(f"globalTag/born-{status}?light=1")["status"] == status


@pytest.mark.parametrize(
    "sent",
    [
        {"name": "x", "status": "half-open"},
        {"name": "x"},
        {"status": "unlocked"},
        {"name": None, "status": "unlocked"},
        {"name": "no/slash", "status": "unlocked"},
        {"name": "no@mark", "status": "unlocked"},
        {"name": "x" * 201, "status": "unlocked"},
        {"name": "x", "status": "unlocked", "author": 7},
        {"name": "x", "status": ["unlocked"]},
        [],
        "x",
        None,
    ],
)
def test_a_tag_that_cannot_be_is_400(db, sent):
    """An unknown status, a name that does not fit into a URL, a body that is none."""
    db.refused(400, "POST", "gt", sent)
    assert "x" not in [tag["name"] for tag in db.get("globalTags")]


def test_an_author_may_be_null(db):
    """As the C++ client sends where USER is not set; or missing, or empty."""
    for name, sent in (("nobody", {"author": None}), ("missing", {}), ("empty", {"author": ""})):
        told = db.ok("POST", "gt", {"name": name, "status": "unlocked", **sent})
        assert told["author"] == sent.get("author")


@pytest.mark.parametrize("path", ways("globalTag/full", "global-tags/full"))
def test_a_tag_is_shown_with_all_it_holds(db, path):
    """Its status is an object, its lists hold their IOVs."""
    if db.ask("GET", "globalTag/full").status == 404:
        lists = db.tag("full", "Beam", "Magnet")
        db.insert(lists["Beam"], "a.root", (1, 0), (3, 0))
        db.insert(lists["Beam"], "b.root", (3, 0))
    told = db.get(path)
    assert list(told) == [
        "id", "name", "author", "status", "payload_lists", "created", "updated",
    ]  # fmt: skip
    assert told["status"]["name"] == "unlocked"
    assert told["status"]["id"] == 1
    beam, magnet = told["payload_lists"]
    assert list(beam) == ["id", "name", "global_tag", "payload_type", "payload_iov", "created"]
    assert (beam["global_tag"], beam["payload_type"]) == ("full", "Beam")
    assert beam["name"] == f"Beam_{beam['id']}"
    assert magnet["payload_iov"] == []
    assert [iov["payload_url"] for iov in beam["payload_iov"]] == ["a.root", "b.root"]
    assert {iov["payload_list"] for iov in beam["payload_iov"]} == {beam["name"]}


@pytest.mark.parametrize("path", ways("globalTag/light", "global-tags/light"))
def test_a_tag_is_shown_by_its_counts_alone(db, path):
    """`?light=1` is the row that lists show."""
    if db.ask("GET", "globalTag/light").status == 404:
        db.insert(db.tag("light", "Beam")["Beam"], "a.root", (1, 0))
    told = db.get(f"{path}?light=1")
    assert told in db.get("globalTags")
    assert (told["payload_lists_count"], told["payload_iov_count"]) == (1, 1)


@pytest.mark.parametrize(
    "path",
    [
        *ways("globalTag/nowhere", "global-tags/nowhere", "gt/987654", "gt/nowhere"),
        *("globalTag/nowhere?light=1", "globalTag/a%20b", "gt/-1", f"gt/{'9' * 3000}"),
    ],
)
def test_a_tag_that_is_not_there_is_404(db, path):
    """By name and by id."""
    assert db.refused(404, "GET", path)["detail"] == "Not found."


def test_a_tag_is_shown_by_its_id(db):
    """As by its name."""
    lists = db.tag("by-id", "Beam")
    db.insert(lists["Beam"], "a.root", (1, 0))
    told = db.get("globalTag/by-id")
    for path in ways(f"gt/{told['id']}"):
        assert db.get(path) == told


@pytest.mark.parametrize("path", ways("gt"))
def test_all_tags_are_shown_with_all_they_hold(db, path):
    """Each as it is shown alone."""
    told = db.get(path)
    assert told == [db.get(f"globalTag/{tag['name']}") for tag in told]
    assert [tag["id"] for tag in told] == sorted(tag["id"] for tag in told)


@pytest.mark.parametrize("path", ways("globalTags", "global-tags"))
def test_tags_are_listed_with_their_counts(db, path):
    """What clients ask before nearly everything."""
    name = fresh("counted")
    held = db.tag(name, "Beam", "Magnet")
    for major in (1, 2, 3):
        db.insert(held["Beam"], "x", (major, 0), (major + 1, 0))
    told = {tag["name"]: tag for tag in db.get(path)}[name]
    assert list(told) == [
        "id", "name", "author", "status", "payload_lists_count", "payload_iov_count",
        "created", "updated",
    ]  # fmt: skip
    assert (told["status"], told["payload_lists_count"], told["payload_iov_count"]) == (
        "unlocked",
        2,
        3,
    )


def test_the_list_of_tags_revalidates(db):
    """304 until anything is written; the new tag is there at once."""
    first = db.ask("GET", "globalTags")
    assert first.headers["Cache-Control"] == "no-cache"
    again = db.ask("GET", "globalTags", If_None_Match=first.headers["ETag"])
    assert (again.status, again.data) == (304, b"")
    db.tag("one-more")
    changed = db.ask("GET", "globalTags", If_None_Match=first.headers["ETag"])
    assert changed.status == 200
    assert "one-more" in [tag["name"] for tag in changed.json()]


def test_a_nested_tag_revalidates_until_it_is_touched(db):
    """Another tag's change does not count."""
    held = db.tag("kept", "Beam")["Beam"]
    first = db.ask("GET", "globalTag/kept")
    db.tag("another")
    again = db.ask("GET", "globalTag/kept", If_None_Match=first.headers["ETag"])
    assert (again.status, again.data) == (304, b"")
    db.insert(held, "a", (1, 0))
    assert db.ask("GET", "globalTag/kept", If_None_Match=first.headers["ETag"]).status == 200


@pytest.mark.parametrize("path", ways("gtPayloadLists/mapped", "global-tags/mapped/payload-lists"))
def test_the_lists_of_a_tag_by_type(db, path):
    """`{type: list}`."""
    if db.ask("GET", "globalTag/mapped").status == 404:
        db.tag("mapped", "Magnet", "Beam")
    told = db.get(path)
    assert sorted(told) == ["Beam", "Magnet"]
    assert all(name.startswith(f"{kind}_") for kind, name in told.items())


@pytest.mark.parametrize("name", ["nowhere", "a%20b"])
def test_the_lists_of_an_unknown_tag_are_none(db, name):
    """`{}`, not an error."""
    assert db.get(f"gtPayloadLists/{name}") == {}


@pytest.mark.parametrize("path", ways("cloneGlobalTag/{}/{}", "global-tags/{}/clone/{}"))
@pytest.mark.parametrize("body", [None, b"null", {}, b""])
@pytest.mark.parametrize("status", ["unlocked", "locked", "frozen"])
def test_a_clone_has_the_content_of_its_source(db, path, body, status):
    """Unlocked whatever the source is; lists of its own, the same IOVs."""
    source = f"source-{status}"
    if db.ask("GET", f"globalTag/{source}").status == 404:
        db.insert(db.tag(source, "Beam", "Magnet")["Beam"], "a.root", (1, 0), (2, 0))
        db.become(source, status)
    name = fresh("clone")
    told = db.ok("POST", path.format(source, name), body)
    assert told == db.get(f"globalTag/{name}?light=1")
    assert (told["status"], told["payload_lists_count"], told["payload_iov_count"]) == (
        "unlocked",
        2,
        1,
    )
    ours, theirs = db.get(f"gtPayloadLists/{name}"), db.get(f"gtPayloadLists/{source}")
    assert ours.keys() == theirs.keys()
    assert not set(ours.values()) & set(theirs.values())
    assert db.timeline(name, "Beam") == db.timeline(source, "Beam")
    db.insert(ours["Beam"], "mine", (1, 0), (2, 0))
    assert db.timeline(source, "Beam") == [("a.root", (1, 0), (2, 0))]


def test_a_clone_of_nothing_or_over_something_is_refused(db):
    """404 and 400."""
    db.tag("taken")
    db.refused(404, "POST", "cloneGlobalTag/nowhere/somewhere")
    assert db.refused(400, "POST", "cloneGlobalTag/taken/taken") == {
        "name": ["global tag with this name already exists."]
    }


@pytest.mark.parametrize("path", ways("gt_change_status/{}/{}", "global-tags/{}/change-status/{}"))
@pytest.mark.parametrize("body", [None, b"null", {}])
def test_a_status_is_changed(db, path, body):
    """Unlocked and locked to any; the same again changes nothing."""
    name = fresh("moody")
    made = db.ok("POST", "gt", {"name": name, "status": "unlocked", "author": "bob"})
    ids = {status["name"]: status["id"] for status in db.get("gtstatus")}
    for status in ("locked", "locked", "unlocked", "locked", "frozen", "frozen"):
        told = db.ok("PUT", path.format(name, status), body)
        assert list(told) == ["id", "name", "author", "status", "created", "updated"]
        assert (told["id"], told["author"]) == (made["id"], "bob")
        assert told["status"] == ids[status]
        assert db.get(f"globalTag/{name}?light=1")["status"] == status


def test_a_frozen_tag_is_unfrozen_only_with_a_reason(db):
    """409 without, for both other statuses."""
    db.tag("cold")
    db.become("cold", "frozen")
    for status in ("unlocked", "locked"):
        db.refused(409, "PUT", f"gt_change_status/cold/{status}")
    assert db.get("globalTag/cold?light=1")["status"] == "frozen"
    told = db.ok("PUT", "gt_change_status/cold/locked?reason=wrong+field+map&user=admin")
    assert told["status"] == 2


def test_a_status_or_a_tag_that_is_not_there(db):
    """400 and 404."""
    db.tag("plain")
    db.refused(400, "PUT", "gt_change_status/plain/half-open")
    db.refused(404, "PUT", "gt_change_status/nowhere/locked")


@pytest.mark.parametrize("path", ways("deleteGlobalTag/{}", "global-tags/{}/delete"))
def test_a_tag_is_deleted_with_all_it_holds(db, path):
    """Its lists and IOVs are gone from every list of them."""
    name = fresh("gone")
    held = db.tag(name, "Beam")["Beam"]
    iov_id = db.insert(held, "a.root", (1, 0))
    assert db.ok("DELETE", path.format(name)) == {"detail": f"Global tag {name} deleted."}
    db.refused(404, "GET", f"globalTag/{name}")
    db.refused(404, "GET", f"payload-lists/by-name/{held}")
    db.refused(404, "GET", f"piov/{iov_id}")
    assert db.get(f"payloadiovs/?gtName={name}&majorIOV=5&minorIOV=0") == []
    db.refused(404, "DELETE", path.format(name))


@pytest.mark.parametrize("status", ["locked", "frozen"])
def test_a_tag_that_is_not_unlocked_is_not_deleted(db, status):
    """409, and it stays."""
    db.insert(db.tag(f"safe-{status}", "Beam")["Beam"], "a.root", (1, 0))
    db.become(f"safe-{status}", status)
    told = db.refused(409, "DELETE", f"deleteGlobalTag/safe-{status}")
    assert told["detail"] == "Global Tag is locked."
    assert db.timeline(f"safe-{status}", "Beam")
