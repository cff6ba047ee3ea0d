"""The pre-flight report of tags in a view, the payloads in a databuffer in memory."""

import hashlib

import pytest
from ledger_view import LedgerView, change, changed, iov
from logic_fakes import FakeBuffer

from datastore_logic.config import Config
from datastore_logic.domain.events import (
    BufferStored,
    ListAttached,
    ListCreated,
    TagChanged,
    TagCloned,
    TagCreated,
    TagFrozen,
    TimelinesChanged,
)
from datastore_logic.domain.findings import Finding
from datastore_logic.domain.tags import TagName, TagRef, TagState
from datastore_logic.errors import BufferAway
from datastore_logic.services import presence
from datastore_logic.services.preflight import preflight
from datastore_logic.services.tier import Tier
from datastore_logic.view.contents import find_content
from datastore_logic.view.lists import list_of
from datastore_logic.view.tags import find_tag

TAG = TagName("TAG")
MARK = "ab" * 32


class Tag:
    """One tag, changed entry by entry, and looked over."""

    def __init__(self, path):
        self.view = LedgerView(path)
        self.buffer = FakeBuffer()
        self.tier = Tier(Config(), None, None, self.buffer, None, None, None)
        self.view.add(TagCreated(TAG))

    def add(self, *rows, kind="Beam", tag="TAG", **told):
        """Change the tag's list of a type; return the LSN."""
        with self.view.read() as snapshot:
            known = list_of(snapshot, find_tag(snapshot, tag).id, kind)
        list_id = None if known is None else known.id
        return self.view.add(changed(kind, tag, *rows, list_id=list_id, **told))

    def report(self, ref="TAG", template=None, **asked):
        """Return the report."""
        with self.view.read() as snapshot:
            found = find_content(snapshot, TagRef.parse(ref))
            beside = None if template is None else find_content(snapshot, TagRef.parse(template))
            return preflight(self.tier, found, beside, snapshot=snapshot, **asked)

    def beam(self, ref="TAG"):
        """Return what the report tells of the type Beam."""
        (told,) = [
            t for t in self.report(ref).wire()["payload_types"] if t["payload_type"] == "Beam"
        ]
        return told

    def stored(self, content):
        """Store a payload and return its digest and size, as an IOV has them."""
        made = self.buffer.store_blob([content], None)
        return {"digest": made.digest, "size": made.size}


@pytest.fixture
def tag(tmp_path):
    """An empty tag."""
    made = Tag(tmp_path / "view.sqlite")
    yield made
    made.view.close()


def absent(content):
    """Return the digest and size of a payload that nobody stored."""
    return {"digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}


def test_a_sound_tag_may_be_frozen(tag):
    """No gap, every payload in the store, and what was looked at is told."""
    tag.add(iov(1, 5, **tag.stored(b"one")), iov(5, **tag.stored(b"two")))
    report = tag.report()
    assert report.ok
    told = report.wire()
    assert (told["tag"], told["lsn"], told["template"]) == ("TAG", 2, None)
    assert set(told["totals"].values()) == {0}
    assert told["checked"]["payload_iovs"] == 2
    assert told["checked"]["payloads"] == {
        "looked_for": 2, "sizes_compared": 2, "bytes_read": 0, "bytes_not_read": 0,
    }  # fmt: skip


def test_a_gap_speaks_against_it(tag):
    """Between two intervals of a list; what lies before and after the list is none."""
    tag.add(iov(1, 5), iov(6, 9))
    report = tag.report()
    assert not report.ok
    assert tag.beam()["gaps"] == {"count": 1, "first": [{"start": [5, 0], "end": [6, 0]}]}


def test_payloads_that_are_not_in_the_store_speak_against_it(tag):
    """Each IOV that names one counts, and is shown with the digest."""
    lost = absent(b"lost")
    tag.add(iov(1, 2, **lost), iov(2, 3, **tag.stored(b"kept")), iov(3, 4, "again", **lost))
    report = tag.report()
    assert not report.ok
    assert tag.beam()["missing_payloads"] == {
        "count": 2,
        "first": [
            {"start": [1, 0], "end": [2, 0], "name": "p1", "digest": lost["digest"]},
            {"start": [3, 0], "end": [4, 0], "name": "again", "digest": lost["digest"]},
        ],
    }


def test_payloads_of_another_size_than_known_are_wrong(tag):
    """They are in the store, but cannot be what was meant."""
    kept = tag.stored(b"kept")
    unsized = iov(3, 4, digest=kept["digest"])
    tag.add(iov(1, 2, digest=kept["digest"], size=5), iov(2, 3, **kept), unsized)
    report = tag.report()
    assert not report.ok
    told = tag.beam()
    assert [place["name"] for place in told["wrong_payloads"]["first"]] == ["p1"]
    assert told["missing_payloads"]["count"] == 0


def test_bytes_are_read_where_that_is_asked_for(tag):
    """What does not hash to its digest is wrong, though it is there and of the right size."""
    kept = tag.stored(b"kept")
    tag.add(iov(1, 2, **kept), iov(2, 3, **tag.stored(b"sound")))
    tag.buffer.blobs[kept["digest"]] = b"kepT"
    assert tag.report().ok
    report = tag.report(read_bytes=True)
    assert [found.count(Finding.WRONG) for found in report.types] == [1]
    assert report.checked["payloads"]["bytes_read"] == 2


def test_reading_takes_no_longer_than_it_may(tag, monkeypatch):
    """What was not read then is counted; nothing is said of it."""
    monkeypatch.setattr(presence, "READING_SECONDS", -1)
    kept = tag.stored(b"kept")
    tag.add(iov(1, 2, **kept))
    tag.buffer.blobs[kept["digest"]] = b"kepT"
    report = tag.report(read_bytes=True)
    assert report.ok
    told = report.checked["payloads"]
    assert (told["bytes_read"], told["bytes_not_read"]) == (0, 1)


def test_payloads_are_looked_for_in_batches(tag, monkeypatch):
    """Those of several types in one question; each type is told its own."""
    monkeypatch.setattr(presence, "ASKED_AT_ONCE", 3)
    rows = [iov(n, n + 1, **absent(b"%d" % n)) for n in range(10)]
    tag.view.add(TimelinesChanged((change("A", "TAG", *rows[:5]), change("B", "TAG", *rows[5:]))))
    told = tag.report().wire()["payload_types"]
    assert [one["missing_payloads"]["count"] for one in told] == [5, 5]
    assert told[1]["missing_payloads"]["first"][0]["start"] == [5, 0]


def test_payloads_kept_elsewhere_are_counted_and_nothing_else(tag):
    """Nobody here can know whether they are there."""
    tag.add(iov(1, 5), iov(5, **tag.stored(b"two")))
    report = tag.report()
    assert report.ok
    assert tag.beam()["kept_elsewhere"] == 1
    assert report.checked["payloads"]["looked_for"] == 1


def test_without_the_databuffer_there_is_no_report(tag):
    """What cannot be known is not called sound."""
    tag.add(iov(1, **absent(b"any")))
    tag.buffer.away = True
    with pytest.raises(BufferAway):
        tag.report()


def test_types_of_the_template_must_have_payloads(tag):
    """An empty list of a type is not enough; a type that only the tag has is no harm."""
    tag.view.add(TagCreated(TagName("TEMPLATE")))
    for kind in ("Beam", "Align", "Gain"):
        tag.add(iov(1), kind=kind, tag="TEMPLATE")
    tag.add(iov(1))
    tag.add(iov(1), kind="Extra")
    tag.add(iov(1), kind="Gain")
    tag.add(kind="Gain", deleted=[1])
    report = tag.report(template="TEMPLATE")
    assert (report.ok, report.missing_types) == (False, ("Align", "Gain"))
    assert report.wire()["template"] == "TEMPLATE"
    assert tag.report().ok


def test_lists_that_are_empty_or_end_early_are_told(tag):
    """They do not speak against freezing."""
    tag.add(iov(1))
    tag.add(iov(1, 5), kind="Short")
    tag.view.add(ListCreated("Empty"))
    made = tag.view.rows("SELECT max(id) FROM payload_list")[0][0]
    tag.view.add(ListAttached(made, TAG))
    report = tag.report()
    assert report.ok
    told = {
        one["payload_type"]: (one["empty"], one["ends_early"])
        for one in report.wire()["payload_types"]
    }
    assert told == {"Beam": (False, False), "Short": (False, True), "Empty": (True, False)}


def test_neighbours_with_one_payload_are_told(tag):
    """They could be one interval."""
    tag.add(iov(1, 3, "same"), iov(3, 5, "same"), iov(5, 7, "other"))
    told = tag.beam()["identical_neighbours"]
    assert told == {"count": 1, "first": [{"start": [1, 0], "end": [5, 0], "name": "same"}]}
    assert tag.report().ok


# What newer intervals took away ------------------------------------------------------------------


def cut(tag, ref="TAG"):
    """Return what was cut, as (start, end, name, LSN)."""
    told = tag.beam(ref)["trimmed"]
    assert told["count"] == len(told["first"])
    return [
        (place["start"][0], place["end"] and place["end"][0], place["name"], place["lsn"])
        for place in told["first"]
    ]


def test_an_interval_that_was_cut_is_told_as_it_was(tag):
    """Trimmed by a later one, or replaced whole; with the LSN of the entry that did it."""
    tag.add(iov(1, 5), iov(5, 9), iov(9, 12))
    trimmed = tag.add(iov(4, 5, "new"), trimmed=[(1, 4)])
    replaced = tag.add(iov(5, 9, "newer"), detached=[5])
    wider = tag.add(iov(8, 20, "widest"), detached=[9], trimmed=[(5, 8)])
    assert sorted(cut(tag)) == [
        (1, 5, "p1", trimmed), (5, 9, "newer", wider), (5, 9, "p5", replaced), (9, 12, "p9", wider),
    ]  # fmt: skip
    assert tag.report().ok


def test_an_open_end_that_was_followed_is_no_cut(tag):
    """That is what open ends are for; replaced whole it is one."""
    tag.add(iov(1))
    tag.add(iov(5), trimmed=[(1, 5)])
    assert cut(tag) == []
    replaced = tag.add(iov(3), detached=[5], trimmed=[(1, 3)])
    assert cut(tag) == [(1, 5, "p1", replaced), (5, None, "p5", replaced)]


def test_a_deleted_interval_is_no_cut(tag):
    """Nothing took its range: whoever deleted it wanted it gone."""
    tag.add(iov(1, 5), iov(5, 9))
    tag.add(deleted=[5])
    assert cut(tag) == []


def test_cuts_are_those_in_the_tag_itself(tag):
    """A clone begins without any; those it makes are its own, not its source's."""
    tag.add(iov(1, 5), iov(5, 9))
    in_source = tag.add(iov(4, 5, "new"), trimmed=[(1, 4)])
    tag.view.add(TagCloned(TAG, TagName("CLONE")))
    assert cut(tag, "CLONE") == []
    in_clone = tag.add(iov(6, 9, "own"), tag="CLONE", trimmed=[(5, 6)])
    assert cut(tag, "CLONE") == [(5, 9, "p5", in_clone)]
    assert cut(tag) == [(1, 5, "p1", in_source)]


@pytest.mark.parametrize("ref", ["TAG@3", f"TAG@{MARK}"])
def test_an_earlier_state_is_looked_over_as_it_was(tag, ref):
    """By LSN or fingerprint: cuts, gaps and counts of then."""
    tag.add(iov(1, 5), iov(5, 9))
    first = tag.add(iov(4, 5, "new"), trimmed=[(1, 4)])
    tag.view.add(TagFrozen(TAG, MARK))
    tag.view.add(TagChanged(TAG, TagState.UNLOCKED, "why"))
    tag.add(iov(6, 9, "late"), trimmed=[(5, 6)])
    tag.add(deleted=[4])
    assert cut(tag, ref) == [(1, 5, "p1", first)]
    assert tag.beam(ref)["payload_iovs"] == 3
    assert tag.report(ref).ok
    assert not tag.report().ok


def test_of_a_stream_every_segment_is_looked_for(tag):
    """Also one that a newer one covers; that one is told as cut."""
    covered, kept = absent(b"covered"), tag.stored(b"kept")
    for lsn, (rows, payload) in enumerate([((1, 5), covered), ((0, 9), kept)], 2):
        data = {
            "name": f"gwb{lsn}.json", "payload_type": "Beam", **payload, "samples": 4,
            "start": [rows[0], 0], "end": [rows[1], 0], "sample_ns": 1000,
        }  # fmt: skip
        tag.view.append(BufferStored.type, data)
    told = tag.beam("stream")
    assert told["missing_payloads"]["count"] == 1
    assert cut(tag, "stream") == [(1, 5, "gwb2.json", 3)]
