"""`tag show --plot` and `iov list --plot` against real servers: gaps and trims are seen."""

from xml.etree import ElementTree

import command
import pytest
from logic_pair import pair as both_tiers

from condstore.client import Client
from condstore.results import NewIOV


@pytest.fixture(scope="module")
def condstore(tmp_path_factory):
    """Run both tiers with a tag that has a gap and a trim; return the command."""
    folder = tmp_path_factory.mktemp("plot")
    with both_tiers(folder) as pair:
        client = Client(pair.logic.url)
        client.create_tag("prompt")
        first = [NewIOV("Beam", (100, 0), (200, 0), "old"), NewIOV("Beam", (250, 0), None, "last")]
        client.insert_iovs("prompt", first)
        client.insert_iovs("prompt", [NewIOV("Beam", (150, 0), (220, 0), "new")])
        yield command.Command(pair.logic.url, pair.buffer.url, folder)


def test_the_picture_of_a_tag_shows_gaps_and_trims(condstore):
    """The SVG names the gap, what an interval was before it was cut, and each payload IOV."""
    condstore("tag", "show", "prompt", "--plot", "prompt.svg")
    root = ElementTree.parse(condstore.folder / "prompt.svg").getroot()  # noqa: S314 - our own
    told = ["".join(one.itertext()) for one in root.iter()]
    assert "no payload from 220 to 250" in told
    assert "old was 100 to 200 until LSN 3" in told
    assert "new: 150 to 220" in told
    assert "3 IOVs · 1 gap · 1 trimmed" in told


def test_a_part_of_a_tag_is_drawn(condstore):
    """What begins behind --end is not in the picture; without --plot there is nothing to bound."""
    condstore("tag", "show", "prompt", "--plot", "part.svg", "--begin", "100", "--end", "200")
    drawn = (condstore.folder / "part.svg").read_text()
    assert "new: 150 to 220" in drawn
    assert "last" not in drawn
    said = condstore("tag", "show", "prompt", "--begin", "100", expect=2)
    assert "--plot FILE" in said


def test_a_bundle_is_drawn_without_server(condstore):
    """What was pulled is drawn from the file; of trims it knows nothing."""
    condstore("tag", "clone", "prompt", "frozen")
    condstore("tag", "freeze", "frozen", "--yes")
    condstore("tag", "show", "frozen", "--plot", "online.svg")
    condstore("pull", "frozen", "-o", "frozen.cdb")
    away = command.Command("http://localhost:1", "http://localhost:1", condstore.folder)
    away("tag", "show", "frozen", "--offline", "frozen.cdb", "--plot", "frozen.svg")
    assert "no payload from 220 to 250" in (condstore.folder / "frozen.svg").read_text()
    told = away("iov", "list", "frozen", "Beam", "--offline", "frozen.cdb", "--plot")
    assert "3 payload IOVs, 1 gap: 220 to 250" in told


@pytest.mark.parametrize("columns", ["30", "80", "200"])
def test_the_timeline_is_as_wide_as_the_terminal(condstore, columns):
    """No line is wider, and the gap is there."""
    condstore.environ["COLUMNS"] = columns
    told = condstore("iov", "list", "prompt", "Beam", "--plot")
    assert max(map(len, told.splitlines())) <= int(columns)
    assert "···" in told
