"""Who else may read a volume: the streaming buffer's files, and nothing beside them."""

from __future__ import annotations

import json
import os
import stat

import pytest
from load import ask
from servers import databuffer

SEGMENT = json.dumps({"h": [1e-21, -2e-21], "t": [968654552, 0.5]}).encode()
PRIVATE = ["blobs", "ledger", "state"]


@pytest.fixture(autouse=True)
def _usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def fill(url):
    """Put something of each kind on the volume."""
    assert ask("POST", f"{url}/sendF", SEGMENT).status == 201
    assert ask("POST", f"{url}/blobs", b"a checkpoint").status == 201
    assert ask("PUT", f"{url}/state/checkpoint", {"digest": "sha256:…"}).status == 201


def readable(volume):
    """Name the directories of the volume that others may look into."""
    return sorted(path.name for path in volume.iterdir() if path.stat().st_mode & 0o077)


def modes(volume):
    """Return the permissions of the directories that are private."""
    return [stat.S_IMODE((volume / name).stat().st_mode) for name in PRIVATE]


def told(running):
    """Return the lines of the log about rights, and empty it."""
    lines = running.log.read_text().splitlines()
    running.log.write_text("")
    return [line for line in lines if "closed to" in line or "others may" in line]


def test_on_a_new_volume_others_read_the_streamed_files_alone(tmp_path):
    """The ledger, documents and blobs are made for their owner; nothing has to be changed."""
    with databuffer(tmp_path) as running:
        fill(running.url)
        assert readable(tmp_path / "volume") == ["adm", "data", "log"]
        assert modes(tmp_path / "volume") == [0o700] * 3
        assert told(running) == []


def test_an_older_volume_is_closed_at_the_next_start(tmp_path):
    """One line says so, once; what was there is served, and written to, as before."""
    volume = tmp_path / "volume"
    with databuffer(tmp_path) as running:
        fill(running.url)
        assert running.stop() == 0
        for name in PRIVATE:
            (volume / name).chmod(0o755)
        assert readable(volume) == sorted(["adm", "data", "log", *PRIVATE])
        running.restart()
        assert readable(volume) == ["adm", "data", "log"]
        (line,) = told(running)
        assert all(f"volume/{name}" in line for name in PRIVATE)
        assert ask("GET", f"{running.url}/state/checkpoint").status == 200
        assert ask("POST", f"{running.url}/blobs", b"another").status == 201
        assert running.stop() == 0
        running.restart()
        assert told(running) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a directory to somebody else")
def test_a_volume_of_another_user_is_served_with_one_warning(tmp_path):
    """What it cannot close it says, and closes the rest."""
    volume = tmp_path / "volume"
    with databuffer(tmp_path) as running:
        fill(running.url)
        assert running.stop() == 0
        (volume / "state").chmod(0o755)
        os.chown(volume / "state", 65534, -1)
        running.restart()
        (line,) = told(running)
        assert " WARNING " in line
        assert f"{volume / 'state'}, and" in line
        assert modes(volume) == [0o700, 0o700, 0o755]
        assert ask("GET", f"{running.url}/state/checkpoint").status == 200
