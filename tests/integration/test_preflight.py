"""The pre-flight report against a real volume on which payloads got lost or damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from logic_pair import pair

TAG = "/api/v1/global-tags/RUN3"


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Both tiers."""
    with pair(tmp_path_factory.mktemp("preflight")) as made:
        yield made


@pytest.fixture
def files(both, request):
    """The files of three payloads with an IOV each in a new tag, RUN3."""
    both.ask("DELETE", TAG)
    assert both.post("/api/v1/global-tags", json.dumps({"name": "RUN3"})).status == 201
    found = []
    for number in range(3):
        query = f"?tag=RUN3&type=Beam&major={number}&major_end={number + 1}"
        content = f"{request.node.name} {number}".encode()
        digest = both.post(f"/stream{query}", content).json()["digest"].removeprefix("sha256:")
        volume = Path(both.buffer.environ["VOLUME_ROOT"])
        found.append(volume / "blobs" / "sha256" / digest[:2] / digest[2:4] / digest)
    return found


def beam(report):
    """Return what a report tells of the one type."""
    (told,) = report["payload_types"]
    return told


def test_a_strict_freeze_is_refused_and_changes_nothing(both, files):
    """409 with the report; without `strict` it is frozen all the same, and the report comes too."""
    files[1].unlink()
    refused = both.post(f"{TAG}/freeze?strict=1")
    assert (refused.status, refused.json()["code"]) == (409, "preflight_failed")
    report = refused.json()["report"]
    assert beam(report)["missing_payloads"]["first"][0]["start"] == [1, 0]
    assert both.get(TAG)["state"] == "unlocked"
    frozen = both.post(f"{TAG}/freeze").json()
    assert (frozen["state"], frozen["report"]["ok"]) == ("frozen", False)
    assert both.post(f"{TAG}/unfreeze", json.dumps({"reason": "tests go on"})).status == 200


def test_a_sound_tag_is_frozen_strictly(both, files):
    """The report says so, and what it looked at."""
    told = both.post(f"{TAG}/freeze?strict=1&read_bytes=1").json()
    assert (told["state"], told["report"]["ok"]) == ("frozen", True)
    assert told["report"]["checked"]["payloads"]["bytes_read"] == len(files)
    assert both.post(f"{TAG}/unfreeze", json.dumps({"reason": "tests go on"})).status == 200


def test_a_payload_cut_short_is_wrong(both, files):
    """Its size is compared without reading it."""
    files[2].write_bytes(files[2].read_bytes()[:-1])
    report = both.get(f"{TAG}/check")
    assert not report["ok"]
    assert [place["start"] for place in beam(report)["wrong_payloads"]["first"]] == [[2, 0]]


def test_a_payload_whose_bytes_changed_is_found_by_reading_it(both, files):
    """The size alone does not show it: only then is the tag called sound."""
    content = files[0].read_bytes()
    files[0].write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert both.get(f"{TAG}/check")["ok"]
    report = both.get(f"{TAG}/check?read_bytes=1")
    assert [place["start"] for place in beam(report)["wrong_payloads"]["first"]] == [[0, 0]]
    assert report["checked"]["payloads"]["bytes_read"] == 3


def test_a_clone_differs_by_what_was_put_into_it(both, files):
    """Through HTTP: which interval changes from what to what, and what must be reprocessed."""
    assert len(files) == 3
    copy = f"{TAG}-{files[0].name[:8]}"
    name = copy.rpartition("/")[2]
    assert both.post(f"{TAG}/clone", json.dumps({"name": name})).status == 201
    both.post(f"/stream?tag={name}&type=Beam&major=1&minor=5&major_end=9", b"another")
    told = both.get(f"{TAG}/diff?to={name}")
    assert [(one["start"], one["end"], one["from"] and 1) for one in told["changes"]] == [
        ([1, 5], [2, 0], 1), ([2, 0], [3, 0], 1), ([3, 0], [9, 0], None),
    ]  # fmt: skip
    assert told["reprocess"] == [{"start": [1, 5], "end": [9, 0]}]
    assert told["complete"] is True
