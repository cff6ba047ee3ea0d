"""The ledger check: each kind of damage is found, and named by its place."""

import hashlib
import json
import zlib

import pytest

from condstore.chain import START, Chain, Named

DIGEST = "sha256:" + "ab" * 32


def line(lsn, prev, kind="tag.created", data=None):
    """Return a ledger line as the databuffer writes it."""
    entry = {
        "lsn": lsn, "time": "2026-11-20T23:17:00.123456Z", "actor": "alice", "type": kind,
        "data": data or {}, "keys": [], "prev": prev,
    }  # fmt: skip
    head = json.dumps(entry, separators=(",", ":")).encode()[:-1]
    return head + b',"crc":"%08x"}' % zlib.crc32(head)


def ledger(count):
    """Return so many chained lines."""
    lines, prev = [], START
    for lsn in range(1, count + 1):
        lines.append(line(lsn, prev))
        prev = hashlib.sha256(lines[-1]).hexdigest()
    return lines


def problems(lines):
    """Return (LSN, first words) of everything wrong."""
    chain = Chain()
    for one in lines:
        chain.take(one)
    return [(problem.lsn, problem.what) for problem in chain.problems]


def test_a_sound_ledger_has_no_problems():
    """Dense, chained, checksummed."""
    assert problems(ledger(5)) == []


def test_a_changed_line_shows_in_itself_and_in_the_next():
    """The crc finds it, and so does the chain."""
    lines = ledger(4)
    lines[1] = lines[1].replace(b"alice", b"mallo")
    found = problems(lines)
    assert [lsn for lsn, _ in found] == [2, 3]
    assert "crc" in found[0][1]
    assert "does not follow" in found[1][1]


def test_a_changed_line_with_a_mended_crc_shows_in_the_next():
    """Who mends the checksum still breaks the chain."""
    lines = ledger(3)
    lines[1] = line(2, hashlib.sha256(lines[0]).hexdigest(), data={"forged": True})
    assert [lsn for lsn, _ in problems(lines)] == [3]


def test_a_damaged_last_line_is_found():
    """It has no successor, its own checksum finds it."""
    lines = ledger(3)
    lines[2] = lines[2].replace(b"alice", b"alicf")
    assert [lsn for lsn, _ in problems(lines)] == [3]


def test_a_lost_line_is_found_once():
    """The entry after the hole says so; those behind it are judged on their own."""
    lines = ledger(6)
    del lines[2]
    found = problems(lines)
    assert {lsn for lsn, _ in found} == {3, 4}
    assert "entry 4 stands in its place" in found[0][1]


@pytest.mark.parametrize("rubbish", [b"", b"rubbish", b"[]", b'{"lsn":2}', b"\xff"])
def test_rubbish_is_a_problem_not_a_crash(rubbish):
    """Whatever stands there is reported, and the walk goes on."""
    lines = ledger(3)
    lines[1] = rubbish
    assert (2, "not a ledger entry") in problems(lines)


def test_payloads_named_by_entries():
    """Segments and attached IOVs name payloads; those kept elsewhere and unknown types do not."""
    chain = Chain()
    stored = line(1, START, "buffer.stored", {"digest": DIGEST, "size": 7})
    columns = {"digest": [None, DIGEST], "size": [None, 9]}
    changed = line(2, hashlib.sha256(stored).hexdigest(), "iovs.changed", {"attached": columns})
    unknown = line(3, hashlib.sha256(changed).hexdigest(), "future.kind", {"digest": "?"})
    named = [chain.take(one) for one in (stored, changed, unknown)]
    assert named == [(Named("ab" * 32, 7, 1),), (Named("ab" * 32, 9, 2),), ()]
    assert chain.problems == []


@pytest.mark.parametrize(
    ("kind", "data", "sizes"),
    [
        ("iov.created", {"iov": {"digest": [DIGEST], "size": [5]}}, [5]),
        ("iov.created", {"iov": {"start_major": [1], "name": ["elsewhere"]}}, []),
        ("iov.created", {"iov": {"start_major": [1], "name": ["elsewhere"], "size": [3]}}, []),
        (
            "timelines.changed",
            {"lists": [{"attached": {"digest": [DIGEST, None]}}, {"attached": {}},
                       {"attached": {"digest": [DIGEST], "size": [9]}}]},
            [None, 9],
        ),
    ],
)  # fmt: skip
def test_columns_that_say_nothing_are_left_out(kind, data, sizes):
    """Payload IOVs of any number of lists, with a size or without."""
    chain = Chain()
    assert [one.size for one in chain.take(line(1, START, kind, data))] == sizes
    assert chain.problems == []


@pytest.mark.parametrize("data", [{}, {"digest": "md5:1", "size": 1}, {"digest": DIGEST}, []])
def test_an_entry_that_should_name_a_payload_and_does_not(data):
    """It is reported at its place."""
    chain = Chain()
    assert chain.take(line(1, START, "buffer.stored", data or {"x": 1})) == ()
    assert [problem.lsn for problem in chain.problems] == [1]
