"""What a person reads: the words and the numbers of each result, long ones cut with a count."""

import io

import pytest

from condstore import show
from condstore.commands import dry_run
from condstore.doctor.finding import Finding
from condstore.moments import Moment, gps, runs
from condstore.results import (
    Act,
    Change,
    ComparedPayload,
    Difference,
    NewIOV,
    PayloadIOV,
    Place,
    PreflightReport,
    Span,
    Tag,
    TagContent,
    TagStanding,
    Tally,
    TypeReport,
)
from condstore.show.written import style_of
from condstore.terminal import Terminal, table

TO = Terminal(io.StringIO(), io.StringIO(), colour=True)
NONE = Tally(0, (), complete=True)


def change(number, kind="Beam"):
    """Return one change of a difference."""
    old = ComparedPayload(f"old-{number}", None, None, None, None)
    return Change(kind, Moment(number), Moment(number + 1), old, None)


def difference(changes, *, complete=True):
    """Return a difference of two tags."""
    one, other = (TagStanding(name, "unlocked", None, 9) for name in ("A", "B"))
    spans = tuple(Span(each.start, each.end) for each in changes)
    return Difference(one, other, spans, tuple(changes), complete)


def report(**found):
    """Return a report on one payload type in which this was found."""
    tallies = dict.fromkeys(
        ("gaps", "missing_payloads", "wrong_payloads", "trimmed", "identical_neighbours"), NONE
    )
    held = {"empty": False, "ends_early": False, "kept_elsewhere": 0, **tallies, **found}
    one = TypeReport(payload_type="Beam", payload_iovs=9, begin=Moment(1), end=None, **held)
    return PreflightReport("A", 9, None, True, (), {}, {}, (one,))


def places(count):
    """Return so many places, of which the first three are told."""
    first = tuple(
        Place(Moment(n), Moment(n + 1), None, None, None) for n in range(min(count, 3))
    )  # fmt: skip
    return Tally(count, first, complete=True)


@pytest.mark.parametrize(
    ("text", "other", "how"),
    [
        ("968654552.25", None, gps),
        ("1200:17", Moment(968654552), runs),
        ("1200", None, runs),
        ("1200", Moment(968654552, 5), gps),
        ("968654552", None, gps),
    ],
)
def test_moments_are_written_as_they_were_asked_for(text, other, how):
    """GPS times as GPS times, runs as runs."""
    assert style_of(text, other) is how


def test_a_difference_begins_with_what_to_process_again():
    """Then how many changes there are of each type, then the changes."""
    found = difference([change(1), change(2), change(7, "Field")])
    lines = show.difference(found, TO, old="A@3", new="B")
    assert lines[0] == "reprocess 3 intervals to go from A@3 to B:"
    assert lines[1:4] == ["  [1, 2)", "  [2, 3)", "  [7, 8)"]
    assert lines[5] == "3 changes: Beam 2, Field 1"
    assert lines[7] == "  Beam   [1, 2)    old-1  (nothing)"


def test_a_long_difference_is_cut_with_a_count():
    """And what the server did not tell is said too."""
    found = difference([change(number) for number in range(50)], complete=False)
    lines = show.difference(found, TO, old="A", new="B", most=5)
    assert lines.count("  … and 45 more (--json lists all)") == 2
    assert lines[-1] == "there are more: --limit shows more of them"


def test_equal_tags_are_said_to_be_equal():
    """No empty table."""
    (line,) = show.difference(difference([]), TO, old="A", new="B")
    assert line == "A and B answer the same at every moment"


@pytest.mark.parametrize(
    ("found", "line"),
    [
        ({"gaps": places(1)}, "Beam: 1 gap: [0, 1)"),
        ({"gaps": places(5)}, "Beam: 5 gaps: [0, 1), [1, 2), [2, 3), …"),
        ({"missing_payloads": places(2)}, "Beam: 2 payloads that the store lacks: [0, 1), [1, 2)"),
        ({"trimmed": places(1)}, "Beam: 1 IOV that newer ones trimmed: [0, 1)"),
        ({"empty": True}, "Beam: no payload IOVs"),
        ({"ends_early": True}, "Beam: ends while other types go on"),
        ({"kept_elsewhere": 1}, "Beam: 1 payload kept elsewhere, nobody looked for them"),
    ],
)
def test_each_finding_is_a_line(found, line):
    """With how many, and where the first ones are."""
    assert show.findings(report(**found), TO) == [line]


def test_a_template_says_what_lacks():
    """A type that the other tag has."""
    found = PreflightReport("A", 9, "2025", False, ("Field",), {}, {}, ())
    assert show.report(found, TO)[0] == (
        "Field: no payload of this type, the template 2025 has it"
    )  # fmt: skip


def test_gaps_stand_between_the_intervals():
    """Where they are, not at the end."""
    iovs = [
        PayloadIOV("Beam", Moment(start), Moment(end), "b", None, None, None, None, 1, 1)
        for start, end in ((1, 2), (2, 3), (5, 6))
    ]
    lines = show.iov_table(iovs, TO)
    assert lines[3] == "gap [3, 5): nothing holds"
    assert len(lines) == 5


def test_a_large_plan_is_cut_with_a_count():
    """Thousands of rows are no lines for people."""
    found = dry_run.plan(
        "Beam", [NewIOV("Beam", Moment(n), None, "b") for n in range(99)], [], state="unlocked"
    )
    lines = show.plan(found, TO)
    assert "  … and 79 more (--json lists all)" in lines
    assert len(lines) == 23


def test_a_history_is_said_in_the_words_of_who_did_it():
    """No entry type of the ledger, no fingerprint of 64 digits."""
    rows = [
        {"payload_type": "Beam", "attached": 2, "trimmed": 1, "detached": 1},
        {"payload_type": "Field", "attached": 3},
    ]
    acts = [
        ("tag.created", {"state": "unlocked"}, "created"),
        ("tag.created", {"state": "locked"}, "created, locked"),
        ("tag.cloned", {"source": f"old@{'a' * 64}"}, "cloned from old@aaaaaaaaaaaa"),
        ("tag.cloned", {"source": "old@12"}, "cloned from old@12"),
        (
            "timelines.changed",
            {"lists": rows},
            "inserted Beam (2 new, 1 trimmed, 1 replaced), 3 Field",
        ),
        ("timelines.changed", {"lists": [{"payload_type": "B", "deleted": 1}]}, "deleted 1 B"),
        ("tag.changed", {"state": "locked", "reason": "run 7"}, "locked: run 7"),
        (
            "tag.frozen",
            {"fingerprint": "b" * 64, "reason": "summer"},
            "frozen, fingerprint bbbbbbbbbbbb: summer",
        ),
        ("tag.deleted", {}, "deleted"),
        (
            "list.attached",
            {"payload_list": "B_2", "replaced": "B_1"},
            "attached B_2 in place of B_1",
        ),
        ("list.deleted", {"payload_list": "B_2"}, "detached B_2"),
        ("buffer.stored", {}, "created by the first segment"),
        (
            "buffer.frozen",
            {"fingerprint": "b" * 64, "user": "a"},
            "frozen, fingerprint bbbbbbbbbbbb",
        ),
        ("buffer.cleaned", {"name": "stream-1"}, "buffer flushed: kept as stream-1"),
        ("tag.painted", {"colour": "red", "coats": 2}, "tag.painted colour red coats 2"),
    ]
    told = [Act(7, "2026-11-21T12:00:00.1Z", "alice", act, about) for act, about, _ in acts]
    lines = show.history(told)[1:]
    assert [line.partition("alice  ")[2] for line in lines] == [said for _, _, said in acts]
    assert max(map(len, lines)) < 90


class Screen(io.StringIO):
    """A terminal of 80 columns."""

    def isatty(self):
        """Say that it is one."""
        return True


def streamed(number):
    """Return a payload IOV as streaming makes them."""
    digest = f"sha256:{number:064d}"
    start, end = Moment(968654552, number * 10**6), Moment(968654552, (number + 1) * 10**6)
    name = f"gwb{1763728000000000000 + number}.json"
    return PayloadIOV("Strain", start, end, name, "c" * 64, digest, 5400, None, 1, 12)


def test_an_interval_takes_one_line_of_a_terminal(monkeypatch):
    """Names are cut at their beginnings; a pipe gets them whole."""
    monkeypatch.setenv("COLUMNS", "80")
    iovs = [streamed(number) for number in (1, 100)]
    lines = show.iov_table(iovs, Terminal(Screen(), io.StringIO(), colour=False))
    assert max(map(len, lines)) <= 80
    assert lines[1].endswith("1.json")
    assert iovs[0].name in show.iov_table(iovs, TO)[1]
    assert all(word in show.iov_table(iovs, TO, whole=True)[1]
               for word in (iovs[0].digest, iovs[0].checksum, iovs[0].name))  # fmt: skip


def test_a_tag_that_is_frozen_is_shown_in_eighty_columns():
    """What names it for ever stands on a line of its own, to be copied whole."""
    tag = Tag(
        "2026-prompt", "frozen", "a" * 64, "", None, streamed=False, created="2026", updated="2026",
        payload_list_count=0, payload_iov_count=0, lsn=9,
    )  # fmt: skip
    lines = show.content(TagContent(tag, ()), TO)
    assert f"  {tag.reference}" in lines
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("states", "said"),
    [
        (("good", "good"), "nothing is wrong"),
        (("good", "warn"), "1 to look at"),
        (("warn", "bad", "warn"), "1 to mend, 2 to look at"),
    ],
)
def test_the_doctor_counts_what_it_warned_of(states, said):
    """It does not call well what has a line that warns."""
    assert show.examined([Finding("x", state, "y") for state in states], TO)[-1] == said


def test_what_the_doctor_says_is_folded_for_a_terminal_only(monkeypatch):
    """Below where it begins; a pipe gets one line a thing."""
    monkeypatch.setenv("COLUMNS", "80")
    found = [Finding("packages", "good", ", ".join(f"package-{n} 1.0" for n in range(9)))]
    lines = show.examined(found, Terminal(Screen(), io.StringIO(), colour=False))
    assert len(lines) > 2
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith(" " * 16 + "package-")
    assert len(show.examined(found, TO)) == 2


def test_a_terminal_that_may_show_colour_and_is_none_gets_none():
    """A pipe gets plain words."""
    assert TO.bad("wrong") == "wrong"


def test_numbers_end_below_each_other():
    """Columns that are said to be numbers."""
    assert table(("a", "n"), [("x", "7"), ("y", "1200")], right=(1,))[1] == "x     7"
