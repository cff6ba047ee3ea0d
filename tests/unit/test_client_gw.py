"""The GW producer's parts: what the environment says, where it stood, and what lies between."""

import doctest
import importlib
import os
import pkgutil
from array import array
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condstore import gw
from condstore.errors import UsageError
from condstore.gw import position, recording, run
from condstore.gw.__main__ import main
from condstore.gw.config import Config
from condstore.gw.position import Data, Position
from condstore.gw.recording import Recording
from condstore.strain import Series

DATA = Data("GW150914", "L1", "L1:GWOSC-STRAIN", "1126259447", "0.000244140625")
STEP = Decimal(1) / 4096


def series(count, t0="100", name="L1:STRAIN", dt=STEP, first=0):
    """Return a series whose samples are their own numbers."""
    return Series(name, Decimal(t0), dt, array("d", range(first, first + count)))


@pytest.mark.parametrize("name", [found.name for found in pkgutil.iter_modules(gw.__path__)])
def test_examples_hold(name):
    """Every `>>>` line answers as it says."""
    module = importlib.import_module(f"condstore.gw.{name}")
    assert doctest.testmod(module).failed == 0


# What the environment says ---------------------------------------------------------------------


def test_the_environment_is_the_twins():
    """GWID, DTCID, INF, SUP, SRV; INF may be negative, and GWID may be a time."""
    told = Config.from_environ(
        {"GWID": "1126259462.4", "DTCID": "H1", "INF": "-0.5", "SUP": "1e1",
         "SRV": "http://api:8000/streamdata/"}
    )  # fmt: skip
    assert (told.gps, told.detector) == (Decimal("1126259462.4"), "H1")
    assert (told.window.inf, told.window.sup) == (Decimal("-0.5"), Decimal(10))
    assert (told.url, told.base) == ("http://api:8000/streamdata", "http://api:8000")
    assert Config.from_environ({"GWID": "GW150914"}).gps is None
    elsewhere = Config.from_environ({"CONDSTORE_URL": "http://a:1,http://b:2"})
    assert elsewhere.url == "http://a:1/streamdata"


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ({"INF": "-1"}, "INF"), ({"SUP": "1"}, "SUP"), ({"INF": "1", "SUP": "1"}, "INF"),
        ({"INF": "a", "SUP": "1"}, "INF"), ({"INF": "-1", "SUP": "nan"}, "SUP"),
        ({"INF": "-1", "SUP": "inf"}, "SUP"), ({"INF": "-1", "SUP": "1" * 50}, "SUP"),
        ({"SRV": "api:8000/streamdata"}, "SRV"), ({"SRV": "ftp://api"}, "SRV"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_its_name(told, named):
    """One line that names the variable."""
    with pytest.raises(UsageError, match=named):
        Config.from_environ(told)


# Where it stood --------------------------------------------------------------------------------


def test_the_first_line_is_the_number_as_it_always_was(tmp_path):
    """So whoever reads lastrd.txt goes on reading it; the rest says of what."""
    path = tmp_path / "lastrd.txt"
    at = Position(900, 131072, "stream-20261121T000000Z", DATA)
    position.save(path, at)
    assert path.read_text().splitlines()[0] == "900"
    assert position.load(path, DATA) == at
    assert [each.name for each in tmp_path.iterdir()] == ["lastrd.txt"]


@pytest.mark.parametrize("content", [None, "", "\n", "0", "0\n", " 0 \n"])
def test_reading_begins_where_nothing_was_read(tmp_path, content):
    """No file, an empty one, or the 0 that the twin's own client begins with."""
    path = tmp_path / "lastrd.txt"
    if content is not None:
        path.write_text(content)
    assert position.load(path, DATA) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("900\n", "says 900 and not of which data"),
        ("900", "not of which data"),
        ("nonsense", "is damaged"),
        ("900\n{", "is damaged"),
        ('900\n{"bound":1}', "is damaged"),
        ('900\n{"bound":1,"period":"","data":{}}', "is damaged"),
        ("\x00" * 100, "is damaged"),
    ],
)
def test_a_damaged_position_is_refused_with_the_remedy(tmp_path, content, message):
    """Never guessed: the file is named, and what to do."""
    path = tmp_path / "lastrd.txt"
    path.write_text(content)
    with pytest.raises(UsageError, match=rf"lastrd\.txt .*{message}.*remove it or write 0"):
        position.load(path, DATA)


def test_a_position_in_a_pipe_is_refused(tmp_path):
    """Reading it would wait for ever."""
    os.mkfifo(tmp_path / "lastrd.txt")
    with pytest.raises(UsageError, match="is no file"):
        position.load(tmp_path / "lastrd.txt", DATA)


@pytest.mark.parametrize(("read", "bound"), [(-1, 5), (6, 5)])
def test_a_position_beyond_its_data_is_damaged(tmp_path, read, bound):
    """It could not have been written."""
    path = tmp_path / "lastrd.txt"
    position.save(path, Position(read, bound, "", DATA))
    with pytest.raises(UsageError, match="is damaged"):
        position.load(path, DATA)


@pytest.mark.parametrize(
    ("field", "value"),
    [("event", "GW170817"), ("detector", "H1"), ("channel", "L1:OTHER"), ("t0", "1"), ("dt", "1")],
)
def test_a_position_of_other_data_is_refused(tmp_path, field, value):
    """Another event, detector, channel, start or step: samples would be lost in silence."""
    path = tmp_path / "lastrd.txt"
    position.save(path, Position(900, 131072, "", DATA))
    other = Data(**({name: getattr(DATA, name) for name in DATA.__slots__} | {field: value}))
    with pytest.raises(UsageError, match="is the position in L1:GWOSC-STRAIN of GW150914"):
        position.load(path, other)


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    """The path and the reason."""
    with pytest.raises(UsageError, match=r"gone/lastrd\.txt: cannot be written \(No such file"):
        position.save(tmp_path / "gone" / "lastrd.txt", Position(0, 1, "", DATA))


# What lies between -----------------------------------------------------------------------------


@given(
    st.lists(st.integers(1, 1500), min_size=1, max_size=3),
    st.lists(st.integers(0, 4000), max_size=4),
)
def test_from_stop_to_stop_each_sample_is_in_one_block(counts, stops):
    """Wherever reading was interrupted and whatever bound held: all samples, in order, once."""
    parts, first = [], 0
    for count in counts:
        parts.append(series(count, t0=str(100 * len(parts)), first=first))
        first += count
    whole = Recording(tuple(parts))
    seen, at = [], 0
    for bound in [*sorted(min(stop, whole.samples) for stop in stops), whole.samples]:
        for block in whole.blocks(at, bound):
            assert at < block.end <= min(at + 300, bound)
            (segment,) = block.segments
            seen += read(segment)
            at = block.end
    assert seen == list(range(whole.samples))


def read(segment):
    """Return the samples of a segment."""
    body = segment.body.decode()
    return [float(text) for text in body[body.index("[") + 1 : body.index("]")].split(",")]


def test_a_gap_makes_no_segment_and_is_passed():
    """What is not a number was not recorded; the block is counted all the same."""
    one = series(900)
    one.samples[300:700] = array("d", [float("nan")] * 400)
    blocks = list(Recording((one,)).blocks(0, 900))
    assert [(len(block.segments), block.end) for block in blocks] == [(1, 300), (0, 600), (1, 900)]
    assert read(blocks[2].segments[0])[0] == 700


def test_the_window_is_half_open_and_exact():
    """Samples at INF are in, samples at SUP are not, whatever the decimals."""
    whole = Recording((series(8192), series(4096, t0="102", first=8192)))
    assert whole.cropped(Decimal(100), Decimal(103)) == whole
    cut = whole.cropped(Decimal("100.5"), Decimal("102.25"))
    assert (cut.first.t0, cut.samples) == (Decimal("100.5"), 7168)
    assert cut.parts[0].samples[0] == 2048
    between = whole.cropped(Decimal("100.0001"), Decimal("100.0006"))
    assert list(between.first.samples) == [1.0, 2.0]
    assert between.first.t0 == Decimal(100) + STEP


@pytest.mark.parametrize(("begin", "end"), [("99.9", "101"), ("101", "103.1"), ("1", "2")])
def test_a_window_that_the_files_lack_is_refused(begin, end):
    """Never less than was asked for: from when to when there is data is said."""
    whole = Recording((series(8192), series(4096, t0="102")))
    with pytest.raises(UsageError, match="is there from GPS 100 to 103, wanted is"):
        whole.cropped(Decimal(begin), Decimal(end))


def lines(path, start, count=600, step="0.5"):
    """Write a text file of strain; return its path."""
    step = Decimal(step)
    path.write_text("".join(f"{Decimal(start) + n * step} {n}.5\n" for n in range(count)))
    return path


def test_files_are_put_in_order_and_named_by_the_detector(tmp_path):
    """Text names no channel, so DTCID does."""
    later, earlier = lines(tmp_path / "a.txt", "400"), lines(tmp_path / "b.txt", "100")
    found = recording.read([later, earlier], "L1", None)
    assert [part.t0 for part in found.parts] == [Decimal(100), Decimal(400)]
    assert {part.name for part in found.parts} == {"L1:strain"}
    assert recording.read([later], "", None).first.name == "strain"


def test_files_that_overlap_or_differ_are_refused(tmp_path):
    """Each second once, of one channel, at one step."""
    one = lines(tmp_path / "a.txt", "100")
    with pytest.raises(UsageError, match="give each second once"):
        recording.read([one, lines(tmp_path / "b.txt", "399.5")], "L1", None)
    with pytest.raises(UsageError, match="give files of one channel"):
        recording.read([one, lines(tmp_path / "c.txt", "400", step="0.25")], "L1", None)


# What a person reads ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(28, "No space left on device", "L1.hdf5"), "gw: L1.hdf5: No space left on device"),
        (UsageError("a server's\x1b[2J\nword"), "gw: a server's\N{REPLACEMENT CHARACTER}[2J word"),
    ],
)
def test_a_failure_is_one_harmless_line(error, line, monkeypatch, capsys, tmp_path):
    """Also one of the disk; a server's words are shown, not obeyed by the terminal."""

    def fail(*_):
        raise error

    monkeypatch.setattr(run, "find", fail)
    assert main(["--position", str(tmp_path / "position")]) == (1 if error.args[0] == 28 else 2)
    assert capsys.readouterr().err == f"{line}\n"
