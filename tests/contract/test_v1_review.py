"""Before and after, over HTTP: the pre-flight report, a strict freeze, differences, history."""

import json

import pytest
from logic_fakes import FakeBuffer, small_app
from logic_pair import pair

from datastore_logic.app import TIER

TAGS = "/api/v1/global-tags"


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Run both tiers for the tests of this file."""
    with pair(tmp_path_factory.mktemp("review")) as running:
        yield running


def make(both, name, *iovs):
    """Make a tag with payload IOVs of (type, start, end, name) and return their LSN."""
    assert both.post(TAGS, json.dumps({"name": name})).status == 201
    return insert(both, name, *iovs)


def insert(both, name, *iovs):
    """Insert payload IOVs of (type, start, end, name) and return the LSN."""
    sent = [
        {
            "payload_type": kind,
            "start": [start, 0],
            "end": None if end is None else [end, 0],
            "name": payload,
        }
        for kind, start, end, payload in iovs
    ]
    answer = both.post(f"{TAGS}/{name}/iovs", json.dumps({"iovs": sent}))
    assert answer.status == 201, answer.data
    return answer.json()["lsn"]


def test_a_strict_freeze_is_refused_for_a_gap(both):
    """409 with the report, and the tag is as it was; without `strict` it freezes and tells."""
    make(both, "gappy", ("Beam", 1, 3, "b1"), ("Beam", 5, None, "b5"))
    report = both.get(f"{TAGS}/gappy/check")
    assert report["ok"] is False
    (beam,) = report["payload_types"]
    assert beam["gaps"] == {"count": 1, "first": [{"start": [3, 0], "end": [5, 0]}]}
    refused = both.post(f"{TAGS}/gappy/freeze?strict=1")
    assert (refused.status, refused.json()["code"]) == (409, "preflight_failed")
    assert refused.json()["report"]["payload_types"] == report["payload_types"]
    assert both.get(f"{TAGS}/gappy")["state"] == "unlocked"
    frozen = both.post(f"{TAGS}/gappy/freeze?strict=0")
    assert (frozen.status, frozen.json()["state"]) == (200, "frozen")
    assert frozen.json()["report"]["ok"] is False


def test_few_at_once_have_bytes_read(tmp_path):
    """A crowd of them would hold every thread; what a freeze looks over is not counted."""
    with small_app(tmp_path, FakeBuffer()) as app:
        client, places = app.test_client(), app.extensions[TIER].bytes_read
        assert client.post(TAGS, json={"name": "wide"}).status_code == 201
        with places, places:
            refused = client.get(f"{TAGS}/wide/check?read_bytes=1")
            assert (refused.status_code, refused.json["code"]) == (503, "busy")
            assert int(refused.headers["Retry-After"]) >= 1
            assert client.get(f"{TAGS}/wide/check").status_code == 200
            assert client.post(f"{TAGS}/wide/freeze?read_bytes=1").status_code == 200
        assert client.get(f"{TAGS}/none/check?read_bytes=1").status_code == 404
        for _ in range(3):
            assert client.get(f"{TAGS}/wide/check?read_bytes=1").status_code == 200


def test_a_sound_tag_freezes_strictly(both):
    """And again: the same fingerprint."""
    make(both, "sound", ("Beam", 1, None, "b1"))
    frozen = both.post(f"{TAGS}/sound/freeze?strict=true").json()
    assert (frozen["state"], frozen["report"]["ok"]) == ("frozen", True)
    again = both.post(f"{TAGS}/sound/freeze?strict=true")
    assert (again.status, again.json()["fingerprint"]) == (200, frozen["fingerprint"])


def test_who_wants_no_report_gets_none(both):
    """A large tag is frozen sooner without a look at each IOV; a strict freeze always looks."""
    make(both, "quick", ("Beam", 1, 3, "b1"), ("Beam", 5, None, "b5"))
    assert both.post(f"{TAGS}/quick/freeze?report=0&strict=1").status == 409
    frozen = both.post(f"{TAGS}/quick/freeze?report=0").json()
    assert (frozen["state"], "report" in frozen) == ("frozen", False)


def test_a_template_says_which_types_are_needed(both):
    """A type that it has and the tag has not is missing, and refuses a strict freeze."""
    make(both, "model", ("Beam", 1, None, "b1"), ("Noise", 1, None, "n1"))
    make(both, "lacking", ("Beam", 1, None, "b1"))
    report = both.get(f"{TAGS}/lacking/check?template=model")
    assert (report["ok"], report["missing_types"]) == (False, ["Noise"])
    refused = both.post(f"{TAGS}/lacking/freeze?strict=1&template=model")
    assert refused.json()["report"]["missing_types"] == ["Noise"]
    assert both.get(f"{TAGS}/lacking/check")["ok"] is True
    assert both.ask("GET", f"{TAGS}/lacking/check?template=nobody").status == 404


def test_a_report_is_of_any_state_of_a_tag(both):
    """Of TAG@<lsn> and TAG@<fingerprint> as well."""
    then = make(both, "before", ("Beam", 1, 3, "b1"), ("Beam", 5, None, "b5"))
    insert(both, "before", ("Beam", 3, 5, "b3"))
    assert both.get(f"{TAGS}/before/check")["ok"] is True
    assert both.get(f"{TAGS}/before@{then}/check")["ok"] is False
    mark = both.post(f"{TAGS}/before/freeze").json()["fingerprint"]
    assert both.get(f"{TAGS}/before@{mark}/check?read_bytes=1")["ok"] is True


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("freeze?strict=yes", "strict"),
        ("freeze?template=a%20b", "template"),
        ("freeze?read_bytes=2", "read_bytes"),
        ("freeze?stict=1", "stict"),
    ],
)
def test_a_freeze_that_cannot_be_is_refused_by_its_field(both, path, field):
    """400: a misspelt `strict` freezes nothing."""
    both.post(TAGS, '{"name":"careful"}')
    refused = both.post(f"{TAGS}/careful/{path}")
    assert (refused.status, refused.json()["field"]) == (400, field)
    assert both.get(f"{TAGS}/careful")["state"] == "unlocked"


def test_a_difference_says_what_to_process_again(both):
    """Per type who was replaced by whom and where, and over which intervals in all."""
    make(both, "one", ("Beam", 1, None, "b1"), ("Noise", 1, 9, "n1"))
    both.post(f"{TAGS}/one/clone", '{"name":"two"}')
    insert(both, "two", ("Beam", 5, 7, "b5"), ("Noise", 6, 9, "n6"))
    found = both.get(f"{TAGS}/one/diff?to=two")
    assert (found["from"]["tag"], found["to"]["tag"]) == ("one", "two")
    assert [
        (c["payload_type"], c["start"], c["end"], c["from"]["name"], c["to"]["name"])
        for c in found["changes"]
    ] == [("Beam", [5, 0], [7, 0], "b1", "b5"), ("Noise", [6, 0], [9, 0], "n1", "n6")]
    assert found["reprocess"] == [{"start": [5, 0], "end": [9, 0]}]
    assert found["complete"] is True


def test_a_tag_is_compared_with_what_it_was(both):
    """TAG@<lsn>, ?as_of= and TAG@<fingerprint> on either side; nothing there is null."""
    then = make(both, "grown", ("Beam", 1, 3, "b1"))
    mark = both.post(f"{TAGS}/grown/freeze").json()["fingerprint"]
    both.post(f"{TAGS}/grown/unfreeze", '{"reason":"more"}')
    insert(both, "grown", ("Beam", 3, None, "b3"))
    for old in (f"grown@{then}/diff?", f"grown@{mark}/diff?", f"grown/diff?as_of={then}&"):
        (change,) = both.get(f"{TAGS}/{old}to=grown")["changes"]
        assert (change["start"], change["end"], change["from"]) == ([3, 0], None, None)
        assert change["to"]["name"] == "b3"
    same = both.get(f"{TAGS}/grown@{then}/diff?to=grown@{mark}")
    assert (same["changes"], same["reprocess"], same["complete"]) == ([], [], True)


def test_a_difference_is_cut_at_its_limit_and_says_so(both):
    """Of one type or of all, and `complete` tells."""
    make(both, "left", *[("Beam", n, n + 1, f"l{n}") for n in range(5)])
    make(both, "right", *[("Beam", n, n + 1, f"r{n}") for n in range(5)], ("Noise", 1, 2, "n"))
    cut = both.get(f"{TAGS}/left/diff?to=right&limit=3")
    assert (len(cut["changes"]), cut["complete"]) == (3, False)
    whole = both.get(f"{TAGS}/left/diff?to=right&limit=6")
    assert (len(whole["changes"]), whole["complete"]) == (6, True)
    noise = both.get(f"{TAGS}/left/diff?to=right&type=Noise")
    assert [change["payload_type"] for change in noise["changes"]] == ["Noise"]


def test_a_misspelt_type_is_not_a_difference_of_nothing(both):
    """A type that neither side has is refused; one that only one side has is compared."""
    make(both, "with-noise", ("Beam", 1, 2, "b"), ("Noise", 1, 2, "n"))
    make(both, "without", ("Beam", 1, 2, "b"))
    refused = both.ask("GET", f"{TAGS}/with-noise/diff?to=without&type=Nioise")
    assert (refused.status, refused.json()["code"]) == (404, "payload_type_not_found")
    assert "Nioise in global tag with-noise nor in without" in refused.json()["detail"]
    assert len(both.get(f"{TAGS}/without/diff?to=with-noise&type=Noise")["changes"]) == 1


def test_a_difference_of_frozen_contents_is_kept_for_ever(both):
    """What two fingerprints name never changes, so neither does what is between them."""
    marks = []
    for name, payload in (("was", "b1"), ("is", "b2")):
        make(both, name, ("Beam", 1, None, payload))
        marks.append(both.post(f"{TAGS}/{name}/freeze").json()["fingerprint"])
    url = f"{TAGS}/was@{marks[0]}/diff?to=is@{marks[1]}"
    first = both.ask("GET", url)
    assert first.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    both.post(f"{TAGS}/is/unfreeze", '{"reason":"more"}')
    insert(both, "is", ("Beam", 2, None, "b3"))
    assert both.ask("GET", url).data == first.data
    assert both.ask("GET", url, If_None_Match=first.headers["ETag"]).status == 304


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("", 400, "to"),
        ("to=a%20b", 400, "to"),
        ("to=left@x", 400, "to"),
        ("to=left&type=a%20b", 400, "type"),
        ("to=left&limit=0", 400, "limit"),
        ("to=nobody", 404, "tag_not_found"),
        ("to=left@999999", 404, "lsn_not_found"),
    ],
)
def test_a_comparison_that_cannot_be_is_refused(both, query, status, said):
    """400 names the parameter, 404 what is not there."""
    both.post(TAGS, '{"name":"left"}')
    refused = both.ask("GET", f"{TAGS}/left/diff?{query}")
    told = refused.json()
    assert (refused.status, told.get("field", told["code"])) == (status, said)


def test_the_history_says_who_did_what(both):
    """Newest first: made, filled, locked with a reason, frozen; by whom and when."""
    both.post(f"{TAGS}?user=alice", '{"name":"told"}')
    insert(both, "told", ("Beam", 1, None, "b1"))
    both.post(f"{TAGS}/told/lock?user=bob", '{"reason":"prompt"}')
    both.post(f"{TAGS}/told/freeze", '{"user":"carol","reason":"campaign"}')
    entries = both.get(f"{TAGS}/told/history")["entries"]
    assert [(entry["actor"], entry["act"]) for entry in entries] == [
        ("carol", "tag.frozen"),
        ("bob", "tag.changed"),
        ("anonymous", "timelines.changed"),
        ("alice", "tag.created"),
    ]
    assert entries[0]["about"]["reason"] == "campaign"
    assert entries[1]["about"] == {"state": "locked", "reason": "prompt"}
    times = [entry["time"] for entry in entries]
    assert times == sorted(times, reverse=True)


def test_the_history_is_read_by_pages(both):
    """`next` is what `before` takes; the last page has none."""
    make(both, "paged", *[("Beam", 1, None, "b")])
    for number in range(4):
        insert(both, "paged", ("Beam", number + 2, None, f"b{number}"))
    whole = [entry["lsn"] for entry in both.get(f"{TAGS}/paged/history")["entries"]]
    seen, query = [], "?limit=4"
    while query:
        page = both.get(f"{TAGS}/paged/history{query}")
        seen += [entry["lsn"] for entry in page["entries"]]
        query = f"?limit=4&before={page['next']}" if page["next"] else ""
    assert seen == whole
    assert len(seen) == 6
    assert both.ask("GET", f"{TAGS}/nobody/history").status == 404
    refused = both.ask("GET", f"{TAGS}/paged/history?before=x")
    assert (refused.status, refused.json()["field"]) == (400, "before")


def test_the_history_of_a_deleted_tag_says_who_deleted_it(both):
    """By the name alone; as of an LSN and under a fingerprint it ends there, for ever."""
    then = make(both, "gone", ("Beam", 1, None, "b1"))
    mark = both.post(f"{TAGS}/gone/freeze").json()["fingerprint"]
    kept = both.ask("GET", f"{TAGS}/gone@{mark}/history")
    both.post(f"{TAGS}/gone/unfreeze", '{"reason":"a mistake"}')
    both.ask("DELETE", f"{TAGS}/gone?user=mallory")
    whole = both.get(f"{TAGS}/gone/history")["entries"]
    assert (whole[0]["actor"], whole[0]["act"]) == ("mallory", "tag.deleted")
    assert len(whole) == 5
    assert both.get(f"{TAGS}/gone@{then}/history")["entries"] == whole[3:]
    assert both.get(f"{TAGS}/gone/history?as_of={then}")["entries"] == whole[3:]
    assert both.ask("GET", f"{TAGS}/gone@{mark}/history").data == kept.data
    assert kept.json()["entries"] == whole[2:]


def test_payloads_are_read_where_that_is_asked_for(both):
    """`read_bytes` has them hashed; without it they are only looked for."""
    both.post(TAGS, '{"name":"read"}')
    both.post("/stream?tag=read&type=Beam&major=1", b"to be read")
    for query, read in (("?read_bytes=1", 1), ("?read_bytes=0", 0), ("", 0)):
        told = both.get(f"{TAGS}/read/check{query}")
        assert told["ok"] is True
        looked = told["checked"]["payloads"]
        assert (looked["looked_for"], looked["bytes_read"]) == (1, read)
