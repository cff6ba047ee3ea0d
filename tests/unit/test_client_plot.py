"""Timelines in a terminal and as SVG: whatever the timeline, no gap is invisible."""

import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condstore.moments import LIMIT, Moment
from condstore.plot.cells import Kind, Row, window
from condstore.plot.picture import svg
from condstore.plot.terminal import NARROWEST, timeline
from condstore.results import (
    HeldList,
    PayloadIOV,
    Place,
    PreflightReport,
    Tag,
    TagContent,
    Tally,
    TypeReport,
)

INK = re.compile(r"\x1b\[[0-9;]*m")
FINGERPRINT = "1abf59746c301156b5f6067ed55a471f6fac3088fbe538b89b527894e8ab867a"
LACKING = {Kind.GAP, Kind.SLIVER, Kind.NOTHING}


def iov(start, end, name="p"):
    """Return a payload IOV over [start, end), majors or moments."""
    first = start if isinstance(start, Moment) else Moment(start)
    last = end if end is None or isinstance(end, Moment) else Moment(end)
    return PayloadIOV("Beam", first, last, name, None, None, None, None, 1, 1)


def drawn(*iovs, width=40, **options):
    """Return the lines, moments written as pairs."""
    return timeline(iovs, width=width, written=Moment.pair, **options)


def bar(*iovs, **options):
    """Return the line with the blocks."""
    return drawn(*iovs, **options)[2]


# -- the terminal ---------------------------------------------------------------------------------


def test_a_timeline_is_an_axis_blocks_marks_and_words():
    """What a shifter sees."""
    told = drawn(iov(100, 200), iov(200, 210), iov(270, 400), iov(400, None), width=65)
    assert told == [
        "100:0  150:0     200:0     250:0     300:0     350:0       no end",
        "┬────────┬─────────┬─────────┬─────────┬─────────┬──────────────┬",
        "███████████████████▓▓▓···········██████████████████████████▓▓▓▓▓▶",
        "                      ^^^^^^^^^^^",
        "4 payload IOVs, 1 gap: 210:0 to 270:0",
        "█▓ one payload after the other,  · no payload,  ▶ no end",
    ]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "no such encoding"])
def test_an_encoding_without_blocks_gets_ascii(encoding):
    """What the terminal cannot show is not sent to it."""
    told = drawn(iov(1, 5), iov(5, 7), iov(9, None), encoding=encoding)
    assert "".join(told).isascii()
    assert set(told[2]) == {"#", "=", ".", ">"}


def test_neighbours_take_turns_and_an_open_end_is_an_arrow():
    """Two payloads side by side never look like one."""
    assert bar(iov(0, 10), iov(10, 20), iov(20, 30), width=31) == "█" * 10 + "▓" * 10 + "█" * 10
    assert bar(iov(0, 20), iov(20, None), end=Moment(30), width=31) == "█" * 20 + "▓" * 10 + "▶"


def test_a_gap_a_millionth_of_a_column_wide_is_seen_and_named():
    """A nanosecond that is missing in a year is a mark in the picture."""
    year = 31_536_000
    told = drawn(iov(0, Moment(year // 2, 500_000_000)), iov(Moment(year // 2, 500_000_001), year))
    assert told[2].count("!") == 1
    assert told[3].strip() == "^"
    assert "1 gap: 15768000:500000000 to 15768000:500000001" in " ".join(told)


def test_thousands_of_intervals_are_condensed_and_their_gaps_are_not():
    """26 000 IOVs in 80 columns: five gaps of one run each are five marks."""
    many = [iov(run, run + 1) for run in range(26_000) if run % 5000]
    told = drawn(*many, width=80)
    assert told[2].count("!") == told[3].count("^") == 5
    assert set(told[2]) == {"▚", "!"}
    assert "25 994 payload IOVs, 5 gaps, the largest 5000:0 to 5001:0" in told


def test_nothing_before_the_first_or_after_the_last_is_told_apart_from_a_gap():
    """A gap lies between two payloads; a range without payload at the edge is named as such."""
    told = " ".join(drawn(iov(10, 20), begin=Moment(0), end=Moment(30), width=80))
    assert "no gap, no payload from 0:0 to 10:0, no payload from 20:0 to 30:0" in told
    assert "··········" in told


def test_overlaps_are_counted():
    """Segments of a stream may overlap; the picture says so."""
    assert "1 of them overlap the one before" in " ".join(drawn(iov(0, 10), iov(5, 20), width=80))


def test_where_all_happens_in_one_column_the_hint_names_the_range():
    """An interval from 0 pushes a run's worth of others into one column."""
    told = drawn(iov(0, 10**9), *(iov(10**9 + at, 10**9 + at + 1) for at in range(50)), width=90)
    assert "50 payload IOVs begin in one column, 1000000000:0 to 1000000050:0: plot that range" in (
        " ".join(told)
    )


@pytest.mark.parametrize(
    ("iovs", "options", "said"),
    [
        ([], {}, "nothing to draw: no payload IOV"),
        ([iov(1, 2)], {"begin": Moment(5)}, "nothing to draw: no payload IOV in this range"),
        (
            [iov(1, 2)],
            {"begin": Moment(5), "end": Moment(5)},
            "nothing to draw: the range ends before it begins",
        ),
    ],
)
def test_nothing_to_draw_is_said(iovs, options, said):
    """An empty list is a line, not an error."""
    assert drawn(*iovs, width=80, **options) == [said]


def test_colour_changes_no_character():
    """Without the colours the picture is the same."""
    row = [iov(1, 5), iov(5, 7), iov(9, None)]
    plain, inked = drawn(*row), drawn(*row, colour=True)
    assert [INK.sub("", line) for line in inked] == plain
    assert inked != plain


def test_gps_times_are_cut_at_round_parts_of_a_second():
    """The axis of a second of strain has a label at a tenth, not at a binary fraction."""
    start = 968_654_552
    segments = [
        iov(Moment(start, at), Moment(start, at + 10**8)) for at in range(0, 9 * 10**8, 10**8)
    ]
    axis = timeline(segments, width=90, written=Moment.gps)[0]
    assert "968654552.400000000" in axis


def test_lumi_sections_are_cut_inside_their_runs():
    """The axis of two runs has lumi sections as labels, none that there is not."""
    sections = [iov(Moment(run, at), Moment(run, at + 10)) for run in (7, 8) for at in (0, 10, 20)]
    labels = drawn(*sections, width=80)[0].split()
    assert labels[0] == "7:0"
    assert all(int(label.split(":")[1]) <= 30 for label in labels)


moments = st.builds(
    Moment,
    st.one_of(st.integers(0, 30), st.integers(0, LIMIT)),
    st.one_of(st.integers(0, 30), st.integers(0, LIMIT)),
)
iovs = st.lists(st.builds(iov, moments, st.one_of(st.none(), moments)), max_size=30)
edges = st.one_of(st.none(), moments)


@given(iovs, st.integers(0, 120), edges, edges, st.sampled_from(["utf-8", "ascii"]))
def test_any_timeline_fits_the_width(some, width, begin, end, encoding):
    """No line is wider than the terminal (or than 24 columns), and nothing raises."""
    told = drawn(*some, width=width, begin=begin, end=end, encoding=encoding, colour=True)
    assert all(len(INK.sub("", line)) <= max(width, NARROWEST) for line in told)
    assert all(line == line.rstrip("\n") for line in told)


@given(iovs, edges, edges, st.integers(5, 120))
def test_no_moment_without_payload_is_invisible(some, begin, end, cells):
    """Brute force: whatever no interval covers is inside a lack that touches a marked cell."""
    scale = window(some, begin, end, cells)
    if scale is None:
        return
    row = Row.of(some, scale)
    marked = {cell for cell, kind in enumerate(row.kinds) if kind in LACKING}
    boundaries = {scale.low, *(place for one in some for place in ends(one, scale))}
    for place in sorted(boundaries):
        if scale.low <= place < scale.high and not covered(place, some, scale):
            (lack,) = [one for one in (*row.gaps, *row.edges) if one[0] <= place < one[1]]
            touched = range(scale.cell(lack[0]), scale.cell(lack[1] - 1) + 1)
            assert marked & set(touched)
    assert bool(row.gaps or row.edges) == bool(marked)


def ends(one, scale):
    """Return the positions at which an interval begins and ends."""
    return [scale.position(moment) for moment in (one.start, one.end) if moment is not None]


def covered(place, some, scale):
    """Say by a scan whether an interval holds at a position."""
    at = scale.moment(place)
    return any(one.start <= at and (one.end is None or at < one.end) for one in some)


# -- the picture ----------------------------------------------------------------------------------


def tag(lists, name="2026-prompt", state="frozen"):
    """Return a tag's content with these timelines."""
    about = Tag(
        *(name, state, FINGERPRINT if state == "frozen" else None, "", None, False, "", ""),
        *(len(lists), 1, 174),
    )
    held = (HeldList(kind, kind, len(rows), None, None) for kind, rows in lists.items())
    return TagContent(about, tuple(held))


def texts(document):
    """Return every text of the picture, tooltips and all."""
    return ["".join(one.itertext()) for one in ElementTree.fromstring(document).iter()]  # noqa: S314 - our own


def test_the_picture_says_what_the_tag_is():
    """Name, state, LSN, fingerprint, and what each row holds, also for who does not see it."""
    lists = {"Beam": [iov(1, 5), iov(7, None)], "Field": []}
    told = texts(svg(tag(lists), lists))
    assert {"2026-prompt", f"fingerprint {FINGERPRINT}", "Global tag 2026-prompt"} <= set(told)
    assert "frozen; LSN 174; 2 payload types; 2 payload IOVs; 1 gap" in told
    assert "Beam: 2 payload IOVs, 1 gap: 5:0 to 7:0, no end" in told
    assert "no payload from 5:0 to 7:0" in told
    assert "p: 7:0 to no end" in told


def test_a_trim_is_a_line_under_the_bar_with_what_was():
    """The check's report adds what newer intervals cut."""
    none = Tally(0, (), True)
    cut = Tally(1, (Place(Moment(2), Moment(9), "old", None, 17),), True)
    rest = (False, False, 0, none, none, none, cut, none)
    found = TypeReport("Beam", 1, None, None, *rest)
    report = PreflightReport("t", 9, None, True, (), {"trimmed": 1}, {}, (found,))
    lists = {"Beam": [iov(1, 5), iov(5, 10)]}
    told = texts(svg(tag(lists), lists, report=report))
    assert "old was 2:0 to 9:0 until LSN 17" in told
    assert "2 IOVs · 1 trimmed" in told


def test_a_type_that_was_not_asked_for_is_no_gap():
    """Only what was looked at is said to be empty."""
    document = svg(tag({"Beam": [], "Field": []}), {"Beam": [iov(1, 2)]})
    assert "Field: not asked for" in texts(document)


def test_names_are_words_and_no_markup():
    """A payload type may be called anything."""
    name = '<script>alert("&")</script>\x00\x1b\ud800'
    lists = {name: [iov(1, None, name)]}
    root = ElementTree.fromstring(svg(tag(lists, name), lists))  # noqa: S314 - our own
    assert not [one for one in root.iter() if one.tag.endswith("script")]
    assert svg(tag(lists, name), lists).encode()


def test_a_large_tag_makes_a_small_file():
    """200 types of thousands of intervals and hundreds of gaps each stay below 2 MB."""
    row = [iov(run, run + 1 + run % 3) for run in range(0, 7800, 3)]
    lists = {f"Type_{kind:03}": row for kind in range(200)}
    document = svg(tag(lists), lists)
    assert len(document.encode()) < 2_000_000
    ElementTree.fromstring(document)  # noqa: S314 - our own


@given(
    st.dictionaries(st.text(max_size=20), iovs, max_size=4),
    *(edges, edges, st.sampled_from(["frozen", "unlocked"])),
)
def test_any_tag_is_well_formed_xml(lists, begin, end, state):
    """Whatever the timelines and names, the picture parses and has a row for each type."""
    document = svg(tag(lists, state=state), lists, begin=begin, end=end)
    root = ElementTree.fromstring(document.encode())  # noqa: S314 - our own
    rows = [one for one in root.iter() if one.get("role") == "listitem"]
    assert len(rows) == len(lists)


# -- both -----------------------------------------------------------------------------------------


def test_drawing_needs_the_standard_library_only():
    """A bundle is drawn where nothing is installed."""
    code = (
        "import sys; import condstore.plot.picture, condstore.plot.terminal;"
        "print({name.split('.')[0] for name in sys.modules} & {'requests', 'aiohttp', 'rich',"
        "'typer', 'orjson'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
