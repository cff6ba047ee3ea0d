"""A log that nobody reads: it holds up nobody, and says afterwards what is missing."""

from __future__ import annotations

import logging
import os
import time

import pytest

import databuffer.log_lines
import databuffer.logs
import datastore_logic.log_lines
import datastore_logic.logs

LINE = "a line of the log that is about as long as others are"


@pytest.fixture
def pipe():
    """Both ends of a pipe, as files of text."""
    read, write = os.pipe()
    with os.fdopen(read) as reader, os.fdopen(write, "w") as writer:
        yield reader, writer


def spoken(formatter, handler, lines):
    """Log so many lines."""
    handler.setFormatter(formatter)
    logger = logging.Logger("test")
    logger.addHandler(handler)
    for number in range(lines):
        logger.info("%d: %s", number, LINE)
    return logger


@pytest.mark.parametrize("tier", [databuffer, datastore_logic], ids=["databuffer", "logic"])
def test_a_pipe_that_nobody_reads_is_waited_for_once(tier, pipe, monkeypatch):
    """Lines are lost, whole ones; whoever reads again is told how many."""
    monkeypatch.setattr(tier.log_lines, "WAIT", 0.05)
    reader, writer = pipe
    began = time.monotonic()
    logger = spoken(tier.logs.Text(), tier.log_lines.Lines(writer), 5000)
    assert time.monotonic() - began < 60  # not WAIT for each
    os.set_blocking(reader.fileno(), False)
    kept = reader.read().splitlines()
    assert all(f"{number}: {LINE}" in line for number, line in enumerate(kept))
    logger.info("again")
    note, last = reader.read().splitlines()
    assert f"WARNING {tier.__name__}.log_lines: {5000 - len(kept)} lines" in note
    assert "again" in last  # perhaps with the id of a request
