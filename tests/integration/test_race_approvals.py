"""Two replicas; people propose, confirm, withdraw and write at once: nobody freezes alone."""

import pytest
from approvers import TAGS, lab
from load import at_once, ledger_entries, seeded

PEOPLE = ["alice", "bob", "carol"]
CONTENT = {"timelines.changed", "list.attached", "list.detached"}


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Run a databuffer and two replicas where a freeze needs two."""
    with lab(tmp_path_factory.mktemp("race"), pods=2) as running:
        yield running


def about(two, tag):
    """Return the entries that touch a tag, in order."""
    found = []
    for entry in ledger_entries(two.buffer.url):
        lists = [change["tag"] for change in entry["data"].get("lists", [])]
        if tag in {entry["data"].get("tag"), *lists}:
            found.append(entry)
    return found


def check(entries):
    """Hold every freeze against all that happened before it, one entry after the other."""
    waits = None
    for entry in entries:
        kind, data = entry["type"], entry["data"]
        if kind == "tag.freeze_proposed":
            waits = entry
        elif kind == "tag.frozen":
            assert waits is not None, entry
            assert waits["actor"] != entry["actor"]
            assert waits["data"]["fingerprint"] == data["fingerprint"]
            assert (data["proposed_by"], data["approved_by"]) == (waits["actor"], entry["actor"])
            waits = None
        elif kind in CONTENT | {"tag.freeze_withdrawn"}:
            waits = None


def test_two_who_ask_at_once_freeze(two):
    """Through one replica or through both: one proposal, one confirmation, never two of either."""
    for number in range(15):
        tag = two.tag()

        def act(at, tag=tag, number=number):
            return two.freeze(PEOPLE[at], tag, at=at * (number % 2))

        answers = at_once(2, act)
        assert 200 in {answer.status for answer in answers} <= {200, 202}
        kinds = [entry["type"] for entry in about(two, tag)]
        assert kinds[-2:] == ["tag.freeze_proposed", "tag.frozen"]
        assert kinds.count("tag.freeze_proposed") == 1
        check(about(two, tag))


def test_one_who_asks_many_times_at_once_freezes_nothing(two):
    """Eight requests of one person over both replicas are one proposal."""
    for _ in range(5):
        tag = two.tag()
        answers = at_once(8, lambda number, tag=tag: two.freeze("alice", tag, at=number % 2))
        assert {answer.status for answer in answers} == {202}
        assert len({answer.json["freeze"]["at"] for answer in answers}) == 1
        kinds = [entry["type"] for entry in about(two, tag)]
        assert kinds.count("tag.freeze_proposed") == 1
        assert "tag.frozen" not in kinds


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_is_done_at_once_a_freeze_has_two_people_and_one_content(two, seed):
    """Writers change the tag under those who propose, confirm, withdraw; the ledger tells."""
    tags = [two.tag() for _ in range(3)]

    def act(number):
        choose = seeded(seed * 100 + number)
        told = []
        for step in range(25):
            tag, at, who = choose.choice(tags), choose.randrange(2), choose.choice(PEOPLE)
            what = choose.random()
            if what < 0.35:
                told.append(two.insert(tag, choose.randrange(1, 40), at=at))
            elif what < 0.9:
                told.append(two.freeze(who, tag, at=at, key=f"{seed}-{number}-{step}"))
            else:
                told.append(two.ask(who, "DELETE", f"{TAGS}/{tag}/freeze", at=at))
        return told

    answers = [answer for part in at_once(6, act) for answer in part]
    assert {answer.status for answer in answers} <= {200, 201, 202, 409}
    refused = {answer.json["code"] for answer in answers if answer.status == 409}
    assert refused <= {"tag_frozen", "conflict"}
    frozen = 0
    for tag in tags:
        entries = about(two, tag)
        check(entries)
        frozen += entries[-1]["type"] == "tag.frozen"
        shown = [two.get(f"{TAGS}/{tag}", entries[-1]["lsn"], at=at) for at in (0, 1)]
        assert shown[0] == shown[1]
    assert frozen
