"""Ledgers that older versions wrote are read for ever: opened, served, appended to, built from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from approvers import TAGS, credential
from issuer import SECRET
from load import ask, ledger_lines
from sample_answers import answers, differences
from sample_history import served
from servers import eventually, logic
from volume_oracle import LedgerReader

from condstore.verify import verify

SAMPLES = sorted((Path(__file__).parents[1] / "samples").glob("ledger-format-*"))


@pytest.fixture(params=SAMPLES, ids=lambda sample: sample.name)
def sample(request, tmp_path):
    """A kept sample, of whose volume there is a copy to serve."""
    shutil.copytree(request.param / "volume", tmp_path / "volume")
    return request.param


def first_with(key, lines):
    """Return the LSN of the entry with an idempotency key."""
    entries = map(json.loads, lines)
    return next(entry["lsn"] for entry in entries if entry.get("idempotency_key") == key)


def test_a_kept_ledger_is_served_answers_as_it_did_and_goes_on(sample, tmp_path):
    """Line for line; a view built from it tells what it told; its idempotency keys are known."""
    kept = json.loads((sample / "answers.json").read_text())
    lines = LedgerReader(sample / "volume" / "ledger").lines()
    with served(tmp_path) as lab:
        assert list(ledger_lines(lab.buffer.url)) == lines
        assert differences(kept, answers(lab.pods[0].url, credential("alice"))) == []
        again = lab.ask("alice", "POST", TAGS, {"name": "O4"}, key="k-1")
        assert (again.status, again.lsn) == (201, first_with("k-1", lines))
        for number in range(30):
            assert lab.ask("alice", "POST", TAGS, {"name": f"later-{number}"}).status == 201
        grown = list(ledger_lines(lab.buffer.url))
        assert grown[: len(lines)] == lines
        assert len(grown) == len(lines) + 30
        if sample == SAMPLES[-1]:
            compressed_is_the_same(lab, tmp_path, grown)
    reader = LedgerReader(tmp_path / "volume" / "ledger")
    reader.catch_up()
    assert reader.lines() == grown


def compressed_is_the_same(lab, folder, lines):
    """Compress the ledger: served, verified and built from anew it says what it said before."""
    done = ask("POST", f"{lab.buffer.url}/ledger/compress")
    assert (done.status, done.json["segments"] > 1) == (200, True)
    assert list(ledger_lines(lab.buffer.url)) == lines
    report = verify(lab.buffer.url, payloads=True)
    assert (report.head.lsn, report.problems) == (len(lines), ())
    environ = {"JWT_SECRET": SECRET, "FREEZE_APPROVALS": "2", "MAX_SIZE": "1"}
    with logic(lab.buffer.url, folder, name="anew", **environ) as pod:
        eventually(lambda: ask("GET", f"{pod.url}/readyz").json.get("writes"))
        told = [answers(each.url, credential("alice")) for each in (pod, *lab.pods)]
    assert told[0] == told[1]
