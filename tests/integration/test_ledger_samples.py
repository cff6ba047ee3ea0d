"""Ledgers that older versions wrote are read for ever: opened, served, appended to, built from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from approvers import TAGS, credential
from load import ledger_lines
from sample_answers import answers, differences
from sample_history import served

SAMPLES = sorted((Path(__file__).parents[1] / "samples").glob("ledger-format-*"))


@pytest.fixture(params=SAMPLES, ids=lambda sample: sample.name)
def sample(request, tmp_path):
    """A kept sample, of whose volume there is a copy to serve."""
    shutil.copytree(request.param / "volume", tmp_path / "volume")
    return request.param


def kept_lines(sample):
    """Return the lines of a sample's ledger."""
    paths = sorted((sample / "volume" / "ledger").glob("*.jsonl"))
    return [line for path in paths for line in path.read_bytes().splitlines()]


def first_with(key, lines):
    """Return the LSN of the entry with an idempotency key."""
    entries = map(json.loads, lines)
    return next(entry["lsn"] for entry in entries if entry.get("idempotency_key") == key)


def test_a_kept_ledger_is_served_answers_as_it_did_and_goes_on(sample, tmp_path):
    """Line for line; a view built from it tells what it told; repeats are known; a restart too."""
    kept = json.loads((sample / "answers.json").read_text())
    lines = kept_lines(sample)
    with served(tmp_path) as lab:
        assert list(ledger_lines(lab.buffer.url)) == lines
        found = answers(lab.pods[0].url, credential("alice"))
        assert differences(kept, found) == []
        again = lab.ask("alice", "POST", TAGS, {"name": "O4"}, key="k-1")
        assert (again.status, again.lsn) == (201, first_with("k-1", lines))
        for number in range(30):
            assert lab.ask("alice", "POST", TAGS, {"name": f"later-{number}"}).status == 201
    with served(tmp_path) as lab:
        grown = list(ledger_lines(lab.buffer.url))
        assert grown[: len(lines)] == lines
        assert len(grown) == len(lines) + 30
        assert lab.get(f"{TAGS}/later-29")["name"] == "later-29"
