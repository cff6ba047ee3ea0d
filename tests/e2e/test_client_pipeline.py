"""The command against real servers: stream, freeze, resolve, get, verify, and all of it again."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import servers
from command import Command

from condstore import strain
from condstore.client import Client
from condstore.digests import Digest
from condstore.errors import Conflict, Frozen
from condstore.moments import Moment
from condstore.results import Validity

DEMO = strain.demo_file()
THRESHOLD = "800000"


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Run both servers for this module."""
    folder = tmp_path_factory.mktemp("pipeline")
    with (
        servers.databuffer(folder) as buffer,
        servers.logic(buffer.url, folder, MAX_SIZE=THRESHOLD) as logic,
    ):
        yield logic, buffer, folder


@pytest.fixture(scope="module")
def condstore(pair, tmp_path_factory):
    """Return the command, in a folder of its own."""
    logic, buffer, _ = pair
    return Command(logic.url, buffer.url, tmp_path_factory.mktemp("here"))


@pytest.fixture(scope="module")
def frozen(condstore):
    """Stream the three detectors twice, freeze twice; return the fingerprint."""
    assert "Waiting for more incoming data." in condstore("buffer", "freeze", "--yes", expect=1)
    (first,) = condstore.json("stream", str(DEMO))
    assert first["segments"] == 165
    (again,) = condstore.json("stream", str(DEMO))
    assert (again["segments"], again["lsn"]) == (165, first["lsn"])
    assert "frozen: 165 files" in condstore("buffer", "freeze", "--yes")
    assert "frozen: 165 files" in condstore("buffer", "freeze")
    return condstore.json("tag", "freeze", "stream")["fingerprint"]


def test_streaming_and_freezing_again_changes_nothing(condstore, frozen):
    """165 files, one tag, one fingerprint, however often it was asked for."""
    told = condstore.json("status")
    assert told["buffer"]["files"] == 165
    assert told["buffer"]["state"] == "FROZEN"
    (tag,) = told["tags"]
    assert tag["name"] == "stream"
    assert (tag["payload_list_count"], tag["payload_iov_count"]) == (3, 165)
    assert tag["fingerprint"] == frozen
    assert condstore.json("stream", str(DEMO))[0]["segments"] == 165


def test_a_gps_second_resolves_to_the_samples_of_the_file(condstore, frozen):
    """What comes back for a moment is what the file has there."""
    found = condstore.json("resolve", "stream", "968654552.5")
    assert found["fingerprint"] == frozen
    assert [one["payload_type"] for one in found["payloads"]] == [
        "H1:LDAS-STRAIN", "L1:LDAS-STRAIN", "V1:h_16384Hz",
    ]  # fmt: skip
    one = found["payloads"][1]
    got = condstore.json(
        "get", "stream", "968654552.5", "--type", "L1:LDAS-STRAIN", "-o", "l1.json"
    )
    content = (condstore.folder / "l1.json").read_bytes()
    assert got["digest"] == one["digest"] == Digest.of(content)
    series = strain.read(DEMO)[1]
    segment = json.loads(content)
    first = round((segment["t"][0] - float(series.t0)) / float(series.dt))
    assert first % 300 == 0
    assert segment["h"] == series.samples[first : first + 300].tolist()


@pytest.mark.usefixtures("frozen")
def test_get_harms_no_file(condstore):
    """The same content is left alone, another is kept unless forced; a pipe gets the bytes."""
    words = ("get", "stream", "968654552.1", "--type", "V1:h_16384Hz")
    condstore(*words, "-o", "v1.json")
    condstore(*words, "-o", "v1.json")
    other = condstore.folder / "v1.json"
    other.write_text("mine")
    assert "--force replaces it" in condstore(*words, "-o", "v1.json", expect=1)
    assert other.read_text() == "mine"
    condstore(*words, "-o", "v1.json", "--force")
    assert condstore(*words, "-o", "-") == other.read_text()
    assert "add --type" in condstore("get", "stream", "968654552.1", expect=2)
    assert "give the moment too" in condstore("get", "stream", expect=2)


@pytest.mark.usefixtures("frozen")
def test_a_gap_is_said_and_is_no_success(condstore):
    """Nothing holds before the data and after it; an unknown tag is another thing."""
    assert "no payload holds at this moment" in condstore("resolve", "stream", "5", expect=1)
    assert condstore.json("resolve", "stream", "968654553", expect=1)["payloads"] == []
    assert "404" in condstore("resolve", "nosuchtag", "5", expect=1)
    assert "not a moment" in condstore("resolve", "stream", "yesterday", expect=2)


@pytest.mark.usefixtures("frozen")
def test_a_frozen_buffer_refuses_new_data_and_says_what_to_do(condstore):
    """One line, exit status 1."""
    path = condstore.folder / "late.json"
    path.write_text('{"h":[1.5,2.5],"t":[968654600,0.5]}')
    assert "Datastore frozen. It takes segments again after a flush" in condstore(
        "stream", str(path), expect=1
    )


@pytest.mark.usefixtures("frozen")
def test_verify_holds(condstore):
    """Every line chained, every payload there, byte for byte."""
    report = condstore.json("verify", "--payloads")
    assert report["problems"] == []
    assert report["payloads"] == 165
    assert report["head"]["lsn"] >= 166
    assert "nothing wrong" in condstore("verify")


def test_the_server_away_is_exit_status_3(condstore, tmp_path):
    """With the URL and the remedy, in one line."""
    nobody = Command("http://127.0.0.1:1", "http://127.0.0.1:1", tmp_path)
    for words in (("status",), ("verify",)):
        said = nobody(*words, expect=3)
        assert said.count("\n") == 1
        assert "http://127.0.0.1:1 (Connection refused)" in said


def test_general_payloads_and_other_files(tmp_path):
    """A calibration goes to a tag of its own; text and JSON are streamed; a flush archives."""
    with servers.databuffer(tmp_path) as buffer, servers.logic(buffer.url, tmp_path) as logic:
        condstore = Command(logic.url, buffer.url, tmp_path)
        beam = tmp_path / "beam.bin"
        beam.write_bytes(os.urandom(3_000_000))
        words = ("stream", str(beam), "--type", "Beam", "--major", "1200", "--minor", "17")
        condstore(*words)
        condstore(*words)
        condstore("get", "stream", "1200:17", "-o", "again.bin")
        assert (tmp_path / "again.bin").read_bytes() == beam.read_bytes()
        assert "holds in stream at 1200:16" in condstore("get", "stream", "1200:16", expect=1)
        assert "need --major" in condstore("stream", str(beam), "--tag", "X", expect=2)
        assert "404" in condstore(*words, "--tag", "nosuchtag", expect=1)

        (tmp_path / "slow.txt").write_text("1000 1.5\n1001 2.5\n1002 3.5\n")
        (tmp_path / "one.json").write_text('{"h":[1.5,2.5],"t":[2000,0.5]}')
        (tmp_path / "bad.json").write_text('{"h":[1.5,2.5],"t":[2000,-0.5]}')
        condstore("stream", "slow.txt", "--type", "A")
        condstore("stream", "one.json", "--type", "A")
        found = condstore.json("resolve", "stream", "2000.75", "--type", "A")
        assert found["payloads"][0]["end"] == [2001, 0]
        assert "t" in condstore("stream", "bad.json", expect=1)

        client = Client((logic.url,))
        assert client.period("stream") == ""
        client.flush_buffer()
        assert client.period("stream").startswith("stream-2")
        archived = client.tag(client.period("stream")).tag
        assert archived.state == "frozen"
        condstore("stream", "one.json", "--type", "A")
        assert client.buffer().files == 1
        with pytest.raises((Conflict, Frozen)):
            client.stream_payload(b"late", "A", Validity(Moment(1), None, archived.name))


def test_verify_names_what_is_missing_or_damaged(tmp_path):
    """A payload that went, one that was cut and one with a changed byte are told apart."""
    with servers.databuffer(tmp_path) as buffer, servers.logic(buffer.url, tmp_path) as logic:
        condstore = Command(logic.url, buffer.url, tmp_path)
        condstore("stream", str(DEMO), "--channel", "H1:LDAS-STRAIN")
        blobs = sorted(path for path in Path(tmp_path).glob("volume/blobs/sha256/*/*/*"))
        gone, cut, flipped = blobs[:3]
        gone.unlink()
        cut.chmod(0o644)
        cut.write_bytes(cut.read_bytes()[:-1])
        flipped.chmod(0o644)
        flipped.write_bytes(flipped.read_bytes().replace(b"h", b"H", 1))
        said = condstore("verify", "--payloads", expect=1)
        assert f"{gone.name} is missing" in said
        assert re.search(rf"{cut.name} has \d+ bytes, the ledger says", said)
        assert f"{flipped.name} is damaged" in said
        assert "3 problems" in said
        assert "2 problems" in condstore("verify", expect=1)


def test_the_server_comes_back_while_a_file_is_streamed(tmp_path):
    """A databuffer killed in the middle costs time, no segment and no second copy."""
    with servers.databuffer(tmp_path) as buffer, servers.logic(buffer.url, tmp_path) as logic:
        environ = {**os.environ, "CONDSTORE_URL": logic.url}
        with subprocess.Popen(
            [servers.BIN / "condstore", "stream", str(DEMO), "--json"],
            env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            client = Client((logic.url,))
            servers.eventually(lambda: client.buffer().files > 20, within=30)
            buffer.kill()
            buffer.restart()
            out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert json.loads(out)[0]["segments"] == 165
        assert client.buffer().files == 165
        assert client.tag("stream").tag.payload_iov_count == 165
