"""Slices of a large tag, made by a real process while real workers answer."""

import json
import subprocess
import sys

import pytest
from logic_pair import pair
from servers import eventually

from datastore_logic.view.slice_files import SliceFiles

IOVS = 5000
QUERY = "/api/cdb_rest/payloadiovs/?gtName=LARGE&majorIOV={}&minorIOV=0"


@pytest.fixture
def both(tmp_path):
    """Run both tiers."""
    with pair(tmp_path) as running:
        yield running


def append(both, kind, **data):
    """Append an entry about the tag."""
    keys = ["tag/LARGE"]
    body = {"type": kind, "actor": "test", "data": {"tag": "LARGE", **data}, "keys": keys}
    answer = both.http.request("POST", f"{both.buffer.url}/ledger", body=json.dumps(body))
    assert answer.status == 201, answer.data
    return answer.json()["lsn"]


def hold(both, kind, first):
    """Let the tag hold IOVs of one major each, the last one open."""
    starts = list(range(first, first + IOVS))
    told = {
        "start_major": starts,
        "end_major": [*starts[1:], None],
        "name": [f"{kind}-{first}-{start}" for start in starts],
    }
    change = {
        "payload_type": kind, "tag": "LARGE", "list": None,
        "detached": [], "deleted": [], "trimmed": [], "attached": told,
    }  # fmt: skip
    return append(both, "timelines.changed", lists=[change])


def answers(both, lsn):
    """Return what holds at moments all over, of a state that knows the LSN."""
    moments = [*range(0, IOVS + 200, 97), 2**63 - 1]
    return [both.get(QUERY.format(moment), X_Min_LSN=str(lsn)) for moment in moments]


def files(folder):
    """Return the editions that have a file."""
    return {path.stem for path in folder.glob("*.slices/*.slices")}


def test_a_large_tag_gets_slices_and_answers_as_before(both, tmp_path):
    """Of one state, then of the next one: never of the one before."""
    append(both, "tag.created", description="")
    hold(both, "Beam", 1)
    lsn = hold(both, "Field", 100)
    first = answers(both, lsn)
    eventually(lambda: both.get(QUERY.format(7)) and files(tmp_path))
    assert answers(both, lsn) == first
    assert [row[1] for row in first[0]] == []
    assert [row[1] for row in first[-1]] == [f"Beam-1-{IOVS}", f"Field-100-{IOVS + 99}"]
    lsn = hold(both, "Gain", 50)
    assert [row[0] for row in answers(both, lsn)[-1]] == ["Beam", "Field", "Gain"]
    assert [row for row in answers(both, lsn)[-1] if row[0] != "Gain"] == first[-1]


def test_the_process_ends_with_the_worker_that_started_it(tmp_path):
    """However that one ended: its end of the pipe is closed then."""
    files = SliceFiles(tmp_path / "slices", 1 << 20)
    told = (tmp_path / "view.sqlite", "stream", tmp_path / "slices", 1 << 20, "X", "0" * 32)
    command = [sys.executable, "-m", "datastore_logic.view.slicer", *map(str, told)]
    with files.writing(), subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=20) == 1
