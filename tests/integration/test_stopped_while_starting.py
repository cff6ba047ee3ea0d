"""Told to stop while still importing, the databuffer ends, also as a container's first process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import pytest
from servers import databuffer_at, eventually

FIRST = ["unshare", "--pid", "--fork", "--kill-child"]


def first_process():
    """Give the command that makes what follows the first process of a namespace, if it may."""
    with contextlib.suppress(OSError):
        if subprocess.run([*FIRST, "true"], capture_output=True, check=False).returncode == 0:
            return FIRST
    pytest.skip("making a namespace of processes is not permitted here")


@pytest.fixture
def importing(tmp_path, monkeypatch):
    """Have an import wait for what is never written; tell whether a process has come to it."""
    waits = tmp_path / "waits"
    os.mkfifo(waits)
    (tmp_path / "aiohttp.py").write_text(f"open({str(waits)!r}).read()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with waits.open("r+b", buffering=0):
        yield lambda pid: waits in {each.resolve() for each in Path(f"/proc/{pid}/fd").iterdir()}


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
@pytest.mark.parametrize("alone", [False, True], ids=["a process", "the first process"])
def test_it_ends_in_order_before_it_has_begun(tmp_path, importing, alone, told):
    """Exit 0, nothing said, nothing made."""
    running = databuffer_at(tmp_path)
    running.command = [*(first_process() if alone else []), *running.command]
    running.spawn()
    try:
        pid = _child(running.process.pid) if alone else running.process.pid
        eventually(lambda: importing(pid))
        os.kill(pid, told)
        assert running.ended(10) == 0
    finally:
        running.kill()
    assert running.log.read_text() == ""
    assert not (tmp_path / "volume").exists()


def _child(pid):
    """Return the process that this one has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    eventually(children.read_text)
    return int(children.read_text())
