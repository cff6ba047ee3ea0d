"""Whatever happens to tags, TAG@<lsn> goes on answering what TAG answered at that LSN.

Random acts go through real servers. After each the answers of every tag are kept; later every one
of them is asked for by its LSN, also of a replica that has built its view anew.
"""

from __future__ import annotations

import itertools

import pytest
from librarian import ACTIONS, MOMENTS, TYPES, Librarian, asked, held
from load import seeded
from logic_pair import pair
from long import at_length
from servers import eventually, logic

ACTS = 200
DIFFS = 200
REPORTS = 60


@pytest.fixture(scope="module", params=at_length([20261120], [20261120, 3]))
def librarian(request, tmp_path_factory):
    """Somebody who has done a lot, and has asked for what was after each act."""
    with pair(tmp_path_factory.mktemp("as_of"), MAX_SIZE="1") as both:
        made = Librarian(both, seeded(request.param))
        while made.acts < ACTS or made.done.keys() < set(ACTIONS):
            assert made.acts < 5 * ACTS, made.done
            made.act()
            made.keep()
            made.compare(both.logic.url, *made.chance.choice(list(made.kept)))
        yield made
        assert "Traceback" not in both.logic.log.read_text()


def test_every_lsn_answers_for_ever_what_was_answered_then(librarian, tmp_path):
    """After many acts of all kinds, also on a replica whose view was just built.

    So does TAG@<fingerprint> of all that ever was frozen.
    """
    both = librarian.both
    with logic(both.buffer.url, tmp_path, name="anew") as anew:
        eventually(lambda: both.http.request("GET", f"{anew.url}/readyz").status == 200)
        for url in (both.logic.url, anew.url):
            for lsn, name in librarian.kept:
                librarian.compare(url, lsn, name)
            for ref, answers in librarian.frozen.items():
                assert held(asked(url, both, ref, 0)) == answers, ref
        assert anew.stop() == 0
        assert "Traceback" not in anew.log.read_text()


def test_a_diff_says_at_each_moment_what_changed(librarian):
    """Between any two states of any two tags: what one answered there, and what the other did."""
    known = [(f"{name}@{lsn}", kept[1]) for (lsn, name), kept in librarian.kept.items() if kept]
    for _ in range(DIFFS):
        (old, before), (new, after) = librarian.chance.sample(known, 2)
        found = librarian.both.get(f"/api/v1/global-tags/{old}/diff?to={new}")
        assert found["complete"]
        for moment, one, other in zip(MOMENTS, payloads(before), payloads(after), strict=True):
            changed = {kind for kind in TYPES if one.get(kind) != other.get(kind)}
            here = [change for change in found["changes"] if covers(change, moment)]
            assert {change["payload_type"] for change in here} == changed, (old, new, moment)
            assert len(here) == len(changed)
            for change in here:
                was, now = (change[side] and told(change[side]) for side in ("from", "to"))
                kind = change["payload_type"]
                assert (was, now) == (one.get(kind), other.get(kind)), (old, new, moment)
            reprocessed = any(covers(interval, moment) for interval in found["reprocess"])
            assert reprocessed == bool(changed), (old, new, moment)


def test_a_report_of_any_state_counts_what_its_lists_hold(librarian):
    """Gaps, neighbours with one payload and payloads kept elsewhere, of each type."""
    known = [f"{name}@{lsn}" for (lsn, name), kept in librarian.kept.items() if kept]
    for ref in librarian.chance.sample(known, REPORTS):
        path = f"/api/v1/global-tags/{ref}"
        for found in librarian.both.get(f"{path}/check")["payload_types"]:
            listed = f"{path}/payload-lists/{found['payload_type']}/iovs"
            rows = librarian.both.get(listed)["iovs"]
            touching = [(a, b) for a, b in itertools.pairwise(rows) if a["end"] == b["start"]]
            identical = [(a, b) for a, b in touching if told(a) == told(b)]
            assert found["payload_iovs"] == len(rows), ref
            assert found["gaps"]["count"] == max(0, len(rows) - 1 - len(touching)), ref
            assert found["identical_neighbours"]["count"] == len(identical), ref
            assert found["kept_elsewhere"] == len([1 for row in rows if row["digest"] is None]), ref
            assert found["missing_payloads"]["count"] == 0, ref


def payloads(answers):
    """Return what held of each type at each of the moments."""
    return [
        {payload["payload_type"]: told(payload) for payload in one["payloads"]}
        for one in answers["resolutions"]
    ]


def told(payload):
    """Return by what payloads are the same."""
    return payload["name"], payload["checksum"], payload["digest"]


def covers(interval, moment):
    """Whether a moment lies in an interval."""
    return interval["start"] <= moment and (interval["end"] is None or moment < interval["end"])
