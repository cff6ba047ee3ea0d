"""Browse mode: pages of global tags, payload types, payload lists and payload IOVs."""

import pytest
from cdb import cdb, ways

PLACES = {
    "tags": ways("globalTags", "global-tags"),
    "types": ways("pt", "payload-types"),
    "lists": ways("pl", "payload-lists"),
    "iovs": ways("piov", "payload-iovs"),
}
COLUMNS = {
    "tags": [
        "id", "name", "author", "status", "payload_lists_count", "payload_iov_count",
        "created", "updated",
    ],
    "types": ["id", "name", "created"],
    "lists": ["id", "name", "global_tag", "payload_type", "iov_count", "created"],
    "iovs": [
        "id", "payload_url", "checksum", "major_iov", "minor_iov", "comb_iov", "major_iov_end",
        "minor_iov_end", "payload_list", "inserted", "global_tag", "payload_type",
    ],
}  # fmt: skip
SIZES = {"tags": 3, "types": 2, "lists": 4, "iovs": 8}


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    """Run both tiers with three tags, two types, four lists, seven IOVs in them and one in none."""
    with cdb(tmp_path_factory.mktemp("cdb_browse")) as running:
        for name, author in (("alpha", "Zoe"), ("beta_1", None), ("gamma", "adam")):
            sent = {"name": name, "status": "unlocked", "author": author}
            running.ok("POST", "gt", sent)
        for kind in ("Beam", "Magnet"):
            running.ok("POST", "pt", {"name": kind})
            for tag in ("alpha", "beta_1"):
                held = running.ok("POST", "pl", {"payload_type": kind})["name"]
                running.ok("PUT", "pl_attach", {"global_tag": tag, "payload_list": held})
        beam, magnet = (running.get("gtPayloadLists/alpha")[kind] for kind in ("Beam", "Magnet"))
        for major in (5, 4, 3, 2, 1):
            running.insert(beam, f"b{major}.root", (major, 0), (major + 1, 0))
        running.insert(magnet, "100%.root", (1, 0))
        running.insert(running.get("gtPayloadLists/beta_1")["Beam"], "b9.root", (9, 0))
        running.piov("loose.root", (7, 0))
        running.become("gamma", "locked")
        yield running


def names(db, path):
    """Return the names, or urls, of the rows of a page."""
    return [row.get("name", row.get("payload_url")) for row in db.get(path)["results"]]


@pytest.mark.parametrize(
    ("kind", "path"), [(kind, path) for kind, paths in PLACES.items() for path in paths]
)
def test_a_page_says_where_it_is(db, kind, path):
    """Count, page, size, pages and rows, by id."""
    told = db.get(f"{path}?page=1")
    assert list(told) == ["count", "page", "page_size", "total_pages", "results"]
    assert {**told, "results": []} == {
        "count": SIZES[kind], "page": 1, "page_size": 25, "total_pages": 1, "results": [],
    }  # fmt: skip
    assert [list(row) for row in told["results"]] == [COLUMNS[kind]] * SIZES[kind]
    ids = [row["id"] for row in told["results"]]
    assert ids == sorted(ids)
    assert isinstance(db.get(path), list)


@pytest.mark.parametrize("kind", PLACES)
def test_pages_follow_each_other(db, kind):
    """Together they are everything, each once; behind the last there is nothing."""
    path = PLACES[kind][0]
    everything = db.get(f"{path}?page=1")["results"]
    last = -(-SIZES[kind] // 3)
    pages = [db.get(f"{path}?page={number}&page_size=3") for number in range(1, last + 2)]
    assert [row for page in pages for row in page["results"]] == everything
    assert {page["total_pages"] for page in pages} == {last}
    assert pages[-1]["results"] == []


@pytest.mark.parametrize("number", ["", "0", "-3", "x", "1.5", "%00", "9" * 40])
def test_a_bad_page_is_the_first(db, number):
    """Whatever it is."""
    assert db.get(f"pt?page={number}")["page"] == 1


@pytest.mark.parametrize(
    ("size", "given"),
    [("1", 1), ("1000", 1000), ("1001", 1000), ("0", 25), ("x", 25), ("-1", 25), ("", 25)],
)
def test_a_page_has_1_to_1000_rows(db, size, given):
    """25 if nothing sensible is said."""
    assert db.get(f"pt?page=1&page_size={size}")["page_size"] == given


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("global-tags?page=1&search=ALP", ["alpha"]),
        ("global-tags?page=1&search=zoe", ["alpha"]),
        ("global-tags?page=1&search=a_1", ["beta_1"]),
        ("global-tags?page=1&search=%25", []),
        ("payload-types?page=1&search=mag", ["Magnet"]),
        ("payload-lists?page=1&search=ALPHA", ["Beam_1", "Magnet_3"]),
        ("payload-lists?page=1&search=magnet_3", ["Magnet_3"]),
        ("payload-iovs?page=1&search=B4", ["b4.root"]),
        ("payload-iovs?page=1&search=100%25", ["100%.root"]),
        ("payload-iovs?page=1&search=magnet_", ["100%.root"]),
        ("payload-iovs?page=1&search=loose", ["loose.root"]),
        ("payload-iovs?page=1&search=' OR 1=1 --", []),
    ],
)
def test_a_search_finds_parts_of_names(db, path, found):
    """Without regard to case; marks of LIKE are letters like any other."""
    told = db.get(path.replace(" ", "%20").replace("'", "%27"))
    assert [row.get("name", row.get("payload_url")) for row in told["results"]] == found
    assert told["count"] == len(found)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("global-tags?page=1&sort=name&order=desc", ["gamma", "beta_1", "alpha"]),
        ("global-tags?page=1&sort=payload_iov_count&order=desc", ["alpha", "beta_1", "gamma"]),
        ("global-tags?page=1&sort=status", ["gamma", "alpha", "beta_1"]),
        ("global-tags?page=1&sort=id;drop&order=desc", ["gamma", "beta_1", "alpha"]),
        ("payload-types?page=1&sort=created&order=desc", ["Magnet", "Beam"]),
        ("payload-lists?page=1&sort=iov_count&order=desc&page_size=1", ["Beam_1"]),
        ("payload-iovs?page=1&sort=major_iov&page_size=3", ["b1.root", "100%.root", "b2.root"]),
        ("payload-iovs?page=1&sort=comb_iov&order=desc&page_size=2", ["b9.root", "loose.root"]),
        ("payload-iovs?page=1&sort=major_iov_end&page_size=2", ["b1.root", "b2.root"]),
        ("payload-iovs?page=1&sort=payload_url&page_size=2", ["100%.root", "b1.root"]),
        ("payload-iovs?page=1&sort=nonsense&page_size=2", ["b5.root", "b4.root"]),
        ("payload-iovs?page=1&order=desc&page_size=1", ["loose.root"]),
    ],
)
def test_rows_are_sorted_by_what_is_known(db, path, found):
    """By id where the word is not known; `order=desc` turns it round."""
    assert names(db, path) == found


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("global-tags?page=1&status=locked", 1),
        ("global-tags?page=1&status=unlocked", 2),
        ("global-tags?page=1&status=", 3),
        ("global-tags?page=1&name=alpha", 3),
        ("payload-lists?page=1&global_tag=alpha", 2),
        ("payload-lists?page=1&global_tag=alpha&payload_type=Beam", 1),
        ("payload-lists?page=1&payload_type=Nothing", 0),
        ("payload-iovs?page=1&global_tag=alpha", 6),
        ("payload-iovs?page=1&payload_type=Beam", 6),
        ("payload-iovs?page=1&payload_list=Beam_1", 5),
        ("payload-iovs?page=1&payload_list=Beam_1&search=b3", 1),
        ("payload-iovs?page=1&payload_list=nowhere", 0),
    ],
)
def test_filters_narrow_what_is_counted_and_shown(db, path, count):
    """Only those that the place knows."""
    told = db.get(path)
    assert (told["count"], len(told["results"])) == (count, count)
    assert told["total_pages"] == (1 if count else 0)


def test_iov_rows_carry_tag_and_type(db):
    """Null for one in no list."""
    told = {row["payload_url"]: row for row in db.get("piov?page=1")["results"]}
    row = told["b9.root"]
    assert (row["global_tag"], row["payload_type"], row["payload_list"]) == (
        "beta_1",
        "Beam",
        "Beam_2",
    )
    row = told["loose.root"]
    assert (row["global_tag"], row["payload_type"], row["payload_list"]) == (None, None, None)
