"""A freeze that two must want, over HTTP: what each way of asking for it is answered."""

import pytest
from approvers import TAGS, history, lab
from load import ask, ledger_entries
from servers import eventually

ROOT = "r" * 32


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Run both tiers where a freeze needs two."""
    folder = tmp_path_factory.mktemp("approvals")
    with lab(folder, MAX_SIZE="1", ADMIN_TOKEN=ROOT) as running:
        yield running


def content(two, tag):
    """Return the fingerprint that a tag would be frozen with."""
    clone = f"{tag}-clone"
    two.ask("alice", "POST", f"{TAGS}/{tag}/clone", {"name": clone})
    return two.freeze("alice", clone).json["freeze"]["fingerprint"]


def test_the_first_to_ask_proposes_and_another_confirms(two):
    """202 until then, and the tag says what it waits for; the history names both."""
    tag = two.tag()
    mark = content(two, tag)
    first = two.freeze("alice", tag, {"reason": "O4"})
    assert first.status == 202
    assert first.json == {
        "tag": tag,
        "state": "unlocked",
        "fingerprint": None,
        "lsn": first.lsn,
        "freeze": {
            "proposed_by": "alice",
            "made_by": None,
            "at": first.json["freeze"]["at"],
            "fingerprint": mark,
            "reason": "O4",
            "approvals": 1,
            "needed": 2,
        },
    }
    shown = two.get(f"{TAGS}/{tag}", first.lsn)
    assert (shown["state"], shown["freeze"]) == ("unlocked", first.json["freeze"])
    again = two.freeze("alice", tag)
    assert (again.status, again.json) == (202, first.json)
    second = two.freeze("bob", tag)
    assert second.status == 200
    assert second.json == {"tag": tag, "state": "frozen", "fingerprint": mark, "lsn": second.lsn}
    assert two.freeze("alice", tag).json == second.json
    assert "freeze" not in two.get(f"{TAGS}/{tag}", second.lsn)
    assert two.get(f"{TAGS}/{tag}@{first.lsn}")["freeze"] == first.json["freeze"]
    assert history(two, tag)[-2:] == [
        ("alice", "tag.freeze_proposed", {"fingerprint": mark, "reason": "O4"}),
        (
            "bob",
            "tag.frozen",
            {"fingerprint": mark, "reason": "O4", "proposed_by": "alice", "approved_by": "bob"},
        ),
    ]


def given(two, giver, name):
    """Return an API token that somebody gave away, to an admin of everything."""
    told = {"name": name, "grants": [{"role": "admin", "tags": ".*"}]}
    made = two.ask(giver, "POST", "/api/v1/tokens", told)
    assert made.status == 201, made
    return made.json["token"]


def test_nobody_becomes_two_by_tokens_of_their_own(two):
    """Neither by one, nor by two, nor by one that was made by another; somebody else's counts."""
    ci, nightly, bobs = (
        given(two, *each) for each in (("alice", "ci"), ("alice", "nightly"), ("bob", "bobs"))
    )
    grandchild = given(two, ci, "ci-2")
    tag = two.tag()
    first = two.freeze(ci, tag)
    assert (first.status, first.json["freeze"]["proposed_by"]) == (202, "ci")
    assert first.json["freeze"]["made_by"] == "alice"
    for same in ("alice", ci, nightly, grandchild):
        again = two.freeze(same, tag)
        assert (again.status, again.json) == (202, first.json)
    assert two.freeze(bobs, tag).status == 200
    about = history(two, tag)[-1]
    assert about[0] == "bobs"
    assert (about[2]["proposed_by"], about[2]["approved_by"]) == ("ci", "bobs")
    assert about[2]["made_by"] == "bob"


def test_who_got_their_tokens_from_the_founder_are_people(two):
    """A small lab has no other way; what they make in their turn is theirs."""
    tina, tom = (given(two, ROOT, name) for name in ("tina", "tom"))
    robot = given(two, tina, "robot")
    tag = two.tag()
    assert two.freeze(tina, tag).status == 202
    assert two.freeze(robot, tag).status == 202
    assert two.freeze(ROOT, tag).status == 202
    assert two.freeze(tom, tag).status == 200


def test_a_tag_that_waits_is_revalidated(two):
    """Who asked before the proposal, or before it ended, is not told that nothing has changed."""
    tag = two.tag()
    seen = []
    for act in (
        lambda: None,
        lambda: two.freeze("alice", tag),
        lambda: two.ask("bob", "DELETE", f"{TAGS}/{tag}/freeze"),
    ):
        act()
        told = ask("GET", f"{two.pods[0].url}{TAGS}/{tag}")
        seen.append((told.headers["etag"], "freeze" in told.json))
    assert len({etag for etag, _ in seen}) == 3
    assert [waits for _, waits in seen] == [False, True, False]


def test_the_report_comes_with_each_of_both(two):
    """And a strict one refuses the proposal as well as the confirmation."""
    tag = two.tag()
    url = f"{TAGS}/{tag}/freeze"
    two.insert(tag, 5)
    two.ask("alice", "DELETE", f"{TAGS}/{tag}/payload-lists/Beam/iovs?major=1&major_end=5")
    two.ask("alice", "POST", f"{TAGS}/{tag}/iovs", gap(1))
    refused = two.ask("alice", "POST", f"{url}?strict=1")
    assert (refused.status, refused.json["code"]) == (409, "preflight_failed")
    assert "freeze" not in two.get(f"{TAGS}/{tag}")
    first = two.ask("alice", "POST", url)
    assert (first.status, first.json["report"]["ok"]) == (202, False)
    refused = two.ask("bob", "POST", f"{url}?strict=1")
    assert (refused.status, refused.json["code"]) == (409, "preflight_failed")
    second = two.ask("bob", "POST", url)
    assert (second.status, second.json["report"]["ok"]) == (200, False)


def gap(start):
    """Return a payload IOV that leaves a gap behind it."""
    return {
        "iovs": [{"payload_type": "Beam", "start": [start, 0], "end": [start + 1, 0], "name": "g"}]
    }


def test_changed_content_is_proposed_anew(two):
    """Whoever asks next proposes it: the first approval was of something else."""
    tag = two.tag()
    first = two.freeze("alice", tag).json
    two.insert(tag, 7)
    assert "freeze" not in two.get(f"{TAGS}/{tag}")
    second = two.freeze("bob", tag)
    assert (second.status, second.json["freeze"]["proposed_by"]) == (202, "bob")
    assert second.json["freeze"]["fingerprint"] != first["freeze"]["fingerprint"]
    assert two.freeze("alice", tag).status == 200


def test_a_fingerprint_says_what_is_confirmed(two):
    """Other content is 409, and nothing is proposed; what is none is 400."""
    tag = two.tag()
    mark = two.freeze("alice", tag).json["freeze"]["fingerprint"]
    two.insert(tag, 7)
    refused = two.freeze("bob", tag, {"fingerprint": mark})
    assert (refused.status, refused.json["code"]) == (409, "other_content")
    assert "freeze" not in two.get(f"{TAGS}/{tag}")
    for wrong in ("AB" * 32, mark[:-1], 7):
        bad = two.freeze("bob", tag, {"fingerprint": wrong})
        assert (bad.status, bad.json["field"]) == (400, "fingerprint")


def test_a_repeat_under_its_key_answers_as_the_first_did(two):
    """202 with the same proposal, also after it was withdrawn; another request is 409."""
    tag = two.tag()
    first = two.freeze("alice", tag, key=f"{tag}-1")
    two.ask("bob", "DELETE", f"{TAGS}/{tag}/freeze")
    again = two.freeze("alice", tag, key=f"{tag}-1")
    assert (again.status, again.json["freeze"]) == (202, first.json["freeze"])
    assert again.lsn == first.lsn
    other = two.freeze("bob", tag, key=f"{tag}-1")
    assert (other.status, other.json["code"]) == (409, "idempotency_key_reused")
    acts = [act for _, act, _ in history(two, tag)]
    assert acts[-2:] == ["tag.freeze_proposed", "tag.freeze_withdrawn"]


def test_a_proposal_is_withdrawn_for_a_reason(two):
    """By whoever may freeze; nothing to withdraw changes nothing; frozen is too late."""
    tag = two.tag()
    two.freeze("alice", tag)
    url = f"{TAGS}/{tag}/freeze"
    gone = two.ask("bob", "DELETE", f"{url}?reason=wrong%20beam")
    assert (gone.status, gone.json["state"]) == (200, "unlocked")
    assert history(two, tag)[-1] == ("bob", "tag.freeze_withdrawn", {"reason": "wrong beam"})
    again = two.ask("bob", "DELETE", url)
    assert (again.status, again.json) == (200, gone.json)
    two.freeze("alice", tag)
    two.freeze("bob", tag)
    late = two.ask("bob", "DELETE", url)
    assert (late.status, late.json["code"]) == (409, "tag_frozen")
    assert two.ask("bob", "DELETE", f"{TAGS}/nowhere/freeze").status == 404
    assert two.ask("bob", "DELETE", f"{url}?why=1").status == 400
    assert two.ask(None, "DELETE", url).status == 401


def test_nopayloaddbs_clients_do_not_take_it_for_frozen(two):
    """Not 200, and said in `detail`; a `name` that is no list would break them."""
    tag = two.tag()
    url = f"/api/cdb_rest/gt_change_status/{tag}/frozen"
    first = two.ask("alice", "PUT", url)
    assert first.status == 202
    assert "name" not in first.json
    assert first.json["detail"] == (
        f"Global tag {tag} is not frozen yet: alice proposed it, and somebody else must confirm it."
    )
    assert (first.json["global_tag"]["name"], first.json["global_tag"]["status"]) == (tag, 1)
    assert two.get(f"/api/cdb_rest/globalTag/{tag}?light=1")["status"] == "unlocked"
    two.ask("alice", "PUT", f"/api/cdb_rest/gt_change_status/{tag}/locked")
    second = two.ask("bob", "PUT", url)
    assert (second.status, second.json["name"], second.json["status"]) == (200, tag, 3)
    opened = two.ask("bob", "PUT", f"/api/cdb_rest/gt_change_status/{tag}/unlocked?reason=beam")
    assert (opened.status, opened.json["status"]) == (200, 1)


def test_no_tag_is_made_frozen(two):
    """That would be one person's freeze; locked from the start is none."""
    refused = two.ask("alice", "POST", "/api/cdb_rest/gt", {"name": "born", "status": "frozen"})
    assert (refused.status, refused.json["code"]) == (409, "freeze_needs_two")
    assert ask("GET", f"{two.pods[0].url}{TAGS}/born").status == 404
    made = two.ask("alice", "POST", "/api/cdb_rest/gt", {"name": "born", "status": "locked"})
    assert (made.status, made.json["status"]) == (200, "locked")


def test_a_clone_of_frozen_content_is_open_and_freezes_by_two(two):
    """Nobody's approval goes over to a copy."""
    tag = two.tag()
    two.freeze("alice", tag)
    mark = two.freeze("bob", tag).json["fingerprint"]
    made = two.ask("alice", "POST", f"{TAGS}/{tag}@{mark}/clone", {"name": f"{tag}-copy"})
    assert (made.status, made.json["state"]) == (201, "unlocked")
    assert two.freeze("bob", f"{tag}-copy").status == 202


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/freezeds", {"user": "alice", "token": "t"}, 201),
        ("/train", {"user": "alice", "token": "t"}, 200),
        (f"{TAGS}/stream/freeze", {}, 200),
    ],
)
def test_the_streaming_buffer_freezes_by_one(two, path, body, status):
    """A DAG does it with a full buffer, and knows no 202."""
    segment = {"h": [1.0, 2.0], "t": [968654552, 0.5]}
    assert two.ask("alice", "POST", "/stream", segment).status == 201
    frozen = two.ask("alice", "POST", path, body)
    assert frozen.status == status, frozen
    assert two.get(f"{TAGS}/stream")["state"] == "frozen"
    assert two.ask("alice", "POST", "/flushbuf").status == 201


def test_the_status_page_shows_what_waits(two):
    """Who proposed it, since when, and why, whatever is in the reason."""
    tag = two.tag()
    url = two.pods[0].url
    waits = two.freeze("alice", tag, {"reason": "<b>O4</b> & more"}).json["freeze"]
    page = ask("GET", f"{url}/").body.decode()
    section = page.partition('id="freezes"')[2].partition("</section>")[0]
    assert tag in section
    assert "alice" in section
    assert waits["at"] in section
    assert waits["fingerprint"] in section
    assert "&lt;b&gt;O4&lt;/b&gt; &amp; more" in section
    two.freeze("bob", tag)
    page = ask("GET", f"{url}/").body.decode()
    assert tag not in page.partition('id="freezes"')[2].partition("</section>")[0]


def test_a_rebuilt_view_waits_for_the_same(two):
    """Proposals are in the ledger: what a deleted view forgets it is told again."""
    tag = two.tag()
    waits = two.freeze("alice", tag).json["freeze"]
    lsn = max(entry["lsn"] for entry in ledger_entries(two.buffer.url))
    (pod,) = two.pods
    assert pod.stop() == 0
    for path in pod.log.parent.glob(f"{pod.name}.sqlite*"):
        if path.is_file():
            path.unlink()
    pod.restart()
    eventually(lambda: ask("GET", f"{pod.url}/readyz").status == 200)
    assert two.get(f"{TAGS}/{tag}", lsn)["freeze"] == waits
    assert two.freeze("bob", tag).status == 200
