"""nopayloaddb's payload types and payload lists, one test a row of the contract."""

import pytest
from cdb import TIME, cdb, fresh, ways


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    """Run both tiers for the tests of this file."""
    with cdb(tmp_path_factory.mktemp("cdb_lists")) as running:
        yield running


@pytest.mark.parametrize("path", ways("pt", "payload-types"))
def test_a_type_is_made_once_and_listed(db, path):
    """200 with its row; a duplicate is 400 with `name`, a list."""
    name = fresh("Type")
    made = db.ok("POST", path, {"name": name})
    assert list(made) == ["id", "name", "created"]
    assert made["name"] == name
    assert TIME.fullmatch(made["created"])
    assert made in db.get(path)
    assert db.refused(400, "POST", path, {"name": name}) == {
        "name": ["payload type with this name already exists."]
    }


@pytest.mark.parametrize("sent", [None, {}, {"name": ""}, {"name": 5}, {"name": "a b"}, []])
def test_a_type_that_cannot_be_is_400(db, sent):
    """No name, or one that does not fit into a URL."""
    db.refused(400, "POST", "pt", sent)


@pytest.mark.parametrize("path", ways("deletePayloadType/{}", "payload-types/{}/delete"))
def test_a_type_is_deleted_unless_lists_use_it(db, path):
    """409 names how many do; then 200, then 404."""
    kind = fresh("Type")
    db.ok("POST", "pt", {"name": kind})
    held = db.ok("POST", "pl", {"payload_type": kind})["name"]
    told = db.refused(409, "DELETE", path.format(kind))
    assert told["detail"] == "PayloadType is used by 1 PayloadLists"
    db.ok("DELETE", f"deletePayloadList/{held}")
    assert db.ok("DELETE", path.format(kind)) == {"detail": f"Payload Type {kind} deleted."}
    assert kind not in [each["name"] for each in db.get("pt")]
    db.refused(404, "DELETE", path.format(kind))
    db.refused(404, "POST", "pl", {"payload_type": kind})


def test_a_type_that_was_deleted_may_be_made_again(db):
    """It is another one then."""
    kind = fresh("Type")
    first = db.ok("POST", "pt", {"name": kind})
    db.ok("DELETE", f"deletePayloadType/{kind}")
    again = db.ok("POST", "pt", {"name": kind})
    assert again["id"] > first["id"]
    assert db.ok("POST", "pl", {"payload_type": kind})["name"].startswith(f"{kind}_")


@pytest.mark.parametrize("path", ways("pl", "payload-lists"))
def test_a_list_is_made_in_no_tag(db, path):
    """Named after its type and its id; a tag that is sent is ignored."""
    kind = fresh("Type")
    db.ok("POST", "pt", {"name": kind})
    made = db.ok("POST", path, {"payload_type": kind, "global_tag": "whatever", "name": "mine"})
    assert list(made) == ["id", "name", "global_tag", "payload_type", "created"]
    assert made["name"] == f"{kind}_{made['id']}"
    assert (made["global_tag"], made["payload_type"]) == (None, kind)
    assert TIME.fullmatch(made["created"])
    db.refused(404, "POST", path, {"payload_type": "Unheard"})
    db.refused(400, "POST", path, {})


@pytest.mark.parametrize("path", ways("pl", "payload-lists"))
def test_lists_are_shown_with_their_iovs(db, path):
    """Those in a tag and those in none."""
    tag, kind = fresh("tag"), fresh("Type")
    held = db.tag(tag, kind)[kind]
    db.insert(held, "a.root", (1, 0))
    alone = db.ok("POST", "pl", {"payload_type": kind})
    told = {each["name"]: each for each in db.get(path)}
    assert told[held] == db.get(f"globalTag/{tag}")["payload_lists"][0]
    assert told[alone["name"]] == {**alone, "payload_iov": []}
    assert list(told[held]) == [
        "id", "name", "global_tag", "payload_type", "payload_iov", "created",
    ]  # fmt: skip


@pytest.mark.parametrize("path", ways("pl/{}", "payload-lists/{}"))
def test_a_list_by_its_id_names_tag_and_type_by_theirs(db, path):
    """Ids; null for a list in no tag."""
    tag, kind = fresh("tag"), fresh("Type")
    held = db.tag(tag, kind)[kind]
    list_id = int(held.rpartition("_")[2])
    ids = {each["name"]: each["id"] for each in db.get("pt")}
    told = db.get(path.format(list_id))
    assert list(told) == ["id", "name", "global_tag", "payload_type", "created"]
    assert (told["id"], told["name"]) == (list_id, held)
    assert told["global_tag"] == db.get(f"globalTag/{tag}?light=1")["id"]
    assert told["payload_type"] == ids[kind]
    alone = db.ok("POST", "pl", {"payload_type": kind})
    assert db.get(path.format(alone["id"]))["global_tag"] is None
    for unknown in ("987654", "Beam", "0", "-1", "9" * 300):
        assert db.refused(404, "GET", path.format(unknown))["detail"] == "Not found."


@pytest.mark.parametrize("path", ways("payload-lists/by-name/{}"))
def test_a_list_by_its_name_tells_how_many_iovs_it_has(db, path):
    """Without the IOVs themselves; another type before the same id is another name."""
    tag, kind = fresh("tag"), fresh("Type")
    held = db.tag(tag, kind)[kind]
    for major in (1, 2, 3):
        db.insert(held, "x", (major, 0), (major + 1, 0))
    told = db.get(path.format(held))
    assert list(told) == ["id", "name", "global_tag", "payload_type", "iov_count", "created"]
    assert (told["global_tag"], told["payload_type"], told["iov_count"]) == (tag, kind, 3)
    for unknown in (f"Other_{told['id']}", "Beam_987654", "Beam", str(told["id"])):
        assert db.refused(404, "GET", path.format(unknown))["detail"] == "Not found."


@pytest.mark.parametrize("path", ways("pl_attach", "payload-lists/attach"))
def test_a_list_is_attached_in_the_place_of_the_one_there(db, path):
    """The one that was there is in no tag, and keeps its IOVs; the same again changes nothing."""
    tag, kind = fresh("tag"), fresh("Type")
    first = db.tag(tag, kind)[kind]
    db.insert(first, "old", (1, 0))
    second = db.ok("POST", "pl", {"payload_type": kind})
    sent = {"global_tag": tag, "payload_list": second["name"]}
    told = db.ok("PUT", path, sent)
    assert told == {**second, "global_tag": tag}
    assert list(told) == ["id", "name", "global_tag", "payload_type", "created"]
    assert db.get(f"gtPayloadLists/{tag}") == {kind: second["name"]}
    left = db.get(f"payload-lists/by-name/{first}")
    assert (left["global_tag"], left["iov_count"]) == (None, 1)
    row = db.get(f"globalTag/{tag}?light=1")
    assert db.ok("PUT", path, sent) == told
    assert db.get(f"globalTag/{tag}?light=1") == row
    assert (row["payload_lists_count"], row["payload_iov_count"]) == (1, 0)


def test_a_list_moves_from_an_unlocked_tag(db):
    """It is in one tag at most."""
    kind, one, other = fresh("Type"), fresh("tag"), fresh("tag")
    held = db.tag(one, kind)[kind]
    db.insert(held, "x", (1, 0))
    db.tag(other)
    db.ok("PUT", "pl_attach", {"global_tag": other, "payload_list": held})
    assert db.get(f"gtPayloadLists/{one}") == {}
    assert db.timeline(other, kind)
    counts = [db.get(f"globalTag/{name}?light=1")["payload_iov_count"] for name in (one, other)]
    assert counts == [0, 1]


@pytest.mark.parametrize("status", ["locked", "frozen"])
def test_a_closed_tag_neither_gives_nor_swaps_a_list(db, status):
    """409; a locked one takes a list of a new type, a frozen one nothing."""
    kind, new, closed, other = fresh("Type"), fresh("Type"), fresh("tag"), fresh("tag")
    held = db.tag(closed, kind)[kind]
    db.tag(other)
    db.ok("POST", "pt", {"name": new})
    spare = db.ok("POST", "pl", {"payload_type": kind})["name"]
    unlike = db.ok("POST", "pl", {"payload_type": new})["name"]
    db.become(closed, status)
    db.refused(409, "PUT", "pl_attach", {"global_tag": other, "payload_list": held})
    told = db.refused(409, "PUT", "pl_attach", {"global_tag": closed, "payload_list": spare})
    assert status in told["detail"]
    took = db.ask("PUT", "pl_attach", {"global_tag": closed, "payload_list": unlike}).status
    assert took == (200 if status == "locked" else 409)
    assert db.get(f"gtPayloadLists/{closed}")[kind] == held


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"global_tag": "nowhere", "payload_list": "{held}"}, 404),
        ({"global_tag": "{tag}", "payload_list": "Beam_98765"}, 404),
        ({"global_tag": "{tag}"}, 400),
        ({"payload_list": "{held}"}, 400),
        ({"global_tag": 7, "payload_list": ["x"]}, 400),
        (None, 400),
    ],
)
def test_what_cannot_be_attached_is_refused(db, sent, status):
    """404 for what is not there, 400 for what is missing."""
    tag, kind = fresh("tag"), fresh("Type")
    held = db.tag(tag, kind)[kind]
    if sent is not None:
        named = {"tag": tag, "held": held}
        sent = {k: v.format(**named) if isinstance(v, str) else v for k, v in sent.items()}
    db.refused(status, "PUT", "pl_attach", sent)


@pytest.mark.parametrize("path", ways("deletePayloadList/{}", "payload-lists/{}/delete"))
def test_a_list_is_deleted_once_it_is_empty(db, path):
    """409 names how many IOVs it holds; the answer says Payload Type, as clients know it."""
    tag, kind = fresh("tag"), fresh("Type")
    held = db.tag(tag, kind)[kind]
    for major in (1, 2):
        db.insert(held, "x", (major, 0), (major + 1, 0))
    told = db.refused(409, "DELETE", path.format(held))
    assert told["detail"] == "PayloadList contains 2 PayloadIOVs"
    for major in (1, 2):
        db.ok("DELETE", f"deletePayloadIOV/{tag}/{kind}/{major}/0/{major + 1}/0")
    assert db.ok("DELETE", path.format(held)) == {"detail": f"Payload Type {held} deleted."}
    assert db.get(f"gtPayloadLists/{tag}") == {}
    assert db.get(f"globalTag/{tag}?light=1")["payload_lists_count"] == 0
    db.refused(404, "DELETE", path.format(held))
    db.refused(400, "DELETE", path.format("Beam"))


@pytest.mark.parametrize("status", ["locked", "frozen"])
def test_an_empty_list_of_a_closed_tag_is_not_deleted(db, status):
    """409, and it stays."""
    tag, kind = fresh("tag"), fresh("Type")
    held = db.tag(tag, kind)[kind]
    db.become(tag, status)
    db.refused(409, "DELETE", f"deletePayloadList/{held}")
    assert db.get(f"gtPayloadLists/{tag}") == {kind: held}
