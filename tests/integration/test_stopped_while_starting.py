"""Told to stop while it still starts, a tier ends, also as a container's first process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import pytest
from servers import BIN, ROOT, Running, databuffer_at, eventually, free_port

HELD = """
from importlib.util import module_from_spec, spec_from_file_location

spec = spec_from_file_location("settings", {settings!r})
settings = module_from_spec(spec)
spec.loader.exec_module(settings)
globals().update(vars(settings))

def post_fork(server, worker):
    open({forked!r}, "w").close()
    open({waits!r}).read()
"""
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
        yield lambda pid: str(waits) in _open_files(pid)


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


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_worker_that_has_not_begun_ends_with_the_others(tmp_path, told):
    """It is told once, before gunicorn has set its handlers; nobody waits for SHUTDOWN_GRACE."""
    waits, forked, settings = tmp_path / "waits", tmp_path / "forked", tmp_path / "held.py"
    os.mkfifo(waits)
    real = str(ROOT / "datastore_logic/gunicorn.conf.py")
    settings.write_text(HELD.format(settings=real, forked=str(forked), waits=str(waits)))
    port = str(free_port())
    running = Running(
        "logic",
        [str(BIN / "gunicorn"), "-c", str(settings), "datastore_logic.app:create_app()"],
        {"PORT": port, "VIEW_PATH": str(tmp_path / "view.sqlite"), "SHUTDOWN_GRACE": "60"},
        f"http://127.0.0.1:{port}",
        tmp_path / "logic.log",
    )
    running.spawn()
    try:
        eventually(forked.exists)
        os.kill(running.process.pid, told)
        assert running.ended(30) == 0
    finally:
        running.kill()


def _child(pid):
    """Return the process that this one has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    eventually(children.read_text)
    return int(children.read_text())


def _open_files(pid):
    """Return what the process has open; it goes on opening and closing meanwhile."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(str(descriptor.readlink()))
    return found
