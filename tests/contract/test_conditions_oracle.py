"""Random acts on tags, through both APIs, against a brute-force oracle; in both interval modes.

After every few acts the HTTP answers of both APIs and the rows in the view's SQLite file are
compared with the oracle's. The acts are Hypothesis's choice, and shrink when something differs.
"""

import itertools
import json
import sqlite3

import pytest
from conditions_oracle import Refused, Tag
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from logic_pair import pair

CDB = "/api/cdb_rest"
V1 = "/api/v1"
MAJOR = 7
OPEN = 2**63 - 1
SPAN = 12
TYPES = ("Beam", "Field")
WORLDS = itertools.count(1)
NAMES = st.sampled_from("abcde")
STARTS = st.integers(0, SPAN)
KINDS = st.sampled_from(TYPES)
TAGS = st.sampled_from(("A", "B", "C"))


class Conditions(RuleBasedStateMachine):
    """Three names of tags, two payload types; moments are minors of one major."""

    both = None
    discrete = False

    @initialize()
    def a_world_of_its_own(self):
        """Begin with one tag; earlier runs used other names."""
        self.world = next(WORLDS)
        self.tags = {}
        self.marks = {}
        self.create("A")

    # how it is asked -----------------------------------------------------------------------

    def name(self, tag):
        """Return the name of a tag in this run."""
        return f"{tag}{self.world}"

    def told(self, method, path, body=None):
        """Return status and JSON of a request."""
        answer = self.both.ask(method, path, None if body is None else json.dumps(body))
        assert answer.status < 500, answer.data
        return answer.status, json.loads(answer.data) if answer.data else None

    def expect(self, act, method, path, body=None):
        """Do it to the oracle and to the service: both take it, or both refuse it."""
        try:
            act()
        except Refused:
            status, said = self.told(method, path, body)
            assert status == 409, said
        else:
            status, said = self.told(method, path, body)
            assert status in {200, 201}, said
        return said

    def wire_end(self, end):
        """Return an end as the contract has it in this mode: inclusive where discrete."""
        if end is None:
            return OPEN, OPEN
        return MAJOR, end - 1 if self.discrete else end

    def from_wire(self, end_major, end_minor):
        """Return an end as the oracle has it."""
        if end_major == OPEN:
            return None
        assert end_major == MAJOR
        return end_minor + 1 if self.discrete else end_minor

    def known(self):
        """Return the names of the tags there are."""
        return sorted(self.tags)

    # acts ----------------------------------------------------------------------------------

    @rule(tag=TAGS)
    def create(self, tag):
        """Make a tag; one that exists stays."""
        status, _ = self.told("POST", f"{V1}/global-tags", {"name": self.name(tag)})
        assert status == (200 if tag in self.tags else 201)
        self.tags.setdefault(tag, Tag())

    @rule(tag=TAGS, kind=KINDS, start=STARTS, length=st.none() | st.integers(1, SPAN), name=NAMES)
    def insert_one(self, tag, kind, start, length, name):
        """Make an IOV and attach it, as nopayloaddb's clients do."""
        if tag not in self.tags:
            return
        row = (start, None if length is None else start + length, name)
        listed = self.told("GET", f"{CDB}/gtPayloadLists/{self.name(tag)}")[1]
        if kind not in listed:
            return
        end_major, end_minor = self.wire_end(row[1])
        sent = {
            "payload_url": name, "checksum": name, "major_iov": MAJOR, "minor_iov": start,
            "major_iov_end": end_major, "minor_iov_end": end_minor,
        }  # fmt: skip
        status, made = self.told("POST", f"{CDB}/piov", sent)
        assert status == 200
        self.expect(
            lambda: self.tags[tag].insert(kind, row),
            "PUT",
            f"{CDB}/piov_attach",
            {"payload_list": listed[kind], "piov_id": made["id"]},
        )

    @rule(tag=TAGS, kind=KINDS, loaded=st.lists(st.tuples(STARTS, NAMES), min_size=1, max_size=5))
    def insert_many(self, tag, kind, loaded):
        """Bulk insert without ends, in any order, by tag and type."""
        if tag not in self.tags:
            return
        iovs = [
            {"payload_type": kind, "start": [MAJOR, start], "name": name, "checksum": name}
            for start, name in loaded
        ]
        self.expect(
            lambda: self.tags[tag].bulk(kind, loaded),
            "POST",
            f"{V1}/global-tags/{self.name(tag)}/iovs",
            {"iovs": iovs},
        )

    @rule(tag=TAGS, kind=KINDS, loaded=st.lists(st.tuples(STARTS, NAMES), min_size=1, max_size=5))
    def load(self, tag, kind, loaded):
        """Bulk insert by the contract, into a list that is there."""
        listed = self.told("GET", f"{CDB}/gtPayloadLists/{self.name(tag)}")[1]
        if kind not in listed:
            return
        iovs = [
            {
                "payload_url": name, "checksum": name, "major_iov": MAJOR, "minor_iov": start,
                "payload_list": listed[kind],
            }
            for start, name in loaded
        ]  # fmt: skip
        self.expect(lambda: self.tags[tag].bulk(kind, loaded), "POST", f"{CDB}/bulk_piov", iovs)

    @rule(tag=TAGS, kind=KINDS, which=st.integers(0, 5))
    def delete_iov(self, tag, kind, which):
        """Delete a row that is there."""
        if not (rows := self.tags.get(tag, Tag()).lists.get(kind)):
            return
        row = sorted(rows)[which % len(rows)]
        end = "/{}/{}".format(*self.wire_end(row[1])) if row[1] is not None else ""
        path = f"{CDB}/deletePayloadIOV/{self.name(tag)}/{kind}/{MAJOR}/{row[0]}{end}"
        self.expect(lambda: self.tags[tag].delete(kind, row), "DELETE", path)

    @rule(tag=TAGS, state=st.sampled_from(("lock", "unlock", "freeze", "unfreeze")))
    def change_state(self, tag, state):
        """Lock, unlock, freeze, unfreeze with a reason."""
        if tag not in self.tags:
            return
        held = self.tags[tag]
        frozen = held.state == "frozen"
        path = f"{V1}/global-tags/{self.name(tag)}/{state}"
        status, said = self.told("POST", path, {"reason": "because"})
        if state == "freeze":
            assert status == 200
            held.state = "frozen"
            assert said["fingerprint"] == held.fingerprint(MAJOR)
            self.marks[f"{self.name(tag)}@{said['fingerprint']}"] = held.copy()
        elif frozen and state != "unfreeze":
            assert status == 409, said
        elif state == "unfreeze":
            held.state = "unlocked" if frozen else held.state
        else:
            assert status == 200
            held.state = {"lock": "locked", "unlock": "unlocked"}[state]

    @rule(source=TAGS, goal=TAGS)
    def clone(self, source, goal):
        """Clone into a name that is free; refuse one that is taken."""
        if source not in self.tags:
            return
        path = f"{CDB}/cloneGlobalTag/{self.name(source)}/{self.name(goal)}"
        status, said = self.told("POST", path)
        if goal in self.tags:
            assert status in {400, 409}, said
            return
        assert status == 200
        self.tags[goal] = self.tags[source].copy()

    @rule(tag=TAGS)
    @precondition(lambda self: len(self.tags) > 1)
    def delete(self, tag):
        """Delete a tag that is unlocked; its name is free again."""
        if tag not in self.tags:
            return
        status, _ = self.told("DELETE", f"{CDB}/deleteGlobalTag/{self.name(tag)}")
        if self.tags[tag].state == "unlocked":
            assert status == 200
            del self.tags[tag]
        else:
            assert status == 409

    # what must hold ------------------------------------------------------------------------

    @rule(moment=st.integers(0, 2 * SPAN + 2))
    def both_apis_answer_as_the_oracle(self, moment):
        """The same payloads of every tag, and v1 for exactly as long as they are the same."""
        for tag in self.known():
            name, held = self.name(tag), self.tags[tag]
            query = f"gtName={name}&majorIOV={MAJOR}&minorIOV={moment}"
            rows = self.told("GET", f"{CDB}/payloadiovs/?{query}")[1]
            assert {row[0]: row[1] for row in rows} == held.at(moment)
            for _, url, checksum, _, major, minor, end_major, end_minor, _ in rows:
                assert (checksum, major) == (url, MAJOR)
                end = self.from_wire(end_major, end_minor)
                assert (minor, end, url) in [row for rows in held.lists.values() for row in rows]
            self.compare_v1(name, held, moment)

    def compare_v1(self, ref, held, moment):
        """Compare one resolution of `/api/v1`."""
        path = f"{V1}/global-tags/{ref}/payloads?major={MAJOR}&minor={moment}"
        status, told = self.told("GET", path)
        assert status == 200, told
        assert {one["payload_type"]: one["name"] for one in told["payloads"]} == held.at(moment)
        since, until = held.answer_holds(moment)
        assert told["since"] == ([0, 0] if since is None else [MAJOR, since])
        assert told["until"] == (None if until is None else [MAJOR, until])
        assert set(told["gaps"]) == set(held.lists) - set(held.at(moment))

    @rule(moment=st.integers(0, 2 * SPAN + 2))
    @precondition(lambda self: self.marks)
    def what_was_frozen_answers_for_ever(self, moment):
        """Whatever has become of the tag: unfrozen, changed, deleted, made anew."""
        for ref, held in self.marks.items():
            self.compare_v1(ref, held, moment)

    @rule()
    def the_view_holds_the_rows_of_the_oracle(self):
        """The SQLite file, read by itself, has the disjoint rows and the kept counts."""
        path = self.both.logic.environ["VIEW_PATH"]
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as view:
            for tag in self.known():
                held = self.tags[tag]
                found = view.execute(
                    "SELECT t.name, i.start_minor, i.end_minor, i.name FROM global_tag g"
                    " JOIN payload_list l ON l.tag_id = g.id"
                    " JOIN payload_type t ON t.id = l.type_id"
                    " JOIN iov i ON i.timeline_id = l.timeline_id WHERE g.name = ?",
                    (self.name(tag),),
                ).fetchall()
                wanted = [(kind, *row) for kind, rows in held.lists.items() for row in rows]
                assert sorted(found, key=repr) == sorted(wanted, key=repr)
                query = "SELECT iov_count, list_count, state FROM global_tag WHERE name = ?"
                kept = view.execute(query, (self.name(tag),)).fetchone()
                assert kept == (len(wanted), len(held.lists), held.state)
        view.close()


@pytest.fixture(scope="module", params=["continuous", "discrete"])
def both(request, tmp_path_factory):
    """Run both tiers in one of the interval modes."""
    folder = tmp_path_factory.mktemp(request.param)
    with pair(folder, CDB_IOV_MODE=request.param) as running:
        yield request.param, running


def test_random_acts_answer_as_the_oracle(both):
    """In both modes, whatever is done in whatever order."""
    mode, running = both
    Conditions.both, Conditions.discrete = running, mode == "discrete"
    run_state_machine_as_test(
        Conditions,
        settings=settings(
            max_examples=30,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
