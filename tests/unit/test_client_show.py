"""What a person reads: the words and the numbers of each result, long ones cut with a count."""

import io

import pytest

from condstore import show
from condstore.commands import dry_run
from condstore.moments import Moment
from condstore.results import (
    Act,
    Change,
    ComparedPayload,
    Difference,
    NewIOV,
    PayloadIOV,
    Place,
    Report,
    Span,
    TagStanding,
    Tally,
    TypeReport,
)
from condstore.show.written import gps, runs, style_of
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
    return Report("A", 9, None, True, (), {}, {}, (one,))


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
    found = Report("A", 9, "2025", False, ("Field",), {}, {}, ())
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


def test_a_history_says_what_came_and_went():
    """In each payload list."""
    rows = [{"payload_type": "Beam", "attached": 2, "trimmed": 1}]
    acts = (Act(7, "2026-11-21T12:00:00.1Z", "alice", "timelines.changed", {"lists": rows}),)
    assert show.history(acts)[1].endswith("alice  timelines.changed  Beam: 2 attached, 1 trimmed")


def test_a_terminal_that_may_show_colour_and_is_none_gets_none():
    """A pipe gets plain words."""
    assert TO.bad("wrong") == "wrong"


def test_numbers_end_below_each_other():
    """Columns that are said to be numbers."""
    assert table(("a", "n"), [("x", "7"), ("y", "1200")], right=(1,))[1] == "x     7"
