"""Seconds at their least and most: no grace at a stop, a patience that has no end."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest
from load import ask
from servers import databuffer, eventually, logic, open_deleted
from volume_oracle import VolumeOracle

LONG = 60.0
AT_ONCE = 15.0  # seconds, on a machine that is busy
PATHS = {"databuffer": b"/blobs", "logic": b"/api/v1/payloads"}


@contextlib.contextmanager
def half_an_upload(port, path):
    """Send all of an upload but its last byte, and stay."""
    with socket.create_connection(("127.0.0.1", port), timeout=LONG) as connection:
        size = 3 << 20
        connection.sendall(
            b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path, size)
        )
        connection.sendall(bytes(size - 1))
        yield


@pytest.mark.parametrize("name", PATHS)
def test_a_tier_without_grace_waits_for_nobody(tmp_path, name):
    """An upload that would have a minute is given up, and nothing of it is kept."""
    patient = {"SHUTDOWN_GRACE": "0", "BODY_TIMEOUT": str(LONG)}
    with (
        databuffer(tmp_path, **patient) as buffer,
        logic(buffer.url, tmp_path, workers=1, **patient) as replica,
    ):
        tier = replica if name == "logic" else buffer
        with half_an_upload(int(tier.url.rpartition(":")[2]), PATHS[name]):
            eventually(lambda: open_deleted(buffer.process.pid, tmp_path))
            told = time.monotonic()
            assert tier.stop() == 0
            assert time.monotonic() - told < AT_ONCE
        if name == "logic":
            assert buffer.stop() == 0
        oracle = VolumeOracle(tmp_path / "volume")
        oracle.check()
        assert oracle.blobs == {}


def test_a_databuffer_may_wait_for_a_sender_longer_than_a_kernel_counts(tmp_path):
    """The kernel is told in milliseconds, up to 25 days, when a reader counts as gone."""
    with databuffer(tmp_path, BODY_TIMEOUT="999999") as running:
        assert ask("GET", f"{running.url}/readyz").status == 200
