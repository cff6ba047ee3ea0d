"""The GW producer against both tiers: every sample once, whatever happens on the way."""

import re
import subprocess

import numpy as np
import pytest
from gw_producer import (
    COMMAND,
    GPS,
    RATE,
    environ,
    expected,
    noise,
    open_data,
    produce,
    segment_files,
    started,
    stored,
)
from load import ask
from logic_pair import pair
from servers import eventually

from condstore import strain

WHO = '{"user":"alice","token":"t"}'
FLUSH = '{"msg":"flush"}'


@pytest.fixture
def both(tmp_path):
    """Run both tiers; a freeze takes what there is."""
    with pair(tmp_path, MAX_SIZE="1") as running:
        yield running


@pytest.fixture
def here(tmp_path):
    """Return the folder that the producer runs in."""
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def told(both, **more):
    """Return the twin's variables for this pair."""
    return {"SRV": f"{both.logic.url}/streamdata", "DTCID": "L1", "GWID": "GW150914"} | more


def count(both):
    """Return how many files the buffer has."""
    return both.get("/stats")["n_itm"]


def test_a_file_arrives_whole_with_gps_times_and_its_channel(both, here, tmp_path):
    """300 samples each, no segment repeated; started again it has nothing to do."""
    samples = noise(RATE // 4 * 10)
    open_data(here / "L1.hdf5", samples)
    said = produce(here, "L1.hdf5", **told(both))
    assert f"{len(samples)} of {len(samples)} samples are stored, up to GPS {GPS + 2}.5" in said
    assert stored(segment_files(tmp_path / "volume")) == expected(samples)
    held = both.get(f"/api/v1/global-tags/stream/payloads?major={GPS + 1}")
    assert [one["payload_type"] for one in held["payloads"]] == ["L1:GWOSC-STRAIN"]
    assert count(both) == -(-len(samples) // 300)
    assert (here / "lastrd.txt").read_text().splitlines()[0] == str(len(samples))
    produce(here, "L1.hdf5", **told(both))
    assert count(both) == -(-len(samples) // 300)


def test_gaps_stay_gaps(both, here, tmp_path):
    """What was not recorded is not streamed, and what follows has its own time."""
    samples = noise(4000)
    samples[500:1700] = np.nan
    open_data(here / "L1.hdf5", samples)
    produce(here, "L1.hdf5", **told(both))
    assert stored(segment_files(tmp_path / "volume")) == expected(samples)


def test_a_part_around_a_time_of_a_file_with_three_detectors(both, here, tmp_path):
    """GWF as HDF5: DTCID chooses the channel, GWID may be a GPS time."""
    demo = strain.demo_file().with_suffix(".gwf")
    told_ = told(both, DTCID="V1", GWID="968654552.5", INF="-0.25", SUP="0.25")
    produce(here, str(demo), **told_)
    whole = next(one for one in strain.read(demo) if one.name.startswith("V1:"))
    found = stored(segment_files(tmp_path / "volume"))
    assert [found[time] for time in sorted(found)] == list(whole.samples[4096:12288])
    said = produce(here, str(demo), expect=2, **told(both, DTCID=""))
    assert "H1:LDAS-STRAIN, L1:LDAS-STRAIN, V1:h_16384Hz" in said
    assert "--channel" in said


def test_once_is_three_segments_a_run_as_the_twins_client_did(both, here, tmp_path):
    """Run after run it goes on, and the third segment is not the second again."""
    samples = noise(2000)
    open_data(here / "L1.hdf5", samples)
    (here / "lastrd.txt").write_text("0")
    for files in (3, 6, 7, 7):
        produce(here, "--once", "L1.hdf5", **told(both))
        assert count(both) == files
    assert stored(segment_files(tmp_path / "volume")) == expected(samples)


def test_killed_again_and_again_each_sample_arrives_once(both, here, tmp_path):
    """SIGKILL at any moment, five times, once with the databuffer: nothing lost, nothing twice."""
    samples = noise(RATE * 30)
    open_data(here / "L1.hdf5", samples)
    for kill in range(5):
        enough = count(both) + 15
        with started(here, "L1.hdf5", **told(both)) as process:
            eventually(lambda enough=enough: count(both) >= enough, within=60)
            process.kill()
        if kill == 2:
            both.buffer.kill()
            both.buffer.restart()
            both.settle()
    assert count(both) < len(samples) // 300, "killed too late to show anything"
    produce(here, "L1.hdf5", **told(both))
    assert stored(segment_files(tmp_path / "volume")) == expected(samples)


def test_a_databuffer_that_comes_back_costs_time_only(both, here, tmp_path):
    """The producer waits for it, as the answer asks."""
    samples = noise(RATE * 20)
    open_data(here / "L1.hdf5", samples)
    with started(here, "L1.hdf5", **told(both)) as process:
        eventually(lambda: count(both) >= 10, within=60)
        both.buffer.kill()
        both.buffer.restart()
        _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert stored(segment_files(tmp_path / "volume")) == expected(samples)


def test_terminated_it_says_so_and_goes_on_later(both, here, tmp_path):
    """SIGTERM as from a pod's end: exit 130, one line, and the rest the next time."""
    samples = noise(RATE * 20)
    open_data(here / "L1.hdf5", samples)
    with started(here, "L1.hdf5", **told(both)) as process:
        eventually(lambda: count(both) >= 10, within=60)
        process.terminate()
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted; lastrd.txt says how far it read" in said
    assert "Traceback" not in said
    produce(here, "L1.hdf5", **told(both))
    assert stored(segment_files(tmp_path / "volume")) == expected(samples)


def test_frozen_in_the_midst_it_stops_and_goes_on_after_a_clean(both, here, tmp_path):
    """Exit 1 and what to do; archive and new buffer together hold each sample once."""
    samples = noise(RATE * 20)
    open_data(here / "L1.hdf5", samples)
    with started(here, "L1.hdf5", **told(both)) as process:
        eventually(lambda: count(both) >= 20, within=60)
        assert both.post("/train", WHO).json()["resp"] == "FROZEN"
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1, said
    assert re.search(r"Datastore frozen\. Nothing is lost: lastrd\.txt .*/cleanbuf", said)
    before = (here / "lastrd.txt").read_text()
    again = produce(here, "L1.hdf5", expect=1, **told(both))
    assert "Datastore frozen" in again
    assert int((here / "lastrd.txt").read_text().splitlines()[0]) >= int(before.splitlines()[0])
    assert both.post("/cleanbuf", FLUSH).json()["resp"] == "CLEANED"
    produce(here, "L1.hdf5", **told(both))
    assert stored(segment_files(tmp_path / "volume")) == expected(samples)


def test_a_lost_position_stores_nothing_twice_until_the_buffer_is_cleaned(both, here):
    """A pod that lost its folder begins again in vain; after a clean it fills the buffer anew."""
    open_data(here / "L1.hdf5", noise(3000))
    produce(here, "L1.hdf5", **told(both))
    (here / "lastrd.txt").unlink()
    produce(here, "L1.hdf5", **told(both))
    assert count(both) == 10
    assert both.post("/cleanbuf", FLUSH).json()["resp"] == "CLEANED"
    (here / "lastrd.txt").unlink()
    produce(here, "L1.hdf5", **told(both))
    assert count(both) == 10


def test_a_file_that_grew_is_read_on(both, here, tmp_path):
    """The same file with more at its end goes on behind what was read."""
    samples = noise(5000)
    open_data(here / "L1.hdf5", samples[:1000])
    produce(here, "L1.hdf5", **told(both))
    open_data(here / "L1.hdf5", samples)
    produce(here, "L1.hdf5", **told(both))
    assert stored(segment_files(tmp_path / "volume")) == expected(samples)
    open_data(here / "L1.hdf5", samples[:2000])
    assert "give the same files" in produce(here, "L1.hdf5", expect=2, **told(both))


def test_another_event_or_detector_is_not_taken_for_this_one(both, here):
    """The position is kept, the run refused, and nothing is stored."""
    open_data(here / "L1.hdf5", noise(1000))
    open_data(here / "H1.hdf5", noise(1000, seed=2), detector="H1")
    produce(here, "L1.hdf5", **told(both))
    kept = (here / "lastrd.txt").read_text()
    for more, file in (({"DTCID": "H1"}, "H1.hdf5"), ({"GWID": "GW170817"}, "L1.hdf5")):
        said = produce(here, file, expect=2, **told(both, **more))
        assert "lastrd.txt is the position in L1:GWOSC-STRAIN of GW150914" in said
    assert (here / "lastrd.txt").read_text() == kept
    assert count(both) == 4
    produce(here, "H1.hdf5", "--position", "h1.txt", **told(both, DTCID="H1"))
    assert count(both) == 8


def test_contract_b_may_be_named_too(both, here, tmp_path):
    """Who points SRV to /stream gets the same, but for the period of the buffer."""
    samples = noise(1000)
    open_data(here / "L1.hdf5", samples)
    produce(here, "L1.hdf5", **told(both, SRV=f"{both.logic.url}/stream"))
    assert stored(segment_files(tmp_path / "volume")) == expected(samples)


def test_what_cannot_be_is_one_line_and_a_status(both, here):
    """Exit 2 for a wrong call, 3 for nobody there, 1 for a refusal; the line says what to do."""
    open_data(here / "L1.hdf5", noise(1000))
    assert "INF and SUP go together" in produce(here, "L1.hdf5", expect=2, **told(both, INF="1"))
    nobody = produce(here, "L1.hdf5", expect=3, **told(both, SRV="http://127.0.0.1:9/streamdata"))
    assert "SRV" in nobody
    assert "No such file" in produce(here, "nowhere.hdf5", expect=1, **told(both))
    page = produce(here, "L1.hdf5", expect=1, **told(both, SRV=f"{both.logic.url}/nowhere"))
    assert "404" in page
    assert count(both) == 0
    assert ask("GET", f"{both.logic.url}/desc").json == {"resp": "OPERATIONAL"}


def test_its_help_names_every_variable():
    """And each example of it begins as the command does."""
    said = subprocess.run([*COMMAND, "--help"], env=environ(), capture_output=True, check=True)
    text = said.stdout.decode()
    assert all(name in text for name in ("GWID", "DTCID", "INF", "SUP", "SRV", "lastrd.txt"))
    assert text.count("python -m condstore.gw") >= 4
